"""Which pictures are trained on, validated on and tested on: the same shares of every class, by a random seed.

A picture that is there more than once counts as one: all of its copies go into one part, so that nothing is validated
or tested on that was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search_spaces.errors import RequestError
from trainers.collection import Collection, Integers
from trainers.source import DataSource

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Repeats:
    """Pictures that are there more than once. ``count``: how many are the same as another one before them.

    ``pair``: two rows with one picture. ``leaked``: pictures of the source's own test part that are outside it too,
    each with a row there.
    """

    count: int
    pair: tuple[int, int] | None
    leaked: tuple[tuple[int, int], ...]

    def sentence(self, source: str, named: Callable[[int], str]) -> str | None:
        """Warn of them; ``named``: what people call a row. None where there are none."""
        if self.leaked:
            inside, outside = map(named, self.leaked[0])
            return (
                f"{source}: {len(self.leaked):,} pictures of its test part are also among those to train and validate "
                f"on ({inside} is {outside}): errors on the test part are too low; remove them from one of the two"
            )
        if self.pair is None:
            return None
        one, other = map(named, self.pair)
        return (
            f"{source}: {self.count:,} pictures are the same as another one ({other} is {one}): each is in the part of "
            "the other, so that nothing is tested on that was trained on"
        )


def repeats(whole: Collection) -> Repeats:
    """Find the pictures that are there more than once."""
    first, held_out = whole.first, whole.held_out
    again = np.flatnonzero(first != np.arange(len(first)))
    outside = {int(first[row]): int(row) for row in np.flatnonzero(~held_out)[::-1]} if held_out.any() else {}
    leaked = tuple((int(row), outside[int(first[row])]) for row in np.flatnonzero(held_out) if first[row] in outside)
    pair = (int(first[again[0]]), int(again[0])) if len(again) else None
    return Repeats(len(again), pair, leaked)


def split(whole: Collection, source: DataSource, random_seed: int) -> tuple[Integers, Integers, Integers]:
    """Rows of training, validation and test, ascending, with the same shares of every class in each.

    Where the source has a test part of its own, that is it, and the others are split into training and validation.
    Raises RequestError for a class with too few pictures.
    """
    given = bool(whole.held_out.any())
    if given and source.test is not None:
        raise RequestError(
            f"data.test is {source.test:g}, but {source.source!r} has a test part of its own: leave data.test out"
        )
    validation, test = source.shares
    shares = (1 - validation, validation) if given else (1 - validation - test, validation, test)
    generator = np.random.Generator(np.random.PCG64(random_seed))
    part_of = np.full(len(whole.labels), -1)
    for label, name in enumerate(whole.classes):
        members = generator.permutation(np.flatnonzero((whole.labels == label) & ~whole.held_out))
        ends = _ends(shares, len(members))
        if not all(np.diff([0, *ends, len(members)])):
            raise RequestError(
                f"the class {name!r} of {source.source!r} has {len(members)} pictures to be split into "
                f"{', '.join(f'{share:.0%} {word}' for share, word in zip(shares, PARTS, strict=False))}: at least "
                f"{_fewest(shares)} are needed, one for each part; add some, or remove the class"
            )
        members, starts = _together(members, whole.first)
        if len(starts) >= len(shares):
            ends = _between(starts, ends)
        for part, rows in enumerate(np.split(members, ends)):
            part_of[rows] = part
    _unite(part_of, whole)
    _check_parts(part_of, whole, source, len(shares))
    train, held, *rest = (np.flatnonzero(part_of == part) for part in range(len(shares)))
    return train, held, rest[0] if rest else np.flatnonzero(whole.held_out)


def _together(members: Integers, first: Integers) -> tuple[Integers, Integers]:
    """Put the copies of a picture behind it; return the rows, and where each picture's begin."""
    _, places, whose = np.unique(first[members], return_index=True, return_inverse=True)
    order = np.argsort(places[whose], kind="stable")  # without copies: as they were
    return members[order], np.flatnonzero(np.diff(places[whose][order], prepend=-1))


def _between(starts: Integers, ends: Integers) -> Integers:
    """Move the ends of parts to the nearest places between pictures, each part with one at least."""
    found, before = [], 0
    for index, end in enumerate(ends.tolist()):
        nearest = int(np.argmin(np.abs(starts - end)))
        before = min(max(nearest, before + 1), len(starts) - len(ends) + index)
        found.append(starts[before])
    return np.array(found)


def _unite(part_of: Integers, whole: Collection) -> None:
    """Bring pictures that several classes hold into one part, that of the first."""
    rows = np.flatnonzero(~whole.held_out)
    _, places, whose = np.unique(whole.first[rows], return_index=True, return_inverse=True)
    part_of[rows] = part_of[rows[places]][whose]


def _check_parts(part_of: Integers, whole: Collection, source: DataSource, parts: int) -> None:
    for label, name in enumerate(whole.classes):
        rows = np.flatnonzero((whole.labels == label) & ~whole.held_out)
        if len(np.unique(part_of[rows])) < parts:
            different = len(np.unique(whole.first[rows]))
            raise RequestError(
                f"the class {name!r} of {source.source!r} has {len(rows)} pictures, {different} of them distinct "
                "(copies in other classes count too): copies of a picture stay in one part, and so a part would have "
                "none; add pictures, or remove the class"
            )


def _ends(shares: tuple[float, ...], count: int) -> Integers:
    return np.rint(np.round(np.cumsum(shares[:-1]) * count, 9)).astype(np.int64)


def _fewest(shares: tuple[float, ...]) -> int:
    """Pictures of a class from which on every part gets one."""
    few = len(shares)
    while not all(np.diff([0, *_ends(shares, few), few])):
        few += 1
    return few
