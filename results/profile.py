"""The size of the representation along the depth: what the principle against bottlenecks measures, place by place."""

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from typing import Any

from results.blocks import quantity
from search_spaces.architecture import Architecture
from search_spaces.layout import layout_of
from search_spaces.principles import cuts


@dataclass(frozen=True)
class Segment:
    """A piece of the network between two tensors that everything passes: from depth ``start`` to ``depth``.

    ``elements`` pass its narrowest cut, the geometric line from the picture to the final representation is at ``line``
    elements at its end, ``ratio`` is the first over the second: it belongs to the end, and there the pictures show it.
    Depths are shares of the longest path, 0 to 1.
    """

    segment: str
    unit: str
    start: float
    depth: float
    elements: int
    line: float
    ratio: float

    @property
    def region(self) -> str:
        """The stem, the stage or the reduction that it lies in."""
        return self.unit if self.unit.endswith(".reduction") else self.unit.split(".")[0]


@dataclass(frozen=True)
class Region:
    """The depths between which the stem, a stage's modules or a reduction lie."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Profile:
    """All segments from the picture to the final representation; ``share`` of the line is the least that passes."""

    segments: tuple[Segment, ...]
    picture: int
    share: float

    @property
    def regions(self) -> tuple[Region, ...]:
        """Stem, reductions and stages in order."""
        runs = [(name, list(run)) for name, run in groupby(self.segments, lambda segment: segment.region)]
        return tuple(Region(name, run[0].start, run[-1].depth) for name, run in runs)

    @property
    def worst(self) -> Segment:
        """The segment that is lowest relative to the line."""
        return min(self.segments, key=lambda segment: segment.ratio)

    def line(self, depth: float) -> float:
        """The geometric line from the picture's elements to those of the final representation."""
        return math.exp((1 - depth) * math.log(self.picture) + depth * math.log(self.segments[-1].line))

    @property
    def points(self) -> tuple[tuple[float, int], ...]:
        """What is measured and drawn: depth and elements of the picture, then of every segment's cut at its end.

        Straight lines between them, with the logarithm of the elements upwards as in both pictures, cross the least
        line, which is straight there too, only beside a segment that fails: what passes is seen to pass.
        """
        return (0.0, self.picture), *((segment.depth, segment.elements) for segment in self.segments)

    def elements(self, depth: float) -> float:
        """The elements at a depth between two points; the fewest where several lie at it."""
        for (start, before), (end, after) in pairwise(self.points):
            if start < depth < end:
                share = (depth - start) / (end - start)
                return math.exp((1 - share) * math.log(before) + share * math.log(after))
        return min((elements for place, elements in self.points if place == depth), default=self.points[-1][1])

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most elements that a picture of it has to hold, with a little room."""
        ends = (self.line(0.0), self.line(1.0))
        values = [*(segment.elements for segment in self.segments), *ends, *(self.share * end for end in ends)]
        return min(values) / 1.1, max(values) * 1.1

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON: the segments, the regions, and the two ends of the line."""
        return {
            "representation": [asdict(segment) for segment in self.segments],
            "regions": [asdict(region) for region in self.regions],
            "line": {"from": self.picture, "to": self.segments[-1].line, "share": self.share},
        }


def profile(architecture: Architecture, resolution: int | tuple[int, int] | None, share: float) -> Profile:
    """Measure an architecture for pictures of ``resolution`` pixels: a side, or height and width (None: its own)."""
    layout = layout_of(architecture, resolution)
    found = cuts(layout)
    starts = [0.0, *(cut.depth for cut in found)]
    segments = tuple(
        Segment(cut.segment, cut.unit, start, cut.depth, cut.elements, cut.line, cut.ratio)
        for cut, start in zip(found, starts, strict=False)
    )
    return Profile(segments, layout.picture.elements, share)


# -------------------------------------------------------------------------------------------------------------- marks


def short_names(name: str) -> tuple[str, ...]:
    """How a region may be called where there is little room, the longest first, nothing last."""
    if name.endswith(".reduction"):
        return "reduction", "red.", "r", ""
    return name, name.replace("stage", "s"), name.removeprefix("stage")[:1], ""


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two positive ones: 1, 2 and 5 times powers of ten, thinned out to at most ``most``."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]


def tick_text(value: float) -> str:
    """``500 k``, ``2 M``."""
    return re.sub(r"\.0+(?= |$)", "", quantity(value))


def verdict(profile: Profile) -> str:
    """The worst place in words."""
    worst = profile.worst
    said = "below" if worst.ratio < profile.share else "at least"
    return f"{worst.unit}, {worst.elements:,} elements, {worst.ratio:.2f} of the line ({said} {profile.share:g})"


# --------------------------------------------------------------------------------------------------------------- text

_TITLE = "representation size: elements that get through, input to output, log scale"
_ASCII = str.maketrans("▀▄·╌│┤└─┬", "==.-||+-+")
_LEAST_WIDTH = 40


def draw_profile_text(profile: Profile, *, width: int = 80, height: int = 14, ascii_only: bool = False) -> str:
    """Return the profile as lines of at most ``width`` letters (40 at least): depth to the right, elements upwards."""
    width = max(width, _LEAST_WIDTH)
    scale = _Scale(*profile.bounds, height)
    marks = {int(scale.row(value)): tick_text(value) for value in ticks(*profile.bounds, height // 2)}
    gutter = max(map(len, marks.values()), default=0) + 1
    across = width - gutter - 2
    lines = textwrap.wrap(_TITLE, width)
    for row, cells in enumerate(_cells(profile, across, scale)):
        lines.append(f"{marks.get(row, ''):>{gutter}}{'┤' if row in marks else '│'}{''.join(cells)}".rstrip())
    lines += [" " * gutter + line for line in _axis(profile, across)]
    lines += _packed(["▀ measured", "· a gentle decrease", f"╌ {profile.share:g} of it, the least that passes"], width)
    lines += textwrap.wrap(f"X worst: {verdict(profile)}", width)
    text = "\n".join(lines)
    return text.translate(_ASCII) if ascii_only else text


@dataclass(frozen=True)
class _Scale:
    """Rows of letters for the elements from ``low``, at the bottom, to ``high``."""

    low: float
    high: float
    height: int

    def row(self, elements: float) -> float:
        share = math.log(self.high / elements) / math.log(self.high / self.low)
        return min(self.height - 0.01, share * self.height)


def _cells(profile: Profile, across: int, scale: _Scale) -> list[list[str]]:
    """The lines and what is measured; a column shows one depth: that of its worst cut, or its middle if it has none."""
    cells = [[" "] * across for _ in range(scale.height)]
    cuts: dict[int, Segment] = {}
    for segment in profile.segments:
        column = max(0, math.ceil(segment.depth * across) - 1)
        if column not in cuts or segment.ratio < cuts[column].ratio:
            cuts[column] = segment
    for column in range(across):
        cut = cuts.get(column)
        depth = cut.depth if cut else (column + 0.5) / across
        elements = cut.elements if cut else profile.elements(depth)
        line = profile.line(depth)
        measured = scale.row(elements)
        row, least = int(measured), int(scale.row(line * profile.share))
        if elements < line * profile.share and row == least:  # below the least, though by less than a letter
            row, least = (row + 1, least) if row + 1 < scale.height else (row, least - 1)
        cells[int(scale.row(line))][column] = "·"
        cells[least][column] = "╌"
        # The upper or lower half of a letter.
        cells[row][column] = "X" if cut is profile.worst else "▀" if measured % 1 < 0.5 else "▄"
    return cells


def _column(depth: float, across: int) -> int:
    return min(across - 1, round(depth * across))


def _axis(profile: Profile, across: int) -> list[str]:
    """The axis with a tick where a region begins, and the regions' names as far as there is room."""
    axis, names = ["─"] * across, [" "] * across
    starts = [_column(region.start, across) for region in profile.regions]
    for region, start, end in zip(profile.regions, starts, [*starts[1:], across + 1], strict=True):
        axis[start] = "┬"
        name = next(name for name in short_names(region.name) if len(name) < end - start or not name)
        names[start : start + len(name)] = name
    return [f"└{''.join(axis)}", f" {''.join(names)}".rstrip()]


def _packed(entries: Sequence[str], width: int) -> list[str]:
    """The entries beside each other, as many on a line as fit."""
    lines: list[str] = []
    for entry in entries:
        if lines and len(lines[-1]) + 2 + len(entry) <= width:
            lines[-1] += f"  {entry}"
        else:
            lines.append(entry)
    return lines
