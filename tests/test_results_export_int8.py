"""8-bit files: nearly the logits of the float file, and none without what they need."""

import sys

import numpy as np
import onnx
import pytest
from exports import SMALL, content_of, logits_of, pictures, run_onnx
from numpy.typing import NDArray

from results.export.comparison import deviation
from results.export.folding import folded
from results.export.int8 import dynamic_int8, static_int8
from results.export.onnx_graph import onnx_counts
from results.export.to_onnx import to_onnx
from search_spaces.errors import RequestError
from trainers.network import Network, build


@pytest.fixture(scope="module")
def small() -> tuple[bytes, Network]:
    """A file without batch norms, and the network that it comes from."""
    content, _ = content_of(SMALL, 24, class_names=tuple("abcdefg"))
    result = folded(content)
    network = build(result.architecture.graph(24, classes=7), initialise=0)
    assert result.state is not None
    network.load_state_dict({key: value for key, value in result.state.items() if not key.startswith("aux")})
    return to_onnx(result, network.eval())["small_folded.onnx"], network


def facts(file: bytes) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load_model_from_string(file).metadata_props}


def nodes(file: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_model_from_string(file).graph.node}


def test_static(small: tuple[bytes, Network]) -> None:
    file, network = small
    result = static_int8(file, [pictures(8, 24, random_seed=seed) for seed in range(4)])
    batch = pictures(5, 24, random_seed=9)
    assert 0 < deviation(run_onnx({"": result}, batch), logits_of(network, batch)) < 0.2
    assert {"QuantizeLinear", "DequantizeLinear"} <= nodes(result)
    assert facts(result) == {**facts(file), "precision": "int8-static", "calibration_pictures": "32"}
    assert onnx_counts(result) == onnx_counts(file)


def test_static_weights_have_a_scale_for_each_channel(small: tuple[bytes, Network]) -> None:
    graph = onnx.load_model_from_string(static_int8(small[0], [pictures(8, 24)])).graph
    scales = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer if tensor.name.endswith("weight_scale")}
    assert scales["stem.0.conv.weight_scale"] == (8,)


def test_dynamic(small: tuple[bytes, Network]) -> None:
    file, network = small
    result = dynamic_int8(file)
    batch = pictures(5, 24, random_seed=9)
    assert 0 < deviation(run_onnx({"": result}, batch), logits_of(network, batch)) < 0.2
    assert "ConvInteger" in nodes(result)
    assert facts(result) == {**facts(file), "precision": "int8-dynamic"}
    with pytest.raises(RequestError, match="count the file before its quantisation"):
        onnx_counts(result)


def test_the_same_file_gives_the_same_bytes(small: tuple[bytes, Network]) -> None:
    batches = [pictures(8, 24)]
    assert static_int8(small[0], batches) == static_int8(small[0], batches)
    assert dynamic_int8(small[0]) == dynamic_int8(small[0])


def test_nothing_reaches_the_terminal(
    small: tuple[bytes, Network], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    static_int8(small[0], [pictures(2, 24)])
    dynamic_int8(small[0])
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_batch_norms_have_to_be_folded_first() -> None:
    [file] = to_onnx(*content_of(SMALL, 24)).values()
    for work in (dynamic_int8, lambda file: static_int8(file, [pictures(2, 24)])):
        with pytest.raises(RequestError, match="export it with --fold-bn"):
            work(file)


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "needs calibration pictures, and there are none"),
        ([np.zeros((3, 24, 24), np.float32)], "a calibration batch of float32 3 x 24 x 24 cannot be used"),
        ([np.zeros((2, 3, 24, 24), np.uint8)], "a calibration batch of uint8 2 x 3 x 24 x 24 cannot be used"),
        ([np.zeros((2, 3, 20, 24), np.float32)], "of 2 x 3 x 20 x 24 do not fit the file, which takes 3 x 24 x 24"),
    ],
)
def test_unsuitable_pictures_are_refused(
    small: tuple[bytes, Network], batches: list[NDArray[np.float32]], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        static_int8(small[0], batches)


def test_a_missing_runtime_is_named_with_its_extra(
    small: tuple[bytes, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RequestError, match=r"needs the package onnxruntime: pip install 'inception-nas\[onnx\]'$"):
        dynamic_int8(small[0])
