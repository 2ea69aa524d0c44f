"""The report's statistics: how the front grew, errors at equal cost, which genes matter, what a percent costs."""

from collections.abc import Sequence

from results.blocks import quantity
from results.control import ARMS, NO_CONTROL
from results.distribution_figure import distributions_figure
from results.equal_cost import SHARES
from results.figures import is_fraction, shown, spoken
from results.growth import ALL, Growth
from results.growth_figure import hypervolume_by_trial
from results.importance import Importance
from results.importance_figure import importances_figure
from results.knees import Knee
from results.markup import Markup, element, join
from results.plain_text import count
from results.prices import Step
from results.report_parts import Figure, Section, chart, figures_table, missing, muted
from results.view import StudyView, duration

_ARMS = {ALL: "all trials", "sampler": "sampler", "random": "random points (control)"}
_KNEES = 8  # that are listed
_GENES = 15  # that are listed
_NO_OBJECTIVES = "The study names no objective, so there is nothing to reckon with."
_SHARES = ("best", "a quarter", "half", "three quarters", "worst")


def growth_section(view: StudyView) -> Section:
    """The hypervolume after so many trials, of each arm."""
    name, title = "growth", "Hypervolume by trial"
    if view.statistics is None:
        return Section(name, title, missing(_NO_OBJECTIVES))
    found = view.statistics.growth
    figure = hypervolume_by_trial(found)
    if figure is None:
        return Section(name, title, missing("No complete trial keeps all limits yet, so there is no hypervolume."))
    heads = ("Arm", "Trials", "Training", "Hypervolume", "Half of it after", "Last grew with")
    rows = [_grown(found, arm) for arm in found.sizes]
    label = "Lines of the hypervolume after each trial that used up budget, for all trials and each arm."
    drawn = chart(name, label, "The further up, the more of the space the front covers.", low=True)
    return Section(name, title, join(drawn, figures_table(title, heads, rows)), {name: figure})


def _grown(found: Growth, arm: str) -> tuple[str, ...]:
    sizes = found.sizes[arm]
    spent = _ARMS[arm], f"{len(sizes):,}", duration(found.seconds[arm][-1]) if sizes else ""
    if not sizes or not sizes[-1]:
        return *spent, "0", "", ""
    half = next(n for n, size in enumerate(sizes, 1) if size >= sizes[-1] / 2)
    last = next(n for n, size in enumerate(sizes, 1) if size == sizes[-1])
    return *spent, f"{sizes[-1]:.4g}", count(half, "trial"), f"trial {last:,} of them"


def distributions_section(view: StudyView) -> Section:
    """What share of each arm's trials comes below an error, in bands of equal cost."""
    name, title = "distributions", f"Distribution of {spoken(view.objective)} at equal cost"
    found = view.statistics.distributions if view.statistics else None
    figure = distributions_figure(found) if found else None
    if found is None or figure is None:
        told = f"No complete trial has {spoken(view.objective)} and MACs recorded, so there is no distribution."
        return Section(name, title, missing(told))
    heads = ("Arm and MACs", "Trials", *(f"{word[0].upper()}{word[1:]}" for word in _SHARES))
    rows = []
    for band in found.bands:
        for arm in band.arms:
            values = band.quantiles(arm)
            figures = [shown(found.objective, values[share]) for share in SHARES]
            who = f"{_ARMS[arm]}, {quantity(band.low)} to {quantity(band.high)}"
            rows.append((who, f"{len(band.arms[arm]):,}", *figures))
    label = f"Lines of the share of trials up to a {spoken(found.objective)}, for each arm in bands of equal MACs."
    notes = "Lines further to the left are better. Bands hold equal numbers of trials; stars are published networks."
    table = (
        figures_table(title, heads, rows)
        if rows
        else missing("Only published networks are complete: no arm has trials.")
    )
    return Section(name, title, join(chart(name, label, notes), table), {name: figure})


def importance_section(view: StudyView) -> Section:
    """Which genes have to do with each objective and cost."""
    name, title = "importance", "Which genes matter"
    if not view.importances:
        return Section(name, title, missing("The importance of genes was not computed."))
    figures: dict[str, Figure] = {}
    parts = list[Markup]()
    for place, found in enumerate(view.importances):
        parts.append(element("h3", f"For {spoken(found.of)}"))
        figure = importances_figure(found)
        if figure is None:
            parts.append(missing(f"Nothing can be said: {found.missing}. {found.reservations}".strip()))
            continue
        figures[f"importance-{place}"] = figure
        label = f"Bars of the importance of genes for {spoken(found.of)}."
        reservations = [muted(found.reservations)] if found.reservations else []
        parts += [chart(f"importance-{place}", label, low=True), *reservations, _genes(found)]
    told = (
        "How much the value of each gene has to do with what a trial came to, in shares of 100 %. Architectures differ "
        "in many genes at once, so this says where to look, not what to change."
    )
    return Section(name, title, join(element("p", told), *parts), figures)


def _genes(found: Importance) -> Markup:
    genes = list(found.shares.items())[:_GENES]
    rows = [(gene, f"{100 * share:.1f} %") for gene, share in genes]
    table = figures_table(f"Importance for {spoken(found.of)}", ("Gene", "Importance"), rows)
    rest = len(found.shares) - len(genes)
    more = muted(f"and {count(rest, 'gene')} more that matter less") if rest else Markup()
    return element("details", element("summary", "The figures as a table"), table, more)


def prices_section(view: StudyView) -> Section:
    """What a percent of error costs in MACs, and the knees of the front."""
    name, title = "prices", "What a percent costs"
    if view.statistics is None:
        return Section(name, title, missing(_NO_OBJECTIVES))
    found, names = view.statistics.prices, list(view.study.objectives)
    if not found.steps:
        return Section(name, title, missing("No complete trial within all limits has its MACs recorded."))
    unit = "a percent point" if is_fraction(found.objective) else "one unit"
    told = (
        f"The cheapest architecture at each {spoken(found.objective)}, and the MACs that {unit} more of it took, from "
        "the one before to this one."
    )
    heads = ("Architecture", spoken(found.objective), "MACs", "Parameters", f"MACs for {unit}")
    steps = figures_table(title, heads, [_step(step, found.objective) for step in found.steps])
    knees = _knees(view.statistics.knees, names)
    return Section(name, title, join(element("p", told), steps, element("h3", "Knees of the front"), knees))


def _step(step: Step, objective: str) -> tuple[str, ...]:
    price = "" if step.price is None else quantity(step.price)
    params = "not recorded" if step.params is None else quantity(step.params)
    return f"trial {step.number}", shown(objective, step.value), quantity(step.macs), params, price


def _knees(found: Sequence[Knee], names: Sequence[str]) -> Markup:
    if not found:
        return missing("The front has no knee: it takes three members that do not lie on a line.")
    told = (
        "Where a little less of one objective begins to cost much of another. The bulge is the distance from the "
        "straight line between the ends of the front, in shares of its extent."
    )
    rows = [
        (f"trial {each.trial.number}", f"{each.bulge:.3f}", *(shown(name, each.trial.values[name]) for name in names))
        for each in found[:_KNEES]
    ]
    rest = f"and {len(found) - _KNEES} with a smaller bulge" if len(found) > _KNEES else ""
    heads = ("Architecture", "Bulge", *map(spoken, names))
    return join(element("p", told), figures_table("Knees of the front", heads, rows), muted(rest) if rest else "")


def control_section(view: StudyView) -> Section:
    """The sampler's first trials beside as many random ones, and all of both."""
    name, title = "control", "Did searching help?"
    found = view.statistics.control if view.statistics else None
    if found is None:
        return Section(name, title, missing(NO_CONTROL))
    heads = ("Arm", "Trials of equal budget", "Hypervolume", "All trials", "Hypervolume of all")
    columns = zip(ARMS, (found.sampler, found.random), found.trials, found.whole, strict=True)
    rows = [
        (_ARMS[arm], f"{found.budget:,}", f"{size:.4g}", f"{trials:,}", f"{whole:.4g}")
        for arm, size, trials, whole in columns
    ]
    told = (
        f"Each arm counts with its first {count(found.budget, 'trial')}: later ones had seen more. The interval is the "
        "bootstrap's: the difference, less what two sets of trials drawn a thousand times from both arms together "
        "differ by, trials taken as independent of each other. Those that were stopped at a rung have used their "
        "budget and add nothing. The hypervolumes of all trials are no fair comparison where one arm has more of them."
    )
    table = figures_table("The two arms", heads, rows)
    return Section(name, title, join(element("p", found.sentence), table, muted(told)))
