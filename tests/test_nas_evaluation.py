"""Evaluations by command: weights of trainings, of trials and of others; crops, ensembles, parts; what is refused."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import write_folder
from rich.console import Console

from nas.cli import nas
from nas.evaluation import Evaluated, check_side, evaluate_found
from nas.evaluation_view import blocks
from nas.study import Found
from nas.training import train_found
from nas.training_file import for_architecture, read_training
from search_spaces.architecture import Architecture, Aux, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.operations import Conv, Linear, Pool
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers.checkpoint import read, write
from trainers.data import load, test_part
from trainers.network import build
from trainers.precision import Precision
from trainers.scores import ClassScore, Scores
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


def test_a_single_crop_of_the_validation_part_is_what_the_training_said(runs):
    for name in ("one", "two"):
        about = read(best(runs, name)).data
        found = evaluate_found(Found(TINY), [best(runs, name)], None, part="validation")
        assert found.view == "the whole centre square"
        assert found.scores.top1_error == pytest.approx(about["validation_error"], abs=1e-9)


def test_weights_of_others_see_the_centre_crop_by_hand(runs, tmp_path):
    """As published networks are tested: resized to 8/7 of the resolution, 7/8 of it cut out."""
    found = read(best(runs))
    trained = {name: found.data["trained"][name] for name in ("mean", "deviation", "white")}
    foreign = tmp_path / "foreign.safetensors"
    write(foreign, found.tensors, {"trained": trained})
    data = load("digits", random_seed=0)
    held = test_part(data)
    pictures = held.read(torch.arange(len(held))).permute(0, 3, 1, 2).float()
    mean, deviation = (torch.tensor(value)[:, None, None] for value in (data.mean, data.deviation))
    larger = torch.nn.functional.interpolate((pictures - mean) / deviation, (9, 9), mode="bilinear", antialias=True)
    with torch.inference_mode():
        predicted = network_of(best(runs)).eval()(larger[:, :, :8, :8]).argmax(1)  # (9 - 8) / 2 rounds to 0
    scored = evaluate_found(Found(TINY), [foreign], DataSource("digits"))
    assert scored.view == "the centre crop"
    assert scored.scores.top1_error == pytest.approx((predicted != held.labels).double().mean().item())


def test_pictures_are_scaled_as_those_that_the_weights_were_trained_on(runs, tmp_path):
    """The same scans from 0 to 255 instead of 0 to 16 score the same, although their own mean is another."""
    digits = load("digits", random_seed=0)
    held = test_part(digits)
    pixels = held.read(torch.arange(len(held))).numpy()[..., 0]
    keep = np.argsort(held.labels.numpy(), kind="stable")[: len(held) - 100]  # other classes' shares: another mean
    labels = np.concatenate([held.labels.numpy()[keep], np.arange(10).repeat(5)])
    dark = np.concatenate([pixels[keep], np.random.default_rng(0).integers(0, 3, (50, 8, 8), dtype=np.uint8)])
    bright = np.rint(dark * (255 / 16)).astype(np.uint8)
    np.savez(tmp_path / "bright.npz", images=bright, labels=labels)
    batch = torch.from_numpy(dark).float()[:, None]
    mean, deviation = (torch.tensor(value)[:, None, None] for value in (digits.mean, digits.deviation))
    with torch.inference_mode():
        predicted = network_of(best(runs)).eval()((batch - mean) / deviation).argmax(1).numpy()
    found = evaluate_found(Found(TINY), [best(runs)], DataSource(str(tmp_path / "bright.npz")), part="all")
    assert found.scores.top1_error == pytest.approx((predicted != labels).mean(), abs=0.01)


def test_an_ensemble_of_other_splits_is_refused(runs, tmp_path):
    (tmp_path / "file.yaml").write_text("data: digits\n" + FILE)
    config = read_training(tmp_path / "file.yaml", {"random_seed": 1, "name": "other", "recipe.epochs": 1})
    other = train_found(Found(TINY), for_architecture(config, TINY, "file"), tmp_path).folder / "best.safetensors"
    with pytest.raises(RequestError, match=r"another split .random seed 1, this is 0.*all trainings one split_seed"):
        evaluate_found(Found(TINY), [best(runs), other], None)
    assert evaluate_found(Found(TINY), [best(runs), other], None, part="all").scores.pictures == 1797
    same = read_training(
        tmp_path / "file.yaml", {"random_seed": 1, "split_seed": 0, "name": "same", "recipe.epochs": 1}
    )
    shared = train_found(Found(TINY), for_architecture(same, TINY, "file"), tmp_path).folder / "best.safetensors"
    assert evaluate_found(Found(TINY), [best(runs), shared], None).scores.pictures == 359


def test_an_ensemble_is_the_mean_of_its_members_probabilities(runs):
    from trainers.evaluate import Member, PixelScale, predict

    generator = torch.Generator().manual_seed(0)
    pictures, labels = torch.rand(7, 1, 12, 12, generator=generator), torch.arange(7)
    graph, precision = TINY.graph(8, classes=10, channels=1), Precision(torch.device("cpu"))
    one = Member(read(best(runs)).tensors, PixelScale([4.0], [6.0], 16))
    two = Member(read(best(runs, "two")).tensors, PixelScale([5.0], [7.0], 16))

    def of(*members: Member) -> torch.Tensor:
        return predict(graph, members, [(pictures, labels)], resolution=8, crops=12, precision=precision)[0]

    assert torch.allclose(of(one, two), (of(one) + of(two)) / 2, atol=1e-6)
    assert torch.allclose(of(one).sum(1), torch.ones(7), atol=1e-5)
    together = evaluate_found(Found(TINY), [best(runs), best(runs, "two")], None, crops=12)
    assert together.members == (str(best(runs)), str(best(runs, "two")))
    alone = evaluate_found(Found(TINY), [best(runs)], None, crops=12)
    assert together.scores.loss != alone.scores.loss


def test_the_command_prints_a_table_and_json(runs):
    command = ["evaluate", str(runs / "tiny.yaml"), "--weights", str(best(runs)), "--runs", str(runs)]
    shown = CliRunner().invoke(nas, command, catch_exceptions=False)
    assert "on 359 pictures of digits (test), the whole centre square of 8 px" in shown.stdout.replace("\n", " ")
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
    np.savez(tmp_path / "few.npz", images=pixels[:11], labels=np.arange(11) % 10)  # too few to be split
    few = DataSource(str(tmp_path / "few.npz"))
    assert evaluate_found(Found(TINY), [best(runs)], few, part="all").scores.pictures == 11
    with pytest.raises(RequestError, match=r"the class '0' of .* has 2 pictures to be split"):
        evaluate_found(Found(TINY), [best(runs)], few)
    given = evaluate_found(Found(TINY), [best(runs)], DataSource("digits"), part="all")
    assert given.scores == whole.scores


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
    with pytest.raises(RequestError, match=r"there are no weights .*none\.safetensors': correct the path"):
        evaluate_found(Found(TINY), [tmp_path / "none.safetensors"], DataSource("digits"))


def test_pictures_too_small_to_be_told_apart_are_refused_with_the_smallest_size(runs):
    """Padded windows would take any size; what weights were trained at stays allowed."""
    for side in (1, 2):
        with pytest.raises(RequestError, match=f"pictures of {side} x {side} are too small .* smallest size is 3 px"):
            evaluate_found(Found(TINY), [best(runs)], None, resolution=side)
    assert evaluate_found(Found(TINY), [best(runs)], None, resolution=3).resolution == 3
    small = proxy(seed("inception-v3"), 8, 0.125)  # strides in its stages
    check_side(small, 3, 8)
    check_side(small, 2, 2)
    with pytest.raises(RequestError, match="the smallest size is 3 px, and the weights were trained at 8"):
        check_side(small, 2, 8)
    with pytest.raises(RequestError, match="the smallest side that works is 75"):
        check_side(seed("inception-v3"), 40, 299)


def test_heads_that_want_larger_pictures_do_not_hinder_an_evaluation(tmp_path):
    """Auxiliary heads have weights for the size of the training, and no part in an evaluation."""
    heads = (Aux(1, 1, (Pool((5, 5), same=False), Linear(4))),)
    architecture = replace(TINY, aux=heads)
    state = build(architecture.graph(8, classes=10, channels=1, aux=True), initialise=0).state_dict()
    trained = {"mean": [5.0], "deviation": [6.0], "white": 16}
    write(tmp_path / "w.safetensors", state, {"resolution": 8, "trained": trained})
    for side in (4, 12):
        found = evaluate_found(Found(architecture), [tmp_path / "w.safetensors"], DataSource("digits"), resolution=side)
        assert found.scores.pictures == 359


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_figure_is_cut_on_narrow_terminals(width: int) -> None:
    rows = tuple(
        ClassScore(f"a_rather_long_name_of_a_class_{number}", 12345, 0.98765, None, "another_rather_long_name")
        for number in range(2)
    )
    scores = Scores(24690, 0.01235, None, 0.1234, 0.0456, rows)
    evaluated = Evaluated("net", "digest", "data", "test", None, 12, 12, 1, "view", "float32", "cpu", ("one",), scores)
    terminal = Console(file=io.StringIO(), width=width, color_system=None)
    for block in blocks(evaluated, width):
        terminal.print(block, soft_wrap=isinstance(block, str))
    assert isinstance(terminal.file, io.StringIO)
    text = terminal.file.getvalue()
    assert text.count("12,345") == text.count("98.8%") == 2
    assert "…" not in text


@pytest.mark.parametrize(("side", "told"), [(6, False), (8, False), (11, False), (12, True), (5, True)])
def test_a_size_far_from_that_of_the_training_is_noted(runs: Path, side: int, told: bool) -> None:
    command = ["evaluate", str(runs / "tiny.yaml"), "--weights", str(best(runs)), "--runs", str(runs), "--json"]
    done = CliRunner().invoke(nas, [*command, "--resolution", str(side)], catch_exceptions=False)
    found = json.loads(done.stdout)
    assert (found["resolution"], found["trained_at"]) == (side, 8)
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == told
    if side == 12:
        assert "crops of 12 px, and the weights were trained at 8: what is in them looks 1.5 times as large" in notes[0]
