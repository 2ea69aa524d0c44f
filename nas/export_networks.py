"""The networks with which exported files are compared: built from the graph, with the weights that leave."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from results.export.content import Content
from results.export.weights import fitting_graph, graphs_of, head_sides
from search_spaces.graph import Graph
from trainers.network import build, endpoints

if TYPE_CHECKING:
    from trainers.network import Network

SETTLING = 4  # pictures of noise


def reference(content: Content) -> "Network":
    """Return the network in evaluation mode without auxiliary heads: every operation by itself, logits, float32.

    Its weights are the content's, which are checked (RequestError), or where there are none those of ``drawn``.
    """
    state = content.state
    if state is not None:
        fitting_graph(*graphs_of(content), state)
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    if state is None:
        return drawn(graph)
    network = build(graph, initialise=0, joined=False)
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("aux")})
    return network.eval()


def to_train(content: Content) -> "Network":
    """Return the network with the auxiliary heads that go with its weights; all of them where there are no weights."""
    architecture, state = content.architecture, content.state
    aux = bool(architecture.aux) and (state is None or any(key.startswith("aux") for key in state))
    sides = head_sides(architecture, content.sides) if aux else content.sides
    graph = architecture.graph(sides, classes=content.classes, channels=content.channels, aux=aux)
    if state is None:
        return drawn(graph)
    network = build(graph, initialise=0, joined=False)
    network.load_state_dict(dict(state))
    return network


@torch.no_grad()
def drawn(graph: Graph) -> "Network":
    """Return a network in evaluation mode with weights of random seed 0 that behave as those of a trained one.

    Scales and shifts of norms and all biases differ from channel to channel: fresh ones would hide what is missing or
    in another place. Norms divide by the size of what noise brings to them: fresh ones would let values grow with the
    depth, beyond the range of half precision, and those of its variance would enlarge what is rounded. So would
    shifts around zero: in deep networks what float32 rounds came to 1e-4 of the logits, with these to 3e-5 at most.
    """
    network, generator = build(graph, initialise=0, joined=False), torch.Generator().manual_seed(0)
    for name, values in network.named_parameters():
        if name.endswith("norm.weight"):
            values.uniform_(0.25, 0.5, generator=generator)
        elif name.endswith("bias"):
            values.uniform_(-0.25, 0.75, generator=generator)

    def settle(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        size = inputs[0].square().mean((0, 2, 3))
        norm.get_buffer("running_var").copy_(size)
        norm.get_buffer("running_mean").uniform_(-0.5, 0.5, generator=generator).mul_(size.sqrt())

    norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
    channels, height, width = graph.input.shape
    endpoints(network.eval(), torch.randn(SETTLING, channels, height, width, generator=generator))
    for hook in hooks:
        hook.remove()
    return network


def trunk_of(trained: "Network", content: Content) -> "Network":
    """Return the network without auxiliary heads in evaluation mode, with the weights of one that has them."""
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    network = build(graph, initialise=0, joined=False)
    wanted = network.state_dict()
    network.load_state_dict({key: value for key, value in trained.state_dict().items() if key in wanted})
    return network.eval()
