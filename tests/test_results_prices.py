"""What a percent costs, by hand."""

import pytest

from results.outcome import Outcome, TrialRecord
from results.prices import Prices, Step, prices

OBJECTIVES = {"error": "minimize", "macs": "minimize"}


def trial(number, error, macs, outcome=Outcome.COMPLETE, broken=0.0, name="error"):
    return TrialRecord(
        study="s",
        number=number,
        digest=f"{number}",
        origin="sampler",
        architecture={},
        costs={} if macs is None else {"macs": macs, "params": macs // 10},
        outcome=outcome,
        values={} if error is None else {name: error},
        violations={"limit:params": broken},
    )


def test_steps_and_their_prices():
    trials = [
        trial(0, 0.30, 1000),
        trial(1, 0.20, 3000),
        trial(2, 0.20, 3000),  # the same again
        trial(3, 0.20, 2500, broken=0.1),  # breaks a limit
        trial(4, 0.25, 3000),  # dominated, at equal MACs
        trial(5, 0.35, 1000),
        trial(6, 0.19, 9000),
        trial(7, 0.10, None),
        trial(8, None, 100, Outcome.DIVERGED),
        trial(9, float("nan"), 100),
    ]
    assert prices(reversed(trials), OBJECTIVES).steps == (
        Step(0, 0.30, 1000, 100, None),
        Step(1, 0.20, 3000, 300, pytest.approx(200)),
        Step(6, 0.19, 9000, 900, pytest.approx(6000)),
    )


def test_what_is_maximised_and_what_is_no_fraction():
    better = [trial(0, 0.7, 100, name="accuracy"), trial(1, 0.8, 300, name="accuracy")]
    found = prices(better, {"accuracy": "maximize"})
    assert [step.price for step in found.steps] == [None, pytest.approx(20)]
    assert found.unit == "percent point"
    losses = [trial(0, 3.0, 100, name="loss"), trial(1, 1.0, 300, name="loss")]
    found = prices(losses, {"loss": "minimize"})
    assert (found.steps[1].price, found.unit) == (100, "unit")
    assert found.as_data()["steps"][1] == {"number": 1, "value": 1.0, "macs": 300, "params": 30, "price": 100.0}


def test_without_a_trial_there_are_no_steps():
    assert prices([trial(0, None, 1, Outcome.BROKEN)], OBJECTIVES) == Prices("error", ())
