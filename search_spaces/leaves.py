"""The tree of a space's choices: its leaves one after another, and which of them lead to the same architecture.

A space is one function that asks for one value after another (``genes.py``); every walk through it ends at a leaf.
Where the choices of a batch could be made in several ways for the same network, only one of these is a branch of the
tree. What can be told apart at the leaf alone is counted there, by ``copies``.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, cast

from search_spaces.architecture import Architecture
from search_spaces.factorisation import Factorisation, Kernels, kernels
from search_spaces.genes import Batch, Choice, OutsideSpace, Value, Widths
from search_spaces.inception import CHOICES, TOWERS
from search_spaces.inception_values import values
from search_spaces.space import SearchSpace

Leaf = Mapping[str, Value]  # the values that were chosen on the way, by gene
Option = TypeVar("Option")


class Ways:
    """The ways in which the choices of a batch can be made; of those that mean the same the first."""

    def __init__(self) -> None:
        self.known: dict[tuple[Choice, ...], list[tuple[Value, ...]]] = {}

    def of(self, batch: Batch) -> list[tuple[Value, ...]]:
        """Return the values of each way, in the order of the choices."""
        if batch not in self.known:
            same = tuple((name.split(".")[-1], allowed) for name, allowed in batch)  # in every module of a stage
            if same not in self.known:
                different: dict[object, tuple[Value, ...]] = {}
                for way in itertools.product(*(allowed for _, allowed in batch)):
                    different.setdefault(self._meaning([name for name, _ in same], way), way)
                self.known[same] = list(different.values())
            self.known[batch] = self.known[same]
        return self.known[batch]

    def _meaning(self, names: Sequence[str], way: tuple[Value, ...]) -> object:
        """Return what is equal for ways that lead to the same network."""
        match names, way:
            case ["widen", *_], (widen, pool, *chains):
                short, long = _kernels(chains[:3]), _kernels(chains[3:])
                # The first convolution of a tower of one is also its last.
                return (widen if max(len(short), len(long)) > 1 else None, pool, short, long)
            case ["kind", *_], (kind, direct, *chain):
                # A reduction in sequence has neither a short nor a long tower.
                return (kind, direct, _kernels(chain)) if kind == "parallel" else kind
        return way  # a depth, or the choices of the whole network


def _kernels(chain: Sequence[Value]) -> Kernels:
    n, factorisation, repeats = chain
    return kernels(int(n), cast(Factorisation, factorisation), int(repeats))


# ------------------------------------------------------------------------------------------------------- all leaves


class _Odometer:
    """A pick that goes to the next leaf in each walk: the last choice turns first."""

    def __init__(self) -> None:
        self.ways = Ways()
        self.digits: list[int] = []
        self.sizes: list[int] = []
        self.leaf: dict[str, Value] = {}

    def way(self, batch: Batch) -> int:
        """Return the way that it is at."""
        way = self._take(self.ways.of(batch))
        self.leaf.update((name, value) for (name, _), value in zip(batch, way, strict=True))
        return batch.number(way)

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return the width that it is at."""
        self.leaf[name] = width = self._take(allowed_widths(widths, low, high))
        return width

    def _take(self, options: Sequence[Option]) -> Option:
        at = len(self.sizes)
        self.sizes.append(len(options))
        if at == len(self.digits):
            self.digits.append(0)
        return options[self.digits[at]]

    def turn(self) -> bool:
        """Go to the next leaf; False after the last."""
        while self.digits and self.digits[-1] + 1 == self.sizes.pop():
            self.digits.pop()
        if not self.digits:
            return False
        self.digits[-1] += 1
        self.sizes, self.leaf = [], {}
        return True


def all_leaves(space: SearchSpace) -> Iterator[tuple[Leaf, Architecture]]:
    """Walk to every leaf; an architecture comes up once for each of its ``copies``."""
    pick = _Odometer()
    while True:
        architecture = space._inception.walk(pick)
        yield pick.leaf, architecture
        if not pick.turn():
            return


def allowed_widths(widths: Widths, low: float, high: float) -> range:
    """Return the widths that are allowed at a place."""
    lowest, size = widths.interval(low, high)
    return range(lowest, lowest + size * widths.step, widths.step)


# ----------------------------------------------------------------------------------------------------------- copies


class _Replay:
    """A pick that answers with a leaf's values, and raises OutsideSpace at a width that is not allowed there."""

    finals: range

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        self.allowed: dict[str, tuple[Value, ...]] = {}

    def way(self, batch: Batch) -> int:
        """Return the way with the known values."""
        self.allowed.update(batch)
        return batch.number([self.leaf[name] for name, _ in batch])

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return the known width."""
        allowed, value = allowed_widths(widths, low, high), int(self.leaf[name])
        if value not in allowed:
            raise OutsideSpace(f"{name} cannot be {value} here")
        if name == "final":
            self.finals = allowed
        return value


def copies(space: SearchSpace, leaf: Leaf) -> int:
    """Return how many leaves lead to the architecture of this one; 0 if others of them are counted in its place.

    Over the leaves of an architecture, 1 / copies adds up to 1 (0 for copies 0). Leaves differ, and their architectures
    do not, by: the final width, where others leave the same room; the padding, where no module takes averages; and
    widening, where towers widen early to no more than their embedding: there the leaf that widens late is the one.
    """
    replay = _Replay(leaf)
    read = values(space._inception, space._inception.walk(replay))
    for name in replay.allowed:
        spot, _, gene = name.rpartition(".")
        if gene == "widen" and leaf[name] != read[name]:
            chains = [_kernels([leaf[f"{spot}.{tower}.{of}"] for of in CHOICES]) for tower in TOWERS]
            if max(map(len, chains)) > 1:
                return 0
    averages = any(leaf[name] == "avg" for name in replay.allowed if name.endswith(".pool.kind"))
    paddings = 1 if averages else len(set(replay.allowed["padding"]))
    return paddings * sum(_fits(space, {**leaf, "final": final}) for final in replay.finals)


def _fits(space: SearchSpace, leaf: Leaf) -> bool:
    try:
        space._inception.walk(_Replay(leaf))
    except OutsideSpace:
        return False
    return True
