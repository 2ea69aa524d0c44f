"""What a full training shows while it runs, on standard error: a live view on a terminal, a line an epoch elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nas.waiting import show_bar
from trainers.watch import Watch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class TrainingView(Watch):
    """Shows nothing, and remembers whether an end was asked for: for programs and tests."""

    @contextmanager
    def decoding(self, source: str) -> Iterator[Callable[[int, int], None] | None]:
        """Give what is told how many pictures of how many are decoded; None: the log."""
        yield None

    def known(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Learn what the training measured before, one mapping an epoch."""

    def stop(self) -> None:
        """Ask for an end after the running epoch."""
        self.stopping = True

    def __enter__(self) -> "TrainingView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the show."""


class TrainingShown(TrainingView):
    """Epochs done, the last and the best error, the rate and the time left."""

    def __init__(self, console: "Console", name: str, before: Callable[[], None] = lambda: None) -> None:
        """``before`` ends what is shown until then, before anything else is."""
        self.console, self.name, self.before = console, name, before
        self.best: tuple[float, int] | None = None
        self._bars: Progress | None = None
        self._epochs: TaskID | None = None
        self._steps: TaskID | None = None
        self._since, self._first = time.monotonic(), 0

    @contextmanager
    def decoding(self, source: str) -> Iterator[Callable[[int, int], None] | None]:
        """Show how many pictures are decoded."""
        with show_bar(self.console, source, "pictures decoded", before=self.before) as tell:
            yield tell

    def known(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Learn which epoch was the best until now."""
        self.best = min(((each["validation_error"], each["epoch"]) for each in metrics), default=None)

    def begin(self, done: int, epochs: int) -> None:
        """Learn how many of how many epochs are done."""
        self._since, self._first, self._of = time.monotonic(), done, epochs
        self.before()
        if 0 < done < epochs:  # after Ctrl-C, or because more epochs are asked for than before
            self._line(f"training {self.name} goes on from epoch {done} of {epochs}")
        elif not self.console.is_terminal:
            self._line(f"training {self.name}: {done} of {epochs} epochs done")
        if not self.console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=self.console, transient=True)
        self._epochs = self._bars.add_task("epochs", total=epochs, completed=done)
        self._bars.start()

    def step(self, done: int, steps: int) -> None:
        """A step of the running epoch is done."""
        if self._bars is None:
            return
        if self._steps is None:  # several workers tell of no steps
            self._steps = self._bars.add_task("steps")
        self._bars.update(self._steps, completed=done, total=steps)

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """An epoch is done and saved."""
        number, error = metrics["epoch"], metrics["validation_error"]
        if self.best is None or error < self.best[0]:
            self.best = (error, number)
        left = (time.monotonic() - self._since) / (number - self._first) * (self._of - number)
        self._line(
            f"epoch {number} of {self._of}: loss {metrics['train_loss']:.3f}, validation error {error:.2%} "
            f"(best {self.best[0]:.2%} after {self.best[1]}), {metrics['pictures_per_second']:,.0f} pictures/s, "
            + (f"about {left:.0f} s left" if left < 120 else f"about {left / 60:.0f} min left")
        )
        if self._bars is not None and self._epochs is not None:
            self._bars.update(self._epochs, completed=number)

    def warn(self, sentence: str) -> None:
        """Something may go wrong."""
        self._line(f"warning: {sentence}")

    def stop(self) -> None:
        """Ask for an end after the running epoch."""
        super().stop()
        self._line("stopping after the running epoch; Ctrl-C (again) stops at once")

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
