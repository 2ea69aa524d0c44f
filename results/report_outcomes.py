"""The report's table of outcomes: how many trials ended in each way, and why."""

from collections.abc import Sequence

from results.markup import Markup, element, join
from results.outcome import Outcome, TrialRecord
from results.report_parts import Section, scroll, table
from results.view import StudyView

_REASONS = 8  # kinds of reasons listed per outcome; a broken set-up can have thousands
_LETTERS = 400  # of one reason
_NUMBERS = 12  # trial numbers listed per reason


def outcomes_table(view: StudyView) -> Section:
    """Every outcome with how often it occurred, what it means, and the most frequent reasons."""
    rows = []
    for outcome in Outcome:
        found = [trial for trial in view.trials if trial.outcome is outcome]
        cells = (
            element("th", outcome.called(view.driver), scope="row"),
            element("td", len(found), class_="number"),
            element("td", outcome.meaning(view.driver), class_="sentence"),
            element("td", _reasons(found)),
        )
        rows.append(element("tr", *cells, class_=None if found else "none"))
    titles = ("Outcome", "Trials", "Meaning", "Reasons")
    heads = [element("th", text, scope="col", class_="number" if text == "Trials" else None) for text in titles]
    return Section("outcomes", "Outcomes", scroll("Table of outcomes", table(heads, rows)))


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
