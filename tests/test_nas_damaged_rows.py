"""A search goes on with a study some of whose rows in the ledger are damaged, and leaves those rows as they are."""

import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report
from nas.quota import to_delete
from nas.runs import LEDGER
from nas.study import Study
from results.outcome import Outcome, TrialRecord
from search_spaces.errors import RequestError


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 8, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    usual = {"sampler": {"name": "nsga2", "population": 4}, "recipe": {"epochs": 2}, "rungs": [{"epochs": 1}]}
    return SearchConfig.from_data({**least, **usual, **changes})


class Fake:
    """A worker that trains nothing, through both rungs."""

    def __init__(self, job: Job) -> None:
        self.job, self.epoch = job, job.rung

    def step(self) -> Report:
        """An epoch, which is a rung's."""
        self.epoch += 1
        values = {"error": len(str(self.job.architecture)) % 97 / 100 / self.epoch}
        history = tuple((values, float(epoch)) for epoch in range(1, self.epoch + 1))
        outcome = Outcome.COMPLETE if self.epoch == 2 else Outcome.STOPPED
        return Report(self.job.number, self.epoch, self.epoch, values, 1.0, history, outcome, rung=self.epoch - 1)


def _sql(folder: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(folder / LEDGER)) as connection, connection:
        return connection.execute(statement).fetchall()


def _searched(folder: Path, **changes: Any) -> Study:
    return run(_config(**changes), folder, executor=InlineExecutor(), make=Fake)


@pytest.mark.parametrize("damage", ["violations = '{bro'", "costs = '[1]'", "\"values\" = 'null'", "outcome = 'odd'"])
@pytest.mark.parametrize("whose", ["stopped", "running", "complete"])
def test_a_search_goes_on_without_a_damaged_trial(
    tmp_path: Path, damage: str, whose: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = _searched(tmp_path)
    sampled = [trial for trial in before.trials if trial.seed is None]
    kind = Outcome.STOPPED if whose == "running" else Outcome(whose)
    number = next(trial.number for trial in sampled if trial.outcome is kind)
    if whose == "running":  # as a driver leaves it that was killed
        _sql(tmp_path, f"UPDATE trials SET outcome = 'running', finished_at = NULL WHERE number = {number}")
    _sql(tmp_path, f"UPDATE trials SET {damage} WHERE number = {number}")
    row = _sql(tmp_path, f"SELECT * FROM trials WHERE number = {number}")
    with caplog.at_level(logging.WARNING, "nas.driver"):
        after = _searched(tmp_path, trials=12)
    assert f"goes on without trials whose rows in the ledger are damaged: {number}" in caplog.text
    assert after.record.state == "complete"
    assert _sql(tmp_path, f"SELECT * FROM trials WHERE number = {number}") == row
    assert after.trial(number).outcome is Outcome.BROKEN
    assert sum(trial.outcome.trained for trial in after.trials) == 12  # the damaged one uses up no budget
    assert number not in {trial.number for trial in after.front().members}
    assert after.front().members


def test_a_damaged_seed_is_tried_again_under_another_number(tmp_path: Path) -> None:
    _searched(tmp_path)
    _sql(tmp_path, "UPDATE trials SET costs = 'null' WHERE number = 0")
    after = _searched(tmp_path)
    assert [(trial.number == 0, trial.outcome) for trial in after.seeds()] == [
        (True, Outcome.BROKEN),
        (False, Outcome.COMPLETE),
    ]


def test_a_search_goes_on_where_measurements_are_damaged(tmp_path: Path) -> None:
    before = _searched(tmp_path)
    _sql(tmp_path, "UPDATE measurements SET \"values\" = '{bro' WHERE number % 2 = 0")
    after = _searched(tmp_path, trials=12)
    assert after.record.state == "complete"
    assert sum(trial.outcome.trained for trial in after.trials) == 12
    for trial in before.trials:
        known = after.trial(trial.number)
        if trial.outcome is Outcome.COMPLETE:
            assert (known.outcome, known.values) == (trial.outcome, trial.values)


@pytest.mark.parametrize("left", ["stopped", "running"])
def test_a_search_goes_on_where_what_was_measured_before_training_is_damaged(tmp_path: Path, left: str) -> None:
    """An objective of those trials is unknown: they are not compared at a rung any more."""

    class Measured(Fake):
        def step(self) -> Report:
            measured = {"latency_ms": 8.0, "latency_low_ms": 7.0, "latency_high_ms": 9.0, "measured_memory_bytes": 1e8}
            return replace(super().step(), measured=measured, device="a chip")

    def searched(trials: int) -> Study:
        config = _config(objectives=["error", "latency_ms"], trials=trials)
        return run(config, tmp_path, executor=InlineExecutor(), make=Measured)

    before = searched(8)
    number = next(t.number for t in before.trials if t.outcome is Outcome.STOPPED)
    _sql(tmp_path, f"UPDATE measurements SET \"values\" = '{{bro' WHERE epoch = 0 AND number = {number}")
    if left == "running":
        _sql(tmp_path, f"UPDATE trials SET outcome = 'running', finished_at = NULL WHERE number = {number}")
    after = searched(12)
    assert after.record.state == "complete"
    assert after.trial(number).outcome is Outcome.STOPPED
    assert sum(trial.outcome.trained for trial in after.trials) == 12


def test_a_damaged_study_is_refused_in_a_sentence(tmp_path: Path) -> None:
    _searched(tmp_path)
    _sql(tmp_path, "UPDATE studies SET search = '{bro'")
    with pytest.raises(RequestError, match="study 's' cannot be read: its search in the ledger is damaged"):
        _searched(tmp_path, trials=12)


def test_files_of_a_damaged_trial_are_not_deleted_to_keep_the_quota() -> None:
    fields: dict[str, Any] = {"study": "s", "digest": "d", "origin": "sampler", "architecture": {}, "costs": {}}
    trials = [
        TrialRecord(number=number, outcome=Outcome.BROKEN, unreadable=unreadable, **fields)
        for number, unreadable in enumerate(((), ("values",)))
    ]
    assert to_delete(trials, frozenset(), ["error"], {0: 5, 1: 5}, 0) == [0]
