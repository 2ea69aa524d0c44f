"""What is shown on standard error while something runs: live on a terminal, in lines elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from nas.config import SearchConfig
from nas.job import Report
from nas.live_view import Scene, front_text, live_view
from nas.rungs import rungs_of
from nas.tally import Tally
from nas.waiting import show_bar
from results.outcome import Outcome, TrialRecord
from results.pace import Pace
from results.plain_text import count, plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

AGAIN = 1.25  # times the trials of the last time, after which the agreement of the rungs is told again


class Progress:
    """What the driver tells while it works. This one shows nothing: for programs and tests."""

    @contextmanager
    def decoding(self, source: str) -> Iterator[Callable[[int, int], None] | None]:
        """Give what is told how many pictures of how many are decoded, before anything else begins; None: the log."""
        yield None

    def begin(self, config: SearchConfig, trials: Iterable[TrialRecord]) -> None:
        """Learn what is searched and which trials there are already."""

    def nothing_to_do(self) -> None:
        """As many trials are done as were asked for, or more."""

    def started(self, trial: TrialRecord) -> None:
        """A trial was handed to a worker."""

    def set_aside(self, trial: TrialRecord) -> None:
        """A proposal was screened or known."""

    def reported(self, trial: TrialRecord, report: Report) -> None:
        """A worker said something."""

    def stopping(self) -> None:
        """The search was asked to stop."""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the show."""


class Shown(Progress):
    """Counts trials, running ones, time left, and the current front; live on a terminal, else in lines.

    ``before`` is called before the first of it: it ends what was shown while the search started.
    """

    def __init__(self, console: "Console", before: Callable[[], None] = lambda: None) -> None:
        self.console, self.before = console, before
        self.tally = Tally()
        self.running: dict[int, Report | None] = {}
        self.seconds: list[float] = []  # of trials that ended under our eyes, by the wall clock
        self._begun: dict[int, float] = {}
        self._since = time.monotonic()
        self._asked = False
        self._at_once = 0
        self._agreed, self._agreed_of = "", 0  # how the rungs agree, by so many complete trials
        self._drawn: tuple[tuple[int, int], Text] | None = None  # the front of so many trials, so wide
        self._live: Live | None = None

    @contextmanager
    def decoding(self, source: str) -> Iterator[Callable[[int, int], None] | None]:
        """Show a bar while pictures are decoded, or a line at every quarter."""
        with show_bar(self.console, source, "pictures decoded") as tell:
            yield tell

    def begin(self, config: SearchConfig, trials: Iterable[TrialRecord]) -> None:
        """Learn what is searched and which trials there are already."""
        self.config = config
        self.tally, self._drawn = Tally(trials), None
        self._epochs = [rung.epochs for rung in rungs_of(config)]

    def nothing_to_do(self) -> None:
        """As many trials are done as were asked for, or more."""
        asked = self.config.trials
        self._line(
            f"study {self.config.study}: {self.tally.done} trials are done and {asked} asked for: nothing is to do"
        )

    def __enter__(self) -> Progress:
        self.before()
        self._since = time.monotonic()
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self._view, transient=True)
            self._live.__enter__()
        else:
            self._line(
                f"study {self.config.study}: {self.tally.done} of {self.config.trials} trials done, starting workers"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def started(self, trial: TrialRecord) -> None:
        """A trial was handed to a worker."""
        self.tally.take(trial)
        self.running[trial.number] = None
        self._at_once = max(self._at_once, len(self.running))
        if trial.measurements and self._live is None:
            self._line(f"{self._named(trial)} after {count(trial.measurements[-1].epoch, 'epoch')}")
        self._begun[trial.number] = time.monotonic()

    def set_aside(self, trial: TrialRecord) -> None:
        """A proposal was screened or known."""
        self.tally.take(trial)

    def reported(self, trial: TrialRecord, report: Report) -> None:
        """A worker said something."""
        self.tally.take(trial)
        if not report.final or not trial.outcome.final:
            self.running[trial.number] = report
            if report.final and self._live is None:
                self._line(f"{self._named(trial)} error {report.values['error']:.2%} at rung {report.rung}")
            return
        self.running.pop(trial.number, None)
        if (begun := self._begun.pop(trial.number, None)) is not None:
            self.seconds.append(time.monotonic() - begun)
        if self._live is None:
            told = f"error {trial.values['error']:.2%}" if trial.values else trial.reason or str(trial.outcome)
            if trial.outcome is Outcome.STOPPED:
                told = f"error {report.values['error']:.2%} at rung {report.rung}"
            self._line(f"{self._named(trial)} {told}, {trial.costs['macs'] / 1e9:.2f} G MACs  |  {self._summary()}")
        if trial.outcome is Outcome.COMPLETE and len(self._epochs) > 1:
            self._look_at_rungs()

    def _look_at_rungs(self) -> None:
        """Tell how the rungs agree, whenever a quarter more trials than the last time have reached the top."""
        from results.agreement import agreements, as_sentence

        complete = self.tally.completed
        if complete < AGAIN * self._agreed_of:
            return
        chosen = self.tally.counts[Outcome.STOPPED] > 0
        if not (found := as_sentence(agreements(self.tally.complete(), self._epochs), chosen=chosen)):
            return
        self._agreed, self._agreed_of = found, complete
        if self._live is None:
            self._line(found)

    def stopping(self) -> None:
        """The search was asked to stop."""
        self._asked = True
        self._line("stopping after the running epochs; Ctrl-C (again) stops at once")

    def _named(self, trial: TrialRecord) -> str:
        outcome = "going on" if trial.outcome is Outcome.RUNNING else str(trial.outcome)
        return f"trial {trial.number:>3} {trial.seed or trial.digest[:8]:<14} {outcome:<9}"

    def _summary(self) -> str:
        aside = self.tally.set_aside
        skipped = f", {aside} set aside" if aside else ""
        top = f", {self.tally.completed} at the top rung" if len(self._epochs) > 1 else ""
        counted = f"{self.tally.done} of {self.config.trials} done{top}, {len(self.running)} running{skipped}"
        pace = Pace(self.seconds, (time.monotonic() - self._since) / 60, self._at_once)
        if self._asked:  # what is left is not done now
            return counted
        told = pace.told(self.config.trials - self.tally.done) if self._at_once else "starting workers"
        return f"{counted}, {told}"

    # --------------------------------------------------------------------------------------------------------- showing

    def _line(self, text: str) -> None:
        self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def _view(self) -> "RenderableType":
        elapsed = time.monotonic() - self._since
        head = f"{self.config.study}  {self._summary()}, {elapsed:.0f} s passed"
        scene = Scene(self.config, self.tally, self.running, head, self._front(), self._agreed, self._asked)
        return live_view(scene, self.console)

    def _front(self) -> "Text":
        """The front, drawn anew only where a trial was completed since, or the terminal has another width."""
        drawn_of = (self.tally.completed, self.console.width)
        if self._drawn is None or self._drawn[0] != drawn_of:
            front = front_text(self.config.objectives, self.tally.complete(), self.console.width)
            self._drawn = drawn_of, front
        return self._drawn[1]
