"""One trial beside another or a published network: values, costs, genes, curve, drawing and audit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from dash import html
from dash.development.base_component import Component

from results.dashboard.parts import missing, scroll, table
from results.difference import Difference, compare
from results.figures import shown, spoken
from results.outcome import Outcome, StudyRecord, TrialRecord
from results.report_audit import AuditedBy
from results.rung_values import costs_of, end_of
from results.view import Target, duration, moment
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.cost import cost
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.graph import Graph
from search_spaces.principles import audit
from search_spaces.seeds import seed, seed_names

SEED = "seed:"  # before the name of a published network, where a trial's number may stand as well
Content = str | Component | list[Any]


@dataclass(frozen=True)
class Subject:
    """What is shown, or compared with: a trial of the study, or a published network as it is (``trial`` None).

    ``costs`` are of no rung. ``values``: what was measured of it at one moment of its training. ``at``: that moment,
    as rung and epoch, None where nothing was trained; ``said``: it in words, "" where the values are final ones.
    """

    title: str
    architecture: Callable[[], Architecture]
    costs: Mapping[str, float]
    trial: TrialRecord | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    at: tuple[int, int | None] | None = None
    said: str = ""

    def value(self, name: str) -> float | None:
        """A value or a cost; None where it is not known."""
        return self.values.get(name, self.costs.get(name))


def of_trial(trial: TrialRecord, epochs: Sequence[int | None], rung: int | None = None) -> Subject:
    """Return a trial as it was at the end of a rung (None: at its own end); if it has not come there, as it was last.

    ``epochs``: the last one of each rung, as `results.rung_values` gives them.
    """
    title = f"trial {trial.number}" + (f", {trial.seed}" if trial.seed else "")
    whole = Subject(title, lambda: from_data(trial.architecture), costs_of(trial), trial)
    if rung is None and trial.outcome is Outcome.COMPLETE:
        return replace(whole, values=trial.values, at=(len(epochs) - 1, epochs[-1]))
    last = trial.measurements[-1] if trial.measurements else None
    measured = last if rung is None else end_of(trial, rung, epochs) or last
    if measured is None or measured.epoch == 0:  # what is measured before the training are costs
        return whole
    said = f"rung {measured.rung}, epoch {measured.epoch}" if len(epochs) > 1 else f"epoch {measured.epoch}"
    return replace(whole, values=measured.values, at=(measured.rung, measured.epoch), said=said)


def of_seed(name: str, target: Target) -> Subject:
    """Return a published network, with its costs in the study's target; RequestError for an unknown name."""
    if name not in seed_names():
        raise RequestError(f"there is no seed {name!r}: there are {', '.join(seed_names())}")
    return Subject(name, lambda: seed(name), _seed_costs(name, target))


@lru_cache(maxsize=64)
def _seed_costs(name: str, target: Target) -> Mapping[str, int]:
    try:
        counted = cost(seed(name), target.resolution, classes=target.classes, channels=target.channels)
    except RequestError:  # the target's pictures are none that it can read
        return {}
    return {key: value for key, value in counted.as_data().items() if value is not None}


def values_panel(
    record: StudyRecord, subject: Subject, beside: Subject | None, driver: str | None = None
) -> list[Component]:
    """What is told of a trial's training: how it stands, and its values. ``driver``: who searches the study."""
    trial = subject.trial
    assert trial is not None
    parts: list[Component] = [html.P(_standing(trial, driver)), _figures(record, subject, beside)]
    if trial.traceback:
        trace = html.Pre(trial.traceback[-4000:], tabIndex=0)
        parts.append(html.Details([html.Summary("Traceback"), trace]))
    return parts


def architecture_panel(
    record: StudyRecord, subject: Subject, beside: Subject | None, audited_by: AuditedBy
) -> list[Component]:
    """What is told of a trial's architecture, which no training changes: files, picture, audit and genes.

    What cannot be told is said, and the rest shown.
    """
    trial, target = subject.trial, Target.of(record.search)
    assert trial is not None
    parts: list[Component] = [_links(record, trial, beside), _picture(record, subject, beside)]
    parts += [html.H3("The four principles, and the rules of factorisation"), _audit(subject, target, audited_by)]
    return [*parts, html.H3("Genes"), _genes(trial, beside)]


def _standing(trial: TrialRecord, driver: str | None) -> str:
    told = f"{trial.outcome.called(driver).capitalize()}: {trial.outcome.meaning(driver)}"
    if trial.reason:
        told += f" Reason: {trial.reason[:400]}."
    if trial.reused:
        told += f" Its results are those of {trial.reused}."
    if trial.seconds is not None:
        told += f" Trained for {duration(trial.seconds)}, started {moment(trial.started_at)}."
    return told


def _figures(record: StudyRecord, subject: Subject, beside: Subject | None) -> Component:
    names = [*record.objectives, *(name for name in ("macs", "params") if name not in record.objectives)]
    heads = ["", "this", *([beside.title, "difference"] if beside else [])]
    rows: list[list[Content]] = []
    for name in names:
        row: list[Content] = [spoken(name), _measured(subject, name)]
        if beside:
            row += [_measured(beside, name), _apart(name, subject, beside)]
        rows.append(row)
    for name, size in (subject.trial.violations if subject.trial else {}).items():
        if size > 0:
            rows.append([f"breaks {name}", f"by {size:.3g}", *(["", ""] if beside else [])])
    return scroll("Values and costs", table(heads, rows))


def _measured(subject: Subject, name: str) -> str:
    """A value, and where it is not a final one at which rung and epoch it was measured: there a line may end."""
    value = subject.value(name)
    if value is None:
        return "not measured"
    figure = shown(name, value).replace(" ", "\N{NO-BREAK SPACE}")
    return figure + (f" ({subject.said})" if subject.said and name not in subject.costs else "")


def _apart(name: str, subject: Subject, beside: Subject) -> str:
    """The difference of two values of the same rung and epoch, or of two costs; of others there is none."""
    own, other = subject.value(name), beside.value(name)
    if own is None or other is None:
        return ""
    if subject.at != beside.at and not (name in subject.costs and name in beside.costs):
        same = subject.at is not None and beside.at is not None and subject.at[0] == beside.at[0]
        return "other epoch" if same else "other rung"
    if name in ("macs", "params") and other:
        return f"{own / other:.2f} x"
    sign = "+" if own >= other else "\N{MINUS SIGN}"
    text = shown(name, abs(own - other))
    return sign + (text.replace(" %", " points") if text.endswith(" %") else text)


def address(kind: str, record: StudyRecord, trial: TrialRecord, **more: str) -> str:
    """Where a file of a trial is fetched."""
    return f"/files/trial.{kind}?" + urlencode({"study": record.name, "number": trial.number, **more})


def _links(record: StudyRecord, trial: TrialRecord, beside: Subject | None) -> Component:
    kinds = (("yaml", "YAML"), ("py", "PyTorch source"), ("svg", "drawing (SVG)"))
    links = [html.A(label, href=address(kind, record, trial), download="") for kind, label in kinds]
    return html.P(["Download: ", *(part for link in links for part in (link, " "))], className="links")


def _picture(record: StudyRecord, subject: Subject, beside: Subject | None) -> Component:
    assert subject.trial is not None
    target, told = Target.of(record.search), list[Component]()
    try:
        graph = with_heads(subject.architecture(), target)
    except (RequestError, KeyError, TypeError) as error:
        return missing(f"The architecture cannot be drawn: {error}.")
    if beside is not None:
        try:
            told = [_differences(compare(graph, with_heads(beside.architecture(), target)), beside)]
        except (RequestError, KeyError, TypeError) as error:
            told, beside = [missing(f"Not compared with {beside.title}: {error}.")], None
    source = address("svg", record, subject.trial, **_named(beside))
    picture = html.Img(src=source, alt=f"Drawing of {subject.title}")
    link = html.A(
        picture, href=source, target="_blank", rel="noopener", title="Open the drawing alone", className="picture"
    )
    return html.Div([link, *told])


def with_heads(architecture: Architecture, target: Target) -> Graph:
    """The graph with its auxiliary heads, unless the pictures are too small for these."""
    try:
        return architecture.graph(target.resolution, classes=target.classes, channels=target.channels, aux=True)
    except ResolutionError:
        return architecture.graph(target.resolution, classes=target.classes, channels=target.channels)


def _named(beside: Subject | None) -> dict[str, str]:
    """How an address names what a drawing is compared with."""
    if beside is None:
        return {}
    return {"beside": f"{SEED}{beside.title}" if beside.trial is None else str(beside.trial.number)}


def _differences(found: Difference, beside: Subject) -> Component:
    """What differs, in sentences: the same as the drawing marks."""
    sentences = found.sentences(beside.title)
    if not sentences:
        return html.P(f"The same architecture as {beside.title}.")
    places = "1 place" if len(sentences) == 1 else f"{len(sentences)} places"
    summary = html.Summary(f"Where it differs from {beside.title}: {places}")
    return html.Details([summary, html.Ul([html.Li(sentence) for sentence in sentences])], open=len(sentences) < 4)


def _audit(subject: Subject, target: Target, by: AuditedBy) -> Component:
    try:
        found = audit(subject.architecture(), target.resolution, by.thresholds)
    except (RequestError, KeyError, TypeError) as error:
        return missing(f"Not audited: {error}.")
    rows: list[list[Content]] = []
    for finding in (*found.principles, *found.rules):
        digits = 0 if finding in found.rules else 2
        verdict = "off" if finding.name in found.off else "ok" if finding.passed else "violated"
        limit = f"at {'least' if finding.at_least else 'most'} {finding.threshold:.{digits}f}"
        name, value = finding.name.replace("_", " "), f"{finding.value:.{digits}f}"
        rows.append([name, html.Span(verdict, className=verdict), value, limit, finding.where])
    whose = html.P(f"By {by.whose}.", className="muted")
    return html.Div([whose, scroll("Audit", table(["principle or rule", "", "value", "allowed", "where"], rows))])


def _genes(trial: TrialRecord, beside: Subject | None) -> Component:
    if trial.genes is None:
        return missing("This trial has no genes: it was not decoded from a point of the space.")
    other = beside.trial.genes if beside is not None and beside.trial is not None else None
    heads = ["gene", "this", *([beside.title] if beside and other else [])]
    rows: list[list[Content]] = []
    for name, value in trial.genes.items():
        row: list[Content] = [name, _gene(value)]
        if other:
            differs = other.get(name) != value
            text = _gene(other[name]) if name in other else "none"
            row.append(html.Mark(text) if differs else text)
        rows.append(row)
    note = "" if other or beside is None else f"No genes are recorded of {beside.title}."
    return html.Div([html.P(note, className="muted") if note else None, scroll("Genes", table(heads, rows), "tall")])


def _gene(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
