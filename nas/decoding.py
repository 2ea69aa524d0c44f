"""What is shown while a folder of pictures is decoded for the first time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def show_decoding(console: "Console", source: str) -> Iterator[Callable[[int, int], None]]:
    """Give what is told how many pictures of how many are decoded: a bar on a terminal, else a line a quarter."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("pictures decoded"), TimeRemainingColumn()
    bar = Progress(TextColumn("{task.description}", markup=False), *columns, console=console, transient=True)
    task, quarters = bar.add_task(source, total=None), 0

    def tell(done: int, total: int) -> None:
        nonlocal quarters
        if console.is_terminal:
            bar.start()  # at the first picture: where there is a cache, nothing is shown
            bar.update(task, completed=done, total=total)
        elif 4 * done // total > quarters:
            quarters = 4 * done // total
            line = f"{source}: {done:,} of {total:,} pictures decoded"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
