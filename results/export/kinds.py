"""The kinds of modules in an architecture: one class in the exported file for all modules of one structure.

Two modules are of one kind if their towers have the same operations up to the widths of their convolutions, which
become arguments of the class.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, product
from string import ascii_uppercase

from results.export.source import Block, Call, Source, Widths, chain, convs, lines, pool_call
from search_spaces.architecture import (
    Architecture,
    Aux,
    HeadStep,
    Module,
    Split,
    StemStep,
    Step,
    Tower,
    modules,
    stem_modules,
)
from search_spaces.graph import Graph
from search_spaces.operations import AdaptivePool, Conv, Linear, Pool

Structure = tuple[Tower, ...]


@dataclass(frozen=True)
class Kind:
    """A class of the exported file, and what is made from it: ``stem.3``, ``stage1.module1``, ``stage2.reduction``."""

    name: str
    structure: Structure
    places: tuple[str, ...]

    @property
    def towers(self) -> list[tuple[str, int]]:
        """The constructor's arguments, one for each tower that has convolutions, and how many widths each holds."""
        counted = [(f"tower{t}", len(list(convs(tower)))) for t, tower in enumerate(self.structure, 1)]
        return [(name, widths) for name, widths in counted if widths]


@dataclass(frozen=True)
class Channels:
    """A number of channels: ``fixed``, and ``inputs`` times those of the picture where only pools came between."""

    fixed: int
    inputs: int = 0

    def __add__(self, other: "Channels") -> "Channels":
        return Channels(self.fixed + other.fixed, self.inputs + other.inputs)

    @property
    def text(self) -> str:
        """An expression over ``in_channels``."""
        times = f"{self.inputs} * in_channels" if self.inputs > 1 else "in_channels"
        if not self.inputs:
            return str(self.fixed)
        return f"{times} + {self.fixed}" if self.fixed else times


def structure(towers: Iterable[Tower]) -> Structure:
    """Return towers with every width set to 1, so that towers of one structure compare equal."""
    return tuple(tuple(_plain(step) for step in tower) for tower in towers)


def _plain(step: Step) -> Step:
    if isinstance(step, Split):
        return Split(tuple(replace(conv, width=1) for conv in step.branches))
    return replace(step, width=1) if isinstance(step, Conv) else step


@dataclass(frozen=True)
class AuxKind:
    """A class of auxiliary heads. ``grid`` reaches the first hidden linear layer, (1, 1) where there is none."""

    name: str
    steps: tuple[HeadStep, ...]
    grid: tuple[int, int]
    heads: tuple[int, ...]

    @property
    def hidden(self) -> bool:
        """Whether the steps hold a linear layer."""
        return any(isinstance(step, Linear) for step in self.steps)


def widths(steps: Iterable[Step | StemStep | HeadStep]) -> tuple[int, ...]:
    """Return the widths of all convolutions in order."""
    return tuple(conv.width for conv in convs(steps))


def channels_after(steps: Iterable[Step | StemStep], channels: Channels) -> Channels:
    """Return the channels that leave a tower or a stem which ``channels`` enter."""
    for step in steps:
        if isinstance(step, Module):
            channels = sum((channels_after(tower, channels) for tower in step.towers), Channels(0))
        elif isinstance(step, Conv | Split):
            channels = Channels(sum(widths([step])))
    return channels


def kinds(architecture: Architecture) -> list[Kind]:
    """Return the kinds of modules in order of first use: StemA, ..., InceptionA, InceptionB, ... and ReductionA, ..."""
    places: dict[Structure, list[str]] = {}
    for place, module in (*stem_modules(architecture), *modules(architecture)):
        places.setdefault(structure(module.towers), []).append(place)
    names = {"stem": _names("Stem"), "reduction": _names("Reduction"), "module": _names("Inception")}

    def word(place: str) -> str:
        return "stem" if place.startswith("stem") else "reduction" if place.endswith("reduction") else "module"

    return [Kind(next(names[word(found[0])]), towers, tuple(found)) for towers, found in places.items()]


def aux_kinds(architecture: Architecture, graph: Graph) -> list[AuxKind]:
    """Return the kinds of auxiliary heads: AuxHead, or AuxHeadA, AuxHeadB, ... where they differ.

    ``graph`` is laid out with the heads: hidden linear layers have as many weights as its grids need.
    """
    found: dict[tuple[tuple[HeadStep, ...], tuple[int, int]], list[int]] = {}
    for i, aux in enumerate(architecture.aux, 1):
        steps = tuple(replace(step, width=1) if isinstance(step, Conv) else step for step in aux.steps)
        found.setdefault((steps, _hidden_grid(aux, i, graph)), []).append(i)
    names = _names("AuxHead") if len(found) > 1 else iter(["AuxHead"])
    return [
        AuxKind(name, steps, grid, tuple(heads))
        for name, ((steps, grid), heads) in zip(names, found.items(), strict=False)
    ]


def _hidden_grid(aux: Aux, head: int, graph: Graph) -> tuple[int, int]:
    """Return height and width of what the first hidden linear layer of a head reads."""
    for i, step in enumerate(aux.steps):
        if isinstance(step, Linear):
            [shape] = graph[f"aux{head}.{i}"].input_shapes
            return shape.height, shape.width
    return 1, 1


def _names(word: str) -> Iterator[str]:
    """Word A, ..., WordZ, WordAA, ..."""
    for length in count(1):
        for letters in product(ascii_uppercase, repeat=length):
            yield word + "".join(letters)


# -------------------------------------------------------------------------------------------------------- the classes


def class_lines(kind: Kind, block: Block) -> Iterator[str]:
    """Write the class of a kind of module."""
    joins = len(kind.structure) > 1
    yield f"class {kind.name}({'Parallel' if joins else 'nn.Module'}):"
    yield f'    """{_description(kind.places)}"""'
    yield ""
    arguments = ["in_channels: int"] if kind.towers else []
    arguments += [f"{name}: {_annotation(number)}" for name, number in kind.towers]
    yield from lines(Call("def __init__", ("self", *arguments)), 1, " -> None:")
    yield "        super().__init__()"
    for t, tower in enumerate(kind.structure, 1):
        yield from lines(_tower(f"tower{t}", tower, block), 2)
    if not joins:
        yield ""
        yield "    def forward(self, x: Tensor) -> Tensor:"
        yield "        return self.tower1(x)"


def aux_class_lines(kind: AuxKind, block: Block, picture: tuple[int, int]) -> Iterator[str]:
    """Write the class of a kind of auxiliary head; ``picture`` (height, width) gives it its grids."""
    numbers = widths(kind.steps)
    name = "width" if len(numbers) == 1 else "widths"
    calls, reads = chain(block, kind.steps, Widths(name, numbers), grid=kind.grid)
    yield f"class {kind.name}(nn.Sequential):"
    purpose = '    """A classifier beside the trunk: it helps to train the layers before it.'
    if kind.hidden and not any(isinstance(step, AdaptivePool) for step in kind.steps):
        yield purpose
        yield ""
        yield f"    Its first linear layer fits pictures of {picture[0]} x {picture[1]}."
        yield '    """'
    else:
        yield f'{purpose}"""'
    yield ""
    arguments = [f"{name}: {_annotation(len(numbers))}"] if numbers else []
    yield from lines(Call("def __init__", ("self", "in_channels: int", *arguments, "num_classes: int")), 1, " -> None:")
    yield from lines(Call("super().__init__", tuple(calls), spread=True), 2)
    if not kind.hidden:
        yield "        self.pool = nn.AdaptiveAvgPool2d(1)  # runs after the steps above"
        yield "        self.flatten = nn.Flatten()"
    yield f"        self.linear = nn.Linear({reads}, num_classes)"


def module_call(kind: Kind, module: Module, reads: Channels, label: str) -> Call:
    """Write the construction of one module."""
    found = [widths(tower) for tower in module.towers]
    arguments = [argument(tower) for tower in found if tower]
    return Call(kind.name, (reads.text, *arguments) if arguments else (), label)


def argument(numbers: Sequence[int]) -> Source:
    """Write the widths of one tower: ``64``, or ``(48, 64)``."""
    return str(numbers[0]) if len(numbers) == 1 else Call("", tuple(map(str, numbers)))


def _tower(name: str, tower: Tower, block: Block) -> Call:
    calls, _ = chain(block, tower, Widths(name, widths(tower)))
    if len(tower) == 1 and isinstance(tower[0], Pool):
        # Nothing is stored under it, so it needs no place in a sequence.
        return replace(pool_call(tower[0]), label=f"self.{name} = ")
    return Call("nn.Sequential", tuple(calls), f"self.{name} = ", spread=len(calls) > 1)


def _annotation(number: int) -> str:
    return "int" if number == 1 else "tuple[int, ...]"


def _description(places: Sequence[str]) -> str:
    """``Stem: step 3.``, ``Stage 1: modules 1 to 3.``, ``Stage 2: reduction. Stage 3: module 1.``, as much as fits."""
    sentences = []
    for stage, found in groupby((place.split(".") for place in places), key=lambda parts: parts[0]):
        units = [unit for _, unit in found]
        if stage == "stem":
            sentences.append(f"Stem: step{'s' * (len(units) > 1)} {', '.join(units)}.")
            continue
        numbers = [unit.removeprefix("module") for unit in units if unit != "reduction"]
        parts = ["reduction"] * ("reduction" in units)
        if numbers:
            in_a_row = len(numbers) > 2 and int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1
            listed = f"{numbers[0]} to {numbers[-1]}" if in_a_row else ", ".join(numbers)
            parts.append(f"module{'s' * (len(numbers) > 1)} {listed}")
        sentences.append(f"Stage {stage.removeprefix('stage')}: {' and '.join(parts)}.")
    return textwrap.shorten(" ".join(sentences), 78, placeholder=" ...")
