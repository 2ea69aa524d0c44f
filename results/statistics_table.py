"""The statistics of a study in a terminal: each part as a table, a plot or a sentence that says what is missing.

Everything that comes from a study is shown as it is, never as markup or control characters.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from results.agreement import as_sentence
from results.blocks import quantity
from results.control import NO_CONTROL
from results.equal_cost import SHARES
from results.figures import shown, spoken
from results.growth import ALL
from results.importance import Importance
from results.narrow import narrowed
from results.outcome import Outcome, TrialRecord
from results.plain_text import count, plain
from results.text_plot import text_plot

if TYPE_CHECKING:
    from rich.console import RenderableType

    from results.statistics import Statistics

GENES = 8  # of the most important ones that are listed
KNEES = 3  # and of the knees
PLOT_HEIGHT = 12
PLOT_WIDTH = 110
_MARKS = {ALL: ".", "random": "r", "sampler": "s"}  # later ones are drawn over earlier ones


def statistics_blocks(found: Statistics, width: int, *, driver: str | None = None) -> list[RenderableType]:
    """What a terminal of ``width`` letters shows, from the hypervolume to the outcomes.

    ``driver``: who searches the study at this moment; without one no trial is running.
    """
    parts = [_growth(found, width), _control(found), _knees(found), _prices(found, width), *_importances(found, width)]
    parts += [_distributions(found, width), _agreement(found), _outcomes(found, driver)]
    blocks: list[RenderableType] = []
    for part in parts:
        blocks += [*([Text()] if blocks else []), *part]
    return blocks


def _growth(found: Statistics, width: int) -> list[RenderableType]:
    growth = found.growth
    if not growth.reference_point:
        return [Text(f"Hypervolume of {plain(found.study.name)}: {_why_empty(found)}.")]
    corner = ", ".join(f"{plain(spoken(n))} {plain(shown(n, v))}" for n, v in growth.reference_point.items())
    ends = {arm: (len(sizes), sizes[-1]) for arm, sizes in growth.sizes.items() if sizes}
    arms = [f"{arm} {size:.4g} after {count(trials, 'trial')}" for arm, (trials, size) in ends.items() if arm != ALL]
    told = f"Hypervolume of {plain(found.study.name)}: {found.front.hypervolume:.4g} up to {corner}"
    blocks: list[RenderableType] = [Text(f"{told}{'; ' if arms else ''}{', '.join(arms)}.")]
    if found.front.members and not found.front.hypervolume:
        blocks.append(
            Text("No trial is better than that in every objective: name a reference point that some trial is.")
        )
    points = [
        (mark, float(n), size)
        for arm, mark in _MARKS.items()
        for n, size in enumerate(growth.sizes.get(arm, ()), 1)
        if size > 0
    ]
    if points:
        drawn = {mark for mark, _, _ in points}
        names = [f"{mark} {'all trials' if arm == ALL else arm}" for arm, mark in _MARKS.items() if mark in drawn]
        plot = text_plot(
            points,
            min(width, PLOT_WIDTH),
            PLOT_HEIGHT,
            heading="hypervolume against trials",
            legend=", ".join(names),
            x_text=lambda value: f"{value:.0f}",
            y_text=lambda value: f"{value:.3g}",
            faint=".",
        )
        blocks += [plot] if plot else []
    return blocks


def _control(found: Statistics) -> list[RenderableType]:
    return [Text(found.control.sentence if found.control else NO_CONTROL)]


def _knees(found: Statistics) -> list[RenderableType]:
    if not found.knees:
        members = len(found.front.members)
        why = (
            f"no member of the front ({count(members, 'trial')}) bulges towards the ideal point"
            if members
            else "no front"
        )
        return [Text(f"Knee of the front: {why}.")]
    lines = [f"{_who(k.trial)}, {_values(found, k.trial)} (bulge {k.bulge:.2f})" for k in found.knees[:KNEES]]
    more = f"; next: {'; '.join(lines[1:])}" if len(lines) > 1 else ""
    return [Text(f"Knee of the front: {lines[0]}{more}.")]


def _prices(found: Statistics, width: int) -> list[RenderableType]:
    prices = found.prices
    if not prices.steps:
        return [Text(f"What a {prices.unit} costs: {_why_empty(found)}.")]
    table = Table(title=Text(f"What a {prices.unit} of {plain(spoken(prices.objective))} costs"), title_justify="left")
    for head in ("trial", plain(spoken(prices.objective)), "MACs", "params", f"MACs per {prices.unit}"):
        table.add_column(Text(head), justify="right")
    for step in prices.steps:
        cells = (str(step.number), shown(prices.objective, step.value), quantity(step.macs))
        params = "-" if step.params is None else quantity(step.params)
        price = "the cheapest" if step.price is None else quantity(step.price)
        table.add_row(*(Text(plain(cell)) for cell in (*cells, params, price)))
    return [narrowed(table, width)]


def _importances(found: Statistics, width: int) -> list[list[RenderableType]]:
    return [_importance(each, width) for each in found.importances]


def _importance(found: Importance, width: int) -> list[RenderableType]:
    head = f"Genes that matter for {plain(spoken(found.of))}"
    if found.missing:
        return [Text(f"{head}: {plain(found.missing)}.")]
    caution = f", {found.caution}" if found.caution else ""
    text = Text(f"{head} ({found.method}, {count(found.trials, 'trial')}{caution}):", no_wrap=True)
    genes = list(found.shares.items())[:GENES]
    names = [plain(gene)[: max(12, width - 30)] for gene, _ in genes]
    most = genes[0][1]
    for name, (_, share) in zip(names, genes, strict=True):
        text.append(f"\n  {name:<{max(map(len, names))}}  {share:>6.1%}  ")
        text.append("#" * round(12 * share / most), "dim")
    if found.left_out:
        text.append(f"\n  left out, as not every trial has them: {', '.join(map(plain, found.left_out))}")
    if found.damaged:
        text.append(f"\n  left out, as genes cannot be read: {count(found.damaged, 'trial')}")
    return [text]


def _distributions(found: Statistics, width: int) -> list[RenderableType]:
    bands, name = found.distributions.bands, found.distributions.objective
    if not bands:
        return [Text(f"Distributions at equal MACs: {_why_empty(found)}.")]
    title = Text(f"{plain(spoken(name)).capitalize()} at equal MACs: the best, and what so many do not exceed")
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", title=title, title_justify="left")
    table.add_column("MACs", no_wrap=True)
    table.add_column("arm", overflow="fold", min_width=8)
    for head in ("trials", "best", *(f"{share:.0%}" for share in SHARES[1:-1]), "worst"):
        table.add_column(head, justify="right", no_wrap=True)
    for band in bands:
        low, high = quantity(band.low), quantity(band.high)
        label = f"{low.removesuffix(high[-2:])} - {high}" if high[-1:].isalpha() else f"{low} - {high}"
        rows = [
            [arm, str(len(values)), *(shown(name, value) for value in band.quantiles(arm).values())]
            for arm, values in band.arms.items()
        ]
        for mark in band.seeds:
            beyond = "" if band.low <= mark.macs <= band.high else f" ({quantity(mark.macs)} MACs)"
            rows.append([mark.name + beyond, "seed", shown(name, mark.value), *["-"] * (len(SHARES) - 1)])
        for place, row in enumerate(rows):
            cells = [label if place == 0 else "", *map(plain, row)]
            table.add_row(*map(Text, cells))
    return [narrowed(table, width)]


def _agreement(found: Statistics) -> list[RenderableType]:
    chosen = any(trial.outcome is Outcome.STOPPED for trial in found.trials)
    said = as_sentence(found.agreements, chosen=chosen)
    return [Text(said or "Agreement of the rungs: no rungs below the top, or fewer than 5 trials that reached it.")]


def _outcomes(found: Statistics, driver: str | None) -> list[RenderableType]:
    counts = Counter(trial.outcome.called(driver) for trial in found.trials)
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items(), key=lambda item: -item[1]))
    beyond = sum(bool(trial.values) and not trial.feasible for trial in found.trials)
    limits = f"; {beyond} of the complete ones break a limit and are not on the front" if beyond else ""
    return [
        Text(
            f"Outcomes of {count(len(found.trials), 'trial')}: {told}{limits}." if told else "The study has no trials."
        )
    ]


def _why_empty(found: Statistics) -> str:
    if not found.trials:
        return "the study has no trials"
    return "no complete trial keeps all limits" if any(t.values for t in found.trials) else "no trial is complete"


def _who(trial: TrialRecord) -> str:
    return f"trial {trial.number} ({plain(trial.seed or trial.digest[:10])})"


def _values(found: Statistics, trial: TrialRecord) -> str:
    return ", ".join(f"{plain(spoken(n))} {plain(shown(n, trial.values[n]))}" for n in found.study.objectives)
