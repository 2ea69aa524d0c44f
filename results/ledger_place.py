"""Where a ledger is: a file, or a URL that names a file or a database on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from results.outcome import LedgerError
from results.sqlite_file import check_file_system, check_place

if TYPE_CHECKING:
    from results.ledger_database import Database

FORMS = "postgresql://USER@HOST:PORT/DATABASE or sqlite:///FILE"
_ON_NETWORK = "on_network"  # of an SQLite URL: whether the file may lie where SQLite can lose data


def open_database(place: str | Path, *, create: bool, read_only: bool) -> Database:
    """Return the engine for a place; LedgerError where the place is wrong or its package is missing."""
    if create and read_only:
        raise LedgerError("a ledger cannot be created for reading only: pass create or read_only, not both")
    scheme, colon, rest = str(place).partition("://") if isinstance(place, str) else ("", "", "")
    if not colon:
        return _file(Path(place), create=create, read_only=read_only)
    if scheme in ("postgresql", "postgres"):
        from results.ledger_postgresql import PostgresqlDatabase

        return PostgresqlDatabase(f"postgresql://{rest}")
    if scheme == "sqlite":
        path, on_network = _sqlite_url(rest)
        return _file(path, create=create, read_only=read_only, on_network=on_network)
    raise LedgerError(f"a ledger's URL begins with {scheme[:20]!r} and is of no known kind: {FORMS} is allowed")


def _file(path: Path, *, create: bool, read_only: bool, on_network: bool = False) -> Database:
    from results.ledger_sqlite import SqliteDatabase

    check_place(path, create)
    if not read_only and not on_network:
        check_file_system(path)
    return SqliteDatabase(path, "ro" if read_only else "rwc" if create else "rw")


def _sqlite_url(rest: str) -> tuple[Path, bool]:
    """The file of an SQLite URL (three slashes: relative, four: absolute) and its option."""
    parts = urlsplit(f"sqlite://{rest}")
    options = parse_qs(parts.query, keep_blank_values=True)
    if parts.netloc or len(parts.path) < 2 or parts.fragment:
        raise LedgerError(
            "the ledger's URL names no file: sqlite:///FILE is its form, and an absolute path has four slashes, "
            "as in sqlite:////var/ledger.sqlite"
        )
    if set(options) - {_ON_NETWORK} or options.get(_ON_NETWORK, ["yes"]) != ["yes"]:
        raise LedgerError(f"the ledger's URL has the options {parts.query!r}: only {_ON_NETWORK}=yes is allowed")
    return Path(unquote(parts.path[1:])), bool(options)
