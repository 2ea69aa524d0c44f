"""One block of a drawing: a frame, and in it the operations below each other and the towers side by side."""

from typing import NamedTuple

from results.blocks import Block, quantity, short_text, strided
from results.marked import Marked
from results.markup import Markup, element, join
from results.series import Parallel, Series, block_series
from results.strokes import Layer, points, px, rect
from search_spaces.graph import Node
from search_spaces.operations import AdaptivePool, Conv, GlobalPool, Operation, Shape, Window

# Pixels.
LETTER = 7.3  # one monospaced letter of 12 px
OP_HEIGHT = 22
_BOLD, _WORD = 8.4, 7.0  # one letter of a block's name, and of its figures: a wide font's, on average
_OP_WIDTH, _ROW_GAP, _COLUMN_GAP, _THIN_JOIN, _JOIN = 80, 10, 8, 6, 18
_TITLE, _PADDING, _SIDE = 24, 8, 12


_NOTHING = Marked()


class Size(NamedTuple):
    """Width and height."""

    width: float
    height: float


class GridChange(NamedTuple):
    """A height of the drawing, and the shape from there on."""

    y: float
    shape: Shape


def block_size(block: Block, macs: int) -> Size:
    """The size of a block's frame. ``macs`` are those of the network, of which the frame tells the share."""
    inner = _series_size(block_series(block), 0)
    least = len(_title(block)) * _BOLD - 8
    if block.kind != "aux":  # the data enter in the middle, between the name and the figures
        least = 2 * max(least, len(_figures(block, macs)) * _WORD)
    return Size(max(inner.width, least) + 2 * _SIDE, _TITLE + inner.height + _PADDING)


def draw_block(
    sheet: Layer, block: Block, axis: float, top: float, macs: int, marked: Marked = _NOTHING
) -> list[GridChange]:
    """Draw a block whose data enter at (axis, top) and leave below; return where the grid changes on the way."""
    layer, size, parts = Layer(), block_size(block, macs), block_series(block)
    end, bottom = top + size.height - _PADDING, top + size.height
    layer.flow((axis, top), (axis, top + _TITLE))
    _draw_series(layer, parts, axis, top + _TITLE, 0, marked)
    if block.kind not in ("head", "aux"):
        layer.flow((axis, end), (axis, bottom))
    group = Layer()
    _frame(group, block, axis - size.width / 2, top, size, macs)
    group.put(layer, "inside")
    sheet.put(group, f"block {block.kind}" + (" differs" if block.units[0] in marked.blocks else ""))
    return _grid_changes(parts, block.input_shape, top + _TITLE)


def draw_op(
    layer: Layer,
    node: Node,
    x: float,
    top: float,
    width: float | None = None,
    height: int = OP_HEIGHT,
    *,
    differs: bool = False,
) -> None:
    """Draw one operation in a box whose upper side is centred on (x, top)."""
    operation = node.operation
    width = _op_width(operation) if width is None else width
    if strided(operation):  # the box narrows as the grid does
        corners = ((-width / 2, 0.0), (width / 2, 0.0), (width / 2 - 7, height), (7 - width / 2, height))
        shape = element("polygon", class_="shape", points=points(*((x + dx, top + dy) for dx, dy in corners)))
    else:
        shape = rect(x - width / 2, top, width, height, "shape", rx=4)
    tip = f"{node.name}: {operation.text()}; gives {node.shape}; {node.macs:,} MACs, {node.params:,} parameters"
    tip += "; differs" if differs else ""
    parts: list[Markup] = [element("title", tip), shape]
    if height > _THIN_JOIN:
        parts.append(element("text", _label(operation), class_="middle", x=px(x), y=px(top + height / 2 + 4.2)))
    kinds = f"op {_kind(operation)}" + (" strided" if strided(operation) else "") + (" differs" if differs else "")
    layer.shapes.append(element("g", *parts, class_=kinds, data_node=node.name))


# -------------------------------------------------------------------------------------------------------------- sizes


def _op_width(operation: Operation) -> float:
    return max(_OP_WIDTH, len(short_text(operation)) * LETTER + (22 if strided(operation) else 14))


def _series_size(parts: Series, level: int) -> Size:
    sizes = [_part_size(part, level) for part in parts]
    heights = sum(size.height for size in sizes) + _ROW_GAP * (len(sizes) - 1)
    return Size(max((size.width for size in sizes), default=_OP_WIDTH / 2), max(heights, 0))


def _part_size(part: Node | Parallel, level: int) -> Size:
    if not isinstance(part, Parallel):
        return Size(_op_width(part.operation), OP_HEIGHT)
    sizes = [_series_size(tower, level + 1) for tower in part.towers]
    width = sum(size.width for size in sizes) + _COLUMN_GAP * (len(sizes) - 1)
    return Size(width, max(size.height for size in sizes) + 2 * _ROW_GAP + _join_height(level))


def _join_height(level: int) -> int:
    """A concat inside a tower is a thin bar: its tower says what it is."""
    return _THIN_JOIN if level else _JOIN


# ------------------------------------------------------------------------------------------------------------ drawing


def _draw_series(layer: Layer, parts: Series, x: float, top: float, level: int, marked: Marked) -> None:
    """Draw the parts below each other from ``top`` on, with the lines between them."""
    for i, part in enumerate(parts):
        if i:
            layer.flow((x, top - _ROW_GAP), (x, top))
        size = _part_size(part, level)
        if isinstance(part, Parallel):
            _draw_parallel(layer, part, x, top, level, marked)
        else:
            draw_op(layer, part, x, top, differs=part.name in marked.nodes)
        top += size.height + _ROW_GAP


def _draw_parallel(layer: Layer, part: Parallel, x: float, top: float, level: int, marked: Marked) -> None:
    whole, at = _part_size(part, level), x - _part_size(part, level).width / 2
    end = top + whole.height - _join_height(level)
    centres = []
    for tower in part.towers:
        size = _series_size(tower, level + 1)
        centre, first = at + size.width / 2, end - _ROW_GAP - size.height  # towers end side by side, above their join
        layer.flow((centre, top), (centre, first))
        _draw_series(layer, tower, centre, first, level + 1, marked)
        layer.flow((centre, end - _ROW_GAP), (centre, end))
        centres.append(centre)
        at += size.width + _COLUMN_GAP
    layer.flow((min(x, centres[0]), top), (max(x, centres[-1]), top))
    differs = part.join.name in marked.nodes
    draw_op(layer, part.join, x, end, whole.width, _join_height(level), differs=differs)


def _frame(layer: Layer, block: Block, left: float, top: float, size: Size, macs: int) -> None:
    for offset in (6, 3, 0) if len(block.units) > 1 else (0,):  # a pile of sheets stands for several modules
        layer.shapes.append(rect(left + offset, top + offset, size.width, size.height, "frame", rx=6))
    tip = f"{block.label}: {block.macs:,} MACs, {block.params:,} parameters, {block.input_shape} to {block.shape}"
    layer.text(left + 8, top + 15, "unit", _title(block), tip=tip)
    if block.kind != "aux":
        layer.text(left + size.width - 8, top + 15, "end muted", _figures(block, macs), tip=tip)


def _title(block: Block) -> str:
    return block.label + (f" x {len(block.units)}" if len(block.units) > 1 else "")


def _figures(block: Block, macs: int) -> str:
    return f"{quantity(block.macs)} MACs" + (f", {100 * block.macs / macs:.1f} %" if macs else "")


def _label(operation: Operation) -> str:
    text: str = short_text(operation)
    if not isinstance(operation, Conv):
        return text
    window, width = text.split(" ")
    return join(window, " ", element("tspan", width, class_="width"))


def _kind(operation: Operation) -> str:
    if isinstance(operation, Conv):
        if not operation.spatial:
            return "point"
        return "square" if operation.kernel[0] == operation.kernel[1] else "asymmetric"
    return "pool" if isinstance(operation, Window | GlobalPool | AdaptivePool) else "join"


# -------------------------------------------------------------------------------------------------------------- grids


def _grid_changes(parts: Series, before: Shape, top: float) -> list[GridChange]:
    """Where the grid changes: in the middle of an operation, and of a module once all of its towers have changed it."""
    found = []
    for part in parts:
        size = _part_size(part, 0)
        after = part.join.shape if isinstance(part, Parallel) else part.shape
        if after[1:] != before[1:]:
            last = isinstance(part, Parallel) and _changes_at_the_end(part, before)
            lift = _JOIN + _ROW_GAP + OP_HEIGHT / 2 if last else _JOIN if isinstance(part, Parallel) else OP_HEIGHT / 2
            found.append(GridChange(top + size.height - lift, after))
        before = after
        top += size.height + _ROW_GAP
    return found


def _changes_at_the_end(part: Parallel, before: Shape) -> bool:
    ends = [tower[-1] for tower in part.towers if tower]
    return all(isinstance(end, Node) and end.input_shapes[0][1:] == before[1:] for end in ends)
