"""Is the proxy to be trusted? How well the order of trials at each rung agrees with that at the top one.

Kendall's rank correlation (tau-b), with a bootstrap interval over trials, of the errors of the same trials at two
rungs; beside it the same figure for params and MACs alone, which cost nothing: a rung that agrees no better than they
do is not worth its time (White et al., "How Powerful are Performance Predictors in NAS?", 2021).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from results.outcome import TrialRecord

RESAMPLES = 1000
COVERED = 0.9  # by the intervals
ROUNDING = 1e-9  # by which taus of one and the same order may differ
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
    return next((m.values.get("error") for m in trial.measurements if (m.rung, m.epoch) == (rung, epochs)), None)


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
        found += _agreement(cost, [(-float(trial.costs[cost]), error) for trial, error in finished], random_seed)
    return found


def _agreement(what: str, pairs: Sequence[tuple[float, float]], random_seed: int) -> list[Agreement]:
    if len(pairs) < LEAST:
        return []
    points = np.array(pairs, dtype=float)
    generator = np.random.Generator(np.random.PCG64(random_seed))
    drawn = [_tau(points[generator.integers(0, len(points), len(points))]) for _ in range(RESAMPLES)]
    rest = (1 - COVERED) / 2
    low, high = np.quantile(drawn, [rest, 1 - rest]).tolist()
    interval = (low, high) if high - low > ROUNDING else None
    return [Agreement(what, _tau(points), interval, len(points))]


def _tau(points: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Kendall's tau-b; 0 where all values of one side are equal, which order nothing."""
    if any(len(np.unique(column)) < 2 for column in points.T):
        return 0.0
    return float(kendalltau(points[:, 0], points[:, 1]).statistic)


def recommended(found: Sequence[Agreement], threshold: float) -> int | None:
    """Return the cheapest rung whose agreement reaches a threshold; None if no lower rung does."""
    rungs = [each for each in found if each.what.startswith("rung ")]
    return next((int(each.what.split()[1]) for each in rungs if each.tau >= threshold), None)
