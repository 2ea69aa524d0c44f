"""Rungs, the random arm, the choice before training, and results of other studies, on workers that train nothing."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.driver import Driver, run
from nas.executors.contract import Work
from nas.executors.inline import InlineExecutor
from nas.job import CHECKPOINTS, WEIGHTS, Job, Report
from nas.progress import Progress
from nas.runs import LEDGER
from nas.study import Study
from results.ledger import Ledger
from results.outcome import LedgerError, Outcome, TrialRecord
from search_spaces.errors import RequestError

THREE = [{"epochs": 1}, {"epochs": 3}]  # below the proxy's nine epochs


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 18, "seeds": [], "proxy": {"resolution": 8}}
    sampler = {"name": "nsga2", "population": 4}
    usual = {"sampler": sampler, "recipe": {"epochs": 9}, "rungs": THREE, "executor": {"name": "inline"}}
    return SearchConfig.from_data({**least, **usual, **changes})


class Fake:
    """Trains nothing, through all rungs: its error falls with the epochs towards what the architecture alone decides.

    ``log`` keeps every epoch as trial, training, epoch. A mark stands for the checkpoint.
    """

    log: list[tuple[int, int, int]]

    def __init__(self, job: Job) -> None:
        self.job, self.rung, self.at_end = job, job.rung, False
        self.folder = Path(job.folder)
        while self.rung < len(job.rungs) - 1 and self._is_past(self.rung):  # another process of this trial was
            self.rung += 1

    def _mark(self, rung: int) -> Path:
        return self.folder / CHECKPOINTS / str(self.job.rungs[rung]["training"])

    def _is_past(self, rung: int) -> bool:
        this, following, mark = self.job.rungs[rung], self.job.rungs[rung + 1], self._mark(rung + 1)
        behind = this["epochs"] if this["training"] == following["training"] else 0
        return mark.exists() and int(mark.read_text()) > behind

    def _error(self, epoch: int) -> float:
        final = len(json.dumps(self.job.architecture)) % 97 / 100
        return final + 0.5 / (epoch + 1)

    def step(self) -> Report:
        """Train an epoch, or go on to the next rung."""
        if self.at_end:
            self.rung, self.at_end = self.rung + 1, False
        rung, mark = self.job.rungs[self.rung], self._mark(self.rung)
        mark.parent.mkdir(parents=True, exist_ok=True)
        epoch = int(mark.read_text()) if mark.exists() else 0
        if epoch < rung["epochs"]:
            epoch += 1
            mark.write_text(str(epoch))
            type(self).log.append((self.job.number, rung["training"], epoch))
        history = tuple(({"error": self._error(e)}, float(e)) for e in range(1, epoch + 1))
        outcome = Outcome.RUNNING
        if epoch >= rung["epochs"]:
            top = self.rung == len(self.job.rungs) - 1
            outcome, self.at_end = (Outcome.COMPLETE if top else Outcome.STOPPED), not top
            if top:
                (self.folder / WEIGHTS).touch()
        return Report(
            self.job.number, epoch, rung["epochs"], history[-1][0], history[-1][1], history, outcome, rung=self.rung
        )


@pytest.fixture
def worker() -> type[Fake]:
    return type("Worker", (Fake,), {"log": []})


class Stopped(InlineExecutor):
    """Runs inline, and is told to stop after some reports."""

    def __init__(self, after: int) -> None:
        self.after = after

    def run(self, work: Work, make: Any) -> None:
        inner, seen = work.report, 0

        def report(said: Report) -> bool:
            nonlocal seen
            seen += 1
            if seen == self.after:
                work.stop()  # type: ignore[attr-defined]
            return inner(said)

        work.report = report  # type: ignore[method-assign]
        super().run(work, make)


def _state(study: Study) -> list[tuple[Any, ...]]:
    return [
        (
            t.number,
            t.digest,
            t.origin,
            str(t.outcome),
            t.values,
            t.genes,
            [(m.rung, m.epoch, m.values) for m in t.measurements],
        )
        for t in study.trials
    ]


def _run(config: SearchConfig, runs: Path, worker: type[Fake], executor: InlineExecutor | None = None) -> Study:
    return run(config, runs, executor=executor or InlineExecutor(), make=worker)


def test_most_trials_stop_early_and_the_best_go_on(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(control=0), tmp_path, worker)
    assert study.record.state == "complete"
    begun = [trial for trial in study.trials if trial.outcome.trained]
    assert len(begun) == 18
    reached = Counter(max(m.rung for m in trial.measurements) for trial in begun)
    assert reached[0] >= 8
    assert reached[2] == study.outcomes()["complete"] >= 1
    assert len(worker.log) < 18 * 9 * 0.6
    assert len(set(worker.log)) == len(worker.log)  # stages of one training: no epoch twice
    for trial in begun:
        if trial.outcome is Outcome.STOPPED:
            assert not trial.values
            assert trial.reason.startswith("trained to the end of rung")
        else:
            assert [m.epoch for m in trial.measurements] == list(range(1, 10))
            assert [m.rung for m in trial.measurements] == [0, 1, 1, 2, 2, 2, 2, 2, 2]
            assert trial.values["error"] == trial.measurements[-1].values["error"]


def test_only_complete_trials_are_on_the_front(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(), tmp_path, worker)
    assert {trial.outcome for trial in study.front().members} == {Outcome.COMPLETE}


def test_the_best_of_a_rung_reaches_the_top_however_few_there_are(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(trials=2, control=0), tmp_path, worker)
    assert study.outcomes()["complete"] == 1
    assert study.record.state == "complete"


def test_published_networks_go_to_the_top(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(seeds=["inception-v3", "inception-v2"], trials=6), tmp_path, worker)
    assert [trial.outcome for trial in study.seeds()] == [Outcome.COMPLETE] * 2


def test_with_a_reduction_of_one_every_trial_goes_on(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(rungs={"lower": THREE, "reduction": 1}, trials=6), tmp_path, worker)
    assert study.outcomes()["complete"] == 6
    assert len(worker.log) == 54


def test_another_training_begins_anew_and_counts_its_seconds_on(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(rungs=[{"epochs": 2, "width": 0.0625}, {"epochs": 4}]), tmp_path, worker)
    done = next(trial for trial in study.trials if trial.outcome is Outcome.COMPLETE)
    assert [(m.rung, m.epoch) for m in done.measurements] == [
        (0, 1), (0, 2), *((1, e) for e in range(1, 5)), *((2, e) for e in range(5, 10))
    ]  # fmt: skip
    assert [m.seconds for m in done.measurements] == [1.0, 2.0, *(2.0 + e for e in range(1, 10))]


def test_the_time_of_earlier_trainings_is_kept_where_a_worker_begins_anew(tmp_path: Path, worker: type[Fake]) -> None:
    """It is given the job of the first training, of which nothing may be left."""

    class Reborn(worker):  # type: ignore[misc, valid-type]
        def step(self) -> Report:
            report: Report = super().step()
            if not report.final:
                self.__init__(self.job)  # type: ignore[misc]
            return report

    config = _config(rungs=[{"epochs": 2, "width": 0.0625}, {"epochs": 4}], seeds=["inception-v3"], trials=1)
    (trial,) = _run(config, tmp_path, Reborn).trials
    assert len(worker.log) == len(set(worker.log)) == 11
    assert [m.seconds for m in trial.measurements] == [1.0, 2.0, *(2.0 + e for e in range(1, 10))]
    assert trial.seconds == 11.0


@pytest.mark.parametrize(("outcome", "rung"), [(Outcome.LOST_WORKER, 1), (Outcome.TIMED_OUT, 0)])
def test_the_time_of_a_trial_whose_worker_was_lost_is_kept(
    tmp_path: Path, worker: type[Fake], outcome: Outcome, rung: int
) -> None:
    """Who says that it was lost, or that its time was up when it began anew, knows nothing of how far it was."""

    class Lost(worker):  # type: ignore[misc, valid-type]
        def step(self) -> Report:
            report: Report = super().step()
            return report if report.epoch < 3 else Report(self.job.number, 0, 0, outcome=outcome)

    class Heard(Progress):
        def reported(self, trial: Any, report: Report) -> None:
            heard.append((report.outcome, report.rung, report.seconds))

    heard: list[tuple[Outcome, int, float]] = []
    config = _config(seeds=["inception-v3"], trials=1)
    (trial,) = run(config, tmp_path, executor=InlineExecutor(), progress=Heard(), make=Lost).trials
    assert trial.outcome is outcome
    assert trial.seconds == trial.measurements[-1].seconds == 2.0
    assert heard[-1] == (outcome, rung, 2.0)


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8, 13, 21, 27, 34, 40])
def test_stopped_and_resumed_is_as_never_stopped(tmp_path: Path, worker: type[Fake], after: int) -> None:
    config = _config(sampler={"name": "nsga2", "population": 3}, trials=12, limits={"macs": 6e9})
    whole = _run(config, tmp_path / "whole", worker)
    epochs = len(worker.log)
    worker.log.clear()
    _run(config, tmp_path / "part", worker, Stopped(after))
    resumed = _run(config, tmp_path / "part", worker)
    assert resumed.record.state == "complete"
    assert _state(resumed) == _state(whole)
    assert len(set(worker.log)) == len(worker.log) == epochs  # nothing is trained twice


@pytest.mark.parametrize("after", [25, 33, 38, 45, 60])
def test_stopped_around_the_change_of_the_samplers_rung_is_as_never_stopped(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("nas.lessons.ENOUGH", 4)
    learned: list[int] = []

    class Looking(Stopped):
        def run(self, work: Work, make: Any) -> None:
            super().run(work, make)
            assert isinstance(work, Driver)
            learned.append(work.known.lessons.rung)

    config = _config(trials=20, control=0)
    whole = _run(config, tmp_path / "whole", worker, Looking(0))
    _run(config, tmp_path / "part", worker, Looking(after))
    assert _state(_run(config, tmp_path / "part", worker, Looking(0))) == _state(whole)
    assert learned[0] == learned[2] > 0


def test_stopped_again_and_again_is_as_never_stopped(tmp_path: Path, worker: type[Fake]) -> None:
    config = _config(trials=12)
    whole = _run(config, tmp_path / "whole", worker)
    for _ in range(200):
        if _run(config, tmp_path / "part", worker, Stopped(1)).record.state == "complete":
            break
    assert _state(Study.open("s", tmp_path / "part")) == _state(whole)


def test_a_study_with_rungs_can_be_extended(tmp_path: Path, worker: type[Fake]) -> None:
    first = _run(_config(trials=9), tmp_path, worker)
    more = _run(_config(trials=24), tmp_path, worker)
    assert sum(trial.outcome.trained for trial in more.trials) == 24
    assert [t.digest for t in more.trials[: len(first.trials)]] == [t.digest for t in first.trials]
    assert len(set(worker.log)) == len(worker.log)


# ----------------------------------------------------------------------------------------------------------- random arm


def test_a_quarter_goes_to_random_points(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(trials=20), tmp_path, worker)
    begun = [trial.origin for trial in study.trials if trial.outcome.trained]
    assert Counter(begun) == {"sampler": 15, "random": 5}
    assert begun.index("random") == 3


def test_the_sampler_never_learns_of_the_control_arm(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.samplers.nsga import Nsga

    told: set[int] = set()
    inner = Nsga.tell

    def tell(self: Nsga, number: int, *rest: Any) -> None:
        told.add(number)
        inner(self, number, *rest)

    monkeypatch.setattr(Nsga, "tell", tell)
    study = _run(_config(trials=20), tmp_path, worker)
    random = {trial.number for trial in study.trials if trial.origin == "random"}
    assert random
    assert told
    assert not told & random


def test_a_random_search_needs_no_control(tmp_path: Path, worker: type[Fake]) -> None:
    study = _run(_config(trials=6, sampler="random"), tmp_path, worker)
    assert {trial.origin for trial in study.trials} == {"sampler"}


# ----------------------------------------------------------------------------------------------------- before training


@pytest.mark.parametrize("score", ["params", "naswot"])
def test_the_best_of_several_proposals_are_trained(tmp_path: Path, worker: type[Fake], score: str) -> None:
    config = _config(trials=4, control=0, screen={"score": score, "of": 3, "keep": 2}, rungs=[])
    study = _run(config, tmp_path, worker)
    assert sum(trial.outcome.trained for trial in study.trials) == 4
    left_out = [t for t in study.trials if t.outcome is Outcome.SCREENED and t.reason.startswith(score)]
    assert len(left_out) == 2
    assert "is no. 3 of 3, and 2 are kept" in left_out[0].reason
    if score == "params":
        first = [trial for trial in study.trials if trial.outcome.trained][:2]
        assert all(trial.costs["params"] >= left_out[0].costs["params"] for trial in first)


def test_a_choice_before_training_is_the_same_after_a_stop(tmp_path: Path, worker: type[Fake]) -> None:
    config = _config(trials=6, screen={"score": "macs", "of": 3})
    whole = _run(config, tmp_path / "whole", worker)
    _run(config, tmp_path / "part", worker, Stopped(7))
    assert _state(_run(config, tmp_path / "part", worker)) == _state(whole)


def test_keeping_all_is_refused() -> None:
    with pytest.raises(RequestError, match="chooses nothing"):
        _config(screen={"score": "macs", "of": 3, "keep": 3})


# ----------------------------------------------------------------------------------------------------- never twice


def test_what_another_study_has_trained_is_not_trained_again(tmp_path: Path, worker: type[Fake]) -> None:
    first = _run(_config(), tmp_path, worker)
    worker.log.clear()
    second = _run(_config(study="t"), tmp_path, worker)
    assert worker.log == []
    assert [(t.digest, str(t.outcome), t.values) for t in second.trials] == [
        (t.digest, str(t.outcome), t.values) for t in first.trials
    ]
    reused = [trial.reused for trial in second.trials if trial.outcome.trained]
    assert reused == [f"s:{trial.number}" for trial in first.trials if trial.outcome.trained]
    assert {trial.reused for trial in first.trials} == {None}


def test_a_trial_is_taken_over_as_a_whole_or_not_at_all(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(_config(rungs=[], trials=2), tmp_path, worker)
    finish = Ledger.finish_trial

    def broken(*told: Any, **more: Any) -> str:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Ledger, "finish_trial", broken)
    with pytest.raises(LedgerError):
        _run(_config(study="t", rungs=[], trials=2), tmp_path, worker)
    assert not any(trial.measurements for trial in Study.open("t", tmp_path).trials)
    monkeypatch.setattr(Ledger, "finish_trial", finish)
    second = _run(_config(study="t", rungs=[], trials=2), tmp_path, worker)
    assert (second.outcomes()["complete"], second.taken_over) == (2, 2)


def test_what_diverged_after_our_top_rung_is_of_no_use_without_weights(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Diverging(Fake):
        def step(self) -> Report:
            report = super().step()
            return replace(report, outcome=Outcome.DIVERGED) if report.rung else report

    Diverging.log = []
    monkeypatch.setattr("nas.driver.fidelity_digest", lambda rung, *rest: f"{rung.epochs} epochs")
    seeds = ["inception-v3"]
    first = _run(_config(rungs=[{"epochs": 1}], seeds=seeds, trials=1), tmp_path, Diverging)
    assert first.trials[0].outcome is Outcome.DIVERGED
    second = _run(_config(study="t", rungs=[], recipe={"epochs": 1}, seeds=seeds, trials=1), tmp_path, worker)
    assert (second.trials[0].outcome, second.trials[0].reused) == (Outcome.COMPLETE, None)
    assert (tmp_path / str(second.trials[0].artifact) / WEIGHTS).is_file()


def test_a_study_whose_last_commit_failed_is_not_complete(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Ledger.together

    @contextmanager
    def failing(ledger: Ledger, study: str) -> Iterator[None]:
        with together(ledger, study):
            yield
            raise LedgerError("the disk is full")

    config = _config(rungs=[], recipe={"epochs": 1}, trials=1)
    monkeypatch.setattr(Ledger, "together", failing)
    with pytest.raises(LedgerError):
        _run(config, tmp_path, worker)
    assert Study.open("s", tmp_path).record.state == "stopped"
    monkeypatch.setattr(Ledger, "together", together)
    study = _run(config, tmp_path, worker)
    assert (study.record.state, study.outcomes()["complete"]) == ("complete", 1)


def test_a_trial_at_the_end_of_the_top_rung_is_never_stopped(tmp_path: Path, worker: type[Fake]) -> None:
    """Where only its last measurement was taken over, the rest is."""
    _run(_config(rungs=[], trials=2), tmp_path, worker)
    whole = _run(_config(study="t", rungs=[], trials=2), tmp_path, worker)
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection, connection:
        connection.execute(
            "UPDATE trials SET outcome = 'running', \"values\" = '{}', finished_at = NULL, reused = NULL "
            "WHERE outcome = 'complete' AND study_id = (SELECT id FROM studies WHERE name = 't')"
        )
    again = _run(_config(study="t", rungs=[], trials=2), tmp_path, worker)
    assert _state(again) == _state(whole)
    assert again.taken_over == 2


def test_what_can_be_given_away_no_more_is_trained_again(tmp_path: Path, worker: type[Fake]) -> None:
    """A quota has deleted weights of the first study: they might be those of the best of the second."""
    first = _run(_config(), tmp_path, worker)
    gone = next(trial for trial in first.trials if trial.outcome is Outcome.COMPLETE)
    (tmp_path / str(gone.artifact) / WEIGHTS).unlink()
    second = _run(_config(study="t"), tmp_path, worker)
    same = next(trial for trial in second.trials if trial.digest == gone.digest)
    assert (same.outcome, same.values) == (Outcome.COMPLETE, gone.values)
    assert (tmp_path / str(same.artifact) / WEIGHTS).is_file()
    assert str(same.artifact).startswith("t/")


def _begun(second: Study, first: Study) -> list[tuple[TrialRecord, TrialRecord]]:
    """Trials that were not set aside, each with that of the first study that has its architecture."""
    known = {trial.digest: trial for trial in first.trials}
    return [(trial, known[trial.digest]) for trial in second.trials if trial.outcome.trained]


def test_a_higher_rung_is_trained_where_only_the_lower_one_is_known(tmp_path: Path, worker: type[Fake]) -> None:
    alone = {"rungs": [], "recipe": {"epochs": 1}, "proxy": {"resolution": 8, "width": 0.0625}}
    first = _run(_config(**alone, sampler="random", trials=4), tmp_path, worker)
    worker.log.clear()
    rungs = {"lower": [{"epochs": 1, "width": 0.0625}], "reduction": 1}
    second = _run(_config(study="t", rungs=rungs, sampler="random", trials=4), tmp_path, worker)
    assert second.outcomes()["complete"] == 4
    pairs = _begun(second, first)
    # The training of the lower rung not at all, and the other one from its first epoch to its last.
    assert sorted(worker.log) == [(mine.number, 1, epoch) for mine, _ in pairs for epoch in range(1, 10)]
    for mine, theirs in pairs:
        known, *trained = mine.measurements
        assert known == replace(theirs.measurements[0], seconds=0.0, order=known.order)
        assert [(m.rung, m.epoch, m.seconds) for m in trained] == [(1, epoch, float(epoch)) for epoch in range(1, 10)]
        assert (mine.values["error"], mine.seconds) == (trained[-1].values["error"], 9.0)
        assert (mine.reused, mine.artifact) == (None, f"t/trials/{mine.number}")
        assert (tmp_path / str(mine.artifact) / WEIGHTS).is_file()


def test_a_trial_whose_lower_rung_was_taken_over_says_what_was_trained_when_it_goes_on(
    tmp_path: Path, worker: type[Fake]
) -> None:
    """It has no checkpoint of its own, so that its training begins at the first epoch."""
    first = _run(_config(rungs={"lower": THREE, "reduction": 4}, sampler="random", trials=8), tmp_path, worker)
    worker.log.clear()
    second = _run(
        _config(study="t", rungs={"lower": THREE, "reduction": 2}, sampler="random", trials=8), tmp_path, worker
    )
    pairs = _begun(second, first)
    paid = {mine.number: [epoch for number, _, epoch in worker.log if number == mine.number] for mine, _ in pairs}
    assert any(paid.values())
    assert not all(paid.values())
    for mine, theirs in pairs:
        assert paid[mine.number] in ([], list(range(1, mine.measurements[-1].epoch + 1)))  # nothing twice
        assert mine.seconds == len(paid[mine.number])
        assert mine.reused == (None if paid[mine.number] else f"s:{theirs.number}")
    assert second.taken_over == sum(not epochs for epochs in paid.values())


def test_a_published_network_whose_end_is_known_goes_to_the_top_all_the_same(
    tmp_path: Path, worker: type[Fake]
) -> None:
    constant = {"epochs": 9, "schedule": "constant"}
    seeds = ["inception-v3"]
    _run(_config(rungs=[], recipe=constant, seeds=seeds, trials=1), tmp_path, worker)
    second = _run(_config(study="t", recipe=constant, seeds=seeds, trials=2), tmp_path, worker)
    assert second.trials[0].outcome is Outcome.COMPLETE
    assert second.trials[0].reused == "s:0"
    # The two rungs below were trained here: the third epoch ended after three seconds, and nothing came after it.
    assert second.trials[0].seconds == second.trials[0].measurements[-1].seconds == 3.0
    assert second.taken_over == 0


def test_a_published_network_that_was_stopped_at_a_rung_goes_on(tmp_path: Path, worker: type[Fake]) -> None:
    config = _config(seeds=["inception-v3"], trials=2)
    _run(config, tmp_path, worker, Stopped(1))
    assert Study.open("s", tmp_path).trials[0].outcome is Outcome.STOPPED
    assert _run(config, tmp_path, worker).trials[0].outcome is Outcome.COMPLETE


@pytest.mark.parametrize("change", [{"random_seed": 1}, {"recipe": {"epochs": 9, "learning_rate": 0.01}}])
def test_another_setting_is_trained(tmp_path: Path, worker: type[Fake], change: dict[str, Any]) -> None:
    _run(_config(seeds=["inception-v3"], trials=1), tmp_path, worker)
    worker.log.clear()
    _run(_config(study="t", seeds=["inception-v3"], trials=1, **change), tmp_path, worker)
    assert len(worker.log) == 9


def test_the_driver_keeps_no_trial_for_itself(tmp_path: Path, worker: type[Fake]) -> None:
    """All that a driver knows is what the ledger holds: a second one finds the same."""
    known: list[Any] = []

    class Looking(InlineExecutor):
        def run(self, work: Work, make: Any) -> None:
            super().run(work, make)
            assert isinstance(work, Driver)
            known.append({number: trial.measurements for number, trial in work.known.trials.items()})

    study = _run(_config(trials=6), tmp_path, worker, Looking())
    assert known == [{trial.number: trial.measurements for trial in study.trials}]
