"""An ablation as one self-contained HTML file without scripts: the answer, two charts, the tables behind them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.ablation import Ablation, Arm, notes, points_text, verdict
from results.ablation_charts import distributions, scatter
from results.equal_cost import EQUAL, SHARES, Difference, Share, partners, quantiles
from results.markup import Markup, asset, element, join
from results.outcome import Outcome, now
from results.view import moment
from search_spaces.files import write_files
from search_spaces.yaml_files import write_text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def write_ablation_report(
    ablation: Ablation, path: Path, *, facts: Mapping[str, Any], search: Mapping[str, Any]
) -> None:
    """Write `ablation_html` to `path`, whole or not at all. Raises RequestError where the file cannot be written."""
    page = ablation_html(ablation, facts=facts, search=search)
    write_files(path.parent, {path.name: page.encode()})


def ablation_html(ablation: Ablation, *, facts: Mapping[str, Any], search: Mapping[str, Any]) -> str:
    """Return the page. ``facts``: what was asked, by name; ``search``: the search file, as it was resolved."""
    title = f"{ablation.principle} on and off: {facts['study']}"
    sections = (
        ("differences", "Differences", _differences(ablation)),
        ("distributions", "Errors", _charts(ablation)),
        ("arms", "The two arms", join(_arms(ablation), _outcomes(ablation))),
        ("repeat", "How to repeat it", _repeat(ablation, facts, search)),
    )
    body = join(
        element("a", "Skip to the results", href="#main", class_="skip"),
        element(
            "header",
            element("h1", f"Does {ablation.principle} help in {facts['study']}?"),
            element("p", verdict(ablation), class_="verdict"),
            element("ul", *(element("li", note) for note in notes(ablation))),
        ),
        element("main", *(_section(*section) for section in sections), id="main"),
        element("footer", f"Written by inception-nas on {moment(now())}.", class_="muted"),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{title} - inception-nas"),
        element("style", asset("palette.css"), asset("report.css"), asset("ablation.css")),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def _section(name: str, title: str, content: Markup) -> Markup:
    return element("section", element("h2", title, id=name), content, aria_labelledby=name)


def _table(label: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    """A table whose first column names the row and whose others are figures."""
    head = element(
        "tr", *(element("th", text, scope="col", class_="number" if i else None) for i, text in enumerate(heads))
    )
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell, class_="number") for cell in row[1:]))
        for row in rows
    ]
    table = element("table", element("thead", head), element("tbody", *body))
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def _differences(ablation: Ablation) -> Markup:
    def row(name: str, found: Difference | Share | None) -> list[str]:
        if found is None:
            return [name, "-", "too few trials", "", ""]
        pairs = [f"{found.pairs}", f"{found.lower:.0%}"] if isinstance(found, Difference) else ["", ""]
        return [name, points_text(found.value), f"{points_text(found.low)} to {points_text(found.high)}", *pairs]

    rows = (
        row(f"error at equal MACs (within {EQUAL - 1:.0%})", ablation.equal),
        row("error at any MACs", ablation.raw),
        row(f"error at equal MACs, off only the {ablation.breaking} that break it", ablation.broken),
        row("share of failed trials", ablation.failures),
    )
    heads = ("On less off", "Points", "95 % interval", "Pairs", "On lower in")
    told = (
        "Errors: the median over pairs of one trial of each arm, in points of validation error; at equal MACs the "
        "trend of error over MACs that is left within a pair is taken out. Below zero, the principle helps."
    )
    return join(element("p", told, class_="muted"), _table("Differences", heads, rows))


def _charts(ablation: Ablation) -> Markup:
    charts = [chart for chart in (scatter(ablation), distributions(ablation)) if chart]
    if not charts:
        return element("p", "No trial is complete, so there is nothing to draw.", class_="missing")
    return element("div", *charts, class_="charts")


def _arms(ablation: Ablation) -> Markup:
    arms = (ablation.on, ablation.off)
    heads = ("Arm", "Trained", "Failed", "Break it", *("lowest", "25 %", "median", "75 %", "highest"))

    def errors(found: list[float]) -> list[str]:
        return [f"{100 * error:.2f} %" for error in found] or ["-"] * len(SHARES)

    rows: list[list[object]] = [
        [f"{ablation.principle} {arm.word}", arm.trained, arm.failed, arm.breaking, *errors(quantiles(arm.points))]
        for arm in arms
    ]
    rows += [
        [f"{arm.word}, at equal MACs", "", "", "", *errors(quantiles(arm.points, weights))]
        for arm, weights in zip(arms, partners(ablation.on.points, ablation.off.points), strict=True)
    ]
    return _table("Arms and their errors", heads, rows)


def _outcomes(ablation: Ablation) -> Markup:
    def count(arm: Arm, outcome: Outcome) -> int:
        return arm.outcomes.get(str(outcome), 0)

    rows = [
        [outcome.value, count(ablation.on, outcome), count(ablation.off, outcome)]
        for outcome in Outcome
        if count(ablation.on, outcome) or count(ablation.off, outcome)
    ]
    return join(element("h3", "Outcomes"), _table("Outcomes", ("Outcome", "On", "Off"), rows))


def _repeat(ablation: Ablation, facts: Mapping[str, Any], search: Mapping[str, Any]) -> Markup:
    repeats = f" --repeats {ablation.repeats}" if ablation.repeats > 1 else ""
    command = f"nas ablate {facts['study']}.yaml --principle {ablation.principle}{repeats}"
    studies = ", ".join((*ablation.on.studies, *ablation.off.studies))
    return join(
        element("pre", command, tabindex=0, aria_label="Command"),
        element("p", f"The arms are the studies {studies}. Both drew at random and trained no seeds."),
        element("h3", "What was asked"),
        element("pre", write_text(dict(facts)), tabindex=0, aria_label="What was asked"),
        element("h3", "Search file, with all defaults written out"),
        element("pre", write_text(dict(search)), tabindex=0, aria_label="Search file"),
    )
