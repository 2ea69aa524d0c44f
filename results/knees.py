"""Knees of a front: where a little less of one objective begins to cost much of another.

Each objective of the front's members is scaled to 0 (its best value among them) to 1 (its worst). The bulge of a member
is how far it lies from the hyperplane through the points that are 1 in one objective and 0 in the others, on the side
of the ideal point: (1 - sum) / sqrt(objectives). In two objectives that is the distance from the line through the
two ends of the front (Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary Intersection",
1999); in three, the plane is the one of the intercepts that NSGA-III normalises by (Deb and Jain, 2014, section IV.C),
as the members that are best in one objective need not span a plane. What knees are for: Branke et al., "Finding Knees
in Multi-objective Optimization", 2004.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from results.outcome import TrialRecord
from results.pareto import Front

ROUNDING = 1e-9  # a member that is nearer to the hyperplane is on it


@dataclass(frozen=True)
class Knee:
    """A member of the front that bulges towards the ideal point by ``bulge``, of 1 / sqrt(objectives) at most."""

    trial: TrialRecord
    bulge: float

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {"number": self.trial.number, "bulge": self.bulge, "values": dict(self.trial.values)}


def knees(front: Front) -> list[Knee]:
    """Return the members that bulge, the one with the largest bulge (the knee of the front) first; of equals by number.

    Of members with equal values the one with the lowest number stands for all. An objective in which all members are
    equal does not count. [] for fronts without a knee: fewer than two objectives that differ, or members that lie on
    the hyperplane or behind it.
    """
    points = np.array([[t.values[name] for name in front.objectives] for t in front.members], dtype=float)
    if len(points) < 3:
        return []
    signed = points * [1.0 if goal == "minimize" else -1.0 for goal in front.objectives.values()]
    low, high = signed.min(axis=0), signed.max(axis=0)
    differ = high > low
    if differ.sum() < 2:
        return []
    scaled = (signed[:, differ] - low[differ]) / (high - low)[differ]
    bulges = (1 - scaled.sum(axis=1)) / np.sqrt(differ.sum())
    found: dict[tuple[float, ...], Knee] = {}
    for place in sorted(range(len(points)), key=lambda place: front.members[place].number):
        if bulges[place] > ROUNDING:
            found.setdefault(tuple(points[place]), Knee(front.members[place], float(bulges[place])))
    return sorted(found.values(), key=lambda knee: (-knee.bulge, knee.trial.number))
