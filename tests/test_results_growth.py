"""Hypervolume by trial, beside the hypervolume of every beginning of the study."""

import random
import time
from dataclasses import replace
from itertools import accumulate

import pytest

from results.growth import growth
from results.outcome import Outcome, TrialRecord
from results.pareto import front

OBJECTIVES = {"error": "minimize", "macs": "minimize", "accuracy": "maximize"}


def trial(number, values, origin="sampler", outcome=Outcome.COMPLETE, violations=None):
    return TrialRecord(
        study="s",
        number=number,
        digest=f"d{number}",
        origin=origin,
        architecture={},
        costs={},
        outcome=outcome,
        values=values if outcome is Outcome.COMPLETE else {},
        violations=violations or {},
    )


def drawn(count, seed=0):
    source = random.Random(seed)
    origins = ("seed", "sampler", "sampler", "random")
    outcomes = (*[Outcome.COMPLETE] * 6, Outcome.STOPPED, Outcome.DIVERGED, Outcome.SCREENED)
    return [
        trial(
            number,
            {name: source.randint(0, 9) / 10 for name in OBJECTIVES},
            origins[number % 4],
            source.choice(outcomes),
            {"limit:macs": 0.5} if number % 11 == 0 else {"limit:macs": -0.5},
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_each_size_is_the_hypervolume_of_the_trials_so_far(seed):
    trials, reference = drawn(60, seed), {"error": 0.8, "macs": 1.0, "accuracy": 0.1}
    grown = growth(reversed(trials), OBJECTIVES, reference)
    for name, chosen in (
        ("all", trials),
        ("sampler", [t for t in trials if t.origin == "sampler"]),
        ("random", [t for t in trials if t.origin == "random"]),
    ):
        spent = [t for t in chosen if t.outcome.trained]
        expected = [front(spent[:n], OBJECTIVES, reference).hypervolume for n in range(1, len(spent) + 1)]
        assert grown.sizes[name] == pytest.approx(expected)
        assert list(grown.sizes[name]) == list(accumulate(grown.sizes[name], max))


def test_the_reference_point_is_that_of_all_trials_unless_given():
    trials = drawn(40)
    assert growth(trials, OBJECTIVES).reference_point == front(trials, OBJECTIVES).reference_point
    assert growth(trials, OBJECTIVES).sizes["all"][-1] == pytest.approx(front(trials, OBJECTIVES).hypervolume)


def test_without_a_comparable_trial_all_sizes_are_zero():
    failed = [trial(0, {}, outcome=Outcome.DIVERGED), trial(1, {}, outcome=Outcome.SCREENED)]
    assert growth(failed, OBJECTIVES).sizes == {"all": (0.0,), "sampler": (0.0,)}
    assert growth([], OBJECTIVES).as_data() == {"reference_point": {}, "sizes": {"all": []}, "seconds": {"all": []}}


def test_the_training_of_the_trials_so_far_is_summed():
    spent = [(3, 4.0), (1, 2.0), (2, None), (4, 1.5)]  # number 2: its results were known
    trials = [replace(trial(number, dict.fromkeys(OBJECTIVES, 0.5)), seconds=seconds) for number, seconds in spent]
    trials.append(replace(trial(5, {}, "random", Outcome.DIVERGED), seconds=3.0))
    assert growth(trials, OBJECTIVES).seconds == {
        "all": (2.0, 2.0, 6.0, 7.5, 10.5),
        "sampler": (2.0, 2.0, 6.0, 7.5),
        "random": (3.0,),
    }


def test_ten_thousand_trials_of_three_objectives_take_about_a_second():
    source = random.Random(0)
    trials = [trial(n, {name: source.random() for name in OBJECTIVES}) for n in range(10_000)]
    began = time.perf_counter()
    assert len(growth(trials, OBJECTIVES).sizes["all"]) == 10_000
    assert time.perf_counter() - began < 5  # 0.3 s on a machine that has nothing else to do
