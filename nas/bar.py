"""A bar for work that is counted, decoding pictures say, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def show_bar(console: "Console", name: str, done: str) -> Iterator[Callable[[int, int], None]]:
    """Give what is told how many of how many are ``done`` ("pictures decoded"): a bar, or a line at every quarter.

    Nothing is shown before the first is.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn(done), TimeRemainingColumn()
    bar = Progress(TextColumn("{task.description}", markup=False), *columns, console=console, transient=True)
    task, quarters = bar.add_task(name, total=None), 0

    def tell(count: int, total: int) -> None:
        nonlocal quarters
        if console.is_terminal:
            bar.start()
            bar.update(task, completed=count, total=total)
        elif 4 * count // total > quarters:
            quarters = 4 * count // total
            line = f"{name}: {count:,} of {total:,} {done}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
