"""Tables on terminals that are too narrow for them: no figure is cut, the cells go below each other instead."""

from copy import copy
from dataclasses import replace

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


def needed_width(table: Table) -> int:
    """The letters that a table takes with every cell whole, columns that may be folded at their least width."""
    narrowest = copy(table)
    narrowest.columns = [
        replace(column, max_width=column.min_width) if column.min_width else column for column in table.columns
    ]
    wide = Console(width=10_000)
    return Measurement.get(wide, wide.options, narrowest).maximum


def narrowed(table: Table, width: int) -> Table:
    """The table if it fits into ``width`` letters, else one with a line for each cell, under the cell's heading.

    Columns that may be folded are those with a least width.
    """
    if needed_width(table) <= width:
        return table
    listed = Table.grid(padding=(0, 2, 0, 0))
    listed.min_width = width  # for title and caption
    listed.title, listed.title_justify = table.title, "left"
    listed.caption, listed.caption_justify = table.caption, "left"
    listed.add_column(overflow="fold", style="dim")
    listed.add_column(overflow="fold")
    cells = [list(column.cells) for column in table.columns]
    for number, row in enumerate(table.rows):
        if number:
            listed.add_row("", "")
        for column, of_column in zip(table.columns, cells, strict=True):
            listed.add_row(_one_line(column.header), of_column[number], style=row.style)
    return listed


def _one_line(heading: object) -> Text:
    return Text(" ".join(str(heading).split()))
