"""Folding: another architecture and other weights, the same function of a picture."""

from dataclasses import replace

import pytest
import torch
from architectures import architectures
from exports import SMALL, content_of, logits_of, pictures
from hypothesis import given, settings

from results.export.comparison import deviation
from results.export.content import Content
from results.export.folding import folded, folded_architecture
from results.export.to_python import python_source
from results.export.weights import key_shapes
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_yaml
from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from search_spaces.seeds import seed
from trainers.network import Network, build


def built(content: Content, *, aux: bool = False) -> Network:
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels, aux=aux)
    network = build(graph, initialise=1)
    state = content.state or {}
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    return network.eval()


def has_norm(architecture: Architecture, side: int) -> bool:
    graph = architecture.graph(side, aux=True)
    return any(isinstance(node.operation, Conv) and node.operation.norm for node in graph)


@settings(max_examples=25)
@given(architecture=architectures())
def test_random_architectures_compute_the_same(architecture: Architecture) -> None:
    content, network = content_of(architecture, 16)
    if not has_norm(architecture, 16):
        with pytest.raises(RequestError, match="nothing to fold"):
            folded(content)
        return
    result = folded(content)
    batch = pictures(2, 16)
    assert deviation(logits_of(built(result), batch), logits_of(network, batch)) < 1e-5


def test_in_float64_it_is_exact() -> None:
    content, network = content_of(SMALL, 24)
    double = {
        key: value.double() if value.is_floating_point() else value for key, value in network.state_dict().items()
    }
    result = folded(replace(content, state=double))
    assert result.state is not None
    assert {value.dtype for value in result.state.values()} == {torch.float64}
    other = build(result.architecture.graph(24, classes=7), initialise=0).double().eval()
    other.load_state_dict(result.state)
    batch = torch.from_numpy(pictures(3, 24)).double()
    with torch.inference_mode():
        found, expected = other(batch), network.double()(batch)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-12


def test_a_seed_and_its_auxiliary_head() -> None:
    content, _ = content_of(seed("inception-v3"), 299)
    result = folded(content)
    batch = torch.from_numpy(pictures(1, 299))
    outputs = []
    for each in (content, result):
        network = built(each, aux=True)
        network.training = True  # the heads speak, the norms stay in evaluation mode
        with torch.inference_mode():
            outputs.append(network(batch))
    for found, expected in zip(outputs[1], outputs[0], strict=True):
        assert deviation(found.numpy(), expected.numpy()) < 1e-5


def test_the_result_is_an_architecture_that_leaves_in_every_form() -> None:
    content, network = content_of(SMALL, 24)
    result = folded(content)
    assert result.name == "small_folded"
    assert result.provenance["batch norms"] == f"folded into the convolutions of {SMALL.digest}"
    assert from_yaml(result.architecture.to_yaml()).digest == result.architecture.digest != SMALL.digest
    graph = result.architecture.graph(24, classes=7, aux=True)
    assert result.state is not None
    assert {key: tuple(value.shape) for key, value in result.state.items()} == key_shapes(graph)
    source = python_source(result)
    assert "BatchNorm" not in source
    namespace: dict[str, type[torch.nn.Module]] = {"__name__": "exported"}
    exec(compile(source, "exported.py", "exec"), namespace)
    exported = namespace["SmallFolded"](aux=True)
    state = {key.replace(".linear.linear.", ".linear."): value for key, value in result.state.items()}
    exported.load_state_dict(state)
    batch = pictures(2, 24)
    assert deviation(logits_of(exported.eval(), batch), logits_of(network, batch)) < 1e-5


def test_a_long_name_stays_within_what_files_take() -> None:
    assert len(folded_architecture(SMALL.named("a" * 64)).name) == 64


def test_the_content_itself_stays_as_it_is() -> None:
    content, _ = content_of(SMALL, 24)
    assert content.state is not None
    before = {key: value.clone() for key, value in content.state.items()}
    folded(content)
    assert all(torch.equal(before[key], value) for key, value in content.state.items())


def test_without_weights_there_is_nothing_to_fold_into() -> None:
    content, _ = content_of(SMALL, 24)
    with pytest.raises(RequestError, match="folded into weights, and there are none"):
        folded(replace(content, state=None))


def test_weights_that_do_not_fit_are_refused() -> None:
    content, _ = content_of(SMALL, 24)
    with pytest.raises(RequestError, match="the weights do not fit the architecture"):
        folded(replace(content, classes=8))
