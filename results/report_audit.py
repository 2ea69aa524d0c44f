"""The report's audit: the front and the published networks against the four principles, by the study's thresholds."""

from dataclasses import dataclass

from results.markup import Markup, element, join
from results.outcome import TrialRecord
from results.report_parts import Section, missing, muted, scroll, table
from results.view import StudyView, who
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.principles import NAMES, RULES, Audit, Finding, Thresholds, audit


@dataclass(frozen=True)
class AuditedBy:
    """Where violations begin: ``whose`` thresholds they are, in words."""

    thresholds: Thresholds
    whose: str


OWN = AuditedBy(Thresholds(), "the project's own thresholds")


def audit_section(view: StudyView, by: AuditedBy) -> Section:
    """A row for each member of the front and each published network: ok, or by how much a principle is violated."""
    name, title = "audit", "The four principles"
    if not view.shown:
        return Section(name, title, missing("There is no front to audit yet, and no published network was measured."))
    rows = [_row(view, trial, by) for trial in view.shown]
    texts = ("Architecture", *(each.replace("_", " ") for each in NAMES), "factorisation rules")
    heads = [element("th", text, scope="col") for text in texts]
    told = f"Audited by {by.whose}. Hold the pointer over a cell for what was measured, and what would mend it."
    off = ", ".join(by.thresholds.off)
    notes = [muted(told), muted(f"Switched off, so that a violation does not count: {off}.") if off else Markup()]
    return Section(name, title, join(*notes, scroll(title, table(heads, rows))))


def _row(view: StudyView, trial: TrialRecord, by: AuditedBy) -> Markup:
    named = element("th", who(trial), scope="row")
    try:
        found = audit(from_data(trial.architecture), view.target.resolution, by.thresholds)
    except RequestError as error:
        said = element("td", f"Not audited: {error}.", colspan=len(NAMES) + 1, class_="sentence")
        return element("tr", named, said)
    return element("tr", named, *(_cell(finding, found) for finding in found.principles), _rules(found))


def _cell(finding: Finding, found: Audit) -> Markup:
    sign = "\u2265" if finding.at_least else "\u2264"
    measured = f"{finding.value:.2f} {sign} {finding.threshold:.2f}"
    if finding.passed:
        return element(
            "td", "ok ", element("span", measured, class_="change"), title=finding.sentence, class_="verdict"
        )
    told = f"{finding.value:.2f}, {'at least' if finding.at_least else 'at most'} {finding.threshold:.2f} is asked for"
    off = " (off)" if finding.name in found.off else ""
    by = element("strong", f"violated by {finding.violation:.2g}{off}", class_="violated")
    where = f", {finding.where}" if finding.where else ""
    return element("td", by, element("span", told + where, class_="change"), title=finding.sentence, class_="verdict")


def _rules(found: Audit) -> Markup:
    broken = [rule for rule in found.rules if not rule.passed]
    if not broken:
        return element("td", "ok", element("span", f"all {len(RULES)}", class_="change"))
    parts = [
        element(
            "strong", f"{rule.name.replace('_', ' ')}{' (off)' if rule.name in found.off else ''}", class_="violated"
        )
        for rule in broken
    ]
    where = element("span", ", ".join(filter(None, (rule.where for rule in broken))), class_="change")
    return element(
        "td", *(part for each in parts for part in (each, " ")), where, title=broken[0].sentence, class_="verdict"
    )
