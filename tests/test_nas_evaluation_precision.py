"""Evaluations: number format and device as asked for, and whether the weights have seen the pictures."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from nas.cli import nas
from nas.config import SearchConfig
from nas.driver import run
from nas.evaluation import NumberFormat, evaluate_found
from nas.executors.inline import InlineExecutor
from nas.study import Found, find
from nas.training import train_found
from nas.training_file import for_architecture, read_training
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from trainers import evaluate as evaluating
from trainers import measure
from trainers.checkpoint import read, write
from trainers.source import DataSource

STEP = Conv((3, 3), width=8)
TINY = Architecture("tiny", (STEP,), (Stage((Module(((STEP,),)),)),), dropout=0.0, resolution=8)
FILE = """
data: digits
resolution: 8
threads: 1
recipe: {epochs: 2, batch_size: 64, learning_rate: 0.2, optimizer: sgd, average: null}
"""
NOTE = "note: the weights were trained on pictures that are among these"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on digits."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "file.yaml").write_text(FILE)
    config = read_training(folder / "file.yaml", {"name": "one"})
    train_found(Found(TINY), for_architecture(config, TINY, "file"), folder)
    (folder / "tiny.yaml").write_text(TINY.to_yaml())
    return folder


def best(runs: Path) -> Path:
    return runs / "training" / "one" / "best.safetensors"


def command(runs: Path, *more: str) -> list[str]:
    return ["evaluate", str(runs / "tiny.yaml"), "--weights", str(best(runs)), "--runs", str(runs), *more]


# -------------------------------------------------------------------------------------------------- format and device


def test_numbers_are_of_the_format_that_is_asked_for(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats: list[bool] = []
    real = evaluating.predict

    def predict(*arguments: object, precision: evaluating.Precision, **more: object) -> object:
        formats.append(precision.bfloat16)
        return real(*arguments, precision=precision, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluating, "predict", predict)
    found = {}
    kinds: tuple[NumberFormat, ...] = ("float32", "bfloat16")
    for precision in kinds:
        found[precision] = evaluate_found(Found(TINY), [best(runs)], None, device="cpu", precision=precision)
        assert (found[precision].precision, found[precision].device) == (precision, "cpu")
    assert formats == [False, True]
    whole, half = (found[precision].scores for precision in kinds)
    assert whole.loss != half.loss
    assert whole.loss == pytest.approx(half.loss, rel=0.05)


def test_the_command_says_what_it_computed_with(runs: Path) -> None:
    asked = command(runs, "--device", "cpu", "--precision", "bfloat16", "--json")
    data = json.loads(CliRunner().invoke(nas, asked, catch_exceptions=False).stdout)
    assert (data["device"], data["precision"]) == ("cpu", "bfloat16")
    plain = json.loads(CliRunner().invoke(nas, command(runs, "--json"), catch_exceptions=False).stdout)
    assert plain["precision"] == "float32"
    assert plain["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert CliRunner().invoke(nas, command(runs, "--precision", "float16")).exit_code == 2


def test_a_device_that_is_not_there_is_refused(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.torch.cuda, "device_count", lambda: 0)
    with pytest.raises(RequestError, match="there is no device 'cuda' on this machine: it has cpu; name one of these"):
        evaluate_found(Found(TINY), [best(runs)], None, device="cuda")


# ------------------------------------------------------------------------------------------------------------- overlap


@pytest.mark.parametrize(("part", "overlaps"), [("test", False), ("validation", False), ("train", True), ("all", True)])
def test_pictures_that_were_trained_on_are_noted(part: str, overlaps: bool, runs: Path) -> None:
    done = CliRunner().invoke(nas, command(runs, "--part", part, "--json"), catch_exceptions=False)
    assert json.loads(done.stdout)["overlaps_training"] is overlaps
    assert (f"{NOTE} (digits, {part})" in done.stderr) == overlaps


def with_trained(runs: Path, path: Path, **changed: object) -> Path:
    """The weights, with other words about their training; None leaves one out."""
    found = read(best(runs))
    trained = {**found.data["trained"], **changed}
    write(
        path,
        found.tensors,
        {**found.data, "trained": {key: value for key, value in trained.items() if value is not None}},
    )
    return path


def test_where_it_is_not_known_on_what_it_was_trained_nothing_is_claimed(runs: Path, tmp_path: Path) -> None:
    unknown = with_trained(runs, tmp_path / "w.safetensors", on=None, data_digest=None)
    for part in ("test", "all"):
        found = evaluate_found(Found(TINY), [unknown], DataSource("digits"), part=part)  # type: ignore[arg-type]
        assert found.overlaps_training is None
        assert found.notes == ()
    both = evaluate_found(Found(TINY), [best(runs), unknown], DataSource("digits"), part="train")
    assert both.overlaps_training is True  # one member is enough
    assert evaluate_found(Found(TINY), [best(runs), unknown], None).overlaps_training is None


def test_the_digest_alone_tells_pictures_that_were_moved(runs: Path, tmp_path: Path) -> None:
    moved = with_trained(runs, tmp_path / "w.safetensors", on="/elsewhere/digits.npz")
    assert evaluate_found(Found(TINY), [moved], DataSource("digits"), part="all").overlaps_training is True
    other = with_trained(runs, tmp_path / "o.safetensors", on="/elsewhere/other.npz", data_digest="0" * 64)
    assert evaluate_found(Found(TINY), [other], DataSource("digits"), part="all").overlaps_training is False


@pytest.mark.parametrize("part", ["test", "validation"])
def test_another_split_of_what_was_trained_on_is_refused_whatever_is_known_of_it(
    part: str, runs: Path, tmp_path: Path
) -> None:
    """By the digest of the parts, or where that is not known by the random seed of the split."""
    for weights in (best(runs), with_trained(runs, tmp_path / "w.safetensors", data_digest=None)):
        with pytest.raises(RequestError, match=r"another split \(random seed 0, this is 5\)"):
            evaluate_found(Found(TINY), [weights], None, part=part, random_seed=5)  # type: ignore[arg-type]
        assert evaluate_found(Found(TINY), [weights], None, part="all", random_seed=5).overlaps_training is True


def test_a_trial_is_not_evaluated_on_another_split_of_its_data(tmp_path: Path) -> None:
    config = SearchConfig.from_data(
        {
            "study": "s",
            "data": "digits",
            "trials": 1,
            "seeds": [],
            "proxy": {"resolution": 8, "width": 0.0625},
            "recipe": {"epochs": 1, "batch_size": 64, "optimizer": "sgd", "learning_rate": 0.05},
            "executor": {"name": "inline"},
            "sampler": {"name": "random"},
        }
    )
    study = run(config, tmp_path, executor=InlineExecutor())
    found = find(f"s:{study.front().members[0].number}", tmp_path)
    assert evaluate_found(found, [], None).overlaps_training is False
    assert evaluate_found(found, [], None, part="train").overlaps_training is True
    with pytest.raises(RequestError, match=r"another split \(random seed 0, this is 5\)"):
        evaluate_found(found, [], None, random_seed=5)


def test_a_weight_file_fetches_nothing_from_a_network(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hands it over could name any data set; who evaluates names what is fetched."""
    fetched: list[Any] = []
    monkeypatch.setattr("trainers.data.load", lambda source, **options: fetched.append(source))
    named = with_trained(runs, tmp_path / "w.safetensors", on="hf:somebody/else", mean=None, deviation=None, white=None)
    with pytest.raises(
        RequestError, match="fetched from the network only if you name it: evaluate with --data hf:some"
    ):
        evaluate_found(Found(TINY), [named], None)
    assert fetched == []
    monkeypatch.undo()
    with pytest.raises(RequestError, match="fetched from the network only if you name it"):
        evaluate_found(Found(TINY), [named], DataSource("digits"))
