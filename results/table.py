"""The front in a terminal: a table relative to a seed, and a small scatter plot in text.

Everything that comes from a study is shown as it is, never as markup or control characters. The texts made here are
plain ASCII, so that they can be printed on any terminal; on narrow ones no figure is cut.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from results.narrow import narrowed, needed_width
from results.outcome import Outcome, StudyRecord, TrialRecord, origin_called
from results.plain_text import plain
from results.text_plot import LEAST_HEIGHT, LEAST_WIDTH, text_plot

if TYPE_CHECKING:  # only the names: who shows a front need not load moocore
    from results.pareto import Front

_NONE = "-"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_COUNTED = ("macs", "params")  # costs shown relative to the reference seed, whether they are objectives or not


def front_table(
    study: StudyRecord,
    front: Front,
    seeds: Sequence[TrialRecord],
    reference_seed: str = "inception-v3",
    width: int = 80,
    driver: str | None = None,
) -> Table:
    """The front as a table: best first in the first objective, then the seeds that are not on it.

    Columns: number, name (of a seed, or the beginning of the digest), origin, each objective, MACs and params with
    their ratio to the reference seed. Objectives called error (or ..._error) are fractions, shown in percent with the
    difference from the reference seed in points; ratios and differences stand below where several such columns, or
    the letters of `width`, leave no room for them, and all cells below each other on terminals too narrow even for
    that. `seeds` are the study's seed trials, in any state; what is not measured yet is "-". `driver`: who searches
    the study at this moment; without one no trial is running.
    """

    def made(*, stacked: bool) -> Table:
        return _front_table(study, front, seeds, reference_seed, stacked=stacked, driver=driver)

    several = len([name for name in front.objectives if name not in _COUNTED]) > 1
    if not several and needed_width(table := made(stacked=False)) <= width:
        return table
    if needed_width(table := made(stacked=True)) <= width:
        return table
    return narrowed(made(stacked=False), width)


def _front_table(
    study: StudyRecord,
    front: Front,
    seeds: Sequence[TrialRecord],
    reference_seed: str,
    *,
    stacked: bool,
    driver: str | None,
) -> Table:
    reference = _reference(front, seeds, reference_seed)
    table = Table(
        title=Text(f"Front of {plain(study.name)}"), caption=Text(_caption(front, seeds, reference, reference_seed))
    )
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold", min_width=12)  # inception-v3 stays whole on 80 columns
    table.add_column("origin", no_wrap=True)
    shown = [name for name in front.objectives if name not in _COUNTED]
    for name in [*shown, *_COUNTED]:
        goal = front.objectives.get(name)
        label = "MACs" if name == "macs" else plain(name)
        if stacked:  # the units stand in the cells
            label = label.removesuffix("_ms").removesuffix("_bytes")
        gap = "\n" if stacked else " "
        heading = f"{label}{gap}({'min' if goal == 'minimize' else 'max'})" if goal else label
        table.add_column(Text(heading), justify="right", no_wrap=True)
    on_front = {trial.number for trial in front.members}
    others = sorted((seed for seed in seeds if seed.number not in on_front), key=lambda trial: trial.number)
    for trial in [*front.members, *others]:
        is_reference = reference is not None and trial.number == reference.number
        notes = ["reference"] if is_reference else []
        if trial.number not in on_front:
            beaten = "off the front" if trial.feasible else "breaks a limit"
            notes.append(beaten if trial.outcome is Outcome.COMPLETE else trial.outcome.called(driver))
        cells = [str(trial.number), _name(trial, notes), plain(origin_called(trial.origin))]
        cells += [_objective(name, trial, reference) for name in shown]
        cells += [_cost(name, trial, reference) for name in _COUNTED]
        if stacked:
            cells[3:] = [cell.replace("  ", "\n") for cell in cells[3:]]
        ends = bool(front.members) and trial is front.members[-1]
        style = "bold" if is_reference else "" if trial.number in on_front else "dim"
        table.add_row(*map(Text, cells), style=style, end_section=ends)
    return table


def front_plot(
    front: Front,
    seeds: Sequence[TrialRecord],
    width: int,
    height: int,
    *,
    trials: Sequence[TrialRecord] = (),
    faint: str = ".",
) -> Text:
    """A scatter of the first objective (upwards) against the second, at most `width` x `height` characters.

    "*" is a trial of the front, "S" a complete seed, on the front or not, and `faint` another complete one of `trials`.
    A study of one objective is drawn against the trial's number. A sentence where all of them are at one place; empty
    where the plot would be too small to be read (under 36 x 6).
    """
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return Text()
    names = list(front.objectives)
    marks = [(faint, trial) for trial in trials]
    marks += [("*", trial) for trial in front.members if trial.seed is None]
    marks += [("S", trial) for trial in [*seeds, *front.members] if trial.seed is not None]
    marked = [(mark, _place(trial, names)) for mark, trial in marks if trial.outcome is Outcome.COMPLETE]
    points = [(mark, *place) for mark, place in marked if all(map(math.isfinite, place))]
    if not points:
        return Text("no trial is complete yet"[:width])
    x_name = names[1] if len(names) > 1 else "number"
    if len({(x, y) for _, x, y in points}) == 1:
        _, x, y = points[0]
        who = (
            "The only complete trial is"
            if len({trial.number for _, trial in marks}) == 1
            else "All complete trials are"
        )
        place = f"{plain(names[0])} {_amount(names[0], y)}, {plain(x_name)} {_amount(x_name, x)}"
        return Text(textwrap.fill(f"{who} at {place}: nothing to plot yet.", width))
    axes = f"{plain(names[0])} against {plain(x_name)}"
    legend = "* front, S seed" + (f", {faint} other trial" if any(mark == faint for mark, _, _ in points) else "")
    return text_plot(
        points,  # the front, and then the seeds, come last and stay visible
        width,
        height,
        heading=axes,
        legend=legend,
        x_text=lambda value: _amount(x_name, value),
        y_text=lambda value: _amount(names[0], value),
        faint=faint,
    )


# Cells


def _reference(front: Front, seeds: Sequence[TrialRecord], name: str) -> TrialRecord | None:
    """The trial of the reference seed, a complete one rather than another; None if the study does not have it."""
    found = [trial for trial in [*seeds, *front.members] if trial.seed == name]
    return min(found, key=lambda trial: (trial.outcome is not Outcome.COMPLETE, trial.number), default=None)


def _caption(front: Front, seeds: Sequence[TrialRecord], reference: TrialRecord | None, reference_seed: str) -> str:
    sentences = []
    if not front.members:
        beyond = any(seed.outcome is Outcome.COMPLETE for seed in seeds)  # only seeds are trained beyond a limit
        sentences.append("No complete trial keeps all limits." if beyond else "No trial is complete yet.")
    else:
        corner = ", ".join(f"{plain(name)} {_amount(name, value)}" for name, value in front.reference_point.items())
        sentences.append(f"Hypervolume {front.hypervolume:.4g} up to {corner}.")
    if reference is None:
        sentences.append(f"The study has no seed {plain(reference_seed)}, so there are no ratios.")
    else:
        sentences.append(f"Ratios and points (pt) are relative to {plain(reference_seed)}.")
    return " ".join(sentences)


def _name(trial: TrialRecord, notes: Sequence[str]) -> str:
    name = plain(trial.seed) if trial.seed is not None else plain(trial.digest[:10])
    return f"{name} ({', '.join(notes)})" if notes else name


def _objective(name: str, trial: TrialRecord, reference: TrialRecord | None) -> str:
    value = trial.values.get(name)
    if value is None:
        return _NONE
    amount = _amount(name, value)
    base = None if reference is None or trial.number == reference.number else reference.values.get(name)
    if base is None or not _is_error(name):
        return amount
    return f"{amount}  {100 * (value - base):+.2f} pt"


def _cost(name: str, trial: TrialRecord, reference: TrialRecord | None) -> str:
    value = trial.costs.get(name, trial.values.get(name))
    if value is None:
        return _NONE
    base = None if reference is None else reference.costs.get(name, reference.values.get(name))
    return f"{_amount(name, value)}  {value / base:.2f}x" if base else _amount(name, value)


# Numbers


def _is_error(name: str) -> bool:
    return name == "error" or name.endswith("_error")


def _amount(name: str, value: float) -> str:
    """A value with the unit that its name tells: a fraction in percent, counts and bytes with a prefix (of 1000)."""
    if _is_error(name):
        return f"{_rounded(100 * value)} %"
    if name.endswith("_ms"):
        return f"{_rounded(value)} ms"
    unit = "B" if name.endswith("_bytes") else ""
    if name in _COUNTED or unit:
        for size, prefix in _PREFIXES:
            if abs(value) >= size:
                return f"{_rounded(value / size)} {prefix}{unit}"
        return f"{value:.0f} {unit}".rstrip()
    return f"{value:.4g}"


def _rounded(value: float) -> str:
    """Two decimals, but never longer than a column can be: a runaway value is written with an exponent."""
    return f"{value:.2f}" if abs(value) < 1e6 else f"{value:.4g}"


# The plot


def _place(trial: TrialRecord, names: Sequence[str]) -> tuple[float, float]:
    """x (second objective, or number) and y (first objective); NaN where it is missing."""
    values: Mapping[str, float] = trial.values
    x = values.get(names[1], math.nan) if len(names) > 1 else float(trial.number)
    return x, values.get(names[0], math.nan)
