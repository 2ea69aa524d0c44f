"""The ledger: every study, trial and measurement, in one SQLite file that survives a crash at any moment.

One driver writes, any number of programs read while it does. Each public call that writes is one transaction and is on
the disk when the call returns (WAL journal, `synchronous=FULL`). Nothing else in the project imports SQLAlchemy.
"""

from __future__ import annotations

import difflib
import gc
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from results.outcome import (
    Direction,
    LedgerError,
    Measurement,
    Outcome,
    StudyMismatch,
    StudyRecord,
    StudyState,
    TrialRecord,
    check_end,
    check_objectives,
    check_same_study,
    check_start,
    finite,
    from_json,
    json_digest,
    now,
    storable,
    study_from_columns,
    to_json,
    trial_columns,
    trials_from_columns,
)
from results.sqlite_file import cause, check_place, connect

__all__ = ["Ledger", "LedgerError", "Measurement", "Outcome", "StudyMismatch", "StudyRecord", "TrialRecord"]

SCHEMA_VERSION = 1


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


# Mappings are kept as JSON text of our own making: its canonical form and the refusal of NaN are ours to fix.
_tables = sa.MetaData()
_version = sa.Table("inception_nas_ledger", _tables, _key("version"))
_studies = sa.Table(
    "studies",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    *_texts("created_at", "search", "search_digest", "objectives", "state", "versions"),
    *_texts("data_digest", nullable=True),
)
_trials = sa.Table(
    "trials",
    _tables,
    sa.Column("study_id", sa.ForeignKey("studies.id"), primary_key=True),
    _key("number"),
    # The outcome stands before the long columns: counting does not read them.
    *_texts("outcome", "digest", "origin", "architecture", "costs", "reason", "violations", "values", "started_at"),
    *_texts("seed", "genes", "finished_at", "artifact", "traceback", nullable=True),
    sa.Column("seconds", sa.Float),
    sa.Index("trials_by_outcome", "study_id", "outcome"),
)
_measurements = sa.Table(
    "measurements",
    _tables,
    *(_key(name) for name in ("study_id", "number", "rung", "epoch")),
    *_texts("values"),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.ForeignKeyConstraint(["study_id", "number"], ["trials.study_id", "trials.number"]),
)


class Ledger:
    """A ledger file. Open it with `Ledger.open`; close it with `close()` or use it as a context manager."""

    def __init__(self, path: Path, engine: sa.Engine, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._engine = engine
        # Writers take the write lock at once: a deferred transaction that turns into a writer halfway can be refused
        # by SQLite without waiting.
        self._writing = engine.execution_options(begin="BEGIN IMMEDIATE")
        self._closed = False

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, read_only: bool = False) -> Self:
        """Open the ledger at `path`; with `create`, make it if the file is not there (its folder must be).

        A ledger opened with `read_only` can be read while a driver writes, and also in a folder without write
        permission. Raises LedgerError for a missing file or folder, a file that is no ledger or of a newer version, and
        missing permission.
        """
        path = Path(path)
        if create and read_only:
            raise LedgerError(
                f"the ledger {path} cannot be created for reading only: pass create or read_only, not both"
            )
        check_place(path, create)
        mode = "ro" if read_only else "rwc" if create else "rw"
        ledger = cls(path, _engine(path, mode), read_only=read_only)
        try:
            ledger._prepare(create)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _prepare(self, create: bool) -> None:
        """Check what the file holds before anything in it is touched; then make the tables if they are to be made."""
        with self._transaction() as connection:
            version = _schema_version(connection, self.path)
        if version is None and not create:
            raise LedgerError(f"{self.path} is empty, not a ledger: run `nas search FILE.yaml` to start one")
        if self.read_only:
            return
        with _sentences(self.path), self._engine.execution_options(begin=None).connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with self._transaction(write=True) as connection:
            # Asked again under the lock: another driver may have been faster.
            if version is None and _schema_version(connection, self.path) is None:
                _tables.create_all(connection)
                connection.execute(_version.insert().values(version=SCHEMA_VERSION))
            else:  # shows a file without write permission now, not after the first training; changes nothing
                connection.execute(_version.update().values(version=_version.c.version))

    def close(self) -> None:
        """Close the file; the ledger cannot be used any more. Closing twice is fine."""
        self._closed = True
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Studies

    def create_study(
        self,
        name: str,
        search: Mapping[str, Any],
        objectives: Mapping[str, Direction],
        versions: Mapping[str, str],
        data_digest: str | None = None,
        *,
        may_differ: Collection[str] = ("trials",),
    ) -> StudyRecord:
        """Record a new study in the state "running", or return the one that was started with the same search file.

        `may_differ` lists the dotted keys of `search` (each with everything below it) that may change from run to run;
        where only such keys differ, the stored search file is replaced, so that a study can be extended. The state
        of an existing study stays as it is. Raises StudyMismatch where anything else differs, the objectives or the
        data included ("data_digest" in `may_differ` allows other data).
        """
        check_objectives(name, objectives)
        text = to_json(search, f"the search file of study {name!r}")
        fresh = {
            "search": text,
            "search_digest": json_digest(text),
            "objectives": to_json(objectives, "the objectives"),
            "data_digest": data_digest,
        }
        with self._transaction(write=True) as connection:
            row = _find_study(connection, name)
            if row is None:
                fresh |= {"created_at": now(), "state": "running", "versions": to_json(versions, "the versions")}
                connection.execute(_studies.insert().values(name=name, **fresh))
            else:
                known = study_from_columns(row._mapping)
                check_same_study(known, json.loads(text), objectives, data_digest, may_differ)
                fresh["data_digest"] = data_digest or known.data_digest
                if fresh["search_digest"] != known.search_digest or fresh["data_digest"] != known.data_digest:
                    connection.execute(_studies.update().where(_studies.c.id == row.id).values(fresh))
            return study_from_columns(_study_row(connection, name)._mapping)

    def study(self, name: str) -> StudyRecord:
        """The study of this name; LedgerError with the nearest names if there is none."""
        with self._transaction() as connection:
            return study_from_columns(_study_row(connection, name)._mapping)

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_studies).order_by(_studies.c.id)).mappings()
            return [study_from_columns(row) for row in rows]

    def set_state(self, name: str, state: StudyState) -> None:
        """Record that the study runs, was stopped, or is complete."""
        if state not in get_args(StudyState):
            raise LedgerError(f"state {state!r} is not one of {', '.join(get_args(StudyState))}")
        with self._transaction(write=True) as connection:
            study = _study_row(connection, name)
            connection.execute(_studies.update().where(_studies.c.id == study.id).values(state=state))

    # Trials: what the driver writes

    def start_trial(self, trial: TrialRecord) -> None:
        """Record a trial that starts (RUNNING), or one that is SCREENED or DUPLICATE and therefore never will.

        Raises LedgerError if the number is taken, or the record holds results already.
        """
        check_start(trial)
        row = trial_columns(trial)
        with self._transaction(write=True) as connection:
            study = _study_row(connection, trial.study)
            if _find_trial(connection, study.id, trial.number) is not None:
                raise LedgerError(
                    f"trial {trial.number} of study {trial.study!r} is already in the ledger: "
                    "start a new one under `next_number`"
                )
            connection.execute(_trials.insert().values(study_id=study.id, **row))

    def record_measurement(self, study: str, number: int, measurement: Measurement) -> None:
        """Record what was measured after an epoch of a running trial.

        A second measurement of the same rung and epoch replaces the first: a trial that goes on from a checkpoint
        repeats the epoch, and the repeated one is what its weights come from. Repeating an identical call changes
        nothing, even after the trial has finished; anything else about a finished trial raises LedgerError.
        """
        what = f"trial {number} of study {study!r}"
        new = {
            "values": to_json(finite(measurement.values, f"a measurement of {what}"), what),
            "seconds": finite({"seconds": measurement.seconds}, f"a measurement of {what}")["seconds"],
        }
        with self._transaction(write=True) as connection:
            trial = _trial_row(connection, study, number)
            place = {"study_id": trial.study_id, "number": number, "rung": measurement.rung, "epoch": measurement.epoch}
            here = sa.and_(*(_measurements.c[key] == value for key, value in place.items()))
            known = connection.execute(sa.select(_measurements).where(here)).mappings().first()
            if known is not None and all(known[key] == value for key, value in new.items()):
                return
            if Outcome(trial.outcome).final:
                raise LedgerError(f"{what} is already {trial.outcome}: measurements are recorded before it is finished")
            if known is None:
                connection.execute(_measurements.insert().values(place | new))
            else:
                connection.execute(_measurements.update().where(here).values(new))

    def finish_trial(
        self,
        study: str,
        number: int,
        outcome: Outcome,
        *,
        reason: str = "",
        values: Mapping[str, float] | None = None,
        seconds: float | None = None,
        artifact: str | None = None,
        traceback: str | None = None,
        violations: Mapping[str, float] | None = None,
    ) -> None:
        """Record how a running trial ended. `values` holds every objective if it is COMPLETE, and nothing otherwise.

        `violations` replaces those that the trial started with, where some could only be measured after that.

        Repeating an identical call changes nothing. Raises LedgerError if the trial is already finished otherwise.
        """
        what = f"trial {number} of study {study!r}"
        end = {
            "outcome": outcome.value,
            "reason": storable(reason),
            "values": to_json(finite(values or {}, f"the values of {what}"), what),
            "seconds": None if seconds is None else finite({"seconds": seconds}, what)["seconds"],
            "artifact": artifact,
            "traceback": None if traceback is None else storable(traceback),
        }
        if violations is not None:
            end["violations"] = to_json(finite(violations, f"the violations of {what}"), what)
        with self._transaction(write=True) as connection:
            check_end(what, outcome, values or {}, json.loads(_study_row(connection, study).objectives))
            trial = _trial_row(connection, study, number)
            if Outcome(trial.outcome).final:
                differing = [key for key, value in end.items() if trial._mapping[key] != value]
                if not differing:
                    return
                raise LedgerError(
                    f"{what} is already {trial.outcome} and cannot be finished again with another {differing[0]}: "
                    "start a new trial instead"
                )
            here = sa.and_(_trials.c.study_id == trial.study_id, _trials.c.number == number)
            connection.execute(_trials.update().where(here).values(finished_at=now(), **end))

    # Trials: what everybody reads

    def trials(self, study: str, outcome: Outcome | None = None) -> list[TrialRecord]:
        """The trials of a study (of one outcome, if given), by number; one consistent moment of the ledger."""
        with self._transaction() as connection:
            where = _trials.c.study_id == _study_row(connection, study).id
            if outcome is not None:
                where &= _trials.c.outcome == outcome.value
            with _no_collection():
                return _read_trials(connection, study, where)

    def trial(self, study: str, number: int) -> TrialRecord:
        """One trial; LedgerError if the study has no trial of this number."""
        with self._transaction() as connection:
            row = _trial_row(connection, study, number)
            here = (_trials.c.study_id == row.study_id) & (_trials.c.number == number)
            return _read_trials(connection, study, here)[0]

    def count_outcomes(self, study: str) -> dict[str, int]:
        """Outcome -> number of trials, for all outcomes, zeros included."""
        with self._transaction() as connection:
            where = _trials.c.study_id == _study_row(connection, study).id
            query = sa.select(_trials.c.outcome, sa.func.count()).where(where).group_by(_trials.c.outcome)
            counted = {row[0]: row[1] for row in connection.execute(query)}
        return {outcome.value: counted.get(outcome.value, 0) for outcome in Outcome}

    def next_number(self, study: str) -> int:
        """The lowest number above all trials of the study; 0 for a study without trials."""
        with self._transaction() as connection:
            where = _trials.c.study_id == _study_row(connection, study).id
            highest = connection.execute(sa.select(sa.func.max(_trials.c.number)).where(where)).scalar()
        return 0 if highest is None else int(highest) + 1

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """One transaction: all of it is on the disk afterwards, or, after an error, none of it."""
        if self._closed:
            raise LedgerError(f"the ledger {self.path} was closed: open it again")
        if write and self.read_only:
            raise LedgerError(f"the ledger {self.path} was opened for reading only: open it without read_only to write")
        with _sentences(self.path), (self._writing if write else self._engine).begin() as connection:
            yield connection


# The file


def _engine(path: Path, mode: str) -> sa.Engine:
    """An engine for SQLite's open `mode` (ro, rw or rwc) whose transactions start as their `begin` option says."""
    # Readers connect anew each time: how the file can be opened depends on whether a driver is at work just then.
    pool = NullPool if mode == "ro" else QueuePool
    engine = sa.create_engine("sqlite://", creator=lambda: connect(path, mode), poolclass=pool)

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        statement = connection.get_execution_options().get("begin", "BEGIN")
        if statement is not None:
            connection.exec_driver_sql(statement)

    return engine


def _schema_version(connection: sa.Connection, path: Path) -> int | None:
    """The version of the ledger in the file, None for an empty file; LedgerError if this program cannot use it."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return None
    if _version.name not in tables:
        raise LedgerError(f"{path} is a database but not a ledger: choose another file")
    version = connection.execute(sa.select(_version.c.version)).scalar_one()
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"the ledger {path} is of version {version}, and this program reads versions up to {SCHEMA_VERSION}: "
            "update inception-nas"
        )
    return int(version)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file into a sentence; faults of this module pass unchanged."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        name = getattr(error.orig, "sqlite_errorname", "")
        if sentence := cause(name):
            raise LedgerError(f"the ledger {path} {sentence} ({name})") from error
        raise


# Rows and records


def _find_study(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    return connection.execute(sa.select(_studies).where(_studies.c.name == storable(name))).first()


def _study_row(connection: sa.Connection, name: str) -> sa.Row[Any]:
    row = _find_study(connection, name)
    if row is not None:
        return row
    names = list(connection.execute(sa.select(_studies.c.name).order_by(_studies.c.id.desc())).scalars())
    near = difflib.get_close_matches(name, names, n=3) or names[:3]
    known = f"did you mean {' or '.join(map(repr, near))}?" if near else "the ledger has no studies yet"
    raise LedgerError(f"there is no study {name!r}: {known}")


def _find_trial(connection: sa.Connection, study_id: int, number: int) -> sa.Row[Any] | None:
    here = sa.and_(_trials.c.study_id == study_id, _trials.c.number == number)
    return connection.execute(sa.select(_trials).where(here)).first()


def _trial_row(connection: sa.Connection, study: str, number: int) -> sa.Row[Any]:
    row = _find_trial(connection, _study_row(connection, study).id, number)
    if row is None:
        raise LedgerError(f"study {study!r} has no trial {number}: `nas status` lists what it has")
    return row


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector while many small, acyclic objects are made: it would take most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read_trials(connection: sa.Connection, study: str, where: sa.ColumnElement[bool]) -> list[TrialRecord]:
    """The trials that `where` (a condition on the trials' table) selects, by number, with their measurements."""
    query = sa.select(_measurements).join(_trials).where(where)
    order = (_measurements.c.number, _measurements.c.rung, _measurements.c.epoch)
    rows = connection.execute(query.order_by(*order)).all()
    measured: dict[int, list[Measurement]] = {}
    for (_, number, rung, epoch, _, seconds), values in zip(rows, from_json([row[4] for row in rows]), strict=True):
        measured.setdefault(number, []).append(Measurement(rung, epoch, values, seconds))
    rows = connection.execute(sa.select(_trials).where(where).order_by(_trials.c.number)).all()
    columns = list(zip(*rows, strict=True)) or [()] * len(_trials.c)
    return trials_from_columns(study, dict(zip(_trials.c.keys(), columns, strict=True)), measured)
