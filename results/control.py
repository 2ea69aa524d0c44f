"""Did searching help? The sampler's arm beside the control arm of uniform random points, at equal budget.

Both arms are trials of one study under the same limits, rungs and recipe. The budget is counted in trials: what an arm
of so many trials, drawn from those that it has, dominates up to one reference point. A thousand times the larger arm is
cut at random to the size of the smaller one, and both are then drawn anew, with replacement; the interval is that of
the difference. Without the cut, draws of the larger arm would repeat fewer of its trials, and it would seem the better
one. A trial without a final value (stopped at a rung, diverged) has used its budget and adds nothing.

So what is compared is what so many trials of each are worth. That the sampler's learned from all trials before them is
not charged to them; `results.growth`, which takes the arms in the order of their trials, shows that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from results.outcome import Direction, TrialRecord
from results.pareto import comparable, default_reference_point, hypervolume

RESAMPLES = 1000
COVERED = 0.95  # by the intervals
LEAST = 4  # trials of each arm, below which nothing can be told
SAME = 0.02  # of the control's hypervolume: a difference that is surely smaller is none

Verdict = Literal["helped", "did not help", "cannot be told yet"]


@dataclass(frozen=True)
class Interval:
    """A median, and the middle 95 % around it."""

    low: float
    median: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> "Interval":
        """Return the interval of resampled values."""
        rest = (1 - COVERED) / 2
        low, middle, high = np.quantile(values, [rest, 0.5, 1 - rest]).tolist()
        return Interval(low, middle, high)


@dataclass(frozen=True)
class Control:
    """What the two arms came to.

    ``trials``: of the sampler's and the control arm, that used up budget. ``budget``: trials at which they are
    compared, those of the smaller arm. Hypervolumes are in the product of the objectives' units.
    """

    trials: tuple[int, int]
    budget: int
    sampler: Interval
    random: Interval
    difference: Interval
    reference_point: dict[str, float]
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """Say whether searching helped."""
        searched, drawn = self.trials
        if self.budget < LEAST:
            return (
                f"Whether searching helped cannot be told yet: the sampler's arm has {searched} trials and the control "
                f"arm of random points {drawn}, and at least {LEAST} of each are needed."
            )
        told = {
            "helped": "Searching helped",
            "did not help": "Searching did not help",
            "cannot be told yet": "Whether searching helped cannot be told yet",
        }[self.verdict]
        none = ", which holds none at all" if self.verdict == "cannot be told yet" else ""
        return (
            f"{told}: at {self.budget} trials of each the sampler's arm has a hypervolume of {self.sampler.median:.4g} "
            f"and random points have {self.random.median:.4g}; 95 % interval of the difference "
            f"{self.difference.low:+.4g} to {self.difference.high:+.4g}{none}."
        )

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "budget": self.budget,
            "trials": {"sampler": self.trials[0], "random": self.trials[1]},
            "hypervolume": {
                name: [interval.low, interval.median, interval.high]
                for name, interval in (
                    ("sampler", self.sampler),
                    ("random", self.random),
                    ("difference", self.difference),
                )
            },
            "reference_point": self.reference_point,
        }


def arm(trials: Iterable[TrialRecord], origin: str) -> list[TrialRecord]:
    """Return the trials of an arm that used up budget, by number."""
    return sorted(
        (trial for trial in trials if trial.origin == origin and trial.outcome.trained), key=lambda trial: trial.number
    )


def compare(
    trials: Iterable[TrialRecord], objectives: Mapping[str, Direction], *, random_seed: int = 0
) -> Control | None:
    """Compare the two arms of a study's trials; None where it has no control arm."""
    trials = list(trials)
    arms = arm(trials, "sampler"), arm(trials, "random")
    if not arms[1]:
        return None
    reference = default_reference_point(trials, objectives)
    budget = min(map(len, arms))
    generator = np.random.Generator(np.random.PCG64(random_seed))
    drawn = [_resampled(each, budget, objectives, reference, generator) for each in arms]
    differences = [searched - control for searched, control in zip(*drawn, strict=True)]
    sampler, control, difference = Interval.of(drawn[0]), Interval.of(drawn[1]), Interval.of(differences)
    verdict: Verdict = "cannot be told yet"
    if budget >= LEAST and difference.low > 0:
        verdict = "helped"
    elif budget >= LEAST and reference and difference.high <= SAME * control.median:
        verdict = "did not help"
    return Control((len(arms[0]), len(arms[1])), budget, sampler, control, difference, reference, verdict)


def _resampled(
    trials: Sequence[TrialRecord],
    budget: int,
    objectives: Mapping[str, Direction],
    reference: Mapping[str, float],
    generator: np.random.Generator,
) -> list[float]:
    """Hypervolumes of ``budget`` trials drawn with replacement from as many, many times."""
    if not reference or not trials:
        return [0.0] * RESAMPLES
    names, directions = list(objectives), list(objectives.values())
    valued = {trial.number for trial in comparable(trials, names)}
    worst = [reference[name] for name in names]  # adds nothing
    points = np.array(
        [[trial.values[name] for name in names] if trial.number in valued else worst for trial in trials], dtype=float
    )
    everywhere = np.tile(np.arange(len(points)), (RESAMPLES, 1))
    cut = generator.permuted(everywhere, axis=1)[:, :budget]
    chosen = np.take_along_axis(cut, generator.integers(0, budget, (RESAMPLES, budget)), axis=1)
    return [hypervolume(points[places], worst, directions) for places in chosen]
