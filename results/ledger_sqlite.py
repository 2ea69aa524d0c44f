"""The ledger in a file: SQLite, with a WAL journal and durable commits (`synchronous=FULL`)."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from results.ledger_database import Database
from results.sqlite_file import BUSY_SECONDS, cause, connect


class SqliteDatabase(Database):
    """The file at ``path``, opened in SQLite's ``mode`` (ro, rw or rwc)."""

    def __init__(self, path: Path, mode: str) -> None:
        self.name = str(path)
        # Readers connect anew each time: how the file can be opened depends on whether a driver is at work just then.
        pool = NullPool if mode == "ro" else QueuePool
        super().__init__(sa.create_engine("sqlite://", creator=lambda: connect(path, mode), poolclass=pool))
        # Writers take the write lock at once: a deferred transaction that turns into a writer halfway can be refused
        # by SQLite without waiting.
        self._writers = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        event.listen(self._engine, "begin", _begin)

    def prepare(self) -> None:
        """Turn the journal into a write-ahead log, beside which others can read.

        For that SQLite wants the file for itself, and where somebody writes just then it does not wait by itself.
        """
        since = time.monotonic()
        with self._told(), self._engine.execution_options(begin=None).connect() as connection:
            while True:
                try:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                    return
                except sa.exc.OperationalError as error:
                    busy = getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                    if not busy or time.monotonic() - since > BUSY_SECONDS:
                        raise
                time.sleep(0.02)

    def _begin_reading(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.begin()

    def _begin_writing(self, what: str) -> AbstractContextManager[sa.Connection]:
        return self._writers.begin()  # one writer at a time in the whole file

    def _sentence(self, error: sa.exc.DBAPIError) -> str | None:
        name = getattr(error.orig, "sqlite_errorname", "")
        sentence = cause(name)
        return f"{sentence} ({name})" if sentence else None


def _begin(connection: sa.Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN")
    if statement is not None:
        connection.exec_driver_sql(statement)
