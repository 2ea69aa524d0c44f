"""The main path: propose, screen, run, record; interrupted and resumed, extended, refused."""

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.contract import Work
from nas.executors.inline import InlineExecutor
from nas.job import CHECKPOINTS, RESULT, WEIGHTS, Job, Report, identity_of, result_file
from nas.recorder import BROKEN_IN_A_ROW
from nas.runs import LEDGER
from nas.storage import folder_at
from nas.study import Study
from results.ledger import Ledger
from results.outcome import LedgerError, Outcome
from search_spaces.errors import RequestError, ResolutionError, SearchFailed


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 6, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    sampler = {"name": "nsga2", "population": 4}
    return SearchConfig.from_data({**least, "sampler": sampler, "recipe": {"epochs": 2}, **changes})


class Fake:
    """A worker that trains nothing: its error depends on the architecture alone. ``log`` keeps every epoch."""

    log: list[tuple[int, int]]
    outcome: Callable[[int], Outcome] = staticmethod(lambda number: Outcome.COMPLETE)

    def __init__(self, job: Job) -> None:
        self.job = job
        self.folder = Path(job.folder)

    def step(self) -> Report:
        """Two epochs; the first leaves a mark from which a second worker goes on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / "epoch"
        epoch = int(mark.read_text()) + 1 if mark.exists() else 1
        mark.write_text(str(epoch))
        type(self).log.append((self.job.number, epoch))
        error = len(str(self.job.architecture)) % 97 / 100
        history = tuple(({"error": error}, float(e)) for e in range(1, epoch + 1))
        if epoch < 2:
            return Report(self.job.number, epoch, 2, {"error": error}, 1.0, history)
        outcome = type(self).outcome(self.job.number)
        return Report(
            self.job.number, epoch, 2, {"error": error}, 2.0, history, outcome, "" if outcome == "complete" else "why"
        )


@pytest.fixture
def worker() -> type[Fake]:
    return type("Worker", (Fake,), {"log": []})


class Stopped(InlineExecutor):
    """Runs inline, and is told to stop after some reports."""

    def __init__(self, after: int) -> None:
        self.after = after

    def run(self, work: Work, make: Any) -> None:
        inner, self.seen = work.report, 0

        def report(said: Report) -> bool:
            goes_on = inner(said)
            self.seen += 1
            if self.seen == self.after:
                work.stop()  # type: ignore[attr-defined]
            return goes_on and not work.stopping

        work.report = report  # type: ignore[method-assign]
        super().run(work, make)


def _state(study: Study) -> list[tuple[Any, ...]]:
    return [(t.number, t.digest, t.seed, str(t.outcome), t.values, t.genes) for t in study.trials]


def test_a_search_from_beginning_to_end(tmp_path: Path, worker: type[Fake]) -> None:
    study = run(_config(), tmp_path, executor=InlineExecutor(), make=worker)
    assert study.record.state == "complete"
    assert study.outcomes()["complete"] == 6
    assert study.trials[0].seed == "inception-v3"
    assert study.trials[0].costs["macs"] == 5_713_216_096 - 990 * 2048  # ten classes
    assert [t.number for t in study.trials] == list(range(len(study.trials)))
    for trial in study.trials:
        if trial.outcome is Outcome.COMPLETE:
            assert set(trial.values) == {"error", "macs"}
            assert trial.values["macs"] == trial.costs["macs"]
            assert [m.epoch for m in trial.measurements] == [1, 2]
        else:
            assert trial.outcome is Outcome.SCREENED
            assert any(size > 0 for size in trial.violations.values())
    assert study.front().members
    assert study.best().values["error"] == min(t.values["error"] for t in study.trials if t.values)


def test_a_complete_study_is_not_run_again_but_can_be_extended(tmp_path: Path, worker: type[Fake]) -> None:
    first = run(_config(), tmp_path, executor=InlineExecutor(), make=worker)
    epochs = len(worker.log)
    again = run(_config(), tmp_path, executor=InlineExecutor(), make=worker)
    assert _state(again) == _state(first)
    assert len(worker.log) == epochs
    more = run(_config(trials=9), tmp_path, executor=InlineExecutor(), make=worker)
    assert more.outcomes()["complete"] == 9
    assert _state(more)[: len(first.trials)] == _state(first)
    assert len(set(worker.log)) == len(worker.log)


@pytest.mark.parametrize("after", [1, 2, 3, 6, 7])
def test_stopped_and_resumed_is_as_never_stopped(tmp_path: Path, worker: type[Fake], after: int) -> None:
    whole = run(_config(), tmp_path / "whole", executor=InlineExecutor(), make=worker)
    worker.log.clear()
    part = run(_config(), tmp_path / "part", executor=Stopped(after), make=worker)
    assert part.record.state == "stopped"
    assert len(worker.log) == after
    resumed = run(_config(), tmp_path / "part", executor=InlineExecutor(), make=worker)
    assert resumed.record.state == "complete"
    assert _state(resumed) == _state(whole)
    assert len(set(worker.log)) == len(worker.log) == 12  # no epoch is repeated


def test_a_result_that_no_driver_recorded_is_recorded_and_not_trained_again(tmp_path: Path, worker: type[Fake]) -> None:
    run(_config(), tmp_path, executor=Stopped(3), make=worker)
    study = Study.open("s", tmp_path)
    trial = next(t for t in study.trials if t.outcome is Outcome.RUNNING)
    history = (({"error": 0.2}, 1.0), ({"error": 0.123}, 2.0))
    report = Report(trial.number, 2, 2, {"error": 0.123}, 2.0, history, Outcome.COMPLETE)
    folder = tmp_path / "s" / "trials" / str(trial.number)
    (folder / RESULT).write_bytes(result_file(report, identity_of(trial.digest, study.record.fidelities)))
    (folder / CHECKPOINTS / "0").mkdir(parents=True)  # the worker died before it could remove them
    (folder / CHECKPOINTS / "0" / "epoch-000002.safetensors").touch()
    epochs = list(worker.log)
    resumed = run(_config(trials=trial.number + 1), tmp_path, executor=InlineExecutor(), make=worker)
    assert resumed.trials[trial.number].values["error"] == 0.123
    assert [m.values["error"] for m in resumed.trials[trial.number].measurements][-1] == 0.123
    assert [m.epoch for m in resumed.trials[trial.number].measurements] == [1, 2]
    assert worker.log == epochs
    assert not (folder / CHECKPOINTS).exists()


def test_a_result_of_other_training_is_not_taken_for_the_trials(tmp_path: Path, worker: type[Fake]) -> None:
    """As after folders of studies were mixed up: the number is right, and the architecture or the fidelity is not."""
    run(_config(), tmp_path, executor=Stopped(3), make=worker)
    study = Study.open("s", tmp_path)
    trial = next(t for t in study.trials if t.outcome is Outcome.RUNNING)
    report = Report(trial.number, 2, 2, {"error": 0.0}, 2.0, (({"error": 0.0}, 1.0),) * 2, Outcome.COMPLETE)
    for other in (identity_of("another", study.record.fidelities), identity_of(trial.digest, ["another"])):
        path = tmp_path / "s" / "trials" / str(trial.number) / RESULT
        path.write_bytes(result_file(report, other))
        run(_config(), tmp_path, executor=Stopped(1), make=worker)
        assert Study.open("s", tmp_path).trial(trial.number).values.get("error") != 0.0
    resumed = run(_config(), tmp_path, executor=InlineExecutor(), make=worker)
    assert resumed.trial(trial.number).values["error"] > 0


def test_every_outcome_counts_once(tmp_path: Path, worker: type[Fake]) -> None:
    ends = [Outcome.COMPLETE, Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.BROKEN]
    worker.outcome = staticmethod(lambda number: ends[number % 4])
    study = run(_config(trials=8), tmp_path, executor=InlineExecutor(), make=worker)
    counts = study.outcomes()
    assert sum(counts[str(end)] for end in ends[:3]) == 8
    assert counts["broken"] > 0  # the program's fault, so it uses up no budget
    failed = [t for t in study.trials if t.outcome in ends[1:]]
    assert failed
    assert all(t.reason == "why" and not t.values for t in failed)
    assert not {t.number for t in failed} & {t.number for t in study.front().members}


def test_the_same_mistake_again_and_again_ends_the_search(tmp_path: Path, worker: type[Fake]) -> None:
    worker.outcome = staticmethod(lambda number: Outcome.BROKEN)
    with pytest.raises(SearchFailed, match="why"):
        run(_config(trials=3), tmp_path, executor=InlineExecutor(), make=worker)
    study = Study.open("s", tmp_path)
    assert study.outcomes()["broken"] == BROKEN_IN_A_ROW
    assert study.record.state == "stopped"
    worker.outcome = staticmethod(lambda number: Outcome.COMPLETE)  # the cause is mended
    study = run(_config(trials=3), tmp_path, executor=InlineExecutor(), make=worker)
    assert study.outcomes()["complete"] == 3
    assert study.seeds()[-1].outcome is Outcome.COMPLETE


def test_limits_screen_before_training(tmp_path: Path, worker: type[Fake]) -> None:
    study = run(_config(limits={"macs": 6e9}), tmp_path, executor=InlineExecutor(), make=worker)
    for trial in study.trials:
        if trial.outcome is Outcome.COMPLETE and trial.seed is None:
            assert trial.costs["macs"] <= 6e9
    screened = [t for t in study.trials if t.violations["limit:macs"] > 0 and t.seed is None]
    assert screened
    assert all(t.outcome is Outcome.SCREENED and "limit:macs" in t.reason for t in screened)


def test_limits_that_nothing_meets_end_with_a_sentence(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("knowledge", "proposals", "driver"):
        monkeypatch.setattr(f"nas.{module}.GIVE_UP", 20)
    sentence = (
        r"20 proposals in a row were screened or known \(none of them had less than [\d,]+ macs, and 10 are allowed"
    )
    with pytest.raises(RequestError, match=sentence):
        run(_config(limits={"macs": 10.0}), tmp_path, executor=InlineExecutor(), make=worker)


def test_the_same_architecture_is_not_trained_twice(tmp_path: Path, worker: type[Fake]) -> None:
    narrow = {"name": "random"}
    study = run(_config(seeds=["inception-v3"], sampler=narrow), tmp_path, executor=InlineExecutor(), make=worker)
    trained = [t.digest for t in study.trials if t.outcome is Outcome.COMPLETE]
    assert len(set(trained)) == len(trained)
    from nas.driver import Driver

    with Ledger.open(tmp_path / LEDGER) as ledger:
        from nas.progress import Progress
        from search_spaces.space import space
        from trainers.data import load

        config = _config(trials=9, control=0)
        driver = Driver(config, ledger, tmp_path, space("inception", 299), load("digits"), [], Progress())
        known = next(t for t in study.trials if t.outcome is Outcome.COMPLETE and t.genes and t.seed is None)
        driver.known.lessons.sampler.propose = lambda number: known.genes  # type: ignore[method-assign, return-value]
        (again,) = driver.proposals.next()
        assert again.outcome is Outcome.DUPLICATE
        assert f"trial {known.number}" in again.reason


def test_a_study_of_another_search_file_is_refused_and_untouched(tmp_path: Path, worker: type[Fake]) -> None:
    before = run(_config(), tmp_path, executor=InlineExecutor(), make=worker)
    with pytest.raises(LedgerError, match=r"random_seed"):
        run(_config(random_seed=1), tmp_path, executor=InlineExecutor(), make=worker)
    with pytest.raises(LedgerError, match=r"epochs"):
        run(_config(recipe={"epochs": 3}), tmp_path, executor=InlineExecutor(), make=worker)
    assert _state(Study.open("s", tmp_path)) == _state(before)


def test_a_space_file_that_changed_is_refused(tmp_path: Path, worker: type[Fake]) -> None:
    shipped = Path(__file__).parent.parent / "search_spaces" / "spaces" / "inception.yaml"
    own = tmp_path / "own.yaml"
    own.write_text(shipped.read_text())
    run(_config(space=str(own)), tmp_path, executor=InlineExecutor(), make=worker)
    own.write_text(shipped.read_text().replace("depth: [1, 8]", "depth: [1, 7]"))
    with pytest.raises(LedgerError, match="space_digest"):
        run(_config(space=str(own), trials=9), tmp_path, executor=InlineExecutor(), make=worker)


def test_stopping_is_heard_while_proposals_are_screened(tmp_path: Path, worker: type[Fake]) -> None:
    from nas.progress import Progress

    class Impatient(Progress):
        seen = 0

        def set_aside(self, trial: Any) -> None:
            self.seen += 1
            if self.seen == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    progress = Impatient()
    config = _config(limits={"macs": 10.0}, seeds=[])
    study = run(config, tmp_path, executor=InlineExecutor(), progress=progress, make=worker)
    assert study.record.state == "stopped"
    assert progress.seen < 8


def test_a_second_driver_is_refused_and_changes_nothing(tmp_path: Path, worker: type[Fake]) -> None:
    before = run(_config(), tmp_path, executor=InlineExecutor(), make=worker)
    worker.log.clear()
    sentence = f"study 's' is being searched by process {os.getpid()} on"
    with Ledger.open(tmp_path / LEDGER) as ledger, ledger.hold("s"), pytest.raises(RequestError, match=sentence):
        run(_config(trials=99), tmp_path, executor=InlineExecutor(), make=worker)
    assert not worker.log
    assert Study.open("s", tmp_path).record == before.record


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"data": "/no/such/folder"}, RequestError, "there is no data folder"),
        ({"data": "digit"}, RequestError, "did you mean 'digits'"),
        ({"seeds": ["inception-v5"]}, RequestError, "there is no seed 'inception-v5'"),
        ({"space": "incepton"}, RequestError, "there is no space 'incepton'"),
        ({"target": {"resolution": 70}}, ResolutionError, "too small"),
    ],
)
def test_wrong_requests_leave_nothing(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        run(_config(**changes), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RequestError, match="cannot be made"):
        run(_config(), tmp_path / "runs")
    assert (tmp_path / "runs").read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RequestError, match="cannot be written"):
        run(_config(), tmp_path)
    tmp_path.chmod(0o700)


def test_reports_of_an_ended_trial_are_ignored(tmp_path: Path, worker: type[Fake]) -> None:
    class Twice(InlineExecutor):
        """Says everything twice, as a worker does that was started again."""

        def run(self, work: Work, make: Any) -> None:
            inner = work.report

            def report(said: Report) -> bool:
                goes_on = inner(said)
                return inner(replace(said)) and goes_on

            work.report = report  # type: ignore[method-assign]
            super().run(work, make)

    study = run(_config(), tmp_path, executor=Twice(), make=worker)
    assert study.outcomes()["complete"] == 6


def test_a_report_without_an_error_is_no_perfect_score(tmp_path: Path) -> None:
    class Mute:
        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            return Report(self.job.number, 1, 1, {}, 0.0, (), Outcome.COMPLETE)

    with pytest.raises(SearchFailed, match="the worker measured no error"):
        run(_config(), tmp_path, executor=InlineExecutor(), make=Mute)
    assert not Study.open("s", tmp_path).front().members


def test_a_file_in_place_of_the_studys_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file")
    with pytest.raises(RequestError, match="cannot be used"):
        run(_config(), tmp_path)


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (math.nan, Outcome.DIVERGED),
        (-math.inf, Outcome.DIVERGED),
        (np.float32("nan"), Outcome.DIVERGED),
        pytest.param(10**400, Outcome.DIVERGED, id="beyond all floats"),
        ("0.5", Outcome.BROKEN),
        (None, Outcome.BROKEN),
    ],
)
def test_a_value_that_is_no_finite_number_ends_its_trial_alone(value: Any, outcome: Outcome, tmp_path: Path) -> None:
    class Odd:
        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            error = value if self.job.number == 1 else 0.5
            return Report(self.job.number, 1, 1, {"error": error}, 1.0, (({"error": error}, 1.0),), Outcome.COMPLETE)

    study = run(_config(seeds=[], recipe={"epochs": 1}, trials=3), tmp_path, executor=InlineExecutor(), make=Odd)
    assert study.trial(1).outcome is outcome
    assert "which is no finite number" in study.trial(1).reason
    assert study.trial(1).number not in {trial.number for trial in study.front().members}
    assert {trial.outcome for trial in study.trials if trial.number != 1} <= {Outcome.COMPLETE, Outcome.SCREENED}
    assert study.done == 3


@pytest.mark.parametrize("at_a_url", [False, True], ids=["path", "url"])
def test_checkpoints_go_with_the_end_of_their_trial_whoever_ends_it(
    at_a_url: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver ends the trials of odd values and of lost workers: their workers have removed nothing."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "here"))
    ends = [Outcome.COMPLETE, Outcome.RUNNING, Outcome.LOST_WORKER, Outcome.BROKEN]
    ended: dict[int, Outcome] = {}

    class Untidy:
        def __init__(self, job: Job) -> None:
            self.number, self.store = job.number, folder_at(job.folder)

        def step(self) -> Report:
            outcome = ended.setdefault(self.number, ends[len(ended) % len(ends)])
            self.store.fetch()
            (self.store.path / CHECKPOINTS / "0").mkdir(parents=True)
            for name in (f"{CHECKPOINTS}/0/epoch-000001.safetensors", WEIGHTS):
                (self.store.path / name).write_bytes(b"x" * 10)
            self.store.send()
            error = math.nan if outcome is Outcome.RUNNING else 0.5
            return Report(self.number, 1, 2, {"error": error}, 1.0, (({"error": error}, 1.0),), outcome)

    storage = {"storage": f"file://{tmp_path}/there"} if at_a_url else {}
    study = run(_config(trials=6, **storage), tmp_path, executor=InlineExecutor(), make=Untidy)
    outcomes = {study.trial(number).outcome for number in ended}
    assert outcomes == {Outcome.COMPLETE, Outcome.DIVERGED, Outcome.LOST_WORKER, Outcome.BROKEN}
    trials = (tmp_path / "there" if at_a_url else tmp_path) / "s" / "trials"
    assert not [path for path in trials.glob(f"*/{CHECKPOINTS}/**/*") if path.is_file()]
    assert {int(path.parent.name) for path in trials.glob(f"*/{WEIGHTS}")} == set(ended)
