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
from search_spaces.architecture import Architecture, Module, Split, Step, Tower, modules
from search_spaces.operations import Conv, Pool

Structure = tuple[Tower, ...]


@dataclass(frozen=True)
class Kind:
    """A class of the exported file, and the units that are made from it: ``stage1.module1``, ``stage2.reduction``."""

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


def widths(steps: Iterable[Step]) -> tuple[int, ...]:
    """Return the widths of all convolutions in order."""
    return tuple(conv.width for conv in convs(steps))


def channels_after(steps: Iterable[Step], channels: Channels) -> Channels:
    """Return the channels that leave a tower which ``channels`` enter."""
    for step in steps:
        if not isinstance(step, Pool):
            channels = Channels(sum(widths([step])))
    return channels


def kinds(architecture: Architecture) -> list[Kind]:
    """Return the kinds of modules in order of first use: InceptionA, InceptionB, ... and ReductionA, ..."""
    places: dict[Structure, list[str]] = {}
    for place, module in modules(architecture):
        places.setdefault(structure(module.towers), []).append(place)
    names = {"reduction": _names("Reduction"), "module": _names("Inception")}
    return [
        Kind(next(names["reduction" if found[0].endswith("reduction") else "module"]), towers, tuple(found))
        for towers, found in places.items()
    ]


def aux_kinds(architecture: Architecture) -> list[Kind]:
    """Return the kinds of auxiliary heads: AuxHead, or AuxHeadA, AuxHeadB, ... where they differ."""
    places: dict[Structure, list[str]] = {}
    for i, aux in enumerate(architecture.aux, 1):
        places.setdefault(structure([aux.steps]), []).append(f"aux{i}")
    names = _names("AuxHead") if len(places) > 1 else iter(["AuxHead"])
    return [Kind(name, steps, tuple(found)) for name, (steps, found) in zip(names, places.items(), strict=False)]


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


def aux_class_lines(kind: Kind, block: Block) -> Iterator[str]:
    """Write the class of a kind of auxiliary head."""
    [steps] = kind.structure
    numbers = widths(steps)
    name = "width" if len(numbers) == 1 else "widths"
    calls, reads = chain(block, steps, Widths(name, numbers))
    yield f"class {kind.name}(nn.Sequential):"
    yield '    """A classifier beside the trunk: it helps to train the layers before it."""'
    yield ""
    arguments = [f"{name}: {_annotation(len(numbers))}"] if numbers else []
    yield from lines(Call("def __init__", ("self", "in_channels: int", *arguments, "num_classes: int")), 1, " -> None:")
    yield from lines(Call("super().__init__", tuple(calls), spread=True), 2)
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
    """``Stage 1: modules 1 to 3.``, or ``Stage 2: reduction. Stage 3: module 1.``, as much as fits."""
    sentences = []
    for stage, found in groupby((place.split(".") for place in places), key=lambda parts: parts[0]):
        units = [unit for _, unit in found]
        numbers = [unit.removeprefix("module") for unit in units if unit != "reduction"]
        parts = ["reduction"] * ("reduction" in units)
        if numbers:
            in_a_row = len(numbers) > 2 and int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1
            listed = f"{numbers[0]} to {numbers[-1]}" if in_a_row else ", ".join(numbers)
            parts.append(f"module{'s' * (len(numbers) > 1)} {listed}")
        sentences.append(f"Stage {stage.removeprefix('stage')}: {' and '.join(parts)}.")
    return textwrap.shorten(" ".join(sentences), 78, placeholder=" ...")
