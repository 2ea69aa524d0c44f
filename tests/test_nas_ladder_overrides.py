"""The ladder: recipes that differ at a rung, the last epoch's error beside the best, and where it stops."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nas import ladder
from nas.cli import nas
from nas.ladder import KEYS, OWN, climb, read_ladder, rungs, table
from nas.training import Trained
from nas.training_view import TrainingView
from search_spaces.errors import RequestError

FILE = """
data: digits
resolution: 8
width: 0.125
recipe: {epochs: 2, learning_rate: 0.1}
overrides:
  v2: {learning_rate: 0.02, nesterov: false}
  smoothing: {gradient_clip: 1.0}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "steps.yaml").write_text(FILE)
    return tmp_path / "steps.yaml"


def test_a_rung_differs_where_the_file_says_and_nowhere_else(file: Path) -> None:
    found = rungs(read_ladder(file))
    assert len(found) == len(KEYS) == 5
    assert [rung.recipe.learning_rate for rung in found] == [0.02, 0.1, 0.1, 0.1, 0.1]
    assert [rung.recipe.nesterov for rung in found] == [False, True, True, True, True]
    assert [rung.recipe.gradient_clip for rung in found] == [found[0].recipe.gradient_clip] * 2 + [1.0] + [
        found[0].recipe.gradient_clip
    ] * 2
    assert {rung.recipe.epochs for rung in found} == {2}


def test_overrides_are_set_from_the_command_line(file: Path) -> None:
    config = read_ladder(file, {"overrides.auxiliary.learning_rate": 0.3, "overrides.v2.learning_rate": 0.05})
    assert [rung.recipe.learning_rate for rung in rungs(config)] == [0.05, 0.1, 0.1, 0.1, 0.3]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("overrides.v2.learning_rate", -1, r"overrides\.v2: learning_rate is -1"),
        ("overrides.v2.learning_rate", "much", r"overrides\.v2.*learning_rate is 'much'"),
        ("overrides.v3.learning_rate", 0.1, r"unknown key 'v3' in overrides: allowed are v2, rmsprop, smoothing"),
        (
            "overrides.v2.learningrate",
            0.1,
            r"unknown key 'learningrate' in overrides\.v2.*did you mean 'learning_rate'",
        ),
        *((f"overrides.v2.{name}", 0.1, rf"unknown key '{name}' in overrides\.v2") for name in OWN),
        ("overrides.v2.warmup_epochs", 2, r"overrides\.v2: warmup_epochs is 2 in a training of 2 epochs"),
    ],
)
def test_a_wrong_override_is_told_with_its_place(key: str, value: Any, sentence: str, file: Path) -> None:
    with pytest.raises(RequestError, match=sentence) as caught:
        read_ladder(file, {key: value})
    assert "\n" not in str(caught.value)


def test_the_line_of_a_wrong_override_is_said(file: Path) -> None:
    file.write_text(FILE.replace("gradient_clip: 1.0", "gradient_clip: -1"))
    with pytest.raises(RequestError, match=r"steps\.yaml:8: overrides\.smoothing: gradient_clip is -1"):
        read_ladder(file)


def stub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings that are not run: better by a tenth at each rung, best in the first of two epochs."""
    names: list[str] = []

    def trained(found: Any, config: Any, runs: Path, *, view: Any) -> Trained:
        names.append(config.name)
        error = 0.7 - 0.1 * int(config.name.split("-")[1])
        metrics = tuple({"epoch": i, "validation_error": error + worse} for i, worse in ((1, 0.0), (2, 0.03)))
        return Trained(config.name, runs, 2, metrics)

    monkeypatch.setattr(ladder, "train_found", trained)
    return names


def test_the_error_is_the_last_epoch_s_and_the_best_stands_beside_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch)
    rows = list(climb(read_ladder(file), tmp_path))
    assert [row.errors for row in rows] == [pytest.approx((0.73 - 0.1 * i,)) for i in range(1, 6)]
    assert [row.best_errors for row in rows] == [pytest.approx((0.7 - 0.1 * i,)) for i in range(1, 6)]
    data = rows[0].as_data()
    assert (data["error"], data["best_error"]) == (pytest.approx(0.63), pytest.approx(0.6))
    lines = table(rows).splitlines()
    assert lines[2].split() == ["Inception-v2", "63.00%", "60.00%", "23.4%"]
    assert lines[3].split() == ["+", "RMSProp", "53.00%", "-10.00", "50.00%", "23.1%", "-0.3"]
    assert "after the last epoch" in lines[-1]
    assert "flatters" in lines[-1]


class Stops(TrainingView):
    """Asked to end while the rung of a name trains."""

    def __init__(self, name: str, at: str) -> None:
        super().__init__()
        self.stopping = name.startswith(at)


@pytest.mark.parametrize(
    ("repeats", "at", "trainings"), [(1, "steps-2", 2), (2, "steps-2-seed0", 3), (1, "steps-5", 5)]
)
def test_a_stop_in_a_training_s_last_epoch_stops_the_ladder(
    repeats: int, at: str, trainings: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training is complete then; the next one is not begun."""
    names = stub(monkeypatch)
    rows = list(climb(read_ladder(file, {"repeats": repeats}), tmp_path, lambda name: Stops(name, at)))
    assert len(names) == trainings
    assert rows[-1].complete == (repeats == 1)
    assert all(row.complete for row in rows[:-1])


def test_the_command_says_that_it_stopped(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch)
    monkeypatch.setattr(
        ladder, "climb", lambda config, runs, view: climb(config, runs, lambda name: Stops(name, "steps-2"))
    )
    result = CliRunner().invoke(nas, ["ladder", str(file), "--json", "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 130
    assert [row["complete"] for row in json.loads(result.stdout)["rungs"]] == [True, True]
    assert "starting ladder steps: 5 rungs, 5 trainings" in result.stderr
    assert "ladder steps stopped at rung 2; the same command goes on" in result.stderr
