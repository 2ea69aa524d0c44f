"""Ctrl-C, SIGTERM, and SIGHUP of a terminal that closes: once asks for a clean end, twice ends at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from nas.terminal import leave, terminals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def give_up() -> None:
    """What a command does that cannot go on later: it ends as by Ctrl-C, and its files are removed on the way."""
    raise KeyboardInterrupt


class Interrupt:
    """While active, the first SIGINT, SIGTERM or SIGHUP calls ``stop``; a second one raises KeyboardInterrupt.

    A second one that is a SIGHUP does not: the kernel and the shell both send it when a terminal closes, and systemd
    sends it right after SIGTERM. Where SIGHUP is ignored (``nohup``), that stays so.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.asked = False
        self._before: dict[int, Any] = {}
        self._terminals = terminals()

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # elsewhere signals are the caller's business
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave(self._terminals)
        if self.asked:
            if number == signal.SIGHUP:
                return
            raise KeyboardInterrupt
        self.asked = True
        self.stop()
