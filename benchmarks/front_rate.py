"""How long the statistics of large studies take, fronts and hypervolumes beside Optuna's own functions.

    python benchmarks/front_rate.py -o benchmarks/front_rate.json [--points 1000 10000 100000] [--repeats 5]

Two sets of points in three objectives to be minimised: ``cube``, uniform in the unit cube, of which few are on the
front, and ``simplex``, uniform on x + y + z = 1, which all are (no search comes near that). Times are medians, in
milliseconds, of the functions on arrays: ``front`` is ``results.pareto.nondominated``, ``hypervolume`` that of its
members; side by side with them moocore without the cut that comes before it here, and Optuna's
``_is_pareto_front`` and ``compute_hypervolume``, which are left out where one takes over half a minute (``simplex``
beyond 10,000 points). ``growth`` is ``results.growth.growth`` on trial records, with a random arm: also of points of
which every fifth or so is on the front at last (``band``: the simplex, each made worse by up to a fifth).
``importance`` is that of 40 genes for one objective by PED-ANOVA, and by fANOVA of the 500 trials that it is grown of.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _is_pareto_front

from nas.doctor import hardware
from nas.samplers.importance import importances
from results.growth import growth
from results.outcome import Direction, Outcome, TrialRecord
from results.pareto import hypervolume, nondominated

OBJECTIVES: dict[str, Direction] = {"error": "minimize", "macs": "minimize", "params": "minimize"}
DIRECTIONS = list(OBJECTIVES.values())
CORNER = np.full(3, 1.1)
SLOW = 10_000  # points of the simplex, beyond which Optuna is not asked
GROWN = 10_000  # trials of which growth and importance are measured
GENES = 40
Points = NDArray[np.float64]


def drawn(shape: str, count: int) -> Points:
    source = np.random.default_rng(0)
    if shape == "cube":
        return source.random((count, 3))
    points = source.dirichlet([1.0, 1.0, 1.0], count)
    return points * (1 + 0.2 * source.random((count, 1))) if shape == "band" else points


def timed(work: Callable[[], Any], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return round(1e3 * median(seconds), 3)


def arrays(points: Points, repeats: int, *, optuna: bool) -> dict[str, Any]:
    members = points[nondominated(points, DIRECTIONS)]
    row: dict[str, Any] = {
        "members": len(members),
        "front_ms": timed(lambda: nondominated(points, DIRECTIONS), repeats),
        "hypervolume_ms": timed(lambda: hypervolume(members, CORNER.tolist(), DIRECTIONS), repeats),
        "moocore_front_ms": timed(lambda: moocore.is_nondominated(points, keep_weakly=True), repeats),
        "moocore_hypervolume_of_all_ms": timed(lambda: moocore.hypervolume(points, ref=CORNER), repeats),
    }
    if optuna:
        row["optuna_front_ms"] = timed(lambda: _is_pareto_front(points, assume_unique_lexsorted=False), repeats)
        row["optuna_hypervolume_ms"] = timed(
            lambda: compute_hypervolume(members, CORNER, assume_pareto=True), repeats if len(members) < 1000 else 1
        )
    return row


def records(points: Points) -> list[TrialRecord]:
    source = random.Random(0)
    return [
        TrialRecord(
            study="s",
            number=number,
            digest=f"{number}",
            origin="random" if number % 4 == 0 else "sampler",
            architecture={},
            costs={},
            outcome=Outcome.COMPLETE,
            values=dict(zip(OBJECTIVES, point, strict=True)),
            genes={f"gene{n}": source.random() if n % 2 else source.choice([1, 2, 3]) for n in range(GENES)},
        )
        for number, point in enumerate(points.tolist())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    data: dict[str, Any] = {"hardware": hardware(), "repeats": given.repeats}
    for shape in ("cube", "simplex"):
        for count in given.points:
            asked = shape == "cube" or count <= SLOW
            row = arrays(drawn(shape, count), given.repeats, optuna=asked)
            data.setdefault(shape, {})[str(count)] = row
            print(f"{shape:<8}{count:>8} points: front {row['front_ms']} ms, hypervolume {row['hypervolume_ms']} ms")
    data["growth"] = {"trials": GROWN}
    for shape in ("cube", "band"):
        trials = records(drawn(shape, GROWN))
        data["growth"][f"{shape}_ms"] = timed(lambda trials=trials: growth(trials, OBJECTIVES), given.repeats)
    error: dict[str, Direction] = {"error": "minimize"}
    data["importance"] = {"trials": GROWN, "genes": GENES}
    data["importance"]["ped_anova_ms"] = timed(lambda: importances(trials, error), 3)
    data["importance"]["fanova_ms"] = timed(lambda: importances(trials, error, "fanova"), 1)
    print(f"{GROWN:,} trials: growth {data['growth']}, importance {data['importance']}")
    given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
