"""All pictures of a source, wherever they lie: in memory, or in a file that is mapped into it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Collection:
    """Pictures of one size with their labels.

    ``pixels``: uint8 (N, H, W, C), mapped from a file where there are many, so that they are read when they are needed.
    ``labels``: (N,), indices into ``classes``. ``held_out``: (N,), the pictures that the source itself calls its test
    part. ``sums``: (N, 2, C), sums of the pixels of each picture and of their squares, exact: the mean and deviation of
    any part without reading it. ``digest``: SHA-256 of pixels, labels, classes and ``held_out``. ``white``: the value
    of the brightest pixel that there can be. ``damaged``: files that could not be read. ``original``: decodes the
    picture of a row as it was before it was made a square, (H, W, C), in any thread; None: ``pixels`` are as they were.
    ``named``: what people call the picture of a row.
    """

    pixels: Pixels
    labels: Integers
    held_out: Flags
    sums: Integers
    classes: tuple[str, ...]
    digest: str
    white: int = 255
    damaged: int = 0
    original: Callable[[int], Pixels] | None = None
    named: Callable[[int], str] = "picture {}".format

    @cached_property
    def first(self) -> Integers:
        """For each picture the first row that holds the very same pixels: its own where nothing before it does, (N,).

        Same pictures have same sums: only where those agree are pixels looked at.
        """
        count = len(self.labels)
        rows = np.arange(count)
        with np.errstate(over="ignore"):  # a hash: it may wrap
            factors = np.random.Generator(np.random.PCG64(0)).integers(2**63, size=self.sums[0].size, dtype=np.uint64)
            keys = (self.sums.reshape(count, -1).astype(np.uint64) * (2 * factors + 1)).sum(1)
        order = np.argsort(keys, kind="stable")
        agree = keys[order][1:] == keys[order][:-1]
        doubtful = np.unique(np.concatenate([order[1:][agree], order[:-1][agree]]))  # ascending
        seen: dict[bytes, int] = {}
        for row in doubtful.tolist():
            rows[row] = seen.setdefault(hashlib.sha256(self.pixels[row].tobytes()).digest(), row)
        return rows

    def moments(self, rows: Integers) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation per channel, over the pictures of some rows; a deviation is at least 1e-6."""
        count = len(rows) * self.pixels.shape[1] * self.pixels.shape[2]
        totals, squares = self.sums[rows].sum(0).tolist()  # Python's integers: their products are exact
        variances = [(count * b - a * a) / (count * max(count - 1, 1)) for a, b in zip(totals, squares, strict=True)]
        return tuple(total / count for total in totals), tuple(max(sqrt(variance), 1e-6) for variance in variances)


def in_memory(
    pixels: Pixels, labels: Integers, classes: tuple[str, ...], *, held_out: Flags | None = None, white: int = 255
) -> Collection:
    """Make a collection of arrays."""
    held_out = np.zeros(len(labels), bool) if held_out is None else held_out
    pixels = np.ascontiguousarray(pixels)
    digest = content_digest([pixels], pixels.shape, labels, held_out, classes)
    return Collection(pixels, labels, held_out, sums(pixels), classes, digest, white)


def sums(pixels: Pixels) -> Integers:
    """Return the sums of each picture and of its squares, (N, 2, C), of pictures (N, H, W, C)."""
    axes = (1, 2)
    squares = np.square(pixels, dtype=np.uint16)  # 255 squared just fits
    return np.stack([pixels.sum(axes, dtype=np.int64), squares.sum(axes, dtype=np.int64)], axis=1)


def content_digest(
    chunks: Iterable[Pixels], shape: tuple[int, ...], labels: Integers, held_out: Flags, classes: tuple[str, ...]
) -> str:
    """Return the digest of a collection whose pixels come in chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk.data)
    return finish_digest(digest, shape, labels, held_out, classes)


def finish_digest(
    digest: "hashlib._Hash", shape: tuple[int, ...], labels: Integers, held_out: Flags, classes: tuple[str, ...]
) -> str:
    """Add to the digest of the pixels all that belongs to a collection beside them, and return it in hex."""
    digest.update(repr((tuple(map(int, shape)), classes)).encode())
    digest.update(labels.astype("<i8").tobytes())
    digest.update(held_out.astype(np.uint8).tobytes())
    return digest.hexdigest()
