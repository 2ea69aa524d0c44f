"""Which process this is, among all of all machines and restarts, and whether one is still there."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process. All but ``host`` and ``pid`` are "" where the system does not tell them (it is not Linux).

    ``machine``: its id, which survives restarts. ``boot``: an id of its last start. ``namespace``: in which ``pid`` is
    counted; containers have their own. ``started``: when, in ticks since the machine's start. A number that is given
    again to another process comes with another start.
    """

    host: str
    machine: str
    boot: str
    namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @staticmethod
    def this() -> Process:
        """Return this process."""
        pid = os.getpid()
        return Process(
            socket.gethostname(),
            _text("/etc/machine-id"),
            _text("/proc/sys/kernel/random/boot_id"),
            _target("/proc/self/ns/pid"),
            pid,
            _stat(pid)[1],
        )

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> Process:
        """Read what ``to_text`` gave."""
        return Process(**json.loads(text))

    def is_alive(self, here: Process) -> bool | None:
        """Whether it is there still, as the process ``here`` can tell; None where it cannot: it is elsewhere."""
        if self.boot == here.boot and self.namespace == here.namespace and (self.boot or self.host == here.host):
            state, started = _stat(self.pid)
            if not started and not Path("/proc/self/stat").exists():
                return _answers(self.pid)
            return started == self.started and state not in ("Z", "X", "")
        same_machine = bool(self.machine) and (self.host, self.machine) == (here.host, here.machine)
        if same_machine and self.boot and here.boot and self.boot != here.boot:
            return False  # the machine was started anew since
        return None


def _stat(pid: int) -> tuple[str, str]:
    """State (Z: ended, not yet cleared away) and start of a process; "" and "" if there is none (proc(5))."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if fields else ("", "")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
