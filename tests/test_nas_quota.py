"""Whose files go first, and that the search deletes them and nothing else."""

import json
from pathlib import Path
from typing import Any

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report
from nas.quota import to_delete
from results.outcome import Measurement, Outcome, TrialRecord

OBJECTIVES = ("error", "macs")


def _trial(number: int, outcome: Outcome, error: float, macs: float = 1.0, rung: int = 2) -> TrialRecord:
    return TrialRecord(
        study="s",
        number=number,
        digest=str(number),
        origin="sampler",
        architecture={},
        costs={},
        outcome=outcome,
        values={"error": error, "macs": macs} if outcome is Outcome.COMPLETE else {},
        measurements=(Measurement(rung, 1, {"error": error}, 1.0),),
    )


TRIALS = [
    _trial(0, Outcome.COMPLETE, 0.1),  # the front
    _trial(1, Outcome.COMPLETE, 0.3),
    _trial(2, Outcome.COMPLETE, 0.2),
    _trial(3, Outcome.STOPPED, 0.5, rung=1),
    _trial(4, Outcome.STOPPED, 0.4, rung=0),
    _trial(5, Outcome.STOPPED, 0.6, rung=0),
    _trial(6, Outcome.RUNNING, 0.9, rung=0),
]
SIZES = dict.fromkeys(range(7), 10)


def test_the_worst_go_first_and_the_front_stays() -> None:
    def order(quota: int) -> list[int]:
        return to_delete(TRIALS, frozenset({0}), OBJECTIVES, SIZES, quota)

    assert order(50) == []
    assert order(49) == [5]
    assert order(0) == [5, 4, 3, 1, 2]  # nothing that runs, and nothing of the front


def test_only_what_has_files_counts() -> None:
    assert to_delete(TRIALS, frozenset({0}), OBJECTIVES, {1: 5, 2: 5}, 5) == [1]


class Heavy:
    """A worker whose trial leaves a hundred bytes."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def step(self) -> Report:
        folder = Path(self.job.folder)
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"x" * 100)
        error = len(json.dumps(self.job.architecture)) % 97 / 100
        return Report(self.job.number, 1, 1, {"error": error}, 1.0, (({"error": error}, 1.0),), Outcome.COMPLETE)


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 12, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    return SearchConfig.from_data({**least, "recipe": {"epochs": 1}, **changes})


def test_a_search_keeps_its_quota_and_its_front(tmp_path: Path) -> None:
    study = run(_config(quota_gb=3e-7), tmp_path, executor=InlineExecutor(), make=Heavy)
    left = {int(path.parent.name) for path in (tmp_path / "s" / "trials").glob("*/weights.safetensors")}
    members = {trial.number for trial in study.front().members}
    assert members <= left
    assert len(left - members) <= 3
    assert study.outcomes()["complete"] == 12


def test_by_default_all_of_it_stays(tmp_path: Path) -> None:
    run(_config(), tmp_path, executor=InlineExecutor(), make=Heavy)
    assert len(list((tmp_path / "s" / "trials").glob("*/weights.safetensors"))) == 12


def test_what_another_study_has_taken_over_stays(tmp_path: Path) -> None:
    run(_config(trials=6), tmp_path, executor=InlineExecutor(), make=Heavy)
    other = run(_config(study="t", trials=4), tmp_path, executor=InlineExecutor(), make=Heavy)
    lent = {int(trial.reused.removeprefix("s:")) for trial in other.trials if trial.reused}
    assert len(lent) == 4
    study = run(_config(trials=8, quota_gb=0.0), tmp_path, executor=InlineExecutor(), make=Heavy)
    left = {int(path.parent.name) for path in (tmp_path / "s" / "trials").glob("*/weights.safetensors")}
    members = {trial.number for trial in study.front().members}
    assert lent - members  # or there would be nothing to see
    assert left == lent | members
