"""How much memory a training step and an inference need, from the graph alone: nothing is built, torch is not imported.

Every operation is written down as the calls of torch that it becomes (trainers/torch_calls.py), each with the tensors
that it makes, keeps for its backward pass and uses in passing; what runs as one is what trainers/grouping.py says. A
forward and a backward pass are then a line of calls, each tensor is alive on an interval of it, and the peak is the
largest sum of the intervals that overlap. benchmarks/training_memory.py compares the prediction with what torch's
allocator hands out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate

from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Linear
from trainers.grouping import Group, grouped
from trainers.recipe import Recipe
from trainers.sizes import ALIGN, BLOCK
from trainers.torch_calls import FLOAT, HALF, INDEX, Call, Device, Setting, calls, convolution, finish, part


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training holds at its peak, the data set aside.

    ``weights``: parameters and statistics; ``casts``: the weights in autocast's number format; ``average``: those of
    the network that follows. ``step``: the most that is alive at once in one step besides what stands: activations,
    gradients on their way and workspace, or the optimiser's temporaries. ``validation``: the same of a validation, 0
    where none was asked for. ``building``: the most while the training is set up, which counts where batches are tiny
    and the optimiser keeps nothing.
    """

    weights: int
    casts: int
    gradients: int
    optimizer: int
    average: int
    step: int
    validation: int
    building: int

    @property
    def standing(self) -> int:
        """What is there between steps too."""
        return self.weights + self.casts + self.gradients + self.optimizer + self.average

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
    weights, others = _long(graph)
    params, longest = FLOAT * (weights + others), FLOAT * max(weights, others)
    statistics = _statistics(graph)
    built = FLOAT * graph.params + statistics
    # The parameters are copied into long ones with gradients (trainers/flat.py), then the average's into some without.
    building = [built + 2 * FLOAT * weights]
    if recipe.average is not None:
        building.append(2 * params + statistics + built + FLOAT * weights)
    states = 2 if recipe.optimizer == "rmsprop" else int(recipe.momentum > 0)
    # RMSProp makes a decayed copy of the gradients, and roots; on a CPU of a block at a time. Fused SGD makes nothing.
    temporaries = (1 + (recipe.weight_decay > 0)) * (longest if device == "cuda" else min(longest, FLOAT * BLOCK))
    validation = 0
    if validation_batch is not None:
        validation = _passing(graph, replace(setting, batch=validation_batch), training=False)
    return TrainingMemory(
        weights=params + statistics,
        casts=HALF * weights if setting.bfloat16 else 0,
        gradients=params,
        optimizer=states * params,
        average=0 if recipe.average is None else params + statistics,
        step=max(_passing(graph, setting, training=True), temporaries if recipe.optimizer == "rmsprop" else 0),
        validation=validation,
        building=max(building),
    )


def predict_inference(graph: Graph, setting: Setting) -> int:
    """Predict the bytes of an inference at its peak: the graph's weights, the pictures and what is alive at once."""
    return FLOAT * graph.params + _statistics(graph) + _passing(graph, setting, training=False)


def _statistics(nodes: Iterable[Node]) -> int:
    """Bytes of running means and variances, and of the count beside them."""
    norms = (node for node in nodes if isinstance(node.operation, Conv) and node.operation.norm)
    return sum(2 * FLOAT * node.shape.channels + INDEX for node in norms)


def _long(nodes: Iterable[Node]) -> tuple[int, int]:
    """Elements of the long tensors of weights, and of norms and biases."""
    weights = others = 0
    for node in nodes:
        vectors = 0
        if isinstance(node.operation, Conv):
            vectors = 2 * node.operation.norm + node.operation.bias
        elif isinstance(node.operation, Linear):
            vectors = 1
        if node.params:
            weights += _aligned(node.params - vectors * node.shape.channels)
            others += vectors * _aligned(node.shape.channels)
    return weights, others


def _aligned(count: int) -> int:
    return -(-count // ALIGN) * ALIGN


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


class _Line:
    """The calls of a forward pass in order."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.placed: list[_Placed] = []
        self.last: dict[str, int] = {}  # of a node: its last call

    def node(self, node: Node, inputs: tuple[str, ...]) -> None:
        """Add a node as it is."""
        reads = tuple(self.last[parent] for parent in inputs)
        self.last[node.name] = self._row(calls(node.operation, node, self.setting), reads)
        self._hold(reads)

    def together(self, group: Group) -> None:
        """Add 1x1 convolutions of one tensor as one, with the pools behind it: ``_Together`` in trainers/plan.py."""
        setting = self.setting
        source = self.last[group.reads[0]]
        joined = self._row((convolution(group.nodes, setting), Call(0, 0)), (source,))
        before: int | None = None
        for node, pool in zip(group.nodes, group.pools, strict=True):
            operation, grid = node.operation, node.shape[1:]
            assert isinstance(operation, Conv)
            in_place = not operation.norm and pool is None
            dense = setting.batch == 1 and (not setting.channels_last or grid == (1, 1))
            copied = in_place or (len(group.nodes) > 1 and not dense)
            own = self._row((part(node, setting, copied=copied),), (joined,))
            if before is not None:  # it has the same name in the program
                self._hold((before,))
            before = own
            moved = () if pool is None else calls(pool.operation, replace(node, input_shapes=(node.shape,)), setting)
            self.last[node.name] = self._row((*moved, *finish(node, setting)), (own,))
        self._hold((source, joined, own))

    def _row(self, row: Iterable[Call], reads: tuple[int, ...]) -> int:
        """Add calls of which each reads the one before; return the last one's place."""
        for call in row:
            place = len(self.placed)
            for index in reads:
                self.placed[index].tensor.read = max(self.placed[index].tensor.read, place)
            is_new = call.makes or not reads
            tensor = _Tensor(call.makes, place, place) if is_new else self.placed[reads[0]].tensor
            if call.keeps_input:
                for index in reads:
                    _keep(self.placed[index].tensor, place)
            if call.keeps_output:
                _keep(tensor, place)
            self.placed.append(_Placed(call, reads, tensor))
            reads = (place,)
        return reads[0]

    def _hold(self, indices: tuple[int, ...]) -> None:
        """Who calls holds what is read until the call is done."""
        for index in indices:
            self.placed[index].tensor.read = len(self.placed) - 1


def _keep(tensor: _Tensor, place: int) -> None:
    tensor.kept = place if tensor.kept is None else min(tensor.kept, place)


def _line(graph: Graph, outputs: Iterable[str], setting: Setting) -> list[_Placed]:
    line = _Line(setting)
    line.node(graph.input, ())
    for group in grouped(graph, outputs):
        if group.alone:
            line.node(group.nodes[0], group.reads)
        else:
            line.together(group)
    return line.placed


def _passing(graph: Graph, setting: Setting, *, training: bool) -> int:
    """The most bytes alive at once in a step or an inference, besides weights and what stands beside them."""
    setting = replace(setting, lent=training)
    line = _line(graph, (graph.output, *(graph.aux_outputs if training else ())), setting)
    end = 2 * len(line) - 1  # the backward pass of call i has the place end - i
    changes = [0] * (end + 3)

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
            # who calls holds the pictures
            alive(place, dies if placed.reads else max(dies, len(line) - 1), tensor.size)
        if not training:
            alive(place, place, call.keeps)
            continue
        alive(place, back, call.keeps)
        alive(back, back, call.backward)
        alive(back, end + 1, call.collected)
        reader = first_reader.get(place)
        if reader is None or not line[reader].call.views:
            dies = end - placed.reads[0] if call.passes else back
            alive(end - (len(line) - 1 if reader is None else reader), dies, call.gradient)
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
