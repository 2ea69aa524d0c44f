"""What is shown on standard error while something takes seconds: that it runs, or how far it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from results.plain_text import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


EVERY = 30.0  # seconds after which a line is due, where nothing moves


@contextmanager
def show_bar(
    console: "Console", name: str, done: str, *, before: Callable[[], None] = lambda: None
) -> Iterator[Callable[[int, int], None]]:
    """Give what is told how many of how many are ``done`` ("pictures decoded"): a bar, or lines where nothing moves.

    A line comes at every quarter, and between them when the last is half a minute old. Nothing is shown before the
    first number; ``before`` is called then, to end what is shown until then.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn(done), TimeRemainingColumn()
    bar = Progress(TextColumn("{task.description}", markup=False), *columns, console=console, transient=True)
    name = plain(name)  # of data, or of a study
    task, quarters, last = bar.add_task(name, total=None), 0, time.monotonic()

    def tell(count: int, total: int) -> None:
        nonlocal quarters, last
        before()
        if console.is_terminal:
            bar.start()
            bar.update(task, completed=count, total=total)
        elif 4 * count // total > quarters or time.monotonic() - last >= EVERY:
            quarters, last = 4 * count // total, time.monotonic()
            line = f"{name}: {count:,} of {total:,} {done}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()


class Waiting:
    """What is said of something that takes seconds while it runs. This one says nothing: for what is quick."""

    def say(self, sentence: str) -> None:
        """Say what is under way from now on."""

    def end(self) -> None:
        """End what moves, before something else is shown."""


class _Moving(Waiting):
    """Beside something that moves, on a terminal."""

    def __init__(self, status: "Status") -> None:
        self.status = status

    def say(self, sentence: str) -> None:
        from rich.text import Text

        self.status.update(Text(plain(sentence)))
        self.status.start()

    def end(self) -> None:
        self.status.stop()


class _InLines(Waiting):
    """In a line, where nothing moves."""

    def __init__(self, console: "Console") -> None:
        self.console = console

    def say(self, sentence: str) -> None:
        self.console.print(f"{plain(sentence)} ...", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def working(console: "Console", sentence: str, *, slow: bool = True) -> Iterator[Waiting]:
    """Say what takes seconds while it runs: beside something that moves on a terminal, else in a line.

    Gives what says more of it, and ends it early. Says nothing if it is not ``slow``.
    """
    if not slow:
        yield Waiting()
    elif console.is_terminal:
        from rich.text import Text

        with console.status(Text(plain(sentence))) as status:
            yield _Moving(status)
    else:
        waiting = _InLines(console)
        waiting.say(sentence)
        yield waiting
