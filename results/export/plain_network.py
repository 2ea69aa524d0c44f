"""A graph as a torch module that exporters trace: one call of torch per operation, exactly as the graph has them.

The network that trains joins convolutions and leaves out what of a kernel sees nothing but padding; a file that is
taken away has the operations that were designed, so that what is counted in it is what the architecture costs, in forms
that ONNX has too. It shares no code with that network, with which it is compared.
Weights have the names that they have in exported files: ``stage2.module1.tower3.0.conv.weight``, ``head.linear.bias``.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from results.export.content import Content, Scaling
from results.export.weights import exported_state
from search_spaces.errors import RequestError
from search_spaces.graph import Graph, Node
from search_spaces.operations import (
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


class PlainConv(nn.Module):
    """A convolution with batch norm and ReLU as far as it has them: (N, C_in, H, W) -> (N, width, H', W')."""

    def __init__(self, operation: Conv, channels: int, norm_eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels, operation.width, operation.kernel, operation.stride, operation.padding, bias=operation.bias
        )
        self.norm = nn.BatchNorm2d(operation.width, eps=norm_eps) if operation.norm else None
        self.activation = operation.activation

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, rectify."""
        x = self.conv(x)
        x = x if self.norm is None else self.norm(x)
        return F.relu(x) if self.activation else x


class PlainLinear(nn.Linear):
    """A fully connected layer on the flattened input: (N, C, H, W) or (N, C) -> (N, width)."""

    def __init__(self, features: int, operation: Linear) -> None:
        super().__init__(features, operation.width)
        self.activation = operation.activation

    def forward(self, x: Tensor) -> Tensor:
        """Flatten, multiply, rectify."""
        x = super().forward(x if x.dim() == 2 else x.flatten(1))
        return F.relu(x) if self.activation else x


class PlainLocalNorm(nn.Module):
    """Local response normalisation as torch computes it, (N, C, H, W), without its reshapes to the batch's size.

    ONNX has an operation for it, which has the window of an even size elsewhere and which onnxruntime refuses then.
    """

    def __init__(self, operation: LocalNorm) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        """Divide by a power of the mean square of neighbouring channels."""
        size, alpha, beta, k = self.operation.size, self.operation.alpha, self.operation.beta, self.operation.k
        # In float32 whatever comes: squares leave the range of float16 soon, and torch has no such pool in bfloat16.
        wide = x if x.dtype == torch.float32 else x.to(torch.float32)
        squares = F.pad((wide * wide).unsqueeze(1), (0, 0, 0, 0, size // 2, (size - 1) // 2))
        means = F.avg_pool3d(squares, (size, 1, 1), stride=1).squeeze(1)
        found = wide / (means * alpha + k) ** beta
        return found if x.dtype == torch.float32 else found.to(x.dtype)


class PlainMean(nn.Module):
    """The mean over the whole grid: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average height and width away."""
        return x.mean((2, 3))


class PlainJoin(nn.Module):
    """Joins tensors along the channels."""

    def forward(self, *parts: Tensor) -> Tensor:
        """Concatenate in order."""
        return torch.cat(parts, 1)


@singledispatch
def plain_form(operation: Operation, node: Node, norm_eps: float) -> nn.Module:
    """Return the torch module that computes one operation of a network without auxiliary heads in evaluation mode."""
    raise TypeError(f"{type(operation).__name__} has no plain form: register one in results/export/plain_network.py")


@plain_form.register(Input)
@plain_form.register(Dropout)
def _(operation: Operation, node: Node, norm_eps: float) -> nn.Module:
    return nn.Identity()


@plain_form.register
def _(operation: Conv, node: Node, norm_eps: float) -> nn.Module:
    return PlainConv(operation, node.input_shapes[0].channels, norm_eps)


@plain_form.register
def _(operation: Pool, node: Node, norm_eps: float) -> nn.Module:
    (kh, kw), (ph, pw), s = operation.kernel, operation.padding, operation.stride
    found, down = (each.grid(node.input_shapes[0]) for each in (operation, replace(operation, ceil=False)))
    rows, columns = (one != other for one, other in zip(found, down, strict=True))
    if rows == columns:
        return _pool(operation, (kh, kw), (s, s), (ph, pw), ceil=rows)
    # Rounded up in one direction alone: one after the other, which gives the same maxima and means.
    return nn.Sequential(
        _pool(operation, (kh, 1), (s, 1), (ph, 0), ceil=rows), _pool(operation, (1, kw), (1, s), (0, pw), ceil=columns)
    )


Pair = tuple[int, int]


def _pool(operation: Pool, kernel: Pair, stride: Pair, padding: Pair, *, ceil: bool) -> nn.Module:
    """Return a pool that torch and ONNX understand alike; ``ceil``: rounding up adds a window in both directions.

    They disagree on windows that reach beyond the padded grid. ONNX also has those that see padding alone, so that
    rounding is down unless it is up in torch too; and what lies beyond counts in its averages, so that nothing is
    counted there, and zeros that count are part of the picture.
    """
    if operation.kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    if not ceil:
        return nn.AvgPool2d(kernel, stride, padding, count_include_pad=operation.counted)
    if not operation.counted:
        return nn.AvgPool2d(kernel, stride, padding, ceil_mode=True, count_include_pad=False)
    rows, columns = padding
    average = nn.AvgPool2d(kernel, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(nn.ZeroPad2d((columns, columns, rows, rows)), average) if any(padding) else average


@plain_form.register
def _(operation: LocalNorm, node: Node, norm_eps: float) -> nn.Module:
    return PlainLocalNorm(operation)


@plain_form.register
def _(operation: Concat, node: Node, norm_eps: float) -> nn.Module:
    return PlainJoin()


@plain_form.register
def _(operation: GlobalPool, node: Node, norm_eps: float) -> nn.Module:
    return PlainMean()


@plain_form.register
def _(operation: Linear, node: Node, norm_eps: float) -> nn.Module:
    return PlainLinear(node.input_shapes[0].elements, operation)


class PlainNetwork(nn.Module):
    """A graph without auxiliary heads in evaluation mode: float32 (N, C, H, W) -> float32 logits (N, classes).

    ``state``: weights as a built network names them; those of auxiliary heads are left out. RequestError where they do
    not fit the graph. ``number_format`` and ``channels_last``: of weights and arithmetic inside, whatever comes in.
    With ``scaling``, pixels from 0 to white go in, and are scaled as (p - mean) / deviation first, in float32.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, Tensor],
        *,
        number_format: torch.dtype = torch.float32,
        channels_last: bool = False,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        trunk = {key: value for key, value in state.items() if not key.startswith("aux")}
        weights = exported_state(graph, graph, trunk)
        with torch.device("meta"):  # initial values would be drawn for nothing
            for node in graph:
                _place(self, node.name, plain_form(node.operation, node, graph.norm_eps))
        self.load_state_dict(weights, assign=True)
        self.to(number_format).requires_grad_(False).eval()
        if channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.graph, self.number_format, self.channels_last = graph, number_format, channels_last
        self.scaled = scaling is not None
        if scaling is not None:
            self.mean = nn.Buffer(torch.tensor(scaling.mean)[:, None, None])
            self.deviation = nn.Buffer(torch.tensor(scaling.deviation)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        """Scale, convert, run the graph in its order, convert back."""
        x = (pictures - self.mean) / self.deviation if self.scaled else pictures
        x = x.to(self.number_format)
        x = x.contiguous(memory_format=torch.channels_last) if self.channels_last else x
        values: dict[str, Tensor] = {self.graph.input.name: x}
        for node in self.graph:
            if node.inputs:
                module = self.get_submodule(node.name)
                values[node.name] = module(*(values[name] for name in node.inputs))
        return values[self.graph.output].to(torch.float32)


def deployed(content: Content, state: Mapping[str, Tensor]) -> PlainNetwork:
    """Return the module of a content as it is to be deployed, int8 excepted: that is made of it in float32.

    ``state``: its weights, as a built network names them. RequestError where they do not fit, or the scaling that is
    wanted inside is not known.
    """
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    deployment = content.deployment
    if deployment.pixels and content.scaling is None:
        raise RequestError(
            "how pictures are scaled is not known for these weights, so that it cannot go into the graph: leave "
            "--pixels out, or export weights of a training that says so"
        )
    number_format = torch.float32 if deployment.precision.startswith("int8") else getattr(torch, deployment.precision)
    scaling = content.scaling if deployment.pixels else None
    return PlainNetwork(
        graph, state, number_format=number_format, channels_last=deployment.channels_last, scaling=scaling
    )


def _place(root: nn.Module, name: str, module: nn.Module) -> None:
    """Register a module under its dotted name, with plain containers along the path."""
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)
