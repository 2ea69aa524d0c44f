"""Genes, and the ways to walk through them: draw, decode (genes to values), encode (values to genes).

A space is one function that asks for one value after another, naming what is allowed at that place. The same function
samples when a ``GeneDrawer`` answers, decodes when a ``GeneReader`` answers from genes, and encodes when a
``GeneWriter`` answers from known values and notes the genes that lead to them; so they cannot drift apart.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from typing import Protocol

from search_spaces.errors import RequestError

Value = int | str
Choice = tuple[str, tuple[Value, ...]]  # a gene's name, and what is allowed
Genes = dict[str, float | int | str]


class Batch(tuple[Choice, ...]):
    """Choices that are made together. The ways to make them have numbers from 0; the last choice turns first."""

    @cached_property
    def size(self) -> int:
        """The number of ways."""
        return math.prod(len(allowed) for _, allowed in self)

    def way(self, number: int) -> tuple[Value, ...]:
        """Return the values of a way, in the order of the choices."""
        values = []
        for _, allowed in reversed(self):
            number, index = divmod(number, len(allowed))
            values.append(allowed[index])
        return tuple(values[::-1])

    def number(self, way: Sequence[Value]) -> int:
        """Return the number of the first way with these values; ValueError if one of them is not allowed."""
        number = 0
        for (_, allowed), value in zip(self, way, strict=True):
            number = number * len(allowed) + allowed.index(value)
        return number


@dataclass(frozen=True)
class Gene:
    """One searchable choice.

    A width has no ``choices``: it is a position in [0, 1] inside the interval that is allowed where it stands. Every
    other gene takes one of its choices; ``ordered`` ones are numbers. ``widths`` are those that a width may take.
    """

    name: str
    choices: tuple[Value, ...] = ()
    widths: "Widths | None" = None

    @property
    def is_width(self) -> bool:
        """Whether the gene is a position in [0, 1]."""
        return not self.choices

    @property
    def ordered(self) -> bool:
        """Whether the choices are consecutive integers."""
        low = self.choices[0] if self.choices else None
        return isinstance(low, int) and list(self.choices) == list(range(low, low + len(self.choices)))

    def sample(self, random_source: random.Random) -> float | int | str:
        """Draw uniformly."""
        return random_source.choice(self.choices) if self.choices else random_source.random()


@dataclass(frozen=True, slots=True)
class Widths:
    """Widths from ``low`` to ``high`` in steps of ``step``."""

    low: int
    high: int
    step: int

    def down(self, value: float) -> int:
        """Return the largest width of the grid that is at most ``value`` (never below ``low`` nor above ``high``)."""
        if value >= self.high:
            return self.high
        return self.low + max(0, (int(value) - self.low) // self.step) * self.step

    def up(self, value: float) -> int:
        """Return the smallest width of the grid that is at least ``value`` (never below ``low`` nor above ``high``)."""
        return self.interval(value, math.inf)[0]

    def interval(self, low: float, high: float) -> tuple[int, int]:
        """Lowest allowed width, and how many are allowed. What must not be too narrow goes before what is too wide."""
        lowest, step = self.low, self.step
        if low > lowest:
            lowest = min(self.high, lowest + (ceil(low - lowest) + step - 1) // step * step)
        return lowest, max(1, (int(min(high, self.high)) - lowest) // step + 1)


@lru_cache(maxsize=1 << 16)
def schedule(first: int, last: int, step: int, count: int) -> tuple[int, ...]:
    """Return ``count`` widths on a line from first to last, each rounded half up to the step."""
    if count == 1:
        return (first,)
    return tuple(
        first + math.floor((last - first) * index / ((count - 1) * step) + 0.5) * step for index in range(count)
    )


class OutsideSpace(RequestError):
    """An architecture does not lie in a space; the sentence says at which gene."""


class Pick(Protocol):
    """Answers with the values of genes."""

    def way(self, batch: Batch) -> int:
        """Return the number of one of the ways to make choices together."""

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return a width of the grid from ``low`` (rounded up) to ``high`` (rounded down; at least the lowest)."""


class GeneDrawer:
    """Samples: draws every value uniformly among those allowed."""

    def __init__(self, random_source: random.Random) -> None:
        self.random = random_source.random

    def way(self, batch: Batch) -> int:
        """Draw one of the ways."""
        return int(self.random() * batch.size)

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Draw a width of the interval; written out, because searches draw dozens for every architecture."""
        lowest, highest, step = widths.low, widths.high, widths.step
        if low > lowest:
            lowest += (ceil(low - lowest) + step - 1) // step * step
            if lowest >= highest:
                return highest
        if high < highest:
            highest = int(high)
        count = (highest - lowest) // step + 1
        return lowest + int(self.random() * count) * step if count > 1 else lowest


class GeneReader:
    """Decodes: takes values from genes. Total: every value in the box has a meaning."""

    def __init__(self, genes: Mapping[str, float | int | str]) -> None:
        self.genes = genes

    def way(self, batch: Batch) -> int:
        """Return the way with the genes' values; a choice of one value is no gene."""
        return batch.number([allowed[0] if len(allowed) == 1 else self.genes[name] for name, allowed in batch])  # type: ignore[misc]

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return the width at the gene's position."""
        lowest, count = widths.interval(low, high)
        index = int(float(self.genes[name]) * count)
        return lowest + (index if index < count else count - 1) * widths.step


class GeneWriter:
    """Encodes: takes known values and notes the genes that decode to them; raises OutsideSpace where none does."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.genes: Genes = {}

    def way(self, batch: Batch) -> int:
        """Note the known values and return their way."""
        for name, allowed in batch:
            value = self.values[name]
            if value not in allowed:
                raise OutsideSpace(f"{name} is {value}: this space allows {', '.join(map(str, allowed))}")
            if len(allowed) > 1:
                self.genes[name] = value
        return batch.number([self.values[name] for name, _ in batch])

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Note the middle of the known width's share of the interval and return the width."""
        lowest, count = widths.interval(low, high)
        value = int(self.values[name])
        index, rest = divmod(value - lowest, widths.step)
        if rest or not 0 <= index < count:
            highest = lowest + (count - 1) * widths.step
            raise OutsideSpace(
                f"{name} is {value}: this space allows {lowest} to {highest} in steps of {widths.step} there"
            )
        self.genes[name] = (index + 0.5) / count
        return value
