"""Trainings of other lengths, and of other studies, that are the same as far as they go."""

import json
from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import WEIGHTS, Job, Report
from nas.study import Study
from results.outcome import Outcome, TrialRecord


class Fake:
    """Trains nothing, through all rungs; its weights say how many epochs they had. ``log``: each trial's epochs."""

    log: list[tuple[int, int]]

    def __init__(self, job: Job) -> None:
        self.job, self.rung, self.epoch = job, job.rung, 0

    def step(self) -> Report:
        end = self.job.rungs[self.rung]["epochs"]
        for epoch in range(self.epoch + 1, end + 1):
            type(self).log.append((self.job.number, epoch))
        self.epoch, rung, number = end, self.rung, self.job.number
        history = tuple(({"error": self._error(epoch)}, float(epoch)) for epoch in range(1, end + 1))
        top = rung == len(self.job.rungs) - 1
        if top:
            Path(self.job.folder).mkdir(parents=True, exist_ok=True)
            (Path(self.job.folder) / WEIGHTS).write_text(str(end))
        self.rung += 1
        outcome = Outcome.COMPLETE if top else Outcome.STOPPED
        return Report(number, end, end, *history[-1], history, outcome, rung=rung)

    def _error(self, epoch: int) -> float:
        return len(json.dumps(self.job.architecture)) % 97 / 100 + 0.5 / (epoch + 1)


@pytest.fixture
def worker() -> type[Fake]:
    Fake.log = []
    return Fake


def _trained(study: Study) -> list[TrialRecord]:
    return [trial for trial in study.trials if trial.outcome.trained]


def _run(tmp_path: Path, worker: type[Fake], name: str, schedule: str, epochs: int, lower: int = 0) -> Study:
    """A search of ``epochs``, with a rung of ``lower`` epochs below, where there are any."""
    data: dict[str, Any] = {"study": name, "data": "digits", "seeds": [], "trials": 4, "proxy": {"resolution": 8}}
    data |= {"sampler": "random", "control": 0, "recipe": {"epochs": epochs, "schedule": schedule}}
    data |= {"rungs": [{"epochs": lower}]} if lower else {}
    config = SearchConfig.from_data({**data, "executor": {"name": "inline"}})
    return run(config, tmp_path, executor=InlineExecutor(), make=worker)


@pytest.mark.parametrize("schedule", ["exponential", "constant", "cosine"])
def test_a_rung_is_known_from_a_training_that_was_to_end_there(
    schedule: str, tmp_path: Path, worker: type[Fake]
) -> None:
    short = _run(tmp_path, worker, "short", schedule, 3)
    worker.log.clear()
    long = _run(tmp_path, worker, "long", schedule, 9, lower=3)
    assert [trial.digest for trial in _trained(long)] == [trial.digest for trial in _trained(short)]
    known = {f"short:{trial.number}" for trial in _trained(short)}
    stopped = [trial for trial in long.trials if trial.outcome is Outcome.STOPPED]
    assert len(stopped) >= 2
    assert all(trial.reused in ({None} if schedule == "cosine" else known) for trial in stopped)
    epochs = [sum(number == trial.number for number, _ in worker.log) for trial in stopped]
    assert set(epochs) == ({3} if schedule == "cosine" else {0})


def test_weights_of_a_longer_training_are_not_those_of_its_rung(tmp_path: Path, worker: type[Fake]) -> None:
    assert _run(tmp_path, worker, "long", "constant", 9, lower=3).outcomes()["complete"] >= 1
    worker.log.clear()
    short = _run(tmp_path, worker, "short", "constant", 3)
    assert [(tmp_path / str(trial.artifact) / WEIGHTS).read_text() for trial in _trained(short)] == ["3"] * 4
    worker.log.clear()
    again = _run(tmp_path, worker, "again", "constant", 3)
    assert worker.log == []
    assert [trial.reused for trial in _trained(again)] == [f"short:{trial.number}" for trial in _trained(short)]
