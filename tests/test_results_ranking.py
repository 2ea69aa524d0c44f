"""Constrained non-dominated sorting, against the definition written out."""

import numpy as np
import pytest

from results.ranking import crowding, ranking, spread


def _ranks(points: np.ndarray) -> list[int]:
    """Non-dominated ranks by peeling, straight from the definition."""
    left, ranks, rank = set(range(len(points))), [0] * len(points), 0
    while left:
        front = {
            i
            for i in left
            if not any((points[j] <= points[i]).all() and (points[j] < points[i]).any() for j in left - {i})
        }
        for i in front:
            ranks[i] = rank
        left, rank = left - front, rank + 1
    return ranks


@pytest.mark.parametrize("objectives", [1, 2, 3, 5])
def test_ranks_rise_along_the_order(objectives: int) -> None:
    points = np.random.default_rng(objectives).integers(0, 8, (60, objectives)).astype(float)
    order = ranking(points, [0.0] * 60)
    assert sorted(order) == list(range(60))
    ranks = _ranks(points)
    assert [ranks[i] for i in order] == sorted(ranks)


def test_what_keeps_the_constraints_comes_first() -> None:
    points = [[0.0, 0.0], [5.0, 5.0], [1.0, 1.0], [2.0, 2.0]]
    assert ranking(points, [1.0, 0.0, 0.5, 0.0]) == [3, 1, 2, 0]


def test_nothing_is_ranked_as_nothing() -> None:
    assert ranking(np.empty((0, 2)), []) == []


def test_the_spread_is_the_hypervolume_that_would_be_lost() -> None:
    from results.pareto import hypervolume

    points = np.array([[0.0, 1.0], [0.2, 0.5], [0.6, 0.3], [1.0, 0.0]])
    whole = hypervolume(points, [1.1, 1.1], ["minimize", "minimize"])
    lost = [whole - hypervolume(np.delete(points, i, 0), [1.1, 1.1], ["minimize", "minimize"]) for i in range(4)]
    assert spread(points) == pytest.approx(lost)


def test_copies_count_once() -> None:
    points = np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    found = spread(points)
    assert found[1] > 0
    assert found[2] == 0
    assert ranking(points, [0.0] * 4)[-1] == 2


def test_the_ends_of_a_crowd_are_kept() -> None:
    found = crowding(np.array([[0.0, 1.0], [0.1, 0.9], [0.2, 0.8], [1.0, 0.0]]))
    assert np.isinf(found[[0, 3]]).all()
    assert found[2] > found[1]
