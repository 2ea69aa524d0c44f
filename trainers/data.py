"""A data set: pictures and labels with their classes, split once and for all.

Pictures stay uint8 as they were stored, a quarter of float32's memory, until a batch of them is on the device
(trainers/feed.py).
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import distribution
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from search_spaces.errors import RequestError
from trainers.cache import Progress, cached
from trainers.collection import Collection, Integers, Pixels, in_memory
from trainers.cpus import usable_cpus
from trainers.source import MAX_SIDE, DataSource
from trainers.split import repeats, split

logger = logging.getLogger("nas.trainers")

# Of pictures as they were before they were stored, which may be photographs of any size:
ORIGINALS = 64  # that are evaluated at a time, at most
BATCH_BYTES = 16 * 2**20  # of these: five photographs of a megapixel
WAITING_BYTES = 64 * 2**20  # of those that wait for others of their size
DECODERS = min(8, usable_cpus())


def _at_once(shape: tuple[int, ...]) -> int:
    """How many originals of a shape are evaluated at a time."""
    return max(1, min(ORIGINALS, BATCH_BYTES // prod(shape)))


@dataclass(frozen=True, eq=False)
class Part:
    """Some pictures of a data set, read where they lie when they are asked for. ``labels``: int64 (N,)."""

    labels: Tensor
    _rows: Integers
    _all: Pixels
    _original: Callable[[int], Pixels] | None = None

    def __len__(self) -> int:  # of pictures, not of fields
        return len(self.labels)

    @property
    def pixels_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a picture."""
        height, width, channels = self._all.shape[1:]
        return height, width, channels

    def some(self, places: Integers) -> "Part":
        """Return the pictures at some places of this part."""
        return replace(self, labels=self.labels[torch.from_numpy(places)], _rows=self._rows[places])

    def originals(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all pictures as they were before they were stored, uint8 (n, H, W, C), with their labels (n,).

        Up to ``ORIGINALS`` of one size come together, of ``BATCH_BYTES`` unless one alone is larger; so their order is
        not that of the part. At most ``WAITING_BYTES`` wait for others of their size, beside those, one for each of
        ``DECODERS`` and one more, that are being decoded.
        """
        if self._original is None:
            size = _at_once(self.pixels_shape)
            for places in torch.split(torch.arange(len(self)), size):
                yield self.read(places), self.labels[places]
            return
        waiting: dict[tuple[int, ...], list[tuple[Pixels, int]]] = {}
        for place, pixels in enumerate(self._decoded(self._original)):
            group = waiting.setdefault(pixels.shape, [])
            group.append((pixels, place))
            if len(group) == _at_once(pixels.shape):
                yield self._together(waiting.pop(pixels.shape))
            while sum(len(found) * prod(shape) for shape, found in waiting.items()) > WAITING_BYTES:
                yield self._together(waiting.pop(max(waiting, key=lambda shape: len(waiting[shape]) * prod(shape))))
        for group in waiting.values():
            yield self._together(group)

    def _decoded(self, original: Callable[[int], Pixels]) -> Iterator[Pixels]:
        """Yield every picture as it was, in order; a few are decoded ahead."""
        ahead: deque[Future[Pixels]] = deque()
        with ThreadPoolExecutor(DECODERS, thread_name_prefix="originals") as threads:
            for row in self._rows.tolist():
                ahead.append(threads.submit(original, row))
                if len(ahead) > DECODERS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _together(self, group: list[tuple[Pixels, int]]) -> tuple[Tensor, Tensor]:
        pictures = torch.from_numpy(np.stack([pixels for pixels, _ in group]))
        return pictures, self.labels[torch.tensor([place for _, place in group])]

    def read(self, indices: Tensor, *, pinned: bool = False) -> Tensor:
        """Return a copy of the pictures at some places of this part, uint8 (n, H, W, C), in pinned memory if asked."""
        found = torch.empty((len(indices), *self.pixels_shape), dtype=torch.uint8, pin_memory=pinned)
        # "clip" writes straight into the result; no index is out of range, since labels were taken by the same rows.
        np.take(self._all, self._rows[indices.numpy()], axis=0, out=found.numpy(), mode="clip")
        return found


@dataclass(frozen=True, eq=False)
class DataSet:
    """What a search may see: the training and the validation part. The test part is behind ``test_part`` alone.

    ``resolution``: the side in pixels that networks are given. ``mean`` and ``deviation``: per channel, over the
    training part, in stored units, of which ``white`` is the largest. ``test_pictures``: how many the test part holds.
    ``repeated``: how many pictures are the same as another, all of them in one part with it; ``leaked``: how many of
    a test part that the source brings are outside it too.
    ``split_digest``: SHA-256 of which picture is in which part; ``digest``: of that and of all pixels and labels as
    they are stored, whatever the resolution.
    """

    source: DataSource
    classes: tuple[str, ...]
    channels: int
    resolution: int
    random_seed: int
    train: Part
    validation: Part
    test_pictures: int
    damaged: int
    repeated: int
    leaked: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    white: int
    split_digest: str
    digest: str

    @property
    def name(self) -> str:
        """What the search file calls it."""
        return self.source.source

    def seen(self) -> dict[str, Any]:
        """Return what a user of weights of it must know, as plain data: see ``trainers.about.Trained``."""
        return {
            "class_names": list(self.classes),
            "mean": list(self.mean),
            "deviation": list(self.deviation),
            "white": self.white,
            "view": "whole",  # as validated: the whole centre square, resized
        }

    def split_facts(self) -> dict[str, Any]:
        """Return how it was split, as plain data for the ledger."""
        return {
            "classes": len(self.classes),
            "training": len(self.train),
            "validation": len(self.validation),
            "test": self.test_pictures,
            "damaged": self.damaged,
            "repeated": self.repeated,
            "leaked": self.leaked,
            "random_seed": self.random_seed,
            "digest": self.split_digest,
        }

    def reduced(self, *, resolution: int, share: float = 1.0) -> "DataSet":
        """Return the set for pictures of ``resolution`` px, with a stratified ``share`` of the training part.

        The random seed of the split fixes which pictures stay, and a smaller share lies within a larger one. Mean and
        deviation stay those of the whole training part; the digests change with the share alone.
        """
        if share == 1:
            return replace(self, resolution=resolution)
        generator = np.random.Generator(np.random.PCG64(self.random_seed))
        labels, kept = self.train.labels.numpy(), []
        for label in range(len(self.classes)):
            members = generator.permutation(np.flatnonzero(labels == label))
            kept.append(members[: max(1, round(share * len(members)))])
        places = np.sort(np.concatenate(kept))
        return replace(
            self,
            resolution=resolution,
            train=self.train.some(places),
            split_digest=_digest_with(self.split_digest, share),
            digest=_digest_with(self.digest, share),
        )


def _digest_with(digest: str, share: float) -> str:
    return hashlib.sha256(f"{digest} {share}".encode()).hexdigest()


# ------------------------------------------------------------------------------------------------------------- loading


def load(
    source: str | Path | DataSource,
    *,
    random_seed: int = 0,
    resolution: int | None = None,
    progress: Progress | None = None,
    unsplit: bool = False,
) -> DataSet:
    """Load a data set, for pictures of ``resolution`` pixels (the stored size by default).

    ``random_seed`` fixes the stratified split: 60 % training, 20 % validation and 20 % test, or what the source says.
    ``unsplit``: all pictures are the training part and the others are empty, for those who train on none of them.
    ``progress`` is told how many pictures of how many are decoded where there is no cache of them yet. Raises
    RequestError for a source that is not there or cannot be used, or a resolution that is not possible.
    """
    if resolution is not None and not 1 <= resolution <= MAX_SIDE:
        raise RequestError(f"a resolution of {resolution} pixels is not possible: give 1 to {MAX_SIDE}")
    if not isinstance(source, DataSource):
        source = DataSource(str(source))
    whole = _collection(source, resolution, progress)
    everything, nothing = np.arange(len(whole.labels)), np.arange(0)
    rows = (everything, nothing, nothing) if unsplit else split(whole, source, random_seed)
    train, validation, test = rows
    found = repeats(whole)
    if not unsplit and (sentence := found.sentence(source.source, whole.named)) is not None:
        _warn(sentence)
    split_digest = hashlib.sha256(b"".join(part.astype("<i8").tobytes() + b"|" for part in rows)).hexdigest()
    mean, deviation = whole.moments(train)
    return DataSet(
        source=source,
        classes=whole.classes,
        channels=whole.pixels.shape[3],
        resolution=resolution or whole.pixels.shape[1],
        random_seed=random_seed,
        train=_part(whole, train),
        validation=_part(whole, validation),
        test_pictures=len(test),
        damaged=whole.damaged,
        repeated=found.count,
        leaked=len(found.leaked),
        mean=mean,
        deviation=deviation,
        white=whole.white,
        split_digest=split_digest,
        digest=hashlib.sha256(f"{whole.digest} {split_digest}".encode()).hexdigest(),
    )


@cache
def _warn(sentence: str) -> None:
    """Warn once, however often a command loads its data."""
    logger.warning("%s", sentence)


def test_part(data: DataSet) -> Part:
    """Return the test part. Only the final evaluation after a search may call this (trainers/evaluate.py)."""
    whole = _collection(data.source, data.resolution, None)
    return _part(whole, split(whole, data.source, data.random_seed)[2])


def whole_set(data: DataSet) -> Part:
    """Return all pictures, the test part's too: to evaluate networks that were trained on others."""
    whole = _collection(data.source, data.resolution, None)
    return _part(whole, np.arange(len(whole.labels)))


test_part.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it wherever it is imported


def _collection(source: DataSource, resolution: int | None, progress: Progress | None) -> Collection:
    if source.kind == "name":
        return _digits()
    if source.kind == "arrays":
        from trainers.arrays import read_arrays

        return read_arrays(source.source)
    if source.kind == "huggingface":
        from trainers.huggingface import list_dataset

        listing = list_dataset(source.source, source.label)
    else:
        from trainers.folders import list_folder

        listing = list_folder(source.source)
    return cached(listing, side=source.side, resolution=resolution, damaged=source.damaged, progress=progress)


@cache
def _digits() -> Collection:
    """1,797 scans of handwritten digits, 8 x 8, values 0 to 16 (UCI; it comes with scikit-learn)."""
    # Its file alone: the package takes one to two seconds to import, in the driver and again in every worker.
    file = str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"))
    rows = np.loadtxt(file, dtype=np.uint8, delimiter=",")
    pixels, labels = rows[:, :-1].reshape(-1, 8, 8, 1), rows[:, -1].astype(np.int64)
    return in_memory(pixels, labels, tuple(str(digit) for digit in range(10)), white=16)


def _part(whole: Collection, rows: Integers) -> Part:
    return Part(torch.from_numpy(whole.labels[rows]), rows, whole.pixels, whole.original)
