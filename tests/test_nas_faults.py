"""Faults that a search must survive, each once or a few times; 'make faults' tries them by the hundred."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
    pytest.skip("needs Linux: /proc, pidfd_open and subreapers", allow_module_level=True)

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks.faults.processes import descendants, inheriting_orphans, kill
from benchmarks.faults.repeats import Repeat, Strike, repeats, unaccounted
from benchmarks.faults.rows import ROWS, Attempt
from benchmarks.faults.table import Row, Table
from benchmarks.faults.toy import Bench
from benchmarks.faults.warm import Warm

IN_OTHER_TESTS = {
    "ray-driver",  # test_nas_cluster.py
    "ray-node",  # test_nas_cluster.py
    "hung",  # test_nas_time_limit.py
    "power-cut",  # test_results_ledger_durability.py
    "ray-worker",  # test_nas_executors.py
    "ray-worker-points",
    "checkpoints",
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    before = descendants()
    # Not pytest's folder: the names of Ray's sockets, which lie below, would become too long.
    with TemporaryDirectory(prefix="faults-") as place, inheriting_orphans(), Warm(Path(place)) as warm:
        bench = Bench(Path(place), warm, random_seed=0)
        bench.warm_up()
        yield bench
        kill(descendants() - before - {warm.process.pid})


@pytest.mark.parametrize(
    "attempt", [attempt for attempt in ROWS if attempt.id not in IN_OTHER_TESTS], ids=lambda attempt: attempt.id
)
def test_a_fault_is_survived(bench: Bench, attempt: Attempt) -> None:
    row = Row(attempt.id, attempt.fault, attempt.what)
    attempt.function(row, bench, attempt.quick)
    if row.skipped:
        pytest.skip(row.skipped)
    assert row.tried >= 1
    assert row.survived == row.tried, row.notes
    assert row.trials_lost == row.trained_twice == row.processes_left == 0, row.notes
    assert row.epochs_unaccounted == 0, row.notes
    assert row.passed


def test_the_harness_sees_what_is_lost_and_trained_twice(bench: Bench) -> None:
    """A search that trains a finished trial anew, and one whose records differ, do not pass."""
    from benchmarks.faults.toy import Judge

    toy, row = bench.toy("pair"), Row("", "", "")
    toy.start(bench.warm).wait()
    judge = Judge(row, bench, toy)
    judge.look()
    shutil.rmtree(toy.runs)
    driver = toy.start(bench.warm)
    judge.ended(driver, driver.wait())
    assert not row.passed
    assert row.trials_lost >= 2  # they were recorded anew
    assert row.trained_twice == 2
    assert row.epochs_unaccounted == row.epochs_repeated > 0  # nothing struck


def test_epochs_that_were_begun_again_are_found_in_the_log() -> None:
    log = [("begin", 1, 0, 1), ("end", 1, 0, 1), ("begin", 1, 0, 2), ("begin", 1, 0, 2), ("begin", 1, 1, 2)]
    log += [("result", 1, 1, 0), ("begin", 1, 0, 2)]
    lines = [dict(zip(("what", "trial", "training", "epoch"), line, strict=True)) for line in log]
    assert repeats(lines) == [(2, 3), (3, 6)]


@pytest.mark.parametrize(
    ("repeated", "strikes", "at_once", "left"),
    [
        ([(4, 6)], [(5, 5)], 1, []),
        ([(4, 6)], [(4, 4)], 1, [(4, 6)]),  # it was begun after the fault
        ([(4, 6)], [(7, 7)], 1, [(4, 6)]),  # it was begun again before the fault
        ([(4, 6)], [(3, 5)], 1, []),  # begun while it struck
        ([(3, 5), (4, 6)], [(5, 5), (9, 9)], 1, [(4, 6)]),  # the sum of two faults would allow both
        ([(3, 5), (4, 6)], [(5, 5), (9, 9)], 2, []),
        ([(3, 7), (4, 6)], [(5, 5), (7, 7)], 1, []),  # the first fault must take the second one
        ([(3, 5)], [(5, 5)], 0, [(3, 5)]),
    ],
)
def test_each_fault_accounts_for_what_was_under_way(
    repeated: list[Repeat], strikes: list[Strike], at_once: int, left: list[Repeat]
) -> None:
    assert unaccounted(sorted(repeated, key=lambda repeat: repeat[1]), strikes, at_once) == left


def test_the_table_is_written_with_its_conditions(tmp_path: Path) -> None:
    import json

    table = Table(random_seed=3, quick=True)
    table.rows.append(Row("one", "F00", "nothing", tried=2, survived=1, seconds=1.234))
    table.write(tmp_path / "table.json")
    found = json.loads((tmp_path / "table.json").read_text())
    assert found["conditions"]["random_seed"] == 3
    assert found["conditions"]["torch"]
    (row,) = found["rows"]
    assert (row["tried"], row["survived"], row["seconds"], row["passed"]) == (2, 1, 1.2, False)
    again = Table(random_seed=3, quick=True)
    again.keep(tmp_path / "table.json")
    again.rows.append(Row("two", "F01", "something", tried=1, survived=1))
    again.write(tmp_path / "table.json")
    assert [row["id"] for row in json.loads((tmp_path / "table.json").read_text())["rows"]] == ["one", "two"]
    other = Table(random_seed=4, quick=True)
    other.keep(tmp_path / "table.json")
    other.write(tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["rows"] == []
