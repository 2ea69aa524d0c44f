"""Pictures of an architecture, from its graph: an SVG as the papers draw networks, and text for the terminal."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from results.blocks import Block, Row, Tower, blocks, folded, grid_text, quantity, short_text, strided
from results.markup import Markup, asset, element, join
from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, GlobalPool, Operation, Pool, Shape

# Pixels. The picture is drawn at its natural size; who embeds it may scale it.
_LETTER = 7.3  # one monospaced letter of 12 px
_OP_WIDTH, _OP_HEIGHT, _PITCH, _COLUMN_GAP = 92, 26, 44, 12
_GUTTER, _MARGIN, _HEADER, _TITLE, _GAP = 92, 16, 88, 28, 36
_MAIN_WIDTH, _AUX_WIDTH, _MIN_WIDTH = 340, 150, 640
_BAR = 22
_LABEL_EVERY = 320  # a tall band repeats its grid, so that one is in sight wherever the page is scrolled to

_LEGEND = (("point", "1x1"), ("square", "nxn"), ("asymmetric", "1xn nx1"), ("pool", "pool"), ("join", "join, head"))


def draw_svg(graph: Graph, *, title: str = "") -> str:
    """Return a standalone SVG of the graph, input at the top; modules that look the same in a row are drawn once.

    It follows the reader's light or dark setting and can also be put into an HTML page as it is.
    """
    every = folded(blocks(graph))
    main = [block for block in every if block.kind != "aux"]
    width = max(_frame_width(block) for block in main)
    axis, right = _GUTTER + width / 2, _GUTTER + width + _MARGIN
    sheet = _Sheet(macs=_main_macs(every), right=right)
    outlets = _draw_main(sheet, graph, main, axis)
    _draw_aux(sheet, [block for block in every if block.kind == "aux"], outlets, axis, right)
    size = (max(sheet.right + _MARGIN, _MIN_WIDTH), sheet.bottom + _MARGIN)
    return element(
        "svg",
        element("style", asset("drawing.css")),
        element("rect", class_="paper", width=_px(size[0]), height=_px(size[1])),
        _bands(sheet, _MARGIN / 2, right),
        *sheet.lines,
        *sheet.shapes,
        _heading(graph, title, every),
        xmlns="http://www.w3.org/2000/svg",
        class_="nas-drawing",
        role="img",
        aria_label=f"Drawing of {title or 'an architecture'}",
        width=_px(size[0]),
        height=_px(size[1]),
        viewBox=f"0 0 {_px(size[0])} {_px(size[1])}",
    )


def draw_text(graph: Graph, *, width: int | None = None) -> str:
    """Return one line per block: unit, grid, channels, multiply-adds and their share, towers; like modules on one line.

    With ``width``, long towers go on in their own column on the next line. Shares are of the network without
    auxiliary heads, which only training computes.
    """
    every = folded(blocks(graph))
    base = _main_macs(every)
    rows = [("unit", "grid", "channels", "MACs", "share", "towers")]
    for block in every:
        times = f" x {len(block.units)}" if len(block.units) > 1 else ""
        share = f"{100 * block.macs / base:.1f} %" if base else ""
        towers = " | ".join(_tower_text(tower) for tower in block.towers)
        channels = str(block.shape.channels)
        rows.append((block.label + times, grid_text(block.shape), channels, quantity(block.macs), share, towers))
    sizes = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [_line(row, sizes, width) for row in rows]
    heads = [block for block in every if block.kind == "aux"]
    lines.append(f"network: {_totals([block for block in every if block not in heads])}")
    if heads:
        lines.append(f"auxiliary heads, for training only: {_totals(heads)}")
    return "\n".join(lines)


# --------------------------------------------------------------------------------------------------------------- text


def _tower_text(tower: Tower) -> str:
    rows = [[short_text(node.operation) for node in row] for row in tower.rows]
    return " - ".join(row[0] if len(row) == 1 else f"({', '.join(row)})" for row in rows)


def _line(row: Sequence[str], sizes: Sequence[int], width: int | None) -> str:
    numbers = (cell.rjust(size) for cell, size in zip(row[1:5], sizes[1:5], strict=True))
    left = "  ".join((row[0].ljust(sizes[0]), *numbers, ""))
    if width is None or width - len(left) < 24:  # in a narrower column the towers would be harder to read than wrapped
        return (left + row[5]).rstrip()
    glued = re.sub("(?<![-|,]) ", "\u00a0", row[5])  # lines end after an operation and its sign, not inside
    parts = textwrap.wrap(glued, width - len(left), break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * len(left)}".join([left + parts[0], *parts[1:]]).replace("\u00a0", " ")


def _totals(some: Sequence[Block]) -> str:
    params, macs = sum(block.params for block in some), sum(block.macs for block in some)
    return f"{quantity(params)} parameters, {quantity(macs)} MACs"


def _main_macs(every: Sequence[Block]) -> int:
    return sum(block.macs for block in every if block.kind != "aux")


# ------------------------------------------------------------------------------------------------------------ picture


@dataclass
class _Layer:
    """Lines of data, and above them what they connect."""

    lines: list[Markup] = field(default_factory=list)
    shapes: list[Markup] = field(default_factory=list)

    def flow(self, *points: tuple[float, float]) -> None:
        """Draw a line of data through the points."""
        self.lines.append(element("polyline", class_="flow", points=_points(*points)))

    def arrow(self, x: float, start: float, end: float) -> None:
        """Draw a line of data down to an arrow's tip."""
        self.flow((x, start), (x, end - 5))
        corners = _points((x - 4, end - 7), (x + 4, end - 7), (x, end))
        self.lines.append(element("polygon", class_="tip", points=corners))

    def text(self, x: float, y: float, kinds: str, *parts: object, tip: str = "") -> None:
        """Write text, with the full story as its tooltip."""
        content = (element("title", tip), *parts) if tip else parts
        self.shapes.append(element("text", *content, x=_px(x), y=_px(y), class_=kinds))


@dataclass
class _Sheet(_Layer):
    """The whole page, with the places at which the grid changes along the main path."""

    macs: int = 0
    grids: list[tuple[float, str]] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    bottom: float = 0.0
    right: float = 0.0

    def grid(self, y: float, shape: Shape) -> None:
        """Begin a band at ``y`` unless the grid is the band's already."""
        if not self.grids or self.grids[-1][1] != grid_text(shape):
            self.grids.append((y, grid_text(shape)))


def _draw_main(sheet: _Sheet, graph: Graph, main: Sequence[Block], axis: float) -> dict[str, float]:
    """Draw all but the auxiliary heads; return for the end of every block the height at which it can be read."""
    sheet.grid(_HEADER, graph.input.shape)
    _draw_op(sheet, graph.input, axis, _HEADER + 10, _OP_WIDTH)
    bottom = _HEADER + 10.0 + _OP_HEIGHT
    outlets: dict[str, float] = {}
    for i, block in enumerate(main):
        top = bottom + _GAP
        sheet.arrow(axis, bottom, top)
        bottom = _draw_block(sheet, block, axis, top)
        outlets[block.end] = bottom + _GAP - 13
        if i + 1 < len(main):
            tip = f"{block.shape} leave {block.label}"
            sheet.text(axis + 10, bottom + 16, "channels", block.shape.channels, tip=tip)
    sheet.bottom = bottom
    return outlets


def _draw_aux(sheet: _Sheet, heads: Sequence[Block], outlets: dict[str, float], axis: float, right: float) -> None:
    bottoms: list[float] = []  # of each column of heads: one that would run into another gets the next column
    for block in heads:
        y = outlets[block.source]
        column = next((i for i, bottom in enumerate(bottoms) if bottom < y), len(bottoms))
        x = right + 2 * _MARGIN + _AUX_WIDTH / 2 + column * (_AUX_WIDTH + _MARGIN)
        sheet.flow((axis, y), (x, y), (x, y + 10))
        sheet.arrow(x, y + 8, y + 24)
        bottoms[column : column + 1] = [_draw_block(sheet, block, x, y + 24)]
        sheet.right = max(sheet.right, x + _AUX_WIDTH / 2)
    sheet.bottom = max([sheet.bottom, *bottoms])


def _draw_block(sheet: _Sheet, block: Block, axis: float, top: float) -> float:
    """Draw a block whose data enter at (axis, top); return its bottom."""
    layer, rows = _Layer(), max(len(tower.rows) for tower in block.towers)
    first = top + _TITLE + (14 if len(block.towers) > 1 else 0)
    end = first + rows * _PITCH - (_PITCH - _OP_HEIGHT) + 16
    bottom = end + len(block.tail) * (_BAR + 10)
    spans, last = _spans(block, axis), block.kind in ("head", "aux")
    layer.flow((axis, top), (axis, top + _TITLE))
    layer.flow((spans[0].x, top + _TITLE), (spans[-1].x, top + _TITLE))
    for tower, span in zip(block.towers, spans, strict=True):
        start = first + (rows - len(tower.rows)) * _PITCH  # towers end side by side, next to their concat
        _draw_tower(layer, tower, span.x, (top + _TITLE, start, 0 if last else end))
    if not last:
        layer.flow((axis, end), (axis, bottom))
    for i, node in enumerate(block.tail):
        _draw_bar(layer, node, spans, end + i * (_BAR + 10))
    if block.kind != "aux":
        _mark_grids(sheet, block, first, end)
        sheet.labels.append(top)
    frame = _frame(block, axis, top, bottom, sheet.macs)
    sheet.shapes.append(element("g", frame, *layer.lines, *layer.shapes, class_=f"block {block.kind}"))
    return bottom


def _frame(block: Block, axis: float, top: float, bottom: float, macs: int) -> Markup:
    layer, width, times = _Layer(), _frame_width(block), len(block.units)
    left = axis - width / 2
    for offset in (6, 3, 0) if times > 1 else (0,):  # a pile of sheets stands for several modules
        box = {"x": _px(left + offset), "y": _px(top + offset), "width": _px(width), "height": _px(bottom - top)}
        layer.shapes.append(element("rect", class_="frame", rx=8, **box))
    share = f", {100 * block.macs / macs:.1f} %" if macs else ""
    tip = f"{block.label}: {block.macs:,} MACs, {block.params:,} parameters, {block.input_shape} to {block.shape}"
    layer.text(left + 10, top + 17, "unit", block.label, f" x {times}" if times > 1 else "", tip=tip)
    if block.kind != "aux":
        layer.text(left + width - 10, top + 17, "end muted", f"{quantity(block.macs)} MACs{share}", tip=tip)
    return join(*layer.shapes)


class _Span(NamedTuple):
    """The centre and the width of a tower's column."""

    x: float
    width: float


def _op_width(operations: Sequence[Operation]) -> float:
    return max(_OP_WIDTH, *(len(short_text(operation)) * _LETTER + 16 for operation in operations), 0.0)


def _tower_width(tower: Tower) -> float:
    return max(sum(_op_width([node.operation]) + _COLUMN_GAP for node in row) - _COLUMN_GAP for row in tower.rows)


def _frame_width(block: Block) -> float:
    towers = sum(_tower_width(tower) + _COLUMN_GAP for tower in block.towers) - _COLUMN_GAP
    return max(_AUX_WIDTH if block.kind == "aux" else _MAIN_WIDTH, towers + 2 * _MARGIN)


def _spans(block: Block, axis: float) -> list[_Span]:
    widths = [_tower_width(tower) for tower in block.towers]
    x = axis - (sum(widths) + _COLUMN_GAP * (len(widths) - 1)) / 2
    spans = []
    for width in widths:
        spans.append(_Span(x + width / 2, width))
        x += width + _COLUMN_GAP
    return spans


def _draw_tower(layer: _Layer, tower: Tower, x: float, heights: tuple[float, float, float]) -> None:
    """Draw the rows below each other. ``heights``: of the source, of the first row's top, of the sink (0: none)."""
    at, top, end = heights
    for row in tower.rows:
        if len(row) == 1:
            layer.flow((x, at), (x, top))
            _draw_op(layer, row[0], x, top, _op_width([row[0].operation]))
            at = top + _OP_HEIGHT
        else:
            layer.flow((x, at), (x, top - 9))
            at = _draw_split(layer, row, x, top)
        top += _PITCH
    if end > at:
        layer.flow((x, at), (x, end))


def _draw_split(layer: _Layer, row: Row, x: float, top: float) -> float:
    widths = [_op_width([node.operation]) for node in row]
    total = sum(widths) + _COLUMN_GAP * (len(row) - 1)
    left, centres, bar = x - total / 2, [], top + _OP_HEIGHT + 5
    for node, width in zip(row, widths, strict=True):
        centres.append(left + width / 2)
        layer.flow((centres[-1], top - 9), (centres[-1], bar))
        _draw_op(layer, node, centres[-1], top, width)
        left += width + _COLUMN_GAP
    layer.flow((centres[0], top - 9), (centres[-1], top - 9))
    rect = element("rect", class_="shape", x=_px(x - total / 2), y=_px(bar), width=_px(total), height=6, rx=3)
    tip = element("title", "concat of the convolutions side by side")
    layer.shapes.append(element("g", tip, rect, class_="op join"))
    return bar + 6


def _draw_op(layer: _Layer, node: Node, x: float, top: float, width: float) -> None:
    operation = node.operation
    if strided(operation):  # the box narrows as the grid does
        corners = ((-width / 2, 0.0), (width / 2, 0.0), (width / 2 - 10, _OP_HEIGHT), (10 - width / 2, _OP_HEIGHT))
        shape = element("polygon", class_="shape", points=_points(*((x + dx, top + dy) for dx, dy in corners)))
    else:
        box = {"x": _px(x - width / 2), "y": _px(top), "width": _px(width), "height": _OP_HEIGHT}
        shape = element("rect", class_="shape", rx=5, **box)
    label: str = short_text(operation)
    if isinstance(operation, Conv):
        window, filters = label.split(" ")
        label = join(window, " ", element("tspan", filters, class_="width"))
    text = element("text", label, class_="middle", x=_px(x), y=_px(top + 17))
    tip = f"{node.name}: {operation.text()}; gives {node.shape}; {node.macs:,} MACs, {node.params:,} parameters"
    kinds = f"op {_kind(operation)}" + (" strided" if strided(operation) else "")
    layer.shapes.append(element("g", element("title", tip), shape, text, class_=kinds, data_node=node.name))


def _draw_bar(layer: _Layer, node: Node, spans: Sequence[_Span], top: float) -> None:
    left, right = spans[0].x - spans[0].width / 2, spans[-1].x + spans[-1].width / 2
    _draw_op(layer, node, (left + right) / 2, top, right - left)


def _kind(operation: Operation) -> str:
    if isinstance(operation, Conv):
        if not operation.spatial:
            return "point"
        return "square" if operation.kernel[0] == operation.kernel[1] else "asymmetric"
    return "pool" if isinstance(operation, Pool | GlobalPool) else "join"


def _mark_grids(sheet: _Sheet, block: Block, first: float, end: float) -> None:
    """Begin new bands: in a chain where each operation changes the grid, in parallel towers once all of them have."""
    if len(block.towers) == 1:
        for i, row in enumerate(block.towers[0].rows):
            sheet.grid(first + i * _PITCH + _OP_HEIGHT / 2, row[0].shape)
        return
    last = all(node.input_shapes[0][1:] == block.input_shape[1:] for tower in block.towers for node in tower.rows[-1])
    sheet.grid(end - 16 - _OP_HEIGHT / 2 if last else end, block.shape)


def _bands(sheet: _Sheet, left: float, right: float) -> Markup:
    parts: list[Markup] = []
    ends = [y for y, _ in sheet.grids[1:]] + [sheet.bottom + _MARGIN]
    for i, ((top, grid), end) in enumerate(zip(sheet.grids, ends, strict=True)):
        box = {"x": _px(left), "y": _px(top), "width": _px(right - left), "height": _px(end - top)}
        parts.append(element("rect", class_=f"band-{i % 2}", **box))
        at = top + 18
        for y in (at, *(label + 17 for label in sheet.labels if label < end)):
            if y == at or y - at > _LABEL_EVERY:
                parts.append(element("text", grid, class_="grid", x=_px(left + 10), y=_px(y)))
                at = y
    return join(*parts)


def _heading(graph: Graph, title: str, every: Sequence[Block]) -> Markup:
    layer = _Layer()
    layer.text(_MARGIN, 28, "heading", textwrap.shorten(title, 64, placeholder="...") or "Architecture", tip=title)
    main = [block for block in every if block.kind != "aux"]
    rest = " without auxiliary heads" if len(main) < len(every) else ""
    layer.text(_MARGIN, 48, "muted", f"{grid_text(graph.input.shape)} pixels, {_totals(main)}{rest}")
    x = float(_MARGIN)
    for kind, text in _LEGEND:
        box = element("rect", class_="shape", x=_px(x), y=60, width=18, height=14, rx=3)
        word = element("text", text, x=_px(x + 24), y=71.5)
        layer.shapes.append(element("g", box, word, class_=f"key {kind}"))
        x += 24 + len(text) * _LETTER + 18
    shape = element("polygon", class_="shape", points=_points((x, 60), (x + 24, 60), (x + 18, 74), (x + 6, 74)))
    word = element("text", "stride > 1", x=_px(x + 30), y=71.5)
    layer.shapes.append(element("g", shape, word, class_="key join strided"))
    return join(*layer.shapes)


def _points(*points: tuple[float, float]) -> str:
    return " ".join(f"{_px(x)},{_px(y)}" for x, y in points)


def _px(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
