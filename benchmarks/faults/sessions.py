"""Two drivers at once, drivers that sleep, and drivers that are asked to end by a terminal or the system."""

import os
import pty
import random
import signal
import threading
import time
from contextlib import suppress

from benchmarks.faults.processes import Driver, left_over
from benchmarks.faults.table import Row
from benchmarks.faults.toy import Bench, Judge, Toy
from benchmarks.faults.warm import TERMINAL
from nas.executors.guard import with_descendants

CTRL_C = b"\x03"
TWICE = "Ctrl-C twice"
ENDS = ("Ctrl-C", "SIGHUP: the terminal closes", TWICE, "SIGTERM")
TO_ALL = "SIGTERM to all"
REFUSED = "is being searched by process"
LOCKED = "was locked by another program"  # what a driver says that met one that sleeps in the middle of a commit
GRACE_SECONDS = 20.0  # to the end of a running epoch and of Ray, on a busy machine


def two_drivers(row: Row, bench: Bench, count: int) -> None:
    """Start two drivers of one study in the same moment: one searches, the other one is refused with its number."""
    draw = random.Random(bench.random_seed)
    for number in range(count):
        toy = bench.toy("pair", random_seed=number % 4)
        judge = Judge(row, bench, toy, at_once=0, faults=1)
        both = [toy.start(bench.warm, held=True) for _ in range(2)]
        for driver in draw.sample(both, 2):
            driver.send(signal.SIGCONT)
            time.sleep(draw.choice((0.0, draw.uniform(0, 0.1))))
        statuses = [driver.wait() for driver in both]
        winner = both[statuses.index(0)] if 0 in statuses else both[0]
        loser = both[1 - both.index(winner)]
        told = loser.output
        if sorted(statuses, key=str) != [0, 2] or f"{REFUSED} {winner.pid}" not in told:
            judge.wrong.append(f"exit statuses {statuses}: {told.strip()[-200:]}")
        judge.ended(winner, 0 if 0 in statuses else statuses[0])


def sleeping(row: Row, bench: Bench, count: int) -> None:
    """Stop a driver (SIGSTOP) and start another one, which is refused; then the first wakes up and goes on."""
    draw = random.Random(bench.random_seed)
    for number in range(count):
        toy = bench.toy("genetic", random_seed=number % 4)
        judge = Judge(row, bench, toy, at_once=0, faults=1)
        first, wanted = toy.start(bench.warm, toy.plan(slow=0.2)), draw.randint(1, 8)
        while len(toy.lines()) < wanted and not first.ends_within(0.01):
            pass
        first.ends_within(draw.uniform(0, 0.2))
        first.send(signal.SIGSTOP)
        second = toy.start(bench.warm)
        status = second.wait()
        said = second.output
        if status != 2 or not (f"{REFUSED} {first.pid}" in said or LOCKED in said):
            judge.wrong.append(f"a second driver: exit status {status}: {said.strip()[-200:]}")
        first.send(signal.SIGCONT)
        judge.ended(first, first.wait())


class _Terminal:
    """A terminal; what is shown there is read all the time, or a driver that shows much would wait."""

    def __init__(self) -> None:
        self.mine, self.other = pty.openpty()
        self.shown = b""
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    @property
    def device(self) -> str:
        return os.ttyname(self.other)

    def _read(self) -> None:
        with suppress(OSError):
            while piece := os.read(self.mine, 4096):
                self.shown += piece

    def write(self, keys: bytes) -> None:
        os.write(self.mine, keys)

    def close(self) -> None:
        """Close it, as a window that is closed: the system sends SIGHUP to what runs there."""
        for end in ("mine", "other"):
            if (number := getattr(self, end)) >= 0:
                os.close(number)
                setattr(self, end, -1)


def asked_to_end(row: Row, bench: Bench, count: int) -> None:
    """Ask drivers in terminals to end, in each way; the first ones train on Ray if there are more than that."""
    draw = random.Random(bench.random_seed)
    for number in range(count):
        how = ENDS[number % len(ENDS)]
        on_ray = number < len(ENDS) < count
        toy = bench.toy("ray" if on_ray else "genetic", random_seed=number % 2)
        judge = Judge(row, bench, toy, at_once=(2 if on_ray else 1) if how == TWICE else 0)
        _end(how, judge, bench, draw.randint(1, 6), on_ray=on_ray)


def all_asked_to_end(row: Row, bench: Bench, count: int) -> None:
    """Ask a driver that trains on Ray and all that it started to end, as ``timeout``, Slurm and systemd do."""
    draw = random.Random(bench.random_seed)
    for number in range(count):
        judge = Judge(row, bench, bench.toy("ray", random_seed=number % 2), at_once=0)
        _end(TO_ALL, judge, bench, draw.randint(1, 6), on_ray=True)


def _end(how: str, judge: Judge, bench: Bench, epochs: int, *, on_ray: bool) -> None:
    """Ask a driver to end after so many epochs, look at how it does, and let the search go on to its end."""
    toy, terminal = judge.toy, _Terminal()
    start = toy.start_cold if on_ray else toy.start
    driver = start(bench.warm, toy.plan(slow=0.2), **{TERMINAL: terminal.device})  # type: ignore[operator]
    while len(toy.lines()) < epochs and not driver.ends_within(0.01):
        pass
    since = time.monotonic()
    _ask(how, driver, terminal)
    if not driver.ends_within(GRACE_SECONDS):
        judge.wrong.append(f"{how}: not ended after {GRACE_SECONDS:g} s")
        driver.send(signal.SIGKILL)
    judge.row.note(f"{how}{' (Ray)' if on_ray else ''}: ended after {time.monotonic() - since:.1f} s")
    _check(how, judge, toy, driver, terminal)
    again = start(bench.warm)
    judge.ended(again, again.wait(240))


def _ask(how: str, driver: Driver, terminal: _Terminal) -> None:
    if how == "SIGTERM":
        driver.send(signal.SIGTERM)
    elif how == TO_ALL:
        for pid in with_descendants({driver.pid}):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    elif how.startswith("SIGHUP"):
        terminal.close()
    else:
        terminal.write(CTRL_C)
        if how == TWICE:
            time.sleep(0.1)
            terminal.write(CTRL_C)


def _check(how: str, judge: Judge, toy: Toy, driver: Driver, terminal: _Terminal) -> None:
    status = driver.wait(10)
    if left := left_over(driver.before):
        judge.row.processes_left += len(left)
        judge.wrong.append(f"{how}: left after 5 s: {', '.join(left)}")
    if status != 130:
        judge.wrong.append(f"{how}: exit status {status}: {terminal.shown.decode(errors='replace').strip()[-300:]}")
    elif toy.state() not in ("stopped", *(("running",) if how == TWICE else ())):  # no time to say so: readers see it
        judge.wrong.append(f"{how}: the study is {toy.state()}")
    if b"Traceback" in terminal.shown:
        judge.wrong.append(f"{how}: a traceback: {terminal.shown.decode(errors='replace')[-1500:]}")
    terminal.close()
    judge.struck()
