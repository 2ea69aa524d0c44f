"""A named table of plain data: what every statistic and figure can become, as CSV and as JSON."""

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

from results.plain_text import plain

Cell = str | int | float | bool | None
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # what spreadsheets take for one, in full width too


@dataclass(frozen=True)
class DataTable:
    """``name``: letters and hyphens, what its files are called by. ``rows``: as many cells each as there are columns.

    None is what is not known. Texts may be anything that a study holds.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.name!r} has rows that are not of {len(self.columns)} cells, one a column")

    def as_data(self) -> dict[str, Any]:
        """Return plain data; numbers that are not finite, which JSON cannot write, are None."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            "rows": [[cell if _writable(cell) else None for cell in row] for row in self.rows],
        }

    def as_csv(self) -> str:
        r"""Return the table as CSV (RFC 4180): a line of columns, then a line a row; what is not known is empty.

        Numbers are written as they are. In texts, line ends and what steers terminals or the direction of writing
        become escapes (\n, \x1b), so that a row is a line; a text that a spreadsheet would take for a formula, with
        spaces before it or not, gets an apostrophe first, as OWASP advises against CSV injection.
        """
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([_csv_text(column) for column in self.columns])
        writer.writerows([[_csv_cell(cell) for cell in row] for row in self.rows])
        return text.getvalue()


def _writable(cell: Cell) -> bool:
    return not isinstance(cell, float) or math.isfinite(cell)


def _csv_cell(cell: Cell) -> str | int | float:
    if cell is None or not _writable(cell):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return _csv_text(cell) if isinstance(cell, str) else cell


def _csv_text(text: str) -> str:
    written = plain(text)
    return f"'{written}" if written.lstrip().startswith(_FORMULA) else written
