"""Pictures of a part as batches on the device: from a copy that lives there, or streamed ahead of the training.

A part whose pixels are at most ``RESIDENT_SHARE`` of the device's free memory lives on the device. Larger ones stream:
threads copy the next batches from where the pictures lie into pinned memory while the device works. Both give the
same batches, bit for bit: they are converted, augmented and standardised on the device, one batch at a time.
"""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from trainers.augment import Augmentation, resized
from trainers.data import DataSet, Part
from trainers.world import World

RESIDENT_SHARE = 0.1  # of the free memory: trials that share a device each take theirs when they start
READERS = 2  # threads: one waits for the disk while the other copies
AHEAD = 4  # batches that are being read or wait

Batch = tuple[Tensor, Tensor]  # pictures, float32 (n, C, resolution, resolution), standardised; labels, int64 (n,)
Change = Callable[[Tensor], Tensor]


class Feed:
    """The batches of one part. ``waiting_seconds``: how long whoever takes them has stood waiting, all in all.

    On a CPU that includes the conversion and augmentation of a batch, which is done by then; on a GPU it has been asked
    for.
    """

    def __init__(self, data: DataSet, part: Part, device: torch.device | str, *, resident: bool | None = None) -> None:
        self.device = torch.device(device)
        self.waiting_seconds = 0.0
        self._part, self._resolution, self._white = part, data.resolution, float(data.white)
        self._mean, self._deviation = (
            torch.tensor(value, device=self.device)[:, None, None] for value in (data.mean, data.deviation)
        )
        self._labels = part.labels.to(self.device)
        if resident is None:
            height, width, channels = part.pixels_shape
            resident = len(part) * height * width * channels <= RESIDENT_SHARE * free_bytes(self.device)
        self._here = part.read(torch.arange(len(part))).to(self.device) if resident else None

    @property
    def resident(self) -> bool:
        """Whether the pictures live on the device."""
        return self._here is not None

    def shuffled(
        self,
        batch_size: int,
        generator: torch.Generator,
        augmentation: Augmentation,
        world: World | None = None,
    ) -> Iterator[Batch]:
        """Yield augmented batches of one epoch, drawn from a ``generator`` on the CPU.

        In a ``world`` of processes, whose generators must start alike, this one's share of each batch.

        All batches have the same size. What is left at the end is skipped, another share in each epoch: the statistics
        of a batch norm over a handful of pictures would be noise, and would enter its running averages with the same
        weight as a whole batch. A part smaller than one batch is one batch.
        """
        size = min(batch_size, len(self._part))
        order = torch.randperm(len(self._part), generator=generator)
        chunks = torch.split(order[: len(order) // size * size], size)
        if world is not None and world.size > 1:
            chunks = tuple(chunk[world.rank :: world.size] for chunk in chunks)
            generator.manual_seed(_own_seed(generator.initial_seed(), world.rank))  # for augmentations of its own
        return self._timed(chunks, lambda pictures: augmentation(pictures, self._resolution, self._white, generator))

    def ordered(self, batch_size: int, indices: Tensor | None = None) -> Iterator[Batch]:
        """Yield the part, or the pictures at some ``indices``, as it is and in order; the last batch may be smaller."""
        chunks = torch.split(torch.arange(len(self._part)) if indices is None else indices, batch_size)
        return self._timed(chunks, lambda pictures: resized(pictures, self._resolution))

    def _timed(self, chunks: Sequence[Tensor], change: Change) -> Iterator[Batch]:
        with closing(self._raw(chunks)) as raw:
            while True:
                started = time.perf_counter()
                found = next(raw, None)
                if found is not None:
                    pictures = change(found[0].permute(0, 3, 1, 2).float())
                    pictures = (pictures - self._mean) / self._deviation
                    batch = pictures.contiguous(memory_format=torch.channels_last), found[1]
                self.waiting_seconds += time.perf_counter() - started
                if found is None:
                    return
                yield batch

    def _raw(self, chunks: Sequence[Tensor]) -> Generator[Batch, None, None]:
        """Yield uint8 (n, H, W, C) and labels on the device for each chunk of indices."""
        if self._here is not None:
            for chunk in chunks:
                indices = chunk.to(self.device)
                yield self._here[indices], self._labels[indices]
            return
        pinned = self.device.type == "cuda"
        todo = deque(chunks)
        reading: deque[tuple[Tensor, Future[Tensor]]] = deque()
        with ThreadPoolExecutor(READERS, thread_name_prefix="feed") as threads:
            try:
                while todo or reading:
                    while todo and len(reading) < AHEAD:
                        chunk = todo.popleft()
                        reading.append((chunk, threads.submit(self._part.read, chunk, pinned=pinned)))
                    chunk, future = reading.popleft()
                    pixels = future.result().to(self.device, non_blocking=True)
                    yield pixels, self._labels[chunk.to(self.device, non_blocking=True)]
            finally:
                for _, future in reading:
                    future.cancel()


def _own_seed(seed: int, rank: int) -> int:
    return int.from_bytes(hashlib.sha256(f"augmentation {seed} {rank}".encode()).digest()[:7])


def steps_per_epoch(part: Part, batch_size: int) -> int:
    """Return how many batches ``Feed.shuffled`` yields."""
    return len(part) // min(batch_size, len(part))


def free_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device, for this process where it is held to a part of a GPU."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        own = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_reserved(device)
        return int(min(free, own))
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # no Linux: what is free without giving up any file's copy in memory
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
