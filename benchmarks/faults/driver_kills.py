"""kill -9 of the driver, which trains in its own process: at random moments, at named points, at system calls."""

import random
import shutil
import signal
import subprocess
import time

from benchmarks.faults.inside import POINTS
from benchmarks.faults.table import Row
from benchmarks.faults.toy import Bench, Judge

VARIANTS = ("genetic", "rungs")
SYSTEM_CALLS = ("fsync", "fdatasync", "pwrite64", "rename", "unlink")  # of SQLite and of writing files


def at_random(row: Row, bench: Bench, count: int) -> None:
    """Kill one driver after another of a search until it is complete, then begin another search."""
    draw, search = random.Random(bench.random_seed), 0
    while row.tried < count:
        toy = bench.toy(VARIANTS[search % len(VARIANTS)], random_seed=search % 4)
        _, whole = bench.undisturbed(toy.variant, search % 4)
        judge = Judge(row, bench, toy)
        while True:
            driver = toy.start(bench.warm)
            wants_more = row.tried + judge.faults < count
            # Most of a search's work is behind it after a few of these; the longest reach beyond its end.
            if not wants_more or driver.ends_within(draw.uniform(0, whole * draw.choice((0.3, 0.6, 1.1)))):
                break
            driver.kill()
            judge.struck(driver)
        judge.ended(driver, driver.wait())
        shutil.rmtree(toy.folder)
        search += 1


def at_points(row: Row, bench: Bench, count: int) -> None:
    """Kill the driver at named points, all in turn, or some of them, at different passes."""
    draw, points = random.Random(bench.random_seed), tuple(POINTS)
    every = max(1, len(points) // count)
    for number in range(count):
        point, round_ = points[number * every % len(points)], number // len(points)
        toy = bench.toy(VARIANTS[round_ % len(VARIANTS)], random_seed=round_ % 4)
        for nth in (draw.randint(1, 4), 1):
            plan = toy.plan(kill={"at": point, "nth": nth, "once": str(toy.folder / "killed")})
            driver = toy.start(bench.warm, plan)
            if (status := driver.wait()) is None:
                break
            shutil.rmtree(toy.runs)  # such a search passes there less often
            toy.log.unlink()
        else:
            row.enter(1, [f"{point}: never passed ({status})"])
            continue
        Judge(row, bench, toy).resumed(point, driver)


def at_system_calls(row: Row, bench: Bench, count: int) -> None:
    """Kill the driver at the entry of system calls that write, ``count`` of them spread over a search."""
    if (strace := shutil.which("strace")) is None:
        row.skipped = "there is no strace"
        return
    draw = random.Random(bench.random_seed)
    for number in range(count):
        call, nth = SYSTEM_CALLS[number % len(SYSTEM_CALLS)], 1 + draw.randrange(40)
        while True:
            toy = bench.toy("genetic", random_seed=number % 4)
            driver = toy.start(bench.warm, held=True)
            inject = f"inject={call}:signal=KILL:when={nth}"
            tracer = subprocess.Popen(
                [strace, "-q", "-f", "-p", str(driver.pid), "-e", f"trace={call}", "-e", inject, "-o", "/dev/null"],
                stderr=subprocess.DEVNULL,
            )
            _attached(driver.pid)
            driver.send(signal.SIGCONT)
            status = driver.wait()
            tracer.wait(30)
            if status is None or nth == 1:
                break
            shutil.rmtree(toy.folder)  # so many are not made
            nth = max(1, nth // 2)
        if status is not None:
            row.enter(1, [f"{call} is never called"])
            continue
        Judge(row, bench, toy).resumed(f"{call} {nth}", driver)


def _attached(pid: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            if not any(line.split() == ["TracerPid:", "0"] for line in file):
                return
        time.sleep(0.01)
    raise TimeoutError("strace does not attach")
