"""A study as one self-contained HTML file, which opens without a network and forbids itself to use one."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from results.blocks import quantity
from results.control import compare
from results.drawing import draw_svg
from results.figures import REFERENCE, script_json, shown, spent, spoken
from results.markup import Markup, asset, element, join
from results.outcome import Outcome, StudyRecord, TrialRecord, now
from results.view import StudyView, Target, difference, duration, moment, ratio, who
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.files import write_files
from search_spaces.seeds import seed
from search_spaces.yaml_files import write_text

_ARM_HEADS = ("Arm", "Trials", "Hypervolume, median", "Middle 95 %")
_REASONS = 8  # kinds of reasons listed per outcome; a broken set-up can have thousands
_LETTERS = 400  # of one reason
_NUMBERS = 12  # trial numbers listed per reason


def write_report(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    path: str | Path,
    *,
    command: str = "",
    resolution: int | tuple[int, int] | None = None,
    classes: int = 1000,
    channels: int = 3,
    hardware: Mapping[str, str] | None = None,
) -> None:
    """Write `report_html` to `path`, whole or not at all. Raises RequestError where the file cannot be written."""
    page = report_html(
        study,
        trials,
        command=command,
        resolution=resolution,
        classes=classes,
        channels=channels,
        hardware=hardware,
    )
    path = Path(path)
    write_files(path.parent, {path.name: page.encode()})


def report_html(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    *,
    command: str = "",
    resolution: int | tuple[int, int] | None = None,
    classes: int = 1000,
    channels: int = 3,
    hardware: Mapping[str, str] | None = None,
) -> str:
    """Return the page.

    Args:
        study: the study.
        trials: all of its trials; what is missing from them is said on the page.
        command: the command that repeats the study, as typed.
        resolution: pixels of the target, in which costs are counted and architectures drawn; their own if None.
        classes: outputs of the target.
        channels: channels of the target's pictures.
        hardware: what the study ran on, by name, where it is known.
    """
    target = Target(resolution, classes, channels)
    view = StudyView(study, tuple(sorted(trials, key=lambda trial: trial.number)), target)
    sections = (
        ("scatter", _scatter_title(view), _scatter(view)),
        ("front", "The front", _front_table(view)),
        ("drawings", "The best architecture", _drawings(view)),
        ("control", "Did searching help?", _control(view)),
        ("outcomes", "Outcomes", _outcomes(view)),
        ("repeat", "How to repeat it", _repeat(view, command, hardware or {})),
    )
    body = join(
        element("a", "Skip to the results", href="#main", class_="skip"),
        _header(view, [(name, title) for name, title, _ in sections]),
        element("main", _tiles(view), *(_section(*section) for section in sections), id="main"),
        element("footer", f"Written by inception-nas on {moment(now())}.", class_="muted"),
    )
    return _page(f"{study.name} - inception-nas report", body, view.figure)


# ----------------------------------------------------------------------------------------------------------- sections


def _section(name: str, title: str, content: Markup) -> Markup:
    return element("section", element("h2", title, id=name), content, aria_labelledby=name)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _missing(sentence: str) -> Markup:
    return element("p", sentence, class_="missing")


def _scroll(label: str, wide: Markup) -> Markup:
    return element("div", wide, class_="scroll", tabindex=0, role="region", aria_label=label)


def _table(heads: Sequence[Markup], rows: Sequence[Markup]) -> Markup:
    return element("table", element("thead", element("tr", *heads)), element("tbody", *rows))


def _header(view: StudyView, links: Sequence[tuple[str, str]]) -> Markup:
    study, trials = view.study, view.trials
    ended = max((trial.finished_at for trial in trials if trial.finished_at), default=None)
    counts = [(outcome, sum(trial.outcome is outcome for trial in trials)) for outcome in Outcome]
    told = ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count)
    goals = ", ".join(f"{goal} {spoken(name)}" for name, goal in study.objectives.items())
    when = f"Started {moment(study.created_at)}" + (f"; last trial ended {moment(ended)}" if ended else "")
    return element(
        "header",
        element("h1", study.name, " ", element("span", study.state, class_="state")),
        element("p", f"{when}. Objectives: {goals or 'none'}.", class_="muted"),
        element("p", f"{_count(len(trials), 'trial')}: {told}." if trials else "No trials yet."),
        element(
            "nav",
            element("ul", *(element("li", element("a", title, href=f"#{name}")) for name, title in links)),
            aria_label="Sections",
        ),
    )


def _tile(title: str, figure: str, note: str) -> Markup:
    value = element("dd", figure, class_="figure")
    return element("div", element("dt", title), value, element("dd", note, class_="muted"), class_="tile")


def _tiles(view: StudyView) -> Markup:
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
    tiles.append(_tile("On the front", str(len(members)), f"of {_count(len(view.complete), 'complete trial')}"))
    reference = ", ".join(f"{spoken(key)} {shown(key, value)}" for key, value in view.front.reference_point.items())
    tiles.append(_tile("Hypervolume", f"{view.front.hypervolume:.4g}", f"up to {reference}"))
    seconds = sum(trial.seconds or 0.0 for trial in view.trials)
    tiles.append(_tile("Training time", duration(seconds), "summed over all trials"))
    return element("dl", *tiles, class_="tiles")


def _scatter_title(view: StudyView) -> str:
    return f"{spoken(view.objective).capitalize()} against {spoken(view.cost)}"


def _scatter(view: StudyView) -> Markup:
    name = view.objective
    if view.figure is None:
        return _missing(_why_empty(view))
    notes: list[object] = []
    without = sum(spent(trial, view.cost) is None for trial in view.complete)
    if without:
        notes.append(f"Not drawn, because no {spoken(view.cost)} are recorded: {_count(without, 'complete trial')}.")
    values = {trial.values[name] for trial in view.complete}
    if len(values) == 1:
        said = "The only complete trial has" if len(view.complete) == 1 else "All complete trials have the same value,"
        notes.append(f"{said} {spoken(name)} {shown(name, values.pop())}: there is nothing to compare yet.")
    if view.reference_value is None:
        notes.append("Inception-v3 is not drawn: it has not been measured in this study.")
    label = (
        f"Scatter of {spoken(name)} against {spoken(view.cost)}: {_count(len(view.complete), 'complete trial')}, "
        f"{len(view.front.members)} on the front. The front is also in the table below."
    )
    return join(
        *(element("p", note) for note in notes),
        element("div", id="chart", tabindex=0, role="group", aria_label=label, aria_describedby="chart-help"),
        element(
            "p",
            f"Each point is a complete trial; {_of_front(view)}, stars are published networks. ",
            "With the chart in focus, the arrow keys walk along front and seeds.",
            id="chart-help",
            class_="muted",
        ),
        element("p", id="chart-reader", aria_live="polite"),
        element("noscript", _missing("The chart needs JavaScript, which is off here; the table has the same front.")),
    )


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


def _front_table(view: StudyView) -> Markup:
    members = list(view.front.members)
    seeds = [trial for trial in view.complete if trial.seed and trial not in members]
    if not members and not seeds:
        return _missing("There is no front yet: it consists of complete trials, and there are none.")
    costs = [name for name in ("macs", "params") if any(name in trial.costs for trial in (*members, *seeds))]
    others = [name for name in view.study.objectives if name not in costs]
    heads = [element("th", "Architecture", scope="col"), element("th", "On the front", scope="col")]
    heads += [element("th", spoken(name), scope="col", class_="number") for name in (*others, *costs)]
    heads += [element("th", "Training", scope="col", class_="number"), element("th", "Digest", scope="col")]
    rows = [_front_row(view, trial, others, costs, trial in members) for trial in (*members, *seeds)]
    table = _table(heads, rows)
    if view.reference_value is None:
        told = "Inception-v3 is not measured in this study: ratios of costs are against it, differences are missing."
        told = told if view.reference_costs else "Inception-v3 is not in this study, so nothing is compared with it."
    else:
        told = "Below each value: the difference from Inception-v3, in points, and the ratio of costs to its costs."
    return join(element("p", told, class_="muted"), _scroll("The front", table))


def _front_row(
    view: StudyView, trial: TrialRecord, others: Sequence[str], costs: Sequence[str], member: bool
) -> Markup:
    def cell(value: str, change: str) -> Markup:
        return element("td", value, element("span", change, class_="change") if change else "", class_="number")

    same = trial is view.reference
    cells = [element("th", who(trial), scope="row"), element("td", "yes" if member else "no")]
    cells += [cell(shown(name, trial.values[name]), "" if same else difference(trial, view, name)) for name in others]
    cells += [cell(quantity(trial.costs.get(name, 0)), ratio(trial, view, name)) for name in costs]
    cells.append(cell(duration(trial.seconds) if trial.seconds is not None else "unknown", ""))
    cells.append(element("td", element("code", trial.digest[:12], title=trial.digest)))
    return element("tr", *cells, class_="reference" if trial.seed == REFERENCE else None)


def _drawings(view: StudyView) -> Markup:
    best, reference = view.best, view.reference
    parts: list[Markup] = []
    if best is None:
        parts.append(
            _missing("There is no best architecture yet, because no trial is complete; Inception-v3 is drawn.")
        )
    elif best.seed == REFERENCE:
        parts.append(element("p", "The best architecture so far is Inception-v3 itself."))
    else:
        name = view.objective
        text = f"Best {spoken(name)} on the front, {shown(name, best.values[name])}, beside Inception-v3."
        parts.append(element("p", f"{text} Auxiliary heads, which only training uses, are left out."))
    figures = []
    if best is not None and best.seed != REFERENCE:
        figures.append(_figure(who(best), lambda: from_data(best.architecture), view.target))
    recorded = reference.architecture if reference is not None else None
    figures.append(_figure("Inception-v3", lambda: from_data(recorded) if recorded else seed(REFERENCE), view.target))
    return join(*parts, element("div", *figures, class_="drawings"))


def _figure(title: str, architecture: Callable[[], Architecture], target: Target) -> Markup:
    try:
        graph = architecture().graph(target.resolution, classes=target.classes, channels=target.channels)
    except RequestError as error:
        return element("figure", _missing(f"{title} cannot be drawn: {error}."))
    return element("figure", _scroll(f"Drawing of {title}", Markup(draw_svg(graph, title=title))))


def _control(view: StudyView) -> Markup:
    found = compare(view.trials, view.study.objectives)
    if found is None:
        return _missing("The study has no control arm, so there is nothing to compare the sampler with.")
    heads = [element("th", text, scope="col", class_="number" if text != "Arm" else None) for text in _ARM_HEADS]
    arms = (("sampler", found.trials[0], found.sampler), ("random points (control)", found.trials[1], found.random))
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            element("td", count, class_="number"),
            element("td", f"{interval.median:.4g}", class_="number"),
            element("td", f"{interval.low:.4g} to {interval.high:.4g}", class_="number"),
        )
        for name, count, interval in arms
    ]
    told = (
        f"Hypervolumes of {_count(found.budget, 'trial')} of each arm, drawn with replacement from all of its trials a "
        "thousand times; trials that were stopped at a rung have used their budget and add nothing."
    )
    return join(
        element("p", found.sentence),
        _scroll("The two arms", _table(heads, rows)),
        element("p", told, class_="muted"),
    )


def _outcomes(view: StudyView) -> Markup:
    rows = []
    for outcome in Outcome:
        found = [trial for trial in view.trials if trial.outcome is outcome]
        cells = (
            element("th", outcome.value, scope="row"),
            element("td", len(found), class_="number"),
            element("td", outcome.sentence, class_="sentence"),
            element("td", _reasons(found)),
        )
        rows.append(element("tr", *cells, class_=None if found else "none"))
    titles = ("Outcome", "Trials", "Meaning", "Reasons")
    heads = [element("th", text, scope="col", class_="number" if text == "Trials" else None) for text in titles]
    return _scroll("Table of outcomes", _table(heads, rows))


def _reasons(trials: Sequence[TrialRecord]) -> Markup:
    found: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        trace = (trial.traceback or "").strip()
        reason = trial.reason or trace.rsplit("\n", 1)[-1]
        if reason:
            found.setdefault(reason, []).append(trial)
    if not found:
        return Markup()
    ranked = sorted(found.items(), key=lambda item: -len(item[1]))
    lines = [element("li", _reason(reason, some)) for reason, some in ranked[:_REASONS]]
    if len(ranked) > _REASONS:
        rest = sum(len(some) for _, some in ranked[_REASONS:])
        lines.append(element("li", f"and {len(ranked) - _REASONS} other reasons of {rest} trials", class_="muted"))
    return element("ul", *lines, class_="reasons")


def _reason(reason: str, trials: Sequence[TrialRecord]) -> Markup:
    numbers = ", ".join(str(trial.number) for trial in trials[:_NUMBERS]) + (", ..." if len(trials) > _NUMBERS else "")
    short = reason if len(reason) <= _LETTERS else reason[:_LETTERS] + " ..."
    where = element("span", f" ({'trial' if len(trials) == 1 else 'trials'} {numbers})", class_="muted")
    trace = next((trial.traceback for trial in trials if trial.traceback), None)
    if trace is None:
        return join(short, where)
    summary = element("summary", f"traceback of trial {next(t.number for t in trials if t.traceback)}")
    return join(short, where, element("details", summary, element("pre", trace[-4000:], tabindex=0)))


def _repeat(view: StudyView, command: str, hardware: Mapping[str, str]) -> Markup:
    study = view.study
    how = command or "nas search search.yaml"
    said = "" if command else "The command was not recorded; with the search file below saved as search.yaml it is:"
    facts = {"search digest": study.search_digest, "data digest": study.data_digest or "not recorded", **hardware}
    facts |= {f"{package} version": version for package, version in study.versions.items()}
    rows = [
        element("tr", element("th", key, scope="row"), element("td", element("code", value)))
        for key, value in facts.items()
    ]
    if not study.versions:
        rows.append(element("tr", element("th", "versions", scope="row"), element("td", "not recorded")))
    search = write_text(study.search) if study.search else "the search file was not recorded\n"
    return join(
        element("p", said) if said else "",
        element("pre", how, tabindex=0, aria_label="Command"),
        element("h3", "Search file, with all defaults written out"),
        element("pre", search, tabindex=0, aria_label="Search file"),
        element("h3", "Versions and data"),
        _scroll("Versions and data", element("table", element("tbody", *rows))),
    )


# --------------------------------------------------------------------------------------------------------------- page


def _page(title: str, body: Markup, figure: dict[str, Any] | None) -> str:
    scripts: list[Markup] = []
    island: Markup | str = ""
    if figure is not None:
        from plotly.offline import get_plotlyjs  # 0.1 s and 5 MB: only for reports with something to draw

        scripts = [Markup(get_plotlyjs()), asset("report.js")]
        island = element("script", script_json(figure), type="application/json", id="figure")
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    # Nothing may be fetched, sent or framed; of scripts only ours run, known by their hashes.
    policy = (
        f"default-src 'none'; script-src {hashes or chr(39) + 'none' + chr(39)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", asset("report.css")),
    )
    parts = (body, island, *(element("script", script) for script in scripts))
    return "<!DOCTYPE html>\n" + element("html", head, element("body", *parts), lang="en") + "\n"
