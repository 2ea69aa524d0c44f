"""What the ledger asks of an engine: transactions that are whole, durable and one after another; and its place's name.

`SqliteDatabase` and `PostgresqlDatabase` are the two there are; everything above them is the same for both.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import sqlalchemy as sa

from results.outcome import LedgerError

_POOL = logging.getLogger("sqlalchemy.pool.impl.QueuePool")


def _no_mistake(record: logging.LogRecord) -> bool:
    """Leave out Ctrl-C while a connection is closed: it is raised all the same, and its traceback helps nobody."""
    return record.exc_info is None or not isinstance(record.exc_info[1], KeyboardInterrupt)


class Database(ABC):
    """An engine at a place. ``name``: of the place, as sentences tell it; never with a password."""

    name: str

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        _POOL.addFilter(_no_mistake)  # added once, however often it is asked for

    @abstractmethod
    def prepare(self) -> None:
        """Do what is to be done once before anything is written."""

    @abstractmethod
    def _begin_reading(self) -> AbstractContextManager[sa.Connection]: ...

    @abstractmethod
    def _begin_writing(self, what: str) -> AbstractContextManager[sa.Connection]: ...

    @abstractmethod
    def _sentence(self, error: sa.exc.DBAPIError) -> str | None:
        """What an error of the engine means and what to do, after "the ledger NAME"; None for a fault of ours."""

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Return a transaction that sees one moment of the ledger."""
        with self._told(), self._begin_reading() as connection:
            yield connection

    @contextmanager
    def writing(self, what: str) -> Iterator[sa.Connection]:
        """Return a transaction: all of it is durable afterwards, or, after an error, none of it.

        Two that write the same ``what`` (a study's name; "": the tables) never overlap.
        """
        with self._told(), self._begin_writing(what) as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            if sentence := self._sentence(error):
                raise LedgerError(f"the ledger {self.name} {sentence}") from error
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
