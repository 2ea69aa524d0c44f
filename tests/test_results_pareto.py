import itertools
import math
from dataclasses import replace

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.outcome import Outcome, TrialRecord
from results.pareto import comparable, default_reference_point, front, hypervolume, measured, nondominated

NAMES = ("error", "macs", "latency_ms")


def trial(number, values, outcome=Outcome.COMPLETE):
    return TrialRecord(
        study="s",
        number=number,
        digest=f"d{number}",
        origin="sampler",
        architecture={},
        costs={},
        outcome=outcome,
        values=values,
        started_at="2025-01-01T00:00:00.000+00:00",
        finished_at=f"2025-01-01T00:00:{number % 60:02d}.000+00:00",
    )


@st.composite
def studies(draw):
    """Points on a small integer grid, so that ties and equal points are common; 1 to 3 objectives, any directions."""
    size = draw(st.integers(1, 3))
    directions = draw(st.lists(st.sampled_from(["minimize", "maximize"]), min_size=size, max_size=size))
    points = draw(st.lists(st.tuples(*[st.integers(-3, 3)] * size), max_size=9))
    trials = [trial(number, dict(zip(NAMES, map(float, point), strict=False))) for number, point in enumerate(points)]
    return trials, dict(zip(NAMES, directions, strict=False))


def cost_vector(record, objectives):
    return tuple(record.values[name] * (1 if goal == "minimize" else -1) for name, goal in objectives.items())


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def cells_dominated(points, reference):
    """Volume by counting unit cells: exact for integer points and an integer reference point, all to be minimized."""
    low = [min((point[axis] for point in points), default=0) for axis in range(len(reference))]
    axes = [range(int(low[axis]), int(reference[axis])) for axis in range(len(reference))]
    return sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
        for cell in itertools.product(*axes)
    )


@given(studies())
def test_the_front_is_what_no_trial_dominates_with_all_equal_points(study):
    trials, objectives = study
    vectors = {record.number: cost_vector(record, objectives) for record in trials}
    expected = {n for n, vector in vectors.items() if not any(dominates(other, vector) for other in vectors.values())}
    result = front(trials, objectives)
    numbers = [record.number for record in result.members]
    assert sorted(numbers) == sorted(expected)
    assert numbers == sorted(numbers, key=lambda number: (*vectors[number], number))


@given(studies(), st.integers(-2, 5))
def test_hypervolume_counts_the_dominated_cells(study, corner):
    trials, objectives = study
    reference = {name: corner if goal == "minimize" else -corner for name, goal in objectives.items()}
    expected = cells_dominated([cost_vector(record, objectives) for record in trials], [corner] * len(objectives))
    assert front(trials, objectives, reference).hypervolume == pytest.approx(expected, abs=1e-9)
    points = [[record.values[name] for name in objectives] for record in trials]
    assert hypervolume(points, list(reference.values()), list(objectives.values())) == pytest.approx(expected, abs=1e-9)


@given(studies())
def test_the_default_reference_point_is_worse_than_every_trial(study):
    trials, objectives = study
    reference = default_reference_point(trials, objectives)
    assert set(reference) == (set(objectives) if trials else set())
    for name, goal in objectives.items():
        for record in trials:
            worse = (
                reference[name] > record.values[name] if goal == "minimize" else reference[name] < record.values[name]
            )
            assert worse
    assert (front(trials, objectives).hypervolume > 0) == bool(trials)


def test_the_default_reference_point_follows_its_rule():
    trials = [
        trial(0, {"a": 10.0, "b": 2.0, "c": -5.0, "d": 0.0}),
        trial(1, {"a": 30.0, "b": 4.0, "c": -5.0, "d": 0.0}),
    ]
    objectives = {"a": "minimize", "b": "maximize", "c": "maximize", "d": "minimize"}
    expected = {"a": 32.0, "b": 1.8, "c": -5.5, "d": 1.0}
    assert default_reference_point(trials, objectives) == pytest.approx(expected)
    tiny = [trial(0, {"a": 1e9}), trial(1, {"a": math.nextafter(1e9, 2e9)})]
    assert default_reference_point(tiny, {"a": "minimize"})["a"] > math.nextafter(1e9, 2e9)


def test_a_front_by_hand():
    values = [(0.30, 5.7e9), (0.25, 9e9), (0.40, 1e9), (0.30, 6e9), (0.30, 5.7e9)]
    trials = [trial(number, {"error": e, "macs": m}) for number, (e, m) in enumerate(values)]
    result = front(trials, {"error": "minimize", "macs": "minimize"}, {"error": 0.5, "macs": 10e9})
    assert [record.number for record in result.members] == [1, 0, 4, 2]
    assert result.hypervolume == pytest.approx(0.25 * 1e9 + 0.2 * 3.3e9 + 0.1 * 4.7e9)
    assert result.reference_point == {"error": 0.5, "macs": 10e9}


def test_only_complete_trials_with_all_finite_objectives_take_part():
    objectives = {"error": "minimize", "macs": "minimize"}
    good = trial(0, {"error": 0.5, "macs": 5.0})
    others = [
        trial(1, {"error": 0.1}),
        trial(2, {"error": math.nan, "macs": 1.0}),
        trial(3, {"error": 0.1, "macs": -math.inf}),
        *[
            trial(4 + i, {"error": 0.1, "macs": 1.0}, outcome)
            for i, outcome in enumerate(Outcome)
            if outcome != "complete"
        ],
    ]
    assert comparable([*others, good], objectives) == [good]
    assert front([*others, good], objectives).members == (good,)


def test_a_front_without_trials():
    objectives = {"error": "minimize"}
    empty = front([], objectives)
    assert (empty.members, empty.reference_point, empty.hypervolume) == ((), {}, 0.0)
    assert front([], objectives, {"error": 1.0}).reference_point == {"error": 1.0}
    assert hypervolume([], [1.0, 1.0], ["minimize", "maximize"]) == 0.0


def test_wrong_requests_say_what_is_wrong():
    one = [trial(0, {"error": 0.5})]
    with pytest.raises(ValueError, match="'error' has direction 'min': make it minimize or maximize"):
        front(one, {"error": "min"})
    with pytest.raises(ValueError, match="at least one objective"):
        front(one, {})
    with pytest.raises(ValueError, match="reference point has no value for objective 'error'"):
        front(one, {"error": "minimize"}, {"macs": 1.0})
    with pytest.raises(ValueError, match="reference point has nan"):
        front(one, {"error": "minimize"}, {"error": math.nan})
    with pytest.raises(ValueError, match="do not fit 2 objectives"):
        hypervolume([[1.0]], [1.0, 2.0], ["minimize", "minimize"])
    with pytest.raises(ValueError, match="must be finite"):
        hypervolume([[math.nan]], [1.0], ["minimize"])


def test_a_trial_that_breaks_a_limit_is_not_on_the_front():
    objectives = {"error": "minimize", "macs": "minimize"}
    kept = replace(trial(0, {"error": 0.5, "macs": 5.0}), violations={"limit:macs": 0.0, "principle:balance": -1.0})
    broken = replace(trial(1, {"error": 0.1, "macs": 1.0}), seed="googlenet", violations={"principle:balance": 0.3})
    assert measured([kept, broken], objectives) == [kept, broken]
    assert comparable([kept, broken], objectives) == [kept]
    assert front([kept, broken], objectives) == front([kept], objectives)
    assert front([broken], objectives).members == ()
    assert default_reference_point([broken], objectives) == {}


@pytest.mark.parametrize("shape", ["cube", "grid", "simplex", "constant", "one column"])
def test_nondominated_points_are_moocores(shape):
    source = np.random.default_rng(0)
    points = {
        "cube": source.random((5000, 3)),
        "grid": source.integers(0, 4, (2000, 4)).astype(float),
        "simplex": source.dirichlet([1, 1, 1], 1000),
        "constant": np.ones((7, 2)),
        "one column": source.integers(0, 5, (50, 1)).astype(float),
    }[shape]
    directions = [("minimize", "maximize")[column % 2] for column in range(points.shape[1])]
    maximise = [goal == "maximize" for goal in directions]
    expected = moocore.is_nondominated(points, maximise=maximise, keep_weakly=True)
    assert (nondominated(points, directions) == expected).all()
    assert nondominated(np.empty((0, 2)), ["minimize"] * 2).tolist() == []
