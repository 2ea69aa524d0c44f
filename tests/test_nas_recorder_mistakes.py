"""Trials that break or lose their workers one after the other: what is one mistake, and when a search ends by it."""

from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.contract import Work
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report
from nas.recorder import BROKEN_AT_ALL_IN_A_ROW, BROKEN_IN_A_ROW, LOST_IN_A_ROW
from nas.study import Study
from results.outcome import Outcome
from search_spaces.errors import SearchFailed

TRACE = (
    'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n  File "b.py", line {}, in g\n{}: {}\n'
)
LOST = "lost"


def config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 4, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    return SearchConfig.from_data({**least, "sampler": {"name": "random"}, "recipe": {"epochs": 1}, **changes})


def broken_by(*mistakes: tuple[str, str, int] | str | None) -> type:
    """A worker whose trials break in turn by an exception, what it says and its line, or what is said without a trace.

    None: the trial is complete; LOST: it lost its workers. The last one stays for all that follow.
    """
    count = [0]

    class Worker:
        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            how = mistakes[min(count[0], len(mistakes) - 1)]
            count[0] += 1
            number = self.job.number
            if how is None:
                return Report(number, 1, 1, {"error": 0.5}, 1.0, (({"error": 0.5}, 1.0),), Outcome.COMPLETE)
            if how == LOST:
                return Report(number, 0, 1, outcome=Outcome.LOST_WORKER, reason="the worker was lost thrice")
            if isinstance(how, str):
                return Report(number, 0, 1, outcome=Outcome.BROKEN, reason=how.format(self.job.folder))
            kind, said, line = how
            trace = TRACE.format(line, kind, said)
            return Report(number, 0, 1, outcome=Outcome.BROKEN, reason=f"{kind}: {said}", traceback=trace)

    return Worker


def ended(tmp_path: Path, worker: type) -> tuple[str, int]:
    """What the search failed with, and how many trials broke."""
    with pytest.raises(SearchFailed) as caught:
        run(config(), tmp_path, executor=InlineExecutor(), make=worker)
    return str(caught.value), Study.open("s", tmp_path).outcomes()["broken"]


def test_the_same_line_is_one_mistake_whatever_it_says(tmp_path: Path) -> None:
    worker = broken_by(*(("ValueError", f"trial {number} at {number}", 7) for number in range(20)))
    sentence, count = ended(tmp_path, worker)
    assert count == BROKEN_IN_A_ROW
    assert "the last 3 trials of study 's' broke in one way, ValueError: trial 2 at 2" in sentence


@pytest.mark.parametrize(
    "mistakes",
    [
        [("ValueError", "the same", line) for line in range(40)],
        [(kind, "the same", 7) for kind in ("ValueError", "KeyError") * 20],
        ["worker {} lost", "another"] * 20,
    ],
    ids=["other lines", "other exceptions", "said without a trace"],
)
def test_other_mistakes_end_a_search_only_after_many(mistakes: list[Any], tmp_path: Path) -> None:
    sentence, count = ended(tmp_path, broken_by(*mistakes))
    assert count == BROKEN_AT_ALL_IN_A_ROW == 12
    assert "the last 12 trials of study 's' broke the last one by " in sentence


def test_without_a_trace_the_trial_s_own_folder_makes_no_difference(tmp_path: Path) -> None:
    sentence, count = ended(tmp_path, broken_by("the worker of {} has gone"))
    assert count == BROKEN_IN_A_ROW
    assert "has gone" in sentence


def test_one_that_does_not_break_begins_the_count_anew(tmp_path: Path) -> None:
    same = ("ValueError", "x", 7)
    worker = broken_by(same, same, None, same, same, None, *(("E", "x", n) for n in range(11)), None)
    study = run(config(), tmp_path, executor=InlineExecutor(), make=worker)
    assert study.outcomes()["complete"] == 4
    assert study.outcomes()["broken"] == 15


def test_one_that_stops_at_a_rung_begins_the_count_anew(tmp_path: Path) -> None:
    """Most trials of a study with rungs end there, and they did not break."""
    seen: list[int] = []

    class Worker:
        def __init__(self, job: Job) -> None:
            self.number, self.rung = job.number, job.rung

        def step(self) -> Report:
            if self.rung == 0:
                seen.append(self.number)
            if self.rung == 0 and len(seen) % 3:
                trace = TRACE.format(7, "ValueError", "x")
                return Report(self.number, 0, 1, outcome=Outcome.BROKEN, reason="ValueError: x", traceback=trace)
            rung, self.rung = self.rung, 1
            history = tuple(({"error": 0.5}, 1.0) for _ in range(rung + 1))
            outcome = Outcome.COMPLETE if rung else Outcome.STOPPED
            return Report(self.number, rung + 1, rung + 1, {"error": 0.5}, 1.0, history, outcome, rung=rung)

    rungs = config(seeds=[], rungs=[{"epochs": 1}], recipe={"epochs": 2})
    study = run(rungs, tmp_path, executor=InlineExecutor(), make=Worker)
    assert study.outcomes()["broken"] == 2 * 4
    assert study.outcomes()["stopped"] + study.outcomes()["complete"] == 4


def test_a_mistake_that_says_much_is_one_line(tmp_path: Path) -> None:
    sentence, _ = ended(tmp_path, broken_by(("ValueError", "first\nsecond\n" + "x" * 10_000, 7)))
    assert "ValueError: first" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1000


def test_lost_workers_in_a_row_end_a_search_which_goes_on(tmp_path: Path) -> None:
    """Otherwise machines on which every worker dies would use up the whole budget."""
    worker = broken_by(LOST, LOST, None, *[LOST] * LOST_IN_A_ROW, None)
    long = config(trials=8)
    with pytest.raises(SearchFailed, match="the last 3 trials of study 's' lost their workers") as caught:
        run(long, tmp_path, executor=InlineExecutor(), make=worker)
    assert "of the last one the worker was lost thrice: mend the machines, or leave trials" in str(caught.value)
    stopped = Study.open("s", tmp_path)
    assert stopped.record.state == "stopped"
    assert (stopped.outcomes()["complete"], stopped.outcomes()["lost-worker"]) == (1, 5)
    study = run(long, tmp_path, executor=InlineExecutor(), make=worker)
    assert study.record.state == "complete"
    assert (study.outcomes()["complete"], study.outcomes()["lost-worker"]) == (3, 5)


def test_a_few_lost_workers_beside_many_trials_that_are_under_way_end_nothing(tmp_path: Path) -> None:
    class Losing:
        """Begins eight trials at once, and loses the workers of one after the other."""

        def run(self, work: Work, make: object) -> None:
            jobs = [work.next_job() for _ in range(8)]
            for job in jobs:
                assert job is not None
                work.report(Report(job.number, 0, 1, outcome=Outcome.LOST_WORKER, reason="gone"))

    with pytest.raises(SearchFailed, match="the last 5 trials of study 's' lost their workers"):  # three go on
        run(config(trials=8), tmp_path, executor=Losing())
    study = Study.open("s", tmp_path)
    assert (study.outcomes()["lost-worker"], study.outcomes()["running"]) == (5, 3)


def test_a_lost_worker_says_nothing_of_mistakes_nor_a_mistake_of_lost_workers(tmp_path: Path) -> None:
    same = ("ValueError", "x", 7)
    sentence, count = ended(tmp_path / "broken", broken_by(same, LOST, same, LOST, same))
    assert count == BROKEN_IN_A_ROW
    assert "broke in one way" in sentence
    sentence, count = ended(tmp_path / "lost", broken_by(LOST, same, LOST, same, LOST))
    assert count == 2
    assert "lost their workers" in sentence
