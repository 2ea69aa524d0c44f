"""Data sets: pictures and labels in memory, split once and for all, and batches of them on the device.

Pictures stay uint8 as they were scanned, a quarter of float32's memory, until they are resized and standardised on the
device.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from search_spaces.errors import RequestError, nearest

SHARES = (0.6, 0.2)  # of training and validation; the rest is the test part
MAX_SIDE = 4096


class Part(NamedTuple):
    """Pictures, uint8 (N, C, H, W), with their labels, int64 (N,)."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:  # of pictures, not of fields
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class DataSet:
    """What a search may see: the training and the validation part. The test part is behind ``test_part`` alone.

    ``resolution``: the side in pixels that networks are given. ``mean`` and ``deviation``: per channel, over the
    training part, in stored units. ``digest``: SHA-256 of all pixels, labels and of the split, whatever the resolution.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    resolution: int
    random_seed: int
    train: Part
    validation: Part
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    digest: str

    def on(self, device: torch.device | str, part: Part) -> tuple[Tensor, Tensor]:
        """Return pictures, float32 (N, C, resolution, resolution), standardised, and labels, on the device.

        Resized bilinearly without antialiasing: proxies mostly enlarge, and antialiasing is slow on GPUs.
        """
        pictures = part.pictures.to(device).float()
        side = (self.resolution, self.resolution)
        if pictures.shape[2:] != side:
            pictures = F.interpolate(pictures, side, mode="bilinear", align_corners=False, antialias=False)
        mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in (self.mean, self.deviation))
        pictures = (pictures - mean) / deviation
        return pictures.contiguous(memory_format=torch.channels_last), part.labels.to(device)


# ------------------------------------------------------------------------------------------------------------- loading


def load(source: str | Path, *, random_seed: int = 0, resolution: int | None = None) -> DataSet:
    """Load a data set by name, for pictures of ``resolution`` pixels (its own size by default).

    ``random_seed`` fixes the stratified split of 60 % training, 20 % validation and 20 % test. Raises RequestError for
    an unknown name, a folder that is not there, or a resolution that is not possible.
    """
    if resolution is not None and not 1 <= resolution <= MAX_SIDE:
        raise RequestError(f"a resolution of {resolution} pixels is not possible: give 1 to {MAX_SIDE}")
    name, classes, whole = _whole(source)
    train, validation, test = _split(whole, random_seed)
    pixels = whole.pictures[train].double()
    return DataSet(
        name=name,
        classes=classes,
        channels=whole.pictures.shape[1],
        resolution=resolution or whole.pictures.shape[2],
        random_seed=random_seed,
        train=_take(whole, train),
        validation=_take(whole, validation),
        mean=tuple(pixels.mean((0, 2, 3)).tolist()),
        deviation=tuple(pixels.std((0, 2, 3)).clamp_min(1e-6).tolist()),
        digest=_digest(whole, train, validation, test),
    )


def test_part(data: DataSet) -> Part:
    """Return the test part. Only the final evaluation after a search may call this (trainers/evaluate.py)."""
    _, _, whole = _whole(data.name)
    return _take(whole, _split(whole, data.random_seed)[2])


test_part.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it wherever it is imported


def _whole(source: str | Path) -> tuple[str, tuple[str, ...], Part]:
    if str(source) == "digits":
        return "digits", tuple(str(digit) for digit in range(10)), _digits()
    supported = "supported is 'digits'"
    if Path(source).exists():
        raise RequestError(f"{str(source)!r} cannot be read as a data set: {supported}; name that in the search file")
    if isinstance(source, Path) or "/" in source or source.startswith("."):
        raise RequestError(f"there is no data folder {str(source)!r}: correct the path, or use a name; {supported}")
    raise RequestError(f"there is no data set {source!r}: {supported}{nearest(source, ['digits'])}")


@cache
def _digits() -> Part:
    """1,797 scans of handwritten digits, 1 x 8 x 8, values 0 to 16 (UCI; it comes with scikit-learn)."""
    from sklearn.datasets import load_digits  # 0.5 s: only those who train pay

    pictures, labels = load_digits(return_X_y=True)
    return Part(
        torch.from_numpy(pictures.reshape(-1, 1, 8, 8).astype(np.uint8)),
        torch.from_numpy(labels.astype(np.int64)),
    )


def _take(part: Part, indices: Tensor) -> Part:
    return Part(part.pictures[indices], part.labels[indices])


def _split(part: Part, random_seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of training, validation and test, with the same shares of every class in each."""
    generator = np.random.Generator(np.random.PCG64(random_seed))
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    labels = part.labels.numpy()
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        ends = np.rint(np.cumsum(SHARES) * len(members)).astype(int)
        for found, chunk in zip(parts, np.split(members, ends), strict=True):
            found.append(chunk)
    train, validation, test = (torch.from_numpy(np.sort(np.concatenate(chunks))) for chunks in parts)
    return train, validation, test


def _digest(whole: Part, *split: Tensor) -> str:
    digest = hashlib.sha256(repr(tuple(whole.pictures.shape)).encode())
    for tensor in (*whole, *split):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


# ------------------------------------------------------------------------------------------------------------- batches


def batches(
    pictures: Tensor, labels: Tensor, *, batch_size: int, generator: torch.Generator, shift: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches of one epoch, drawn from ``generator`` (on the CPU, so that the order is no device's own).

    All batches have the same size. What is left at the end is skipped, another share in each epoch: the statistics of a
    batch norm over a handful of pictures would be noise, and would enter its running averages with the same weight as a
    whole batch. A data set smaller than one batch is one batch. ``shift``: see ``shifted``.
    """
    size = min(batch_size, len(labels))
    order = torch.randperm(len(labels), generator=generator).to(labels.device)
    for indices in torch.split(order[: len(labels) // size * size], size):
        batch = pictures[indices]
        yield (shifted(batch, shift, generator) if shift else batch), labels[indices]


def steps_per_epoch(part: Part, batch_size: int) -> int:
    """Return how many batches ``batches`` yields."""
    return len(part) // min(batch_size, len(part))


def shifted(pictures: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Shift every picture by up to ``most`` pixels down or up and right or left; its own edge pixels fill the gap."""
    count, channels, height, width = pictures.shape
    device = pictures.device
    offsets = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator).to(device)
    rows = (torch.arange(height, device=device) + offsets[0] - most).clamp_(0, height - 1)
    columns = (torch.arange(width, device=device) + offsets[1] - most).clamp_(0, width - 1)
    picture = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[:, None, None]
    return pictures[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]
