"""Did searching help? The first trials of the sampler's arm beside as many of the random arm's uniform random points.

Both arms are trials of one study under the same limits, rungs and recipe. The budget is counted in trials, N of the
smaller arm, and an arm is worth what its first N by number dominate up to one reference point: what the sampler
proposed after them had seen more than N trials. A trial without a final value (stopped at a rung, diverged) has used
its budget and adds nothing. Seeds belong to neither arm.

How large a difference chance alone makes is found by the bootstrap: the N and N are put together, two sets of N are
drawn from them with replacement, a thousand times, and the middle 95 % of their differences is taken off the one that
was found. So the interval leaves zero out only where two sets of random points seldom differ so much. (Were each arm
drawn from itself alone, "helped" would be said falsely of up to 9 %: the best of N is missing in a third of the draws.)

Measured by simulation of arms of 4 to 30 trials (``benchmarks/control_errors.py``): where the sampler's trials are
worth as much as random points, "helped" is said of 2.3 % (3.8 % at most, by kind and number), and where they are worth
just more than what counts as none, "did not help" of 2.9 % (4.5 % at most); of a sampler that gets better from trial to
trial, 1 % and 6 % at most. Four trials of each arm are as safe as 30, if eight of both have a final value.

A sampler's first trials are uniform random points themselves, until it has what it learns from (``startup``): as long
as the smaller arm has hardly more, neither is said.

What it takes for granted is that trials are independent: of a sampler that tries each point four times with small
changes both are said of up to 17 %. And with rungs both arms compete for places at the next rung, which favours the
better one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from results.outcome import Direction, TrialRecord
from results.pareto import comparable, default_reference_point, hypervolume

RESAMPLES = 1000
COVERED = 0.95  # by the interval
# Trials of each arm beyond those that the sampler draws at random itself, and twice as many of both that add something,
# below which nothing can be told.
LEAST = 4
SAME = 0.02  # of the control's hypervolume: a difference that is surely smaller is none

NO_CONTROL = "The study has no random arm to compare the sampler with."

_ROUNDING = 1e-9  # of a hypervolume: a difference that is smaller is none at all

ARMS = ("sampler", "random")
Points = NDArray[np.float64]
Verdict = Literal["helped", "did not help", "cannot be told yet"]


@dataclass(frozen=True)
class Control:
    """What the two arms came to.

    ``trials``: of the sampler's and the random arm, that used up budget. ``budget``: N, those of the smaller arm.
    ``adding``: of the first N of both arms together, those that keep the limits and are better than the reference
    point. ``startup``: trials that the sampler draws at random itself. ``sampler``, ``random``: hypervolumes of the
    first N, in the product of the objectives' units; ``whole``: of all trials of each arm, at unequal budgets.
    ``interval``: of sampler less random, 95 %.
    """

    trials: tuple[int, int]
    budget: int
    adding: int
    sampler: float
    random: float
    interval: tuple[float, float]
    whole: tuple[float, float]
    reference_point: dict[str, float]
    startup: int = 0

    @property
    def least(self) -> int:
        """Trials of each arm that are needed."""
        return self.startup + LEAST

    @property
    def difference(self) -> float:
        """Of the hypervolumes at equal budget, sampler less random."""
        return self.sampler - self.random

    @property
    def verdict(self) -> Verdict:
        """Whether searching helped, at equal budget."""
        low, high = self.interval
        if self.budget >= self.least and self.adding >= 2 * LEAST:
            if low > _ROUNDING * self.random:
                return "helped"
            if high <= SAME * self.random:
                return "did not help"
        return "cannot be told yet"

    @property
    def sentence(self) -> str:
        """Say whether searching helped."""
        searched, drawn = self.trials
        low, high = self.interval
        verdict, unknown = self.verdict, "Whether searching helped cannot be told yet"
        if self.budget < self.least:
            own = f", since the sampler's first {self.startup} are random points themselves" if self.startup else ""
            return (
                f"{unknown}: the sampler's arm has {searched} trials and the random arm {drawn}, and "
                f"at least {self.least} of each are needed{own}."
            )
        if self.adding < 2 * LEAST:
            return (
                f"{unknown}: of the sampler's first {self.budget} trials and as many random points {self.adding} "
                f"add to a hypervolume, and at least {2 * LEAST} must."
            )
        told, so = {
            "helped": ("Searching helped", ""),
            "did not help": ("Searching did not help", f", which ends below {SAME:.0%} of that of random points"),
            "cannot be told yet": (unknown, ", which holds none at all"),
        }[verdict]
        return (
            f"{told}: the sampler's first {self.budget} trials have a hypervolume of {self.sampler:.4g}, as many "
            f"random points one of {self.random:.4g}; 95 % interval of the difference {low:+.4g} to {high:+.4g}{so}."
        )

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "budget": self.budget,
            "hypervolume": {"sampler": self.sampler, "random": self.random},
            "difference": self.difference,
            "interval": list(self.interval),
            "trials": dict(zip(ARMS, self.trials, strict=True)),
            "hypervolume_of_all": dict(zip(ARMS, self.whole, strict=True)),
            "reference_point": self.reference_point,
        }


def arm(trials: Iterable[TrialRecord], origin: str) -> list[TrialRecord]:
    """Return the trials of an arm that used up budget, by number."""
    return sorted(
        (trial for trial in trials if trial.origin == origin and trial.outcome.trained), key=lambda trial: trial.number
    )


def compare(
    trials: Iterable[TrialRecord],
    objectives: Mapping[str, Direction],
    reference_point: Mapping[str, float] | None = None,
    *,
    startup: int = 0,
    random_seed: int = 0,
) -> Control | None:
    """Compare the two arms of a study's trials; None where it has no random arm.

    ``startup``: trials that the sampler draws at random before it learns (``startup_of``).
    Hypervolumes are up to ``default_reference_point`` of all trials unless another point is given.
    """
    trials = list(trials)
    arms = [arm(trials, origin) for origin in ARMS]
    searched, drawn = map(len, arms)
    if not drawn:
        return None
    budget = min(searched, drawn)
    reference = default_reference_point(trials, objectives) if reference_point is None else dict(reference_point)
    if not reference:
        return Control((searched, drawn), budget, 0, 0.0, 0.0, (0.0, 0.0), (0.0, 0.0), {}, startup)
    worst, directions = [reference[name] for name in objectives], list(objectives.values())
    every = [_points(each, objectives, worst) for each in arms]
    first = [points[:budget] for points in every]
    sampler, random, *whole = (hypervolume(points, worst, directions) for points in (*first, *every))
    by_chance = _by_chance(np.concatenate(first), worst, directions, random_seed)
    low, high = np.quantile(by_chance, [(1 - COVERED) / 2, (1 + COVERED) / 2]).tolist()
    signs = np.array([1.0 if goal == "minimize" else -1.0 for goal in directions])
    return Control(
        trials=(searched, drawn),
        budget=budget,
        adding=sum(int((signs * points < signs * worst).all(axis=1).sum()) for points in first),
        sampler=sampler,
        random=random,
        interval=(sampler - random - high, sampler - random - low),
        whole=(whole[0], whole[1]),
        reference_point=reference,
        startup=startup,
    )


def startup_of(search: Mapping[str, Any]) -> int:
    """Return how many trials the sampler of a resolved search file draws at random before it learns."""
    sampler = search.get("sampler")
    options = sampler if isinstance(sampler, Mapping) else {}
    found = options.get("startup", options.get("population", 0))
    return found if isinstance(found, int) else 0


def _by_chance(
    together: Points, worst: Sequence[float], directions: Sequence[Direction], random_seed: int
) -> list[float]:
    """Differences of the hypervolumes of two halves of points, each drawn from all of them with replacement."""
    if not len(together):
        return [0.0]
    shape = (RESAMPLES, 2, len(together) // 2)
    places = np.random.default_rng(random_seed).integers(0, len(together), shape)
    sizes = [[hypervolume(together[half], worst, directions) for half in both] for both in places]
    return [one - other for one, other in sizes]


def _points(trials: Sequence[TrialRecord], objectives: Iterable[str], worst: Sequence[float]) -> Points:
    """The trials' objectives, shape (trials, objectives); ``worst``, which adds nothing, where not comparable."""
    names = list(objectives)
    valued = {trial.number for trial in comparable(trials, names)}
    rows = [[trial.values[name] for name in names] if trial.number in valued else list(worst) for trial in trials]
    return np.array(rows, dtype=float).reshape(len(trials), len(names))
