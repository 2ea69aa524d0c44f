"""The Pareto front of a study and its hypervolume, on top of moocore.

Conventions of every function here. Directions are "minimize" or "maximize" per objective. A point dominates another
if it is at least as good in every objective and better in one. Only COMPLETE trials take part whose objectives are all
present and finite and which break no limit or principle (a violation above 0, as a published network that is too dear
has: it is trained all the same, and samplers rank it behind every trial that keeps the limits). Equal points do not
dominate each other: all of them are on the front, and together they count once in the hypervolume. The hypervolume is
in the product of the objectives' units; a point that is not better than the reference point in every objective adds
nothing to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.outcome import Direction, Outcome, TrialRecord

_MARGIN = 0.1  # of the range, by which the default reference point is worse than the worst value


@dataclass(frozen=True)
class Front:
    """The complete trials that keep all limits and that no other such trial dominates.

    Attributes:
        objectives: name -> direction.
        members: best first in the first objective; equal there: in the next ones, then by number.
        reference_point: objective -> value; {} if no trial is comparable and none was given.
        hypervolume: between the members and the reference point; 0.0 without members.
    """

    objectives: dict[str, Direction]
    members: tuple[TrialRecord, ...]
    reference_point: dict[str, float]
    hypervolume: float


def front(
    trials: Iterable[TrialRecord],
    objectives: Mapping[str, Direction],
    reference_point: Mapping[str, float] | None = None,
) -> Front:
    """The front of `trials`. All values must come from the same rung: fronts are never drawn across fidelities.

    The reference point is `default_reference_point` unless given. Raises ValueError for an unknown direction, no
    objective at all, or a reference point that is not finite or lacks an objective.
    """
    directions = list(objectives.values())
    maximise = _maximise(objectives)
    candidates = comparable(trials, objectives)
    reference = dict(reference_point or {})
    if candidates and reference_point is None:
        reference = default_reference_point(candidates, objectives)
    if not candidates:
        return Front(dict(objectives), (), reference, 0.0)
    points = _points(candidates, objectives)
    kept = np.flatnonzero(nondominated(points, directions))
    signed = np.where(maximise, -points, points)
    ranked = sorted(kept, key=lambda index: (*signed[index], candidates[index].number))
    size = hypervolume(points[kept], _reference(reference, objectives), directions)
    return Front(dict(objectives), tuple(candidates[index] for index in ranked), reference, size)


def comparable(trials: Iterable[TrialRecord], objectives: Iterable[str]) -> list[TrialRecord]:
    """The trials that can be on a front: measured, and within all limits; order kept."""
    return [trial for trial in measured(trials, objectives) if trial.feasible]


def measured(trials: Iterable[TrialRecord], objectives: Iterable[str]) -> list[TrialRecord]:
    """The COMPLETE trials with a finite value of every objective, within the limits or not; order kept."""
    names = list(objectives)
    return [
        trial
        for trial in trials
        if trial.outcome is Outcome.COMPLETE and all(math.isfinite(trial.values.get(name, math.nan)) for name in names)
    ]


def default_reference_point(trials: Iterable[TrialRecord], objectives: Mapping[str, Direction]) -> dict[str, float]:
    """Per objective the worst value of the comparable trials, made worse by 10 % of their range; {} without trials.

    An objective in which all trials are equal is made worse by 10 % of its absolute value, or by 1 if it is zero, so
    that every trial adds to the hypervolume.
    """
    candidates = comparable(trials, objectives)
    if not candidates:
        return {}
    points = _points(candidates, objectives)
    return dict(zip(objectives, default_reference(points, list(objectives.values())), strict=True))


def default_reference(points: NDArray[np.float64], directions: Sequence[Direction]) -> list[float]:
    """The same of plain points, shape (n, m), n > 0, finite."""
    reference = []
    for low, high, direction in zip(points.min(axis=0).tolist(), points.max(axis=0).tolist(), directions, strict=True):
        worst, sign = (high, 1.0) if direction == "minimize" else (low, -1.0)
        worse = worst + sign * _MARGIN * (high - low)
        if worse == worst:  # constant, or of a range that rounding swallows
            worse = worst + sign * (_MARGIN * abs(worst) or 1.0)
        reference.append(worse)
    return reference


def nondominated(values: ArrayLike, directions: Sequence[Direction]) -> NDArray[np.bool_]:
    """Which of some points no other one dominates, shape (n,); of equal points all or none.

    Args:
        values: points, shape (n, m), finite; n may be 0.
        directions: m directions.

    What one good point dominates is left out first, in one pass over the points: of 100,000 random ones that is nearly
    all of them, which then need not be sorted.
    """
    points = np.where(_maximise(dict(enumerate(directions))), -1.0, 1.0) * np.asarray(values, dtype=float)
    if not len(points):
        return np.zeros(0, dtype=bool)
    low, high = points.min(axis=0), points.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # any point will do, a good one only saves more
        good = points[(points @ (1.0 / np.where(high > low, high - low, 1.0))).argmin()]
    worse, equal = np.ones(len(points), dtype=bool), np.ones(len(points), dtype=bool)
    for column, value in zip(points.T, good, strict=True):
        worse &= column >= value
        equal &= column == value
    left = np.flatnonzero(~worse | equal)
    kept = np.zeros(len(points), dtype=bool)
    kept[left] = moocore.is_nondominated(points[left], keep_weakly=True)
    return kept


def hypervolume(values: ArrayLike, reference_point: Sequence[float], directions: Sequence[Direction]) -> float:
    """The volume that points dominate up to a reference point.

    Args:
        values: points, shape (n, m), finite; n may be 0. Dominated points change nothing.
        reference_point: m finite numbers.
        directions: m directions.

    Raises ValueError if shapes do not agree, a number is not finite or a direction is unknown.
    """
    points = np.asarray(values, dtype=float)
    maximise = _maximise(dict(enumerate(directions)))
    reference = np.asarray(reference_point, dtype=float)
    if points.size == 0:
        points = points.reshape(0, len(directions))
    if points.ndim != 2 or points.shape[1] != len(directions) or reference.shape != (len(directions),):
        raise ValueError(
            f"points of shape {points.shape} and a reference point of shape {reference.shape} do not fit "
            f"{len(directions)} objectives: give shapes (n, {len(directions)}) and ({len(directions)},)"
        )
    if not (np.isfinite(points).all() and np.isfinite(reference).all()):
        raise ValueError("points and reference point must be finite: leave out trials without a finite value")
    return float(moocore.hypervolume(points, ref=reference, maximise=maximise)) if len(points) else 0.0


def _points(trials: Sequence[TrialRecord], objectives: Iterable[str]) -> NDArray[np.float64]:
    """The trials' objectives, shape (trials, objectives)."""
    names = list(objectives)
    return np.array([[trial.values[name] for name in names] for trial in trials], dtype=float)


def _maximise(objectives: Mapping[str, Direction] | Mapping[int, Direction]) -> list[bool]:
    if not objectives:
        raise ValueError("a front needs at least one objective, and there is none: name one to minimize or maximize")
    for name, direction in objectives.items():
        if direction not in ("minimize", "maximize"):
            raise ValueError(f"objective {name!r} has direction {direction!r}: make it minimize or maximize")
    return [direction == "maximize" for direction in objectives.values()]


def _reference(reference_point: Mapping[str, float], objectives: Iterable[str]) -> list[float]:
    """The reference point as numbers in the order of the objectives."""
    for name in objectives:
        if not math.isfinite(reference_point.get(name, math.nan)):
            found = reference_point.get(name, "no value")
            raise ValueError(f"the reference point has {found} for objective {name!r}: give a finite number")
    return [float(reference_point[name]) for name in objectives]
