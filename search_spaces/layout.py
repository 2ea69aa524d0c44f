"""An architecture laid out unit by unit: shapes, costs and measurements of the stem and every module.

A network is a sequence of units that each read one tensor, and a module is a set of towers that read the same one.
Searches see the same towers again and again: laying out a whole Inception-v3 from known towers (``facts.py``) costs a
fraction of building its graph.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from search_spaces.architecture import Architecture, Module, StemStep
from search_spaces.errors import RequestError
from search_spaces.facts import (
    FLOW,
    MACS,
    MASK,
    MOST_CHANNELS,
    PARAMS,
    Details,
    Facts,
    aux_facts,
    count_of,
    grid_facts,
    head_facts,
)
from search_spaces.operations import Shape

new = tuple.__new__  # new(Unit, (...)) is Unit(...) in a third of the time


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
    from the picture to its end. ``read``: the most channels that a spatial convolution of it reads. ``special``: those
    of its towers that a rule of factorisation has to look at. ``counts``: in lanes, as the towers'.
    """

    name: str
    stage: int
    reduces: bool
    source: Shape
    shape: Shape
    counts: int
    depth: int
    read: int
    special: tuple[Details, ...]
    towers: Sequence[Facts]

    @property
    def params(self) -> int:
        """Learned numbers."""
        return count_of(self.counts, PARAMS)

    @property
    def macs(self) -> int:
        """Multiply-adds for one picture."""
        return count_of(self.counts, MACS)


class Layout(NamedTuple):
    """An architecture on pictures of one size, as far as its final representation.

    ``stem`` and ``units`` in order; ``stages``: the units by stage, where there are any; ``special``: those of stem and
    units with special towers; ``segments``: between all single tensors of the network; ``counts``: in lanes, of all.
    """

    picture: Shape
    stem: tuple[Unit, ...]
    stages: tuple[tuple[Unit, ...], ...]
    units: tuple[Unit, ...]
    special: tuple[Unit, ...]
    segments: tuple[Segment, ...]
    counts: int

    @property
    def shape(self) -> Shape:
        """The final representation."""
        return self.units[-1].shape

    @property
    def params(self) -> int:
        """Learned numbers."""
        return count_of(self.counts, PARAMS)

    @property
    def macs(self) -> int:
        """Multiply-adds for one picture."""
        return count_of(self.counts, MACS)

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
    stem = _stem(architecture.stem, picture)
    segments = [*stem.segments]
    stages: list[tuple[Unit, ...]] = []
    units: list[Unit] = []
    at = stem.stem[-1]
    for s, stage in enumerate(architecture.stages, 1):
        names = _names(s, len(stage.modules))
        first = len(units)
        if stage.reduction is not None:
            at = _unit(names[0], s, True, stage.reduction, at.shape, at.depth, segments)
            units.append(at)
        for name, module in zip(names[1:], stage.modules, strict=True):
            at = _unit(name, s, False, module, at.shape, at.depth, segments)
            units.append(at)
        if len(units) > first:
            stages.append(tuple(units[first:]))
    return Layout(
        picture,
        stem.stem,
        tuple(stages),
        tuple(units),
        stem.special + tuple([unit for unit in units if unit.special]),
        tuple(segments),
        stem.counts + sum([unit.counts for unit in units]),
    )


@lru_cache(maxsize=1024)
def _stem(steps: tuple[StemStep, ...], picture: Shape) -> Layout:
    units: list[Unit] = []
    segments: list[Segment] = []
    shape, depth = picture, 0
    for i, step in enumerate(steps):
        module = step if isinstance(step, Module) else Module(((step,),))  # type: ignore[arg-type]  # an LRN too
        units.append(_unit(f"stem.{i}", 0, False, module, shape, depth, segments))
        shape, depth = units[-1].shape, units[-1].depth
    special = tuple(unit for unit in units if unit.special)
    return Layout(picture, tuple(units), (), (), special, tuple(segments), sum(unit.counts for unit in units))


@lru_cache(maxsize=1024)
def _names(stage: int, modules: int) -> tuple[str, ...]:
    return (f"stage{stage}.reduction", *(f"stage{stage}.module{m}" for m in range(1, modules + 1)))


def _unit(
    name: str, stage: int, reduces: bool, module: Module, source: Shape, depth: int, segments: list[Segment]
) -> Unit:
    """Add a module's towers up, and append its segments. Searches spend much of their time here: written for speed."""
    channels, height, width = source
    grid = grid_facts(height, width)
    seen = grid.seen
    try:
        towers = [seen[id(tower)] for tower in module.towers]
    except KeyError:
        towers = [seen.get(id(tower)) or grid.facts(tower) for tower in module.towers]
    pers = counts = longest = read = 0
    special: tuple[Details, ...] = ()
    sides = towers[0].grid
    for per, kept, own_depth, own_read, own_sides, rare, details in towers:
        pers += per
        counts += kept
        if own_depth > longest:
            longest = own_depth
        if own_read > read:
            read = own_read
        if own_sides is not sides and own_sides != sides:
            raise RequestError(f"the towers of {name} end on different grids")  # layout_of says it in full
        if rare:
            if details.special:
                special += (details,)
            if details.input_kernel and channels > read:
                read = channels
    counts += pers * channels
    given = counts & MASK
    if given > MOST_CHANNELS:
        raise RequestError(f"{name} gives {given:,} channels: up to {MOST_CHANNELS:,} can be counted")
    end, passed = depth + longest, channels * height * width
    if len(towers) > 1:
        flow = counts >> FLOW & MASK
        if special:
            flow -= sum([max(0, kept - thin * channels) for kept, thin in [tower.thin for tower in special]])
        segments.append(new(Segment, (name, flow if flow < passed else passed, end)))
    else:
        nodes = towers[0].details.nodes
        for i, (per, kept, at) in enumerate(nodes):
            here = per * channels + kept
            place = name if len(nodes) == 1 else f"{name}.tower1.{i}"
            segments.append(Segment(place, min(passed, here), depth + at))
            passed = here
    shape = new(Shape, (given, *sides))
    return new(Unit, (name, stage, reduces, source, shape, counts, end, read, special, towers))


def forget() -> None:
    """Forget all towers, stems and heads: for those who measure how long it takes to know them."""
    for remembering in (grid_facts, head_facts, aux_facts, _stem):
        remembering.cache_clear()
