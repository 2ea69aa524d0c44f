"""Kendall's tau between rungs: against scipy on known orders, and what is recommended."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from results.agreement import ROWS, Agreement, _taus, agreements, as_sentence, recommended
from results.outcome import Measurement, TrialRecord


def _trial(number: int, errors: list[float], params: int) -> TrialRecord:
    measurements = tuple(Measurement(rung, 3**rung, {"error": error}, 1.0) for rung, error in enumerate(errors))
    return TrialRecord(
        study="s",
        number=number,
        digest=str(number),
        origin="sampler",
        architecture={},
        costs={"params": params, "macs": 7},
        measurements=measurements,
    )


def test_taus_are_those_of_scipy_and_their_intervals_hold_them() -> None:
    drawn = random.Random(0)
    top = [drawn.random() for _ in range(30)]
    rough = [error + drawn.gauss(0, 0.4) for error in top]
    near = [error + drawn.gauss(0, 0.05) for error in top]
    params = [drawn.randrange(1000) for _ in top]
    trials = [_trial(n, [rough[n], near[n], top[n]], params[n]) for n in range(30)]
    found = {each.what: each for each in agreements(trials, [1, 3, 9])}
    assert list(found) == ["rung 0", "rung 1", "params", "macs"]
    assert found["rung 0"].tau == pytest.approx(kendalltau(rough, top).statistic)
    assert found["rung 1"].tau == pytest.approx(kendalltau(near, top).statistic)
    assert found["params"].tau == pytest.approx(-kendalltau(params, top).statistic)
    assert found["macs"].tau == 0  # equal for all: they order nothing
    intervals = {what: each.interval for what, each in found.items() if each.interval is not None}
    assert list(intervals) == ["rung 0", "rung 1", "params"]
    assert all(low <= found[what].tau <= high for what, (low, high) in intervals.items())
    assert intervals["rung 0"][1] < intervals["rung 1"][0]
    assert {each.trials for each in found.values()} == {30}


def test_few_trials_in_one_order_give_no_interval() -> None:
    """All resamples have the same tau: an interval of no width would claim to be sure of it."""
    (found,) = (each for each in agreements([_trial(n, [n / 10, n / 9], n) for n in range(6)], [1, 3]) if each.tau > 0)
    assert found.interval is None
    assert found.sentence == "rung 0 +1.00 (no interval: 6 trials are too few for one)"
    assert (found.as_data()["low"], found.as_data()["high"]) == (None, None)


def test_only_trials_at_both_rungs_count() -> None:
    trials = [_trial(n, [n / 10, n / 10, n / 10][: 1 + 2 * (n < 6)], n) for n in range(20)]
    assert {each.trials for each in agreements(trials, [1, 3, 9])} == {6}


def test_few_trials_give_no_figure() -> None:
    assert agreements([_trial(n, [0.1, 0.2], n) for n in range(4)], [1, 3]) == []


def test_the_cheapest_rung_that_reaches_the_threshold_is_recommended() -> None:
    found = [Agreement(f"rung {rung}", tau, (tau, tau), 9) for rung, tau in enumerate((0.3, 0.7, 0.9))]
    found.append(Agreement("params", 0.99, (0.99, 0.99), 9))
    assert recommended(found, 0.6) == 1
    assert recommended(found, 0.2) == 0
    assert recommended(found, 0.95) is None


def test_the_sentence_says_of_which_trials_it_is() -> None:
    found = [Agreement(what, 0.5, (0.25, 0.75), 9) for what in ("rung 0", "params")]
    plain = "Order of the 9 trials that reached the top rung, Kendall's tau with it (90 % intervals): "
    assert as_sentence(found, chosen=False) == f"{plain}rung 0 +0.50 (+0.25 to +0.75), params +0.50 (+0.25 to +0.75)."
    found[1] = replace(found[1], trials=7)
    told = as_sentence(found, chosen=True)
    assert told.startswith("Order of the trials that reached")
    assert "rung 0 +0.50 (+0.25 to +0.75) of 9, params +0.50 (+0.25 to +0.75) of 7." in told
    assert told.endswith(
        "Lower rungs chose these trials, which lowers tau: 'nas calibrate' measures it without a choice."
    )
    assert as_sentence([], chosen=True) == ""


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12))
def test_taus_of_points_that_occur_several_times_are_those_of_scipy(drawn: list[tuple[int, int, int]]) -> None:
    """Ties of all kinds, and copies of a point, which order nothing."""
    points, counts = np.array([each[:2] for each in drawn], dtype=float), np.array([each[2] for each in drawn])
    x, y = np.repeat(points, counts, axis=0).T
    found = _taus(points, np.vstack([counts, np.ones_like(counts)]))
    for tau, (one, other) in zip(found, ((x, y), points.T), strict=True):
        ordered = len(set(one.tolist())) > 1 and len(set(other.tolist())) > 1
        assert tau == pytest.approx(kendalltau(one, other).statistic if ordered else 0.0)


def test_pairs_are_compared_in_parts() -> None:
    drawn = random.Random(1)
    errors = [[drawn.random(), drawn.random()] for _ in range(ROWS + 7)]
    (found, *_) = agreements([_trial(n, pair, n) for n, pair in enumerate(errors)], [1, 3])
    assert found.tau == pytest.approx(kendalltau(*zip(*errors, strict=True)).statistic)
