"""Knees of a front, beside distances reckoned another way."""

import numpy as np
import pytest

from results.knees import knees
from results.outcome import Outcome, TrialRecord
from results.pareto import front

TWO = {"error": "minimize", "macs": "minimize"}


def found(points, objectives=TWO):
    trials = [
        TrialRecord(
            study="s",
            number=number,
            digest=f"{number}",
            origin="sampler",
            architecture={},
            costs={},
            outcome=Outcome.COMPLETE,
            values=dict(zip(objectives, map(float, point), strict=True)),
        )
        for number, point in enumerate(points)
    ]
    return [(knee.trial.number, knee.bulge) for knee in knees(front(trials, objectives))]


def test_the_knee_is_farthest_from_the_line_through_the_ends():
    points = [(0.5, 1e9), (0.3, 2e9), (0.2, 4e9), (0.19, 9e9), (0.45, 1.1e9)]
    scaled = np.array([((e - 0.19) / 0.31, (m - 1e9) / 8e9) for e, m in points])
    start, end = scaled[0], scaled[3]
    along = (end - start) / np.linalg.norm(end - start)
    distances = [abs(along[0] * (p - start)[1] - along[1] * (p - start)[0]) for p in scaled]
    numbers = sorted((1, 2, 4), key=lambda number: -distances[number])
    assert found(points) == [(number, pytest.approx(distances[number])) for number in numbers]


def test_three_objectives_and_directions():
    three = {"error": "minimize", "macs": "minimize", "accuracy": "maximize"}
    points = [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.2, 0.2, 0.8), (0.5, 0.5, 0.6)]
    assert found(points, three) == [(3, pytest.approx(0.4 / 3**0.5))]  # 4 is dominated


def test_a_fronts_copies_stand_for_one_and_what_is_constant_does_not_count():
    assert [number for number, _ in found([(0, 10), (2, 2), (2, 2), (10, 0)])] == [1]
    three = TWO | {"params": "minimize"}
    assert found([(0, 10, 5), (2, 2, 5), (10, 0, 5)], three) == [(1, pytest.approx(0.6 / 2**0.5))]


@pytest.mark.parametrize(
    "points", [[], [(1, 1)], [(0, 1), (1, 0)], [(1, 1)] * 4, [(0, 2), (1, 1), (2, 0)], [(0, 9), (8, 8), (9, 0)]]
)
def test_fronts_without_a_knee(points):
    assert found(points) == []
    assert found([point[:1] for point in points], {"error": "minimize"}) == []
