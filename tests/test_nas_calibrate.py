"""Calibration: every architecture at every rung, and what the orders say."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_nas_driver_rungs import Fake

from nas.calibrate import calibrate, plan
from nas.cli import nas as command
from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.study import Study
from results.outcome import Outcome
from search_spaces.errors import RequestError


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 18, "seeds": ["inception-v3"], "proxy": {"resolution": 8}}
    return SearchConfig.from_data({**least, "recipe": {"epochs": 9}, "executor": {"name": "inline"}, **changes})


@pytest.fixture
def worker() -> type[Fake]:
    return type("Worker", (Fake,), {"log": []})


def test_every_trial_goes_through_every_rung(tmp_path: Path, worker: type[Fake]) -> None:
    planned = plan(_config(rungs=[{"epochs": 1, "width": 0.0625}, {"epochs": 3}]), 8)
    found = calibrate(planned, tmp_path, threshold=0.6, executor=InlineExecutor(), make=worker)
    study = Study.open("s-calibration", tmp_path)
    assert study.outcomes()["complete"] == 8
    assert {trial.origin for trial in study.trials} == {"seed", "sampler"}
    assert found is not None
    assert [each.what for each in found.found] == ["rung 0", "rung 1", "params", "macs"]
    # The fake's error at any rung is that of the top plus a constant: the orders are the same.
    assert [each.tau for each in found.found[:2]] == pytest.approx([1.0, 1.0])
    assert found.recommended == 0
    assert found.advice.startswith("The cheapest rung that reaches 0.6 is rung 0: 1 epoch at 8 px and width 0.0625.")
    # Its seconds are its epochs: 1, 3 and 9 a trial, whatever came before.
    assert found.spent == (8.0, 24.0, 72.0)
    assert (
        "rung 1  +1.00  (no interval: 8 trials are too few for one)  "
        "3 epochs at 8 px and width 0.125, 33% of the top rung's time"
    ) in "\n".join(found.lines())


def test_the_time_of_a_rung_is_that_of_trials_that_were_trained_here(tmp_path: Path, worker: type[Fake]) -> None:
    known = {"rungs": [], "recipe": {"epochs": 1}, "proxy": {"resolution": 8, "width": 0.0625}, "trials": 1}
    run(_config(study="t", **known), tmp_path, executor=InlineExecutor(), make=worker)
    planned = plan(_config(rungs=[{"epochs": 1, "width": 0.0625}, {"epochs": 3}]), 8)
    found = calibrate(planned, tmp_path, threshold=0.6, executor=InlineExecutor(), make=worker)
    (taken_over,) = Study.open("s-calibration", tmp_path).seeds()
    assert taken_over.measurements[0].seconds == 0
    assert taken_over.seconds == 9.0
    assert found is not None
    assert found.spent == (7.0, 21.0, 63.0)


def test_a_search_at_a_calibrated_rung_trains_nothing_again(tmp_path: Path, worker: type[Fake]) -> None:
    lower = [{"epochs": 3}]
    calibrate(plan(_config(rungs=lower), 6), tmp_path, threshold=0.6, executor=InlineExecutor(), make=worker)
    worker.log.clear()
    config = _config(rungs=lower, trials=6, sampler="random")
    study = run(config, tmp_path, executor=InlineExecutor(), make=worker)
    assert worker.log == []
    assert all(trial.reused for trial in study.trials if trial.outcome in (Outcome.COMPLETE, Outcome.STOPPED))


def test_without_rungs_a_quarter_and_a_half_of_the_epochs_are_tried() -> None:
    assert [setting.epochs for setting in plan(_config(), 24).settings()] == [2, 4, 9]
    assert [setting.epochs for setting in plan(_config(recipe={"epochs": 2}), 24).settings()] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "trials", "told"),
    [
        ({}, 4, "a calibration of 4 trials tells nothing: at least 5 are needed"),
        ({"recipe": {"epochs": 1}}, 24, "there is nothing to calibrate: the file has no rungs"),
        ({"study": "s" * 60}, 24, "the study's name is too long"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(changes: dict[str, Any], trials: int, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        plan(_config(**changes), trials)


def test_the_command_gives_a_table_and_json(tmp_path: Path) -> None:
    """For real, on digits: two epochs in two rungs."""
    import json

    file = tmp_path / "file.yaml"
    file.write_text(
        "study: s\ndata: digits\ntrials: 1\nseeds: []\nproxy: {resolution: 8, width: 0.0625}\n"
        "recipe: {epochs: 2, batch_size: 256}\nexecutor: inline\n",
        encoding="utf-8",
    )
    arguments = ["calibrate", str(file), "--trials", "5", "--runs", str(tmp_path / "runs")]
    shown = CliRunner().invoke(command, arguments)
    assert shown.exit_code == 0, shown.output
    assert "study s-calibration: Kendall's tau with rung 1 (2 epochs at 8 px and width 0.0625)" in shown.stdout
    data = json.loads(CliRunner().invoke(command, [*arguments, "--json"]).stdout)
    assert data["rungs"] == ["1 epoch at 8 px and width 0.0625", "2 epochs at 8 px and width 0.0625"]
    assert [each["what"] for each in data["agreements"]] == ["rung 0", "params", "macs"]
    assert data["agreements"][0]["trials"] == 5
