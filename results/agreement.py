"""Is the proxy to be trusted? How well the order of trials at each rung agrees with that at the top one.

Kendall's rank correlation (tau-b), with a bootstrap interval over trials, of the errors of the same trials at two
rungs; beside it the same figure for params and MACs alone, which cost nothing: a rung that agrees no better than they
do is not worth its time (White et al., "How Powerful are Performance Predictors in NAS?", 2021).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.outcome import TrialRecord
from results.rung_values import measured_at

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

RESAMPLES = (200, 1000)  # of the bootstrap: the second, down to the first for thousands of trials
COVERED = 0.9  # by the intervals
ROUNDING = 1e-9  # by which taus of one and the same order may differ
WORK = 4_000_000_000  # pairs that are looked at in all resamples
ROWS = 512  # of all pairs that are compared at once: memory for many trials
LEAST = 5  # trials at both rungs, below which no figure is given


@dataclass(frozen=True)
class Agreement:
    """``what``: "rung 0", "params" or "macs". ``tau``: -1 to 1; ``trials``: that it is made of.

    ``interval``: of tau; None where all resamples come to one value, as they do of few trials in the very same order.
    """

    what: str
    tau: float
    interval: tuple[float, float] | None
    trials: int

    @property
    def interval_text(self) -> str:
        """The interval for people, or why there is none."""
        if self.interval is None:
            return f"(no interval: {self.trials} trials are too few for one)"
        return f"({self.interval[0]:+.2f} to {self.interval[1]:+.2f})"

    @property
    def sentence(self) -> str:
        """Say it in a line."""
        return f"{self.what} {self.tau:+.2f} {self.interval_text}"

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        low, high = self.interval or (None, None)
        return {"what": self.what, "tau": self.tau, "low": low, "high": high, "trials": self.trials}


def errors_at(trial: TrialRecord, rung: int, epochs: int) -> float | None:
    """Return the error of a trial at the end of a rung, None if it was not trained so far."""
    found = measured_at(trial, rung, epochs)
    return None if found is None else found.values.get("error")


def agreements(trials: Iterable[TrialRecord], epochs: Sequence[int], *, random_seed: int = 0) -> list[Agreement]:
    """Return how each lower rung, then params, then MACs, agree with the top rung; nothing for fewer than 5 trials.

    ``epochs``: at which each rung ends, the top one last. For params and MACs more is taken for better.
    """
    top = len(epochs) - 1
    finished = [(trial, error) for trial in trials if (error := errors_at(trial, top, epochs[top])) is not None]
    found = []
    for rung in range(top):
        pairs = [(low, error) for trial, error in finished if (low := errors_at(trial, rung, epochs[rung])) is not None]
        found += _agreement(f"rung {rung}", pairs, random_seed)
    for cost in ("params", "macs"):
        pairs = [(-float(trial.costs[cost]), error) for trial, error in finished if cost in trial.costs]
        found += _agreement(cost, pairs, random_seed)
    return found


def _agreement(what: str, pairs: Sequence[tuple[float, float]], random_seed: int) -> list[Agreement]:
    if len(pairs) < LEAST:
        return []
    points = np.array(pairs, dtype=float)
    generator = np.random.Generator(np.random.PCG64(random_seed))
    resamples = max(RESAMPLES[0], min(RESAMPLES[1], WORK // len(points) ** 2))
    counts = generator.multinomial(len(points), np.full(len(points), 1 / len(points)), resamples)
    tau, *drawn = _taus(points, np.vstack([np.ones(len(points)), counts]))
    rest = (1 - COVERED) / 2
    low, high = np.quantile(drawn, [rest, 1 - rest]).tolist()
    interval = (low, high) if high - low > ROUNDING else None
    return [Agreement(what, tau, interval, len(points))]


def _taus(points: Floats, counts: Floats) -> list[float]:
    """Kendall's tau-b of points that occur so many times (a row for each tau); 0 where nothing is ordered.

    Of all resamples at once: a pair of points counts as often as both occur, and a point and its copies order nothing.
    """
    counts = counts.astype(np.float32)  # whole numbers, and their sums over a row, which float32 holds exactly
    agree, first, second = np.zeros((3, len(counts)))
    for begin in range(0, len(points), ROWS):
        rows = slice(begin, begin + ROWS)
        x, y = (np.sign(column[rows, None] - column[None, :]).astype(np.float32) for column in points.T)
        for total, signs in ((agree, x * y), (first, x * x), (second, y * y)):
            total += ((counts[:, rows] @ signs) * counts).sum(axis=1, dtype=np.float64)
    ordered = np.sqrt(first * second)
    return list(map(float, np.divide(agree, ordered, out=np.zeros_like(agree), where=ordered > 0)))


def as_sentence(found: Sequence[Agreement], *, chosen: bool) -> str:
    """Say how the rungs agree with the top one; empty where there is no figure.

    ``chosen``: whether lower rungs stopped other trials. Among the best of a rung alone its order agrees less with any
    other than among all that it has ordered.
    """
    if not found:
        return ""
    counts = {each.trials for each in found}
    which = f"the {counts.pop()} trials" if len(counts) == 1 else "the trials"
    told = [f"{each.sentence}{f' of {each.trials}' if counts else ''}" for each in found]
    said = f"Order of {which} that reached the top rung, Kendall's tau with it (90 % intervals): {', '.join(told)}."
    if chosen:
        said += " Lower rungs chose these trials, which lowers tau: 'nas calibrate' measures it without a choice."
    return said


def recommended(found: Sequence[Agreement], threshold: float) -> int | None:
    """Return the cheapest rung whose tau reaches a threshold; None if no lower rung's does.

    By tau itself; its interval tells how sure that is. The interval's lower end would ask for far more: simulated with
    24 trials, it reaches 0.6 in a quarter of the calibrations of a rung whose tau is 0.7.
    """
    rungs = [each for each in found if each.what.startswith("rung ")]
    return next((int(each.what.split()[1]) for each in rungs if each.tau >= threshold), None)
