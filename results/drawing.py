"""A picture of an architecture, from its graph: an SVG as the papers draw networks, in columns like a newspaper's."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from results.block_drawing import LETTER, OP_HEIGHT, GridChange, block_size, draw_block, draw_op
from results.blocks import Block, blocks, folded, grid_text
from results.marked import Marked
from results.markup import Markup, asset, element, join, with_literals
from results.strokes import Layer, points, px, rect
from results.tree import totals
from search_spaces.graph import Graph

# Pixels. The picture is drawn at its natural size; who embeds it may scale it.
_MARGIN, _HEADER, _GUTTER, _GAP, _BETWEEN, _MIN_WIDTH = 16, 104, 78, 26, 28, 540
_ARROW, _PASS = 20, 12  # how far above a head its line runs; how far outside of a column the line to the next
_PORTRAIT = 1.35  # a page is at most this much higher than wide: a sheet of paper, a little less
_EARLY = 0.8  # a column ends early, from this share of its height on, if the next grid begins there
_LABEL_EVERY = 320  # a tall band repeats its grid, so that one is in sight wherever the page is scrolled to

_DIFFERS = "differs"  # the legend of what is marked
_LEGEND = (("point", "1x1"), ("square", "nxn"), ("asymmetric", "1xn nx1"), ("pool", "pool"), ("join", "other"))


def draw_svg(graph: Graph, *, title: str = "", columns: int | None = 1, marked: Marked | None = None) -> str:
    """Return a standalone SVG of the graph, input at the top; modules that look the same in a row are drawn once.

    What is ``marked`` has a heavy outline, and the legend says that it differs (from whatever stands beside it).

    A long network goes on at the top of the next of ``columns``; with None there are as many as make a page that is
    not much higher than wide. The picture follows the reader's light or dark setting and can also be put into an HTML
    page as it is.
    """
    marked = marked or Marked()
    every = folded(blocks(graph), marked.within)
    main = [block for block in every if block.kind != "aux"]
    macs = sum(block.macs for block in main)
    page = _layout(main, [block for block in every if block.kind == "aux"], macs, columns)
    sheet = Layer()
    for column in page:
        _draw_column(sheet, graph, column, macs, marked)
    for column, following in pairwise(page):
        _draw_passage(sheet, column, following)
    heading, least = _heading(graph, title, every, marked)
    width = max(page[-1].right + _MARGIN, _MIN_WIDTH, least)
    height = max(column.lowest for column in page) + _MARGIN
    return element(
        "svg",
        element("style", with_literals(asset("drawing.css"))),
        rect(0, 0, width, height, "paper"),
        _bands(page),
        *sheet.lines,
        *sheet.shapes,
        heading,
        xmlns="http://www.w3.org/2000/svg",
        class_="nas-drawing",
        role="img",
        aria_label=f"Drawing of {title or 'an architecture'}",
        width=px(width),
        height=px(height),
        viewBox=f"0 0 {px(width)} {px(height)}",
    )


# ------------------------------------------------------------------------------------------------------------- layout


@dataclass(frozen=True)
class _Head:
    """An auxiliary head: the middle of its upper side, and the height at which a line leads to it."""

    block: Block
    x: float
    level: float
    bottom: float

    @property
    def top(self) -> float:
        return self.level + _ARROW


@dataclass
class _Column:
    """Blocks below each other on one axis, in a band from ``left`` to ``end``; auxiliary heads beside it."""

    blocks: Sequence[Block]
    left: float
    axis: float
    end: float
    tops: list[float] = field(default_factory=list)
    heads: list[_Head] = field(default_factory=list)
    bottom: float = 0.0
    exit: float = 0.0  # height of the line that leads on to the next column
    right: float = 0.0
    grids: list[GridChange] = field(default_factory=list)

    @property
    def lowest(self) -> float:
        """Where the last thing in the column ends."""
        return max(self.exit, *(head.bottom for head in self.heads), 0.0)


def _layout(main: Sequence[Block], aux: Sequence[Block], macs: int, columns: int | None) -> list[_Column]:
    """Place everything, in ``columns`` or, for None, in as few as make a page."""
    count = columns or 1
    while True:
        page: list[_Column] = []
        for members in _divide(main, count, macs):
            left = page[-1].right + _BETWEEN if page else _MARGIN / 2
            page.append(_column(members, aux, macs, left, _HEADER if page else _HEADER + 10 + OP_HEIGHT))
        if columns or count >= len(main) or max(c.lowest for c in page) <= _PORTRAIT * max(page[-1].right, _MIN_WIDTH):
            return page
        count += 1


def _divide(main: Sequence[Block], count: int, macs: int) -> list[list[Block]]:
    """Divide the blocks into at most ``count`` columns of about the same height."""
    heights = [block_size(block, macs).height + _GAP for block in main]
    low, high = 0.0, sum(heights) / _EARLY  # no column ends early then
    while high - low > 1:
        limit = (low + high) / 2
        low, high = (low, limit) if len(_fill(main, heights, limit)) <= count else (limit, high)
    return _fill(main, heights, high)


def _fill(main: Sequence[Block], heights: Sequence[float], limit: float) -> list[list[Block]]:
    filled: list[list[Block]] = [[]]
    used = 0.0
    for block, height in zip(main, heights, strict=True):
        if filled[-1] and (used + height > limit or (block.kind == "reduction" and used > _EARLY * limit)):
            filled.append([])
            used = 0.0
        filled[-1].append(block)
        used += height
    return filled


def _column(members: Sequence[Block], aux: Sequence[Block], macs: int, left: float, top: float) -> _Column:
    sizes = [block_size(block, macs) for block in members]
    width = max(size.width for size in sizes)
    column = _Column(members, left, left + _GUTTER + width / 2, left + _GUTTER + width + _MARGIN)
    levels: dict[str, float] = {}
    for block, size in zip(members, sizes, strict=True):
        column.tops.append(top + _GAP)
        top += _GAP + size.height
        levels[block.end] = top + _GAP - 7  # below the number of channels
    column.bottom = top + _MARGIN
    heads = [head for head in aux if head.source in levels]
    beside = [head for head in heads if head.source != members[-1].end]
    lows = [levels[head.source] + _ARROW + block_size(head, macs).height for head in beside]
    # what hangs on the last block hangs on the line to the next column, which passes below everything else
    column.exit = levels[members[-1].end] = max([column.bottom, *lows]) + _PASS
    column.heads = _heads(heads, levels, column.end + _MARGIN, macs)
    column.right = max([column.end, *(head.x + block_size(head.block, macs).width / 2 for head in column.heads)])
    return column


def _heads(heads: Sequence[Block], levels: Mapping[str, float], left: float, macs: int) -> list[_Head]:
    """Place heads in lanes from ``left`` on: one that reaches down to lower ones stands outside of their lanes.

    So the line to a head, which runs at its own level, meets no other head.
    """
    sizes = [block_size(head, macs) for head in heads]
    pitch = max((size.width for size in sizes), default=0.0) + _MARGIN
    placed: list[_Head] = []
    lanes: list[int] = []
    for head, size in sorted(zip(heads, sizes, strict=True), key=lambda pair: -levels[pair[0].source]):
        level = levels[head.source]
        bottom = level + _ARROW + size.height
        lane = max((lane + 1 for lane, lower in zip(lanes, placed, strict=True) if lower.level < bottom), default=0)
        placed.append(_Head(head, left + lane * pitch + size.width / 2, level, bottom))
        lanes.append(lane)
    return placed


# ------------------------------------------------------------------------------------------------------------ drawing


def _draw_column(sheet: Layer, graph: Graph, column: _Column, macs: int, marked: Marked) -> None:
    """Draw blocks, heads and the lines between them, and note the grids on the way."""
    if column.tops[0] > _HEADER + _GAP:
        draw_op(sheet, graph.input, column.axis, _HEADER + 10)
        column.grids.append(GridChange(_HEADER, graph.input.shape))
    else:
        column.grids.append(GridChange(_HEADER, column.blocks[0].input_shape))
    for block, top in zip(column.blocks, column.tops, strict=True):
        sheet.arrow((column.axis, top - _GAP), (column.axis, top))
        column.grids += draw_block(sheet, block, column.axis, top, macs, marked)
        if block.kind != "head":
            tip = f"{block.shape} leave {block.label}"
            sheet.text(
                column.axis + 8, top + block_size(block, macs).height + 15, "channels", block.shape.channels, tip=tip
            )
    for head in column.heads:
        sheet.arrow((column.axis, head.level), (head.x, head.level), (head.x, head.top))
        draw_block(sheet, head.block, head.x, head.top, macs, marked)


def _draw_passage(sheet: Layer, column: _Column, following: _Column) -> None:
    """Lead the data from below a column to above the next."""
    last = column.tops[-1] + block_size(column.blocks[-1], 1).height
    lane, above = (column.right + following.left) / 2, _HEADER - _PASS
    sheet.flow((column.axis, last), (column.axis, column.exit), (lane, column.exit), (lane, above))
    sheet.flow((lane, above), (following.axis, above), (following.axis, _HEADER))
    middle = (column.exit + above) / 2
    tip = points((lane - 5, middle + 5), (lane + 5, middle + 5), (lane, middle - 5))
    sheet.lines.append(element("polygon", class_="tip", points=tip))
    shape = column.blocks[-1].shape
    sheet.text(
        following.axis + 8, _HEADER + 15, "channels", shape.channels, tip=f"{shape} leave {column.blocks[-1].label}"
    )


def _bands(page: Sequence[_Column]) -> Markup:
    parts: list[Markup] = []
    seen: list[str] = []  # each grid once, in order: neighbours differ in colour, also across columns
    for column in page:
        grids = [(change.y, grid_text(change.shape)) for change in column.grids]
        ends = [y for y, _ in grids[1:]] + [column.bottom]
        for (top, grid), end in zip(grids, ends, strict=True):
            if not seen or seen[-1] != grid:
                seen.append(grid)
            parts.append(rect(column.left, top, column.end - column.left, end - top, f"band-{len(seen) % 2}"))
            at = top + 18
            for y in (at, *(label + 17 for label in column.tops if label < end - _GAP)):
                if y == at or y - at > _LABEL_EVERY:
                    parts.append(element("text", grid, class_="grid", x=px(column.left + 8), y=px(y)))
                    at = y
    return join(*parts)


def _heading(graph: Graph, title: str, every: Sequence[Block], marked: Marked) -> tuple[Markup, float]:
    """Title, figures and legend, and the width that they take."""
    layer = Layer()
    layer.text(_MARGIN, 28, "heading", textwrap.shorten(title, 44, placeholder="...") or "Architecture", tip=title)
    main = [block for block in every if block.kind != "aux"]
    rest = " without auxiliary heads" if len(main) < len(every) else ""
    layer.text(_MARGIN, 46, "muted", f"{grid_text(graph.input.shape)} pixels, {totals(main)}{rest}")
    x = float(_MARGIN)
    for kind, text in _LEGEND:
        word = element("text", text, x=px(x + 24), y=69.5)
        layer.shapes.append(element("g", rect(x, 58, 18, 14, "shape", rx=3), word, class_=f"key {kind}"))
        x += 24 + len(text) * LETTER + 16
    shape = element("polygon", class_="shape", points=points((x, 58), (x + 24, 58), (x + 18, 72), (x + 6, 72)))
    word = element("text", "stride > 1", x=px(x + 30), y=69.5)
    layer.shapes.append(element("g", shape, word, class_="key join strided"))
    x += 30 + len("stride > 1") * LETTER + _MARGIN
    if marked:
        word = element("text", _DIFFERS, x=px(x + 24), y=69.5)
        layer.shapes.append(element("g", rect(x, 58, 18, 14, "shape", rx=3), word, class_="key differs"))
        x += 24 + len(_DIFFERS) * LETTER + _MARGIN
    return join(*layer.shapes), x
