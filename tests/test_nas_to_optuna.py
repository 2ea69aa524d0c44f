"""A study in Optuna's own storage: read back by Optuna, state by state, and nothing left where it went wrong."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report
from nas.samplers import to_optuna
from nas.samplers.to_optuna import write_to_optuna
from nas.study import Study
from results.outcome import Measurement, Outcome
from search_spaces.errors import RequestError, RunFailed


class Fake:
    """A worker that trains nothing: its error depends on the architecture alone."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def step(self) -> Report:
        """One epoch is all."""
        values = {"error": len(str(self.job.architecture)) % 97 / 100}
        return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study "s"."""
    folder = tmp_path_factory.mktemp("runs")
    least = {"study": "s", "data": "digits", "trials": 5, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    config = SearchConfig.from_data({**least, "sampler": "random", "recipe": {"epochs": 1}, "limits": {"macs": 6e9}})
    run(config, folder, executor=InlineExecutor(), make=Fake)
    return folder


@pytest.fixture
def study(runs: Path) -> Study:
    return Study.open("s", runs)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


def _names(url: str) -> list[str]:
    return [summary.study_name for summary in optuna.get_all_study_summaries(url)]


def test_optuna_reads_what_the_ledger_holds(study: Study, url: str) -> None:
    written = write_to_optuna(study, url)
    assert (written.name, sum(written.states.values())) == ("s", len(study.trials))
    there = optuna.load_study(study_name="s", storage=url)
    assert [direction.name.lower() for direction in there.directions] == ["minimize", "minimize"]
    assert there.metric_names == ["error", "macs"]
    assert there.user_attrs["search"] == study.record.search
    front = {trial.number for trial in study.front().members}
    violated = {t.number for t in study.trials if any(size > 0 for size in t.violations.values())}
    assert {trial.number for trial in there.best_trials} == front - violated  # Optuna's front keeps the constraints
    for ours, theirs in zip(study.trials, there.trials, strict=True):
        assert theirs.number == ours.number
        assert theirs.params == (ours.genes or {})
        assert theirs.constraints == ours.violations
        assert theirs.user_attrs["arch"] == f"s:{ours.number}"
        assert theirs.user_attrs["outcome"] == ours.outcome
        assert theirs.user_attrs["costs"] == ours.costs
        assert theirs.user_attrs["origin"] == ours.origin
        assert theirs.datetime_start is not None
        assert theirs.datetime_start.astimezone() == datetime.fromisoformat(ours.started_at)
        if ours.outcome is Outcome.COMPLETE:
            assert (theirs.state, theirs.values) == (TrialState.COMPLETE, list(ours.values.values()))
            assert theirs.intermediate_values == {1: ours.values["error"]}
        else:
            assert ours.outcome.set_aside
            assert (theirs.state, theirs.values, theirs.intermediate_values) == (TrialState.PRUNED, None, {})


def test_optuna_goes_on_from_it(study: Study, url: str) -> None:
    write_to_optuna(study, url)
    there = optuna.load_study(study_name="s", storage=url, sampler=optuna.samplers.TPESampler(seed=0))
    trial = there.ask({"stem.width": optuna.distributions.FloatDistribution(0, 1)})
    there.tell(trial, [0.5, 1e9])
    assert there.trials[-1].number == len(study.trials)


STATES = {
    Outcome.COMPLETE: TrialState.COMPLETE,
    Outcome.STOPPED: TrialState.PRUNED,
    Outcome.SCREENED: TrialState.PRUNED,
    Outcome.DUPLICATE: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.FAIL,
    Outcome.OUT_OF_MEMORY: TrialState.FAIL,
    Outcome.LOST_WORKER: TrialState.FAIL,
    Outcome.TIMED_OUT: TrialState.FAIL,
    Outcome.BROKEN: TrialState.FAIL,
    Outcome.RUNNING: TrialState.RUNNING,
}


def test_every_outcome_has_a_state_of_optunas(study: Study, url: str) -> None:
    assert set(STATES) == set(Outcome)
    one = next(trial for trial in study.trials if trial.outcome is Outcome.COMPLETE and trial.genes)
    trials = [
        replace(one, number=number, outcome=outcome, values=one.values if outcome is Outcome.COMPLETE else {})
        for number, outcome in enumerate(Outcome)
    ]
    written = write_to_optuna(replace(study, trials=tuple(reversed(trials))), url)
    found = optuna.load_study(study_name="s", storage=url).trials
    assert [(trial.user_attrs["outcome"], trial.state) for trial in found] == [(o, STATES[o]) for o in Outcome]
    assert written.states == {"RUNNING": 1, "COMPLETE": 1, "PRUNED": 3, "FAIL": 5}


@pytest.mark.parametrize(
    ("places", "steps"),
    [
        ([(0, 0), (0, 1), (1, 2), (1, 3)], [1, 2, 3]),  # stages of one training
        ([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 3)], [1, 2, 3]),  # the second rung was trained anew
        ([(0, 0)], []),
    ],
)
def test_a_curve_is_that_of_the_last_training(
    study: Study, url: str, places: list[tuple[int, int]], steps: list[int]
) -> None:
    measurements = tuple(
        Measurement(rung, epoch, {"error": 0.1 * rung + 0.01 * epoch} if epoch else {"latency_ms": 5.0}, 1.0)
        for rung, epoch in places
    )
    trial = replace(study.trials[0], number=0, outcome=Outcome.STOPPED, values={}, measurements=measurements)
    write_to_optuna(replace(study, trials=(trial,)), url)
    (found,) = optuna.load_study(study_name="s", storage=url).trials
    last = max(rung for rung, _ in places)
    assert list(found.intermediate_values) == steps
    if steps:
        assert found.intermediate_values[steps[-1]] == 0.1 * last + 0.01 * steps[-1]
    assert len(found.user_attrs["measurements"]) == len(places)


def test_a_study_that_is_there_is_refused_and_left_alone(study: Study, url: str) -> None:
    write_to_optuna(study, url)
    with pytest.raises(RequestError, match=r"there is a study 's' in that database already: .*--as"):
        write_to_optuna(replace(study, trials=()), url)
    assert write_to_optuna(replace(study, trials=()), url, "another").states == {}
    assert sorted(_names(url)) == ["another", "s"]
    assert len(optuna.load_study(study_name="s", storage=url).trials) == len(study.trials)


def test_what_is_interrupted_leaves_nothing(study: Study, url: str) -> None:
    def interrupt(done: int, of: int) -> None:
        assert of == len(study.trials)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_to_optuna(study, url, progress=interrupt)
    assert _names(url) == []
    write_to_optuna(study, url)


def test_wrong_places_are_one_sentence(study: Study, runs: Path, tmp_path: Path) -> None:
    ledger = (runs / "ledger.sqlite").read_bytes()
    for url, sentence in [
        ("optuna.db", "the URL cannot be read: sqlite:///FILE"),
        ("nix://nas:s3cret@h/db", "the URL cannot be read: sqlite:///FILE"),
        ("mysql://nas:s3cret@h/db", r"the package \w+ is missing for that URL: pip install"),
        (f"sqlite:///{tmp_path}/no/such/folder.db", "that database cannot be opened: unable to open"),
        (f"sqlite:///{runs / 'ledger.sqlite'}", "is a ledger of this program: choose another"),
        ("postgresql://nas:s3cret@127.0.0.1:9/db", "that database cannot be opened: .*refused"),
    ]:
        with pytest.raises(RequestError, match=sentence) as raised:
            write_to_optuna(study, url)
        assert "s3cret" not in str(raised.value)
    assert (runs / "ledger.sqlite").read_bytes() == ledger


def test_a_failing_database_is_one_sentence(study: Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_to_optuna(replace(study, trials=()), url, "first")

    def full(*_: Any, **__: Any) -> None:
        raise optuna.exceptions.StorageInternalError("the disk is full")

    monkeypatch.setattr(optuna.Study, "add_trial", full)
    with pytest.raises(RunFailed, match="study 's' could not be written to that database: the disk is full"):
        write_to_optuna(study, url)
    assert _names(url) == ["first"]


def test_genes_that_the_space_has_not_any_more_are_named(study: Study, url: str) -> None:
    one = next(trial for trial in study.trials if trial.genes)
    assert one.genes is not None
    for genes in ({**one.genes, "gone": 1}, {**one.genes, next(iter(one.genes)): 99}):
        with pytest.raises(RequestError, match=f"trial {one.number} has the gene .* no longer allows"):
            write_to_optuna(replace(study, trials=(replace(one, genes=genes),)), url)


def test_on_a_server(study: Study, postgresql: str) -> None:
    write_to_optuna(study, postgresql)
    storage = optuna.storages.RDBStorage(postgresql.replace("postgresql:", "postgresql+psycopg:"))
    there = optuna.load_study(study_name="s", storage=storage)
    assert [trial.params for trial in there.trials] == [trial.genes or {} for trial in study.trials]
    storage.remove_session()
    storage.engine.dispose()


def test_the_command(study: Study, runs: Path, tmp_path: Path) -> None:
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    command = [sys.executable, "-c", code, "to-optuna", "s", "sqlite:///o.db", "--runs", str(runs), "--as", "other"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"study other written: 5 complete, {len(study.trials) - 5} pruned\n"
    assert f"s: {len(study.trials)} of {len(study.trials)} trials written" in done.stderr
    assert _names(f"sqlite:///{tmp_path / 'o.db'}") == ["other"]
    assert to_optuna.__doc__
