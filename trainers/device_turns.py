"""Who uses a device: trainings share it, a measurement has it alone.

Advisory locks on two files per device in the system's temporary folder, so it holds for all processes of this project
on one machine (that share this folder: containers usually do not), whichever study or user they belong to. Trainings
pause between two batches while a measurement waits or runs. What cannot be held off: other programs, and what a search
does besides training (its driver proposes and records, workers start up). A lock ends with its process, however it
ends. No torch here.
"""

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

logger = logging.getLogger("nas.trainers")

PATIENCE_SECONDS = 120.0  # a training waits no longer for a measurement, which may hang or be suspended
_POLL_SECONDS = 0.02


def _say(sentence: str) -> None:
    logger.info("%s", sentence)


def folder() -> Path:
    """Return where the locks of this machine lie."""
    return Path(tempfile.gettempdir())


@contextmanager
def turns(device: str) -> Iterator["DeviceTurns"]:
    """Open the turns on a device until the end of the block."""
    with ExitStack() as handles:
        name = re.sub(r"[^A-Za-z0-9]+", "-", device)
        gate, use = (_open(f"inception-nas-{name}.{what}") for what in ("gate", "use"))
        handles.callback(os.close, gate)
        handles.callback(os.close, use)
        yield DeviceTurns(device, gate, use)


class DeviceTurns:
    """The turns on one ``device`` of this machine, ``cpu`` or a GPU's unique name; see ``turns``.

    A measurement takes the ``gate`` and then waits for the device; a training passes the gate before each use, so that
    trainings that follow one another cannot keep a measurement out.
    """

    def __init__(self, device: str, gate: int, use: int) -> None:
        self.device, self._gate, self._use = device, gate, use

    @contextmanager
    def alone(self, tell: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the device alone, for a measurement; ``tell`` gets a sentence where that means waiting."""
        tell = tell or _say
        try:
            _take(self._gate, fcntl.LOCK_EX, lambda: tell(f"waiting for another measurement on {self.device} to end"))
            _take(self._use, fcntl.LOCK_EX, lambda: tell(f"waiting for trainings on {self.device} to pause"))
            yield
        finally:
            fcntl.flock(self._use, fcntl.LOCK_UN)
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the device together with other trainings."""
        self._pass_the_gate()
        try:
            yield
        finally:
            fcntl.flock(self._use, fcntl.LOCK_UN)

    def give_way(self, settle: Callable[[], object]) -> None:
        """Let a waiting measurement go first; for a training inside ``shared``, between two steps.

        ``settle`` waits until the device has done what it was given. Where nobody waits this takes a few microseconds.
        """
        with suppress(BlockingIOError):
            fcntl.flock(self._gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            return
        settle()
        fcntl.flock(self._use, fcntl.LOCK_UN)
        self._pass_the_gate()

    def _pass_the_gate(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(self._gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    logger.warning(
                        "a measurement holds %s for more than %.0f s: the training goes on beside it",
                        self.device,
                        PATIENCE_SECONDS,
                    )
                    return
                time.sleep(_POLL_SECONDS)
        try:
            fcntl.flock(self._use, fcntl.LOCK_SH)  # nobody waits for it alone: that needs the gate
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)


def _take(handle: int, kind: int, waits: Callable[[], None]) -> None:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        waits()
        fcntl.flock(handle, kind)


def _open(name: str) -> int:
    """Open a lock file, which stays: it is empty, and removing it would part those who hold it from those who come.

    Reading is all that a lock needs, so that the file of one user serves the others; a link in its place is not
    followed.
    """
    path = folder() / name
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
