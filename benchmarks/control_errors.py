"""How often "searching helped" and "searching did not help" are said where they are not true, by simulation.

    python benchmarks/control_errors.py -o benchmarks/control_errors.json [--pairs 1000]

For each kind of trials and each number of them, pairs of arms are drawn with fixed random seeds and compared as a study
compares them (with fewer resamples). ``helped``: its share of the pairs where the sampler's trials are worth as much as
random points. ``did_not_help``: its share where they are worth a hypervolume larger by just that share which does not
count as help. Both should be 0.025 at most. ``told``: the share of pairs that have trials enough for a verdict.

Kinds: ``even``, points uniform in the unit square or ``cube``; ``front``, near a line of equal merit; ``tail``, errors
of which some are far off; ``stopped``, of which six in ten have no final value; ``improving``, a sampler that begins
worse than random points and ends better; ``copies``, a sampler that tries each point four times with small changes,
which breaks what the interval takes for granted.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results import control
from results.outcome import Direction, Origin, Outcome, TrialRecord
from results.pareto import hypervolume

NUMBERS = (4, 6, 8, 12, 30)
RESAMPLES = 300
CORNER = 2.2  # of the reference point in each objective
Points = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Points]


def even(source: np.random.Generator, count: int) -> Points:
    return 1 + source.random((count, 2))


def cube(source: np.random.Generator, count: int) -> Points:
    return 1 + source.random((count, 3))


def front(source: np.random.Generator, count: int) -> Points:
    place = source.random(count)
    return np.stack([place, 1 - place], axis=1) + 0.3 * source.exponential(size=(count, 2))


def tail(source: np.random.Generator, count: int) -> Points:
    cost = source.random(count)
    error = 0.1 + 0.3 / (1 + 5 * cost) + source.random(count) ** 4
    return np.stack([np.where(source.random(count) < 0.15, 2.0, error), 2 * cost], axis=1)


def stopped(source: np.random.Generator, count: int) -> Points:
    return np.where(source.random((count, 1)) < 0.6, np.nan, front(source, count))


def improving(source: np.random.Generator, count: int) -> Points:
    return front(source, count) + np.linspace(0.3, -0.3, count)[:, None]


def copies(source: np.random.Generator, count: int) -> Points:
    return (np.repeat(front(source, -(-count // 4)), 4, axis=0) + 0.02 * source.random((-(-count // 4) * 4, 2)))[:count]


KINDS: dict[str, tuple[Draw, Draw]] = {  # of the sampler's trials, of random points
    **{draw.__name__: (draw, draw) for draw in (even, cube, front, tail, stopped)},
    "improving": (improving, front),
    "copies": (copies, front),
}


def size(points: Points) -> float:
    kept = points[np.isfinite(points).all(axis=1)]
    return hypervolume(kept, [CORNER] * points.shape[1], ["minimize"] * points.shape[1])


def grown(points: Points, factor: float) -> Points:
    """Points whose hypervolume is larger by a factor."""
    moved: Points = CORNER - np.maximum(CORNER - points, 0) * factor ** (1 / points.shape[1])
    return moved


def records(points: Points, origin: Origin) -> list[TrialRecord]:
    found = []
    for number, point in enumerate(points.tolist()):
        known = bool(np.isfinite(point).all())
        trial = TrialRecord(
            study="s",
            number=2 * number + (origin == "random"),
            digest="",
            origin=origin,
            architecture={},
            costs={},
            outcome=Outcome.COMPLETE if known else Outcome.STOPPED,
            values={str(place): value for place, value in enumerate(point)} if known else {},
        )
        found.append(trial)
    return found


def rates(kind: str, number: int, pairs: int) -> dict[str, float | str]:
    of_sampler, of_random = KINDS[kind]
    source = np.random.default_rng(0)
    worth = [np.mean([size(draw(source, number)) for _ in range(5000)]) for draw in (of_random, of_sampler)]
    counts = dict.fromkeys(("helped", "did_not_help", "told"), 0)
    for factor, verdict in ((1.0, "helped"), (1 + control.SAME, "did not help")):
        source = np.random.default_rng(1)
        for _ in range(pairs):
            searched = grown(of_sampler(source, number), factor * float(worth[0] / worth[1]))
            drawn = of_random(source, number)
            objectives: dict[str, Direction] = {str(place): "minimize" for place in range(drawn.shape[1])}
            trials = records(searched, "sampler") + records(drawn, "random")
            found = control.compare(trials, objectives, dict.fromkeys(objectives, CORNER))
            assert found is not None
            counts[verdict.replace(" ", "_")] += found.verdict == verdict
            counts["told"] += factor == 1 and found.adding >= 2 * control.LEAST
    return {"kind": kind, "trials": number} | {name: round(count / pairs, 4) for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="How often the two arms of a search are told apart falsely.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=1000)
    given = parser.parse_args()
    control.RESAMPLES = RESAMPLES
    rows = []
    for kind in KINDS:
        for number in NUMBERS:
            rows.append(rates(kind, number, given.pairs))
            print(rows[-1], flush=True)
    document = {"pairs": given.pairs, "resamples": RESAMPLES, "same": control.SAME, "rows": rows}
    given.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
