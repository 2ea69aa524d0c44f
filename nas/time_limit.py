"""A limit on the time that a job may take in a worker's process, kept even where the process hangs.

The standard library's ``faulthandler`` ends the process from a thread that needs no interpreter, so that a deadlock in
native code is ended too. The next process of the same job finds the marker that the first one left, and knows by the
machine's monotonic clock (which no change of the date moves) that the time was up, and not something else the end.
"""

import faulthandler
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from search_spaces.files import write_files

MARKER, TRACE = "limit.json", "hung.txt"
BOOT = Path("/proc/sys/kernel/random/boot_id")


class TimeLimit:
    """Counts the time of a job. ``token``: of the job; ``seconds``: that it may take, from its first process on."""

    def __init__(self, folder: Path, token: str, seconds: float) -> None:
        self.folder, self.token, self.seconds = folder, token, seconds
        self._trace: TextIO | None = None

    @property
    def passed(self) -> bool:
        """Whether an earlier process of this job was ended because its time was up."""
        return self._left() <= 0

    @property
    def trace(self) -> str | None:
        """Where that process was."""
        try:
            return (self.folder / TRACE).read_text(encoding="utf-8", errors="replace") or None
        except OSError:
            return None

    def start(self) -> None:
        """From now on the process ends when the time is up."""
        left = self._left()
        self.folder.mkdir(parents=True, exist_ok=True)
        if left == self.seconds:
            marker = {"token": self.token, "boot": _boot(), "until": time.monotonic() + self.seconds}
            write_files(self.folder, {MARKER: json.dumps(marker).encode()})
        self._trace = (self.folder / TRACE).open("w", encoding="utf-8")
        faulthandler.dump_traceback_later(left, exit=True, file=self._trace)

    def end(self) -> None:
        """The job has ended: nothing is counted any more."""
        if self._trace is not None:
            faulthandler.cancel_dump_traceback_later()
            self._trace.close()
            self._trace = None
            for name in (MARKER, TRACE):
                (self.folder / name).unlink(missing_ok=True)
            with suppress(OSError):  # other files are there: it is the trial's own folder
                self.folder.rmdir()

    def _left(self) -> float:
        """Seconds that are left to this job; all of them where no process of it has begun on this machine."""
        try:
            marker = json.loads((self.folder / MARKER).read_text(encoding="utf-8"))
            if (marker["token"], marker["boot"]) == (self.token, _boot()):
                return float(marker["until"]) - time.monotonic()
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or not whole
        return self.seconds


def _boot() -> str:
    """Which start of which machine this is."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:  # no Linux: the clock begins anew with the machine, which is then not noticed
        return ""
