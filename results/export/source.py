"""How an operation is written as PyTorch source, and how a long call is broken into lines as a formatter would."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from search_spaces.architecture import HeadStep, Module, Split, StemStep, Step
from search_spaces.operations import AdaptivePool, Conv, Dropout, Linear, LocalNorm, Pool

LINE = 88  # the default line length of ruff and black
INDENT = 4


@dataclass(frozen=True)
class Call:
    """``name(arguments)``, or a tuple where the name is empty; ``label`` stands before it: ``tower1=``, ``x = ``.

    ``spread`` asks for one argument per line even where all of them would fit into one.
    """

    name: str
    arguments: tuple["Call | str", ...]
    label: str = ""
    spread: bool = False

    @property
    def text(self) -> str:
        """The call on one line."""
        inner = ", ".join(argument if isinstance(argument, str) else argument.text for argument in self.arguments)
        return f"{self.label}{self.name}({inner})"

    @property
    def must_break(self) -> bool:
        """Whether this call, or one inside, is to be spread."""
        return self.spread or any(isinstance(argument, Call) and argument.must_break for argument in self.arguments)


Source = Call | str


def lines(source: Source, depth: int, tail: str = "") -> Iterator[str]:
    """Yield the lines of a call that starts ``depth`` levels in; ``tail`` follows it.

    As formatters do it: on one line if that fits, else all arguments on a line of their own, else one on each line
    with a trailing comma.
    """
    margin, inner = " " * INDENT * depth, " " * INDENT * (depth + 1)
    flat = source if isinstance(source, str) else source.text
    if isinstance(source, str) or not (source.must_break or len(margin + flat + tail) > LINE):
        yield margin + flat + tail
        return
    yield f"{margin}{source.label}{source.name}("
    arguments = flat[len(source.label) + len(source.name) + 1 : -1]
    if not source.must_break and len(inner + arguments) <= LINE:
        yield inner + arguments
    else:
        for argument in source.arguments:
            yield from lines(argument, depth + 1, ",")
    yield f"{margin}){tail}"


def window(sides: tuple[int, int]) -> str:
    """``3`` for a square kernel, ``(1, 7)`` for another."""
    return str(sides[0]) if sides[0] == sides[1] else str(sides)


@dataclass(frozen=True)
class Block:
    """The convolution block of one exported file: only what its architecture needs becomes an argument.

    ``forms`` (norm, bias) and ``activations`` are the values that occur among its convolutions.
    """

    forms: frozenset[tuple[bool, bool]]
    activations: frozenset[bool]

    @classmethod
    def of(cls, convs: Iterable[Conv]) -> "Block":
        """Look at every convolution of an architecture."""
        found = tuple(convs)
        forms = frozenset((conv.norm, conv.bias) for conv in found)
        return cls(forms, frozenset(conv.activation for conv in found))

    @property
    def used(self) -> bool:
        """Whether there are convolutions at all."""
        return bool(self.forms)

    @property
    def norms(self) -> frozenset[bool]:
        """Whether there are convolutions with batch norm, and without."""
        return frozenset(norm for norm, _ in self.forms)

    @property
    def has_norm(self) -> bool:
        """Whether any convolution is followed by batch norm."""
        return True in self.norms

    @property
    def has_act(self) -> bool:
        """Whether any convolution is followed by ReLU."""
        return True in self.activations

    @property
    def mixed_norm(self) -> bool:
        """Whether some convolutions have batch norm and some have none."""
        return len(self.norms) > 1

    @property
    def mixed_bias(self) -> bool:
        """Whether some convolutions have a bias beside their batch norm and some have none."""
        return {(True, True), (True, False)} <= self.forms

    @property
    def bias(self) -> str:
        """The bias of its convolution, as an expression over its arguments."""
        found = {bias for _, bias in self.forms}
        if len(found) == 1:
            return str(found == {True})
        return " or ".join(["bias"] * self.mixed_bias + ["not norm"] * self.mixed_norm)

    @property
    def mixed_act(self) -> bool:
        """Whether some convolutions are linear and some are not."""
        return len(self.activations) > 1

    @property
    def name(self) -> str:
        """``ConvNormAct``, without the parts that no convolution has."""
        return "Conv" + "Norm" * self.has_norm + "Act" * self.has_act

    def call(self, conv: Conv, reads: str, width: str) -> Call:
        """Write one convolution that reads ``reads`` channels and makes ``width``."""
        marks = [f"stride={conv.stride}"] if conv.stride != 1 else []
        if not conv.same:
            marks.append("padding=0")
        if self.mixed_norm and not conv.norm:
            marks.append("norm=False")
        if self.mixed_bias and conv.norm and conv.bias:
            marks.append("bias=True")
        if self.mixed_act and not conv.activation:
            marks.append("act=False")
        return Call(self.name, (reads, width, window(conv.kernel), *marks))


def pool_call(pool: Pool) -> Call:
    """Write one pool with torch's own class."""
    marks = [f"stride={pool.stride}"]
    if pool.padding != (0, 0):
        marks.append(f"padding={window(pool.padding)}")
        if pool.kind == "avg" and not pool.counted:
            marks.append("count_include_pad=False")
    if pool.ceil:
        marks.append("ceil_mode=True")
    return Call("nn.MaxPool2d" if pool.kind == "max" else "nn.AvgPool2d", (window(pool.kernel), *marks))


def convs(steps: Iterable[Step | StemStep | HeadStep]) -> Iterator[Conv]:
    """Yield the convolutions of a tower, a stem or a head in order, those side by side one after another."""
    for step in steps:
        if isinstance(step, Split):
            yield from step.branches
        elif isinstance(step, Module):
            for tower in step.towers:
                yield from convs(tower)
        elif isinstance(step, Conv):
            yield step


@dataclass(frozen=True)
class Widths:
    """How the widths of a tower's convolutions are written: as elements of the argument ``name``, or as numbers."""

    name: str
    numbers: tuple[int, ...]

    def at(self, index: int) -> str:
        """Write one width; an argument that holds a single one is no tuple."""
        if not self.name:
            return str(self.numbers[index])
        return self.name if len(self.numbers) == 1 else f"{self.name}[{index}]"

    def total(self, start: int, end: int) -> str:
        """Write the sum of the widths from ``start`` up to, but not with, ``end``."""
        if not self.name:
            return str(sum(self.numbers[start:end]))
        if end - start > 2:
            return f"sum({self.name}[{start}:{end}])"
        return " + ".join(self.at(index) for index in range(start, end))


def chain(
    block: Block,
    steps: Iterable[Step | LocalNorm | HeadStep],
    widths: Widths,
    reads: str = "in_channels",
    grid: tuple[int, int] = (1, 1),
) -> tuple[list[Source], str]:
    """Write steps that follow one another, the first on ``reads`` channels; return them and the channels at the end.

    ``grid`` is what the first linear layer among them reads.
    """
    calls: list[Source] = []
    done = 0
    for step in steps:
        if isinstance(step, Conv):
            calls.append(block.call(step, reads, widths.at(done)))
            reads, done = widths.at(done), done + 1
        elif isinstance(step, Split):
            branches = [block.call(conv, reads, widths.at(done + b)) for b, conv in enumerate(step.branches)]
            named = [replace(branch, label=f"branch{b}=") for b, branch in enumerate(branches, 1)]
            calls.append(Call("Parallel", tuple(named), spread=True))
            reads, done = widths.total(done, done + len(branches)), done + len(branches)
        elif isinstance(step, Linear):
            calls.append(_hidden_call(step, reads, grid))
            reads, grid = str(step.width), (1, 1)
        else:
            calls.append(_plain_call(step))
    return calls, reads


def _plain_call(step: Pool | LocalNorm | AdaptivePool | Dropout) -> Call:
    """Write an operation without weights; torch's constants of the local normalisation are ours."""
    if isinstance(step, Pool):
        return pool_call(step)
    if isinstance(step, LocalNorm):
        return Call("nn.LocalResponseNorm", (str(step.size),))
    if isinstance(step, AdaptivePool):
        return Call("nn.AdaptiveAvgPool2d", (window(step.grid),))
    return Call("nn.Dropout", (repr(step.probability),))


def _hidden_call(step: Linear, reads: str, grid: tuple[int, int]) -> Call:
    """Write a linear layer in the middle of a head, its weights named as those of other layers."""
    features = reads if grid == (1, 1) else f"{reads} * {grid[0]} * {grid[1]}"
    parts = [Call("nn.Flatten", (), "flatten="), Call("nn.Linear", (features, str(step.width)), "linear=")]
    parts += [Call("nn.ReLU", ("inplace=True",), "act=")] * step.activation
    return Call("chain", tuple(parts))
