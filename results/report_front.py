"""The report's first part: what matters most, the scatter of all complete trials, the front, published results."""

from collections.abc import Sequence

from results.blocks import quantity
from results.figures import REFERENCE, shown, spent, spoken
from results.markup import Markup, element, join
from results.outcome import TrialRecord, origin_called
from results.plain_text import count
from results.published import PAPER, Published
from results.published_figure import with_published
from results.report_parts import Section, chart, figures_table, missing, scroll, table
from results.view import StudyView, difference, duration, ratio, who


def _tile(title: str, figure: str, note: str) -> Markup:
    value = element("dd", figure, class_="figure")
    return element("div", element("dt", title), value, element("dd", note, class_="muted"), class_="tile")


def tiles(view: StudyView) -> Markup:
    """The few figures that matter most; nothing without a front."""
    members, name, best = view.front.members, view.objective, view.best
    if best is None:
        return Markup()
    tiles = [_tile(f"Best {spoken(name)}", shown(name, best.values[name]), who(best))]
    if view.reference_value is not None and view.reference is not best:
        against = ", ".join(filter(None, (difference(best, view, name), ratio(best, view, "macs") + " MACs")))
        tiles.append(_tile("Inception-v3", shown(name, view.reference_value), f"the best against it: {against}"))
    cheaper = view.cheapest_as_good
    if cheaper is not None:
        note = f"{who(cheaper)}, {shown(name, cheaper.values[name])}: the cheapest that is at least as good"
        tiles.append(_tile("MACs to match Inception-v3", ratio(cheaper, view, "macs"), note))
    tiles.append(_tile("On the front", str(len(members)), f"of {count(len(view.complete), 'complete trial')}"))
    reference = ", ".join(f"{spoken(key)} {shown(key, value)}" for key, value in view.front.reference_point.items())
    tiles.append(_tile("Hypervolume", f"{view.front.hypervolume:.4g}", f"up to {reference}"))
    seconds = sum(trial.seconds or 0.0 for trial in view.trials)
    tiles.append(_tile("Training time", duration(seconds), "summed over all trials"))
    return element("dl", *tiles, class_="tiles")


def scatter(view: StudyView, published: Sequence[Published]) -> Section:
    """Every complete trial by cost and error, with ``published`` results laid over it."""
    title = f"{spoken(view.objective).capitalize()} against {spoken(view.cost)}"
    if view.figure is None:
        return Section("scatter", title, missing(_why_empty(view)))
    figure = with_published(view.figure, published, view.cost, view.objective)
    drawn = {trace["meta"] for trace in view.figure["data"]}
    stars = ", stars are published networks trained here" if drawn & {"seeds", "reference", "infeasible"} else ""
    rings = ", rings are the random arm" if "random" in drawn else ""
    marks = f"Each point is a complete trial; {_of_front(view)}{stars}{rings}."
    label = (
        f"Scatter of {spoken(view.objective)} against {spoken(view.cost)}: "
        f"{count(len(view.complete), 'complete trial')}, {len(view.front.members)} on the front. "
        "The front is also in the table below."
    )
    over = (
        " Open squares, triangles and hexagons are what the paper printed, for full trainings on ImageNet."
        if len(figure["data"]) > len(view.figure["data"])
        else ""
    )
    notes = (element("p", note) for note in _scatter_notes(view))
    return Section("scatter", title, join(*notes, chart("scatter", label, marks, over)), {"scatter": figure})


def _scatter_notes(view: StudyView) -> list[str]:
    """What the scatter cannot show, or shows in a way of its own."""
    name, notes = view.objective, list[str]()
    without = sum(spent(trial, view.cost) is None for trial in view.complete)
    if without:
        notes.append(f"Not drawn, because no {spoken(view.cost)} are recorded: {count(without, 'complete trial')}.")
    values = {trial.values[name] for trial in view.complete}
    if len(values) == 1:
        said = "The only complete trial has" if len(view.complete) == 1 else "All complete trials have the same value,"
        notes.append(f"{said} {spoken(name)} {shown(name, values.pop())}: there is nothing to compare yet.")
    beyond = sum(not trial.feasible for trial in view.complete)
    if beyond:
        notes.append(f"Drawn faintly and never on the front, because a limit is broken: {count(beyond, 'trial')}.")
    if view.reference_value is None:
        notes.append("Inception-v3 is not drawn: it has not been measured in this study.")
    return notes


def _of_front(view: StudyView) -> str:
    if len(view.front.members) == 1:
        return "a diamond is the front, which is one trial alone: it is the best in every objective"
    return "diamonds joined by a line are the front"


def _why_empty(view: StudyView) -> str:
    if not view.trials:
        return "The study has no trials yet, so there is nothing to draw."
    if view.complete:
        return f"No complete trial has both objectives and {spoken(view.cost)} recorded, so there is nothing to draw."
    return "No trial is complete yet, so there is nothing to draw: the table of outcomes says how the trials ended."


def front_table(view: StudyView) -> Section:
    """The front and the published networks, beside Inception-v3."""
    return Section("front", "The front", _front_table(view))


def _front_table(view: StudyView) -> Markup:
    members = {trial.number for trial in view.front.members}
    if not view.shown:
        return missing("There is no front yet: it consists of complete trials within all limits, and there are none.")
    costs = [name for name in ("macs", "params") if any(name in trial.costs for trial in view.shown)]
    others = [name for name in view.study.objectives if name not in costs]
    heads = [element("th", "Architecture", scope="col"), element("th", "Origin", scope="col")]
    heads.append(element("th", "On the front", scope="col"))
    heads += [element("th", spoken(name), scope="col", class_="number") for name in (*others, *costs)]
    heads += [element("th", "Training", scope="col", class_="number"), element("th", "Digest", scope="col")]
    rows = [_front_row(view, trial, others, costs, trial.number in members) for trial in view.shown]
    if view.reference_value is None:
        told = "Inception-v3 is not measured in this study: ratios of costs are against it, differences are missing."
        told = told if view.reference_costs else "Inception-v3 is not in this study, so nothing is compared with it."
    else:
        told = "Below each value: the difference from Inception-v3, in points, and the ratio of costs to its costs."
    return join(element("p", told, class_="muted"), scroll("The front", table(heads, rows)))


def _front_row(
    view: StudyView, trial: TrialRecord, others: Sequence[str], costs: Sequence[str], member: bool
) -> Markup:
    def cell(value: str, change: str) -> Markup:
        return element("td", value, element("span", change, class_="change") if change else "", class_="number")

    same = trial is view.reference
    cells = [element("th", who(trial), scope="row"), element("td", origin_called(trial.origin))]
    cells.append(element("td", "yes" if member else "no"))
    cells += [cell(shown(name, trial.values[name]), "" if same else difference(trial, view, name)) for name in others]
    cells += [cell(quantity(trial.costs.get(name, 0)), ratio(trial, view, name)) for name in costs]
    cells.append(cell(duration(trial.seconds) if trial.seconds is not None else "unknown", ""))
    cells.append(element("td", element("code", trial.digest[:12], title=trial.digest)))
    return element("tr", *cells, class_="reference" if trial.seed == REFERENCE else None)


def published_table(published: Sequence[Published]) -> Section:
    """What the papers printed, row by row: also what cannot be drawn, as its costs are not known."""
    heads = ("Network", "Tested on", "Top-1 error", "Top-5 error", "MACs", "Printed in")
    rows = [
        (
            each.name,
            each.crops,
            *("not given" if error is None else shown("error", error) for error in (each.top1, each.top5)),
            _published_macs(each),
            each.table,
        )
        for each in published
    ]
    told = (
        f"Errors of full trainings on ImageNet, as {PAPER} prints them; nothing of it was measured here, and none of "
        "it counts for the front or its hypervolume. MACs are those of one network for one crop: counted here where "
        "the network is one of the seeds, at the size at which it was tested."
    )
    return Section(
        "published", "Published results", join(element("p", told), figures_table("Published results", heads, rows))
    )


def _published_macs(point: Published) -> str:
    macs = point.cost("macs")
    if macs is None:
        return "not known"
    return quantity(macs) + ("" if point.seed else " as printed")
