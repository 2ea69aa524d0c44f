"""Checkpoints: one safetensors file each, written whole or not at all, with the SHA-256 of its content inside.

A folder keeps the last two, so that a damaged one costs an epoch and not the training. Nothing is ever unpickled.
"""

import hashlib
import json
import logging
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor

from search_spaces.errors import RequestError
from search_spaces.files import write_files

logger = logging.getLogger("nas.trainers")

KEEP = 2
FORMAT = "training/1"
_BLANK = "0" * 64  # stands for the hash while the hash is taken
_NAME = re.compile(r"epoch-(\d{6})\.safetensors")


class CheckpointError(RequestError):
    """A checkpoint is damaged, or belongs to another training."""


class NotACheckpoint(CheckpointError):
    """The file does not say that it is a checkpoint: it is something else, or its beginning is damaged."""


class Checkpoint(NamedTuple):
    """Tensors by name, and scalars, lists and dicts of them as ``data``."""

    tensors: dict[str, Tensor]
    data: dict[str, Any]


# ---------------------------------------------------------------------------------------------------------- one file


def write(path: Path, tensors: Mapping[str, Tensor], data: Mapping[str, Any]) -> str:
    """Write a checkpoint durably and return its SHA-256; the file appears whole or not at all.

    ``data`` must be JSON without NaN or infinities (ValueError). A file that cannot be written is a RequestError.
    """
    # Cloned, because weights in training are views of one long tensor, which safetensors would refuse or repeat.
    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "sha256": _BLANK, "data": json.dumps(data, allow_nan=False)}
    content = format_tensors(ready, metadata)
    digest = hashlib.sha256(content).hexdigest()
    write_files(path.parent, {path.name: content.replace(_field(_BLANK), _field(digest), 1)})
    return digest


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; raise CheckpointError where it is missing, cut off or changed in any bit.

    NotACheckpoint where it does not look like one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read ({error.strerror}): give another") from None
    try:
        metadata = _metadata(content)
        digest = metadata["sha256"]
        if metadata["format"] != FORMAT:
            raise CheckpointError(f"the checkpoint {path} has format {metadata['format']!r}: {FORMAT!r} is readable")
        if _blanked_hash(content, _field(digest)) != digest:
            raise CheckpointError(f"the checkpoint {path} is damaged: its content does not match its SHA-256")
        return Checkpoint(parse_tensors(content), json.loads(metadata["data"]))
    except (KeyError, TypeError, ValueError, struct.error, SafetensorError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise NotACheckpoint(f"the checkpoint {path} is damaged: it is cut off or not a checkpoint") from None


def _blanked_hash(content: bytes, field: bytes) -> str | None:
    """The SHA-256 of the content with a blank in place of ``field``, its own hash; None where that is not in it.

    By parts: a large file is not copied for it.
    """
    at, whole = content.find(field), memoryview(content)
    if at < 0:
        return None
    hashed = hashlib.sha256(whole[:at])
    hashed.update(_field(_BLANK))
    hashed.update(whole[at + len(field) :])
    return hashed.hexdigest()


def _field(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def _metadata(content: bytes) -> dict[str, str]:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return dict(header["__metadata__"])


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

    A damaged one is passed over with a warning in the log; CheckpointError if all of them are damaged.
    """
    failure: CheckpointError | None = None
    for path in _present(folder):
        try:
            return read(path)
        except CheckpointError as error:
            logger.warning("%s; going back to the one before", error)
            failure = error
    if failure is not None:
        raise CheckpointError(f"{folder} holds no whole checkpoint ({failure}): remove the folder to train anew")
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
