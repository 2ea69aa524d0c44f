"""The networks with which exported files are compared: built from the graph, with the weights that leave."""

from typing import TYPE_CHECKING

import torch

from results.export.content import Content
from results.export.weights import fitting_graph, graphs_of, head_sides
from trainers.network import build

if TYPE_CHECKING:
    from torch import nn

    from trainers.network import Network


def reference(content: Content) -> "Network":
    """Return the network in evaluation mode without auxiliary heads: every operation by itself, logits, float32.

    Its weights are the content's, which are checked (RequestError), or where there are none drawn with random seed 0.
    """
    state = content.state
    if state is not None:
        fitting_graph(*graphs_of(content), state)
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    network = build(graph, initialise=0, joined=False)
    if state is not None:
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith("aux")})
    return network.eval()


def to_train(content: Content) -> "Network":
    """Return the network with the auxiliary heads that go with its weights; all of them where there are no weights.

    Without weights the norms differ from channel to channel, as those of a trained network do: fresh ones would hide a
    norm that is missing or in another place.
    """
    architecture, state = content.architecture, content.state
    aux = bool(architecture.aux) and (state is None or any(key.startswith("aux") for key in state))
    sides = head_sides(architecture, content.sides) if aux else content.sides
    graph = architecture.graph(sides, classes=content.classes, channels=content.channels, aux=aux)
    network = build(graph, initialise=0, joined=False)
    if state is not None:
        network.load_state_dict(dict(state))
    else:
        _enliven(network)
    return network


@torch.no_grad()
def _enliven(network: "nn.Module") -> None:
    generator = torch.Generator().manual_seed(0)
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        if ".norm." in name and values.is_floating_point():
            values.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("bias"):
            values.uniform_(-0.5, 0.5, generator=generator)


def trunk_of(trained: "Network", content: Content) -> "Network":
    """Return the network without auxiliary heads in evaluation mode, with the weights of one that has them."""
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    network = build(graph, initialise=0, joined=False)
    wanted = network.state_dict()
    network.load_state_dict({key: value for key, value in trained.state_dict().items() if key in wanted})
    return network.eval()
