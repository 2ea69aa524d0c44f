"""Where the pictures of a search come from: what a user writes under ``data`` in a search file. Imports no torch."""

import os
import re
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal

from search_spaces.errors import RequestError, nearest

SHARES = (0.2, 0.2)  # of the validation and the test part
MAX_SIDE = 4096
NAMES = ("digits",)  # data sets that come along
HUGGING_FACE = "hf:"
SUPPORTED = (
    "supported are 'digits', a folder of pictures with one folder per class, an .npz file of arrays, and "
    "'hf:NAME' for a data set of Hugging Face"
)


@dataclass(frozen=True)
class DataSource:
    """The pictures, and how they are split. Raises RequestError for a value out of range.

    - ``source``: ``digits``, a folder of pictures (trainers/folders.py), an ``.npz`` file (trainers/arrays.py), or
      ``hf:NAME`` or ``hf:NAME:CONFIG`` (trainers/huggingface.py).
    - ``side``: of the squares, in pixels, as which pictures are stored (trainers/cache.py); null: chosen.
    - ``damaged``: the share of files that may be unreadable and are skipped.
    - ``validation``, ``test``: shares of each class that validation and test part get; training gets the rest. ``test``
      is null where the source brings a test part of its own, and else 0.2 by default.
    - ``label``: the column of a Hugging Face data set that holds the classes; null: the only one there is.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}  # as in trainers/recipe.py

    source: str
    side: int | None = None
    damaged: float = 0.01
    validation: float = SHARES[0]
    test: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source or "\0" in self.source:
            raise RequestError(f"data.source is {self.source!r}: {SUPPORTED}; name one")
        if self.side is not None and not (type(self.side) is int and 1 <= self.side <= MAX_SIDE):
            raise RequestError(f"data.side is {self.side!r}: a whole number from 1 to {MAX_SIDE} is allowed; change it")
        for name in ("damaged", "validation", "test"):
            share = getattr(self, name)
            least = name == "damaged"
            if share is None and name == "test":
                continue
            number = isinstance(share, int | float) and not isinstance(share, bool) and isfinite(share)
            if not number or not (0 <= share < 1) or (share == 0 and not least):
                bounds = f"a share {'from 0' if least else 'above 0'} and below 1"
                raise RequestError(f"data.{name} is {share!r}: {bounds} is allowed; change it")
        validation, test = self.shares
        if validation + test > 1 - 1e-9:
            raise RequestError(
                f"data.validation is {validation:g} and data.test {test:g}, which leaves nothing to train on: "
                "together they must be below 1; lower them"
            )
        if self.side is not None and self.kind in ("name", "arrays"):
            raise RequestError(f"data.side does not belong to {self.source!r}, whose size is given: leave it out")
        if self.label is not None and self.kind != "huggingface":
            raise RequestError(f"data.label belongs to data sets of Hugging Face, not to {self.source!r}: leave it out")

    @property
    def kind(self) -> Literal["name", "huggingface", "arrays", "folder"]:
        """Who reads it."""
        if self.source in NAMES:
            return "name"
        if self.source.startswith(HUGGING_FACE):
            return "huggingface"
        return "arrays" if self.source.endswith(".npz") else "folder"

    @property
    def shares(self) -> tuple[float, float]:
        """Of validation and test, where the source has no test part of its own."""
        return self.validation, SHARES[1] if self.test is None else self.test

    @property
    def on_hub(self) -> tuple[str, str]:
        """Its identifier on the Hugging Face Hub and its configuration there; "" and "" for data of this machine."""
        name, _, config = self.source.removeprefix(HUGGING_FACE).partition(":")
        if self.kind != "huggingface" or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name, re.ASCII) or Path(name).exists():
            return "", ""
        return name, config

    @property
    def called(self) -> str:
        """What people call it: the last part of its name or path."""
        return Path(self.on_hub[0] or self.source.removeprefix(HUGGING_FACE)).name

    def check_there(self) -> None:
        """Raise RequestError where there is no such source on this machine; what is in it is not looked at."""
        path = Path(self.source)
        if self.kind == "arrays" and not path.is_file():
            raise missing(self.source if "/" in self.source else f"./{self.source}")
        if self.kind == "folder" and not path.exists():
            raise missing(self.source)
        if self.kind == "folder" and not path.is_dir():
            raise RequestError(f"{self.source!r} cannot be read as a data set: {SUPPORTED}")
        if self.kind == "huggingface" and find_spec("datasets") is None:
            raise needs_datasets(self.source)

    def beside(self, folder: Path) -> "DataSource":
        """Return the source with its path read from ``folder`` if it exists there, else as it is."""
        if self.kind in ("folder", "arrays") and (folder / self.source).exists():
            return replace(self, source=os.path.normpath(folder / self.source))
        return self

    def absolute(self) -> "DataSource":
        """Return the source with an absolute path, for a worker that may have another current folder."""
        return replace(self, source=os.path.abspath(self.source)) if self.kind in ("folder", "arrays") else self

    def as_data(self) -> dict[str, Any] | str:
        """Return plain data: the source alone where the rest is left as it comes."""
        changed = {item.name: value for item in fields(self)[1:] if (value := getattr(self, item.name)) != item.default}
        return {"source": self.source, **changed} if changed else self.source

    @staticmethod
    def from_data(data: dict[str, Any] | str) -> "DataSource":
        """Read what ``as_data`` gave."""
        return DataSource(data) if isinstance(data, str) else DataSource(**data)


def needs_datasets(source: str) -> RequestError:
    """Return the error for a data set of Hugging Face without its package."""
    return RequestError(
        f"{source!r} needs the package datasets: pip install 'inception-nas[huggingface]', or use a folder of pictures"
    )


def missing(source: str) -> RequestError:
    """Return the error for a source that is not there."""
    if "/" in source or source.startswith("."):
        return RequestError(f"there is no data folder {source!r}: correct the path, or use a name; {SUPPORTED}")
    return RequestError(f"there is no data set {source!r}: {SUPPORTED}{nearest(source, NAMES)}")
