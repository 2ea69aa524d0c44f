"""Random architectures of a space: drawn, counted, and written as architecture files."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.architecture import Architecture
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.files import write_files
from search_spaces.space import space

MANY = 500  # so many take seconds to draw
LETTERS = 12  # of a digest, in a name
MOST_OF_SPACE = 51  # letters of the space's name: with those of the digest, as many as an architecture's name may have


@dataclass(frozen=True)
class Sample:
    """An architecture, named for its space and digest, with its costs at the space's resolution."""

    architecture: Architecture
    params: int
    macs: int

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.architecture.name}.yaml"

    def as_data(self, folder: Path | None = None) -> dict[str, Any]:
        """Return what programs read, with the file if it lies in a ``folder``."""
        data = {
            "digest": self.architecture.digest,
            "architecture": self.architecture.as_data(),
            "params": self.params,
            "macs": self.macs,
        }
        return data if folder is None else {**data, "file": str(folder / self.file)}


def samples(space_name: str, count: int, random_seed: int) -> Iterator[Sample]:
    """Draw architectures of a space; one may come twice where the space is small."""
    searched = space(space_name)
    source = random.Random(random_seed)
    for _ in range(count):
        architecture = searched.sample(source)
        counted = cost(architecture, searched.resolution)
        name = f"{searched.name[:MOST_OF_SPACE]}-{architecture.digest[:LETTERS]}"
        yield Sample(architecture.named(name), counted.params, counted.macs)


def write_samples(drawn: Sequence[Sample], folder: Path) -> list[Path]:
    """Write every architecture into a file of its own, all or none, and return the paths; repeats share one.

    Raises RequestError where the folder cannot be written to, or two architectures would have one name.
    """
    digests = {sample.file: sample.architecture.digest for sample in drawn}
    for sample in drawn:
        if digests[sample.file] != sample.architecture.digest:
            raise RequestError(f"two of the architectures would be {sample.file!r}: draw others by --random-seed")
    contents = {sample.file: sample.architecture.to_yaml().encode() for sample in drawn}
    try:
        return write_files(folder, contents)
    except RequestError as error:  # which may name a thousand files
        named = f"{len(contents)} architectures" if len(contents) > 1 else next(iter(contents))
        raise RequestError(str(error).replace(", ".join(contents), named, 1)) from None
