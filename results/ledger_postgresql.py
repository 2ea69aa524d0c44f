"""The ledger on a PostgreSQL server. Tested with PostgreSQL 15 and psycopg 3; the only file that imports psycopg."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from results.ledger_database import Database
from results.outcome import LedgerError

_CONNECT_SECONDS = 10  # for a server that does not answer
_LOCK_SECONDS = 30  # one commit takes milliseconds: who waits this long waits for a program that hangs
_RETURN_SECONDS = 60.0  # a server that is started anew is waited for, once it was there
_LOCKS = 0x1CE97104  # of all advisory locks of the database, those of this program's

# What PostgreSQL reports -> what was found and what to do: error codes, or how they begin (its manual, appendix A).
_CAUSES = {
    "28": "refuses the user or the password: check both (the password may stand in ~/.pgpass or $PGPASSWORD)",
    "3D000": "is no database of that server: create it with 'createdb', or mend the URL",
    "3F000": "has no schema in which tables could be made: create one, or mend search_path",
    "42501": "may not be used so by this user: grant it USAGE and CREATE on the schema and the rights on its tables",
    "25006": "can only be read on that server: name the primary server",
    "53": "has run out of disk, memory or connections on its server: free some and run the same command again",
    "55P03": f"was locked by another program for {_LOCK_SECONDS} s: end that program or try again",
    "57P": "was shut down while it was in use: start the server and run the same command again",
    "08": "lost its connection: check the network and the server, and run the same command again",
}

# Both settings hold for the transaction alone. A server may be set up to lose commits; these it must not lose.
_LOCK = sa.text("""
    SELECT set_config('lock_timeout', :wait, true),
           set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true),
           pg_advisory_xact_lock(:group, :lock)
""")


class PostgresqlDatabase(Database):
    """The database that a URL names, as libpq understands it (PostgreSQL manual, 34.1.1.2)."""

    def __init__(self, url: str) -> None:
        connect, self.name = _connector(url)
        self._seen = False
        # A connection may have died since it was used last: asked before each use.
        engine = sa.create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)
        super().__init__(engine)
        # Several statements read one moment; each statement of a writer sees what was committed before it, and the
        # lock that every writer takes first keeps others from committing in between.
        self._readers = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writers = engine.execution_options(isolation_level="READ COMMITTED")

    def prepare(self) -> None:
        """Nothing: the server is as it is."""

    def _begin_reading(self) -> AbstractContextManager[sa.Connection]:
        return self._begun(self._readers)

    @contextmanager
    def _begin_writing(self, what: str) -> Iterator[sa.Connection]:
        with self._begun(self._writers) as connection:
            lock = zlib.crc32(what.encode("utf-8", "backslashreplace")) - 2**31
            connection.execute(_LOCK, {"group": _LOCKS, "lock": lock, "wait": f"{_LOCK_SECONDS}s"})
            yield connection

    @contextmanager
    def _begun(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """A transaction on a connection that works; a server that is away for a moment is waited for."""
        since = time.monotonic()
        while True:
            try:
                connection = engine.connect()
                break
            except sa.exc.OperationalError as error:
                # Only before anything was asked of it: a commit whose answer was lost must not be made twice.
                if not self._seen or _code(error)[:2] == "28" or time.monotonic() - since > _RETURN_SECONDS:
                    raise
                time.sleep(0.5)
        self._seen = True
        with connection, connection.begin():
            yield connection

    def _sentence(self, error: sa.exc.DBAPIError) -> str | None:
        code = _code(error)
        for beginning, sentence in _CAUSES.items():
            if code.startswith(beginning):
                return f"{sentence} ({code})"
        if not code and isinstance(error, sa.exc.OperationalError):
            said = " ".join(str(error.orig).split())
            return f"cannot be reached: check that the server runs and the URL is right ({said[:200]})"
        return None


def _code(error: sa.exc.DBAPIError) -> str:
    """PostgreSQL's error code; "" where there is none: no server answered."""
    code = getattr(error.orig, "sqlstate", None)
    if code is None and "authentication failed" in str(error.orig):  # libpq tells no code while it connects
        return "28P01"
    if code is None and "does not exist" in str(error.orig) and "database" in str(error.orig):
        return "3D000"
    return code or ""


def _connector(url: str) -> tuple[Callable[[], Any], str]:
    """What connects to the database of a URL, and the URL without its secrets.

    libpq quotes what it does not understand in a URL, passwords too: its words are not repeated here.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise LedgerError(
            "a ledger on PostgreSQL needs the package psycopg: pip install 'inception-nas[postgresql]'"
        ) from error
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        parts = {"host": "@"}
    if any("@" in parts.get(key, "") for key in ("host", "port", "dbname")):
        raise LedgerError(
            "the ledger's URL cannot be read: postgresql://USER@HOST:PORT/DATABASE is its form, and in names and the "
            "password every character but letters, digits and -._~ is written as %XX"
        )
    shown = {key: parts.get(key, "") for key in ("user", "host", "port", "dbname")}
    user, port = shown["user"] and f"{shown['user']}@", shown["port"] and f":{shown['port']}"
    defaults = {"connect_timeout": str(_CONNECT_SECONDS), "application_name": "inception-nas"}
    options: dict[str, Any] = {**defaults, **parts}
    return lambda: psycopg.connect(**options), f"postgresql://{user}{shown['host']}{port}/{shown['dbname']}"
