"""Signals that ask a search to end: once cleanly, twice at once; a terminal that closes."""

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nas.interrupt import SIGNALS, Interrupt


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_of_each_asks_for_an_end(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    stops: list[int] = []
    with Interrupt(lambda: stops.append(1)) as interrupt:
        assert not interrupt.asked
        send(number)
        assert interrupt.asked
    assert stops == [1]
    assert {each: signal.getsignal(each) for each in SIGNALS} == before


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_one_ends_at_once_unless_a_terminal_closes(first: signal.Signals, second: signal.Signals) -> None:
    stops: list[int] = []
    raised = False
    with Interrupt(lambda: stops.append(1)):
        send(first)
        try:
            send(second)
        except KeyboardInterrupt:
            raised = True
    assert raised == (second != signal.SIGHUP)
    assert stops == [1]


def test_where_hangups_are_ignored_they_stay_so() -> None:
    """As ``nohup`` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt(lambda: pytest.fail("asked to end")) as interrupt:
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            send(signal.SIGHUP)
            assert not interrupt.asked
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_signals_are_the_caller_s_business() -> None:
    before, found = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with Interrupt(lambda: None):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


SCRIPT = """
import os, sys, time
from nas.interrupt import Interrupt
stopped = []
with Interrupt(lambda: stopped.append(1)):
    print("ready", flush=True)
    while not stopped:
        time.sleep(0.01)
    print("said where nobody listens", flush=True)
    print("and here", file=sys.stderr, flush=True)
    with open(sys.argv[1], "w") as file:
        file.write("ended")
"""


def test_a_search_ends_cleanly_though_its_terminal_has_gone(tmp_path: Path) -> None:
    """What it writes to the closed terminal after that is an error of the system's unless it goes elsewhere."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "end")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        said = b""
        while b"ready" not in said:
            said += os.read(ours, 1024)
        os.close(ours)  # the kernel sends SIGHUP
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "end").read_text() == "ended"
