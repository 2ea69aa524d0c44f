"""The report's drawings: architectures of the front beside Inception-v3, with what differs marked and in sentences."""

import shlex
from collections.abc import Sequence

from results.difference import Difference, compare
from results.drawing import draw_svg
from results.figures import REFERENCE, shown, spent, spoken
from results.markup import Markup, element, join
from results.outcome import TrialRecord
from results.plain_text import count
from results.report_parts import Section, missing, muted, scroll
from results.view import StudyView, who
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from search_spaces.seeds import seed

_NAME = "Inception-v3"
_SMALL = 6  # drawings of other members of the front: each is about 60 kB of the page
_AT_ONCE = 6  # sentences that are in sight; more are folded away


def drawings_section(view: StudyView) -> Section:
    """The best member of the front, its knee and its cheapest, each beside Inception-v3; others folded away."""
    name, title = "drawings", f"Architectures of the front beside {_NAME}"
    reference = _reference(view)
    chosen = _chosen(view)
    others = [t for t in view.front.members if t.number not in chosen and t.seed != REFERENCE]
    parts = [_opening(view, chosen)]
    for number, roles in chosen.items():
        trial = next(t for t in view.front.members if t.number == number)
        parts.append(_pair(view, trial, f"{who(trial)}: {', '.join(roles)}", reference))
    if not chosen:
        parts.append(element("div", _plain(reference), class_="drawings"))
    if others:
        parts.append(_others(view, others, reference))
    return Section(name, title, join(*parts))


Drawable = Graph | str  # the graph, or in a sentence why there is none


def _graph(view: StudyView, title: str, trial: TrialRecord | None, otherwise: Architecture | None = None) -> Drawable:
    target = view.target
    try:
        architecture = from_data(trial.architecture) if trial is not None else otherwise
        assert architecture is not None
        return architecture.graph(target.resolution, classes=target.classes, channels=target.channels)
    except RequestError as error:
        return f"{title} cannot be drawn: {error}."


def _reference(view: StudyView) -> Drawable:
    """Inception-v3 in the study's target; the published one, whatever a damaged record of it says."""
    return _graph(view, _NAME, None, seed(REFERENCE))


def _chosen(view: StudyView) -> dict[int, list[str]]:
    """The members that are drawn large, by number, with why: best, knee, cheapest; not Inception-v3 itself."""
    found: dict[int, list[str]] = {}
    members = view.front.members
    if view.best is not None:
        found.setdefault(view.best.number, []).append(f"best {spoken(view.objective)} on the front")
    if view.statistics is not None and view.statistics.knees:
        found.setdefault(view.statistics.knees[0].trial.number, []).append("the knee of the front")
    costs = [(cost, trial.number) for trial in members if (cost := spent(trial, view.cost)) is not None]
    if costs and len(members) > 1:
        found.setdefault(min(costs)[1], []).append(f"fewest {spoken(view.cost)}")
    same = {trial.number for trial in members if trial.seed == REFERENCE}
    return {number: roles for number, roles in found.items() if number not in same}


def _opening(view: StudyView, chosen: dict[int, list[str]]) -> Markup:
    best = view.best
    if best is None:
        why = "no complete trial keeps all limits" if view.complete else "no trial is complete"
        return missing(f"There is no best architecture yet, because {why}; {_NAME} is drawn.")
    told = []
    if best.seed == REFERENCE:
        told.append(f"The best architecture so far is {_NAME} itself.")
    if chosen:
        told.append("What differs has a heavy outline. Auxiliary heads, which only training uses, are left out.")
    return element("p", " ".join(told))


def _plain(graph: Drawable) -> Markup:
    return _figure(graph, _NAME, None)


def _pair(view: StudyView, trial: TrialRecord, heading: str, reference: Drawable) -> Markup:
    """A member beside Inception-v3: two drawings, and the differences in sentences below them."""
    graph = _graph(view, who(trial), trial)
    found = compare(graph, reference) if isinstance(graph, Graph) and isinstance(reference, Graph) else None
    figures = (_figure(graph, who(trial), found, first=True), _figure(reference, _NAME, found))
    values = ", ".join(
        f"{spoken(name)} {shown(name, trial.values[name])}" for name in view.study.objectives if name in trial.values
    )
    top = element("h3", f"{heading[0].upper()}{heading[1:]}")
    return join(top, muted(values), element("div", *figures, class_="drawings"), _sentences(found))


def _figure(graph: Drawable, title: str, found: Difference | None, *, first: bool = False) -> Markup:
    if isinstance(graph, str):
        return element("figure", missing(graph))
    marked = (found.first if first else found.second) if found is not None else None
    drawing = Markup(draw_svg(graph, title=title, marked=marked))
    return element("figure", scroll(f"Drawing of {title}", drawing))


def _sentences(found: Difference | None) -> Markup:
    if found is None:
        return missing("The differences cannot be told, as one of the two cannot be drawn.")
    sentences = found.sentences(_NAME)
    if not sentences:
        return element("p", f"It is the same architecture as {_NAME}.")
    listed = element("ul", *(element("li", sentence) for sentence in sentences), class_="differences")
    if len(sentences) <= _AT_ONCE:
        return listed
    return element("details", element("summary", f"{len(sentences)} places at which they differ"), listed)


def _others(view: StudyView, others: Sequence[TrialRecord], reference: Drawable) -> Markup:
    """Members in between, evenly spread over the front; what is left out, and how it can be drawn."""
    spread = [others[place * len(others) // _SMALL] for place in range(_SMALL)] if len(others) > _SMALL else others
    parts = []
    for trial in spread:
        graph = _graph(view, who(trial), trial)
        found = compare(graph, reference) if isinstance(graph, Graph) and isinstance(reference, Graph) else None
        figure = element("div", _figure(graph, who(trial), found, first=True), class_="drawings")
        parts.append(element("details", element("summary", _summary(view, trial)), figure, _sentences(found)))
    left = len(others) - len(spread)
    if left:
        command = f"nas show {shlex.quote(f'{view.study.name}:N')} --svg FILE.svg"
        parts.append(
            muted(
                f"{count(left, 'other member')} of the front not drawn here; ",
                element("code", command),
                " draws trial N.",
            )
        )
    return join(element("h3", "Others on the front"), *parts)


def _summary(view: StudyView, trial: TrialRecord) -> str:
    values = ", ".join(f"{spoken(name)} {shown(name, trial.values[name])}" for name in view.study.objectives)
    return f"{who(trial)}: {values}"
