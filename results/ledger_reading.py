"""What everybody may ask of a ledger: its studies and trials, each answer one consistent moment of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from results import ledger_lease
from results.ledger_database import Database
from results.ledger_records import fidelities_of, study_from_columns
from results.ledger_rows import (
    LONG,
    count_measurements,
    find_study,
    here,
    no_trial,
    read_outcomes,
    read_standings,
    read_trials,
    study_id,
    study_row,
)
from results.ledger_tables import SCHEMA_VERSION, columns_of, schema_version
from results.ledger_tables import studies as _studies
from results.ledger_tables import trials as _trials
from results.outcome import Known, LedgerError, Outcome, StudyRecord, TrialRecord
from results.process import Process

_AT_ONCE = 500  # numbers in one statement: engines allow some thousands


class Reading:
    """The half of a `Ledger` that changes nothing; one of an older version is read as it is."""

    def __init__(self, database: Database, *, read_only: bool) -> None:
        self.name = database.name
        self.read_only = read_only
        self._database = database
        self._closed = False
        self._version = SCHEMA_VERSION
        self._shared: tuple[str, sa.Connection] | None = None  # a transaction that is under way, with its study

    def close(self) -> None:
        """Close all connections; the ledger cannot be used any more. Closing twice is fine."""
        self._closed = True
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def study(self, name: str) -> StudyRecord:
        """The study of this name; LedgerError with the nearest names if there is none."""
        with self._reading() as connection:
            return study_from_columns(study_row(connection, name, self._version)._mapping)

    def begun(self, name: str) -> str | None:
        """When the study of this name was recorded first, by which it is told from others; None if there is none."""
        with self._reading() as connection:
            row = find_study(connection, name, self._version)
            return None if row is None else str(row.created_at)

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        with self._reading() as connection:
            query = sa.select(*columns_of(_studies, self._version)).order_by(_studies.c.id)
            rows = connection.execute(query).mappings()
            return [study_from_columns(row) for row in rows]

    def names(self) -> list[str]:
        """The names of all studies, oldest first; they are read even where a study's other parts are damaged."""
        with self._reading() as connection:
            return [str(name) for name in connection.scalars(sa.select(_studies.c.name).order_by(_studies.c.id))]

    def trials(self, study: str, outcome: Outcome | None = None) -> list[TrialRecord]:
        """The trials of a study (of one outcome, if given), by number; one consistent moment of the ledger."""
        with self._reading() as connection:
            where = _trials.c.study_id == study_id(connection, study)
            found = read_trials(connection, study, where, self._version)
            return [trial for trial in found if outcome in (None, trial.outcome)]

    def summaries(self, study: str, numbers: Collection[int] | None = None) -> list[TrialRecord]:
        """The trials of a study (of some numbers, if given) as `trials` gives them, but without their long parts.

        Architecture ({}), genes and traceback (None) are left out: for thousands of trials at once, often.
        """
        with self._reading() as connection:
            where = _trials.c.study_id == study_id(connection, study)
            if numbers is None:
                return read_trials(connection, study, where, self._version, without=LONG)
            wanted, found = sorted(numbers), list[TrialRecord]()
            for start in range(0, len(wanted), _AT_ONCE):
                some = where & _trials.c.number.in_(wanted[start : start + _AT_ONCE])
                found += read_trials(connection, study, some, self._version, without=LONG)
            return found

    def pulse(self, study: str) -> tuple[str, dict[str, int], int]:
        """The study's state, its trials by outcome, and its count of measurements: changes with whatever is recorded.

        But for a trial that goes on and ends again without an epoch in between.
        """
        with self._reading() as connection:
            row = study_row(connection, study, self._version)
            return row.state, read_outcomes(connection, row.id), count_measurements(connection, row.id)

    def standings(self, study: str) -> dict[int, tuple[str, int]]:
        """Number -> outcome and count of measurements, of all trials: tells cheaply which ones have changed."""
        with self._reading() as connection:
            return read_standings(connection, study_id(connection, study))

    def trial(self, study: str, number: int) -> TrialRecord:
        """One trial; LedgerError if the study has no trial of this number."""
        with self._reading() as connection:
            found = read_trials(connection, study, here(study_id(connection, study), number), self._version)
            if not found:
                raise no_trial(study, number)
            return found[0]

    def known(self, digest: str, fidelity: str, *, besides: str = "") -> list[Known]:
        """The trials of an architecture in all studies that have a fidelity among theirs, the oldest study first.

        Those of the study ``besides`` are left out.
        """
        with self._reading() as connection:
            if self._version < 2:  # no study there has a fidelity
                return []
            columns = (_studies.c.id, _studies.c.name, _studies.c.fidelities, _trials.c.number)
            there = (_trials.c.digest == digest) & (_studies.c.name != besides)
            query = sa.select(*columns).join_from(_trials, _studies).where(there)
            found = []
            for key, name, fidelities, number in connection.execute(query.order_by(_studies.c.id, _trials.c.number)):
                rungs = fidelities_of(fidelities)
                if fidelity in rungs:  # each by its key: by the digest, measurements would be searched from end to end
                    (trial,) = read_trials(connection, name, here(key, number), self._version)
                    found.append(Known(trial, rungs.index(fidelity)))
            return found

    def lent(self, study: str) -> frozenset[int]:
        """The numbers of a study's trials whose files trials of other studies point to."""
        own, other = _trials, _trials.alias()
        with self._reading() as connection:
            if self._version < 2:  # nothing was taken over yet
                return frozenset()
            key = study_id(connection, study)
            theirs = other.c.reused.is_not(None) & (other.c.study_id != key)
            query = sa.select(own.c.number).where(own.c.study_id == key, own.c.artifact == other.c.artifact, theirs)
            return frozenset(connection.scalars(query.distinct()))

    def count_outcomes(self, study: str) -> dict[str, int]:
        """Outcome -> number of trials, for all outcomes, zeros included."""
        with self._reading() as connection:
            return read_outcomes(connection, study_id(connection, study))

    def holder(self, study: str) -> Process | None:
        """The process that holds a study, if it is alive as far as this one can tell; None if nobody does."""
        with self._reading() as connection:
            return ledger_lease.holder(connection, study) if self._version > 1 else None  # 1 had no leases

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        self._check_open()
        if self._shared is not None:
            yield self._shared[1]
            return
        with self._database.reading() as connection:
            if self._version < SCHEMA_VERSION:  # a driver may have brought it up to date since
                self._version = schema_version(connection, self.name) or SCHEMA_VERSION
            yield connection

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerError(f"the ledger {self.name} was closed: open it again")
