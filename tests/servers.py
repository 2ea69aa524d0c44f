"""A PostgreSQL server for tests: its own data folder, its own port on the loopback address, gone when the tests are."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

USER, PASSWORD = "nas", "pass/word"


@dataclass(frozen=True)
class Server:
    """A server. ``durable``: it waits for the disk, which tests need not."""

    folder: Path
    port: int
    durable: bool = False

    def url(self, database: str = "postgres", *, user: str = USER, password: str = PASSWORD, options: str = "") -> str:
        secret = password.replace("/", "%2F")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}{options}"

    def execute(self, *statements: str) -> None:
        """Run statements as the owner of everything."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the server; it ends when this process does, however that ends."""
        command = [*_as_postgres("INT"), _program("postgres"), "-D", str(self.folder), "-p", str(self.port)]
        fsync = f"fsync={'on' if self.durable else 'off'}"
        for setting in ("listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", fsync):
            command += ["-c", setting]
        with (self.folder.parent / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
        try:
            self._await(process)
            yield
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown
            process.wait(30)

    def _await(self, process: "subprocess.Popen[bytes]") -> None:
        for _ in range(300):
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert process.poll() is None, (self.folder.parent / "server.log").read_text()
                time.sleep(0.1)
        pytest.fail(f"no server after 30 s: {(self.folder.parent / 'server.log').read_text()}")


@contextmanager
def new_server(*, run: bool = True, durable: bool = False) -> Iterator[Server]:
    """Make a server, and ``run`` it; skip the test where PostgreSQL is not installed (in CI that is a failure)."""
    if reason := _missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with tempfile.TemporaryDirectory(prefix="nas-postgresql-") as name, socket.socket() as free:
        top = Path(name)
        free.bind(("127.0.0.1", 0))
        server = Server(top / "data", free.getsockname()[1], durable)
        free.close()
        top.chmod(0o755)
        (top / "password").write_text(PASSWORD)
        server.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(server.folder, "postgres", "postgres")
        command = [*_as_postgres("KILL"), _program("initdb"), "-D", str(server.folder), "-U", USER, "-E", "UTF8"]
        command += ["--pwfile", str(top / "password"), "--auth", "scram-sha-256", "--no-sync", "--locale", "C"]
        subprocess.run(command, check=True, capture_output=True, cwd="/")
        with server.running() if run else nullcontext():
            yield server


def _missing() -> str:
    if not _program("postgres"):
        return "there are no programs of a PostgreSQL server: install Debian's package postgresql"
    if not shutil.which("setpriv"):
        return "there is no setpriv: install Debian's package util-linux"
    return ""


def _program(name: str) -> str:
    """Return the path of a server's program, where Debian has it too."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(installed[-1]) if installed else shutil.which(name) or ""


def _as_postgres(at_the_end: str) -> list[str]:
    """Begin a command that ends with this process; PostgreSQL refuses to be run by root, so as its own user."""
    user = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig", at_the_end]
