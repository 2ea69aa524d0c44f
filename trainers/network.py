"""From a graph to a torch network: one torch form per operation, run in the graph's order.

State-dict keys are the dotted node names of the graph followed by the part, and stay what they are:
``<node>.conv.weight``, ``<node>.conv.bias`` (where it has one), ``<node>.norm.weight | bias | running_mean |
running_var | num_batches_tracked`` and ``<node>.linear.weight | bias``; ``stage2.module1.tower3.0.conv.weight`` say.
"""

import math
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.graph import Graph, Node
from search_spaces.operations import (
    AdaptivePool,
    Concat,
    Conv,
    Dropout,
    GlobalPool,
    Input,
    Linear,
    LocalNorm,
    Operation,
    Pool,
)
from trainers.conv_unit import ConvUnit
from trainers.plan import plan, run

# ------------------------------------------------------------------------------------------------ operations in torch


class LinearUnit(nn.Module):
    """A fully connected layer on the flattened input, and its ReLU: (N, C, H, W) or (N, C) -> (N, width)."""

    def __init__(self, features: int, operation: Linear) -> None:
        super().__init__()
        self.linear = nn.Linear(features, operation.width)
        self.activation = operation.activation

    def forward(self, x: Tensor) -> Tensor:
        """Flatten, multiply, rectify."""
        x = self.linear(x.flatten(1))
        return F.relu_(x) if self.activation else x


class Mean(nn.Module):
    """The mean over the whole grid: (N, C, H, W) -> (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average height and width away."""
        return x.mean((2, 3), keepdim=True)


class Join(nn.Module):
    """Joins tensors along the channels."""

    def forward(self, *parts: Tensor) -> Tensor:
        """Concatenate in order."""
        return torch.cat(parts, 1)


@singledispatch
def torch_form(operation: Operation, node: Node, norm_eps: float) -> nn.Module:
    """Return the torch module of one operation in its place. The only place that knows how operations look in torch."""
    raise TypeError(f"{type(operation).__name__} has no torch form: register one in trainers/network.py")


@torch_form.register
def _(operation: Input, node: Node, norm_eps: float) -> nn.Module:
    return nn.Identity()


@torch_form.register
def _(operation: Conv, node: Node, norm_eps: float) -> nn.Module:
    return ConvUnit(operation, node.input_shapes[0].channels, norm_eps)


@torch_form.register
def _(operation: Pool, node: Node, norm_eps: float) -> nn.Module:
    kernel, stride, padding, ceil = operation.kernel, operation.stride, operation.padding, operation.ceil
    if operation.kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=operation.counted)


@torch_form.register
def _(operation: LocalNorm, node: Node, norm_eps: float) -> nn.Module:
    return nn.LocalResponseNorm(operation.size, operation.alpha, operation.beta, operation.k)


@torch_form.register
def _(operation: AdaptivePool, node: Node, norm_eps: float) -> nn.Module:
    return nn.AdaptiveAvgPool2d(operation.grid)


@torch_form.register
def _(operation: Concat, node: Node, norm_eps: float) -> nn.Module:
    return Join()


@torch_form.register
def _(operation: GlobalPool, node: Node, norm_eps: float) -> nn.Module:
    return Mean()


@torch_form.register
def _(operation: Dropout, node: Node, norm_eps: float) -> nn.Module:
    return nn.Dropout(operation.probability)


@torch_form.register
def _(operation: Linear, node: Node, norm_eps: float) -> nn.Module:
    return LinearUnit(node.input_shapes[0].elements, operation)


# --------------------------------------------------------------------------------------------------------- the network


class Network(nn.Module):
    """A graph as a torch module: (N, C, H, W) -> logits (N, classes).

    In evaluation mode it gives the logits and skips the auxiliary heads. In training mode it gives
    ``(logits, (aux logits, ...))`` if the graph has auxiliary heads, else the logits. Use ``build`` to get one with
    reproducible weights. ``joined`` False runs every node by itself and as written, for those who compare roundings.
    """

    def __init__(self, graph: Graph, *, joined: bool = True) -> None:
        super().__init__()
        self.graph = graph
        modules: dict[str, nn.Module] = {}
        for node in graph:
            modules[node.name] = torch_form(node.operation, node, graph.norm_eps)
            _place(self, node.name, modules[node.name])
            if isinstance(unit := modules[node.name], ConvUnit):
                unit.whole = not joined
        self._trunk = plan(graph, modules, (graph.output,), joined=joined)
        self._whole = plan(graph, modules, (graph.output, *graph.aux_outputs), joined=joined)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor | tuple[Tensor, ...]]:
        """Run the graph: logits; in training (logits, auxiliary logits), a tuple of the latter for several heads."""
        outputs = run(self._whole if self.training else self._trunk, x)
        if self.training and len(outputs) > 1:
            return outputs[0], outputs[1] if len(outputs) == 2 else tuple(outputs[1:])
        return outputs[0]


def _place(root: nn.Module, name: str, module: nn.Module) -> None:
    """Register a module under its dotted name, with plain containers along the path."""
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)


def endpoints(network: Network, x: Tensor) -> dict[str, Tensor]:
    """Return the output of every step of the stem and the head, and of every module, reduction and auxiliary head.

    Keys are ``stem.0``, ``stage1.module1``, ``stage2.reduction``, ``head.linear``, ``aux1``; values (N, C, H, W), or
    (N, classes) after a linear layer. The network runs in the mode it is in, auxiliary heads included.
    """
    graph = network.graph
    last: dict[str, str] = {}  # a unit's last node is its output, and so is that of a module in the stem
    for node in graph:
        if not isinstance(node.operation, Input):
            step = ".".join(node.name.split(".")[:2])
            last[step if node.unit in ("stem", "head") else node.unit] = node.name
    modules = {node.name: network.get_submodule(node.name) for node in graph}
    return dict(zip(last, run(plan(graph, modules, last.values(), joined=False), x), strict=True))


# ----------------------------------------------------------------------------------------------------- initial weights


def build(
    graph: Graph,
    *,
    initialise: int | torch.Generator,
    device: torch.device | str = "cpu",
    classifier_deviation: float = 0.01,
    joined: bool = True,
) -> Network:
    """Build the network of a graph with weights drawn from ``initialise``, a random seed or a generator on the CPU.

    The draws happen on the CPU in the graph's order, so that they are the same for every device and with or without
    auxiliary heads, and leave torch's global generator alone.
    """
    generator = torch.Generator().manual_seed(initialise) if isinstance(initialise, int) else initialise
    with torch.device("meta"):  # torch's own initial values would be drawn for nothing
        network = Network(graph, joined=joined)
    network.to_empty(device="cpu")
    for node in graph:
        _initialise(network.get_submodule(node.name), node, generator, classifier_deviation)
    return network.to(device)


@torch.no_grad()
def _initialise(module: nn.Module, node: Node, generator: torch.Generator, classifier: float) -> None:
    """Fill one node's parameters: weights as published for Inception-v3 (1512.00567's released code), biases zero.

    The publication draws from a normal distribution of deviation 0.1, cut at two deviations; in an auxiliary head 0.01
    for the spatial convolution and 0.001 for the linear layer, so that a fresh head hardly disturbs the trunk. The
    ``classifier`` has a deviation of its own (trainers/recipe.py says why).
    torchvision's ``trunc_normal_(std=0.1, a=-2, b=2)`` cuts at 20 deviations, which is not what the publication does.
    A convolution without norm and a hidden linear layer have nothing that absorbs a scale: they take sqrt(2 / fan in)
    instead (1502.01852).
    """
    auxiliary = node.unit.startswith("aux")
    if isinstance(module, ConvUnit):
        fan_in = module.conv.weight[0].numel()
        published = 0.01 if auxiliary and module.conv.kernel_size != (1, 1) else 0.1
        scale = (2 / fan_in) ** 0.5 if module.norm is None else published
        _truncated_normal(module.conv.weight, scale, generator)
        if module.conv.bias is not None:
            module.conv.bias.zero_()
        if module.norm is not None:
            module.norm.reset_parameters()
    elif isinstance(module, LinearUnit):
        hidden = not node.name.endswith(".linear")
        scale = (2 / module.linear.in_features) ** 0.5 if hidden else 0.001 if auxiliary else classifier
        _truncated_normal(module.linear.weight, scale, generator)
        module.linear.bias.zero_()


def _truncated_normal(weight: Tensor, scale: float, generator: torch.Generator) -> None:
    """Normal, cut at two deviations, by the inverse of its distribution: an eighth of torch's trunc_normal_ time."""
    weight.uniform_(-math.erf(math.sqrt(2)), math.erf(math.sqrt(2)), generator=generator)
    weight.erfinv_().mul_(scale * math.sqrt(2)).clamp_(-2 * scale, 2 * scale)
