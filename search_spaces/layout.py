"""An architecture laid out unit by unit: shapes, costs and measurements of the stem, every module, and the head.

A network is a sequence of units that each read one tensor, and a module is a set of towers that read the same one. On a
given grid every count of a tower is affine in the channels that it reads: ``kept + per * channels``. So a tower is laid
out as a graph only once, for one and for two channels, and its counts for any other number follow. Searches see the
same towers again and again: laying out a whole Inception-v3 from known towers costs a fraction of building its graph.
Tests hold every figure against the whole graph's nodes, its liveness and its minimum cuts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from search_spaces.architecture import Architecture, Aux, Module, StemStep, Tower, add_aux, add_head, chain
from search_spaces.errors import RequestError
from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Input, Operation, Shape

REMEMBERED = 1 << 16  # towers of one grid; about two kilobytes each


class Affine(NamedTuple):
    """``kept + per * channels``."""

    per: int
    kept: int


class Facts(NamedTuple):
    """What is known of one chain of steps on one grid, whatever the channels that it reads.

    The first ``ADDED`` fields are what a module adds up over its towers; affine counts come as two numbers, per channel
    read and kept. ``flow``: elements of the narrowest place, leaving out places as wide as the input. ``depth``:
    convolutions on the longest path. ``read``: the most channels, beside those of the input, that a spatial convolution
    reads, and its ``kernel``; ``input_kernel``: of one that reads the input itself. ``special``: whether more of the
    facts has to be looked at, by a rule of factorisation or for the narrowest place. ``grid``: after the last step.
    ``thin``: places of a grid that the input's channels pass before a convolution, if smaller than the input's, else 0.
    ``asymmetric``: grid sides under 1 x n and n x 1 convolutions in sequence, with the kernel. ``linear``: convolutions
    that feed another without an activation. ``nodes``: elements and depth after each step in turn. ``elements``: of all
    nodes. ``held`` and ``free``: elements alive while the input is still needed, and after.
    """

    width_per: int
    width: int
    params_per: int
    params: int
    macs_per: int
    macs: int
    flow_per: int
    flow: int
    depth: int
    read: int
    input_kernel: str
    special: bool
    grid: tuple[int, int]
    thin: int
    kernel: str
    expanded: bool
    asymmetric: tuple[tuple[int, str], ...]
    linear: int
    ends_linear: bool
    starts_conv: bool
    ends: type[Operation]
    nodes: tuple[tuple[int, int, int], ...]
    elements: Affine
    held: tuple[Affine, ...]
    free: tuple[Affine, ...]


ADDED: Final = 13  # up to ``grid``


class Grid(dict[Tower, Facts]):
    """The facts of towers on one grid: each is laid out when it is first asked for; ResolutionError if too small."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.sides = height, width

    def __missing__(self, tower: Tower) -> Facts:
        found = _note(lambda graph: chain(graph, "tower", tower, "input"), *self.sides)
        if len(self) >= REMEMBERED:
            self.clear()
        self[tower] = found
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
    asymmetric = tuple((side, _kernel(a)) for a in in_sequence for side in a.input_shapes[0][1:])
    expanded = any(".branch" in a.name for a, _ in pairs)
    linear = sum(_is_linear(a) and _feeds_conv(one, a.name) for a in convs)
    last, last_two = pairs[-1]
    held, free = _alive(one, two)
    narrowest = min((elements.kept for _, elements in chained if not elements.per), default=0)
    thinnest = min((elements.per for _, elements in chained if elements.per), default=height * width)
    thin = thinnest if narrowest and thinnest < height * width else 0
    return Facts(
        *_affine(last.shape.channels, last_two.shape.channels),
        *_affine(one.params, two.params),
        *_affine(one.macs, two.macs),
        flow_per=0 if narrowest else thinnest,
        flow=narrowest,
        depth=one.depth[last.name],
        read=widest.input_shapes[0].channels if widest else 0,
        kernel=_kernel(widest) if widest else "",
        input_kernel=_kernel(direct) if direct else "",
        special=expanded or bool(asymmetric) or linear > 0 or _is_linear(last) or thin > 0,
        grid=last.shape[1:],
        thin=thin,
        expanded=expanded,
        asymmetric=asymmetric,
        linear=linear,
        ends_linear=_is_linear(last),
        starts_conv=_feeds_conv(one, "input"),
        ends=type(last.operation),
        nodes=tuple((*elements, one.depth[node.name]) for node, elements in chained),
        elements=_affine(sum(a.shape.elements for a, _ in pairs), sum(b.shape.elements for _, b in pairs)),
        held=held,
        free=free,
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


# ------------------------------------------------------------------------------------------------------ whole networks


class Segment(NamedTuple):
    """What passes from one single tensor to the next: at least ``elements`` anywhere, up to ``depth`` convolutions.

    ``place`` is the unit, or the step of a unit that is a single chain.
    """

    place: str
    elements: int
    depth: int


class Unit(NamedTuple):
    """A module or reduction in its place, or a step of the stem (``stage`` 0; stages count from 1).

    ``reduces``: whether it is the reduction that leads to the stage's grid. ``depth``: convolutions on the longest path
    from the picture to its end. ``read``: the most channels that a spatial
    convolution of it reads. ``special``: whether a rule of factorisation has to look at its towers.
    """

    name: str
    stage: int
    reduces: bool
    source: Shape
    shape: Shape
    params: int
    macs: int
    depth: int
    read: int
    special: bool
    towers: Sequence[Facts]


@dataclass(frozen=True, slots=True)
class Layout:
    """An architecture on pictures of one size, as far as its final representation.

    ``stem`` and ``units`` in order, and those of both that are ``special``; ``segments``: between all single tensors of
    the network; counts are totals.
    """

    picture: Shape
    stem: tuple[Unit, ...]
    units: tuple[Unit, ...]
    special: tuple[Unit, ...]
    segments: tuple[Segment, ...]
    params: int
    macs: int

    @property
    def shape(self) -> Shape:
        """The final representation."""
        return self.units[-1].shape

    @property
    def depth(self) -> int:
        """Convolutions on the longest path to the final representation."""
        return self.units[-1].depth


def layout_of(
    architecture: Architecture, resolution: int | tuple[int, int] | None = None, *, channels: int = 3
) -> Layout:
    """Lay an architecture out for pictures of ``resolution`` (pixels; its own by default).

    Raises ResolutionError, with the smallest side that works, where they are too small.
    """
    sides = architecture.sides(resolution)
    try:
        return _layout(architecture, Shape(channels, *sides))
    except RequestError:
        architecture.graph(sides, channels=channels)  # refuses it too, and says what is allowed
        raise


def _layout(architecture: Architecture, picture: Shape) -> Layout:
    stem, stem_segments = _stem(architecture.stem, picture)
    units: list[Unit] = []
    segments = [*stem_segments]
    at = stem[-1]
    for s, stage in enumerate(architecture.stages, 1):
        names = _names(s, len(stage.modules))
        if stage.reduction is not None:
            at = _unit(names[0], s, True, stage.reduction, at.shape, at.depth, segments)
            units.append(at)
        for name, module in zip(names[1:], stage.modules, strict=True):
            at = _unit(name, s, False, module, at.shape, at.depth, segments)
            units.append(at)
    every = (*stem, *units)
    params, macs = sum([unit.params for unit in every]), sum([unit.macs for unit in every])
    special = tuple([unit for unit in every if unit.special])
    return Layout(picture, stem, tuple(units), special, tuple(segments), params, macs)


@lru_cache(maxsize=1024)
def _stem(steps: tuple[StemStep, ...], picture: Shape) -> tuple[tuple[Unit, ...], tuple[Segment, ...]]:
    units: list[Unit] = []
    segments: list[Segment] = []
    shape, depth = picture, 0
    for i, step in enumerate(steps):
        module = step if isinstance(step, Module) else Module(((step,),))  # type: ignore[arg-type]  # an LRN too
        units.append(_unit(f"stem.{i}", 0, False, module, shape, depth, segments))
        shape, depth = units[-1].shape, units[-1].depth
    return tuple(units), tuple(segments)


@lru_cache(maxsize=1024)
def _names(stage: int, modules: int) -> tuple[str, ...]:
    return (f"stage{stage}.reduction", *(f"stage{stage}.module{m}" for m in range(1, modules + 1)))


def _unit(
    name: str, stage: int, reduces: bool, module: Module, source: Shape, depth: int, segments: list[Segment]
) -> Unit:
    """Add a module's towers up, and append its segments. Every architecture of a search comes past: C loops do it."""
    channels, height, width = source
    known = grid_facts(height, width)
    towers = [known[tower] for tower in module.towers]
    width_per = kept = params_per = params = macs_per = macs = flow_per = flow = longest = 0
    read = 0
    special = False
    grid = towers[0].grid
    for tower in towers:
        a, b, c, d, e, f, g, h, own_depth, own_read, input_kernel, own_special, own_grid = tower[:ADDED]
        width_per += a
        kept += b
        params_per += c
        params += d
        macs_per += e
        macs += f
        flow_per += g
        flow += h
        if own_depth > longest:
            longest = own_depth
        if own_read > read:
            read = own_read
        if input_kernel and channels > read:
            read = channels
        if own_special:
            special = True
        if own_grid != grid:
            raise RequestError(f"the towers of {name} end on different grids")  # layout_of says it in full
    shape = Shape(width_per * channels + kept, *grid)
    end, passed = depth + longest, channels * height * width
    if len(towers) > 1:
        flow += flow_per * channels
        if special:
            flow -= sum([max(0, tower.flow - tower.thin * channels) for tower in towers if tower.thin])
        segments.append(Segment(name, flow if flow < passed else passed, end))
    else:
        nodes = towers[0].nodes
        for i, (per, own, at) in enumerate(nodes):
            here = per * channels + own
            place = name if len(nodes) == 1 else f"{name}.tower1.{i}"
            segments.append(Segment(place, min(passed, here), depth + at))
            passed = here
    return Unit(
        name,
        stage,
        reduces,
        source,
        shape,
        params_per * channels + params,
        macs_per * channels + macs,
        end,
        read,
        special,
        towers,
    )


def elements(layout: Layout, head: Facts) -> int:
    """The elements of all nodes' outputs, the picture and the head included."""
    total = layout.picture.elements
    for source, towers, shape in _runs(layout, head):
        total += sum(tower.elements.per * source.channels + tower.elements.kept for tower in towers)
        total += shape.elements if len(towers) > 1 else 0
    return total


def peak_elements(layout: Layout, head: Facts) -> int:
    """The most elements alive at once when nodes run in order and each output is freed after its last reader."""
    peak = layout.picture.elements
    for source, towers, _ in _runs(layout, head):
        channels, waiting, done, last = source.channels, source.elements, 0, len(towers) - 1
        for t, tower in enumerate(towers):
            for per, kept in tower.held:
                peak = max(peak, waiting + done + per * channels + kept)
            if t == last:
                waiting = 0
            for per, kept in tower.free:
                peak = max(peak, waiting + done + per * channels + kept)
            done += (tower.width_per * channels + tower.width) * tower.grid[0] * tower.grid[1]
        if last:
            peak = max(peak, 2 * done)  # the towers and what joins them
    return peak


def _runs(layout: Layout, head: Facts) -> Iterator[tuple[Shape, Sequence[Facts], Shape]]:
    """What each unit and the head read, their towers, and what they give."""
    yield from ((unit.source, unit.towers, unit.shape) for unit in (*layout.stem, *layout.units))
    yield layout.shape, (head,), layout.shape


def forget() -> None:
    """Forget all towers, stems and heads: for those who measure how long it takes to know them."""
    for remembering in (grid_facts, head_facts, aux_facts, _stem):
        remembering.cache_clear()
