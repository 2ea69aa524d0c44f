"""Weight files that nobody vouches for: what is read, what is refused, and that nothing in them runs."""

import io
import os
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as safe_bytes
from torch import Tensor, nn

from search_spaces.errors import RequestError
from trainers import foreign_file
from trainers.foreign_file import read

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.0, 2.0], dtype=torch.float64)}


def saved(data: Any, **kind: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(data, stream, **kind)
    return stream.getvalue()


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[key], STATE[key]) for key in STATE)


FORMS: dict[str, Callable[[], bytes]] = {
    "zip": lambda: saved(STATE),
    "legacy": lambda: saved(STATE, _use_new_zipfile_serialization=False),
    "safetensors": lambda: safe_bytes(STATE, {"format": "pt"}),
    "ordered": lambda: saved(OrderedDict(STATE)),
    "parameters": lambda: saved({key: nn.Parameter(tensor) for key, tensor in STATE.items()}),
    "state_dict": lambda: saved({"state_dict": STATE, "epoch": 3, "optimizer": {"lr": 0.1, "state": {0: STATE}}}),
    "model": lambda: saved({"model": STATE, "best": None}),
    "data parallel": lambda: saved({"state_dict": {f"module.{key}": tensor for key, tensor in STATE.items()}}),
    "compiled": lambda: saved({f"module._orig_mod.{key}": tensor for key, tensor in STATE.items()}),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read(form: str, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(FORMS[form]())
    found = read(tmp_path / "weights")
    assert same(found.tensors)
    assert len(found.sha256) == 64


def test_a_network_is_read_with_its_metadata(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    (tmp_path / "f.pt").write_bytes(saved(network.state_dict()))
    assert read(tmp_path / "f.pt").tensors.keys() == network.state_dict().keys()


# ------------------------------------------------------------------------------------------------------------ refused


class Reduce:
    """An object whose pickle calls something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def rezipped(change: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file of torch.save with some of its records replaced, or left out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(STATE))) as old, zipfile.ZipFile(stream, "w", compression) as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
    return stream.getvalue()


def in_zip(program: bytes) -> bytes:
    return rezipped(lambda name, content: program if name.endswith("data.pkl") else content)


def overlapping() -> bytes:
    """A zip whose table of contents says that its largest record is a terabyte."""
    content = saved(STATE)
    at = content.rindex(b"PK\x01\x02")
    return content[: at + 20] + struct.pack("<II", 2**32 - 2, 2**32 - 2) + content[at + 28 :]


def quantised() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is neither a safetensors file nor one of torch.save"),
    "text": (lambda: b"state_dict: {}\n" * 9, "is neither a safetensors file nor one of torch.save"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "is neither a safetensors file nor one of torch.save"),
    "cut zip": (lambda: saved(STATE)[:-200], "is cut off, damaged or something else"),
    "cut legacy": (lambda: FORMS["legacy"]()[:-9], "is cut off, damaged or something else"),
    "cut legacy program": (lambda: FORMS["legacy"]()[:150], "is cut off, damaged or something else"),
    "cut safetensors": (lambda: safe_bytes(STATE)[:-1], "is cut off, damaged"),
    "header of safetensors": (lambda: struct.pack("<Q", 2**21) + b"{}", "is cut off, damaged"),
    "large header": (lambda: struct.pack("<Q", 2**60) + b"{}", "is neither a safetensors file"),
    "whole network": (lambda: saved(nn.Linear(2, 2)), "'torch.nn.modules.linear.Linear', which is no dense tensor"),
    "whole network, legacy": (lambda: saved(nn.ReLU(), _use_new_zipfile_serialization=False), "ReLU', which is no"),
    "array": (lambda: pickle.dumps({"a": __import__("numpy").zeros(3)}, 2), "which is no dense tensor"),
    "sparse": (lambda: saved({"a": torch.eye(2).to_sparse()}), "rebuild_sparse_tensor', which is no dense tensor"),
    "quantised": (lambda: saved({"a": quantised()}), "rebuild_qtensor', which is no dense tensor"),
    "bytearray": (lambda: in_zip(pickle.dumps(Reduce(bytearray, 10**11), 2)), "bytearray', which is no dense tensor"),
    "protocol 4": (lambda: in_zip(pickle.dumps(Reduce(os.getcwd), 4)), "'STACK_GLOBAL', which is no dense tensor"),
    "long program": (lambda: b"\x80\x02" + b"]" * 3 * 2**20, "holds more than the names and shapes"),
    "long program in a zip": (lambda: in_zip(b"\x80\x02" + b"]" * 3 * 2**20 + b"."), "holds more than the names"),
    "compressed": (lambda: rezipped(lambda _, content: content, zipfile.ZIP_DEFLATED), "is a compressed archive"),
    "bomb": (
        lambda: rezipped(lambda n, c: bytes(10**8) if n.endswith("data/0") else c, zipfile.ZIP_DEFLATED),
        "is a compressed archive",
    ),
    "false sizes": (overlapping, "claims to hold more than its size"),
    "many records": (lambda: b"PK\x03\x04" + b"PK\x01\x02" * 20_001, "has more than 20,000 records"),
    "another zip": (lambda: rezipped(lambda n, c: None if n.endswith(".pkl") else c), "but not one of torch.save"),
    "missing storage": (lambda: rezipped(lambda n, c: None if n.endswith("data/0") else c), "is cut off, damaged"),
    "large tensor": (lambda: in_zip(zipped_program().replace(b"K\x06", b"K\xff")), "is cut off, damaged"),
    "list": (lambda: saved([torch.zeros(1)]), "holds no tensors under names"),
    "nothing": (lambda: saved({}), "holds no tensors under names"),
    "one tensor": (lambda: saved(torch.zeros(2)), "holds no tensors under names"),
    "number": (lambda: saved({"epoch": 3, "weights": STATE}), "is no state dict: under 'epoch' stands int"),
    "key": (lambda: saved({3: torch.zeros(1)}), "under a name that is no text stands Tensor"),
    "deep key": (lambda: saved({((((1,),),),): torch.zeros(1)}), "under a name that is no text"),
}


def zipped_program() -> bytes:
    with zipfile.ZipFile(io.BytesIO(saved(STATE))) as archive:
        return archive.read("archive/data.pkl")


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind: str, tmp_path: Path) -> None:
    content, sentence = REFUSED[kind]
    (tmp_path / "weights.pth").write_bytes(content())
    with pytest.raises(RequestError) as caught:
        read(tmp_path / "weights.pth")
    assert sentence in str(caught.value)
    assert "weights.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["bare", "zip", "legacy", "in a state dict"])
def test_nothing_is_executed(place: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = Reduce(os.mkdir, str(canary))
    content = {
        "bare": lambda: pickle.dumps(hostile, protocol),
        "zip": lambda: in_zip(pickle.dumps(hostile, protocol)),
        "legacy": lambda: saved(hostile, _use_new_zipfile_serialization=False, pickle_protocol=protocol),
        "in a state dict": lambda: in_zip(pickle.dumps({"a": hostile}, protocol)),
    }[place]()
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(RequestError, match=r"weights\.pth"):
        read(tmp_path / "weights.pth")
    assert not canary.exists()
    pickle.loads(pickle.dumps(hostile, protocol))  # the canary works
    assert canary.exists()


def test_size_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "large.pth").open("wb") as file:
        file.truncate(2**31)  # takes no room on the disk
    with pytest.raises(RequestError, match="holds 2,147,483,648 bytes: weights of up to 1,073,741,824 can be"):
        read(tmp_path / "large.pth")
    with pytest.raises(RequestError, match="there is no file"):
        read(tmp_path / "none.pth")
    with pytest.raises(RequestError, match="there is no file"):
        read(tmp_path)
    assert foreign_file.MAX_HEADER > 10 * 110_000  # ten times what Inception-v3 takes


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "damaged"


WHOLE = {name: FORMS[name]() for name in ("zip", "legacy", "safetensors")}


@settings(max_examples=300)
@given(
    form=st.sampled_from(sorted(WHOLE)),
    edits=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 60),
)
def test_damage_is_refused_or_harmless(form: str, edits: list[tuple[int, int]], cut: int, scratch: Path) -> None:
    content = bytearray(WHOLE[form])
    for place, value in edits:
        content[place % len(content)] = value
    scratch.write_bytes(content[: len(content) - cut])
    refused = ""
    try:
        found = read(scratch)
    except RequestError as error:
        refused = str(error)
    assert "damaged'" in refused or all(isinstance(tensor, Tensor) for tensor in found.tensors.values())
