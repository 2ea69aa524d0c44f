"""Empirical distribution functions of the error at equal cost, for each arm.

What share of the architectures that an arm tried comes below an error, among architectures of about the same cost:
populations are compared, not the best ones, as in "On Network Design Spaces for Visual Recognition" (Radosavovic et
al., arXiv 1905.13214, sections 3.1 and 3.3). Equal cost is a band of MACs. The bands hold equal numbers of trials of
all arms together, so that each says about as much as the others; trials of the same MACs stay in one band.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from results.control import ARMS
from results.equal_cost import SHARES
from results.figures import quality
from results.outcome import Direction, TrialRecord
from results.pareto import measured

MOST = 4  # bands
FILLED = 10  # trials that a band should hold


@dataclass(frozen=True)
class Mark:
    """A published network in a band, or nearest to it: its trial, its value, and the MACs of its target."""

    name: str
    number: int
    value: float
    macs: int


@dataclass(frozen=True)
class Band:
    """Trials of ``low`` to ``high`` MACs, both included.

    ``arms``: for "sampler" and "random", where they have any, the objective's values, ascending. ``seeds``: marks
    beside them, which are in no arm.
    """

    low: int
    high: int
    arms: dict[str, tuple[float, ...]]
    seeds: tuple[Mark, ...]

    def quantiles(self, arm: str) -> dict[float, float]:
        """Share -> the least value of the arm that this share of its trials does not exceed."""
        values = np.quantile(self.arms[arm], SHARES, method="inverted_cdf").tolist()
        return dict(zip(SHARES, values, strict=True))

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        seeds = [asdict(mark) for mark in self.seeds]
        return {"low": self.low, "high": self.high, "arms": {k: list(v) for k, v in self.arms.items()}, "seeds": seeds}


@dataclass(frozen=True)
class Distributions:
    """Bands from the cheapest to the dearest; () where no trial has the objective and MACs."""

    objective: str
    bands: tuple[Band, ...]

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {"objective": self.objective, "bands": [band.as_data() for band in self.bands]}


def distributions(trials: Iterable[TrialRecord], objectives: Mapping[str, Direction]) -> Distributions:
    """Return the distributions of the first objective that is not a cost.

    COMPLETE trials with a finite value and known MACs take part. With rungs these are the ones that went on to the top,
    so that the distribution is that of the better part of each arm. Up to 4 bands are made, of 10 trials at least where
    there are more than one. Seeds stand in the band of their MACs; one outside of all bands stands in the nearest, and
    where there are none but seeds there is one band of them all. Breaking a limit does not keep a seed out.
    """
    name = quality(objectives)
    known = [trial for trial in measured(trials, [name]) if "macs" in trial.costs]
    tried = sorted((t for t in known if t.origin in ARMS), key=lambda trial: (trial.costs["macs"], trial.number))
    seeds = [trial for trial in known if trial.origin not in ARMS]
    groups = _groups(tried) if tried else [sorted(seeds, key=lambda t: t.costs["macs"])] if seeds else []
    tops = [group[-1].costs["macs"] for group in groups[:-1]]
    marks: list[list[Mark]] = [[] for _ in groups]
    for seed in sorted(seeds, key=lambda trial: trial.number):
        place = int(np.searchsorted(tops, seed.costs["macs"]))
        called = seed.seed or f"trial {seed.number}"
        marks[place].append(Mark(called, seed.number, seed.values[name], seed.costs["macs"]))
    return Distributions(name, tuple(_band(*both, name) for both in zip(groups, marks, strict=True)))


def _groups(trials: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    """Trials by MACs in groups of equal size; those with the MACs of a group's last one join it."""
    count = max(1, min(MOST, len(trials) // FILLED))
    macs = [trial.costs["macs"] for trial in trials]
    ends = [int(np.searchsorted(macs, macs[round(len(macs) * n / count) - 1], side="right")) for n in range(1, count)]
    edges = sorted({0, *ends, len(trials)})
    return [list(trials[start:end]) for start, end in pairwise(edges)]


def _band(group: Sequence[TrialRecord], marks: Sequence[Mark], name: str) -> Band:
    arms = {arm: tuple(sorted(t.values[name] for t in group if t.origin == arm)) for arm in ARMS}
    low, high = group[0].costs["macs"], group[-1].costs["macs"]
    return Band(low, high, {arm: values for arm, values in arms.items() if values}, tuple(marks))
