"""Weight files of our own form that are damaged or made to hurt, and what they say of themselves, through every reader.

Each costs one sentence, runs nothing and takes little memory. Files of others: test_trainers_foreign_file.py.
"""

import hashlib
import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as format_tensors
from torch import Tensor

from nas.evaluation import evaluate_found
from nas.import_weights import import_weights, read_weights
from nas.study import Found
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from trainers import checkpoint, foreign_file
from trainers.about import About, read_about
from trainers.foreign_weights import check_values, sides
from trainers.network import build
from trainers.source import DataSource


def conv(side: int, width: int) -> Conv:
    return Conv((side, side), width=width)


TINY = Architecture(
    "tiny", (conv(3, 8),), (Stage((Module(((conv(1, 6),), (conv(1, 4), conv(3, 6)))),)),), dropout=0.0, resolution=8
)
STATE = dict(build(TINY.graph(8, classes=10, channels=1), initialise=0).state_dict())
FIRST, COUNTER = "stem.0.conv.weight", "stem.0.norm.num_batches_tracked"
TRAINED = {"on": "digits", "mean": [4.9], "deviation": [6.0], "white": 16}
BLANK = b'"sha256":"' + b"0" * 64 + b'"'


def sealed(content: bytes) -> bytes:
    """A file whose hash is right, whatever it holds: whoever made it has read how."""
    return content.replace(BLANK, BLANK.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode()), 1)


def with_data(text: str, tensors: dict[str, Tensor] = STATE) -> bytes:
    return sealed(format_tensors(tensors, {"format": checkpoint.FORMAT, "sha256": "0" * 64, "data": text}))


def saying(**data: Any) -> bytes:
    return with_data(json.dumps({"trained": TRAINED, **data}))


def holding(**tensors: Tensor) -> bytes:
    return with_data(json.dumps({"trained": TRAINED}), {**STATE, **tensors})


def with_header(header: Any, body: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return sealed(struct.pack("<Q", len(content)) + content + body)


def claiming(dtype: Any, shape: Any, offsets: Any, body: bytes = b"") -> bytes:
    beside = {"format": checkpoint.FORMAT, "sha256": "0" * 64, "data": "{}"}
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return with_header({"__metadata__": beside, FIRST: tensor}, body)


def beside(**texts: Any) -> bytes:
    return with_header({"__metadata__": {"format": checkpoint.FORMAT, "sha256": "0" * 64, "data": "{}", **texts}})


def float8(kind: torch.dtype) -> Tensor:
    return torch.zeros((), dtype=torch.uint8).view(kind)


DAMAGED = "is damaged: what it holds cannot be read"
NONE = "is damaged: it is cut off or not a checkpoint"

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    # the file
    "empty": (lambda: b"", NONE),
    "three bytes": (lambda: b"abc", NONE),
    "text": (lambda: b"weights: 3\n" * 20, NONE),
    "cut in the header": (lambda: saying()[:100], NONE),
    "cut in a tensor": (lambda: saying()[:-1], "its content does not match its SHA-256"),
    "one more byte": (lambda: saying() + b"\0", "its content does not match its SHA-256"),
    "header longer than the file": (lambda: struct.pack("<Q", 2**22) + b"{}", NONE),
    "header of an exabyte": (lambda: struct.pack("<Q", 2**60) + b"{}", NONE),
    # the header
    "a list": (lambda: with_header([]), NONE),
    "null": (lambda: with_header(b"null"), NONE),
    "nested": (lambda: with_header(b"[" * 10**6), NONE),
    "a number of 10,000 digits": (lambda: with_header(b"1" * 10_000), NONE),
    "no UTF-8": (lambda: with_header(b'{"\xff": 1}'), NONE),
    "nothing beside": (lambda: with_header({"__metadata__": None}), NONE),
    "half a character for a hash": (lambda: beside(sha256="\ud800"), NONE),
    "half a character for a format": (lambda: beside(format="\ud800"), "has format"),
    "a long format": (lambda: beside(format="x" * 10_000), f"has format '{'x' * 40}'"),
    "numbers": (lambda: beside(sha256=3), "its content does not match its SHA-256"),
    "a nan for a hash": (lambda: beside(sha256=float("nan")), "its content does not match its SHA-256"),
    "another hash": (lambda: beside(sha256="f" * 64), "its content does not match its SHA-256"),
    # the tensors
    "tensor beyond the file": (lambda: claiming("F32", [2**30], [0, 2**32], bytes(4)), DAMAGED),
    "tensor beyond numbers": (lambda: claiming("F32", [2**62, 4], [0, 0]), DAMAGED),
    "tensor of negative size": (lambda: claiming("F32", [-1], [0, 4], bytes(4)), DAMAGED),
    "tensor that ends first": (lambda: claiming("F32", [1], [4, 0], bytes(4)), DAMAGED),
    "tensor of no type": (lambda: claiming("F99", [1], [0, 4], bytes(4)), DAMAGED),
    "tensor of a list": (lambda: claiming([], {}, "x"), DAMAGED),
    "tensor of many sides": (lambda: claiming("F32", [1] * 5000, [0, 4], bytes(4)), "5000 sides: weights have at most"),
    "whole numbers": (lambda: holding(**{FIRST: STATE[FIRST].to(torch.int8)}), "is int8: weights must be float32"),
    "truths": (lambda: holding(**{FIRST: STATE[FIRST].bool()}), "is bool: weights must be"),
    "complex": (lambda: holding(**{FIRST: STATE[FIRST].to(torch.complex64)}), "is complex64: weights must be"),
    "float8": (lambda: holding(**{FIRST: float8(torch.float8_e4m3fn)}), "is float8_e4m3fn: weights must be"),
    "a count in float8": (lambda: holding(**{COUNTER: float8(torch.float8_e4m3fn)}), "is float8_e4m3fn: weights"),
    "a complex count": (lambda: holding(**{COUNTER: torch.tensor(1j)}), "is complex64: weights must be"),
    "nan": (lambda: holding(**{FIRST: STATE[FIRST] * float("nan")}), "holds NaN or infinity"),
    "infinity": (lambda: holding(**{FIRST: STATE[FIRST] / 0}), "holds NaN or infinity"),
    # what it says of itself
    "data that is a list": (lambda: with_data("[1]"), DAMAGED),
    "data that is null": (lambda: with_data("null"), DAMAGED),
    "data that is no JSON": (lambda: with_data("{"), DAMAGED),
    "data without an end": (lambda: with_data('{"trained":' + "[" * 200_000), DAMAGED),
    "an epoch of 9,000 digits": (lambda: with_data('{"epoch": 1' + "0" * 9000 + "}"), DAMAGED),
    "deep": (lambda: saying(trained={"on": [[[[[[1]]]]]]}), "is nested deeper than 6 levels"),
    "nan for a digest": (lambda: with_data('{"digest": NaN}'), "digest is nan: text is allowed"),
    "a short digest": (lambda: saying(digest="abc"), "digest: 64 digits from 0 to f are allowed"),
    "a digest of a line more": (lambda: saying(digest="a" * 64 + "\n"), "digest: 64 digits from 0 to f are allowed"),
    "a digest of capitals": (lambda: saying(digest="A" * 64), "digest: 64 digits from 0 to f are allowed"),
    "half a character": (lambda: saying(architecture="\ud800"), "holds half a character"),
    "classes in text": (lambda: saying(classes="10"), "classes is '10': a whole number is allowed"),
    "classes that are true": (lambda: saying(classes=True), "classes is True: a whole number is allowed"),
    "no classes": (lambda: saying(classes=0), "classes is 0: 1 or more is allowed"),
    "resolution": (lambda: saying(resolution=10**30), "4096 or less is allowed"),
    "error above one": (lambda: saying(validation_error=1.5), "validation_error is 1.5: 1 or less is allowed"),
    "error nan": (lambda: with_data('{"validation_error": NaN}'), "validation_error is nan"),
    "trained in no way": (lambda: saying(trained=None), "trained is None: a mapping with the keys on, data_digest"),
    "infinite mean": (
        lambda: with_data('{"trained": {"mean": [1e999], "deviation": [1], "white": 1}}'),
        "trained.mean.0 is inf: a finite number is allowed",
    ),
    "no deviation": (lambda: saying(trained={**TRAINED, "deviation": [0.0]}), "more than 0 is allowed"),
    "mean alone": (lambda: saying(trained={"mean": [1.0]}), "mean, deviation and white belong together"),
    "other channels": (lambda: saying(trained={**TRAINED, "mean": [1.0, 2.0]}), "for as many channels"),
    "many channels": (lambda: saying(trained={**TRAINED, "mean": [1.0] * 10**5}), "a list of at most"),
    "another view": (lambda: saying(trained={"view": "half"}), "'whole' is allowed"),
    "class names": (lambda: saying(trained={"class_names": [1]}), "class_names.0 is 1: text is allowed"),
    "a source that is a number": (lambda: saying(trained={"on": {"source": 3}}), "source is 3: text is allowed"),
    "a source with more": (lambda: saying(trained={"on": {"source": "digits", "x": 1}}), "unknown key 'x'"),
    "a source with an end": (lambda: saying(trained={"on": "a\0b"}), r"data.source is 'a\x00b'"),
    "a negative random seed": (lambda: saying(trained={**TRAINED, "random_seed": -1}), "0 or more is allowed"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind: str, tmp_path: Path) -> None:
    content, sentence = REFUSED[kind]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content())
    for reader in (lambda: read_weights("tiny", TINY, path), lambda: evaluate_found(Found(TINY), [path], None)):
        with pytest.raises(RequestError) as caught:
            reader()
        assert sentence in str(caught.value)
        assert "weights.safetensors" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


FITTING = "the weights do not fit the architecture: "
UNFIT: dict[str, tuple[dict[str, Tensor], str]] = {
    "another shape": ({FIRST: torch.zeros(3)}, f"{FITTING}'{FIRST}' is 3 instead of 8 x 1 x 3 x 3"),
    "a single number": ({FIRST: torch.tensor(1.0)}, f"'{FIRST}' is a single number instead"),
    "without content": ({FIRST: torch.zeros(0, 1, 3, 3)}, f"'{FIRST}' is 0 x 1 x 3 x 3 instead"),
    "no classes": ({"head.linear.linear.weight": torch.zeros(0, 12)}, "is 0 x 12 instead of 10 x 12"),
    "a name too many": ({"\x1b[31m" * 50: torch.zeros(1)}, "is unknown"),
    "too large to compute with": ({"head.linear.linear.bias": torch.full((10,), 3e38)}, ""),
    "outputs beyond numbers": (
        {key: tensor * 1e30 for key, tensor in STATE.items() if key.endswith(("conv.weight", "linear.weight"))},
        "gives no finite probabilities for pictures of 'digits'",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_tensors_that_do_not_fit(kind: str, tmp_path: Path) -> None:
    tensors, sentence = UNFIT[kind]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(holding(**tensors))
    if not sentence:
        assert evaluate_found(Found(TINY), [path], None).scores.top1_error > 0.5
        return
    with pytest.raises(RequestError) as caught:
        evaluate_found(Found(TINY), [path], None)
    assert sentence in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_scale_that_float32_cannot_hold_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(saying(trained={**TRAINED, "deviation": [1e-320], "white": 1e-320}))
    with pytest.raises(RequestError, match="gives no finite probabilities"):
        evaluate_found(Found(TINY), [path], None)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder, and a pipe, which would be waited for."""
    os.mkfifo(tmp_path / "pipe.safetensors")
    for path in (tmp_path, tmp_path / "pipe.safetensors"):
        with pytest.raises(RequestError, match="is no file"):
            read_weights("tiny", TINY, path)
        with pytest.raises(RequestError, match="there are no weights"):
            evaluate_found(Found(TINY), [path], None)
        with pytest.raises(RequestError, match="there is no file"):
            import_weights("inception-v3", path, tmp_path / "out.safetensors", tmp_path)
    assert not (tmp_path / "out.safetensors").exists()


class Canary:
    """Its pickle makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def zipped(program: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", b"3\n")
    return stream.getvalue()


@pytest.mark.parametrize("form", ["pickle", "zip", "legacy", "beside the tensors"])
def test_nothing_is_executed(form: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = pickle.dumps({FIRST: Canary(canary)}, 2)
    legacy = io.BytesIO()
    torch.save({FIRST: Canary(canary)}, legacy, _use_new_zipfile_serialization=False)
    content = {
        "pickle": program,
        "zip": zipped(program),
        "legacy": legacy.getvalue(),
        "beside the tensors": saying(digest=program.decode("latin-1")),
    }[form]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    for read in (
        lambda: checkpoint.read(path) and read_weights("tiny", TINY, path),
        lambda: read_weights("tiny", TINY, path),
        lambda: evaluate_found(Found(TINY), [path], None),
        lambda: import_weights("inception-v3", path, tmp_path / "out.safetensors", tmp_path),
    ):
        with pytest.raises(RequestError) as caught:
            read()
        assert "\n" not in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["weights.safetensors"]
    pickle.loads(program)  # the canary works
    assert canary.exists()


def test_little_memory_is_taken_for_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a large file whose beginning or hash is wrong, nor for a small one that claims to hold much."""
    large = tmp_path / "large.safetensors"
    beginnings = [bytes(8), struct.pack("<Q", 2**40), b"PK\x03\x05", beside(sha256="f" * 64), saying()[:5000]]
    tracemalloc.start()
    try:
        for begin in beginnings:
            with large.open("wb") as file:
                file.write(begin)
                file.truncate(2**28)  # takes no room on the disk
            with pytest.raises(RequestError):
                checkpoint.read(large)
        small = tmp_path / "small.safetensors"
        small.write_bytes(claiming("F32", [2**34], [0, 2**36], bytes(64)))
        with pytest.raises(RequestError):
            read_weights("tiny", TINY, small)
        with large.open("wb") as file:
            file.truncate(2**33)
        with pytest.raises(RequestError, match="holds 8,589,934,592 bytes: up to 4,294,967,296 are read"):
            checkpoint.read(large)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(checkpoint, "MAX_HEADER", 200)
    with pytest.raises(RequestError, match="can be read again; train a smaller network, or for fewer epochs"):
        checkpoint.write(tmp_path / "new.safetensors", STATE, {})
    assert not (tmp_path / "new.safetensors").exists()


def test_a_safetensors_file_of_others_keeps_only_texts_beside_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(format_tensors(STATE, {"resolution": "9999999999x9999999999", "a": "b"}))
    assert foreign_file.read(path).notes == {"resolution": "9999999999x9999999999", "a": "b"}
    path.write_bytes(with_header({"__metadata__": [1]}))
    with pytest.raises(RequestError, match="cannot be read as weights"):
        foreign_file.read(path)


# ------------------------------------------------------------------------------------------------- what is known of it


def test_what_is_known_is_read_and_what_a_later_release_adds_is_left_alone() -> None:
    data = {"digest": "a" * 64, "classes": 10, "epoch": 3, "trained": {**TRAINED, "new": 1}, "later": [[[[[[[1]]]]]]]}
    found = read_about(data, "file")
    assert (found.digest, found.classes, found.epoch, found.resolution) == ("a" * 64, 10, 3, None)
    assert found.trained.on == DataSource("digits")
    assert (found.trained.mean, found.trained.deviation, found.trained.white) == ((4.9,), (6.0,), 16)
    assert read_about({}, "file") == About()
    whole = read_about({"trained": {"on": {"source": "pictures", "side": 32}}}, "file")
    assert whole.trained.on == DataSource("pictures", side=32)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["on", "mean", "x"]), inner),
    max_leaves=6,
)


@settings(max_examples=100)
@given(
    st.dictionaries(st.sampled_from(sorted(About.model_fields)), json_values, max_size=3),
    st.dictionaries(st.sampled_from(["on", "mean", "deviation", "white", "view", "class_names"]), json_values),
)
def test_whatever_is_said_is_known_or_refused(data: dict[str, Any], trained: dict[str, Any]) -> None:
    refused, found = "", About()
    try:
        found = read_about({"trained": trained, **data}, "file")
    except RequestError as error:
        refused = str(error)
    assert not refused or re.fullmatch(r"file: .*write these weights anew with 'nas train' or .*", refused)
    assert found.resolution is None or 1 <= found.resolution <= 4096
    assert found.digest is None or len(found.digest) == 64
    scale = (found.trained.mean, found.trained.deviation, found.trained.white)
    assert all(part is None for part in scale) or None not in scale


def test_shapes_are_said_in_short() -> None:
    assert sides((64, 3, 7, 7)) == "64 x 3 x 7 x 7"
    assert sides(()) == "a single number"
    assert sides((1,) * 10**5) == " x ".join("1" * 8) + " x ..."
    check_values(torch.zeros(2, 2, 2, 2), "x", "file")
    check_values(torch.tensor(3.5), COUNTER, "file")  # an average makes it a float
    check_values(torch.tensor(3), COUNTER, "file")
