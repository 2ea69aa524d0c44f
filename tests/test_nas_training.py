"""Trainings by command: the file, the folder, several workers, stopping, and what is refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from pictures import write_folder

from nas.cli import nas
from nas.export import export_found
from nas.lock import sole_process
from nas.study import Found
from nas.training import Trained, train_found
from nas.training_file import TrainingConfig, for_architecture, read_training
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from search_spaces.seeds import seed
from trainers.about import read_about
from trainers.checkpoint import read

FILE = """
data: digits
resolution: 8
threads: 1
recipe: {epochs: 2, batch_size: 64, learning_rate: 0.1, optimizer: sgd, average: null}
"""


def conv(side: int, width: int) -> Conv:
    return Conv((side, side), width=width)


TINY = Architecture(
    "tiny", (conv(3, 8),), (Stage((Module(((conv(1, 6),), (conv(1, 4), conv(3, 6)))),)),), dropout=0.0, resolution=8
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY.to_yaml())
    (tmp_path / "file.yaml").write_text(FILE)
    return tmp_path


def config(folder: Path, **settings: object) -> TrainingConfig:
    return read_training(folder / "file.yaml", {key.replace("__", "."): value for key, value in settings.items()})


def trained(folder: Path, architecture: Architecture = TINY, **settings: object) -> Trained:
    asked = for_architecture(config(folder, **settings), architecture, "file")
    return train_found(Found(architecture), asked, folder / "runs")


def weights(found: Trained) -> dict[str, torch.Tensor]:
    return dict(read(found.folder / "last.safetensors").tensors)


def test_the_command_trains_says_where_and_goes_on(folder: Path):
    def run(*more: str) -> Any:
        command = ["train", str(folder / "tiny.yaml"), str(folder / "file.yaml"), "--runs", str(folder / "runs"), *more]
        return CliRunner().invoke(nas, command, catch_exceptions=False)

    first = run()
    place = folder / "runs" / "training" / "tiny-file"
    assert "training tiny-file is complete: 2 epochs" in first.stdout
    assert str(place / "best.safetensors") in first.stdout
    assert "epoch 2 of 2: loss" in first.stderr
    told = json.loads(run("--json").stdout)
    assert (told["state"], told["epochs_done"], told["folder"]) == ("complete", 2, str(place))
    more = json.loads(run("--json", "--set", "recipe.epochs=3").stdout)
    assert (more["epochs_done"], more["epochs"]) == (3, 3)  # more epochs under the same schedule go on
    assert Path(more["weights"]).is_file()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"recipe__learning_rate": 0.2}, "begun with recipe.learning_rate 0.1, and now it is 0.2"),
        ({"resolution": 12}, "begun with resolution 8, and now it is 12"),
    ],
)
def test_another_training_under_the_same_name_is_refused(folder, setting, sentence):
    trained(folder, name="one")
    before = sorted(folder.rglob("*"))
    with pytest.raises(RequestError, match=f"training 'one' was {sentence}: put it back, or give"):
        trained(folder, name="one", **setting)
    wider = Architecture("tiny", (conv(3, 9),), TINY.stages, dropout=0.0, resolution=8)
    with pytest.raises(RequestError, match="training 'one' was begun with another architecture"):
        trained(folder, wider, name="one")
    assert sorted(folder.rglob("*")) == before
    trained(folder, name="one", threads=2)  # where it runs may differ


def test_a_training_that_runs_is_not_begun_twice(folder):
    sentence = f"training 'one' is run by process {os.getpid()} on .*: wait for it"
    place = folder / "runs" / "training" / "one"
    with sole_process(place, "training 'one' is run"), pytest.raises(RequestError, match=sentence):
        trained(folder, name="one")


@pytest.mark.parametrize("file", ["two words", "a\nb", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a;b"])
def test_a_file_whose_name_cannot_be_the_trainings_is_told(folder, file):
    sentence = "is no name: up to 64 letters .*; it comes of the file's name: give another with --set name=NAME"
    with pytest.raises(RequestError, match=sentence):
        for_architecture(config(folder), TINY, file)
    assert for_architecture(config(folder, name="mine"), TINY, file).name == "mine"
    assert for_architecture(config(folder), TINY, "x" * 99).name == f"tiny-{'x' * 59}"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": 3}, "unknown key 'epochs' in a training file: allowed are name, data"),
        ({"workers": 3}, "a batch of 64 cannot be shared evenly by 3 workers"),
        ({"resolution": 5000}, "resolution is 5000"),
        (
            {"recipe": {"base": "inception-v3", "warmup_epochs": 100}},
            "warmup_epochs is 100 in a training of 100 epochs",
        ),
        ({"name": "a/b"}, "name: 'a/b' is no name: up to 64 letters"),
        ({"data": "digit"}, "there is no data set 'digit'.*did you mean 'digits'"),
    ],
)
def test_a_wrong_file_costs_a_sentence_and_leaves_nothing(folder, settings, sentence):
    before = sorted(folder.rglob("*"))
    with pytest.raises(RequestError, match=sentence):
        trained(folder, **settings)
    assert sorted(folder.rglob("*")) == before


def test_heads_that_find_no_room_are_told_apart_from_the_network(folder):
    v3 = seed("inception-v3")
    with pytest.raises(RequestError, match=r"that is for its auxiliary heads: .*aux_weight=0.*inception-v3@75"):
        trained(folder, v3, resolution=75)
    with pytest.raises(RequestError, match=r"the smallest side that works is 75$"):
        trained(folder, v3, resolution=60)


@pytest.mark.filterwarnings("ignore")  # ray and its dependencies warn as they like
def test_two_workers_train_through_ray_and_go_on_alone(folder):
    together = trained(folder, name="two", workers=2)
    assert together.complete
    assert [epoch["epoch"] for epoch in together.metrics] == [1, 2]
    assert together.metrics[-1]["train_loss"] < together.metrics[0]["train_loss"]
    assert not (together.folder / "stop").exists()
    alone = trained(folder, name="two", workers=1, recipe__epochs=3)
    assert [epoch["epoch"] for epoch in alone.metrics] == [1, 2, 3]
    assert alone.metrics[:2] == together.metrics


@pytest.mark.filterwarnings("ignore")
def test_more_workers_than_ray_has_are_refused(folder, monkeypatch):
    from nas.executors.ray_cluster import Machine

    monkeypatch.setattr("nas.executors.ray_train.connect", lambda *asked: False)
    monkeypatch.setattr("nas.executors.ray_train.machines", lambda: [Machine(4.0, 0.0)])
    with pytest.raises(RequestError, match="32 workers need a CPU each, but Ray has 4 CPUs and 0 GPUs"):
        trained(folder, workers=32, name="many")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("workers", "machines", "each"), [(2, [2.0], 1), (3, [8.0, 8.0], 4), (1, [8.0, 4.0], 8), (16, [8.0, 8.0], 1)]
)
def test_every_worker_gets_whole_cpus_of_one_machine(workers, machines, each):
    from nas.executors.ray_train import cpus_for_each

    assert cpus_for_each(workers, machines) == each


def test_ctrl_c_ends_after_the_running_epoch_and_the_same_command_goes_on(folder):
    command = [sys.executable, "-m", "nas", "train", "tiny.yaml", "file.yaml", "--set", "recipe.epochs=200"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 3 "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "stopping after the running epoch" in rest
    done = len((folder / "runs/training/tiny-file/metrics.jsonl").read_text().splitlines())
    assert 3 <= done < 200
    again = subprocess.run(
        [*command[:-1], f"recipe.epochs={done + 1}"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert f"training tiny-file goes on from epoch {done} of {done + 1}" in again.stderr


def test_an_exported_training_says_how_pictures_are_scaled_and_what_comes_out(folder):
    """Whoever takes the file away has nothing else: neither the data nor this project."""
    root = write_folder(folder / "two-colours", {"red": 10, "blue": 10})
    best = trained(folder, data=str(root), resolution=10, recipe__batch_size=4).folder / "best.safetensors"
    found, about = read(best)
    source, _ = export_found(Found(TINY), "python", folder, found, about=read_about(about, "best"))
    text = " ".join(source.read_text(encoding="utf-8").split())
    known = about["trained"]
    mean, deviation = (", ".join(f"{value:.6g}" for value in known[key]) for key in ("mean", "deviation"))
    assert "torch.rand(1, 3, 10, 10)" in text  # not the architecture's own 8
    scale = f"a pixel p from 0 (black) to 255 (white) goes in as (p - m) / d, with m = {mean} and d = {deviation}"
    assert f"{scale}, by channel classes: 0 blue, 1 red" in text
    assert f"validation error: {about['validation_error']:.4f}" in text
    assert f"data: two-colours, {known['data_digest'][:16]}" in text
    assert str(folder) not in text
    other, about = read(trained(folder, name="digits").folder / "best.safetensors")
    source, _ = export_found(Found(TINY), "python", folder, other, about=read_about(about, "best"))
    assert "classes: 0" not in source.read_text(encoding="utf-8")  # their names are their numbers
