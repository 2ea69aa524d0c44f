"""What runs as one computes what runs by itself: outputs, gradients and running statistics."""

import copy

import pytest
import torch
from architectures import architectures
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.architecture import Architecture
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers.conv_unit import convolve
from trainers.flat import Flat
from trainers.network import Network, build
from trainers.plan import Plan, plan, run

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def by_node(network: Network) -> Plan:
    """Every node by itself: the plain network."""
    graph = network.graph
    modules = {node.name: network.get_submodule(node.name) for node in graph}
    return plan(graph, modules, (graph.output, *graph.aux_outputs), joined=False)


def trained_outputs(network: Network, x: Tensor) -> tuple[Tensor, ...]:
    output = network.train()(x)
    logits, aux = output if isinstance(output, tuple) else (output, ())
    return logits, *((aux,) if isinstance(aux, Tensor) else aux)


def network_of(architecture: Architecture, side: int) -> Network:
    network = build(architecture.graph(side, classes=3, aux=True), initialise=0).double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):  # away from one and zero, where mistakes would not show
            for tensor in (module.weight, module.bias):
                nn.init.uniform_(tensor, 0.5, 1.5, generator=torch.Generator().manual_seed(tensor.numel()))
    return network


@settings(max_examples=40)
@given(architecture=architectures(), more=st.integers(0, 8), layout=st.sampled_from(LAYOUTS))
def test_joined_is_the_plain_network(architecture: Architecture, more: int, layout: torch.memory_format) -> None:
    side = architecture.smallest_resolution(aux=True) + more
    joined = network_of(architecture, side)
    plain = copy.deepcopy(joined)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 3, side, side, dtype=torch.float64, generator=generator).contiguous(memory_format=layout)
    expected = run(by_node(plain), x)
    for found, wanted in zip(trained_outputs(joined, x), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    sum(output.sigmoid().sum() for output in trained_outputs(joined, x)).backward()
    sum(output.sigmoid().sum() for output in run(by_node(plain), x)).backward()
    for mine, theirs in zip(joined.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-6, atol=1e-9)
    for mine, theirs in zip(joined.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    with torch.inference_mode():
        torch.testing.assert_close(joined.eval()(x), run(by_node(plain.eval()), x)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_without_norms_a_batch_of_one_runs_too(layout: torch.memory_format, batch: int, training: bool) -> None:
    """A part of one picture lies in one piece, and a ReLU must still not change it in place."""
    network = network_of(proxy(seed("googlenet"), 32, 1 / 16), 32).train(training)
    x = torch.rand(batch, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=layout)
    gradients = []
    for chosen in (network._whole, by_node(network)):
        outputs = run(chosen, x)
        network.zero_grad()
        sum(output.sigmoid().sum() for output in outputs).backward()  # type: ignore[union-attr]
        gradients.append([*outputs, *(param.grad.clone() for param in network.parameters() if param.grad is not None)])
    assert len(gradients[0]) == 3 + len(list(network.parameters()))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (3, 2), (1, 9), (7, 7)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (1, 7), (7, 1), (5, 3)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_small_grids_are_convolved_exactly(
    grid: tuple[int, int], kernel: tuple[int, int], layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *grid, dtype=torch.float64, generator=generator).contiguous(memory_format=layout)
    weight = torch.randn(4, 3, *kernel, dtype=torch.float64, generator=generator)
    bias = torch.randn(4, dtype=torch.float64, generator=generator)
    padding = (kernel[0] // 2, kernel[1] // 2)
    gradients = []
    for function in (convolve, F.conv2d):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
        output = function(*leaves, 1, padding)
        output.square().sum().backward()
        gradients.append([output, *(leaf.grad for leaf in leaves)])
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


# ----------------------------------------------------------------------------------------------------- long parameters


def lent_and_plain() -> tuple[Network, Network, Flat, Tensor]:
    plain = network_of(proxy(seed("inception-v3"), 32, 0.125), 32).float().to(memory_format=torch.channels_last)
    lent = copy.deepcopy(plain)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return lent, plain, Flat(lent), x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_lent_parameters_give_the_same_gradients(bfloat16: bool, heads: int) -> None:
    lent, plain, flat, x = lent_and_plain()
    for long in flat.both:
        assert long.grad is not None
        long.grad.fill_(7.0)  # left from before
    flat.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        with flat.lent():
            mine = trained_outputs(lent, x)
        theirs = trained_outputs(plain, x)
    for found, wanted in zip(mine, theirs, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    for outputs in (mine, theirs):  # where only the first is asked, the head has no gradient
        sum(output.float().square().sum() for output in outputs[:heads]).backward()  # type: ignore[union-attr]
    for one, other in zip(lent.parameters(), plain.parameters(), strict=True):
        wanted = torch.zeros_like(other) if other.grad is None else other.grad
        torch.testing.assert_close(one.grad, wanted, rtol=0, atol=0)


def test_lent_parameters_add_up_gradients_and_go_back() -> None:
    lent, _, flat, x = lent_and_plain()
    parameters = list(lent.parameters())
    for _ in range(2):
        with flat.lent():
            assert not any(isinstance(tensor, nn.Parameter) for tensor in lent.parameters())
            output = trained_outputs(lent, x)[0]
        output.sum().backward()
        assert all(mine is before for mine, before in zip(lent.parameters(), parameters, strict=True))
    twice = flat.weights.grad.clone()  # type: ignore[union-attr]
    flat.zero_grad()
    with flat.lent():
        output = trained_outputs(lent, x)[0]
    output.sum().backward()
    torch.testing.assert_close(twice, 2 * flat.weights.grad, rtol=1e-3, atol=1e-4)  # type: ignore[operator]
