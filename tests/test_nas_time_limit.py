"""A job's time, kept by a clock that nobody sets, in processes that hang."""

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from nas.candidate import Candidate
from nas.config import ExecutorConfig, SearchConfig
from nas.job import Job, Report
from nas.rungs import Rung
from nas.time_limit import MARKER, TRACE, TimeLimit
from results.outcome import Outcome
from search_spaces.errors import RequestError
from search_spaces.seeds import seed
from trainers.recipe import Recipe

HANGS = """
import sys, time
from pathlib import Path
from nas.time_limit import TimeLimit

def the_place_where_it_hangs():
    time.sleep(600)

TimeLimit(Path(sys.argv[1]), "token", 0.5).start()
the_place_where_it_hangs()
"""


def test_a_process_that_hangs_is_ended_and_known_for_it(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HANGS, str(tmp_path)], timeout=60, check=False)
    assert done.returncode == 1
    again = TimeLimit(tmp_path, "token", 0.5)
    assert again.passed
    assert "the_place_where_it_hangs" in (again.trace or "")
    assert not TimeLimit(tmp_path, "another job", 0.5).passed


def test_a_lost_process_does_not_give_the_job_its_time_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = TimeLimit(tmp_path, "token", 100.0)
    first.start()
    until = json.loads((tmp_path / MARKER).read_text())["until"]
    second = TimeLimit(tmp_path, "token", 100.0)
    second.start()
    assert json.loads((tmp_path / MARKER).read_text())["until"] == until
    monkeypatch.setattr("nas.time_limit._boot", lambda: "another machine")
    assert TimeLimit(tmp_path, "token", 100.0)._left() == 100.0
    second.end()
    first.end()
    assert not (tmp_path / MARKER).exists()
    assert not (tmp_path / TRACE).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": "token"}'])
def test_a_damaged_marker_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / MARKER).write_text(content)
    assert not TimeLimit(tmp_path, "token", 1.0).passed


def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(RequestError, match="inline trains in the search's own"):
        SearchConfig.from_data(
            {"study": "s", "data": "digits", "trials": 1, "executor": {"name": "inline", "trial_limit_s": 9}}
        )


class Work:
    """Work of three trials."""

    stopping = False

    def __init__(self, folder: Path) -> None:
        self.folder, self.left, self.said = folder, [0, 1, 2], list[Report]()

    @property
    def finished(self) -> bool:
        return not self.left

    def next_job(self) -> Job | None:
        if not self.left:
            return None
        number = self.left.pop(0)
        recipe = asdict(Recipe(epochs=1, batch_size=256))
        rungs = [asdict(Rung(8, 0.0625, 1.0, 1, 1, 0))]
        architecture, folder = seed("inception-v3").as_data(), str(self.folder / str(number))
        return Job(number, architecture, rungs, "digits", recipe, 0, folder)

    def report(self, report: Report) -> bool:
        self.said.append(report)
        return not report.final


@pytest.mark.timeout(200)
def test_a_hung_trial_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    from nas.executors.ray_tune import RayTuneExecutor

    class Hangs(Candidate):  # here, so that Ray carries it to its processes by value
        """Its second trial hangs."""

        def _step(self) -> Report:
            if self.job.number == 1:
                time.sleep(600)
            return Report(self.job.number, 1, 1, {"error": 0.5}, outcome=Outcome.COMPLETE)

    work = Work(tmp_path)
    RayTuneExecutor(ExecutorConfig(workers=2, trial_limit_s=10)).run(work, Hangs)
    found = {report.number: report for report in work.said if report.final}
    assert {number: report.outcome for number, report in found.items()} == {
        0: Outcome.COMPLETE,
        1: Outcome.TIMED_OUT,
        2: Outcome.COMPLETE,
    }
    assert "had not ended after 10 s (executor.trial_limit_s)" in found[1].reason
    assert "_step" in (found[1].traceback or "")
