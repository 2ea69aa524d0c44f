"""Checkpoints: one safetensors file each, written whole or not at all, with the SHA-256 of its content inside.

A folder keeps the last two, so that a damaged one costs an epoch and not the training. Nothing is ever unpickled.
"""

import hashlib
import json
import logging
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor

from search_spaces.errors import RequestError
from search_spaces.files import write_files

logger = logging.getLogger("nas.trainers")

KEEP = 2
FORMAT = "training/1"
MAX_BYTES = 2**32  # of a file: twelve times what a training of Inception-v3 keeps
MAX_HEADER = 2**23  # names and shapes of all tensors, and the data: twenty times the history of 1,000 epochs
_BLANK = "0" * 64  # stands for the hash while the hash is taken
_NAME = re.compile(r"epoch-(\d{6})\.safetensors")


class CheckpointError(RequestError):
    """A checkpoint is damaged, or belongs to another training."""


class NotACheckpoint(CheckpointError):
    """The file does not say that it is a checkpoint: it is something else, or its beginning is damaged."""


class NoneWhole(CheckpointError):
    """A folder has checkpoints, and all of them are damaged."""


class Checkpoint(NamedTuple):
    """Tensors by name, and scalars, lists and dicts of them as ``data``."""

    tensors: dict[str, Tensor]
    data: dict[str, Any]


# ---------------------------------------------------------------------------------------------------------- one file


def write(path: Path, tensors: Mapping[str, Tensor], data: Mapping[str, Any]) -> str:
    """Write a checkpoint durably and return its SHA-256; the file appears whole or not at all.

    ``data`` must be JSON without NaN or infinities (ValueError). RequestError where the file cannot be written, or
    would be larger than ``read`` takes.
    """
    # Cloned, because weights in training are views of one long tensor, which safetensors would refuse or repeat.
    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "sha256": _BLANK, "data": json.dumps(data, allow_nan=False)}
    content = format_tensors(ready, metadata)
    if len(content) > MAX_BYTES or header_length(content) > MAX_HEADER:
        raise RequestError(
            f"{path} would hold {len(content):,} bytes, {header_length(content):,} of them names and history: up "
            f"to {MAX_BYTES:,} and {MAX_HEADER:,} can be read again; train a smaller network, or for fewer epochs"
        )
    digest = hashlib.sha256(content).hexdigest()
    write_files(path.parent, {path.name: content.replace(_field(_BLANK), _field(digest), 1)})
    return digest


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; raise CheckpointError where it is missing, too large, cut off or changed in any bit.

    NotACheckpoint where it does not look like one. Nothing is taken into memory but a header of bounded size before
    that header fits the file and the SHA-256 fits the content.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            os.stat(path)  # raises where there is nothing
            raise CheckpointError(f"the checkpoint {path} is no file: give one")
        with path.open("rb") as file:
            return _read(path, file)
    except OSError as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read ({error.strerror}): give another") from None


# What json, struct and safetensors raise for what is cut off, of another kind, or made to hurt (RecursionError).
_UNREADABLE = (KeyError, TypeError, ValueError, RuntimeError, struct.error, SafetensorError)


def _read(path: Path, file: BinaryIO) -> Checkpoint:
    if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
        raise CheckpointError(f"the checkpoint {path} holds {size:,} bytes: up to {MAX_BYTES:,} are read, give another")
    try:
        begin = file.read(8)
        if (length := header_length(begin)) > min(MAX_HEADER, size):
            raise ValueError("too long")
        begin += file.read(length)
        metadata = dict(json.loads(begin[8:])["__metadata__"])
        found, digest, text = (str(metadata[name]) for name in ("format", "sha256", "data"))
        field = _field(digest)  # ValueError where it holds half a character
    except _UNREADABLE:
        raise NotACheckpoint(f"the checkpoint {path} is damaged: it is cut off or not a checkpoint") from None
    if found != FORMAT:
        raise CheckpointError(f"the checkpoint {path} has format {found[:40]!r}: {FORMAT!r} is readable, give another")
    if _blanked_hash(begin, file, field) != digest:
        raise CheckpointError(f"the checkpoint {path} is damaged: its content does not match its SHA-256; give another")
    try:
        data = dict(json.loads(text).items())
        file.seek(0)
        return Checkpoint(parse_tensors(file.read(size)), data)
    except (*_UNREADABLE, AttributeError):
        raise CheckpointError(f"the checkpoint {path} is damaged: what it holds cannot be read; give another") from None


def header_length(content: bytes) -> int:
    """Bytes of the header of a safetensors file, as its first eight say; struct.error where there are fewer."""
    (length,) = struct.unpack("<Q", content[:8])
    return int(length)


def _blanked_hash(begin: bytes, rest: BinaryIO, field: bytes) -> str | None:
    """The SHA-256 of a file with a blank in place of ``field``, its own hash; None where that is not in its beginning.

    The rest is read piece by piece, so that a large file that is refused takes no memory.
    """
    if field not in begin:
        return None
    hashed = hashlib.sha256(begin.replace(field, _field(_BLANK), 1))
    while piece := rest.read(2**20):
        hashed.update(piece)
    return hashed.hexdigest()


def _field(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


# ------------------------------------------------------------------------------------------------------------ folders


def save(folder: Path, epoch: int, tensors: Mapping[str, Tensor], data: Mapping[str, Any]) -> Path:
    """Write the checkpoint after ``epoch`` epochs into a folder, then drop all but the last two."""
    path = folder / f"epoch-{epoch:06d}.safetensors"
    write(path, tensors, data)
    for old in _present(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def latest(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint of a folder that is whole, None if there is none at all.

    A damaged one is passed over with a warning in the log; NoneWhole if all of them are damaged.
    """
    failure: CheckpointError | None = None
    for path in _present(folder):
        try:
            return read(path)
        except CheckpointError as error:
            logger.warning("%s; going back to the one before", error)
            failure = error
    if failure is not None:
        raise NoneWhole(f"{folder} holds no whole checkpoint ({failure}): remove the folder to train anew")
    return None


def _present(folder: Path) -> list[Path]:
    """Checkpoints of a folder, newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def flat(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before every name."""
    return {f"{prefix}/{name}": tensor for name, tensor in state.items()}


def part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what ``flat`` put under a prefix."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
