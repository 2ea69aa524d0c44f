"""Hypothesis draws the same examples on every run, and keeps no database; caches and locks go to passing folders."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from trainers import device_turns

if TYPE_CHECKING:
    from servers import Server

_numbers = itertools.count()

settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def picture_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INCEPTION_NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither waits for a measurement of somebody else's on this machine nor holds one up."""
    locks = tmp_path_factory.mktemp("locks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_turns, "folder", lambda: locks)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator["Server"]:
    """A PostgreSQL server of this test session's own."""
    from servers import new_server

    with new_server() as server:
        yield server


@pytest.fixture
def postgresql(postgresql_server: "Server") -> Iterator[str]:
    """The URL of an empty schema on a PostgreSQL server."""
    schema = f"t{next(_numbers)}"
    postgresql_server.execute(f"CREATE SCHEMA {schema}")
    yield postgresql_server.url(options=f"?options=-csearch_path%3D{schema}")
    postgresql_server.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where a ledger can be made: in a file and on a server."""
    return tmp_path / "ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgresql")
