"""What ``nas evaluate`` shows to people."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nas.evaluation import Evaluated

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_CLASSES = 40  # shown; the worst of more
DEVICES = {"cpu": "CPU", "cuda": "GPU"}


def blocks(evaluated: Evaluated, width: int) -> "Iterator[RenderableType]":
    """The scores, then a row for every class, the worst first, on a terminal of ``width`` letters."""
    scores, members = evaluated.scores, evaluated.members
    who = members[0] if len(members) == 1 else f"an ensemble of {len(members)}"
    yield (
        f"{evaluated.architecture} ({who}) on {scores.pictures:,} pictures of {evaluated.data} ({evaluated.part}), "
        f"{evaluated.view} of {evaluated.resolution} px, in {evaluated.precision} on the {DEVICES[evaluated.device]}"
    )
    top5 = "" if scores.top5_error is None else f", top-5 error {scores.top5_error:.2%}"
    yield (
        f"top-1 error {scores.top1_error:.2%}{top5}, cross-entropy {scores.loss:.3f} nats, "
        f"calibration error {scores.calibration_error:.2%}"
    )
    yield _classes(evaluated, width)
    if (more := len(scores.classes) - MOST_CLASSES) > 0:
        yield f"and {more} more classes: --json has them all"


def _classes(evaluated: Evaluated, width: int) -> "RenderableType":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from results.narrow import narrowed

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", overflow="fold", min_width=10)
    for column in ("pictures", "recognised", "right when\nnamed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("most taken\nfor", overflow="fold", min_width=10)
    worst = sorted(evaluated.scores.classes, key=lambda row: (row.recall is None, row.recall))
    for row in worst[:MOST_CLASSES]:
        shares = ("-" if share is None else f"{share:.1%}" for share in (row.recall, row.precision))
        table.add_row(Text(row.name), f"{row.pictures:,}", *shares, Text(row.taken_for or ""))
    return narrowed(table, width)
