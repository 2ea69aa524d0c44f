"""What is counted in an ONNX file is what the architecture costs."""

from dataclasses import replace

import onnx
import pytest
from architectures import architectures
from exports import SMALL, content_of
from hypothesis import HealthCheck, given, settings

from results.export.content import Scaling
from results.export.deployment import Deployment
from results.export.folding import folded
from results.export.onnx_graph import OnnxCounts, onnx_counts
from results.export.to_onnx import to_onnx
from search_spaces.architecture import Architecture
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from search_spaces.seeds import seed
from trainers.network import build


def expected(architecture: Architecture, side: int) -> OnnxCounts:
    costs = cost(architecture, side, classes=7)
    nodes = architecture.graph(side, classes=7)
    return OnnxCounts(sum(isinstance(node.operation, Conv) for node in nodes), costs.params, costs.macs)


def counts(files: dict[str, bytes]) -> OnnxCounts:
    [file] = files.values()
    return onnx_counts(file)


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(architecture=architectures())
def test_random_architectures(architecture: Architecture) -> None:
    assert counts(to_onnx(*content_of(architecture, 16))) == expected(architecture, 16)


def test_a_seed() -> None:
    architecture = seed("googlenet-torchvision")
    content, network = content_of(architecture, 64)
    assert counts(to_onnx(content, network)) == expected(architecture, 64)


def test_folded_scaled_and_in_half_precision() -> None:
    scaling = Scaling((0.5,) * 3, (0.25,) * 3, 1.0)
    content = folded(content_of(SMALL, 24, scaling=scaling)[0])
    network = build(content.architecture.graph(24, classes=7), initialise=0)
    content = replace(content, deployment=Deployment("float16", pixels=True))
    found = counts(to_onnx(content, network))
    assert found == expected(content.architecture, 24)
    plain = expected(SMALL, 24)
    assert (found.convolutions, found.macs) == (plain.convolutions, plain.macs)
    assert found.params < plain.params


@pytest.mark.parametrize("file", [b"", b"no graph at all", onnx.ModelProto().SerializeToString()])
def test_what_is_no_such_file_is_refused(file: bytes) -> None:
    with pytest.raises(RequestError, match="this is not an ONNX file of an exported network"):
        onnx_counts(file)
