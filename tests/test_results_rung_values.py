"""Which values are those of a rung: as the driver's rungs end, and whatever becomes of a trial after that."""

from dataclasses import replace
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.rungs import rungs_of
from results.agreement import errors_at
from results.outcome import Measurement, Outcome, TrialRecord
from results.rung_values import costs_of, end_of, ended, epochs_of, measured_at, values_at

EPOCHS = (1, 3, 9)


def _trial(*places: tuple[int, int], outcome: Outcome = Outcome.RUNNING) -> TrialRecord:
    measured = tuple(Measurement(*place, {"error": sum(place) / 100}, 1.0) for place in places)
    return TrialRecord(
        study="s", number=0, digest="d", origin="sampler", architecture={}, costs={}, outcome=outcome,
        measurements=measured,
    )  # fmt: skip


@pytest.mark.parametrize(
    "rungs",
    [
        [],
        [{"epochs": 1}, {"epochs": 3}],
        [{"epochs": 2, "resolution": 16}, {"epochs": 2, "share": 0.5}],
        [{"resolution": 16}, {"epochs": 8}],
    ],
)
def test_rungs_end_where_those_of_the_driver_do(rungs: list[dict[str, Any]]) -> None:
    search = {
        "study": "s",
        "trials": 9,
        "data": "digits",
        "proxy": {"resolution": 32},
        "recipe": {"epochs": 9},
        "rungs": rungs,
    }
    config = SearchConfig.from_data(search)
    assert epochs_of(config.as_data()) == tuple(rung.epochs for rung in rungs_of(config))


def test_a_recipe_that_was_left_out_is_resolved_in_what_is_stored() -> None:
    config = SearchConfig.from_data({"study": "s", "data": "digits", "trials": 9})
    assert epochs_of(config.as_data()) == (config.recipe.epochs,)
    assert epochs_of({}) == (None,)
    assert epochs_of({"rungs": {"lower": [{"epochs": 2}, {}]}}) == (2, None, None)


AFTER = [
    _trial((0, 1), outcome=Outcome.STOPPED),
    _trial((0, 1)),  # goes on, and runs
    _trial((0, 1), (1, 2)),
    *(_trial((0, 1), outcome=outcome) for outcome in Outcome if outcome.failed),  # before its first epoch of rung 1
    _trial((0, 0), (0, 1), (1, 2), outcome=Outcome.DIVERGED),
]


@pytest.mark.parametrize("trial", AFTER, ids=lambda trial: f"{trial.outcome}-{len(trial.measurements)}")
def test_a_trial_keeps_its_value_of_a_rung_whatever_becomes_of_it(trial: TrialRecord) -> None:
    assert [ended(trial, rung, EPOCHS) for rung in range(3)] == [True, False, False]
    found = end_of(trial, 0, EPOCHS)
    assert found is not None
    assert found.values == {"error": 0.01}


def test_what_is_measured_on_the_way_is_no_value_of_the_rung() -> None:
    before = _trial((0, 0), (0, 1), outcome=Outcome.DIVERGED)
    assert not ended(before, 0, (2, 9))
    assert [ended(_trial((0, 1), (1, 3), (2, 8)), rung, EPOCHS) for rung in range(3)] == [True, True, False]
    assert not ended(_trial((1, 3)), 0, EPOCHS)  # the measurement at its end cannot be read
    assert not ended(_trial(), 0, EPOCHS)


@pytest.mark.parametrize(("rung", "epochs"), [(3, EPOCHS), (-1, EPOCHS), (0, ()), (2, (1, 3, None))])
def test_of_a_rung_whose_end_is_not_known_there_is_no_value(rung: int, epochs: tuple[int | None, ...]) -> None:
    trial = _trial((0, 1), (1, 3), (2, 9), (3, 1), outcome=Outcome.COMPLETE)
    assert end_of(trial, rung, epochs) is None
    assert not ended(trial, rung, epochs)


def test_what_is_measured_at_a_place_is_found_there() -> None:
    places = [(rung, epoch) for rung in range(3) for epoch in range(0, 8, 2)]
    trial = _trial(*places)
    for place in [(rung, epoch) for rung in range(-1, 4) for epoch in range(-1, 9)]:
        by_hand = [m for m in trial.measurements if (m.rung, m.epoch) == place]
        found = measured_at(trial, *place)
        assert ([] if found is None else [found]) == by_hand
        assert errors_at(trial, *place) == (by_hand[0].values["error"] if by_hand else None)


def test_what_a_trial_costs_holds_at_every_rung() -> None:
    before = Measurement(0, 0, {"latency_ms": 8.0}, 0.0)
    bare = _trial((0, 1), (1, 2))
    trial = replace(bare, costs={"macs": 7}, measurements=(before, *bare.measurements))
    assert costs_of(trial) == {"macs": 7, "latency_ms": 8.0}
    assert costs_of(bare) == {}
    assert values_at(trial, 0, EPOCHS) == {"macs": 7, "latency_ms": 8.0, "error": 0.01}
    assert values_at(trial, 1, EPOCHS) is None  # on its way there
    assert values_at(trial, None, EPOCHS) is None
    complete = replace(trial, outcome=Outcome.COMPLETE, values={"error": 0.5, "latency_ms": 9.0})
    assert values_at(complete, None, EPOCHS) == {"macs": 7, "latency_ms": 9.0, "error": 0.5}
    assert values_at(replace(trial, measurements=(before,)), 0, EPOCHS) is None
