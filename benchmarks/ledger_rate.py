"""How fast the ledger is: commits, and reading a large study; beside Optuna's SQLite storage, in one run.

    python benchmarks/ledger_rate.py -o benchmarks/ledger_rate.json

Trials are random architectures of the space ``inception`` (81 genes) with their real costs, three epochs each. A study
of 10,000 such trials is laid into the ledger in bulk; then 500 more are written through the calls that a driver makes,
each of which is one durable commit, and the whole is read as a search reads it when it goes on. The same 500 trials
are written into a study of as many trials in Optuna's storage, and that is read. PostgreSQL is a server here that
the benchmark starts (with ``fsync``), or the one of ``--postgresql URL``.
"""

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import create_trial

from nas.config import SearchConfig
from nas.doctor import hardware
from nas.driver import make_sampler
from nas.knowledge import Knowledge
from nas.rungs import rungs_of
from nas.samplers.distributions import distribution_of
from results import ledger_tables
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, TrialRecord, measurement_columns, trial_columns
from search_spaces.cost import cost
from search_spaces.space import space

EPOCHS = 3
OBJECTIVES = {"error": "minimize", "macs": "minimize"}
SECONDS = "milliseconds_median", "milliseconds_p95"


def config() -> SearchConfig:
    return SearchConfig.from_data({"study": "large", "data": "digits", "trials": 20_000, "recipe": {"epochs": EPOCHS}})


def random_trials(count: int) -> Iterator[TrialRecord]:
    """Complete trials with all that a search records of them."""
    searched = space("inception", 299)
    for number in range(count):
        architecture = searched.sample(random_seed=number)
        counted = cost(architecture, 299, classes=10)
        costs = {key: value for key, value in counted.as_data().items() if value is not None}
        error = len(str(architecture)) % 97 / 100
        yield TrialRecord(
            study="large",
            number=number,
            digest=architecture.digest,
            origin="sampler",
            architecture=architecture.as_data(),
            genes=searched.encode(architecture),
            costs=costs,
            violations={"limit:macs": costs["macs"] / 6e9 - 1, "principle:balance": -0.5},
            outcome=Outcome.COMPLETE,
            values={"error": error, "macs": float(costs["macs"])},
            measurements=tuple(
                Measurement(0, epoch, {"error": error, "loss": 1.5}, 1.0 * epoch, order=4 * number + epoch + 1)
                for epoch in range(1, EPOCHS + 1)
            ),
            seconds=3.0,
            artifact=f"large/trials/{number}",
            order=4 * number + 1,
        )


# ------------------------------------------------------------------------------------------------------------ measuring


class Timed:
    """Milliseconds of calls by name."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        since = time.perf_counter()
        yield
        self.taken.setdefault(name, []).append(1000 * (time.perf_counter() - since))

    def summary(self) -> dict[str, dict[str, float]]:
        return {
            name: dict(zip(SECONDS, (median(taken), quantiles(taken, n=20)[-1]), strict=True))
            for name, taken in self.taken.items()
        }


def seconds_of(call: Callable[[], object], times: int) -> float:
    """The median of some runs of a call."""
    taken = []
    for _ in range(times):
        since = time.perf_counter()
        call()
        taken.append(time.perf_counter() - since)
    return median(taken)


# ----------------------------------------------------------------------------------------------------------- the ledger


def fill(ledger: Ledger, trials: list[TrialRecord]) -> None:
    """Lay trials into the ledger at once, as the driver's calls would have left them."""
    with ledger._writing("large") as connection:
        key = connection.execute(ledger_tables.studies.select()).one().id
        rows = []
        for trial in trials:
            row = trial_columns(trial) | {"study_id": key, "values": json.dumps(trial.values)}
            rows.append(row | {"finished_at": trial.started_at, "seconds": 3.0, "artifact": trial.artifact})
        connection.execute(ledger_tables.trials.insert(), rows)
        place = [(trial.number, measurement) for trial in trials for measurement in trial.measurements]
        measured = [measurement_columns(m, "x") | {"study_id": key, "number": number} for number, m in place]
        connection.execute(ledger_tables.measurements.insert(), measured)


def commits(ledger: Ledger, trials: list[TrialRecord]) -> dict[str, Any]:
    timed = Timed()
    for trial in trials:
        start = replace(trial, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None, artifact=None)
        with timed.call("start_trial"):
            ledger.start_trial(start)
        for measurement in trial.measurements:
            with timed.call("record_measurement"):
                ledger.record_measurement("large", trial.number, measurement)
        with timed.call("finish_trial"):
            ledger.finish_trial("large", trial.number, trial.outcome, values=trial.values, artifact=trial.artifact)
    return timed.summary()


def ledger_figures(place: str | Path, trials: list[TrialRecord], more: list[TrialRecord], times: int) -> dict[str, Any]:
    with Ledger.open(place, create=True) as ledger:
        ledger.create_study("large", config().as_data(), OBJECTIVES, {}, "data", fidelities=["f0"])
        fill(ledger, trials)
        with ledger.hold("large"):
            written = commits(ledger, more)

    def read() -> list[TrialRecord]:
        with Ledger.open(place, read_only=True) as reader:
            reader.study("large")
            return reader.trials("large")

    assert len(read()) == len(trials) + len(more)
    with Ledger.open(place, read_only=True) as reader:
        digests = iter(trial.digest for trial in trials)
        known = seconds_of(lambda: reader.known(next(digests), "f0"), 200)
        counted = seconds_of(lambda: reader.count_outcomes("large"), times)
    return {
        "commits": written,
        "seconds_to_read": seconds_of(read, times),
        "milliseconds_to_count_outcomes": 1000 * counted,
        "milliseconds_to_look_up_an_architecture": 1000 * known,
    }


def replay_seconds(place: Path, times: int) -> float:
    """What a search does with what it has read before it goes on: who stands where, what the sampler learned."""
    with Ledger.open(place, read_only=True) as reader:
        trials = reader.trials("large")
    searched, asked = space("inception", 299), config()
    rungs = rungs_of(asked)
    return seconds_of(
        lambda: Knowledge(asked, rungs, lambda chosen: make_sampler(asked, searched, chosen), trials), times
    )


# --------------------------------------------------------------------------------------------------------------- Optuna


def optuna_figures(path: Path, more: list[TrialRecord], wanted: int, times: int) -> dict[str, Any]:
    """The same in Optuna's storage; its study is made as large by copying the rows of what was written."""
    url = f"sqlite:///{path}"
    storage = RDBStorage(url)
    study = optuna.create_study(storage=storage, study_name="large", directions=["minimize", "minimize"])
    distributions = {gene.name: distribution_of(gene) for gene in space("inception", 299).genes}
    timed = Timed()
    for trial in more:
        assert trial.genes is not None
        made = create_trial(params=trial.genes, distributions=distributions, values=list(trial.values.values()))
        with timed.call("add_trial"):
            study.add_trial(made)
    storage.remove_session()
    storage.engine.dispose()
    _multiply(path, wanted)

    def read() -> list[optuna.trial.FrozenTrial]:
        opened = RDBStorage(url)
        trials = optuna.load_study(study_name="large", storage=opened).get_trials(deepcopy=False)
        opened.remove_session()
        opened.engine.dispose()
        return trials

    count = len(read())
    assert count >= wanted
    return {"trials": count, "commits": timed.summary(), "seconds_to_read": seconds_of(read, times)}


def _multiply(path: Path, wanted: int) -> None:
    """Copy the trials of the one study in Optuna's file until there are as many as wanted."""
    with closing(sqlite3.connect(path)) as connection, connection:
        (count,) = connection.execute("SELECT count(*) FROM trials").fetchone()
        columns = {}
        for table, key in (("trial_params", "param_id"), ("trial_values", "trial_value_id")):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            columns[table] = [name for name in names if name not in (key, "trial_id")]
        first = count
        while count < wanted:
            connection.execute(
                "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) "
                "SELECT trial_id + ?1, number + ?1, study_id, state, datetime_start, datetime_complete FROM trials "
                "WHERE number < ?2",
                (count, first),
            )
            for table, names in columns.items():
                listed = ", ".join(names)
                connection.execute(
                    f"INSERT INTO {table} (trial_id, {listed}) SELECT trial_id + ?1, {listed} FROM {table} "
                    "WHERE trial_id IN (SELECT trial_id FROM trials WHERE number < ?2)",
                    (count, first),
                )
            count += first


# ------------------------------------------------------------------------------------------------------------- the rest


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The server of a URL, or one that is started for this."""
    if url is not None:
        yield url
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from servers import new_server

    with new_server(durable=True) as started:
        yield started.url()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--trials", type=int, default=10_000, help="trials of the study that is read")
    parser.add_argument("--commits", type=int, default=500, help="trials that are written one by one")
    parser.add_argument("--times", type=int, default=5, help="times that the study is read, of which medians are taken")
    parser.add_argument("--postgresql", metavar="URL", help="an empty schema of a server; one is started if not given")
    options = parser.parse_args()
    everything = list(random_trials(options.trials))
    trials, more = everything[: -options.commits], everything[-options.commits :]
    found: dict[str, Any] = {
        "hardware": hardware(),
        "load_before": os.getloadavg()[0],
        "trials": options.trials,
        "genes": len(everything[0].genes or {}),
        "epochs": EPOCHS,
        "written_one_by_one": options.commits,
    }
    with tempfile.TemporaryDirectory() as name, server(options.postgresql) as url:
        path = Path(name) / "ledger.sqlite"
        found["sqlite"] = ledger_figures(path, trials, more, options.times)
        found["sqlite"]["file_bytes"] = path.stat().st_size
        found["seconds_to_rebuild_what_the_search_knew"] = replay_seconds(path, options.times)
        found["postgresql"] = ledger_figures(url, trials, more, options.times)
        found["optuna_sqlite"] = optuna_figures(Path(name) / "optuna.db", more, options.trials, options.times)
    found["load_after"] = os.getloadavg()[0]
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
