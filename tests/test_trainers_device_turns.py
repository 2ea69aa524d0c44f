"""Trainings share a device, a measurement has it alone."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from trainers import device_turns
from trainers.device_turns import turns

SOON = 20  # seconds that a thread is given; nothing is asserted about how fast it is


@contextmanager
def measuring(device: str, told: list[str]) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A measurement in another thread: an event when it has the device, and one that ends it."""
    has, end = threading.Event(), threading.Event()

    def work() -> None:
        with turns(device) as turn, turn.alone(told.append):
            has.set()
            end.wait(SOON)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield has, end
    finally:
        end.set()
        thread.join(SOON)
        assert not thread.is_alive()


def test_trainings_share() -> None:
    with turns("a") as one, turns("a") as two, one.shared(), two.shared():
        pass


def test_a_measurement_waits_for_a_training_to_give_way_and_says_so() -> None:
    told: list[str] = []
    settled: list[bool] = []
    with turns("a") as training, training.shared():
        training.give_way(lambda: settled.append(True))
        assert not settled  # nobody waited
        with measuring("a", told) as (has, end):
            while not told:
                time.sleep(0.01)
            assert told == ["waiting for trainings on a to pause"]
            assert not has.is_set()

            def settle() -> None:
                settled.append(True)
                assert not has.is_set()  # not before the device is settled
                threading.Timer(0.05, end.set).start()

            training.give_way(settle)
            assert settled == [True]
            assert has.is_set()  # it was let in, and has ended: the training goes on


def test_a_second_measurement_waits_for_the_first() -> None:
    told: list[str] = []
    with turns("a") as first, ExitStack() as stack:
        with first.alone():
            has, _ = stack.enter_context(measuring("a", told))
            while not told:
                time.sleep(0.01)
            assert told == ["waiting for another measurement on a to end"]
            assert not has.is_set()
        assert has.wait(SOON)


def test_other_devices_are_not_held_off() -> None:
    with turns("cuda GPU-1") as first, first.alone(), measuring("cuda GPU-2", []) as (has, _):
        assert has.wait(SOON)


def test_a_training_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(device_turns, "PATIENCE_SECONDS", 0.05)
    with turns("a") as first, first.alone(), turns("a") as training, training.shared():
        pass
    assert "the training goes on beside it" in caplog.text
    with turns("a") as other, other.alone():  # and left no lock behind
        pass


def test_a_measurement_that_is_killed_lets_go() -> None:
    code = (
        "import pathlib, sys, time\n"
        "from trainers import device_turns\n"
        "device_turns.folder = lambda: pathlib.Path(sys.argv[1])\n"
        "with device_turns.turns('a') as turn, turn.alone():\n print('has', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(device_turns.folder())], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "has\n"
        told: list[str] = []
        with measuring("a", told) as (has, _):
            while not told:
                time.sleep(0.01)
            assert not has.is_set()
            process.kill()
            assert has.wait(SOON)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_turns, "folder", lambda: tmp_path)
    (tmp_path / "target").touch()
    (tmp_path / "inception-nas-a.gate").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"), turns("a"):
        pass
