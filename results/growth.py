"""Hypervolume by trial: what the trials of a study dominate after the first, the second, ... of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from results.control import ARMS, arm
from results.outcome import Direction, TrialRecord
from results.pareto import comparable, default_reference_point, hypervolume

ALL = "all"


@dataclass(frozen=True)
class Growth:
    """``sizes``: for "all" trials that used up budget, and for each arm that has some, one hypervolume a trial.

    The n-th is that of the first n of them by number (seeds count among "all"), in the product of the objectives'
    units, up to ``reference_point``; it never falls. A trial without a comparable value has used its budget and adds
    nothing. The reference point is {} where no trial is comparable and none was given: then all sizes are 0.

    ``seconds``: of training of the first n trials together, for the n-th; with rungs, trials cost very differently. A
    trial whose results were known already, or whose seconds were not recorded, counts none.
    """

    reference_point: dict[str, float]
    sizes: dict[str, tuple[float, ...]]
    seconds: dict[str, tuple[float, ...]]

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "reference_point": self.reference_point,
            "sizes": {name: list(at) for name, at in self.sizes.items()},
            "seconds": {name: list(at) for name, at in self.seconds.items()},
        }


def growth(
    trials: Iterable[TrialRecord],
    objectives: Mapping[str, Direction],
    reference_point: Mapping[str, float] | None = None,
) -> Growth:
    """Return how the hypervolume grew, up to ``default_reference_point`` of all trials unless another one is given.

    One reference point holds for all of the curve: with one that moved with the trials they could not be compared.
    """
    trials = list(trials)
    reference = dict(default_reference_point(trials, objectives) if reference_point is None else reference_point)
    arms = {ALL: sorted((t for t in trials if t.outcome.trained), key=lambda trial: trial.number)}
    arms |= {origin: found for origin in ARMS if (found := arm(trials, origin))}
    return Growth(
        reference,
        sizes={name: _grown(found, objectives, reference) for name, found in arms.items()},
        seconds={name: tuple(accumulate(t.seconds or 0.0 for t in found)) for name, found in arms.items()},
    )


def _grown(
    trials: Sequence[TrialRecord], objectives: Mapping[str, Direction], reference: Mapping[str, float]
) -> tuple[float, ...]:
    """Hypervolumes after each trial. Only a point that enters the front is reckoned with, beside those on the front.

    The time is that of as many hypervolumes as points enter. (What a point adds alone, which clips all others to it,
    takes as long in three objectives.)
    """
    if not reference:
        return (0.0,) * len(trials)
    names, directions = list(objectives), list(objectives.values())
    signs = np.array([1.0 if goal == "minimize" else -1.0 for goal in directions])
    corner = [reference[name] for name in names]
    can = {trial.number for trial in comparable(trials, names)}
    front = np.empty((0, len(names)))
    sizes, size = list[float](), 0.0
    for trial in trials:
        if trial.number in can:
            point = signs * [trial.values[name] for name in names]
            if (point < signs * corner).all() and not (front <= point).all(axis=1).any():
                front = np.vstack([front[~(front >= point).all(axis=1)], point])
                size = max(size, hypervolume(signs * front, corner, directions))  # rounding must not make it fall
        sizes.append(size)
    return tuple(sizes)
