"""Ends what was started on this machine when the one who started it dies without a chance to.

Ray's processes outlive a driver that is killed, some of them for a minute, and their trials go on training. A guard is
a process of its own that waits on a pipe: when the driver ends, however that happens, the pipe closes, and whatever is
left of the processes named to the guard, with all their children, is killed. A child that a trial started a moment
before the end is told by its environment, which holds a mark, even where its parent has gone. Only where there is /proc
(Linux).
"""

import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")
LOOK_SECONDS = 1.0
MARK = "INCEPTION_NAS_STARTED_BY"  # in the environment of what a driver starts, and of all that this starts
ROUNDS = 20  # of ending what is marked: it may start something meanwhile


def children(pid: int) -> set[int]:
    """Return the processes whose parent is this one."""
    return {child for child in _all() if _facts(child)[0] == pid}


@contextmanager
def marked() -> Iterator[str]:
    """Mark what is started in the block, and give the mark."""
    os.environ[MARK] = mark = uuid.uuid4().hex
    try:
        yield mark
    finally:
        os.environ.pop(MARK, None)


def watch_over(pids: set[int], mark: str) -> "subprocess.Popen[bytes] | None":
    """Start a guard of some processes; it ends them and what is marked once its standard input closes.

    None without /proc.
    """
    if not PROC.is_dir():
        return None
    named = [f"{pid}:{_facts(pid)[1]}" for pid in sorted(pids)]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, mark, *named],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # no Ctrl-C of the terminal's
    )


def _all() -> list[int]:
    if not PROC.is_dir():
        return []
    return [int(path.name) for path in PROC.iterdir() if path.name.isdecimal()]


def _facts(pid: int) -> tuple[int, str]:
    """Parent and time of the start of a process; 0 and "" if it is gone. A name may hold spaces and brackets."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, ""
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), fields[19]


def with_descendants(pids: set[int]) -> set[int]:
    """Return processes with all that were started by them and are there."""
    parents = {pid: _facts(pid)[0] for pid in _all()}
    found, newest = set(pids), set(pids)
    while newest:
        newest = {pid for pid, parent in parents.items() if parent in newest} - found
        found |= newest
    return found


def _with_mark(mark: str) -> set[int]:
    """Processes that began with the mark in their environment; such as have ended have none any more."""
    found, line = set(), f"{MARK}={mark}".encode()
    for pid in _all():
        with suppress(OSError):  # gone, or another user's
            if line in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _guard(mark: str, named: list[str]) -> None:
    """Wait for the end of standard input, looking now and then at who is there: orphans do not tell whose they were."""
    known = {int(pid): start for pid, _, start in (name.partition(":") for name in named)}
    while True:
        alive = {pid for pid, start in known.items() if start and _facts(pid)[1] == start}  # not another of its number
        known = {pid: _facts(pid)[1] for pid in with_descendants(alive)}
        if select.select([sys.stdin], [], [], LOOK_SECONDS)[0] and not os.read(sys.stdin.fileno(), 1):
            break
    for pid in known.keys() | with_descendants({pid for pid, start in known.items() if _facts(pid)[1] == start}):
        if known.get(pid) in (None, _facts(pid)[1]):
            _kill(pid)
    for _ in range(ROUNDS):
        if not (left := _with_mark(mark)):
            break
        for pid in left:
            _kill(pid)
        time.sleep(0.05)


if __name__ == "__main__":
    _guard(sys.argv[1], sys.argv[2:])
