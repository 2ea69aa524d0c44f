"""A small plot in plain ASCII: marks on a canvas with the ends of both axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from rich.text import Text

Point = tuple[str, float, float]  # mark, x, y

LEAST_WIDTH, LEAST_HEIGHT = 36, 6  # smaller ones cannot be read


def text_plot(
    points: Sequence[Point],
    width: int,
    height: int,
    *,
    heading: str,
    legend: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    faint: str = "",
) -> Text:
    """Draw points, the last ones over the others, in at most ``width`` x ``height`` letters.

    ``points``: one at least, all finite. ``heading`` and ``legend`` stand above, in one line if they fit. ``x_text``
    and ``y_text`` write the numbers at the ends of the axes; the mark ``faint`` is dimmed. Empty where there is less
    room than 36 x 6.
    """
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return Text()
    x_low, x_high = _span([x for _, x, _ in points])
    y_low, y_high = _span([y for _, _, y in points])
    top, bottom = y_text(y_high), y_text(y_low)
    gutter = max(len(top), len(bottom))
    columns, rows = width - gutter - 2, height - 4
    canvas = [[" "] * columns for _ in range(rows)]
    for mark, x, y in points:
        canvas[_cell(y_high, y_low, y, rows)][_cell(x_low, x_high, x, columns)] = mark
    labels = [top, *[""] * (rows - 2), bottom]
    left, right = x_text(x_low), x_text(x_high)
    head = f"{heading}: {legend}" if len(heading) + len(legend) + 2 <= width else f"{heading[:width]}\n{legend}"
    text = Text(f"{head}\n", no_wrap=True)
    for label, cells in zip(labels, canvas, strict=True):
        text.append(f"{label:>{gutter}} |")
        for mark, run in itertools.groupby("".join(cells).rstrip()):
            text.append("".join(run), "dim" if mark == faint else None)
        text.append("\n")
    text.append(" " * gutter + " +" + "-" * columns + "\n")
    return text.append((" " * (gutter + 2) + left + right.rjust(columns - len(left)))[:width])


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis: those of the values, and a tenth beyond them where all are one."""
    low, high = min(values), max(values)
    room = (abs(low) / 10 or 1.0) if low == high else 0.0
    return low - room, high + room


def _cell(first: float, last: float, value: float, cells: int) -> int:
    """The cell, of `cells` from `first` to `last`, in which a value lies; the middle one where there is no extent."""
    extent = last - first
    if extent == 0 or not math.isfinite(extent):
        return cells // 2
    return round((value - first) / extent * (cells - 1))
