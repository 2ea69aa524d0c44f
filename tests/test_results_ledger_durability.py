"""What a power cut leaves: only what was synced. The ledger must have every commit that a call has returned from.

A driver writes under strace; its writes are carried out again here, each file once as the operating system saw it and
once as it was when it was last synced. The synced files alone must hold what was acknowledged (a killed process shows
nothing of this: what it wrote survives in the page cache).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from results.ledger import Ledger, LedgerError

ROOT = Path(__file__).resolve().parents[1]
TRIALS = 12

WRITER = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import os
from ledgers import *
from results import ledger_sqlite
from results.ledger import Ledger, Measurement
connect = ledger_sqlite.connect
def altered(path, mode):
    connection = connect(path, mode)
    connection.execute("PRAGMA " + sys.argv[2])
    return connection
ledger_sqlite.connect = altered
with Ledger.open(sys.argv[1], create=True) as ledger:
    ledger.create_study("digits", SEARCH, OBJECTIVES, {{}})
    for number in range({TRIALS}):
        ledger.start_trial(running(number, architecture={{"pad": "x" * 20000}}))
        ledger.record_measurement("digits", number, Measurement(0, 1, {{"error": 0.5}}, 1.0))
        os.write(1, b"recorded %d\\n" % number)
"""

HEX = re.compile(r"<((?:\\x..)+)>")  # a path, as -xx writes it
CALL = re.compile(r'^(\w+)\((\d+)<(.*?)>(?:, "((?:\\x..)*)")?(?:, (\d+))?(?:, (\d+))?\) += (-?\d+)')
UNLINK = re.compile(r'^unlink\("((?:\\x..)*)"\) += 0')


def decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Disk:
    """The files of a folder by path: as they are in memory, and as they are on the disk.

    A file is on the disk with what it held when it was last synced, under the names that its folder had when that was
    last synced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.memory: dict[str, bytearray] = {}
        self.synced: dict[str, bytes] = {}
        self.names: set[str] = set()

    def take(self, line: str) -> int | None:
        """Carry out a line of strace; return the number of the trial that it acknowledges, if it does."""
        line = HEX.sub(lambda found: f"<{decoded(found[1]).decode()}>", re.sub(r"^\d+ +", "", line))
        if (gone := UNLINK.match(line)) is not None:
            self.memory.pop(decoded(gone[1]).decode(), None)
        match = CALL.match(line)
        if match is None:
            return None
        call, _, path, data, second, third, result = match.groups()
        content = decoded(data or "")
        if call == "write" and content.startswith(b"recorded "):
            return int(content.split()[1])
        if not path.startswith(self.folder) or path.endswith("-shm"):
            return None
        assert int(result) >= 0, line
        if path == self.folder:
            assert call in ("fsync", "fdatasync"), line
            self.names = set(self.memory)
            return None
        file = self.memory.setdefault(path, bytearray())
        if call == "pwrite64":
            start = int(third)
            assert int(second) == int(result) == len(content)
            file.extend(bytes(max(0, start + len(content) - len(file))))
            file[start : start + len(content)] = content
        elif call == "ftruncate":
            del file[int(second) :]
        else:
            assert call in ("fsync", "fdatasync"), line
            self.synced[path] = bytes(file)
        return None

    def cut(self, folder: Path) -> None:
        """Write what a power cut leaves into another folder."""
        for path in self.names:
            (folder / Path(path).name).write_bytes(self.synced.get(path, b""))


def lost(tmp_path: Path, pragma: str) -> list[tuple[int, str]]:
    """At each acknowledgement, what a power cut right then would have lost; ``pragma``: of the writer's connection."""
    folder, log = tmp_path / "written", tmp_path / "log"
    folder.mkdir()
    calls = "trace=pwrite64,pwritev,write,ftruncate,fsync,fdatasync,unlink,rename"
    command = ["strace", "-f", "-y", "-xx", "-s", "100000", "-e", calls, "-e", "signal=none", "-o", str(log)]
    writer = [sys.executable, "-c", WRITER, str(folder / "ledger.db"), pragma]
    subprocess.run([*command, *writer], check=True, capture_output=True, timeout=120)
    disk, found, acknowledged = Disk(folder), [], 0
    for line in log.read_text().splitlines():
        number = disk.take(line)
        if number is None:
            continue
        acknowledged += 1
        after = tmp_path / f"after-{number}"
        after.mkdir()
        disk.cut(after)
        try:
            with Ledger.open(after / "ledger.db") as ledger:
                trials = {trial.number: trial for trial in ledger.trials("digits")}
        except LedgerError as error:
            found.append((number, str(error)))
        else:
            if sorted(trials) != list(range(number + 1)):
                found.append((number, f"of trials only {sorted(trials)}"))
            elif any(len(trial.measurements) != 1 for trial in trials.values()):
                found.append((number, "a measurement"))
        shutil.rmtree(after)
    assert acknowledged == TRIALS
    return found


traced = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CI"),
    reason="there is no strace: install Debian's package strace",
)


@traced
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    assert lost(tmp_path, "user_version") == []


@traced
def test_this_test_sees_what_is_lost(tmp_path: Path) -> None:
    """In the mode NORMAL SQLite syncs only now and then: the same check must find that out."""
    assert lost(tmp_path, "synchronous=NORMAL")
