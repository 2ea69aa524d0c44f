"""Did searching help: the two arms at equal budget."""

import random
from dataclasses import replace
from statistics import fmean, stdev

import pytest

from results import control
from results.control import LEAST, compare
from results.outcome import Origin, Outcome, TrialRecord

OBJECTIVES = {"error": "minimize", "macs": "minimize"}


def _trials(
    count: int, origin: Origin, better: float, drawn: random.Random, outcome: Outcome = Outcome.COMPLETE
) -> list[TrialRecord]:
    return [
        TrialRecord(
            study="s",
            number=2 * n + (origin == "random"),
            digest=f"{origin}{n}",
            origin=origin,
            architecture={},
            costs={},
            outcome=outcome,
            values={"error": drawn.random() - better, "macs": drawn.random()} if outcome is Outcome.COMPLETE else {},
        )
        for n in range(count)
    ]


def test_a_sampler_that_finds_better_ones_helped() -> None:
    drawn = random.Random(0)
    found = compare(_trials(60, "sampler", 0.8, drawn) + _trials(20, "random", 0.0, drawn), OBJECTIVES)
    assert found is not None
    assert found.verdict == "helped"
    assert found.budget == 20
    assert found.trials == (60, 20)
    assert found.difference.low > 0
    assert found.sentence.startswith("Searching helped: at 20 trials of each")


def test_a_sampler_that_finds_worse_ones_did_not_help() -> None:
    drawn = random.Random(0)
    found = compare(_trials(60, "sampler", 0.0, drawn) + _trials(20, "random", 0.8, drawn), OBJECTIVES)
    assert found is not None
    assert found.verdict == "did not help"
    assert found.difference.high < 0


def test_equal_arms_are_not_told_apart() -> None:
    """Over many pairs of arms that draw alike, the verdict "helped" comes up about as often as its interval errs."""
    verdicts = []
    for seed in range(60):
        drawn = random.Random(seed)
        found = compare(_trials(30, "sampler", 0.0, drawn) + _trials(30, "random", 0.0, drawn), OBJECTIVES)
        assert found is not None
        verdicts.append(found.verdict)
    assert verdicts.count("helped") <= 6
    assert verdicts.count("cannot be told yet") >= 50


def test_few_trials_tell_nothing() -> None:
    drawn = random.Random(0)
    found = compare(_trials(30, "sampler", 0.9, drawn) + _trials(LEAST - 1, "random", 0.0, drawn), OBJECTIVES)
    assert found is not None
    assert found.verdict == "cannot be told yet"
    assert "at least 4 of each" in found.sentence


def test_without_a_control_arm_there_is_no_comparison() -> None:
    assert compare(_trials(9, "sampler", 0.0, random.Random(0)), OBJECTIVES) is None


def test_trials_without_a_final_value_cost_their_budget() -> None:
    """An arm half of whose trials were stopped dominates less than one all of whose trials came as far."""
    drawn = random.Random(0)
    whole = _trials(20, "sampler", 0.0, drawn)
    stopped = _trials(40, "sampler", 0.0, drawn, Outcome.STOPPED)[20:]
    control = _trials(20, "random", 0.0, drawn)
    all_of_them, half = compare(whole + control, OBJECTIVES), compare(whole + stopped + control, OBJECTIVES)
    assert all_of_them is not None
    assert half is not None
    assert half.trials[0] == 40
    assert half.sampler.median < all_of_them.sampler.median


def test_nothing_complete_is_said_and_not_computed() -> None:
    drawn = random.Random(0)
    both = [_trials(9, origin, 0.0, drawn, Outcome.DIVERGED) for origin in ("sampler", "random")]
    found = compare(both[0] + both[1], OBJECTIVES)
    assert found is not None
    assert found.verdict == "cannot be told yet"


def test_a_larger_arm_that_draws_alike_is_not_favoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """72 points beside 24 of the same distribution: over many pairs the differences of the medians are about zero."""
    monkeypatch.setattr(control, "RESAMPLES", 200)
    differences = []
    for seed in range(160):
        drawn = random.Random(seed)
        found = compare(_trials(72, "sampler", 0.0, drawn) + _trials(24, "random", 0.0, drawn), OBJECTIVES)
        assert found is not None
        assert found.budget == 24
        differences.append(found.sampler.median - found.random.median)
    error = stdev(differences) / len(differences) ** 0.5
    assert abs(fmean(differences)) < 2 * error  # draws from all 72, without the cut, are off by five of these


def test_which_arm_is_the_larger_one_makes_no_difference() -> None:
    drawn = random.Random(3)
    many, few = _trials(40, "sampler", 0.0, drawn), _trials(10, "random", 0.0, drawn)
    one = compare(many + few, OBJECTIVES)
    swapped = [replace(trial, origin="random" if trial.origin == "sampler" else "sampler") for trial in many + few]
    other = compare(swapped, OBJECTIVES)
    assert one is not None
    assert other is not None
    assert (one.budget, one.trials) == (other.budget, other.trials[::-1]) == (10, (40, 10))
    assert one.sampler.median == pytest.approx(other.random.median, abs=0.05)
    assert one.random.median == pytest.approx(other.sampler.median, abs=0.05)
