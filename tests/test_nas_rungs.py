"""Rungs of a search file: what each trains, and what is refused."""

import hashlib
import json
import re
from dataclasses import asdict, replace
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.rungs import fidelity_digest, rung_of_epoch, rungs_of, seconds_before
from results.outcome import Measurement
from search_spaces.errors import RequestError


def _config(rungs: Any = (), **changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 6, "proxy": {"resolution": 8}, "recipe": {"epochs": 9}}
    return SearchConfig.from_data({**least, "rungs": rungs, **changes})


def test_without_rungs_there_is_the_proxy_alone() -> None:
    for rungs in (_config([]), _config("none"), _config({"lower": []})):
        (only,) = rungs_of(rungs)
        assert (only.resolution, only.width, only.share, only.epochs, only.horizon) == (8, 0.125, 1.0, 9, 9)


def test_rungs_that_differ_in_epochs_alone_are_one_training() -> None:
    rungs = rungs_of(_config([{"epochs": 1}, {"epochs": 3}]))
    assert [(rung.epochs, rung.horizon, rung.training) for rung in rungs] == [(1, 9, 0), (3, 9, 0), (9, 9, 0)]


def test_another_width_or_share_or_resolution_is_a_training_of_its_own() -> None:
    lower = [{"epochs": 1, "width": 0.0625}, {"epochs": 2, "width": 0.0625}, {"share": 0.5}]
    rungs = rungs_of(_config(lower))
    assert [(rung.epochs, rung.horizon, rung.training) for rung in rungs] == [
        (1, 2, 0),
        (2, 2, 0),
        (9, 9, 1),
        (9, 9, 2),
    ]
    assert [rung.share for rung in rungs] == [1, 1, 0.5, 1]
    assert rungs[1].recipe(_config().recipe).epochs == 2


@pytest.mark.parametrize(
    ("lower", "told"),
    [
        (
            [{"epochs": 12}],
            "rungs.lower 0 (12 epochs at 8 px and width 0.125) is not cheaper than the proxy and recipe (9 epochs",
        ),
        (
            [{"epochs": 3}, {"epochs": 2}],
            "rungs.lower 0 (3 epochs at 8 px and width 0.125) is not cheaper than rung 1 (2 epochs",
        ),
        ([{"epochs": 3}, {"epochs": 3}], "is not cheaper than rung 1"),
        ([{}], "is not cheaper than the proxy"),
        (
            [{"epochs": 1, "width": 0.0625}],
            "rungs.lower 0 trains for 1 epochs of its own, and recipe.warmup_epochs is 2",
        ),
        ([{"epoch": 3}], "epoch"),
        ({"lower": [], "reduction": 0.5}, "reduction"),
    ],
)
def test_rungs_that_cannot_be_are_refused(lower: Any, told: str) -> None:
    with pytest.raises(RequestError, match=re.escape(told)):
        _config(lower, recipe={"epochs": 9, "warmup_epochs": 2})


def test_a_warm_up_may_end_within_a_later_stage() -> None:
    assert len(rungs_of(_config([{"epochs": 1}], recipe={"epochs": 9, "warmup_epochs": 2}))) == 2


def test_a_fidelity_is_what_is_trained_and_nothing_else() -> None:
    config = _config([{"epochs": 3}])
    low, top = rungs_of(config)
    digest = fidelity_digest(low, config, "data")
    assert digest != fidelity_digest(top, config, "data")
    assert digest != fidelity_digest(low, config, "other data")
    assert digest != fidelity_digest(low, config.model_copy(update={"random_seed": 1}), "data")
    other = config.model_copy(update={"recipe": replace(config.recipe, learning_rate=0.01)})
    assert digest != fidelity_digest(low, other, "data")
    # Neither the place among the rungs, nor the name, the sampler, the limits or the target.
    more = _config([{"epochs": 1}, {"epochs": 3}], study="t", sampler="random", target={"resolution": 224}, trials=9)
    assert digest == fidelity_digest(rungs_of(more)[1], more, "data")
    # What is measured of the target belongs to the result, and so does its setting.
    measured = _config([{"epochs": 3}], objectives=["error", "latency_ms"])
    assert digest != fidelity_digest(low, measured, "data")


@pytest.mark.parametrize("schedule", ["exponential", "constant", "cosine"])
def test_a_fidelity_holds_the_length_of_the_training_where_the_schedule_depends_on_it(schedule: str) -> None:
    long = _config([{"epochs": 3}], recipe={"epochs": 9, "schedule": schedule})
    short = _config(recipe={"epochs": 3, "schedule": schedule})
    low, top = (fidelity_digest(rung, long, "data") for rung in rungs_of(long))
    (same,) = (fidelity_digest(rung, short, "data") for rung in rungs_of(short))
    assert (low == same) == (schedule != "cosine")
    assert low != top


def test_fidelities_under_a_cosine_are_the_digest_of_all_that_they_hold() -> None:
    config = _config([{"epochs": 3}], recipe={"epochs": 9, "schedule": "cosine"})
    rung = {"resolution": 8, "width": 0.125, "share": 1.0, "epochs": 3, "horizon": 9}
    facts = {"rung": rung, "recipe": asdict(config.recipe), "data": "data", "random_seed": config.random_seed}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    assert fidelity_digest(rungs_of(config)[0], config, "data") == digest


def test_epochs_belong_to_the_rung_that_they_lead_to() -> None:
    rungs = rungs_of(_config([{"epochs": 2, "width": 0.0625}, {"epochs": 1}, {"epochs": 4}]))
    assert [rung_of_epoch(rungs, 0, epoch) for epoch in (1, 2)] == [0, 0]
    assert [rung_of_epoch(rungs, 1, epoch) for epoch in (1, 2, 4, 5, 9)] == [1, 2, 2, 3, 3]


def test_seconds_of_earlier_trainings() -> None:
    rungs = rungs_of(_config([{"epochs": 2, "width": 0.0625}, {"epochs": 1}]))
    measured = [Measurement(0, 1, {}, 5.0), Measurement(0, 2, {}, 9.0), Measurement(1, 1, {}, 20.0)]
    assert [seconds_before(rungs, rung, measured) for rung in range(3)] == [0.0, 9.0, 9.0]
