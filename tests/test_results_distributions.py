"""Distributions of error at equal cost, beside shares counted one by one."""

import random
from types import SimpleNamespace

import pytest

from results.distributions import distributions
from results.outcome import Outcome, TrialRecord
from results.statistics_table import _distributions as blocks

OBJECTIVES = {"error": "minimize", "macs": "minimize"}


def trial(number, error, macs, origin="sampler", outcome=Outcome.COMPLETE):
    return TrialRecord(
        study="s",
        number=number,
        digest=f"{number}",
        origin=origin,
        seed="inception-v3" if origin == "seed" else None,
        architecture={},
        costs={"macs": macs},
        outcome=outcome,
        values={"error": error} if outcome is Outcome.COMPLETE else {},
        violations={"limit:macs": 1.0} if origin == "seed" else {},
    )


def drawn(count):
    source = random.Random(0)
    origins = ["random", "sampler", "sampler"]
    return [trial(n, source.random(), source.randint(1, 40) * 10**8, origins[n % 3]) for n in range(count)]


@pytest.mark.parametrize(("count", "bands"), [(1, 1), (19, 1), (20, 2), (35, 3), (200, 4)])
def test_bands_hold_equal_numbers_and_no_macs_stand_in_two(count, bands):
    trials = drawn(count)
    found = distributions(reversed(trials), OBJECTIVES).bands
    assert len(found) == bands
    for band in found:
        inside = [t for t in trials if band.low <= t.costs["macs"] <= band.high]
        for arm, values in band.arms.items():
            assert list(values) == sorted(t.values["error"] for t in inside if t.origin == arm)
        assert abs(len(inside) - count / bands) <= 0.2 * count / bands + 1
    assert sum(len(values) for band in found for values in band.arms.values()) == count


def test_quantiles_are_values_that_so_many_do_not_exceed():
    band = distributions([trial(n, n / 10, 10) for n in range(10)], OBJECTIVES).bands[0]
    assert band.quantiles("sampler") == {0.0: 0.0, 0.25: 0.2, 0.5: 0.4, 0.75: 0.7, 1.0: 0.9}


def test_seeds_are_marks_in_the_band_of_their_macs():
    trials = [trial(n, 0.5, 100 + n) for n in range(40)]
    seeds = [trial(90, 0.1, 100, "seed"), trial(91, 0.2, 9999, "seed"), trial(92, 0.3, 1, "seed")]
    bands = distributions(trials + seeds, OBJECTIVES).bands
    assert [[mark.number for mark in band.seeds] for band in bands] == [[90, 92], [], [], [91]]
    assert all("seed" not in band.arms for band in bands)
    (only,) = distributions(seeds, OBJECTIVES).bands
    assert (only.low, only.high, only.arms, len(only.seeds)) == (1, 9999, {}, 3)


def test_a_seed_outside_of_its_band_is_told_with_its_macs():
    trials = [trial(n, 0.5, 100 + n) for n in range(10)]
    seeds = [trial(90, 0.1, 105, "seed"), trial(91, 0.2, 9_000_000, "seed")]
    (table,) = blocks(SimpleNamespace(distributions=distributions(trials + seeds, OBJECTIVES)), 120)
    told = [str(cell) for cell in table.columns[1].cells]
    assert told == ["sampler", "inception-v3", "inception-v3 (9.00 M MACs)"]


def test_equal_macs_make_one_band_and_failures_none():
    assert len(distributions([trial(n, 0.1 * n, 5) for n in range(40)], OBJECTIVES).bands) == 1
    assert distributions([trial(0, 0, 5, outcome=Outcome.DIVERGED)], OBJECTIVES).bands == ()
