"""Faults of searches on Ray: their driver, workers and nodes are killed, and a trial hangs."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

from benchmarks.faults.inside import WORKER
from benchmarks.faults.processes import Driver, descendants, left_over
from benchmarks.faults.table import Row
from benchmarks.faults.toy import Bench, Judge, Toy
from benchmarks.faults.warm import environment

LOST_WORKERS = 2  # times that a search bears the loss of one trial's worker
LIMIT_SECONDS = 30.0  # of a trial that hangs: longer than the others take on a busy machine
OVER_SECONDS = 5.0  # beyond it, when its process must be gone
SLOW_SECONDS = 0.3  # an epoch more, so that kills strike within


def driver(row: Row, bench: Bench, count: int) -> None:
    """Kill one driver after another, at random moments, while trials have children of their own."""
    draw, search = random.Random(bench.random_seed), 0
    while row.tried < count:
        toy = bench.toy("ray", random_seed=search % 2)
        judge = Judge(row, bench, toy, at_once=2)
        plan = toy.plan(children=2, slow=SLOW_SECONDS)
        while True:
            running = toy.start_cold(bench.warm, plan)
            if row.tried + judge.faults >= count:
                break
            _wait_for_lines(running, toy, len(toy.lines()) + draw.randrange(8))
            if running.ends_within(draw.uniform(0, 1)):
                break
            running.kill()
            judge.struck(running)
        _ended(judge, running)
        search += 1


def worker(row: Row, bench: Bench, count: int) -> None:
    """Kill workers in the middle of epochs; the same trial's no more often than a search bears."""
    draw, search = random.Random(bench.random_seed), 0
    while row.tried < count:
        toy = bench.toy("ray, long" if count > 8 else "ray", random_seed=search % 2)
        judge = Judge(row, bench, toy)
        running, killed, seen = toy.start_cold(bench.warm, toy.plan(slow=SLOW_SECONDS)), Counter[int](), 0
        while row.tried + judge.faults < count and not running.ends_within(0.02):
            new = toy.lines()[seen:]
            seen += len(new)
            last = new[-1] if new else {"what": "nothing"}
            if last["what"] == "begin" and killed[last["trial"]] < LOST_WORKERS and draw.random() < 0.7:
                time.sleep(draw.uniform(0, 1.2 * SLOW_SECONDS))
                since = len(toy.lines())
                with suppress(ProcessLookupError):
                    os.kill(last["pid"], signal.SIGKILL)
                    killed[last["trial"]] += 1
                    judge.struck(since=since)
        _ended(judge, running)
        search += 1


def worker_points(row: Row, bench: Bench, count: int) -> None:
    """Kill a worker at each named point of its own."""
    for number, point in enumerate(WORKER[:count] if count < len(WORKER) else WORKER):
        toy = bench.toy("ray", random_seed=number % 2)
        once = toy.folder / "killed"
        running = toy.start_cold(bench.warm, toy.plan(kill={"at": point, "nth": 1, "once": str(once), "worker": True}))
        judge = Judge(row, bench, toy, faults=1)
        _ended(judge, running)
        if not once.exists():
            row.survived -= 1
            row.note(f"{point}: never passed")
        elif judge.wrong:
            row.note(f"({point})")


def node(row: Row, bench: Bench, count: int) -> None:
    """Kill nodes of a cluster, each with all that runs there; another one comes in its place."""
    draw = random.Random(bench.random_seed)
    toy = bench.toy("ray, long" if count > 1 else "ray")
    command = [sys.executable, "-m", "benchmarks.faults.cluster"]
    plan, before = toy.plan(slow=SLOW_SECONDS), descendants()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(bench.warm.folder, plan),
        text=True,
        start_new_session=True,
    ) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        running = toy.start_cold(bench.warm, plan, f"ray.address={cluster.stdout.readline().strip()}")
        judge = Judge(row, bench, toy)
        for _ in range(count):
            _wait_for_lines(running, toy, len(toy.lines()) + draw.randint(6, 10))
            if running.ends_within(draw.uniform(0, SLOW_SECONDS)):
                break
            since, workers = len(toy.lines()), _workers(toy)
            cluster.stdin.write("kill\n")
            cluster.stdin.flush()
            cluster.stdout.readline()
            until = time.monotonic() + OVER_SECONDS
            while _workers(toy) >= workers and time.monotonic() < until:  # a worker outlives its node for a moment
                time.sleep(0.05)
            judge.struck(since=since)
        status = running.wait(240)
        cluster.communicate()
    _count_left(judge, before)
    judge.ended(running, status)


def _workers(toy: Toy) -> set[int]:
    """The processes that have trained something and are alive."""
    return {line["pid"] for line in toy.lines() if os.path.exists(f"/proc/{line['pid']}")}


def hung(row: Row, bench: Bench, count: int) -> None:
    """Let a trial hang in native code, with the interpreter held and all signals blocked."""
    for number in range(count):
        executor = {"name": "ray_tune", "workers": 2, "trial_limit_s": LIMIT_SECONDS}
        toy = bench.toy("ray", random_seed=number, executor=executor)
        others = bench.undisturbed("ray", number)[0]
        hangs = [trial["number"] for trial in others if trial["outcome"] == "complete"][1]
        running = toy.start_cold(bench.warm, toy.plan(hang={"trial": hangs}))
        judge = Judge(row, bench, toy, faults=1)
        begun = None
        while begun is None and not running.ends_within(0.05):
            begun = next((line for line in toy.lines() if line["trial"] == hangs), None)
        since = time.monotonic()
        while begun is not None and os.path.exists(f"/proc/{begun['pid']}") and not running.ended:
            if time.monotonic() - since > LIMIT_SECONDS + OVER_SECONDS:
                judge.wrong.append(f"a hung trial is there {OVER_SECONDS:g} s after its limit")
                break
            time.sleep(0.05)
        _ended(judge, running, [trial for trial in others if trial["number"] != hangs], more=1)
        outcomes = {trial.number: trial.outcome.value for trial in toy.trials()}
        if outcomes.get(hangs) != "timed-out":
            row.survived -= not judge.wrong
            row.note(f"the hung trial is {outcomes.get(hangs)}")


def _ended(judge: Judge, running: Driver, expected: list[dict[str, object]] | None = None, more: int = 0) -> None:
    status = running.wait(240)
    _count_left(judge, running.before)
    judge.ended(running, status, expected, more)


def _count_left(judge: Judge, before: set[int]) -> None:
    if left := left_over(before):
        judge.row.processes_left += len(left)
        judge.wrong.append(f"left after the end: {', '.join(left)}")


def _wait_for_lines(running: Driver, toy: Toy, count: int) -> None:
    while len(toy.lines()) < count and not running.ends_within(0.05):
        pass
