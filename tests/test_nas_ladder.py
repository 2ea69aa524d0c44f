"""The ladder of Table 3: what each rung is, how it is trained, and the table beside the paper's."""

from pathlib import Path
from typing import Any

import pytest

from nas import ladder
from nas.ladder import climb, read_ladder, rungs, table
from nas.training import Trained
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from search_spaces.seeds import seed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "steps.yaml").write_text("data: digits\nresolution: 8\nwidth: 0.125\nrecipe: {epochs: 2}\nrepeats: 2\n")
    return tmp_path / "steps.yaml"


def test_each_rung_adds_one_change_to_the_one_above(file):
    found = rungs(read_ladder(file, {"resolution": 299, "width": 1.0}))
    assert [rung.name for rung in found] == [
        "Inception-v2",
        "+ RMSProp",
        "+ label smoothing",
        "+ factorised 7x7",
        "+ BN-auxiliary",
    ]
    assert [rung.recipe.optimizer for rung in found] == ["sgd", *["rmsprop"] * 4]
    assert [rung.recipe.label_smoothing for rung in found] == [0.0, 0.0, *[0.1] * 3]
    first, factorised, last = found[0].architecture, found[3].architecture, found[4].architecture
    assert found[1].architecture == found[2].architecture == first
    assert first.stem[0] == Conv((7, 7), 2, False, 64)
    assert factorised.stem == last.stem == seed("inception-v3").stem
    assert last == seed("inception-v3")
    plain, normalised = (rung.aux[0].steps[2] for rung in (factorised, last))
    assert (plain.norm, normalised.norm) == (False, True)
    assert {rung.architecture.stages for rung in found} == {last.stages}


def test_the_paper_s_errors_are_those_of_table_3(file):
    assert [rung.paper_error for rung in rungs(read_ladder(file))] == [0.234, 0.231, 0.228, 0.216, 0.212]


def test_rungs_are_narrow_at_low_resolution_and_run_there(file):
    for rung in rungs(read_ladder(file)):
        assert cost(rung.architecture, 8, classes=10, channels=1).params < 1_000_000


def stub(monkeypatch: pytest.MonkeyPatch, stop_at: int = 99) -> list[Any]:
    """Trainings that are not run: error 0.5 less a tenth a rung, a hundredth more for the second random seed."""
    asked: list[Any] = []

    def trained(found: Any, config: Any, runs: Path, *, view: Any) -> Trained:
        asked.append((found, config))
        number = int(config.name.split("-")[1])
        metrics = {"epoch": 1, "validation_error": 0.6 - 0.1 * number + 0.01 * config.random_seed}
        epochs = 1 if len(asked) < stop_at else 2
        return Trained(config.name, runs, epochs, (metrics,))

    monkeypatch.setattr(ladder, "train_found", trained)
    return asked


def test_every_rung_is_trained_with_every_random_seed(file, monkeypatch, tmp_path):
    asked = stub(monkeypatch)
    rows = list(climb(read_ladder(file), tmp_path))
    assert [config.name for _, config in asked][:3] == ["steps-1-seed0", "steps-1-seed1", "steps-2-seed0"]
    assert [config.random_seed for _, config in asked] == [0, 1] * 5
    assert all(config.resolution == 8 and config.recipe.epochs == 2 for _, config in asked)
    assert {config.split_seed for _, config in asked} == {0}  # the seeds differ in all but the pictures
    assert rows[0].errors == pytest.approx((0.5, 0.51))
    lines = table(rows).splitlines()
    assert lines[2].split() == ["Inception-v2", "50.50%", "±0.71", "50.50%", "23.4%"]
    assert lines[5].split() == ["+", "factorised", "7x7", "20.50%", "±0.71", "-10.00", "20.50%", "21.6%", "-1.2"]
    data = rows[4].as_data()
    assert (data["rung"], data["paper_error"], data["complete"]) == ("+ BN-auxiliary", 0.212, True)
    assert data["error"] == pytest.approx(0.105)


def test_a_stopped_rung_is_the_last(file, monkeypatch, tmp_path):
    stub(monkeypatch, stop_at=4)
    rows = list(climb(read_ladder(file), tmp_path))
    assert [row.complete for row in rows] == [True, False]
    assert rows[1].errors == pytest.approx((0.4,))


def test_a_wrong_file_is_told(file):
    with pytest.raises(RequestError, match="--set width: width is 2"):
        read_ladder(file, {"width": 2})
    with pytest.raises(RequestError, match=r"unknown key 'repeat' in a training file.*did you mean 'repeats'"):
        read_ladder(file, {"repeat": 2})
