"""The device of a training: whether its memory will do, who shares it, and who lets measurements go first."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from trainers import place, training
from trainers.memory import predict_training
from trainers.place import Place
from trainers.recipe import Recipe
from trainers.room import REFUSED_BEYOND, check_room
from trainers.training import TrainingJob, train
from trainers.watch import Watch
from trainers.world import World

GIB = 2**30
RECIPE: dict[str, Any] = {"epochs": 1, "batch_size": 64, "optimizer": "sgd", "average": None}


def tiny() -> Architecture:
    step = Conv((3, 3), width=8)
    return Architecture("tiny", (step,), (Stage((Module(((step,),)),)),), dropout=0.0, resolution=8)


def job(folder: Path) -> TrainingJob:
    return TrainingJob(tiny().as_data(), 8, "digits", RECIPE, 3, 0, str(folder), threads=1)


class Heard(Watch):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


# ---------------------------------------------------------------------------------------------------------------- room


def test_what_fits_is_silent_what_may_not_is_warned_of_and_what_cannot_is_refused() -> None:
    assert REFUSED_BEYOND == 1.5
    assert check_room(4 * GIB, 4 * GIB, "cpu") == ""
    warned = check_room(4 * GIB + 1, 4 * GIB, "cpu")
    assert "the training will take about" in warned
    assert "the machine has" in warned
    assert "workers on more machines" in warned
    assert check_room(6 * GIB, 4 * GIB, "cpu") != ""
    with pytest.raises(RequestError, match=r"and the machine has .*: lower recipe\.batch_size or resolution"):
        check_room(6 * GIB + 1, 4 * GIB, "cpu")


def test_processes_on_one_device_need_theirs_together() -> None:
    assert check_room(2 * GIB, 4 * GIB, "cuda", processes=2) == ""
    warned = check_room(2 * GIB + 1, 4 * GIB, "cuda", processes=2)
    assert "the training's 2 processes on one machine will take about" in warned
    assert "the GPU has" in warned
    assert "workers on more GPUs" in warned
    with pytest.raises(RequestError, match="3 processes"):
        check_room(2 * GIB + 1, 4 * GIB, "cuda", processes=3)


def predicted() -> int:
    graph = tiny().graph(8, classes=10, channels=1)
    return predict_training(graph, Recipe(**RECIPE), device="cpu", validation_batch=256).peak


@pytest.mark.parametrize(("share", "warnings"), [(1.0, 0), (0.9, 1)])
def test_a_training_warns_before_it_begins(
    share: float, warnings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "BATCH", 256)
    monkeypatch.setattr(Place, "memory_bytes", int(predicted() * share) + (share == 1))
    watch = Heard()
    assert len(train(job(tmp_path), watch=watch)) == 1
    assert len(watch.warnings) == warnings


def test_a_training_that_cannot_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Place, "memory_bytes", predicted() // 2)
    watch = Heard()
    with pytest.raises(RequestError, match=r"will take about .* at the peak, the pictures set aside"):
        train(job(tmp_path / "training"), watch=watch)
    assert watch.warnings == []
    assert not list(tmp_path.rglob("*.*"))


# --------------------------------------------------------------------------------------------------------------- place


class Three(World):
    """Three processes: this one, one beside it on the same device, and one on another machine."""

    def all(self, value: Any) -> list[Any]:
        return [value, value, ("elsewhere", value[1])]


def test_of_the_processes_on_one_device_one_is_the_first() -> None:
    found = [Place.of(Three(rank, 3)) for rank in (0, 1)]
    assert [(each.processes, each.first) for each in found] == [(2, True), (2, False)]
    alone = Place.of(World())
    assert (alone.processes, alone.first) == (1, True)
    assert alone.memory_bytes > 2**20
    assert alone.kind == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_first_alone_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Turns:
        @contextmanager
        def shared(self) -> Any:
            heard.append("held")
            yield
            heard.append("let go")

        def give_way(self, settle: Any) -> None:
            heard.append("way given")

    @contextmanager
    def turns(device: str) -> Any:
        assert device == "cpu"
        yield Turns()

    monkeypatch.setattr(place, "turns", turns)
    with Place(torch.device("cpu"), 2, first=False).shared() as rest:
        rest()
    assert heard == []
    with Place(torch.device("cpu"), 2, first=True).shared() as rest:
        rest()
    assert heard == ["held", "way given", "let go"]


def test_way_is_given_after_every_batch_of_training_and_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[int] = []

    @contextmanager
    def shared(_: Place) -> Any:
        yield lambda: rests.append(1)

    monkeypatch.setattr(Place, "shared", shared)
    steps: list[int] = []

    class Steps(Watch):
        def step(self, done: int, of: int) -> None:
            steps.append(of)

    train(job(tmp_path), watch=Steps())
    validation = -(-359 // 256)  # pictures of the validation part, by batches
    assert len(rests) == steps[0] + validation
