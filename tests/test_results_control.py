"""Did searching help: the two arms at equal budget, and how often the verdict errs."""

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.control_errors import KINDS, NUMBERS, rates
from results import control
from results.control import LEAST, compare, startup_of
from results.growth import growth
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
    assert (found.budget, found.trials, found.adding) == (20, (60, 20), 40)
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.sentence.startswith(
        f"Searching helped: the sampler's first 20 trials have a hypervolume of {found.sampler:.4g}, as many random "
        f"points one of {found.random:.4g}; 95 % interval of the difference +"
    )


def test_a_sampler_that_finds_worse_ones_did_not_help() -> None:
    drawn = random.Random(0)
    found = compare(_trials(60, "sampler", 0.0, drawn) + _trials(20, "random", 0.8, drawn), OBJECTIVES)
    assert found is not None
    assert found.verdict == "did not help"
    assert found.interval[1] < 0
    assert found.sentence.endswith(", which ends below 2% of that of random points.")


def test_an_arm_is_worth_what_its_first_trials_came_to() -> None:
    """What the sampler found after more trials than the other arm has stands beside it, and decides nothing."""
    drawn = random.Random(1)
    early, control = _trials(12, "sampler", 0.0, drawn), _trials(12, "random", 0.0, drawn)
    late = [replace(t, number=t.number + 100) for t in _trials(36, "sampler", 0.9, drawn)]
    reference = {"error": 1.1, "macs": 1.1}
    found = compare([*late, *early, *control], OBJECTIVES, reference)
    alone = compare(early + control, OBJECTIVES, reference)
    assert found is not None
    assert alone is not None
    assert (found.sampler, found.random, found.interval) == (alone.sampler, alone.random, alone.interval)
    assert found.verdict == "cannot be told yet"
    sizes = growth([*late, *early, *control], OBJECTIVES, reference).sizes
    assert (found.sampler, found.random) == pytest.approx((sizes["sampler"][11], sizes["random"][11]))
    assert found.whole == pytest.approx((sizes["sampler"][-1], sizes["random"][-1]))
    assert found.as_data()["hypervolume_of_all"]["sampler"] > 1.5 * found.as_data()["hypervolume"]["sampler"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_verdict_errs_about_as_often_as_its_interval(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of kinds of trials that stand for the rest of ``benchmarks/control_errors.py``, 150 pairs each."""
    monkeypatch.setattr(control, "RESAMPLES", 100)
    kinds = ("even", "front", "stopped")
    assert KINDS.keys() >= set(kinds)
    found = [rates(kind, number, 150) for kind in kinds]
    assert np.mean([float(each["helped"]) for each in found]) < 0.045  # 0.025, and three standard errors
    assert np.mean([float(each["did_not_help"]) for each in found]) < 0.045


def test_few_trials_tell_nothing() -> None:
    drawn = random.Random(0)
    found = compare(_trials(30, "sampler", 0.9, drawn) + _trials(LEAST - 1, "random", 0.0, drawn), OBJECTIVES)
    assert found is not None
    assert found.verdict == "cannot be told yet"
    assert "at least 4 of each" in found.sentence


def test_a_sampler_that_has_hardly_begun_to_learn_is_not_judged() -> None:
    drawn, search = random.Random(0), {"sampler": {"name": "nsga2", "population": 8}}
    trials = _trials(40, "sampler", 0.9, drawn) + _trials(11, "random", 0.0, drawn)
    judged, not_yet = compare(trials, OBJECTIVES), compare(trials, OBJECTIVES, startup=startup_of(search))
    assert judged is not None
    assert not_yet is not None
    assert (judged.verdict, not_yet.verdict) == ("helped", "cannot be told yet")
    assert (
        "at least 12 of each are needed, since the sampler's first 8 are random points themselves" in not_yet.sentence
    )
    assert startup_of({"sampler": {"name": "evolution", "startup": 16, "population": 64}}) == 16
    assert startup_of({"sampler": {"name": "random"}}) == startup_of({}) == 0


def test_few_final_values_tell_nothing() -> None:
    """Two arms of which hardly a trial was trained to its end differ in nothing, and that is no finding."""
    drawn = random.Random(0)
    stopped = _trials(40, "sampler", 0.0, drawn, Outcome.STOPPED) + _trials(40, "random", 0.0, drawn, Outcome.STOPPED)
    found = compare(stopped[4:] + _trials(4, "sampler", 0.9, drawn), OBJECTIVES)
    assert found is not None
    assert (found.verdict, found.adding) == ("cannot be told yet", 4)
    assert "of the sampler's first 40 trials and as many random points 4 add to a hypervolume" in found.sentence
    assert "at least 8 must" in found.sentence
    better_than_all = {"error": -2.0, "macs": -2.0}
    plenty = compare(_trials(9, "sampler", 0.0, drawn) + _trials(9, "random", 0.0, drawn), OBJECTIVES, better_than_all)
    assert plenty is not None
    assert (plenty.verdict, plenty.adding) == ("cannot be told yet", 0)


def test_without_a_control_arm_there_is_no_comparison() -> None:
    assert compare(_trials(9, "sampler", 0.0, random.Random(0)), OBJECTIVES) is None


def test_trials_without_a_final_value_cost_their_budget() -> None:
    """An arm half of whose trials were stopped dominates less than one all of whose trials came as far."""
    drawn = random.Random(0)
    whole = _trials(20, "sampler", 0.0, drawn)
    stopped = _trials(40, "sampler", 0.0, drawn, Outcome.STOPPED)[20:]
    control = _trials(40, "random", 0.0, drawn)
    more = [replace(t, number=t.number + 100) for t in _trials(20, "sampler", 0.0, drawn)]
    all_of_them, half = compare(whole + more + control, OBJECTIVES), compare(whole + stopped + control, OBJECTIVES)
    assert all_of_them is not None
    assert half is not None
    assert half.trials[0] == 40
    assert half.sampler < all_of_them.sampler


def test_nothing_complete_is_said_and_not_computed() -> None:
    drawn = random.Random(0)
    both = [_trials(9, origin, 0.0, drawn, Outcome.DIVERGED) for origin in ("sampler", "random")]
    found = compare(both[0] + both[1], OBJECTIVES)
    assert found is not None
    assert found.verdict == "cannot be told yet"


def test_which_arm_is_the_larger_one_makes_no_difference() -> None:
    drawn = random.Random(3)
    many, few = _trials(40, "sampler", 0.0, drawn), _trials(10, "random", 0.0, drawn)
    one = compare(many + few, OBJECTIVES)
    swapped = [replace(trial, origin="random" if trial.origin == "sampler" else "sampler") for trial in many + few]
    other = compare(swapped, OBJECTIVES)
    assert one is not None
    assert other is not None
    assert (one.budget, one.trials) == (other.budget, other.trials[::-1]) == (10, (40, 10))
    assert (one.sampler, one.random) == (other.random, other.sampler)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]), abs=0.1)
