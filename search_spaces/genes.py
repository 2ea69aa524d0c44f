"""Genes, and the two ways to walk through them: from genes to values (decode) and from values to genes (encode).

A space is one function that asks for one value after another, naming what is allowed at that place. The same function
decodes when a ``GeneReader`` answers from genes and encodes when a ``GeneWriter`` answers from known values and notes
the genes that lead to them; so the two cannot drift apart.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from search_spaces.errors import RequestError

Value = int | str
Genes = dict[str, float | int | str]


@dataclass(frozen=True)
class Gene:
    """One searchable choice.

    A width has no ``choices``: it is a position in [0, 1] inside the interval that is allowed where it stands. Every
    other gene takes one of its choices; ``ordered`` ones are numbers.
    """

    name: str
    choices: tuple[Value, ...] = ()

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


@dataclass(frozen=True)
class Widths:
    """Widths from ``low`` to ``high`` in steps of ``step``."""

    low: int
    high: int
    step: int

    def up(self, value: float) -> int:
        """Return the smallest width of the grid that is at least ``value`` (never below ``low``)."""
        return self.low + max(0, math.ceil((value - self.low) / self.step)) * self.step

    def down(self, value: float) -> int:
        """Return the largest width of the grid that is at most ``value`` (never below ``low`` nor above ``high``)."""
        return self.low + max(0, math.floor((min(value, self.high) - self.low) / self.step)) * self.step

    def between(self, first: int, last: int, index: int, count: int) -> int:
        """Return module ``index``'s width of ``count``: on a line from first to last, rounded half up to the step."""
        if count == 1:
            return first
        return first + math.floor((last - first) * index / ((count - 1) * self.step) + 0.5) * self.step


class OutsideSpace(RequestError):
    """An architecture does not lie in a space; the sentence says at which gene."""


class Pick(Protocol):
    """Answers with the value of a gene."""

    def choice(self, name: str, allowed: Sequence[Value]) -> Value:
        """Return one of the allowed values."""

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return a width of the grid from ``low`` (rounded up) to ``high`` (rounded down; at least the lowest)."""


def _interval(widths: Widths, low: float, high: float) -> tuple[int, int]:
    """Lowest allowed width, and how many are allowed. What must not be too narrow goes before what is too wide."""
    lowest = widths.up(low)
    highest = max(lowest, widths.down(high))
    return lowest, (highest - lowest) // widths.step + 1


class GeneReader:
    """Decodes: takes values from genes. Total: every value in the box has a meaning."""

    def __init__(self, genes: Mapping[str, float | int | str]) -> None:
        self.genes = genes

    def choice(self, name: str, allowed: Sequence[Value]) -> Value:
        """Return the gene's value, or the only allowed one."""
        return allowed[0] if len(allowed) == 1 else self.genes[name]  # type: ignore[return-value]

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return the width at the gene's position."""
        lowest, count = _interval(widths, low, high)
        position = min(int(float(self.genes[name]) * count), count - 1)
        return lowest + max(position, 0) * widths.step


class GeneWriter:
    """Encodes: takes known values and notes the genes that decode to them; raises OutsideSpace where none does."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.genes: Genes = {}

    def choice(self, name: str, allowed: Sequence[Value]) -> Value:
        """Note and return the known value."""
        value = self.values[name]
        if value not in allowed:
            raise OutsideSpace(f"{name} is {value}: this space allows {', '.join(map(str, allowed))}")
        if len(allowed) > 1:
            self.genes[name] = value
        return value

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Note the middle of the known width's share of the interval and return the width."""
        lowest, count = _interval(widths, low, high)
        value = int(self.values[name])
        index, rest = divmod(value - lowest, widths.step)
        if rest or not 0 <= index < count:
            highest = lowest + (count - 1) * widths.step
            raise OutsideSpace(
                f"{name} is {value}: this space allows {lowest} to {highest} in steps of {widths.step} there"
            )
        self.genes[name] = (index + 0.5) / count
        return value
