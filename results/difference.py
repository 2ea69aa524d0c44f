"""What sets two architectures apart, read from their graphs: blocks that only one has, and operations that differ.

Stages, reductions, stem and heads are compared with those of the same number. Within a stage modules are aligned in
their order so that as little as possible differs; the operations of a chain likewise. Towers have no order: the most
alike are compared with each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from results.alignment import Pair, aligned
from results.blocks import Block, blocks, short_text
from results.marked import Marked
from results.series import Parallel, Series, block_series
from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv

# What a pair of operations costs in an alignment; one without a partner costs _ALONE, so that any pair is cheaper than
# two alone, and operations of a kind rather than others are compared with each other.
_WIDTH, _WINDOW, _KIND, _ALONE = 1, 2, 3, 2


@dataclass(frozen=True)
class Place:
    """One place of a block at which the two differ: what stands there in the first and in the second.

    ``where``: ``tower 2``, ``tower 3, branch 1``, or "" in a chain, in the first; ``there``: in the second. A side is
    "" where it has nothing there. ``whole``: it is a block, tower or branch that the other one has not at all.
    """

    where: str
    there: str
    first: str
    second: str
    whole: bool = False


@dataclass(frozen=True)
class Change:
    """A block that differs: its unit in either architecture, None where that has none, and where inside they differ."""

    first: str | None
    second: str | None
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Difference:
    """How the first of two architectures differs from the second: what to mark in each, and every block that differs.

    Each node of either is matched by an equal operation of the other, or marked. Comparing the two the other way round
    gives the same with sides exchanged.
    """

    first: Marked
    second: Marked
    changes: tuple[Change, ...]

    def sentences(self, other: str) -> list[str]:
        """Say what the first has and ``other``, the second, has not, and the reverse; [] if they are the same."""
        return [_sentence(change, other) for change in self.changes]


def compare(first: Graph, second: Graph) -> Difference:
    """Compare two graphs. Operations are compared by what they are, not by the channels or grids that reach them."""
    if _key(second) < _key(first):  # always the same way round, so that ties fall alike
        found = compare(second, first)
        return Difference(found.second, found.first, tuple(_turned(change) for change in found.changes))
    found_pairs = _pairs(blocks(first), blocks(second))
    changes, left, right = list[Change](), _Marks(), _Marks()
    partners = {one.units[0]: other.units[0] for one, other in found_pairs if one is not None and other is not None}
    for one, other in found_pairs:
        if one is None or other is None:
            changes.append(Change(_unit(one), _unit(other), (Place("", "", _shown(one), _shown(other), whole=True),)))
            left.blocks.update(filter(None, [_unit(one)]))
            right.blocks.update(filter(None, [_unit(other)]))
            continue
        places = list(_places(block_series(one), block_series(other), ("", ""), left, right))
        if one.kind == "aux" and partners.get(_from(one)) != _from(other):
            places.insert(
                0, Place("", "", f"its place on {_spoken(_from(one))}", f"its place on {_spoken(_from(other))}")
            )
            left.blocks.add(one.units[0])
            right.blocks.add(other.units[0])
        if places:
            changes.append(Change(_unit(one), _unit(other), tuple(places)))
    return Difference(left.frozen(), right.frozen(), tuple(changes))


class _Marks:
    """What is marked so far."""

    def __init__(self) -> None:
        self.nodes, self.blocks = set[str](), set[str]()

    def add(self, parts: Series) -> None:
        self.nodes.update(node.name for node in _nodes(parts))

    def frozen(self) -> Marked:
        return Marked(frozenset(self.nodes), frozenset(self.blocks))


def _key(graph: Graph) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(node.name, node.operation.text(), node.inputs) for node in graph]


def _turned(change: Change) -> Change:
    places = tuple(Place(at.there, at.where, at.second, at.first, at.whole) for at in change.places)
    return Change(change.second, change.first, places)


# -------------------------------------------------------------------------------------------------------------- blocks


def _pairs(first: Sequence[Block], second: Sequence[Block]) -> list[Pair[Block]]:
    """The blocks of both beside each other, in their order."""
    found: list[Pair[Block]] = []
    places = dict.fromkeys([_place(block) for block in (*first, *second)])
    for place in sorted(places, key=_rank):
        mine, theirs = ([block for block in side if _place(block) == place] for side in (first, second))
        pairs = aligned(mine, theirs, _block_cost, _block_alone)
        found += pairs
    return found


def _place(block: Block) -> str:
    """What a block is compared within: the modules of a stage together, everything else by its own name."""
    return block.units[0].split(".")[0] if block.kind == "module" else block.units[0]


def _rank(place: str) -> tuple[int, str, bool]:
    kind = 0 if place == "stem" else 1 if place.startswith("stage") else 2 if place == "head" else 3
    return kind, place.split(".")[0], "." not in place  # a stage begins with its reduction


def _block_alone(block: Block) -> int:
    return _alone(block_series(block))


def _block_cost(one: Block, other: Block) -> int:
    return _cost(block_series(one), block_series(other))


# -------------------------------------------------------------------------------------------------------------- series


def _nodes(parts: Series) -> Iterator[Node]:
    for part in parts:
        if isinstance(part, Parallel):
            for tower in part.towers:
                yield from _nodes(tower)
            yield part.join
        else:
            yield part


def _alone(parts: Series) -> int:
    return _ALONE * sum(1 for _ in _nodes(parts))


Form = tuple[object, ...]  # a series without the names of its nodes: what its cost depends on


def _form(parts: Series) -> Form:
    return tuple(
        (tuple(_form(tower) for tower in part.towers), part.join.operation)
        if isinstance(part, Parallel)
        else part.operation
        for part in parts
    )


def _cost(one: Series, other: Series) -> int:
    return _form_cost(_Hashed(_form(one), one), _Hashed(_form(other), other))


@dataclass(frozen=True)
class _Hashed:
    """A series that is looked up by its form."""

    form: Form
    parts: Series

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self.form == other.form

    def __hash__(self) -> int:
        return hash(self.form)


@lru_cache(maxsize=4096)
def _form_cost(one: _Hashed, other: _Hashed) -> int:
    if one == other:
        return 0
    return sum(
        _part_cost(mine, theirs)
        if mine is not None and theirs is not None
        else _alone(tuple(part for part in (mine, theirs) if part is not None))
        for mine, theirs in _chain(one.parts, other.parts)
    )


def _chain(one: Series, other: Series) -> list[Pair[Node | Parallel]]:
    return aligned(one, other, _part_cost, lambda part: _alone((part,)))


def _part_cost(one: Node | Parallel, other: Node | Parallel) -> int:
    if isinstance(one, Parallel) and isinstance(other, Parallel):
        pairs = _towers(one, other)
        return sum(
            _cost(one.towers[i], other.towers[j])
            if i is not None and j is not None
            else _alone(one.towers[i] if i is not None else other.towers[j or 0])
            for i, j in pairs
        )
    if isinstance(one, Parallel) or isinstance(other, Parallel):
        return _alone((one,)) + _alone((other,)) + 1  # never compared with each other
    mine, theirs = one.operation, other.operation
    if mine == theirs:
        return 0
    if type(mine) is not type(theirs):
        return _KIND
    same = not isinstance(mine, Conv) or not isinstance(theirs, Conv) or mine.kernel == theirs.kernel
    return _WIDTH if same else _WINDOW


def _towers(one: Parallel, other: Parallel) -> list[tuple[int | None, int | None]]:
    """Pairs of towers by number: equal ones first, then those that have most in common; the rest has no partner."""
    costs = {(i, j): _cost(mine, theirs) for i, mine in enumerate(one.towers) for j, theirs in enumerate(other.towers)}

    def order(pair: tuple[int, int]) -> tuple[bool, int, int, int]:
        i, j = pair
        common = _alone(one.towers[i]) + _alone(other.towers[j]) - costs[pair]
        return costs[pair] > 0, -common, abs(i - j), i

    chosen: dict[int, int] = {}
    for i, j in sorted(costs, key=order):
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    found: list[tuple[int | None, int | None]] = [(i, chosen.get(i)) for i in range(len(one.towers))]
    return found + [(None, j) for j in range(len(other.towers)) if j not in chosen.values()]


# -------------------------------------------------------------------------------------------------------------- places


def _places(one: Series, other: Series, where: tuple[str, str], left: _Marks, right: _Marks) -> Iterator[Place]:
    """Yield where two series differ, and mark the nodes; what differs in a row is one place."""
    mine, theirs = list[Node | Parallel](), list[Node | Parallel]()

    def told() -> Iterator[Place]:
        if mine or theirs:
            yield Place(*where, *_texts(tuple(mine), tuple(theirs)))
            left.add(tuple(mine))
            right.add(tuple(theirs))
            mine.clear()
            theirs.clear()

    for part, partner in _chain(one, other):
        if part is not None and partner is not None and _part_cost(part, partner) == 0:
            yield from told()
        elif isinstance(part, Parallel) and isinstance(partner, Parallel):
            yield from told()
            yield from _tower_places(part, partner, where, left, right)
        else:
            mine += [part] if part is not None else []
            theirs += [partner] if partner is not None else []
    yield from told()


def _tower_places(
    one: Parallel, other: Parallel, where: tuple[str, str], left: _Marks, right: _Marks
) -> Iterator[Place]:
    here, there = (f"{place}, branch" if place else "tower" for place in where)
    for i, j in _towers(one, other):
        if i is not None and j is not None:
            yield from _places(one.towers[i], other.towers[j], (f"{here} {i + 1}", f"{there} {j + 1}"), left, right)
        elif i is not None:
            left.add(one.towers[i])
            yield Place(f"{here} {i + 1}", "", _chain_text(one.towers[i]), "", whole=True)
        elif j is not None:
            right.add(other.towers[j])
            yield Place("", f"{there} {j + 1}", "", _chain_text(other.towers[j]), whole=True)


def _texts(one: Series, other: Series) -> tuple[str, str]:
    """Both as short as they can be told apart."""
    short = _chain_text(one), _chain_text(other)
    return short if short[0] != short[1] else (_chain_text(one, whole=True), _chain_text(other, whole=True))


def _chain_text(parts: Series, *, whole: bool = False) -> str:
    def text(part: Node | Parallel) -> str:
        if isinstance(part, Parallel):
            return f"({', '.join(_chain_text(tower, whole=whole) or 'nothing' for tower in part.towers)})"
        return part.operation.text() if whole else short_text(part.operation)

    return " - ".join(map(text, parts))


# ----------------------------------------------------------------------------------------------------------- sentences


def _unit(block: Block | None) -> str | None:
    return None if block is None else block.units[0]


def _from(head: Block) -> str:
    """The unit that an auxiliary head hangs on."""
    parts = head.source.split(".")
    return ".".join(parts[:2]) if parts[0].startswith("stage") else parts[0]


def _shown(block: Block | None) -> str:
    """What a block consists of, in short."""
    if block is None:
        return ""
    parts = block_series(block)
    if len(parts) == 1 and isinstance(parts[0], Parallel):
        return " | ".join(_chain_text(tower) or "nothing" for tower in parts[0].towers)
    return _chain_text(parts)


def _spoken(unit: str) -> str:
    """``stage 2, module 3``; ``the reduction to stage 2``; ``auxiliary head 1``."""
    stage, _, inside = unit.partition(".")
    if inside == "reduction":
        return f"the reduction to stage {stage.removeprefix('stage')}"
    if inside:
        return f"stage {stage.removeprefix('stage')}, module {inside.removeprefix('module')}"
    return f"auxiliary head {unit.removeprefix('aux')}" if unit.startswith("aux") else unit


def _sentence(change: Change, other: str) -> str:
    if change.first is None or change.second is None:
        (place,) = change.places
        if change.first is not None:
            return f"Added: {_spoken(change.first)} ({place.first}), which {other} has not."
        return f"Left out: {_spoken(change.second or '')} of {other} ({place.second})."
    place_there = "" if change.first == change.second else f", which is {_spoken(change.second)} in {other}"
    told = "; ".join(_told(place, other) for place in change.places)
    name = _spoken(change.first)
    return f"{name[0].upper()}{name[1:]}{place_there}: {told}."


def _told(place: Place, other: str) -> str:
    if place.whole and place.where:
        return f"{place.where} ({place.first or 'nothing'}) is not in {other}"
    if place.whole:
        return f"has no {place.there} of {other} ({place.second or 'nothing'})"
    subject = f"{place.where} has" if place.where else "has"
    owner = other if place.where == place.there else f"{place.there} of {other}"
    if not place.second:
        return f"{subject} {place.first} in addition"
    if not place.first:
        return f"{subject} no {place.second}, as {owner} has"
    return f"{subject} {place.first} where {owner} has {place.second}"
