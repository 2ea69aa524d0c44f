"""One driver per study: races, killed and sleeping drivers, other machines; with real processes."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledgers import OBJECTIVES, SEARCH, VALUES, running

from results import ledger_lease
from results.ledger import Ledger, LedgerError
from results.ledger_tables import leases
from results.outcome import Measurement, Outcome
from results.process import Process

ROOT = Path(__file__).resolve().parents[1]
HERE = Process.this()
ELSEWHERE = replace(HERE, host="elsewhere", machine="another", boot="another", pid=1)

# A driver that holds the study and records an epoch for each line that it is sent; it says what came of it.
DRIVER = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from results import ledger_lease
from results.ledger import Ledger, LedgerError, Measurement
ledger_lease.BEAT_SECONDS = 0.05
with Ledger.open(sys.argv[1]) as ledger, ledger.hold("digits"):
    print("holds", flush=True)
    for epoch, line in enumerate(sys.stdin, 1):
        try:
            ledger.record_measurement("digits", 0, Measurement(0, epoch, {{"error": 0.5}}, 1.0))
        except LedgerError as error:
            print(error, flush=True)
        else:
            print("recorded", flush=True)
"""


@pytest.fixture
def ledger(place):
    with Ledger.open(place, create=True) as opened:
        opened.create_study("digits", SEARCH, OBJECTIVES, {}, "data-1")
        opened.start_trial(running(0))
        yield opened


class Driver:
    """A driver in a process of its own."""

    def __init__(self, place):
        command = [sys.executable, "-c", DRIVER, str(place)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.said() == "holds"

    def said(self):
        return self.process.stdout.readline().strip()

    def record(self):
        print("record", file=self.process.stdin, flush=True)
        return self.said()

    def stop(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()


@pytest.fixture
def driver(ledger, place):
    driver = Driver(place)
    yield driver
    driver.stop()


def forge(ledger, **holder):
    """Write a holder into the lease of "digits", as a driver would have that was this process but for `holder`."""
    text = replace(HERE, **holder).to_text()
    with ledger._database.writing("digits") as connection:
        connection.execute(leases.delete())
        connection.execute(leases.insert().values(study="digits", epoch=7, beats=3, holder=text))


def epoch(ledger):
    with ledger._reading() as connection:
        return connection.execute(leases.select()).one().epoch


def beats(ledger):
    with ledger._reading() as connection:
        return connection.execute(leases.select()).one().beats


# Processes


def test_a_process_is_known_again():
    assert Process.from_text(HERE.to_text()) == HERE
    assert HERE.is_alive(HERE) is True
    assert re.fullmatch(rf"process {os.getpid()} on \S+", str(HERE))


def test_a_process_that_was_killed_is_not_alive_even_before_it_is_cleared_away():
    child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=-1)
    child.stdout.readline()
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    process = replace(HERE, pid=child.pid, started=stat.rpartition(")")[2].split()[19])
    assert process.is_alive(HERE) is True
    child.kill()
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert process.is_alive(HERE) is False
    child.communicate()
    assert process.is_alive(HERE) is False


@pytest.mark.parametrize(
    ("change", "alive"),
    [
        ({"started": "1"}, False),  # the number was given again to us
        ({"boot": "an earlier one"}, False),  # the machine was started anew
        ({"machine": "another", "boot": "another"}, None),  # of the same name
        ({"host": "elsewhere", "boot": "another"}, None),
        ({"namespace": "pid:[1]"}, None),  # another container of this machine: its numbers are not ours
        ({"host": "renamed"}, True),
    ],
)
def test_who_is_alive_is_told_by_more_than_a_number(change, alive):
    assert replace(HERE, **change).is_alive(HERE) is alive


@pytest.mark.parametrize(
    ("change", "change_here"),
    [
        ({"machine": "", "boot": "another"}, {"machine": ""}),  # two machines of one name may have no id
        ({"boot": ""}, {}),
        ({}, {"boot": ""}),
    ],
)
def test_what_the_system_does_not_tell_ends_no_process(change, change_here):
    here = replace(HERE, machine="one", boot="a start")
    assert replace(here, **change).is_alive(replace(here, **change_here)) is None


# One driver


def test_a_second_driver_is_refused_with_the_first_ones_host_and_process(ledger, place, driver):
    before = ledger.trials("digits")
    sentence = f"study 'digits' is being searched by process {driver.process.pid} on {HERE.host}: wait for it"
    with pytest.raises(LedgerError, match=re.escape(sentence)), ledger.hold("digits"):
        pass
    for write in (  # without a lease nobody writes either
        lambda: ledger.create_study("digits", SEARCH | {"trials": 99}, OBJECTIVES, {}),
        lambda: ledger.start_trial(running(1)),
        lambda: ledger.record_measurement("digits", 0, Measurement(0, 1, {}, 1.0)),
        lambda: ledger.finish_trial("digits", 0, Outcome.BROKEN),
        lambda: ledger.set_state("digits", "stopped"),
    ):
        with pytest.raises(LedgerError, match=re.escape(sentence)):
            write()
    assert (ledger.trials("digits"), ledger.study("digits").state) == (before, "running")
    assert driver.record() == "recorded"
    ledger.create_study("other", SEARCH, OBJECTIVES, {})  # other studies are free
    with ledger.hold("other"):
        ledger.start_trial(running(0, study="other"))


def test_a_driver_that_ends_leaves_the_study_free(ledger, driver):
    driver.process.stdin.close()
    assert driver.process.wait(30) == 0
    with ledger.hold("digits"):
        ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)
        assert epoch(ledger) == 2
    with pytest.raises(ZeroDivisionError), ledger.hold("digits"):
        raise ZeroDivisionError
    ledger.set_state("digits", "complete")


def test_a_killed_driver_is_succeeded_at_once(ledger, driver):
    assert driver.record() == "recorded"
    driver.process.kill()
    while driver.process.poll() is None:
        time.sleep(0.01)
    with ledger.hold("digits", stale_seconds=3600):
        ledger.record_measurement("digits", 0, Measurement(0, 2, {"error": 0.25}, 1.0))
    assert [m.epoch for m in ledger.trial("digits", 0).measurements] == [1, 2]


def test_a_sleeping_driver_of_this_machine_is_not_succeeded(ledger, driver):
    driver.process.send_signal(signal.SIGSTOP)
    with pytest.raises(LedgerError, match=f"by process {driver.process.pid} on"), ledger.hold("digits"):
        pass
    driver.process.send_signal(signal.SIGCONT)
    assert driver.record() == "recorded"


@pytest.mark.parametrize("holder", [{"started": "1"}, {"boot": "an earlier one"}, {"pid": 2**22 + 1}])
def test_a_lease_of_who_is_gone_is_taken_over_at_once(ledger, holder):
    forge(ledger, **holder)
    with ledger.hold("digits", stale_seconds=3600):
        assert epoch(ledger) == 8
        ledger.set_state("digits", "stopped")


def test_the_holder_is_told_while_it_is_alive(ledger, driver):
    assert ledger.holder("digits").pid == driver.process.pid
    assert ledger.holder("nobody's") is None
    driver.process.kill()
    driver.process.wait(30)
    assert ledger.holder("digits") is None


# Other machines


def test_a_holder_on_another_machine_is_told(ledger):
    forge(ledger, host="elsewhere", machine="another", boot="another")
    assert str(ledger.holder("digits")) == f"process {HERE.pid} on elsewhere"


def test_a_silent_driver_of_another_machine_is_succeeded_after_a_while(ledger, caplog):
    forge(ledger, **{key: getattr(ELSEWHERE, key) for key in ("host", "machine", "boot", "pid")})
    since = time.monotonic()
    with ledger.hold("digits", stale_seconds=0.5):
        assert time.monotonic() - since >= 0.5
        assert epoch(ledger) == 8
    assert "study digits is held by process 1 on elsewhere: watching for 0 s" in caplog.text


def test_a_driver_of_another_machine_that_gives_signs_of_life_is_not_succeeded(ledger, driver):
    with (
        pytest.raises(LedgerError, match=f"is being searched by process {driver.process.pid} on"),
        ledger.hold("digits", ELSEWHERE, stale_seconds=5.0),
    ):
        pass
    assert driver.record() == "recorded"


def test_a_driver_that_slept_through_the_loss_of_its_study_is_refused_when_it_wakes(ledger, place, driver):
    assert driver.record() == "recorded"
    driver.process.send_signal(signal.SIGSTOP)
    with ledger.hold("digits", ELSEWHERE, stale_seconds=0.5):
        ledger.record_measurement("digits", 0, Measurement(0, 2, {"error": 0.25}, 2.0))
        before = ledger.trials("digits")
        driver.process.send_signal(signal.SIGCONT)
        lost = "this process lost the study 'digits' to process 1 on elsewhere while it did not answer"
        assert driver.record().startswith(lost)
        assert ledger.trials("digits") == before
        driver.process.stdin.close()
        assert driver.process.wait(30) == 0  # it leaves without giving back what is not its own
        assert epoch(ledger) == 2
        with Ledger.open(place) as third, pytest.raises(LedgerError, match="by process 1 on elsewhere"):
            third.set_state("digits", "stopped")
        ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)


# Races


def _race(place, rounds, start, tried, dead, won):
    """Try to hold the study in each round, while all others do; say in which rounds it was held."""
    with Ledger.open(place) as ledger:
        for number in range(rounds):
            if number % 2 and dead is not None:  # every second time a dead driver is to be succeeded
                forge(ledger, **dead)
            start.wait()
            with ExitStack() as stack:
                try:
                    stack.enter_context(ledger.hold("digits"))
                except LedgerError:
                    pass
                else:
                    ledger.record_measurement("digits", 0, Measurement(0, number, {"error": 0.5}, float(os.getpid())))
                    won.put((number, os.getpid()))
                tried.wait()


def test_of_many_drivers_exactly_one_gets_the_study(ledger, place):
    rounds, drivers = 50, 3
    spawn = multiprocessing.get_context("spawn")
    start, tried, won = spawn.Barrier(drivers, timeout=60), spawn.Barrier(drivers, timeout=60), spawn.Queue()
    processes = [
        spawn.Process(target=_race, args=(place, rounds, start, tried, {"started": "1"} if first else None, won))
        for first in (True, False, False)
    ]
    for process in processes:
        process.start()
    winners = [won.get(timeout=60) for _ in range(rounds)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * drivers
    assert won.empty()
    assert sorted(number for number, _ in winners) == list(range(rounds))
    recorded = [(m.epoch, m.seconds) for m in ledger.trial("digits", 0).measurements]
    assert recorded == sorted((number, float(pid)) for number, pid in winners)


@pytest.mark.parametrize(
    "error",
    [
        LedgerError("the disk is full"),
        sa.exc.InterfaceError("UPDATE leases", {}, Exception("the disk is full")),  # as psycopg's, without a sentence
        sa.exc.DBAPIError("UPDATE leases", {}, Exception("the disk is full")),
        sa.exc.TimeoutError("the disk is full"),  # of the pool of connections
    ],
    ids=lambda error: type(error).__name__,
)
def test_signs_of_life_that_cannot_be_given_are_no_end(error, ledger, monkeypatch, caplog):
    monkeypatch.setattr(ledger_lease, "BEAT_SECONDS", 0.01)
    with ledger.hold("digits"):
        inner, failures = ledger._database.writing, []

        def failing(what):
            failures.append(what)
            raise error

        monkeypatch.setattr(ledger._database, "writing", failing)
        while len(failures) < 2:
            time.sleep(0.01)
        monkeypatch.setattr(ledger._database, "writing", inner)
        before = beats(ledger)
        while beats(ledger) == before:  # it goes on
            time.sleep(0.01)
        ledger.set_state("digits", "stopped")
    assert re.search("no sign of life could be given for study digits: .*the disk is full", caplog.text)
    assert json.loads(HERE.to_text())["pid"] == os.getpid()


def test_a_study_that_cannot_be_given_back_is_told_and_no_more(ledger, monkeypatch, caplog):
    def failing(what):
        raise sa.exc.InterfaceError("UPDATE leases", {}, Exception("the connection is closed"))

    with ledger.hold("digits"):
        monkeypatch.setattr(ledger._database, "writing", failing)
    assert "study digits was not given back: " in caplog.text
