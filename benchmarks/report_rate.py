"""How long a report takes to write, and how large it is: ``nas report`` of a study of 10,000 trials, in a process.

    python -m benchmarks.report_rate -o benchmarks/report_rate.json [--trials 10000] [--repeats 3] [--runs FOLDER]

The study is that of ``benchmarks.large_study``: 4,000 and more complete trials in three objectives, 81 genes. Seconds
are those of the whole command, from its start in a new process to its end, the median of the repeats; beside them what
of it passes in the parts. ``--runs``: where such a study lies already; else one is made in a folder that is deleted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.large_study import STUDY, write_study
from nas.conclude import write_study_report
from nas.doctor import hardware
from nas.study import Study
from results.ledger import Ledger

MOST_SECONDS, MOST_BYTES = 10.0, 8_000_000  # what is asked for


def command(runs: Path, page: Path) -> None:
    """One run of the command line."""
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    words = [sys.executable, "-c", code, "report", STUDY, "-o", str(page), "--runs", str(runs)]
    subprocess.run(words, check=True, capture_output=True)


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def parts(runs: Path, page: Path) -> dict[str, float]:
    """Seconds of the parts, once each, in this process, with everything imported already."""
    write_study_report(Study.open(STUDY, runs), page)
    study = Study.open(STUDY, runs)
    found = {
        "read the ledger": timed(lambda: Study.open(STUDY, runs)),
        "importance of genes": timed(lambda: study.importances(but=("params",))),
        "all but reading": timed(lambda: write_study_report(study, page)),
    }
    return {name: round(seconds, 2) for name, seconds in found.items()}


def measured(runs: Path, repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        seconds = [timed(lambda: command(runs, page)) for _ in range(repeats)]
        with Ledger.open(runs / "ledger.sqlite", read_only=True) as ledger:
            outcomes = ledger.count_outcomes(STUDY)
        return {
            "trials": sum(outcomes.values()),
            "complete": outcomes["complete"],
            "seconds": round(median(seconds), 2),
            "each": [round(each, 2) for each in seconds],
            "bytes": page.stat().st_size,
            "within": median(seconds) < MOST_SECONDS and page.stat().st_size < MOST_BYTES,
            "parts_seconds": parts(runs, page),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if asked.runs is None:
            write_study(Path(made), asked.trials)
        result = {"hardware": hardware(), **measured(asked.runs or Path(made), asked.repeats)}
    asked.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
