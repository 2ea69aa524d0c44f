"""An order of points in several objectives, the best first: constrained non-dominated sorting.

Points that keep every constraint come first, by non-dominated rank; within a rank the one without which the most
hypervolume would be lost (Beume et al., SMS-EMOA, 2007), or with more than three objectives, where that is dear, the
one in the largest gap (crowding distance, Deb et al., NSGA-II, 2002). Points that break constraints follow, those that
break them least first.
"""

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT = 3  # objectives up to which the hypervolume decides
REFERENCE = 1.1  # in every objective, where the points lie between 0 and 1


def ranking(values: ArrayLike, violations: Sequence[float]) -> list[int]:
    """Return the indices of points, the best first; equal points in the order in which they came.

    Args:
        values: shape (n, m), finite, smaller is better; of points that break constraints they are not looked at.
        violations: n sums of what exceeds each constraint, 0 where all are kept.
    """
    points, broken = np.asarray(values, dtype=float), np.asarray(violations, dtype=float)
    kept = np.flatnonzero(broken <= 0)
    order: list[int] = []
    good = points[kept]
    if good.ndim == 2 and good.shape[1] == 1:
        order = [int(place) for place in kept[np.argsort(good[:, 0], kind="stable")]]
    elif len(kept):
        ranks = moocore.pareto_rank(good)
        weights = np.zeros(len(good))
        for rank in np.unique(ranks):
            members = np.flatnonzero(ranks == rank)
            weights[members] = spread(good[members])
        order = [int(place) for place in kept[np.lexsort((np.arange(len(good)), -weights, ranks))]]
    worse = np.flatnonzero(broken > 0)
    return order + [int(place) for place in worse[np.argsort(broken[worse], kind="stable")]]


def spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each of some mutually non-dominated points adds to them, shape (n,); copies add nothing."""
    unique, first = np.unique(points, axis=0, return_index=True)
    low, high = unique.min(axis=0), unique.max(axis=0)
    scaled = (unique - low) / np.where(high > low, high - low, 1.0)
    found = np.zeros(len(points))
    if points.shape[1] == 1:
        found[first] = 1.0
    elif points.shape[1] <= EXACT:
        found[first] = moocore.hv_contributions(scaled, ref=REFERENCE)
    else:
        found[first] = crowding(scaled)
    return found


def crowding(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the crowding distance of points between 0 and 1 in every objective, shape (n,); infinite at the ends."""
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += column[order[2:]] - column[order[:-2]]
    return distance
