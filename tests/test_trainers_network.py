"""The network is the graph: reference numbers of torchvision's Inception-v3, and laws on random architectures."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from architectures import architectures
from fingerprint import fingerprint_fill, fingerprint_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import seeds
from search_spaces.architecture import Architecture, Aux, Module, Split, Stage
from search_spaces.graph import Node
from search_spaces.operations import Conv, Input, Pool
from search_spaces.space import space
from trainers.network import Network, build, endpoints
from trainers.recipe import Recipe

# torchvision 0.28's inception_v3 with weights and picture from tests/fingerprint.py: 299 px, float64, evaluation mode.
FIRST_LOGITS = (
    0.020492591435743886, -0.12756166279556905, -0.019171097606778015, -0.01457076609649035,
    -0.03978533773175556, -0.028802211152419918, 0.05955268103857143, 0.004242626599673845,
)  # fmt: skip
ENDPOINTS = {  # shape, mean, deviation of the sample
    "stem.0": ((32, 149, 149), 0.2861077679492482, 0.4206166330090156),
    "stem.1": ((32, 147, 147), 0.21593894859118734, 0.3388418272563147),
    "stem.2": ((64, 147, 147), 0.19417394127185814, 0.28304467060263744),
    "stem.3": ((64, 73, 73), 0.5818396006997366, 0.36803296984571926),
    "stem.4": ((80, 73, 73), 0.26815435718497255, 0.45666394555043127),
    "stem.5": ((192, 71, 71), 0.2744836239966949, 0.42444010140212907),
    "stem.6": ((192, 35, 35), 0.4514596135899799, 0.5121125888021562),
    "stage1.module1": ((256, 35, 35), 0.3198774841402422, 0.46401171181790785),
    "stage1.module2": ((288, 35, 35), 0.22823942536026515, 0.3421637658586841),
    "stage1.module3": ((288, 35, 35), 0.14008264040126456, 0.24195159304173602),
    "stage2.reduction": ((768, 17, 17), 0.15758851629583742, 0.24390656961797602),
    "stage2.module1": ((768, 17, 17), 0.13227244082735234, 0.19205301940583777),
    "stage2.module2": ((768, 17, 17), 0.09098811716060776, 0.1324387442794803),
    "stage2.module3": ((768, 17, 17), 0.07173442513763871, 0.11139359760957697),
    "stage2.module4": ((768, 17, 17), 0.0641288861364276, 0.09385178874592837),
    "stage3.reduction": ((1280, 8, 8), 0.07546455410229004, 0.09999287901287586),
    "stage3.module1": ((2048, 8, 8), 0.05578174962628763, 0.08266659281165888),
    "stage3.module2": ((2048, 8, 8), 0.043012735145066136, 0.06599796984090771),
    "head.pool": ((2048, 1, 1), 0.043012735145066136, 0.05747769645937382),
    "head.dropout": ((2048, 1, 1), 0.043012735145066136, 0.05747769645937382),
    "head.linear": ((1000,), -0.0005080891067852513, 0.10261279604375372),
}


@pytest.fixture(scope="module")
def inception_v3() -> Network:
    return build(seeds.seed("inception-v3").graph(299, aux=True), initialise=0)


@pytest.fixture(scope="module")
def reached() -> dict[str, torch.Tensor]:
    network = build(seeds.seed("inception-v3").graph(299), initialise=0).double().eval()
    fingerprint_fill(network)
    with torch.inference_mode():
        return endpoints(network, fingerprint_picture(299, 299))


def test_inception_v3_gives_torchvisions_logits(reached: dict[str, torch.Tensor]) -> None:
    logits = reached["head.linear"][0]
    torch.testing.assert_close(logits[:8], torch.tensor(FIRST_LOGITS, dtype=torch.float64), rtol=0, atol=1e-9)
    assert logits.sum().item() == pytest.approx(-0.5080891067852513, abs=1e-9)
    assert logits.norm().item() == pytest.approx(3.2433184673333457, abs=1e-9)
    assert logits.argmax().item() == 608


def test_inception_v3_gives_torchvisions_end_points(reached: dict[str, torch.Tensor]) -> None:
    assert list(reached) == list(ENDPOINTS)
    for name, (shape, mean, deviation) in ENDPOINTS.items():
        assert tuple(reached[name].shape) == (1, *shape)
        assert reached[name].mean().item() == pytest.approx(mean, abs=1e-9)
        assert reached[name].std().item() == pytest.approx(deviation, abs=1e-9)


def test_keys_are_node_names(inception_v3: Network) -> None:
    keys = inception_v3.state_dict().keys()
    assert len(keys) == 580
    assert sum(p.numel() for p in inception_v3.parameters()) == 27_161_264
    assert {"stem.0.conv.weight", "stage2.module1.tower3.4.norm.running_var", "head.linear.linear.bias"} <= keys
    assert {"stage3.module2.tower3.2.branch2.norm.bias", "aux1.2.conv.weight", "aux1.linear.linear.weight"} <= keys


def test_initial_weights_are_the_published_ones(inception_v3: Network) -> None:
    weight = inception_v3.get_submodule("stage3.module2.tower3.1.conv").weight
    assert isinstance(weight, torch.Tensor)
    assert weight.abs().max().item() <= 0.2
    assert weight.abs().max().item() > 0.199
    # A normal distribution cut at two deviations keeps 0.8796 of its deviation.
    assert weight.std().item() == pytest.approx(0.08796, rel=0.01)
    assert inception_v3.get_submodule("aux1.2.conv").weight.abs().max().item() <= 0.02  # type: ignore[operator]
    assert not inception_v3.get_submodule("head.linear.linear").bias.any()  # type: ignore[operator]


@pytest.mark.parametrize(("initialisation", "most"), [("published", 0.2), ("gentle", 0.02)])
def test_the_classifier_begins_as_the_recipe_says(initialisation: Any, most: float) -> None:
    deviation = Recipe(initialisation=initialisation).classifier_deviation
    network = build(small(aux=True).graph(classes=1000, aux=True), initialise=0, classifier_deviation=deviation)
    largest = network.get_submodule("head.linear.linear").weight.abs().max().item()  # type: ignore[operator]
    assert 0.95 * most < largest <= most
    assert network.get_submodule("aux1.linear.linear").weight.abs().max().item() <= 0.002  # type: ignore[operator]


def small(*, aux: bool = False, norm: bool = True) -> Architecture:
    module = Module(
        (
            (Conv((1, 1), 1, True, 4, norm),),
            (Conv((1, 1), 1, True, 3, norm), Split((Conv((1, 3), width=2), Conv((3, 1), width=2, activation=False)))),
            (Pool((3, 3), kind="avg", counted=False), Conv((1, 1), width=4)),
        )
    )
    reduction = Module(((Conv((3, 3), 2, False, 6, norm),), (Pool((3, 3), 2, False),)))
    stages = (Stage((module,)), Stage((module,), reduction))
    heads = (Aux(1, 1, (Conv((3, 3), width=4, same=False),)),) if aux else ()
    return Architecture("small", (Conv((3, 3), width=4, norm=norm),), stages, heads, resolution=12)


def test_training_gives_auxiliary_logits_and_evaluation_does_not() -> None:
    network = build(small(aux=True).graph(12, classes=5, aux=True), initialise=0)
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    logits, aux = network(x)
    assert logits.shape == (2, 5)
    assert aux.shape == (2, 5)
    assert network.eval()(x).shape == (2, 5)
    assert build(small().graph(12, classes=5), initialise=0)(x).shape == (2, 5)


def test_same_random_seed_same_weights_and_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = (build(small().graph(12), initialise=3).state_dict() for _ in range(2))
    with_aux = build(small(aux=True).graph(12, aux=True), initialise=3).state_dict()
    other = build(small().graph(12), initialise=torch.Generator().manual_seed(4)).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], with_aux[name]) for name in first)
    assert not torch.equal(first["stem.0.conv.weight"], other["stem.0.conv.weight"])


def test_convolution_without_norm_has_a_bias_and_a_scale_of_its_own() -> None:
    network = build(replace(small(norm=False), stem=(Conv((3, 3), width=512, norm=False),)).graph(12), initialise=0)
    state = network.state_dict()
    assert "stem.0.norm.weight" not in state
    assert not state["stem.0.conv.bias"].any()
    assert state["stem.0.conv.weight"].std().item() == pytest.approx(0.88 * math.sqrt(2 / 27), rel=0.05)


def test_channels_last_gives_the_same_and_stays_channels_last() -> None:
    network = build(small().graph(12), initialise=0).double().eval()
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    last = x.to(memory_format=torch.channels_last)
    found = endpoints(network, last)
    for name, tensor in endpoints(network, x).items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-12, atol=1e-12)
    assert found["stage1.module1"].is_contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------------------------------------ random architectures


def unseen(node: Node) -> int:
    """Multiply-adds of rows and columns of a kernel that see nothing but padding: the graph counts them all the same.

    A ``same`` kernel on a grid of n has 2 n - 1 that see something, at most.
    """
    conv = node.operation
    if not isinstance(conv, Conv) or conv.stride != 1 or not conv.same:
        return 0
    (kh, kw), (_, height, width) = conv.kernel, node.shape
    return node.macs - node.macs * min(kh, 2 * height - 1) * min(kw, 2 * width - 1) // (kh * kw)


@settings(max_examples=40)
@given(architecture=architectures(), more=st.integers(0, 24), classes=st.integers(2, 7))
def test_network_costs_what_the_graph_says(architecture: Architecture, more: int, classes: int) -> None:
    side = architecture.smallest_resolution(aux=True) + more
    graph = architecture.graph(side, classes=classes, aux=True)
    with torch.device("meta"):
        network = Network(graph).eval()
        x = torch.empty(1, 3, side, side)
    shapes: dict[str, tuple[int, ...]] = {}
    for node in graph:
        network.get_submodule(node.name).register_forward_hook(
            lambda module, arguments, output, name=node.name: shapes.__setitem__(name, tuple(output.shape[1:]))
        )
    with FlopCounterMode(display=False) as counter:
        endpoints(network, x)
    assert sum(p.numel() for p in network.parameters()) == graph.params
    assert counter.get_total_flops() == 2 * (graph.macs - sum(unseen(node) for node in graph))
    for node in graph:
        if not isinstance(node.operation, Input):
            found = shapes[node.name]
            assert (found if len(found) == 3 else (*found, 1, 1)) == tuple(node.shape)  # linear layers leave no grid


def test_random_points_of_the_space_cost_what_their_networks_cost() -> None:
    """At full width and 299 px, with the auxiliary head, against torch's own counter."""
    searched, source = space("inception"), random.Random(0)
    for _ in range(5):
        graph = searched.sample(source).graph(299, aux=True)
        with torch.device("meta"):
            network = Network(graph).train()
            x = torch.empty(2, 3, 299, 299)  # batch norm trains on two pictures or more
        with FlopCounterMode(display=False) as counter:
            network(x)
        assert sum(p.numel() for p in network.parameters()) == graph.params
        assert counter.get_total_flops() == 2 * 2 * graph.macs
