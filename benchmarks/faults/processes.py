"""Drivers as processes that are watched, killed, and looked after: nothing that they started may be left."""

import ctypes
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nas.executors.guard import with_descendants

_SET_CHILD_SUBREAPER = 36  # prctl(2)
LEFT_SECONDS = 5.0  # after which nothing may be left of a killed driver


@contextmanager
def inheriting_orphans() -> Iterator[None]:
    """Within, processes whose parents have ended become children of this one, so that none is overlooked."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def descendants() -> set[int]:
    """All processes below this one that have not ended."""
    found = with_descendants({os.getpid()}) - {os.getpid()}
    return {pid for pid in found if not _ended(pid)}


def _ended(pid: int) -> bool:
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    if state == "Z":
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # an orphan of ours; a child of somebody else's is not touched by this
    return state == "Z"


def name(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ").strip()[:80]
    except OSError:
        return "gone"


def left_over(before: set[int], seconds: float = LEFT_SECONDS) -> list[str]:
    """What is there after some seconds that was not there before; it is killed then."""
    until = time.monotonic() + seconds
    while (left := descendants() - before) and time.monotonic() < until:
        time.sleep(0.05)
    names = [name(pid) for pid in left]
    kill(left)
    return names


def kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while pids & descendants() and time.monotonic() < until:
        time.sleep(0.02)


@dataclass
class Driver:
    """A driver under way. ``status``: a file where it leaves its exit status, unless it is killed."""

    pid: int
    said: Path
    status: Path
    before: set[int]
    handle: int = field(init=False)

    def __post_init__(self) -> None:
        try:
            self.handle = os.pidfd_open(self.pid)
        except ProcessLookupError:  # it has ended already
            self.handle = -1

    @property
    def ended(self) -> bool:
        return self.handle < 0 or bool(select.select([self.handle], [], [], 0)[0])

    def wait(self, seconds: float = 120.0) -> int | None:
        """Wait for its end; return its exit status, None after a kill. TimeoutError with what it said."""
        if self.handle >= 0 and not select.select([self.handle], [], [], seconds)[0]:
            self.send(signal.SIGKILL)
            raise TimeoutError(f"a driver had not ended after {seconds:g} s: {self.output[-2000:]}")
        self.close()
        told = self.status.read_text() if self.status.exists() else ""  # "" also where it was killed as it wrote that
        return int(told) if told else None

    def ends_within(self, seconds: float) -> bool:
        return self.handle < 0 or bool(select.select([self.handle], [], [], seconds)[0])

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self.handle >= 0:
                signal.pidfd_send_signal(self.handle, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.wait(10)

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    @property
    def output(self) -> str:
        return self.said.read_text(errors="replace")


def until_stopped(pid: int) -> None:
    """Wait until a process has stopped itself: a SIGCONT before that would be lost, and it would wait for ever."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        if state == "T":
            return
        time.sleep(0.005)
    raise TimeoutError(f"process {pid} does not wait")
