"""One driver per study: who holds it, and since which epoch.

Whoever takes a study over counts its epoch up, and each write of a driver compares the epoch with its own: one that
slept through the loss of its study (it was stopped, or its machine was cut off) cannot write any more when it wakes up
(Kleppmann, "How to do distributed locking", 2016: fencing tokens). No clock of any machine is compared with another's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from results.ledger_database import Database
from results.ledger_tables import leases
from results.outcome import LedgerError, storable
from results.process import Process

logger = logging.getLogger("nas.results")

BEAT_SECONDS = 5.0  # between two signs of life of a holder
STALE_SECONDS = 60.0  # without one, watched from another machine: the holder is taken for dead
# What a database may say: not all of it has a sentence, and a driver that lives must not be taken for dead for that.
_FAILED = (LedgerError, sa.exc.SQLAlchemyError)


@dataclass(frozen=True)
class Standing:
    """Who holds a study: ``process`` is None if nobody does. ``beats``: signs of life so far."""

    epoch: int
    beats: int
    process: Process | None


@contextmanager
def hold(database: Database, study: str, process: Process, stale_seconds: float) -> Iterator[int]:
    """Hold a study as ``process`` and yield the epoch; LedgerError where another process holds it and is alive.

    That one of another machine is dead is seen by its signs of life, for which it is watched for ``stale_seconds``.
    """
    epoch = _taken(database, study, process, stale_seconds)
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(database, study, epoch, done), name=f"lease {study}", daemon=True)
    beating.start()
    try:
        yield epoch
    finally:
        done.set()
        beating.join()
        try:
            with database.writing(study) as connection:
                mine = _of(study) & (leases.c.epoch == epoch)
                connection.execute(leases.update().where(mine).values(holder=None))
        except _FAILED as error:  # the next driver will see that this process has ended
            logger.warning("study %s was not given back: %s", study, error)


def _taken(database: Database, study: str, process: Process, stale_seconds: float) -> int:
    """Become the holder of a study and return the epoch."""
    watched, since = None, time.monotonic()
    while True:
        with database.writing(study) as connection:
            found = _standing(connection, study)
            owner = None if found is None else found.process
            alive = owner is not None and owner.is_alive(process)
            stale = found == watched and time.monotonic() - since >= stale_seconds
            if alive is False or (alive is None and stale):
                return _take(connection, study, process, found)
        if alive or watched not in (None, found):
            raise _held(study, owner)
        if watched is None:
            watched = found
            told = "study %s is held by %s: watching for %.0f s whether it is alive"
            logger.warning(told, study, owner, stale_seconds)
        time.sleep(min(1.0, stale_seconds / 10))


def holder(connection: sa.Connection, study: str) -> Process | None:
    """Return who holds a study, unless that process has ended; one of another machine is not watched for that."""
    found = _standing(connection, study)
    owner = None if found is None else found.process
    return None if owner is None or owner.is_alive(Process.this()) is False else owner


def _standing(connection: sa.Connection, study: str) -> Standing | None:
    """Return who holds a study; None if nobody ever did."""
    row = connection.execute(sa.select(leases).where(_of(study))).first()
    if row is None:
        return None
    return Standing(row.epoch, row.beats, None if row.holder is None else Process.from_text(row.holder))


def _take(connection: sa.Connection, study: str, process: Process, before: Standing | None) -> int:
    """Make a process the holder of a study that stands as ``before``; return its epoch."""
    epoch = 1 if before is None else before.epoch + 1
    new = {"epoch": epoch, "holder": process.to_text()}
    if before is None:
        connection.execute(leases.insert().values(study=storable(study), beats=0, **new))
    else:
        connection.execute(leases.update().where(_of(study)).values(new))
    return epoch


def _beat(database: Database, study: str, epoch: int, done: threading.Event) -> None:
    """Give signs of life until it is ``done``, or the study is lost."""
    mine = _of(study) & (leases.c.epoch == epoch)
    while not done.wait(BEAT_SECONDS):
        try:
            with database.writing(study) as connection:
                found = connection.execute(leases.update().where(mine).values(beats=leases.c.beats + 1))
                if found.rowcount == 0:
                    return  # the driver's next write will say so
        except _FAILED as error:
            logger.warning("no sign of life could be given for study %s: %s", study, error)


def check(connection: sa.Connection, study: str, epoch: int | None) -> None:
    """LedgerError unless a writer may write to a study: it holds it (``epoch``), or holds nothing and nobody does."""
    found = _standing(connection, study)
    if epoch is None:
        if found is not None and found.process is not None:
            raise _held(study, found.process)
    elif found is None or found.epoch != epoch:
        owner = "another process" if found is None or found.process is None else str(found.process)
        raise LedgerError(
            f"this process lost the study {study!r} to {owner} while it did not answer: nothing more is recorded here"
        )


def _held(study: str, process: Process | None) -> LedgerError:
    return LedgerError(f"study {study!r} is being searched by {process}: wait for it, or stop it")


def _of(study: str) -> sa.ColumnElement[bool]:
    return leases.c.study == storable(study)
