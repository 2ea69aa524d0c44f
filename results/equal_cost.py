"""Errors of two arms of random architectures compared at equal cost: differences with intervals.

Populations of random architectures are compared, not the best ones that two searches happened on, and the cost is
controlled for, as "On Network Design Spaces for Visual Recognition" (arXiv 1905.13214, section 3) does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

EQUAL = 1.25  # MACs of a pair may differ by this factor to count as equal; the rest of the trend is taken out
LEAST = 5  # trials of each arm that must have a partner before an interval is given
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the trials, for which the error below which they lie is told

_RESAMPLES = (400, 2000)  # of the bootstrap: the second, down to the first where there are very many pairs
_NUMBERS = 4_000_000  # in memory at once
_Z = 1.959963984540054  # of a normal distribution's two-sided 95 %

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A complete trial: its error (fraction), the target's MACs, and whether it breaks the principle.

    ``at``: rung and epoch of the measurement; ``repeat``: which of the arm's runs it belongs to, from 0.
    """

    number: int
    repeat: int
    error: float
    macs: int
    breaks: bool
    at: tuple[int, int]


@dataclass(frozen=True)
class Difference:
    """On less off, with its 95 % interval.

    The median over ``pairs`` of one trial of each arm; ``on`` and ``off`` trials have a partner. ``lower``: share of
    the pairs in which the trial with the principle on has the lower error, ties counting half.
    """

    value: float
    low: float
    high: float
    pairs: int
    on: int
    off: int
    lower: float


@dataclass(frozen=True)
class Share:
    """A difference of shares, on less off, with its 95 % interval."""

    value: float
    low: float
    high: float


def shown(found: Difference | Share) -> bool:
    """Whether the interval leaves zero out."""
    return found.low > 0 or found.high < 0


def difference(
    on: Sequence[Point], off: Sequence[Point], *, factor: float = EQUAL, random_seed: int = 0
) -> Difference | None:
    """Return the median difference of error, on less off, over pairs of one trial of each arm, or None.

    The trials of a pair belong to the same repeat, and their MACs differ by ``factor`` at most. What is left of the
    trend within a pair is taken out with the median slope of error over log MACs between trials of one arm and repeat
    (Theil and Sen); with ``factor`` infinite every pair counts, and no trend is taken out. None where fewer than
    ``LEAST`` trials of an arm have a partner.

    Errors of proxies have a long tail of networks that hardly learn, so medians are compared, not means. The interval
    is the bootstrap's, percentiles of 2.5 and 97.5: trials are drawn anew within arm and repeat, slope and median taken
    anew.
    """
    rows, columns = np.nonzero(_paired(on, off, factor))
    if min(len(np.unique(rows)), len(np.unique(columns))) < LEAST:
        return None
    change, apart = _errors(on)[rows] - _errors(off)[columns], _log_macs(on)[rows] - _log_macs(off)[columns]
    lines = (_Slopes(on), _Slopes(off)) if math.isfinite(factor) else ()
    width = len(rows) + sum(len(line.values) for line in lines)
    resamples = max(_RESAMPLES[0], min(_RESAMPLES[1], 200_000_000 // width))
    batch = max(1, _NUMBERS // width)
    source = np.random.default_rng(random_seed)
    medians: list[Array] = []
    for start in range(0, resamples, batch):
        times = [_times(points, min(batch, resamples - start), source) for points in (on, off)]
        weights = times[0][:, rows] * times[1][:, columns]
        found = weights.any(axis=1)  # a draw may hold no pair
        medians.append(_medians((change - _slopes(lines, times)[:, None] * apart)[found], weights[found]))
    low, high = np.quantile(np.concatenate(medians), (0.025, 0.975)).tolist()
    corrected = change - _slopes(lines, [np.ones((1, len(points))) for points in (on, off)]) * apart
    return Difference(
        value=float(np.median(corrected)),
        low=low,
        high=high,
        pairs=len(rows),
        on=len(np.unique(rows)),
        off=len(np.unique(columns)),
        lower=float(((corrected < 0) + 0.5 * (corrected == 0)).mean()),
    )


def _errors(points: Sequence[Point]) -> Array:
    return np.array([point.error for point in points], dtype=float)


def _log_macs(points: Sequence[Point]) -> Array:
    macs: Array = np.log(np.array([point.macs for point in points], dtype=float))
    return macs


def _paired(on: Sequence[Point], off: Sequence[Point], factor: float) -> NDArray[np.bool_]:
    """Which trials may be compared, shape (on, off): those of one repeat whose MACs differ by ``factor`` at most."""
    repeats = [np.array([point.repeat for point in points], dtype=int) for points in (on, off)]
    near = np.abs(_log_macs(on)[:, None] - _log_macs(off)) <= math.log(factor)
    found: NDArray[np.bool_] = near & (repeats[0][:, None] == repeats[1])
    return found


class _Slopes:
    """Slopes of error over log MACs between trials ``first`` and ``second`` of one arm and repeat: ``values``."""

    def __init__(self, points: Sequence[Point]) -> None:
        pairs = [
            (i, j)
            for i, j in combinations(range(len(points)), 2)
            if points[i].repeat == points[j].repeat and points[i].macs != points[j].macs
        ]
        self.first, self.second = np.array(pairs, dtype=int).reshape(-1, 2).T
        macs, errors = _log_macs(points), _errors(points)
        self.values: Array = (errors[self.first] - errors[self.second]) / (macs[self.first] - macs[self.second])


def _slopes(lines: Sequence[_Slopes], times: Sequence[Array]) -> Array:
    """The median slope of each draw, shape (draws,); 0 where a draw has none."""
    if not any(len(line.values) for line in lines):
        return np.zeros(len(times[0]))
    weights = np.concatenate(
        [t[:, line.first] * t[:, line.second] for line, t in zip(lines, times, strict=True)], axis=1
    )
    values = np.concatenate([line.values for line in lines])
    order = np.argsort(values)
    found = weights.any(axis=1)
    slopes = np.zeros(len(weights))
    slopes[found] = _of_sorted(values[order][None], weights[found][:, order])
    return slopes


def _times(points: Sequence[Point], draws: int, source: np.random.Generator) -> Array:
    """How often each trial is drawn when those of its repeat are drawn anew, shape (draws, trials)."""
    repeats = np.array([point.repeat for point in points])
    times = np.zeros((draws, len(points)))
    for repeat in np.unique(repeats):
        (members,) = np.nonzero(repeats == repeat)
        times[:, members] = source.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
    return times


def _medians(values: Array, weights: Array) -> Array:
    """The weighted median of each row."""
    order = np.argsort(values, axis=1)
    return _of_sorted(np.take_along_axis(values, order, 1), np.take_along_axis(weights, order, 1))


def _of_sorted(values: Array, weights: Array) -> Array:
    """The weighted median of rows that ascend (one row of values may stand for all); no row of weights is all zero."""
    summed = np.cumsum(weights, axis=1)
    half = summed[:, -1:] / 2
    rows = np.arange(len(weights)) if len(values) > 1 else np.zeros(len(weights), dtype=int)
    below, above = (summed >= half).argmax(axis=1), (summed > half).argmax(axis=1)
    middle: Array = (values[rows, below] + values[rows, above]) / 2
    return middle


def difference_of_shares(on: tuple[int, int], off: tuple[int, int]) -> Share | None:
    """The difference of two shares, each (count, of how many), on less off; None where an arm is empty.

    The interval is Newcombe's (Statistics in Medicine 17, 1998, method 10) from two of Wilson's: it is sound for shares
    near 0 and few trials.
    """
    if not (on[1] and off[1]):
        return None
    (p, p_low, p_high), (q, q_low, q_high) = _wilson(*on), _wilson(*off)
    low, high = math.hypot(p - p_low, q_high - q), math.hypot(p_high - p, q - q_low)
    return Share(p - q, p - q - low, p - q + high)


def _wilson(count: int, total: int) -> tuple[float, float, float]:
    share, size = count / total, _Z**2 / total
    middle = (share + size / 2) / (1 + size)
    half = math.sqrt(share * (1 - share) * size + size**2 / 4) / (1 + size)
    return share, middle - half, middle + half


def partners(on: Sequence[Point], off: Sequence[Point]) -> tuple[list[int], list[int]]:
    """For each trial of both arms the number of its partners at equal MACs.

    As weights these give both arms about the same distribution of MACs: that of their overlap.
    """
    paired = _paired(on, off, EQUAL)
    return paired.sum(axis=1).tolist(), paired.sum(axis=0).tolist()


def quantiles(points: Sequence[Point], weights: Sequence[int] | None = None) -> list[float]:
    """The errors below which the shares ``SHARES`` of the trials lie, by weight; [] where no trial has any."""
    ranked = sorted(zip((p.error for p in points), weights or [1] * len(points), strict=True))
    ranked = [(error, weight) for error, weight in ranked if weight]
    if not ranked:
        return []
    summed = np.cumsum([weight for _, weight in ranked])
    places = np.searchsorted(summed, np.array(SHARES) * summed[-1])
    return [ranked[min(int(place), len(ranked) - 1)][0] for place in places]
