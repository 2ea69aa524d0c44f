"""The guard ends what a driver left, orphans included, and nothing else."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.executors.guard import MARK, marked, watch_over

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
# A trial's worker that starts a process in a session of its own and is gone before anybody looks.
ORPHAN = (
    "import subprocess, sys; "
    "print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=-3, stderr=-3).pid)"
)


def orphan() -> int:
    return int(subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=True).stdout)


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_ends_orphans_that_it_never_saw_as_somebodys_children() -> None:
    with marked() as mark:
        left = orphan()
    stranger = orphan()
    with marked():
        anothers = orphan()
    try:
        guard = watch_over(set(), mark)
        assert guard is not None
        guard.communicate(timeout=60)
        deadline = time.monotonic() + 5
        while is_alive(left) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [is_alive(pid) for pid in (left, stranger, anothers)] == [False, True, True]
    finally:
        for pid in (left, stranger, anothers):
            subprocess.run(["kill", "-9", str(pid)], capture_output=True, check=False)


def test_the_mark_does_not_stay() -> None:
    shown = [sys.executable, "-c", f"import os; print(os.environ.get({MARK!r}))"]
    with marked() as mark:
        inside = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()
    outside = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()
    assert (inside, outside) == (mark, "None")
