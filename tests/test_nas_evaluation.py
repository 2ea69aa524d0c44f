"""Evaluations by command: weights of trainings, of trials and of others; crops, ensembles, parts; what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import write_folder

from nas.cli import nas
from nas.evaluation import evaluate_found
from nas.study import Found
from nas.training import train_found
from nas.training_file import for_architecture, read_training
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from trainers.checkpoint import read, write
from trainers.data import load, test_part
from trainers.evaluate import final
from trainers.network import build
from trainers.precision import Precision
from trainers.source import DataSource

FILE = """
resolution: 8
threads: 1
recipe: {epochs: 2, batch_size: 64, learning_rate: 0.2, optimizer: sgd, average: 0.9}
"""


def conv(side: int, width: int) -> Conv:
    return Conv((side, side), width=width)


TINY = Architecture(
    "tiny", (conv(3, 8),), (Stage((Module(((conv(1, 6),), (conv(1, 4), conv(3, 6)))),)),), dropout=0.0, resolution=8
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings on digits, of other random seeds of the same split."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "file.yaml").write_text("data: digits\n" + FILE)
    for name, rate in (("one", 0.2), ("two", 0.1)):
        config = read_training(folder / "file.yaml", {"recipe.learning_rate": rate, "name": name})
        train_found(Found(TINY), for_architecture(config, TINY, "file"), folder)
    (folder / "tiny.yaml").write_text(TINY.to_yaml())
    return folder


def best(runs: Path, name: str = "one") -> Path:
    return runs / "training" / name / "best.safetensors"


def network_of(path: Path) -> Any:
    network = build(TINY.graph(8, classes=10, channels=1), initialise=0)
    network.load_state_dict(dict(read(path).tensors))
    return network


def test_one_crop_of_the_resolution_of_the_pictures_is_the_score_of_the_stored_ones(runs):
    """A crop at the stored size resizes the picture to 8/7 and cuts: so compare with the same done by hand."""
    data = load("digits", random_seed=0)
    held = test_part(data)
    pictures = held.read(torch.arange(len(held))).permute(0, 3, 1, 2).float()
    mean, deviation = (torch.tensor(value)[:, None, None] for value in (data.mean, data.deviation))
    larger = torch.nn.functional.interpolate((pictures - mean) / deviation, (9, 9), mode="bilinear", antialias=True)
    with torch.inference_mode():
        predicted = network_of(best(runs)).eval()(larger[:, :, :8, :8]).argmax(1)  # (9 - 8) / 2 rounds to 0
    found = evaluate_found(Found(TINY), [best(runs)], None)
    assert found.scores.pictures == len(held)
    assert found.scores.top1_error == pytest.approx((predicted != held.labels).double().mean().item())
    assert found.scores.top1_error < 0.8
    assert final(network_of(best(runs)), data, Precision(torch.device("cpu"))).error < 0.8


def test_an_ensemble_is_the_mean_of_its_members_probabilities(runs):
    from trainers.evaluate import predict

    generator = torch.Generator().manual_seed(0)
    pictures, labels = torch.randn(7, 1, 12, 12, generator=generator), torch.arange(7)
    one, two = network_of(best(runs)), network_of(best(runs, "two"))
    precision = Precision(torch.device("cpu"))

    def of(*networks: Any) -> torch.Tensor:
        return predict(networks, [(pictures, labels)], 8, 12, precision)[0]

    assert torch.allclose(of(one, two), (of(one) + of(two)) / 2, atol=1e-6)
    assert torch.allclose(of(one).sum(1), torch.ones(7), atol=1e-5)
    together = evaluate_found(Found(TINY), [best(runs), best(runs, "two")], None, crops=12)
    assert together.members == (str(best(runs)), str(best(runs, "two")))
    alone = evaluate_found(Found(TINY), [best(runs)], None, crops=12)
    assert together.scores.loss != alone.scores.loss


def test_the_command_prints_a_table_and_json(runs):
    command = ["evaluate", str(runs / "tiny.yaml"), "--weights", str(best(runs)), "--runs", str(runs)]
    shown = CliRunner().invoke(nas, command, catch_exceptions=False)
    assert "on 359 pictures of digits (test), the centre crop of 8 px" in shown.stdout.replace("\n", " ")
    assert "top-1 error" in shown.stdout
    assert "top-5 error" in shown.stdout
    asked = [*command, "--json", "--crops", "144", "--part", "validation", "--resolution", "10"]
    data = json.loads(CliRunner().invoke(nas, asked, catch_exceptions=False).stdout)
    assert (data["crops"], data["part"], data["resolution"], data["pictures"]) == (144, "validation", 10, 360)
    assert [row["name"] for row in data["classes"]] == [str(digit) for digit in range(10)]
    assert 0 < data["top1_error"] < 1


def test_all_pictures_and_another_source(runs, tmp_path):
    whole = evaluate_found(Found(TINY), [best(runs)], None, part="all")
    assert whole.scores.pictures == 1797
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", images=pixels, labels=np.arange(40) % 10)
    other = evaluate_found(Found(TINY), [best(runs)], DataSource(str(tmp_path / "other.npz")), part="all")
    assert other.scores.pictures == 40


def test_pictures_of_a_folder_are_evaluated_as_they_were_before_they_were_stored(tmp_path):
    """Not the squares of the cache: tall and wide pictures have three squares along their longer side."""
    root = write_folder(tmp_path / "p", {"red": 10, "blue": 10}, size=(24, 12))
    (tmp_path / "file.yaml").write_text(f"data: {root}\nname: p\n" + FILE.replace("64", "4"))
    config = for_architecture(read_training(tmp_path / "file.yaml"), TINY, "file")
    trained = train_found(Found(TINY), config, tmp_path / "runs")
    data = load(config.data, resolution=8)
    assert data.train.pixels_shape[0] == data.train.pixels_shape[1]
    shapes = {tuple(pictures.shape[1:]) for pictures, _ in test_part(data).originals()}
    assert shapes in ({(24, 12, 3)}, {(12, 24, 3)})
    for crops in (1, 12, 144):
        found = evaluate_found(Found(TINY), [trained.folder / "best.safetensors"], None, crops=crops)
        assert found.scores.pictures == 4


def test_what_does_not_fit_is_refused_with_a_sentence(runs, tmp_path):
    with pytest.raises(RequestError, match="tiny has no weights of its own: name some with --weights"):
        evaluate_found(Found(TINY), [], None)
    wider = Architecture("wider", (conv(3, 9),), TINY.stages, dropout=0.0, resolution=8)
    with pytest.raises(RequestError, match="are of another architecture"):
        evaluate_found(Found(wider), [best(runs)], None)
    bare = tmp_path / "bare.safetensors"
    write(bare, read(best(runs)).tensors, {})
    with pytest.raises(RequestError, match="do not say on which data they were trained: name some with --data"):
        evaluate_found(Found(TINY), [bare], None)
    with pytest.raises(
        RequestError, match=r"do not fit the architecture: 'stem.0.conv.weight' is 8 x 1 x 3 x 3 instead"
    ):
        evaluate_found(Found(wider), [bare], DataSource("digits"))
    two = write_folder(tmp_path / "two", {"red": 10, "blue": 10}, size=(8, 8))
    with pytest.raises(RequestError, match=r"tell 10 classes apart, and .* has 2"):
        evaluate_found(Found(TINY), [best(runs)], DataSource(str(two)))
    with pytest.raises(RequestError, match="cannot be read"):
        evaluate_found(Found(TINY), [tmp_path / "none.safetensors"], DataSource("digits"))
