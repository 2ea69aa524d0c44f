"""Checkpoints: whole or not there, every damage found, the one before taken, nothing unpickled."""

import os
import random
from pathlib import Path

import pytest
import torch

from search_spaces.errors import RequestError
from trainers import checkpoint
from trainers.checkpoint import CheckpointError

TENSORS = {"a": torch.arange(12.0).reshape(3, 4), "b/c": torch.tensor(3), "half": torch.ones(2, dtype=torch.bfloat16)}
DATA = {"epoch": 3, "history": [{"error": 0.5}], "name": 'with "quotes" and ünïcode'}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.safetensors"
    digest = checkpoint.write(path, TENSORS, DATA)
    found = checkpoint.read(path)
    assert found.data == DATA
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)
    assert digest.encode() in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["one.safetensors"]


def test_channels_last_tensors_come_back_equal(tmp_path: Path) -> None:
    tensor = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    checkpoint.write(tmp_path / "one", {"t": tensor}, {})
    assert torch.equal(checkpoint.read(tmp_path / "one").tensors["t"], tensor)


def test_every_truncation_and_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    checkpoint.write(path, TENSORS, DATA)
    whole = path.read_bytes()
    cuts = [len(whole) * i // 16 for i in range(16)] + [len(whole) - 1]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError, match="is damaged"):
            checkpoint.read(path)
    generator = random.Random(0)
    for position in [*range(16), *generator.sample(range(len(whole)), 200)]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"is damaged|has format"):
            checkpoint.read(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError):
        checkpoint.read(path)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "canary"),)

    torch.save(Canary(), tmp_path / "epoch-000001.safetensors")
    with pytest.raises(CheckpointError):
        checkpoint.latest(tmp_path)
    assert not (tmp_path / "canary").exists()


def test_a_folder_keeps_two_and_a_damaged_newest_is_passed_over(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path / "absent") is None
    assert checkpoint.latest(tmp_path) is None
    for epoch in (1, 2, 3, 10):
        path = checkpoint.save(tmp_path, epoch, TENSORS, {"epoch": epoch})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "epoch-000003.safetensors",
        "epoch-000010.safetensors",
    ]
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.data == {"epoch": 10}
    path.write_bytes(path.read_bytes()[:-1])
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.data == {"epoch": 3}
    (tmp_path / "epoch-000003.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds no whole checkpoint"):
        checkpoint.latest(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one"
    checkpoint.write(path, TENSORS, DATA)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RequestError, match="No space left"):
        checkpoint.write(path, {"other": torch.zeros(1)}, {})
    assert checkpoint.read(path).data == DATA
    assert [entry.name for entry in tmp_path.iterdir()] == ["one"]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be read \(No such file"):
        checkpoint.read(tmp_path / "absent")


def test_values_that_are_not_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.write(tmp_path / "one", {}, {"loss": float("nan")})
    assert not (tmp_path / "one").exists()
