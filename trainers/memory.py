"""How much memory a training step and an inference need, from the graph alone: nothing is built, torch is not imported.

Every operation is written down as the calls of torch that it becomes (``calls``), each with the tensors that it makes,
keeps for its backward pass and uses in passing. A forward and a backward pass are then a line of calls, each tensor is
alive on an interval of it, and the peak is the largest sum of the intervals that overlap. benchmarks/training_memory.py
compares the prediction with what torch's allocator hands out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import accumulate
from typing import Literal

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
from trainers.recipe import Recipe

Device = Literal["cpu", "cuda"]
FLOAT, HALF, INDEX = 4, 2, 8  # bytes of float32, bfloat16 and the indices of a max pool


@dataclass(frozen=True)
class Setting:
    """What decides on the bytes besides the graph. ``bfloat16``: autocast, weights stay float32.

    ``dropout``: the recipe's, in place of the architecture's own unless None.
    """

    batch: int
    bfloat16: bool = False
    channels_last: bool = True
    device: Device = "cpu"
    dropout: float | None = None

    @property
    def width(self) -> int:
        """Bytes of one element of an activation."""
        return HALF if self.bfloat16 else FLOAT


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training holds at its peak, the data set aside.

    ``weights``: parameters and statistics; ``average``: those of the network that follows. ``step``: the most that is
    alive at once in one step besides what stands: activations, their gradients and workspace, or the optimiser's
    temporaries. ``validation``: the same of a validation, 0 where none was asked for. ``building``: the most while the
    training is set up, which counts where batches are tiny and the optimiser keeps nothing.
    """

    weights: int
    gradients: int
    optimizer: int
    average: int
    step: int
    validation: int
    building: int

    @property
    def standing(self) -> int:
        """What is there between steps too."""
        return self.weights + self.gradients + self.optimizer + self.average

    @property
    def peak(self) -> int:
        """The most at any time."""
        return max(self.building, self.standing + max(self.step, self.validation))


def predict_training(
    graph: Graph, recipe: Recipe, *, device: Device = "cpu", validation_batch: int | None = None
) -> TrainingMemory:
    """Predict the memory of a training by a recipe. The graph is the one that is trained, auxiliary heads included.

    ``validation_batch``: pictures at once when validating; a validation is left out of the count without it.
    """
    layout = recipe.channels_last is not False
    setting = Setting(recipe.batch_size, recipe.half_on(device), layout, device, recipe.dropout)
    params = FLOAT * graph.params
    weights = params + FLOAT * _statistics(graph)
    states = 2 if recipe.optimizer == "rmsprop" else int(recipe.momentum > 0)
    # A decayed copy of the gradients, and the roots (RMSProp) or Nesterov's sums (SGD), of all weights together.
    temporaries = int(recipe.weight_decay > 0) + (1 if recipe.optimizer == "rmsprop" else states)
    validation = 0
    if validation_batch is not None:
        validation = _passing(graph, replace(setting, batch=validation_batch), training=False)
    return TrainingMemory(
        weights=weights,
        gradients=params,
        optimizer=states * params,
        average=0 if recipe.average is None else weights,
        step=max(_passing(graph, setting, training=True), temporaries * params),
        validation=validation,
        # Parameters are copied into long tensors (trainers/flat.py), those of the average after all others stand.
        building=3 * params if recipe.average is None else 2 * params + 2 * weights,
    )


def predict_inference(graph: Graph, setting: Setting) -> int:
    """Predict the bytes of an inference at its peak: the graph's weights, the pictures and what is alive at once."""
    return FLOAT * (graph.params + _statistics(graph)) + _passing(graph, setting, training=False)


def _statistics(nodes: Iterable[Node]) -> int:
    """Running means and variances."""
    return sum(2 * node.shape.channels for node in nodes if isinstance(node.operation, Conv) and node.operation.norm)


def _trunk(graph: Graph) -> list[Node]:
    """The nodes that inference runs: those that the logits need."""
    needed = {graph.output}
    for node in reversed(list(graph)):
        if node.name in needed:
            needed.update(node.inputs)
    return [node for node in graph if node.name in needed]


# ------------------------------------------------------------------------------------------- operations as torch calls


@dataclass(frozen=True)
class Call:
    """One call of torch, in bytes.

    ``makes``: its output, 0 where it works in place. ``gradient``: of its output in the backward pass. ``keeps``: what
    it keeps for the backward pass, besides its input and output where those are kept. ``forward`` and ``backward``:
    workspace in passing. ``views``: its inputs' gradients are parts of its output's.
    """

    gradient: int
    makes: int
    keeps_input: bool = False
    keeps_output: bool = False
    keeps: int = 0
    forward: int = 0
    backward: int = 0
    views: bool = False


@singledispatch
def calls(operation: Operation, node: Node, setting: Setting) -> tuple[Call, ...]:
    """Return the calls that an operation becomes in its place: those of its torch_form in trainers/network.py."""
    raise TypeError(f"{type(operation).__name__} has no memory rule: register one in trainers/memory.py")


def _out(node: Node, setting: Setting) -> int:
    return setting.batch * node.shape.elements * setting.width


def _in(node: Node, setting: Setting) -> int:
    return setting.batch * sum(shape.elements for shape in node.input_shapes) * setting.width


@calls.register
def _(operation: Input, node: Node, setting: Setting) -> tuple[Call, ...]:
    pictures = FLOAT * setting.batch * node.shape.elements
    return (Call(gradient=0, makes=pictures, keeps_output=True, keeps=pictures // 2 if setting.bfloat16 else 0),)


@calls.register
def _(operation: Conv, node: Node, setting: Setting) -> tuple[Call, ...]:
    out, read = _out(node, setting), _in(node, setting)
    weight = (operation.params(node.input_shapes) - (2 * operation.norm + operation.bias) * operation.width) * FLOAT
    cast = weight // 2 if setting.bfloat16 else 0  # the weights that autocast computes with
    used = cast or weight
    product = not operation.spatial and operation.stride == 1 and setting.channels_last
    forward, backward = 0, used + (weight if cast else 0)  # the gradient of the weights, before it is added
    if setting.device == "cpu" and not product:
        forward, backward = used, backward + 2 * used  # oneDNN's own order of the weights
        if not setting.channels_last:
            forward, backward = max(forward + read, out), backward + read + out
    made = [Call(out, out, keeps_input=True, keeps=cast, forward=forward, backward=backward)]
    if operation.norm:
        # On the CPU the backward pass of a norm makes the gradient of its input twice.
        twice = out if setting.device == "cpu" else 0
        made.append(Call(out, out, keeps_input=True, keeps=2 * FLOAT * operation.width, backward=twice))
    if operation.activation:
        made.append(Call(out, 0, keeps_output=True))
    return tuple(made)


@calls.register
def _(operation: Pool, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = _out(node, setting)
    indices = INDEX * setting.batch * node.shape.elements if operation.kind == "max" else 0
    return (Call(out, out, keeps_input=True, keeps=indices),)


@calls.register
def _(operation: LocalNorm, node: Node, setting: Setting) -> tuple[Call, ...]:
    out = FLOAT * setting.batch * node.shape.elements
    # The padded squares, their scaled sums and the powers of these; the sums before scaling live in passing.
    return (Call(out, out, keeps_input=True, keeps=3 * out, forward=2 * out, backward=3 * out),)


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
    weight = FLOAT * node.input_shapes[0].elements * operation.width
    cast = weight // 2 if setting.bfloat16 else 0
    flattened = _in(node, setting) if node.input_shapes[0][1:] != (1, 1) else 0
    made = [
        Call(out, out, keeps_input=True, keeps=cast + flattened, backward=(cast or weight) + (weight if cast else 0))
    ]
    return (*made, Call(out, 0, keeps_output=True)) if operation.activation else tuple(made)


# ------------------------------------------------------------------------------------------------- intervals on a line


@dataclass
class _Tensor:
    """Storage of ``size`` bytes, written by the call ``born`` and read last by the call ``read`` (forward)."""

    size: int
    born: int
    read: int
    kept: int | None = None  # the first call whose backward pass reads it, if any


@dataclass(frozen=True)
class _Placed:
    """A call in its place: which calls it reads, and the storage that it writes."""

    call: Call
    reads: tuple[int, ...]
    tensor: _Tensor


def _line(nodes: Iterable[Node], setting: Setting) -> list[_Placed]:
    """The calls of a forward pass in order."""
    line: list[_Placed] = []
    last: dict[str, int] = {}  # of a node: its last call
    for node in nodes:
        reads = tuple(last[parent] for parent in node.inputs)
        for call in calls(node.operation, node, setting):
            place = len(line)
            for index in reads:
                line[index].tensor.read = max(line[index].tensor.read, place)
            is_new = call.makes or not reads
            tensor = _Tensor(call.makes, place, place) if is_new else line[reads[0]].tensor
            if call.keeps_input:
                for index in reads:
                    _keep(line[index].tensor, place)
            if call.keeps_output:
                _keep(tensor, place)
            line.append(_Placed(call, reads, tensor))
            reads = (place,)
        for parent in node.inputs:  # who calls a node holds what it reads until the node is done
            line[last[parent]].tensor.read = len(line) - 1
        last[node.name] = len(line) - 1
    return line


def _keep(tensor: _Tensor, place: int) -> None:
    tensor.kept = place if tensor.kept is None else min(tensor.kept, place)


def _passing(graph: Graph, setting: Setting, *, training: bool) -> int:
    """The most bytes alive at once in a step or an inference, besides weights and what stands beside them."""
    line = _line(graph if training else _trunk(graph), setting)
    end = 2 * len(line) - 1  # the backward pass of call i has the place end - i
    changes = [0] * (end + 2)

    def alive(born: int, dies: int, size: int) -> None:
        changes[born] += size
        changes[dies + 1] -= size

    first_reader: dict[int, int] = {}  # in the backward pass, that is the last in the forward one
    for place, placed in enumerate(line):
        for index in placed.reads:
            first_reader[index] = place
    for place, placed in enumerate(line):
        call, tensor = placed.call, placed.tensor
        back = end - place
        alive(place, place, call.forward)
        if tensor.born == place:
            dies = end - tensor.kept if training and tensor.kept is not None else tensor.read
            alive(
                place, dies if placed.reads else max(dies, len(line) - 1), tensor.size
            )  # who calls holds the pictures
        if not training:
            alive(place, place, call.keeps)
            continue
        alive(place, back, call.keeps)
        alive(back, back, call.backward)
        reader = first_reader.get(place)
        if reader is None or not line[reader].call.views:
            alive(end - (len(line) - 1 if reader is None else reader), back, call.gradient)
        for index in placed.reads:  # a gradient that is added to another lives in passing
            if first_reader[index] != place and not call.views:
                alive(back, back, line[index].call.gradient)
        if call.views and placed.reads:  # those who read the parts come after it in the backward pass
            alive(back, end - min(placed.reads), call.gradient)
    return max(accumulate(changes))


# ------------------------------------------------------------------------------------------------------ when it ran out

_SAID = (
    "can't allocate memory",  # torch's allocator on CPUs
    "out of memory",  # CUDA's and oneDNN's
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, which torch says with several classes and sentences."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's own class
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


def size_text(count: float) -> str:
    """Bytes as people read them: ``3.1 GiB``, ``64.0 MiB``."""
    for size, unit in ((1024**3, "GiB"), (1024**2, "MiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.1f} KiB"
