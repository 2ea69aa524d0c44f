"""An architecture as text for the terminal: one line per block."""

import re
import textwrap
from collections.abc import Sequence

from results.blocks import Block, blocks, folded, grid_text, quantity, short_text
from results.series import Parallel, Series, block_series
from search_spaces.graph import Graph

_HEADINGS = ("unit", "grid", "channels", "MACs", "share", "towers")


def draw_text(graph: Graph, *, width: int | None = None) -> str:
    """Return one line per block: unit, grid, channels, multiply-adds and their share, towers; like modules on one line.

    With ``width``, long towers go on in their own column on the next line, or indented below it where that column
    would be too narrow. Shares are of the network without auxiliary heads, which only training computes.
    """
    every = folded(blocks(graph))
    heads = [block for block in every if block.kind == "aux"]
    main = [block for block in every if block.kind != "aux"]
    base = sum(block.macs for block in main)
    rows = [_HEADINGS, *(_row(block, base) for block in every)]
    sizes = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [_line(row, sizes, width) for row in rows]
    lines.append(f"network: {totals(main)}")
    if heads:
        lines.append(f"auxiliary heads, for training only: {totals(heads)}")
    return "\n".join(lines)


def totals(some: Sequence[Block]) -> str:
    """``23.8 M parameters, 5.71 G MACs``."""
    params, macs = sum(block.params for block in some), sum(block.macs for block in some)
    return f"{quantity(params)} parameters, {quantity(macs)} MACs"


def _row(block: Block, base: int) -> tuple[str, ...]:
    times = f" x {len(block.units)}" if len(block.units) > 1 else ""
    share = f"{100 * block.macs / base:.1f} %" if base else ""
    towers = _series_text(block_series(block))
    return block.label + times, grid_text(block.shape), str(block.shape.channels), quantity(block.macs), share, towers


def _series_text(parts: Series) -> str:
    """Towers of a module are separated by bars; those inside a tower or a stem stand in brackets."""
    if len(parts) == 1 and isinstance(parts[0], Parallel):
        return " | ".join(_chain_text(tower) for tower in parts[0].towers)
    return _chain_text(parts)


def _chain_text(parts: Series) -> str:
    return " - ".join(
        f"({', '.join(_chain_text(tower) for tower in part.towers)})"
        if isinstance(part, Parallel)
        else short_text(part.operation)
        for part in parts
    )


def _line(row: Sequence[str], sizes: Sequence[int], width: int | None) -> str:
    numbers = (cell.rjust(size) for cell, size in zip(row[1:5], sizes[1:5], strict=True))
    left = "  ".join((row[0].ljust(sizes[0]), *numbers, ""))
    if width is None or len(left + row[5]) <= width:
        return (left + row[5]).rstrip()
    glued = re.sub("(?<![-|,]) ", "\u00a0", row[5])  # lines end after an operation and its sign, not inside
    indent = len(left) if width - len(left) >= _NARROW else 4
    parts = textwrap.wrap(glued, max(width - indent, 20), break_long_words=False, break_on_hyphens=False)
    if indent < len(left):
        parts.insert(0, "")
    first = (left + parts[0]).rstrip()
    return f"\n{' ' * indent}".join([first, *parts[1:]]).replace("\u00a0", " ")


_NARROW = 30  # letters of the towers' column; a narrower one would be harder to read than lines of their own
