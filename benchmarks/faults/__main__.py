"""Try the faults and write the table: see ``python -m benchmarks.faults --help``."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks.faults.processes import descendants, inheriting_orphans, kill
from benchmarks.faults.rows import ROWS, Attempt
from benchmarks.faults.table import Row, Table
from benchmarks.faults.toy import Bench
from benchmarks.faults.warm import Warm


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def run(
    attempts: Sequence[Attempt], *, quick: bool, random_seed: int, output: Path | None, folder: Path, some: bool = False
) -> list[Row]:
    """Try each, tell what came of it, and write the table after each; return the rows.

    ``some``: the others' rows, where the output has them, are kept.
    """
    table = Table(random_seed, quick)
    if some and output is not None:
        table.keep(output)
    before = descendants()
    try:
        with inheriting_orphans(), Warm(folder) as warm:
            bench = Bench(folder, warm, random_seed)
            bench.warm_up()
            for attempt in attempts:
                row, since = Row(attempt.id, attempt.fault, attempt.what), time.monotonic()
                tell(f"{attempt.id}: {attempt.what} ...")
                try:
                    attempt.function(row, bench, attempt.quick if quick else attempt.whole)
                except Exception as error:  # noqa: BLE001 - kept in the table, and the others are still tried
                    row.enter(1, [f"{type(error).__name__}: {error}"])
                row.seconds, row.load = time.monotonic() - since, round(os.getloadavg()[0], 2)
                table.rows.append(row)
                tell(f"{attempt.id}: {row.sentence}")
                for note in row.notes:
                    tell(f"  {note}")
                if output is not None:
                    table.write(output)
    finally:
        kill(descendants() - before)
    return table.rows


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description="Try the faults that a search must survive, and write what came of them. Exit status 1 where one "
        "was not survived. The whole takes the better part of an hour on 2 cores.",
        epilog="IDs: " + ", ".join(attempt.id for attempt in ROWS),
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="only this row, others stay in the file; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="each fault once or a few times")
    parser.add_argument("--random-seed", type=int, default=0, metavar="N")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="where the table is written")
    chosen = parser.parse_args()
    if unknown := set(chosen.only) - {attempt.id for attempt in ROWS}:
        parser.error(f"there is no row {', '.join(sorted(unknown))}: {parser.epilog}")
    attempts = [attempt for attempt in ROWS if not chosen.only or attempt.id in chosen.only]
    signal.signal(signal.SIGTERM, _stop)
    folder = Path(tempfile.mkdtemp(prefix="nas-f-"))  # short: the paths of Ray's sockets begin with it
    try:
        rows = run(
            attempts,
            quick=chosen.quick,
            random_seed=chosen.random_seed,
            output=chosen.output,
            folder=folder,
            some=bool(chosen.only),
        )
    except KeyboardInterrupt:
        tell("stopped")
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if skipped := [row.id for row in rows if row.skipped]:
        tell(f"{len(skipped)} of {len(rows)} skipped: {', '.join(skipped)}")
    sys.exit(not all(row.passed or row.skipped for row in rows))


if __name__ == "__main__":
    main()
