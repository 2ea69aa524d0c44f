"""Reports with values that cannot be recorded become those of trials that ended."""

import math
from typing import Any

import pytest

from nas.job import Report
from nas.odd_values import checked
from results.outcome import Outcome

GOOD = Report(3, 2, 2, {"error": 0.5}, 2.0, (({"error": 0.6}, 1.0), ({"error": 0.5}, 2.0)), Outcome.COMPLETE)


def _with(**changes: Any) -> Report:
    return Report.from_data({**GOOD.as_data(), **changes})


def test_finite_values_are_taken_as_they_are() -> None:
    assert checked(GOOD, ()) is GOOD
    running = _with(values={}, history=(), outcome="running", epoch=0)
    assert checked(running, ("latency_ms",)) is running  # it may still measure it


def test_the_epochs_before_an_odd_value_stay() -> None:
    history = (({"error": 0.6}, 1.0), ({"error": math.nan}, 2.0), ({"error": 0.4}, 3.0))
    found = checked(_with(history=history, measured={"latency_ms": 2.0}), ())
    assert found.outcome is Outcome.DIVERGED
    assert found.history == history[:1]
    assert (found.values, found.measured) == ({}, {"latency_ms": 2.0})
    assert found.reason == "the worker measured error nan, which is no finite number"


def test_an_odd_measurement_of_the_target_goes() -> None:
    found = checked(_with(measured={"latency_ms": math.inf}), ("latency_ms",))
    assert (found.outcome, found.measured) == (Outcome.DIVERGED, {})
    assert found.history == GOOD.history


@pytest.mark.parametrize("outcome", ["complete", "stopped"])
def test_a_trial_that_ends_without_what_is_wanted_broke(outcome: str) -> None:
    found = checked(_with(outcome=outcome), ("latency_ms",))
    assert (found.outcome, found.reason) == (Outcome.BROKEN, "the worker measured no latency_ms")
    found = checked(_with(outcome=outcome, values={}), ())
    assert (found.outcome, found.reason) == (Outcome.BROKEN, "the worker measured no error")
