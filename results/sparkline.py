"""Curves and shares in one line of text."""

import math
from collections.abc import Mapping, Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*#@"


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """Draw values as a line of at most ``width`` (1 or more) letters, from their lowest to their highest.

    Of more values evenly spread ones are drawn, the first and the last among them. All equal: all at the bottom. Values
    that are not finite are gaps.
    """
    if len(values) > width:
        values = [values[place * (len(values) - 1) // max(1, width - 1)] for place in range(width - 1)] + [values[-1]]
    levels = _ASCII if ascii_only else _BLOCKS
    known = [value for value in values if math.isfinite(value)]
    low, extent = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    scale = (len(levels) - 1) / extent if extent > 0 else 0.0
    return "".join(levels[round((value - low) * scale)] if math.isfinite(value) else " " for value in values)


def shares_bar(counts: Mapping[str, int], width: int) -> str:
    """Draw counts, by the letter that stands for each, as a bar of ``width`` letters (at least one a count above 0).

    The letters' numbers are rounded so that the bar is full; "" where all counts are 0.
    """
    held = {mark: count for mark, count in counts.items() if count > 0}
    if not held:
        return ""
    room, total = max(0, width - len(held)), sum(held.values())  # one letter each, the rest by share
    exact = {mark: room * count / total for mark, count in held.items()}
    cells = {mark: 1 + int(share) for mark, share in exact.items()}
    left = max(width, len(held)) - sum(cells.values())
    for mark in sorted(exact, key=lambda mark: int(exact[mark]) - exact[mark])[:left]:
        cells[mark] += 1
    return "".join(mark * count for mark, count in cells.items())
