"""Full trainings: what lies in the folder, going on, several processes, and failures."""

import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError, TrainingFailed
from search_spaces.operations import Conv
from trainers.checkpoint import read
from trainers.failure import Failure
from trainers.fit import Diverged, Fit
from trainers.training import TrainingJob, train
from trainers.watch import Watch
from trainers.world import World

RECIPE = {"epochs": 3, "batch_size": 64, "learning_rate": 0.3, "optimizer": "sgd", "average": None}


def tiny(*, norm: bool = True) -> Architecture:
    def conv(side: int, width: int) -> Conv:
        return Conv((side, side), width=width, norm=norm)

    module = Module(((conv(1, 6),), (conv(1, 4), conv(3, 6))))
    return Architecture("tiny", (conv(3, 8),), (Stage((module,)),), dropout=0.0, resolution=8)


def job(folder: Path, architecture: Architecture | None = None, **recipe: Any) -> TrainingJob:
    return TrainingJob(
        architecture=(architecture or tiny()).as_data(),
        resolution=8,
        data="digits",
        recipe={**RECIPE, **recipe},
        random_seed=3,
        split_seed=0,
        folder=str(folder),
        threads=1,
    )


class Ends(Watch):
    """Asks for an end after so many epochs, and keeps what it hears."""

    def __init__(self, after: int) -> None:
        self.after, self.epochs, self.steps, self.begun = after, list[int](), 0, (-1, -1)

    @property
    def stopping(self) -> bool:  # type: ignore[override]
        return len(self.epochs) >= self.after

    def begin(self, done: int, epochs: int) -> None:
        self.begun = (done, epochs)

    def step(self, done: int, steps: int) -> None:
        self.steps += 1
        assert 1 <= done <= steps

    def epoch(self, metrics: Any) -> None:
        self.epochs.append(metrics["epoch"])


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_training_leaves_metrics_events_and_weights(tmp_path):
    watch = Ends(after=99)
    history = train(job(tmp_path, average=0.9), watch=watch)
    assert [line["epoch"] for line in lines(tmp_path)] == [1, 2, 3] == watch.epochs
    assert watch.begun == (0, 3)
    assert watch.steps == 3 * (1078 // 64)  # 60 % of 1,797 scans, in whole batches
    assert any(path.stat().st_size > 100 for path in (tmp_path / "events").iterdir())
    best = min(history, key=lambda result: result.validation_error)
    found = read(tmp_path / "best.safetensors")
    assert (found.data["epoch"], found.data["validation_error"]) == (best.epoch, best.validation_error)
    assert found.data["trained"]["class_names"] == [str(digit) for digit in range(10)]
    assert read(tmp_path / "last.safetensors").data["epoch"] == 3
    assert history[-1].validation_loss < history[0].validation_loss  # it learns


def test_one_that_goes_on_ends_with_the_same_weights(tmp_path):
    train(job(tmp_path / "whole"))
    train(job(tmp_path / "broken"), watch=Ends(after=1))
    assert len(lines(tmp_path / "broken")) == 1
    assert not (tmp_path / "broken" / "last.safetensors").exists()
    # What was measured and not saved, before the power went say, does not count twice.
    with (tmp_path / "broken" / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 2}\n')
    rest = Ends(after=99)
    train(job(tmp_path / "broken"), watch=rest)
    assert (rest.begun, rest.epochs) == ((1, 3), [2, 3])
    assert [line["epoch"] for line in lines(tmp_path / "broken")] == [1, 2, 3]
    one, other = (read(tmp_path / name / "last.safetensors").tensors for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_best_weights_are_kept_whenever_it_is_killed(tmp_path, monkeypatch):
    """Between what an epoch leaves and its checkpoint, or after it: the best file is that of the history's best."""
    from trainers import checkpoint

    train(job(tmp_path / "whole", average=0.9))
    whole = read(tmp_path / "whole" / "best.safetensors").data["epoch"]
    for number in (1, 2, 3):
        folder = tmp_path / str(number)
        save = Fit.save

        def killed(fit: Fit, place: Path, number: int = number, save: Any = save) -> Path:
            if fit.epochs_done == number:
                raise KeyboardInterrupt
            return save(fit, place)

        monkeypatch.setattr(Fit, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(job(folder, average=0.9))
        monkeypatch.setattr(Fit, "save", save)
        train(job(folder, average=0.9))
        assert read(folder / "best.safetensors").data["epoch"] == whole
        assert [line["epoch"] for line in lines(folder)] == [1, 2, 3]
    assert checkpoint.latest(tmp_path / "3" / "checkpoint") is not None


def test_a_training_that_diverges_says_where(tmp_path, monkeypatch):
    monkeypatch.setattr(Fit, "epoch", lambda fit, *told: Diverged(1, 7, math.nan))
    with pytest.raises(TrainingFailed, match=r"the loss is nan at step 7 of epoch 1; lower learning_rate"):
        train(job(tmp_path))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_training_that_runs_out_of_memory_says_what_was_predicted(tmp_path, monkeypatch):
    def full(fit: Fit, *told: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.\nmore")

    monkeypatch.setattr(Fit, "epoch", full)
    said = (
        r"out of memory: predicted were .* MiB besides the data, and the actual peak was .*Tried to allocate 3.00 GiB"
    )
    with pytest.raises(TrainingFailed, match=said):
        train(job(tmp_path))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    with pytest.raises(RequestError, match="a batch of 64 cannot be shared evenly by 3 workers"):
        train(job(tmp_path), world=World(0, 3))
    with pytest.raises(RequestError, match=r"set recipe\.batch_size to a multiple of 64, 128 or more"):
        train(job(tmp_path), world=World(0, 64))


def test_processes_that_see_other_checkpoints_are_refused(tmp_path):
    class Two(World):
        def all(self, value: Any) -> list[Any]:
            return [value, (0, "other")] if isinstance(value, tuple) else [value]

    with pytest.raises(RequestError, match=r"see other pictures, or other checkpoints in .*: both must lie on"):
        train(job(tmp_path), world=Two(0, 1))


def test_a_refusal_in_one_process_is_raised_in_all(monkeypatch):
    class Two(World):
        def all(self, value: Any) -> list[Any]:
            return [value, Failure("request", "the disk is full", 1)]

    with pytest.raises(RequestError, match="the disk is full"):
        Two(0, 2).together(lambda: 1)
    assert World().together(lambda: 1) == 1


WORKER = """
import json, sys
from torch import distributed
from trainers.training import TrainingJob, train
from trainers.world import World
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
train(TrainingJob(**json.load(open(folder + "/job.json"))), world=World.joined())
distributed.barrier()
distributed.destroy_process_group()
"""


def test_two_processes_train_what_one_does(tmp_path):
    """Without batch norms, whose statistics are each process's own, shares have the gradient of the whole batch."""
    alone, shared = (job(tmp_path / name, tiny(norm=False), learning_rate=0.05) for name in ("alone", "shared"))
    history = train(alone)
    (tmp_path / "job.json").write_text(json.dumps(asdict(shared)))
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=200) for worker in workers] == [0, 0]
    one, other = (read(tmp_path / name / "last.safetensors").tensors for name in ("alone", "shared"))
    assert all(torch.allclose(one[name], other[name], atol=1e-4) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)  # it was another sum
    told = lines(tmp_path / "shared")
    assert [line["epoch"] for line in told] == [1, 2, 3]
    for line, result in zip(told, history, strict=True):
        assert line["train_loss"] == pytest.approx(result.train_loss, rel=1e-3)
        assert line["validation_loss"] == pytest.approx(result.validation_loss, rel=1e-3)
