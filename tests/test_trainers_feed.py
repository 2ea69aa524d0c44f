"""Batches: equal, shuffled, repeatable, and the same whether they live on the device or are streamed."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import write_folder

from trainers import data, feed
from trainers.augment import Augmentation
from trainers.feed import Feed, steps_per_epoch
from trainers.world import World

EVERYTHING = Augmentation(shift=1, flip=True, resized_crop=0.2, colour=0.3)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> data.DataSet:
    """A folder's pictures, which lie in a file; stored larger than the resolution."""
    root = write_folder(tmp_path_factory.mktemp("p"), {"red": 60, "green": 50, "blue": 40})
    return data.load(root, resolution=10)


@pytest.fixture
def numbered() -> data.DataSet:
    """50 pictures, each filled with its own label."""
    pixels = np.arange(50, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2)
    part = data.Part(torch.arange(50), np.arange(50), pixels)
    return replace(data.load("digits"), train=part, resolution=4, mean=(0.0,), deviation=(1.0,))


@pytest.mark.parametrize("resident", [True, False])
def test_batches_are_equal_shuffled_and_repeatable(numbered: data.DataSet, resident: bool) -> None:
    taken = Feed(numbered, numbered.train, "cpu", resident=resident)

    def epoch(random_seed: int) -> list[list[int]]:
        found = list(taken.shuffled(16, torch.Generator().manual_seed(random_seed), Augmentation()))
        for pictures, labels in found:
            assert torch.equal(pictures[:, 0, 0, 0], labels.float())
        return [labels.tolist() for _, labels in found]

    first = epoch(0)
    assert [len(batch) for batch in first] == [16, 16, 16]
    assert len({label for batch in first for label in batch}) == 48
    assert first == epoch(0)
    assert first != epoch(1)
    assert steps_per_epoch(numbered.train, 16) == 3
    assert steps_per_epoch(numbered.train, 64) == 1
    (whole,) = taken.shuffled(64, torch.Generator().manual_seed(0), Augmentation())
    assert sorted(whole[1].tolist()) == list(range(50))


def test_processes_share_a_batch_and_augment_by_themselves() -> None:
    """Which half of a picture is bright says whether it was flipped."""
    pixels = np.zeros((64, 4, 4, 1), np.uint8)
    pixels[:, :, :2] = 1
    part = data.Part(torch.arange(64), np.arange(64), pixels)
    flipping = Feed(replace(data.load("digits"), train=part, resolution=4, mean=(0.0,), deviation=(1.0,)), part, "cpu")

    def share(rank: int) -> tuple[list[float], list[int]]:
        generator = torch.Generator().manual_seed(5)
        batches = list(flipping.shuffled(64, generator, Augmentation(flip=True), World(rank, 2)))
        assert [len(labels) for _, labels in batches] == [32]
        return batches[0][0][:, 0, 0, 0].tolist(), batches[0][1].tolist()

    (flips, labels), (other_flips, other_labels) = share(0), share(1)
    assert sorted(labels + other_labels) == list(range(64))
    assert 0 < sum(flips) < 32
    assert flips != other_flips
    assert share(0) == (flips, labels)


@pytest.mark.parametrize("resident", [True, False])
def test_in_order_nothing_is_left_out(numbered: data.DataSet, resident: bool) -> None:
    taken = Feed(numbered, numbered.train, "cpu", resident=resident)
    found = list(taken.ordered(16))
    assert [len(labels) for _, labels in found] == [16, 16, 16, 2]
    assert torch.cat([labels for _, labels in found]).tolist() == list(range(50))
    assert torch.equal(torch.cat([pictures for pictures, _ in found])[:, 0, 2, 3], torch.arange(50.0))
    some = list(taken.ordered(2, torch.tensor([3, 1, 4])))
    assert [labels.tolist() for _, labels in some] == [[3, 1], [4]]


def epochs(taken: Feed, augmentation: Augmentation) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    for _ in range(2):
        yield from taken.shuffled(16, generator, augmentation)
    yield from taken.ordered(16)


@pytest.mark.parametrize("augmentation", [Augmentation(), EVERYTHING], ids=["plain", "everything"])
def test_resident_and_streamed_are_the_same_bit_for_bit(coloured: data.DataSet, augmentation: Augmentation) -> None:
    here, streamed = (Feed(coloured, coloured.train, "cpu", resident=resident) for resident in (True, False))
    assert here.resident
    assert not streamed.resident
    count = 0
    for one, other in zip(epochs(here, augmentation), epochs(streamed, augmentation), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        assert one[0].shape == (len(one[1]), 3, 10, 10)
        assert one[0].is_contiguous(memory_format=torch.channels_last)
        count += 1
    assert count == 5 + 5 + 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_pictures(coloured: data.DataSet) -> None:
    plain = Feed(coloured, coloured.train, "cpu", resident=True)
    here, streamed = (Feed(coloured, coloured.train, "cuda", resident=resident) for resident in (True, False))
    for one, two, three in zip(*(epochs(taken, EVERYTHING) for taken in (here, streamed, plain)), strict=True):
        assert one[0].is_cuda
        assert torch.equal(one[0], two[0])
        torch.testing.assert_close(one[0].cpu(), three[0], rtol=1e-4, atol=1e-3)


def test_small_parts_live_on_the_device(coloured: data.DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(coloured.train) * 12 * 12 * 3
    monkeypatch.setattr(feed, "free_bytes", lambda device: round(size / feed.RESIDENT_SHARE) + 1)
    assert Feed(coloured, coloured.train, "cpu").resident
    monkeypatch.setattr(feed, "free_bytes", lambda device: round(size / feed.RESIDENT_SHARE) - 10)
    assert not Feed(coloured, coloured.train, "cpu").resident


def test_free_memory_is_some_of_what_there_is() -> None:
    import os

    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < feed.free_bytes(torch.device("cpu")) <= whole


class Slow:
    """A part whose reading takes as long as it is told, and that counts what is read."""

    def __init__(self, part: data.Part, seconds: float) -> None:
        self.part, self.seconds, self.calls = part, seconds, 0
        self.labels, self.pixels_shape = part.labels, part.pixels_shape

    def __len__(self) -> int:
        return len(self.part)

    def read(self, indices: torch.Tensor, *, pinned: bool = False) -> torch.Tensor:
        self.calls += 1
        time.sleep(self.seconds)
        return self.part.read(indices, pinned=pinned)


def test_waiting_is_counted_and_reading_runs_ahead(coloured: data.DataSet) -> None:
    slow = Slow(coloured.train, 0.05)
    taken = Feed(coloured, slow, "cpu", resident=False)  # type: ignore[arg-type]
    batches = taken.ordered(16)
    assert taken.waiting_seconds == 0
    next(batches)
    assert taken.waiting_seconds >= 0.05
    before = taken.waiting_seconds
    deadline = time.monotonic() + 20
    while slow.calls < feed.AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    assert slow.calls >= feed.AHEAD  # though one batch was asked for
    assert taken.waiting_seconds == before  # our own time is not counted
    batches.close()  # type: ignore[attr-defined]


def test_leaving_early_leaves_no_thread(coloured: data.DataSet) -> None:
    taken = Feed(coloured, coloured.train, "cpu", resident=False)
    batches = taken.shuffled(4, torch.Generator(), Augmentation())
    next(batches)
    assert any(thread.name.startswith("feed") for thread in threading.enumerate())
    batches.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("feed") for thread in threading.enumerate())


def test_a_mistake_while_reading_is_raised(coloured: data.DataSet) -> None:
    class Broken(Slow):
        def read(self, indices: torch.Tensor, *, pinned: bool = False) -> torch.Tensor:
            raise OSError("the disk is gone")

    taken = Feed(coloured, Broken(coloured.train, 0), "cpu", resident=False)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="the disk is gone"):
        list(taken.ordered(16))


def test_pictures_are_never_all_in_memory(tmp_path: Path) -> None:
    """What is loaded is a map of the file; a part's pictures are copied only for the batches that are read."""
    found = data.load(write_folder(tmp_path, {"red": 5, "blue": 5}), resolution=12)
    assert isinstance(found.train._all, np.memmap)
    assert found.validation._all is found.train._all
