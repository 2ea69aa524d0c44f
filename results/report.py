"""A study as one self-contained HTML file, which opens without a network and forbids itself to use one.

Here the page is put together. Its parts: `report_front` (figures, scatter, table of the front, published results),
`report_statistics`, `report_audit`, `report_drawings`, `report_outcomes` and `report_repeat`.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results.figures import script_json, spoken
from results.importance import Importance
from results.markup import Markup, asset, element, join
from results.outcome import Outcome, StudyRecord, TrialRecord, now, state_called
from results.plain_text import count
from results.published import comparable_with
from results.report_audit import OWN, AuditedBy, audit_section
from results.report_drawings import drawings_section
from results.report_front import front_table, published_table, scatter, tiles
from results.report_outcomes import outcomes_table
from results.report_parts import Figure, Section
from results.report_repeat import repeat_section
from results.report_statistics import (
    control_section,
    distributions_section,
    growth_section,
    importance_section,
    prices_section,
)
from results.view import StudyView, Target, moment
from search_spaces.files import write_files


@dataclass(frozen=True)
class Background:
    """What the page tells that the study's record does not hold.

    Attributes:
        command: what repeats the study, as it was typed; "" where that was not recorded.
        search: the search file that goes with it, resolved; what the record has where None.
        facts: what else belongs to repeating it, by name.
        driver: who searches the study at this moment; without one no trial is running.
        importances: how much each gene matters for objectives and costs.
        audited_by: where violations of the principles begin.
        published: whether published results are laid over the front; None: where the target is ImageNet.
    """

    command: str = ""
    search: Mapping[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    driver: str | None = None
    importances: Sequence[Importance] = ()
    audited_by: AuditedBy = OWN
    published: bool | None = None


_NOTHING_MORE = Background()


def write_report(
    study: StudyRecord, trials: Sequence[TrialRecord], path: str | Path, background: Background = _NOTHING_MORE
) -> None:
    """Write `report_html` to `path`, whole or not at all. Raises RequestError where the file cannot be written."""
    page = report_html(study, trials, background)
    path = Path(path)
    write_files(path.parent, {path.name: page.encode()})


def report_html(study: StudyRecord, trials: Sequence[TrialRecord], background: Background = _NOTHING_MORE) -> str:
    """Return the page. What is missing from the trials, or damaged in one of them, is said in its place.

    Raises RequestError where published results are asked for and do not fit the study's classes.
    """
    target = Target.of(study.search)
    published = comparable_with(study.search, target.classes, asked=background.published)
    ordered = tuple(sorted(trials, key=lambda trial: trial.number))
    view = StudyView(study, ordered, target, tuple(background.importances), background.driver)
    sections = [
        scatter(view, published),
        front_table(view),
        *([published_table(published)] if published else []),
        growth_section(view),
        control_section(view),
        distributions_section(view),
        prices_section(view),
        importance_section(view),
        audit_section(view, background.audited_by),
        drawings_section(view),
        outcomes_table(view),
        repeat_section(study, background.command, background.search, background.facts),
    ]
    body = join(
        element("a", "Skip to the results", href="#main", class_="skip"),
        _header(view, sections),
        element("main", tiles(view), *(section.markup for section in sections), id="main"),
        element("footer", f"Written by inception-nas on {moment(now())}.", class_="muted"),
    )
    figures = {name: figure for section in sections for name, figure in section.figures.items()}
    return _page(f"{study.name} - inception-nas report", body, figures)


def _header(view: StudyView, sections: Sequence[Section]) -> Markup:
    study, trials = view.study, view.trials
    ended = max((trial.finished_at for trial in trials if trial.finished_at), default=None)
    counts = [(outcome, sum(trial.outcome is outcome for trial in trials)) for outcome in Outcome]
    told = ", ".join(f"{number:,} {outcome.called(view.driver)}" for outcome, number in counts if number)
    goals = ", ".join(f"{goal} {spoken(name)}" for name, goal in study.objectives.items())
    when = f"Started {moment(study.created_at)}" + (f"; last trial ended {moment(ended)}" if ended else "")
    links = (element("li", element("a", section.title, href=f"#{section.name}")) for section in sections)
    return element(
        "header",
        element("h1", study.name, " ", element("span", state_called(study.state, view.driver), class_="state")),
        element("p", f"{when}. Objectives: {goals or 'none'}.", class_="muted"),
        element("p", f"{count(len(trials), 'trial')}: {told}." if trials else "No trials yet."),
        element("nav", element("ul", *links), aria_label="Sections"),
    )


def _page(title: str, body: Markup, figures: Mapping[str, Figure]) -> str:
    scripts: list[Markup] = []
    if figures:
        from plotly.offline import get_plotlyjs  # 0.1 s and 5 MB: only for reports with something to draw

        scripts = [Markup(get_plotlyjs()), asset("charts.js"), asset("report.js")]
    islands = [
        element("script", script_json(figure), type="application/json", id=f"figure-{name}")
        for name, figure in figures.items()
    ]
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
        element("style", asset("palette.css"), asset("report.css")),
    )
    parts = (body, *islands, *(element("script", script) for script in scripts))
    return "<!DOCTYPE html>\n" + element("html", head, element("body", *parts), lang="en") + "\n"
