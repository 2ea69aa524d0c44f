"""What a running search looks like on a terminal: trials that run, outcomes, the front; drawn anew at every look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.config import SearchConfig
from nas.job import Report
from nas.rungs import Rung, rungs_of
from nas.tally import Tally
from results.outcome import Outcome, TrialRecord
from results.plain_text import plain

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

CURVE = 16  # letters of a running trial's curve
BAR = 40  # of the bars
MEMBERS = 8  # of the front that are listed
MARKS = {  # what stands for an outcome in the bar
    Outcome.COMPLETE: "#",
    Outcome.STOPPED: "=",
    Outcome.RUNNING: ">",
    Outcome.SCREENED: ".",
    Outcome.DUPLICATE: ",",
    Outcome.DIVERGED: "d",
    Outcome.OUT_OF_MEMORY: "m",
    Outcome.LOST_WORKER: "l",
    Outcome.TIMED_OUT: "t",
    Outcome.BROKEN: "!",
}


@dataclass(frozen=True)
class Scene:
    """What is shown. ``running``: by number the last report, None until there is one. ``head``, ``agreed``: sentences.

    ``front``: as `front_text` has it. ``stopping``: the search was asked to stop.
    """

    config: SearchConfig
    tally: Tally
    running: Mapping[int, Report | None]
    head: str
    front: "Text"
    agreed: str = ""
    stopping: bool = False


def live_view(scene: Scene, console: "Console") -> "Group":
    """Return the whole view for a console."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Text(plain(scene.head), style="bold")
    if scene.stopping:
        head.append("  stopping after the running epochs", style="yellow")
    bar = Table.grid()  # a bar alone would end without a line break
    bar.add_row(ProgressBar(total=scene.config.trials, completed=scene.tally.done, width=BAR))
    agreed = [Text(plain(scene.agreed), style="dim"), Text()] if scene.agreed else []
    running = _running(scene, console)
    return Group(head, bar, *_outcomes(scene), Text(), running, Text(), *agreed, scene.front)


def _outcomes(scene: Scene) -> "list[Text]":
    """The share of each outcome, as a bar and in figures; nothing before the first trial."""
    from rich.text import Text

    from results.sparkline import shares_bar

    counts = scene.tally.counts.copy()
    held = [outcome for outcome in MARKS if counts[outcome]]
    bar = shares_bar({MARKS[outcome]: counts[outcome] for outcome in held}, BAR)
    total = sum(counts.values())
    told = "  ".join(f"{MARKS[each]} {counts[each]} {each} {counts[each] / total:.0%}" for each in held)
    return [Text(bar, style="dim"), Text(told)] if held else []


def _running(scene: Scene, console: "Console") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from results.sparkline import sparkline

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("running", "name", "epoch", "error", "over epochs", "MACs"):
        table.add_column(column, justify="left" if column in ("name", "over epochs") else "right")
    rungs = rungs_of(scene.config)
    ascii_only = not console.encoding.lower().startswith("utf")
    for number, report in sorted(scene.running.items()):
        trial = scene.tally.trials[number]
        errors = error_curve(trial)
        known = trial.measurements[-1:]  # of a trial that goes on, until it says something
        at = f"{report.epoch}/{report.epochs}" if report else _before(trial, rungs)
        values = report.values if report else known[0].values if known else {}
        error = f"{values['error']:.2%}" if "error" in values else "-"
        curve, macs = sparkline(errors, CURVE, ascii_only=ascii_only), f"{trial.costs['macs'] / 1e9:.2f} G"
        table.add_row(str(number), Text(_name(trial)), at, error, Text(curve), macs)
    return table


def _before(trial: TrialRecord, rungs: Sequence[Rung]) -> str:
    """Epochs of a trial that has said nothing since it was handed to a worker, and of the rung that comes next."""
    if not trial.measurements:
        return f"0/{rungs[0].epochs}"
    last = trial.measurements[-1]
    reached = rungs[last.rung]
    coming = rungs[min(last.rung + (last.epoch >= reached.epochs), len(rungs) - 1)]
    return f"{last.epoch if coming.training == reached.training else 0}/{coming.epochs}"


def error_curve(trial: TrialRecord) -> list[float]:
    """The errors of a trial after each epoch of its last training: one at a cheaper rung before it is another curve."""
    errors, last = list[float](), 0
    for measurement in trial.measurements:
        if measurement.epoch <= last:
            errors = []
        if measurement.epoch > 0 and "error" in measurement.values:
            errors.append(measurement.values["error"])
        last = measurement.epoch
    return errors


def front_text(objectives: Sequence[str], finished: Sequence[TrialRecord], width: int) -> "Text":
    """The front of the complete trials, ``finished``: as a list and drawn, at most ``width`` letters wide."""
    from rich.text import Text

    from results.figures import shown, spoken
    from results.pareto import comparable, front
    from results.table import front_plot

    complete = comparable(finished, objectives)
    if not complete:
        return Text("no trial within the limits is complete yet", style="dim")
    best = front(complete, dict.fromkeys(objectives, "minimize"))
    seeds = [trial for trial in finished if trial.seed]
    lines = [
        f"  {trial.number:>4}  {_name(trial):<14} error {trial.values['error']:.2%}  "
        f"{trial.costs['macs'] / 1e9:6.2f} G MACs  {trial.costs['params'] / 1e6:6.2f} M params"
        for trial in best.members[:MEMBERS]
    ]
    more = [f"  and {len(best.members) - MEMBERS} more"] if len(best.members) > MEMBERS else []
    plot = front_plot(best, seeds, min(72, width - 2), 12, trials=complete) if len(objectives) > 1 else Text()
    corner = ", ".join(f"{spoken(name)} {shown(name, value)}" for name, value in best.reference_point.items())
    head = plain(f"front: hypervolume {best.hypervolume:.4g} up to {corner}")
    return Text(f"{head}\n") + Text("\n".join(lines + more) + "\n") + plot


def _name(trial: TrialRecord) -> str:
    return plain(trial.seed or trial.digest[:8])
