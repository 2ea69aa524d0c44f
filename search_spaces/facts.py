"""What is known of a tower on a grid, whatever the channels that it reads.

On a given grid every count of a tower is affine in the channels that it reads: ``kept + per * channels``. So a tower is
laid out as a graph only once, for one and for two channels, and its counts for any other number follow. Tests hold
every figure against the whole graph's nodes, its liveness and its minimum cuts.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from search_spaces.architecture import Aux, Tower, add_aux, add_head, chain
from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Input, Operation, Shape

REMEMBERED = 1 << 16  # towers of one grid; about two kilobytes each

# Counts that are added up together lie side by side in one long integer, in lanes of LANE bits. So a module adds up two
# numbers for each tower, not ten, and the processor's caches hold those of more towers.
LANE = 96  # a network of 2**16 of the largest operations on MOST_CHANNELS takes 90
MOST_CHANNELS = 1 << 24
WIDTH, FLOW, ELEMENTS, PARAMS, MACS = range(0, 5 * LANE, LANE)
MASK = (1 << LANE) - 1


def count_of(counts: int, lane: int) -> int:
    """Return one of the counts: WIDTH, FLOW, ELEMENTS, PARAMS or MACS."""
    return counts >> lane & MASK


class Affine(NamedTuple):
    """``kept + per * channels``."""

    per: int
    kept: int


class Facts(NamedTuple):
    """What a module adds up over its towers. One tower is a chain of steps on one grid; it may read any channels.

    ``per`` and ``kept`` are affine counts: the channels it gives, elements at its narrowest place (FLOW; leaving out
    places as wide as the input), elements of all nodes, parameters, and multiply-adds. ``depth``: convolutions on the
    longest path. ``read``: the most channels, beside those of the input, that a spatial convolution reads.
    ``grid``: after the last step. ``rare``: whether more of the ``details`` has to be looked at.
    """

    per: int
    kept: int
    depth: int
    read: int
    grid: tuple[int, int]
    rare: bool
    details: "Details"


class Details(NamedTuple):
    """What else is known of a chain of steps.

    ``kernel``: of the convolution that reads ``Facts.read`` channels; ``input_kernel``: of one that reads the input
    itself. ``special``: whether a rule of factorisation has to look at it, or it is ``thin``: its flow, and the places
    of a grid that the input's channels pass before a convolution, if smaller than the input's, else zeros.
    ``asymmetric``: grid sides under 1 x n and n x 1 convolutions in sequence, with the first such kernel. ``linear``:
    convolutions that feed another without an activation. ``strided``: what kinds of steps thin the grid out. ``nodes``:
    elements and depth after each step in turn.
    ``held`` and ``free``: elements alive while the input is still needed, and after.
    """

    kernel: str
    input_kernel: str
    special: bool
    thin: tuple[int, int]
    expanded: bool
    asymmetric: tuple[tuple[int, str], ...]
    linear: int
    ends_linear: bool
    starts_conv: bool
    strided: frozenset[type[Operation]]
    nodes: tuple[tuple[int, int, int], ...]
    held: tuple[Affine, ...]
    free: tuple[Affine, ...]


# -------------------------------------------------------------------------------------------------------------- towers


class Grid:
    """The facts of towers on one grid: each is laid out when it is first asked for; ResolutionError if too small.

    ``seen`` knows towers by identity, since adding a tower up takes less time than hashing it. It holds on to them, so
    that no other object can get their identity.
    """

    def __init__(self, height: int, width: int) -> None:
        self.sides = height, width
        self.known: dict[Tower, Facts] = {}
        self.seen: dict[int, Facts] = {}
        self.held: list[Tower] = []

    def facts(self, tower: Tower) -> Facts:
        """Find the facts of a tower that may not have been seen yet."""
        if tower not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[tower] = _note(lambda graph: chain(graph, "tower", tower, "input"), *self.sides)
        if len(self.held) >= REMEMBERED:
            self.seen.clear()
            self.held.clear()
        self.held.append(tower)
        found = self.seen[id(tower)] = self.known[tower]
        return found


grid_facts = lru_cache(maxsize=1024)(Grid)


@lru_cache(maxsize=1024)
def head_facts(dropout: float, classes: int, height: int, width: int) -> Facts:
    """Note the counts of the network's head."""
    return _note(lambda graph: add_head(graph, "input", dropout, classes), height, width)


@lru_cache(maxsize=1024)
def aux_facts(head: Aux, classes: int, height: int, width: int) -> Facts:
    """Note the counts of an auxiliary head; ResolutionError where the grid is too small."""
    return _note(lambda graph: add_aux(graph, "aux", head, "input", classes), height, width)


def _note(build: Callable[[Graph], str], height: int, width: int) -> Facts:
    one, two = Graph(1e-3), Graph(1e-3)
    for channels, graph in ((1, one), (2, two)):
        graph.add("input", Input(Shape(channels, height, width)))
        build(graph)
    pairs = [(a, b) for a, b in zip(one, two, strict=True) if not isinstance(a.operation, Input)]
    chained = [(a, _affine(a.shape.elements, b.shape.elements)) for a, b in pairs if ".branch" not in a.name]
    convs = [a for a, _ in pairs if isinstance(a.operation, Conv)]
    spatial = [a for a in convs if isinstance(a.operation, Conv) and a.operation.spatial]
    direct = next((a for a in spatial if _reads_input(a, two)), None)
    inner = (a for a in spatial if not _reads_input(a, two))
    widest = max(inner, key=lambda node: node.input_shapes[0].channels, default=None)
    in_sequence = [a for a in spatial if len(set(_kernel(a).split("/")[0].split("x"))) == 2 and ".branch" not in a.name]
    asymmetric: dict[int, str] = {}
    for a in in_sequence:
        for side in a.input_shapes[0][1:]:
            asymmetric.setdefault(side, _kernel(a))
    expanded = any(".branch" in a.name for a, _ in pairs)
    linear = sum(_is_linear(a) and _feeds_conv(one, a.name) for a in convs)
    last, last_two = pairs[-1]
    held, free = _alive(one, two)
    narrowest = min((elements.kept for _, elements in chained if not elements.per), default=0)
    thinnest = min((elements.per for _, elements in chained if elements.per), default=height * width)
    thin = thinnest if narrowest and thinnest < height * width else 0
    details = Details(
        kernel=_kernel(widest) if widest else "",
        input_kernel=_kernel(direct) if direct else "",
        special=expanded or bool(asymmetric) or linear > 0 or _is_linear(last) or thin > 0,
        thin=(narrowest if thin else 0, thin),
        expanded=expanded,
        asymmetric=tuple(asymmetric.items()),
        linear=linear,
        ends_linear=_is_linear(last),
        starts_conv=_feeds_conv(one, "input"),
        strided=frozenset(type(a.operation) for a, _ in pairs if getattr(a.operation, "stride", 1) > 1),
        nodes=tuple((*elements, one.depth[node.name]) for node, elements in chained),
        held=held,
        free=free,
    )
    counts = {
        WIDTH: _affine(last.shape.channels, last_two.shape.channels),
        FLOW: Affine(0 if narrowest else thinnest, narrowest),
        ELEMENTS: _affine(sum(a.shape.elements for a, _ in pairs), sum(b.shape.elements for _, b in pairs)),
        PARAMS: _affine(one.params, two.params),
        MACS: _affine(one.macs, two.macs),
    }
    return Facts(
        per=sum(count.per << lane for lane, count in counts.items()),
        kept=sum(count.kept << lane for lane, count in counts.items()),
        depth=one.depth[last.name],
        read=widest.input_shapes[0].channels if widest else 0,
        grid=last.shape[1:],
        rare=details.special or direct is not None,
        details=details,
    )


def _reads_input(node: Node, two: Graph) -> bool:
    """Whether a node reads as many channels as the chain's input has, whatever their number."""
    return two[node.name].input_shapes[0].channels != node.input_shapes[0].channels


def _affine(at_one: int, at_two: int) -> Affine:
    return Affine(at_two - at_one, 2 * at_one - at_two)


def _kernel(node: Node) -> str:
    assert isinstance(node.operation, Conv)
    return node.operation.window_text


def _is_linear(node: Node) -> bool:
    return isinstance(node.operation, Conv) and not node.operation.activation


def _feeds_conv(graph: Graph, name: str) -> bool:
    return any(isinstance(graph[reader].operation, Conv) for reader in graph.readers[name])


def _alive(one: Graph, two: Graph) -> tuple[tuple[Affine, ...], tuple[Affine, ...]]:
    """The elements alive, without the input, as the steps run: while the input is still to be read, and after."""
    unread = {name: len(readers) for name, readers in one.readers.items()}
    sizes = {node.name: _affine(node.shape.elements, two[node.name].shape.elements) for node in one}
    per = kept = 0
    found: tuple[list[Affine], list[Affine]] = ([], [])
    for node in list(one)[1:]:
        per, kept = per + sizes[node.name].per, kept + sizes[node.name].kept
        found[0 if unread["input"] else 1].append(Affine(per, kept))
        for parent in node.inputs:
            unread[parent] -= 1
            if not unread[parent] and parent != "input":
                per, kept = per - sizes[parent].per, kept - sizes[parent].kept
    held, free = (
        tuple(a for a in dict.fromkeys(list_) if not any(b != a and b.per >= a.per and b.kept >= a.kept for b in list_))
        for list_ in found
    )
    return held, free
