"""The terminal that a search talks to may be closed while it runs: what it says from then on goes to nowhere."""

import errno
import os
import stat
from collections.abc import Iterable
from typing import Any, TextIO

STREAMS = (0, 1, 2)  # file descriptors


def terminals() -> list[int]:
    """The standard streams that are terminals."""
    return [stream for stream in STREAMS if os.isatty(stream)]


def leave(streams: Iterable[int]) -> None:
    """Send to nowhere what would go to those of some terminals that are gone, where writing is an error."""
    gone = [stream for stream in streams if not os.isatty(stream)]
    if gone:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in gone:
            os.dup2(nowhere, stream)
        os.close(nowhere)


class Lasting:
    """A stream that is written to as before, and to nowhere once its terminal is gone.

    A terminal can go in the middle of a write, before SIGHUP has told of it, and where SIGHUP is ignored (``nohup``)
    nothing tells of it: an error there must not end a search.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; return how much of it, as a file does."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._leave(error)
            return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        try:
            self._stream.flush()
        except OSError as error:
            self._leave(error)
            self._stream.flush()

    def _leave(self, error: OSError) -> None:
        # A terminal that is gone is a device still; of a file on a disk the same error is one.
        if error.errno != errno.EIO or not stat.S_ISCHR(os.fstat(self._stream.fileno()).st_mode):
            raise error
        leave([self._stream.fileno()])
