"""Weight files of others, read without trusting them: safetensors, and what torch.save writes for a state dict.

A pickle is a program. Before torch sees one, its opcodes are read, not run: it may name plain dicts and dense tensors
and nothing else. Sizes are checked before anything is unpacked, so that no small file asks for much memory.
"""

import hashlib
import io
import json
import os
import pickletools
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import load as parse_tensors
from torch import Tensor

from search_spaces.errors import RequestError
from trainers.checkpoint import header_length

MAX_BYTES = 2**30  # ten times Inception-v3 in float32: room for a checkpoint with its optimiser's state
MAX_HEADER = 2**21  # names and shapes of all tensors; Inception-v3 takes 60 to 110 KB
MAX_RECORDS = 20_000  # files inside a zip: one for each tensor
MAX_TUPLES = 20_000  # four for each tensor; nested deeper than the C stack, a key that is one would end the process
ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how files of torch.save begin
LEGACY_PICKLES = 5  # torch before 1.6: magic number, version, system, the data, names of the storages

WRAPPERS = ("state_dict", "model", "model_state_dict")  # where training scripts put the weights
PREFIXES = ("module.", "_orig_mod.")  # torch's data parallelism and its compiler put these before every name

# What the pickle of a state dict names, as pickletools writes it: "module name".
_PLAIN = re.compile(
    r"collections (OrderedDict|defaultdict|Counter)|torch (Size|device)|torch(\.cuda)? [A-Za-z0-9]+Storage"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch (float|bfloat|int|uint)\d+"
)
_HOW = "give a state dict, as torch.save(network.state_dict(), FILE) or safetensors write it"


@dataclass(frozen=True)
class ForeignFile:
    """The tensors of a weight file by name, on the CPU, and the SHA-256 of the whole file.

    ``notes``: the texts that a safetensors file keeps beside its tensors, anybody's.
    """

    path: Path
    tensors: dict[str, Tensor]
    sha256: str
    notes: dict[str, str]


def read(path: Path) -> ForeignFile:
    """Read a state dict, bare or under ``state_dict`` or ``model``, with ``module.`` stripped from its names.

    What the file is shows in its first bytes, not in its name. Nothing in it is executed. Raises RequestError where
    it is missing, larger than 1 GiB, damaged, or holds anything but tensors under names.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about kinds of tensors that are refused below
            data, notes = _parse(path, content)
    except RequestError:
        raise
    except Exception as error:  # torch and zipfile raise some twenty kinds for damaged files
        raise RequestError(
            f"{str(path)!r} cannot be read as weights: it is cut off, damaged or something else; {_HOW}"
        ) from error
    return ForeignFile(path, _tensors(path, data), hashlib.sha256(content).hexdigest(), notes)


def _content(path: Path) -> bytes:
    """The whole file; RequestError, before more than its first bytes are read, where it is too large or nothing known.

    A safetensors file says in the first eight how long its header is.
    """
    if not path.is_file():
        raise RequestError(f"there is no file {str(path)!r}: check the name and the current folder")
    try:
        with path.open("rb") as file:
            if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
                raise RequestError(
                    f"{str(path)!r} holds {size:,} bytes: weights of up to {MAX_BYTES:,} can be imported; {_HOW}"
                )
            start = file.read(8)
            if not _is_safe(start) and not start.startswith((ZIP, PICKLE)):
                raise RequestError(f"{str(path)!r} is neither a safetensors file nor one of torch.save: {_HOW}")
            file.seek(0)
            return file.read(size)
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be read: {error.strerror}; give another") from None


def _is_safe(content: bytes) -> bool:
    """Whether this is a safetensors file: a length comes first, which as a beginning of torch.save would be huge."""
    return len(content) >= 8 and header_length(content) <= MAX_HEADER


def _parse(path: Path, content: bytes) -> tuple[Any, dict[str, str]]:
    """What a file holds, and the texts beside it."""
    if _is_safe(content):
        return parse_tensors(content), _notes(content)
    if content.startswith(ZIP):
        _check_zip(path, content)
    else:
        _check_pickle(path, content, LEGACY_PICKLES)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), {}


def _notes(content: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file."""
    notes = json.loads(content[8 : 8 + header_length(content)]).get("__metadata__") or {}
    return {str(name): str(text) for name, text in notes.items()}


def _check_zip(path: Path, content: bytes) -> None:
    """Refuse an archive that unpacks to more than it is: torch.save stores every record once and as it is."""
    if content.count(b"PK\x01\x02") > MAX_RECORDS:  # each entry of the table of contents begins so
        raise RequestError(f"{str(path)!r} has more than {MAX_RECORDS:,} records: {_HOW}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = archive.infolist()
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise RequestError(f"{str(path)!r} is a compressed archive, which torch.save does not write: {_HOW}")
        if sum(record.file_size for record in records) > len(content):
            raise RequestError(f"{str(path)!r} claims to hold more than its size: {_HOW}")
        programs = [record for record in records if record.filename.endswith("data.pkl")]
        if len(programs) != 1:
            raise RequestError(f"{str(path)!r} is a zip archive, but not one of torch.save: {_HOW}")
        _check_pickle(path, archive.read(programs[0]), 1)


def _check_pickle(path: Path, content: bytes, pickles: int) -> None:
    """Read the opcodes of so many pickles in a row, and refuse what is not dicts, numbers, text and dense tensors."""
    stream, tuples = io.BytesIO(content), 0
    for _ in range(pickles):
        for opcode, argument, _ in pickletools.genops(stream):
            tuples += opcode.name.startswith("TUPLE")
            if stream.tell() > MAX_HEADER or tuples > MAX_TUPLES:
                raise RequestError(f"{str(path)!r} holds more than the names and shapes of weights: {_HOW}")
            if opcode.name == "GLOBAL" and not _PLAIN.fullmatch(str(argument)):
                _refuse_object(path, str(argument).replace(" ", "."))
            if opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "OBJ", "NEWOBJ_EX"):
                _refuse_object(path, opcode.name)


def _refuse_object(path: Path, name: str) -> NoReturn:
    raise RequestError(
        f"{str(path)!r} holds {name[:80]!r}, which is no dense tensor (a whole network or checkpoint, say), and "
        f"nothing of it was executed: {_HOW}"
    )


def _tensors(path: Path, data: Any) -> dict[str, Tensor]:
    """Unwrap a checkpoint and strip prefixes."""
    for name in WRAPPERS:
        if isinstance(data, dict) and isinstance(data.get(name), dict):
            data = data[name]
            break
    if not isinstance(data, dict) or not data:
        raise RequestError(f"{str(path)!r} holds no tensors under names: {_HOW}")
    for key, value in data.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            where = repr(key[:80]) if isinstance(key, str) else "a name that is no text"
            raise RequestError(f"{str(path)!r} is no state dict: under {where} stands {type(value).__name__}; {_HOW}")
    while prefix := next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in data)), None):
        data = {key.removeprefix(prefix): value for key, value in data.items()}
    return dict(data)
