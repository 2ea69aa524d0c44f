"""Rows of the ledger by name and number, and records of them; each call is a part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from results.ledger_records import measurements_of, outcome_of, trials_from_columns
from results.ledger_tables import columns_of, measurements, studies, trials
from results.no_collection import no_collection
from results.outcome import LedgerError, Outcome, TrialRecord, storable
from search_spaces.errors import nearest

NAMED = 5  # studies, the newest, where none has the name that is asked for


def find_study(connection: sa.Connection, name: str, version: int) -> sa.Row[Any] | None:
    """Return the row of a study, if there is one."""
    here = studies.c.name == storable(name)
    return connection.execute(sa.select(*columns_of(studies, version)).where(here)).first()


def study_row(connection: sa.Connection, name: str, version: int) -> sa.Row[Any]:
    """Return the row of a study; LedgerError with the nearest names if there is none."""
    row = find_study(connection, name, version)
    if row is not None:
        return row
    names = list(connection.execute(sa.select(studies.c.name).order_by(studies.c.id.desc())).scalars())
    more = f" and {len(names) - NAMED} more ('nas studies')" if len(names) > NAMED else ""
    known = f"the ledger has {', '.join(names[:NAMED])}{more}" if names else "the ledger has no studies yet"
    raise LedgerError(f"there is no study {name!r}: {known}{nearest(name, names)}")


# Statements of every trial are made once: to put one together takes longer than to carry it out.
_STUDY_ID = sa.select(studies.c.id).where(studies.c.name == sa.bindparam("study"))
_TRIAL = (
    sa.select(trials)
    .join_from(trials, studies)
    .where(studies.c.name == sa.bindparam("study"), trials.c.number == sa.bindparam("trial_number"))
)


def study_id(connection: sa.Connection, name: str) -> int:
    """Return the key of a study; LedgerError with the nearest names if there is none."""
    found = connection.execute(_STUDY_ID, {"study": storable(name)}).scalar()
    return int(study_row(connection, name, 1).id if found is None else found)


def trial_row(connection: sa.Connection, study: str, number: int) -> sa.Row[Any]:
    """Return the row of a trial; LedgerError if there is none."""
    row = connection.execute(_TRIAL, {"study": storable(study), "trial_number": number}).first()
    if row is None:
        study_id(connection, study)
        raise no_trial(study, number)
    return row


def here(key: int, number: int) -> sa.ColumnElement[bool]:
    """Return the condition that selects one trial of the study with this key."""
    return (trials.c.study_id == key) & (trials.c.number == number)


def no_trial(study: str, number: int) -> LedgerError:
    """Return what is said of a number that a study does not have."""
    return LedgerError(f"study {study!r} has no trial {number}: `nas status` lists what it has")


def count_measurements(connection: sa.Connection, key: int) -> int:
    """How many measurements there are of the study with this key."""
    query = sa.select(sa.func.count()).where(measurements.c.study_id == key)
    return int(connection.execute(query).scalar_one())


def read_outcomes(connection: sa.Connection, key: int) -> dict[str, int]:
    """Outcome -> number of trials of the study with this key, for all outcomes, zeros included."""
    query = sa.select(trials.c.outcome, sa.func.count()).where(trials.c.study_id == key).group_by(trials.c.outcome)
    counts = {outcome.value: 0 for outcome in Outcome}
    for outcome, count in connection.execute(query):
        counts[outcome_of(outcome).value] += count
    return counts


def read_standings(connection: sa.Connection, key: int) -> dict[int, tuple[str, int]]:
    """Number -> outcome and count of measurements, of all trials of the study with this key."""
    counted = sa.select(measurements.c.number, sa.func.count()).where(measurements.c.study_id == key)
    measured = {row[0]: row[1] for row in connection.execute(counted.group_by(measurements.c.number))}
    rows = connection.execute(sa.select(trials.c.number, trials.c.outcome).where(trials.c.study_id == key))
    return {number: (outcome, measured.get(number, 0)) for number, outcome in rows}


LONG = ("architecture", "genes", "traceback")  # what a summary leaves out: most of a row, and dear to decode


def read_trials(
    connection: sa.Connection,
    study: str,
    where: sa.ColumnElement[bool],
    version: int,
    *,
    without: Collection[str] = (),
) -> list[TrialRecord]:
    """The trials that `where` (a condition on the trials' table) selects, by number, with their measurements.

    A damaged row costs its own trial or measurement alone (`results.ledger_records`).
    `without`: columns that are not read; an architecture is {} then, and the others None.
    """
    order = (measurements.c.number, measurements.c.rung, measurements.c.epoch)
    with no_collection():
        query = sa.select(*columns_of(measurements, version)).join_from(measurements, trials).where(where)
        measured = measurements_of(connection.execute(query.order_by(*order)).all())
        columns = [
            sa.literal("{}" if column.name == "architecture" else None, sa.Text).label(column.name)
            if column.name in without
            else column
            for column in columns_of(trials, version)
        ]
        query = sa.select(*columns).where(where).order_by(trials.c.number)
        rows = connection.execute(query).all()
        fields = list(zip(*rows, strict=True)) or [()] * len(trials.c)
        return trials_from_columns(study, dict(zip(trials.c.keys(), fields, strict=True)), measured)
