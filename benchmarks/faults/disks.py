"""Disks that are full or read-only, power that is cut, and checkpoints that were damaged."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.inside import ODD
from benchmarks.faults.table import Row
from benchmarks.faults.toy import ROOT, STUDY, Bench, Judge

ROOMY = "64m"
CUTS = 16  # parts of a file, at each of which it is cut off; and before its last byte
AFTER_CHECKPOINT = "after the checkpoint, before anybody knows"


def may_mount(row: Row) -> bool:
    """Whether file systems can be mounted here; else the row is skipped."""
    if os.geteuid() == 0 and shutil.which("mount"):
        tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return True
    row.skipped = "mounting file systems is root's"
    return False


@contextmanager
def _small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def _again(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


def full(row: Row, bench: Bench, count: int) -> None:
    """Let the disk fill up at different moments of a search; then there is room again. Every third is on Ray."""
    if not may_mount(row):
        return
    draw = random.Random(bench.random_seed)
    for number in range(count):
        with _small_disk(bench.folder / "disk", ROOMY) as disk:
            variant = "ray" if number % 3 == 2 else ("genetic", "rungs")[number % 3]
            toy = bench.toy(variant, random_seed=number % 2, folder=disk)
            judge = Judge(row, bench, toy, at_once=2 if variant == "ray" else 1)
            room = draw.choice((draw.uniform(60, 300), draw.uniform(300, 3000)))  # KiB: for the ledger, for checkpoints
            used = sum(path.stat().st_blocks for path in toy.folder.iterdir()) // 2
            _again(disk, f"size={used + int(room)}k")
            start = toy.start_cold if variant == "ray" else toy.start
            driver = start(bench.warm)
            status = driver.wait(240)
            _told(judge, status, driver.output, "space", at_end=f"{room:.0f} KiB were enough")
            _again(disk, f"size={ROOMY}")
            judge.struck(driver)
            driver = start(bench.warm)
            judge.ended(driver, driver.wait(240))
            if judge.wrong:
                row.note(f"(search {number}, {variant}, {room:.0f} KiB)")


def read_only(row: Row, bench: Bench, count: int) -> None:
    """Kill a driver and make its runs folder read-only: nothing is trained then, all can be seen, and it goes on."""
    if not may_mount(row):
        return
    draw = random.Random(bench.random_seed)
    for number in range(count):
        with _small_disk(bench.folder / "disk", ROOMY) as disk:
            toy = bench.toy("genetic", random_seed=number % 2, folder=disk)
            judge = Judge(row, bench, toy, faults=1)  # the kill
            driver, wanted = toy.start(bench.warm), draw.randint(1, 12)
            while len(toy.lines()) < wanted and not driver.ends_within(0.02):
                pass
            driver.kill()
            _again(disk, "ro")
            trained = len(toy.lines())
            refused = toy.start(bench.warm)
            _told(judge, refused.wait(), refused.output, "written", "Read-only", "read-only")
            if len(toy.lines()) != trained:
                judge.wrong.append("it trained although nothing can be written")
            for command in ("status", "pareto"):
                viewer = bench.warm.start(toy.folder, [command, STUDY], toy.plan())
                if viewer.wait() != 0:
                    judge.wrong.append(f"nas {command} on a read-only disk: {viewer.output[-300:]}")
            _again(disk, "rw")
            judge.struck(driver)
            driver = toy.start(bench.warm)
            judge.ended(driver, driver.wait())


def _told(judge: Judge, status: int | None, output: str, *words: str, at_end: str = "") -> None:
    """A search that cannot write ends with a sentence, and no traceback."""
    if status == 0 and at_end:
        judge.row.note(at_end)
    elif status not in (1, 2):
        judge.wrong.append(f"exit status {status}: {output.strip()[-300:]}")
    elif "Traceback" in output or not any(word in output for word in words):
        judge.wrong.append(f"it said: {output.strip()[-300:]}")


def power_cut(row: Row, bench: Bench, count: int) -> None:
    """Replay a ledger's writes, forgetting what was not synced, at every acknowledgement (the tests' own shim)."""
    if shutil.which("strace") is None:
        row.skipped = "there is no strace"
        return
    sys.path.append(str(ROOT / "tests"))
    from test_results_ledger_durability import TRIALS, lost

    place = bench.folder / "power"
    place.mkdir()
    found = lost(place, "user_version")
    row.trials_lost += len(found)
    row.tried, row.survived = TRIALS, TRIALS - len(found)
    row.note(*(f"at trial {number}: {what}" for number, what in found))


# --------------------------------------------------------------------------------------------------------- checkpoints


def cut_off(row: Row, bench: Bench, count: int) -> None:
    """Cut the newest checkpoint off at every sixteenth and before its last byte."""
    _damage(row, bench, [(part, None) for part in range(CUTS + 1)][-count:])


def flipped(row: Row, bench: Bench, count: int) -> None:
    """Flip one bit of the newest checkpoint: a few in its header, the others anywhere."""
    draw = random.Random(bench.random_seed)
    _damage(
        row, bench, [(None, (draw.random() * (0.002 if n % 8 == 0 else 1), draw.randrange(8))) for n in range(count)]
    )


def all_damaged(row: Row, bench: Bench, count: int) -> None:
    """Damage both checkpoints of a trial: it is trained anew, and nothing else is."""
    _damage(row, bench, [(part * CUTS // count, None) for part in range(count)], newest_only=False)


def _damage(
    row: Row,
    bench: Bench,
    damages: list[tuple[int | None, tuple[float, int] | None]],
    *,
    newest_only: bool = True,
) -> None:
    killed = bench.toy("pair")
    once = str(killed.folder / "killed")
    driver = killed.start(bench.warm, killed.plan(kill={"at": AFTER_CHECKPOINT, "nth": 2, "once": once}))
    driver.wait()
    for part, bit in damages:
        toy = bench.toy("pair")
        shutil.copytree(killed.runs, toy.runs)
        shutil.copyfile(killed.log, toy.log)
        found = sorted((toy.runs / STUDY / "trials").glob("*/checkpoint/*/epoch-*.safetensors"))
        assert len(found) == 2, found
        for path in found[-1:] if newest_only else found:
            content = bytearray(path.read_bytes())
            if part is not None:
                del content[len(content) * part // CUTS - (part == CUTS) :]
            elif bit is not None:
                content[int(bit[0] * len(content))] ^= 1 << bit[1]
            path.write_bytes(content)
        Judge(row, bench, toy, at_once=1 if newest_only else 2).resumed(f"cut at {part}/{CUTS}, bit {bit}")


# -------------------------------------------------------------------------------------------------------------- values


def odd_values(row: Row, bench: Bench, count: int) -> None:
    """Let one trial's loss or value be no finite number, or its memory not do: it ends so, and the others go on."""
    wanted = {how: "out-of-memory" if how == "no memory" else "diverged" for how in ODD}
    for number in range(count):
        how = ODD[number % len(ODD)]
        everybody = bench.undisturbed("random", number % 2)[0]
        odd = [trial["number"] for trial in everybody if trial["outcome"] == "complete"][1]
        toy = bench.toy("random", random_seed=number % 2)
        driver = toy.start(bench.warm, toy.plan(odd={"trial": odd, "how": how}))
        judge = Judge(row, bench, toy, at_once=0, faults=1)
        status = driver.wait()
        outcome = {trial.number: trial.outcome.value for trial in toy.trials()}.get(odd)
        if outcome != wanted[how]:
            judge.wrong.append(f"{how}: the trial is {outcome}")
        shown = bench.warm.start(toy.folder, ["pareto", STUDY, "--json"], toy.plan())
        shown.wait()
        try:
            front = json.loads(shown.output, parse_constant=_no_number)["front"]
        except ValueError as error:
            judge.wrong.append(f"{how}: nas pareto --json: {error}")
        else:
            if odd in [member["number"] for member in front]:
                judge.wrong.append(f"{how}: the trial is on the front")
        judge.ended(driver, status, [trial for trial in everybody if trial["number"] != odd], more=1)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
