"""An ablation in a terminal: the two arms as a table, a strip of their errors, and the differences. Plain ASCII."""

import math
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from results.ablation import Ablation, notes, points_text, verdict
from results.equal_cost import EQUAL, Difference, Share, partners, quantiles


def ablation_blocks(ablation: Ablation, width: int) -> Iterator[Table | str]:
    """Yield what is printed, one block after another; ``width`` of the terminal in characters."""
    yield f"{ablation.principle} on and off: errors after {ablation.epochs} epoch{'s' * (ablation.epochs != 1)}"
    yield _arms(ablation)
    if strip := _strips(ablation, min(width, 100)):
        yield strip
    yield _differences(ablation)
    yield verdict(ablation)
    yield from (f"- {note}" for note in notes(ablation))


def _table(*heads: str) -> Table:
    """A table without lines, narrow enough for 80 columns: a name, then figures."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(Text(head), justify="left" if head == heads[0] else "right", no_wrap=True)
    return table


def _arms(ablation: Ablation) -> Table:
    weights = partners(ablation.on.points, ablation.off.points)
    table = _table("", "trained", "failed", "breaks", "lowest", "25 %", "median", "75 %", "highest")
    arms = (ablation.on, ablation.off)
    for arm in arms:
        counts = (arm.trained, arm.failed, arm.breaking)
        table.add_row(arm.word, *map(str, counts), *_errors(quantiles(arm.points)))
    for arm, weight in zip(arms, weights, strict=True):
        table.add_row(f"{arm.word}, equal MACs", "", "", "", *_errors(quantiles(arm.points, weight)))
    return table


def _errors(found: Sequence[float]) -> list[str]:
    return [f"{100 * error:.1f} %" for error in found] or ["-"] * 5


def _strips(ablation: Ablation, width: int) -> str:
    """One line per arm: how many trials have the error of that place, 9 standing for 9 and more."""
    errors = [point.error for arm in (ablation.on, ablation.off) for point in arm.points]
    columns = width - 8
    if not errors or columns < 20:
        return ""
    low, high = min(errors), max(errors)
    scale = math.log if low > 0 else float  # a log scale where it is possible: the tail is long
    lines = [f"trials by error ({'log scale; ' if low > 0 else ''}9 stands for 9 or more)"]
    for arm in (ablation.on, ablation.off):
        cells = [0] * columns
        for point in arm.points:
            extent = scale(high) - scale(low)
            cells[round((scale(point.error) - scale(low)) / extent * (columns - 1)) if extent else columns // 2] += 1
        lines.append(f"{arm.word:>4} |" + "".join(str(min(count, 9)) if count else " " for count in cells) + "|")
    left, right = f"{100 * low:.2f} %", f"{100 * high:.2f} %"
    lines.append(" " * 6 + left + right.rjust(columns - len(left)))
    return "\n".join(lines)


def _differences(ablation: Ablation) -> Table:
    table = _table("on less off", "points", "95 % interval", "pairs", "on lower")
    rows: tuple[tuple[str, Difference | None], ...] = (
        (f"error, equal MACs (within {EQUAL - 1:.0%})", ablation.equal),
        ("error, any MACs", ablation.raw),
        (f"error, equal MACs, {ablation.breaking} that break it", ablation.broken),
    )
    for name, found in rows:
        more = ("-", "-") if found is None else (str(found.pairs), f"{found.lower:.0%}")
        table.add_row(name, *_interval(found), *more)
    table.add_row("share of failed trials", *_interval(ablation.failures), "", "")
    return table


def _interval(found: Difference | Share | None) -> tuple[str, str]:
    if found is None:
        return "-", "too few trials"
    return points_text(found.value), f"{points_text(found.low)} to {points_text(found.high)}"
