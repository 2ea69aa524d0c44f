"""The ledger: every study, trial and measurement, in a file or on a server, so that it survives a crash at any moment.

One driver writes a study (`Ledger.hold`), any number of programs read meanwhile, and several drivers write studies of
their own. Each public call that writes is one transaction and is on the disk when the call returns. Only the
files `results/ledger*.py` import SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, get_args

import sqlalchemy as sa

from results import ledger_lease
from results.ledger_database import Database
from results.ledger_place import open_database
from results.ledger_reading import Reading
from results.ledger_records import measurements_of, outcome_of, study_from_columns
from results.ledger_rows import find_study, here, study_id, study_row, trial_row
from results.ledger_tables import SCHEMA_VERSION, TABLES, migrate, schema_version, version_table
from results.ledger_tables import measurements as _measurements
from results.ledger_tables import studies as _studies
from results.ledger_tables import trials as _trials
from results.outcome import (
    Direction,
    Known,
    LedgerError,
    Measurement,
    NoLedger,
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
    json_digest,
    measurement_columns,
    now,
    to_json,
    told,
    trial_columns,
)
from results.process import Process

__all__ = ["Known", "Ledger", "LedgerError", "Measurement", "Outcome", "StudyMismatch", "StudyRecord", "TrialRecord"]


class Ledger(Reading):
    """A ledger. Open it with `Ledger.open`; close it with `close()` or use it as a context manager.

    Here is what the driver of a study does; what everybody may ask is in `Reading`.
    """

    def __init__(self, database: Database, *, read_only: bool) -> None:
        super().__init__(database, read_only=read_only)
        self._held: dict[str, int] = {}  # study -> epoch

    @classmethod
    def open(cls, place: str | Path, *, create: bool = False, read_only: bool = False) -> Self:
        """Open the ledger at `place`; with `create`, make it if it is not there (folder or database must be).

        `place` is the path of a file, or a URL: postgresql://USER@HOST:PORT/DATABASE or sqlite:///FILE. A ledger opened
        with `read_only` can be read while a driver writes, and also without the right to write. One of an older version
        is read as it is, and brought to the present one when it is opened for writing. Raises LedgerError for a
        wrong place, one that holds something else or a newer version, and missing permission.
        """
        ledger = cls(open_database(place, create=create, read_only=read_only), read_only=read_only)
        try:
            ledger._prepare(create)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _prepare(self, create: bool) -> None:
        """Check what is there before anything in it is touched; then make the tables if they are to be made."""
        with self._reading() as connection:
            version = schema_version(connection, self.name)
        if version is None and not create:
            raise NoLedger(f"{self.name} is empty, not a ledger: run `nas search FILE.yaml` to start one")
        if self.read_only:
            self._version = version or SCHEMA_VERSION
            return
        self._database.prepare()
        with self._database.writing("") as connection:
            # Asked again under the lock: another driver may have been faster.
            version = schema_version(connection, self.name)
            if version is None:
                TABLES.create_all(connection)
                connection.execute(version_table.insert().values(version=SCHEMA_VERSION))
            else:  # even where there is nothing to do, it shows now that writing is not allowed
                migrate(connection, version)

    @contextmanager
    def hold(
        self, study: str, process: Process | None = None, *, stale_seconds: float = ledger_lease.STALE_SECONDS
    ) -> Iterator[None]:
        """Be the one driver of a study: nobody else can write to it within, nor can this ledger once another took over.

        A holder whose process has ended is succeeded at once. Of one on another machine that cannot be told: it is
        watched for `stale_seconds`, and succeeded if it gives no sign of life. Raises LedgerError with the holder's
        host and process where it is alive. `process`: this one.
        """
        self._check_writable()
        with ledger_lease.hold(self._database, study, process or Process.this(), stale_seconds) as epoch:
            self._held[study] = epoch
            try:
                yield
            finally:
                del self._held[study]

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
        fidelities: Sequence[str] | None = None,
        resolve: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> StudyRecord:
        """Record a new study in the state "running", or return the one that was started with the same search file.

        `fidelities`: as in `StudyRecord`. `resolve` fills in what a stored search file leaves to defaults that came
        later, so that only what was chosen otherwise counts as different.

        `may_differ` lists the dotted keys of `search` (each with everything below it) that may change from run to run;
        where only such keys differ, the stored search file is replaced, so that a study can be extended. The state
        of an existing study stays as it is. Raises StudyMismatch where anything else differs, the objectives or the
        data included ("data_digest" in `may_differ` allows other data), unless the study has no trial yet: nothing
        was compared under its name, which then goes to the new search file.
        """
        check_objectives(name, objectives)
        text = to_json(search, f"the search file of study {name!r}")
        fresh = {
            "search": text,
            "search_digest": json_digest(text),
            "objectives": to_json(objectives, "the objectives"),
            "data_digest": data_digest,
            "fidelities": None if fidelities is None else to_json(list(fidelities), f"the fidelities of {name!r}"),
        }
        with self._writing(name) as connection:
            row = find_study(connection, name, SCHEMA_VERSION)
            if row is None:
                fresh |= {"created_at": now(), "state": "running", "versions": to_json(versions, "the versions")}
                connection.execute(_studies.insert().values(name=name, **fresh))
            elif not self._has_trials(connection, row.id):
                fresh |= {"versions": to_json(versions, "the versions")}
                connection.execute(_studies.update().where(_studies.c.id == row.id).values(fresh))
            else:
                known = study_from_columns(row._mapping)
                known = replace(known, search=dict(resolve(known.search)))
                check_same_study(known, json.loads(text), objectives, data_digest, may_differ)
                keys = ["data_digest", "fidelities"]
                if fresh["search_digest"] != known.search_digest:
                    keys += ["search", "search_digest"]
                changed = {key: fresh[key] for key in keys if fresh[key] not in (None, row._mapping[key])}
                if changed:
                    connection.execute(_studies.update().where(_studies.c.id == row.id).values(changed))
            return study_from_columns(study_row(connection, name, SCHEMA_VERSION)._mapping)

    def _has_trials(self, connection: sa.Connection, key: int) -> bool:
        query = sa.select(_trials.c.number).where(_trials.c.study_id == key).limit(1)
        return connection.execute(query).first() is not None

    def set_state(self, name: str, state: StudyState) -> None:
        """Record that the study runs, was stopped, or is complete."""
        if state not in get_args(StudyState):
            raise LedgerError(f"state {state!r} is not one of {', '.join(get_args(StudyState))}")
        with self._writing(name) as connection:
            key = study_id(connection, name)
            connection.execute(_studies.update().where(_studies.c.id == key).values(state=state))

    # Trials

    def start_trial(self, trial: TrialRecord) -> None:
        """Record a trial that starts (RUNNING), or one that is SCREENED or DUPLICATE and therefore never will.

        Raises LedgerError if the number is taken, or the record holds results already.
        """
        self.start_trials([trial])

    def start_trials(self, trials: Sequence[TrialRecord]) -> None:
        """Record several trials of one study, all or none of them, as `start_trial` does."""
        for trial in trials:
            check_start(trial)
        rows = [trial_columns(trial) for trial in trials]
        with self._writing(trials[0].study) as connection:
            key = study_id(connection, trials[0].study)
            taken = _trials.c.number.in_([trial.number for trial in trials])
            query = sa.select(_trials.c.number).where((_trials.c.study_id == key) & taken)
            if (number := connection.execute(query).scalar()) is not None:
                raise LedgerError(
                    f"trial {number} of study {trials[0].study!r} is already in the ledger: "
                    "start a new one under the next free number"
                )
            connection.execute(_trials.insert(), [{"study_id": key, **row} for row in rows])

    def record_measurement(self, study: str, number: int, measurement: Measurement) -> None:
        """Record what was measured after an epoch of a running trial.

        Repeating an identical call changes nothing, even after the trial has finished. Raises LedgerError if the epoch
        is already recorded otherwise, or the trial is finished. A row that cannot be read any more is written anew:
        nobody knows of it, so that its epoch is told again.
        """
        what = f"trial {number} of study {study!r}"
        new = measurement_columns(measurement, f"a measurement of {what}")
        with self._writing(study) as connection:
            trial = trial_row(connection, study, number)
            new |= {"study_id": trial.study_id, "number": number}
            key = [column.name for column in _measurements.primary_key]
            this = sa.and_(*(_measurements.c[name] == new[name] for name in key))
            known = connection.execute(sa.select(_measurements).where(this)).mappings().first()
            if known is not None and all(known[name] == new[name] for name in ("values", "seconds")):
                return
            if outcome_of(trial.outcome).final:
                raise LedgerError(f"{what} is already {trial.outcome}: measurements are recorded before it is finished")
            if known is not None and measurements_of([[known[column.name] for column in _measurements.columns]]):
                raise LedgerError(
                    f"epoch {measurement.epoch} at rung {measurement.rung} of {what} is already recorded with other "
                    "values: record each epoch once"
                )
            row = _measurements.insert() if known is None else _measurements.update().where(this)
            connection.execute(row.values(new))

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
        reused: str | None = None,
    ) -> str:
        """Record how a running trial ended; return when that was.

        `values` holds every objective if it is COMPLETE, and nothing otherwise. `violations` replaces those that the
        trial started with, where some could only be measured after that. `reused` names the trial whose training the
        results are ("STUDY:NUMBER"), where that is another one.

        Repeating an identical call changes nothing. Raises LedgerError if the trial is already finished otherwise.
        """
        what = f"trial {number} of study {study!r}"
        end = {
            "outcome": outcome.value,
            "reason": told(reason),
            "values": to_json(finite(values or {}, f"the values of {what}"), what),
            "seconds": None if seconds is None else finite({"seconds": seconds}, what)["seconds"],
            "artifact": artifact,
            "traceback": None if traceback is None else told(traceback),
        }
        if violations is not None:
            end["violations"] = to_json(finite(violations, f"the violations of {what}"), what)
        if reused is not None:
            end["reused"] = reused
        with self._writing(study) as connection:
            objectives = study_row(connection, study, SCHEMA_VERSION).objectives
            check_end(what, outcome, values or {}, json.loads(objectives))
            trial = trial_row(connection, study, number)
            if outcome_of(trial.outcome).final:
                differing = [key for key, value in end.items() if trial._mapping[key] != value]
                if not differing:
                    return str(trial.finished_at)
                raise LedgerError(
                    f"{what} is already {trial.outcome} and cannot be finished again with another {differing[0]}: "
                    "start a new trial instead"
                )
            end["finished_at"] = ended = now()
            connection.execute(_trials.update().where(here(trial.study_id, number)).values(end))
            return ended

    def resume_trial(self, study: str, number: int) -> None:
        """Record that a trial that was stopped at the end of a rung goes on: it is RUNNING again.

        What it stopped with was perhaps another trial's; what it comes to now is its own until it ends otherwise.
        Raises LedgerError for a trial of any other outcome.
        """
        with self._writing(study) as connection:
            trial = trial_row(connection, study, number)
            if trial.outcome != Outcome.STOPPED:
                what = f"trial {number} of study {study!r}"
                raise LedgerError(f"{what} is {trial.outcome} and cannot be resumed: only a stopped one can")
            end = {"outcome": Outcome.RUNNING.value, "finished_at": None, "reason": "", "reused": None}
            connection.execute(_trials.update().where(here(trial.study_id, number)).values(end))

    @contextmanager
    def together(self, study: str) -> Iterator[None]:
        """Make one transaction of all calls within: durable at the end, or, after an error, none of them.

        Others who write to the ledger wait meanwhile, so that nothing long belongs into it.
        """
        with self._writing(study) as connection:
            self._shared = (study, connection)
            try:
                yield
            finally:
                self._shared = None

    @contextmanager
    def _writing(self, study: str) -> Iterator[sa.Connection]:
        """A transaction of the one driver of a study: all of it is durable afterwards, or, after an error, nothing."""
        self._check_writable()
        if self._shared is not None and self._shared[0] == study:
            yield self._shared[1]
            return
        with self._database.writing(study) as connection:
            ledger_lease.check(connection, study, self._held.get(study))
            yield connection

    def _check_writable(self) -> None:
        self._check_open()
        if self.read_only:
            raise LedgerError(f"the ledger {self.name} was opened for reading only: open it without read_only to write")
