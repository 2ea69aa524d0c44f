"""Studies that an earlier release began go on, although its ledger and its search file lacked what came later."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report
from nas.runs import LEDGER
from results.outcome import LedgerError, Outcome


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 4, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    return SearchConfig.from_data({**least, "sampler": "random", "recipe": {"epochs": 1}, **changes})


class Fake:
    """A worker that trains nothing: its error depends on the architecture alone."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def step(self) -> Report:
        """One epoch is all."""
        values = {"error": len(str(self.job.architecture)) % 97 / 100}
        return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE)


def _age(ledger: Path, forget: tuple[str, ...]) -> None:
    """Make a ledger what an earlier release would have left: schema version 1, search files without some keys."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DROP INDEX trials_by_digest")
        connection.execute("DROP TABLE leases")
        for table, column in [("studies", "fidelities"), ("trials", "reused"), ("trials", "order")]:
            connection.execute(f'ALTER TABLE {table} DROP COLUMN "{column}"')
        connection.execute('ALTER TABLE measurements DROP COLUMN "order"')
        connection.execute("UPDATE inception_nas_ledger SET version = 1")
        search = json.loads(connection.execute("SELECT search FROM studies").fetchone()[0])
        for key in forget:
            inner, keys = search, key.split(".")
            for outer in keys[:-1]:
                inner = inner[outer]
            del inner[keys[-1]]
        connection.execute("UPDATE studies SET search = ?, search_digest = 'of then'", [json.dumps(search)])


@pytest.mark.parametrize("forget", [(), ("measure", "target.channels", "recipe.shift")])
def test_a_study_of_an_earlier_release_goes_on(tmp_path: Path, forget: tuple[str, ...]) -> None:
    before = run(_config(), tmp_path, executor=InlineExecutor(), make=Fake)
    _age(tmp_path / LEDGER, forget)
    after = run(_config(trials=6), tmp_path, executor=InlineExecutor(), make=Fake)
    assert (after.record.state, after.outcomes()["complete"]) == ("complete", 6)
    kept = [(t.number, t.digest, t.values, t.finished_at) for t in after.trials[: len(before.trials)]]
    assert kept == [(t.number, t.digest, t.values, t.finished_at) for t in before.trials]
    assert after.record.search == before.record.search | {"trials": 6}


def test_what_was_chosen_otherwise_still_is_another_study(tmp_path: Path) -> None:
    run(_config(), tmp_path, executor=InlineExecutor(), make=Fake)
    _age(tmp_path / LEDGER, ("target.channels",))
    with pytest.raises(LedgerError, match=r"target.channels 3, and now target.channels is 1"):
        run(_config(target={"channels": 1}), tmp_path, executor=InlineExecutor(), make=Fake)


def test_a_key_that_this_release_does_not_know_is_named(tmp_path: Path) -> None:
    run(_config(), tmp_path, executor=InlineExecutor(), make=Fake)
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection, connection:
        search = json.loads(connection.execute("SELECT search FROM studies").fetchone()[0]) | {"gone": "by now"}
        connection.execute("UPDATE studies SET search = ?", [json.dumps(search)])
    with pytest.raises(LedgerError, match='gone "by now", and now gone is not set'):
        run(_config(trials=6), tmp_path, executor=InlineExecutor(), make=Fake)
