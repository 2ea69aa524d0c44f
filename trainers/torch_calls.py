"""The calls of torch that every operation becomes, in bytes, for trainers/memory.py; torch is not imported."""

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from search_spaces.graph import Node
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
from trainers.cpus import onednn_has_bfloat16
from trainers.grouping import unseen

Device = Literal["cpu", "cuda"]
FLOAT, HALF, INDEX = 4, 2, 8  # bytes of float32, bfloat16 and the indices of a max pool


@dataclass(frozen=True)
class Setting:
    """What decides on the bytes besides the graph. ``bfloat16``: autocast, weights stay float32.

    ``dropout``: the recipe's, in place of the architecture's own unless None. ``lent``: the weights are those that a
    training step lends, in the number format of autocast already (trainers/flat.py).
    """

    batch: int
    bfloat16: bool = False
    channels_last: bool = True
    device: Device = "cpu"
    dropout: float | None = None
    lent: bool = False

    @property
    def width(self) -> int:
        """Bytes of one element of an activation."""
        return HALF if self.bfloat16 else FLOAT

    @property
    def unfolds(self) -> bool:
        """Whether a convolution is a product of unfolded columns: of bfloat16 where oneDNN has no code for it."""
        return self.bfloat16 and self.device == "cpu" and not onednn_has_bfloat16()

    @property
    def weight_width(self) -> int:
        """Bytes of one element of a weight as the network holds it."""
        return HALF if self.bfloat16 and self.lent else FLOAT


@dataclass(frozen=True)
class Call:
    """One call of torch, in bytes.

    ``makes``: its output, 0 where it works in place. ``gradient``: of its output in the backward pass. ``keeps``: what
    it keeps for the backward pass, besides its input and output where those are kept. ``forward`` and ``backward``:
    workspace in passing. ``collected``: gradients of parameters, which wait for the end of the backward pass.
    ``views``: its inputs' gradients are parts of its output's. ``passes``: its output's gradient is its input's.
    """

    gradient: int
    makes: int
    keeps_input: bool = False
    keeps_output: bool = False
    keeps: int = 0
    forward: int = 0
    backward: int = 0
    collected: int = 0
    views: bool = False
    passes: bool = False


@singledispatch
def calls(operation: Operation, node: Node, setting: Setting) -> tuple[Call, ...]:
    """Return the calls that an operation becomes in its place: those of its torch_form in trainers/network.py."""
    raise TypeError(f"{type(operation).__name__} has no memory rule: register one in trainers/torch_calls.py")


def _out(node: Node, setting: Setting) -> int:
    return setting.batch * node.shape.elements * setting.width


def _cast(weights: int, setting: Setting) -> int:
    """Weights that autocast converts by themselves: in a training all have been before."""
    return 0 if setting.lent or not setting.bfloat16 else HALF * weights


def _in(node: Node, setting: Setting) -> int:
    return setting.batch * sum(shape.elements for shape in node.input_shapes) * setting.width


@calls.register
def _(operation: Input, node: Node, setting: Setting) -> tuple[Call, ...]:
    pictures = FLOAT * setting.batch * node.shape.elements
    return (Call(gradient=0, makes=pictures, keeps_output=True, keeps=pictures // 2 if setting.bfloat16 else 0),)


@calls.register
def _(operation: Conv, node: Node, setting: Setting) -> tuple[Call, ...]:
    return convolution((node,), setting), *finish(node, setting)


def convolution(nodes: tuple[Node, ...], setting: Setting) -> Call:
    """Return the convolution of a node, or that of several 1x1 convolutions as one: ``convolve``."""
    operation, read = nodes[0].operation, nodes[0].input_shapes[0]
    assert isinstance(operation, Conv)
    width, out = sum(node.shape.channels for node in nodes), sum(_out(node, setting) for node in nodes)
    rows, columns = unseen(operation.padding, (read.height, read.width)) if operation.stride == 1 else (0, 0)
    kernel = (operation.kernel[0] - 2 * rows, operation.kernel[1] - 2 * columns)
    whole, seen = (read.channels * width * height * across for height, across in (operation.kernel, kernel))
    dense = setting.channels_last or (read.height, read.width) == (1, 1)
    product = setting.device == "cpu" and operation.stride == 1 and kernel == (1, 1) and dense
    used = seen * setting.width
    # A row of weights, or those of several nodes, come together in a copy.
    copied = seen * setting.weight_width if len(nodes) > 1 or (product and seen < whole) else 0
    forward, backward = 0, 0
    if setting.unfolds and kernel != (1, 1):  # a column of what it sees for each element of the output
        height, across = nodes[0].shape[1:]
        forward = used // width * setting.batch * height * across
        backward = max(2 * used, forward)
    elif setting.device == "cpu" and not product:  # oneDNN's order of the weights, and of what is not channels-last
        forward, backward = used, 2 * used
        if not dense:
            reordered = _in(nodes[0], setting) + out
            forward = max(used + _in(nodes[0], setting), out)
            backward = 2 * used + reordered if setting.bfloat16 else max(used, reordered)
    backward += 0 if seen == whole else used
    vectors = FLOAT * (2 * operation.norm + operation.bias) * width
    return Call(
        out,
        out,
        keeps_input=True,
        keeps=copied + _cast(seen, setting),
        forward=forward,
        backward=backward,
        collected=whole * setting.width + vectors,
    )


def finish(node: Node, setting: Setting) -> tuple[Call, ...]:
    """Return the norm and the ReLU of a convolution, as far as it has them: ``ConvUnit.finish``."""
    operation, out = node.operation, _out(node, setting)
    assert isinstance(operation, Conv)
    made = []
    if operation.norm:
        # On the CPU the backward pass of a norm makes the gradient of its input twice.
        twice = out if setting.device == "cpu" else 0
        made.append(Call(out, out, keeps_input=True, keeps=2 * FLOAT * operation.width, backward=twice))
    if operation.activation:
        made.append(Call(out, 0, keeps_output=True))
    return tuple(made)


def part(node: Node, setting: Setting, *, copied: bool) -> Call:
    """Return how a node gets its channels of a convolution of several nodes."""
    out = _out(node, setting)
    return Call(out, out if copied else 0, passes=True)


@calls.register
def _(operation: Pool, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = _out(node, setting)
    indices = INDEX * setting.batch * node.shape.elements if operation.kind == "max" else 0
    return (Call(out, out, keeps_input=True, keeps=indices),)


@calls.register
def _(operation: LocalNorm, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = FLOAT * setting.batch * node.shape.elements
    if not setting.lent:  # the mean squares, and these scaled, while the offset is added
        return (Call(out, out, forward=2 * out),)
    # The padded squares, their scaled sums and the powers of these.
    return (Call(out, out, keeps_input=True, keeps=3 * out, backward=3 * out),)


@calls.register
def _(operation: Concat, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = _out(node, setting)
    return (Call(out, out, views=True),)


@calls.register
def _(operation: GlobalPool, node: Node, setting: Setting) -> tuple[Call, ...]:
    return (Call(_out(node, setting), _out(node, setting)),)


@calls.register
def _(operation: AdaptivePool, node: Node, setting: Setting) -> tuple[Call, ...]:
    return (Call(_out(node, setting), _out(node, setting), keeps_input=True),)


@calls.register
def _(operation: Dropout, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = _out(node, setting)
    drops = (operation.probability if setting.dropout is None else setting.dropout) > 0
    mask = out if setting.device == "cpu" else setting.batch * node.shape.elements
    return (Call(out, out, keeps=mask) if drops else Call(out, 0),)


@calls.register
def _(operation: Linear, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = _out(node, setting)
    weights = node.input_shapes[0].elements * operation.width
    flattened = _in(node, setting) if node.input_shapes[0][1:] != (1, 1) else 0
    collected = weights * setting.width + FLOAT * operation.width
    made = Call(out, out, keeps_input=True, keeps=flattened + _cast(weights, setting), collected=collected)
    return (made, Call(out, 0, keeps_output=True)) if operation.activation else (made,)
