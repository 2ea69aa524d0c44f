"""What commands print: texts for people, and the plain data behind ``--json``."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.runs import Runs
from nas.study import Found, Study, data_sentence, searched_by, trial_data
from nas.waiting import working
from results.outcome import NoLedger, Outcome, state_called
from results.plain_text import plain
from search_spaces.architecture import Architecture
from search_spaces.cost import Cost, cost
from search_spaces.errors import RequestError, ResolutionError, SearchFailed
from search_spaces.graph import Graph
from search_spaces.principles import Audit, audit

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from results.profile import Profile
    from search_spaces.space import SearchSpace


PLOT_WIDTH = 110  # of a plot, at most


def filled(text: str, width: int, indent: str = "", first: str | None = None) -> str:
    """The text in lines of at most ``width`` letters, 40 to 110: longer lines are harder to read.

    ``first``: what the first line starts with, in place of ``indent``.
    """
    first = indent if first is None else first
    return textwrap.fill(text, _readable(width), initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def _readable(width: int) -> int:
    return max(40, min(width, 110))


def entry_text(head: str, notes: str, width: int) -> str:
    """An entry of a list of what ships: a line about it, and its notes below."""
    return f"{filled(head, width, '    ', '')}\n{filled(notes, width, '    ')}"


def cost_text(counted: Cost, width: int) -> str:
    """The costs in lines; what they mean stands beside the figures or, where that is too wide, below."""
    rows = [("params", f"{counted.params:,}", "")]
    if counted.params_with_aux not in (None, counted.params):
        rows.append(("  with auxiliary", f"{counted.params_with_aux:,}", ""))
    rows.append(("MACs", f"{counted.macs:,}", ""))
    if counted.macs_with_aux not in (None, counted.macs):
        rows.append(("  with auxiliary", f"{counted.macs_with_aux:,}", ""))
    activations, peak = (f"{size / 1024**2:,.1f} MiB" for size in (counted.activation_bytes, counted.peak_memory_bytes))
    rows.append(("activations", activations, "all outputs, one picture, float32"))
    rows.append(("peak memory", peak, "weights and what is alive at once"))
    lines = []
    for name, figure, note in rows:
        line = f"{name:<20}{figure:>15}"
        beside = f"{line}  {note}".rstrip()
        lines += [beside] if len(beside) <= _readable(width) else [line, filled(note, width, "  ")]
    return "\n".join(lines)


def audit_text(found: Audit, width: int) -> str:
    """The audit in lines of at most ``width`` letters: verdict, figure, threshold, place, and what was measured."""
    names = [finding.name for finding in (*found.principles, *found.rules)]
    lines = []
    for finding in (*found.principles, *found.rules):
        verdict = "off" if finding.name in found.off else "ok" if finding.passed else "FAIL"
        digits = 0 if finding in found.rules else 2  # rules count
        limit = f"at {'least' if finding.at_least else 'most'} {finding.threshold:.{digits}f}"
        figure = f"{finding.value:>5.{digits}f} {limit:<14}{finding.where}"
        lines.append(f"{verdict:<4} {finding.name:<{max(map(len, names))}} {figure}".rstrip())
        lines.append(filled(finding.sentence, width, " " * 5))
    violated = ", ".join(finding.name for finding in found.violations)
    lines.append(f"violated: {violated}" if violated else "passed")
    return "\n".join(lines)


def audit_picture(measured: "Profile", width: int, encoding: str) -> str:
    """The size of the representation along the depth, drawn with what the ``encoding`` of the output can write."""
    from results.profile import draw_profile_text

    return draw_profile_text(measured, width=min(width, 110), ascii_only=not encoding.lower().startswith("utf"))


@dataclass(frozen=True)
class Audited:
    """An audit with what it went by: pictures of ``resolution`` px, and ``whose`` thresholds in words.

    ``outside``: why the architecture is not in the ``space`` that was asked for; None if it is, or none was.
    """

    architecture: Architecture
    audit: Audit
    profile: "Profile"
    resolution: int
    whose: str
    space: "SearchSpace | None" = None
    outside: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        named = {
            "architecture": self.architecture.name,
            "digest": self.architecture.digest,
            "resolution": self.resolution,
        }
        data = named | self.audit.as_data() | self.profile.as_data()
        if self.space is not None:
            data["space"] = {"name": self.space.name, "inside": self.outside is None, "reason": self.outside}
        return data

    def text(self, width: int) -> str:
        """Return what people read above the picture."""
        head = plain(f"{self.architecture.name} at {self.resolution} px, by {self.whose}")
        blocks = [filled(head, width), audit_text(self.audit, width)]
        if self.space is not None:
            name = f"the space {self.space.name!r}"
            place = f"outside {name}: {self.outside}" if self.outside else f"inside {name}"
            blocks.append(filled(plain(place), width))
        return "\n\n".join(blocks)


def audit_found(found: Found, resolution: int | None, space_name: str | None) -> Audited:
    """Audit by a space, else by that of the trial's study, else by the project's own thresholds.

    The space also gives the resolution where there is none.
    """
    from results.profile import profile
    from search_spaces.space import space

    architecture, asked, whose = found.architecture, None, "the project's own thresholds"
    if space_name is not None:
        by = asked = space(space_name, resolution)
        whose = f"the thresholds of the space {asked.name!r}"
    elif found.study is not None:
        by = found.study.space()
        changed = "" if found.study.has_its_space else ", which has changed since"
        whose = f"the thresholds of the space {by.name!r} of study {found.study.name!r}{changed}"
    else:
        by = None
    side = (by or architecture).resolution if resolution is None else resolution
    measured = audit(architecture, side, by.thresholds if by else None)
    outside = asked.why_outside(architecture) if asked else None
    share = measured.principles[0].threshold
    return Audited(architecture, measured, profile(architecture, side, share), side, whose, asked, outside)


def architecture_text(found: Found, resolution: int | None, classes: int, width: int) -> str:
    """The tree, the costs and the audit; that of a trial by the thresholds of its study's space."""
    from results.tree import draw_text

    architecture = found.architecture
    side = architecture.resolution if resolution is None else resolution
    tree = draw_text(_with_heads(architecture, side, classes), width=width)
    counted = cost_text(cost(architecture, side, classes=classes), width)
    named = plain(architecture.name)  # a trial's is made of its study's name
    head = filled(f"{named} at {side} px, {classes} classes, digest {architecture.digest[:16]}", width)
    try:
        thresholds = found.study.space().thresholds if found.study else None
    except RequestError as error:
        return "\n\n".join((head, tree.rstrip(), counted, plain(f"not audited: {error}")))
    return "\n\n".join((head, tree.rstrip(), counted, audit_text(audit(architecture, side, thresholds), width)))


def architecture_svg(architecture: Architecture, resolution: int | None, classes: int) -> str:
    """The picture of an architecture."""
    from results.drawing import draw_svg

    side = architecture.resolution if resolution is None else resolution
    return draw_svg(_with_heads(architecture, side, classes), title=architecture.name, columns=None)


def profile_svg(audited: Audited) -> str:
    """The picture of the representation's size."""
    from results.profile_drawing import draw_profile_svg

    return draw_profile_svg(audited.profile, title=f"{audited.architecture.name} at {audited.resolution} px")


def _with_heads(architecture: Architecture, side: int, classes: int) -> Graph:
    """The graph with its auxiliary heads, unless the pictures are too small for these."""
    try:
        return architecture.graph(side, classes=classes, aux=True)
    except ResolutionError:
        return architecture.graph(side, classes=classes)


def write_svg(path: Path, drawing: str) -> None:
    """Write a drawing; its folder is made if need be."""
    from search_spaces.files import write_files

    write_files(path.parent, {path.name: drawing.encode()})


def study_rows(runs: Runs) -> list[dict[str, Any]]:
    """All studies of a ledger: name, trials, state, front_size, and searched_by, a process or None."""
    try:
        opened = runs.read()
    except NoLedger:
        return []
    with opened as ledger:
        drivers = {record.name: searched_by(ledger, record.name) for record in ledger.studies()}
    studies = [Study.open(name, runs) for name in drivers]
    return [
        {
            "name": study.name,
            "trials": len(study.trials),
            "state": study.record.state,
            "front_size": len(study.front().members),
            "searched_by": drivers[study.name],
        }
        for study in studies
    ]


def status_lines(study: str, runs: Runs) -> Iterator[str]:
    """How a study stands: its state, its data, and its trials by outcome."""
    with runs.read() as ledger:  # counts there: a large study need not be read for that
        record, counts, driver = ledger.study(study), ledger.count_outcomes(study), searched_by(ledger, study)
    yield f"{plain(study)}: {plain(state_called(record.state, driver))}, {sum(counts.values())} trials"
    if sentence := data_sentence(record.search):
        yield plain(sentence)
    for outcome in Outcome:
        if not (count := counts[str(outcome)]):
            continue
        yield f"{count:>6}  {outcome.called(driver)}: {outcome.meaning(driver)}"


def pareto_data(study: Study) -> dict[str, Any]:
    """The front as plain data."""
    front, control = study.front(), study.control()
    return {
        "study": study.name,
        "objectives": study.record.objectives,
        "reference_point": front.reference_point,
        "hypervolume": front.hypervolume,
        "front": [trial_data(trial) for trial in front.members],
        "seeds": [trial_data(trial) for trial in study.seeds()],
        "control": control.as_data() if control else None,
        "agreements": [each.as_data() for each in study.agreements()],
    }


def front_blocks(study: Study, width: int, encoding: str) -> "list[RenderableType]":
    """The front as a table and a plot, for a terminal of so many letters that writes the encoding."""
    from results.agreement import as_sentence
    from results.pareto import comparable
    from results.table import front_plot, front_table

    front, seeds, faint = study.front(), study.seeds(), "\N{MIDDLE DOT}" if encoding.lower().startswith("utf") else "."
    blocks: list[RenderableType] = [front_table(study.record, front, seeds, width=width, driver=study.searched_by)]
    trials = comparable(study.trials, study.record.objectives)
    if plot := front_plot(front, seeds, min(width, PLOT_WIDTH), 16, trials=trials, faint=faint):
        blocks.append(plot)
    if control := study.control():
        blocks.append(control.sentence)
    if agreed := as_sentence(study.agreements(), chosen=study.outcomes()["stopped"] > 0):
        blocks.append(agreed)
    return blocks


def after_search(study: Study, console: "Console") -> "Iterator[RenderableType]":
    """What 'nas search' ends with: the front, and where everything lies; ``console`` shows what it waits for."""
    if study.record.state != "complete":
        yield study.stopped
        return
    from nas.conclude import conclude, known_test_error, write_study_report
    from nas.export_content import PROXY_NOTE

    if not study.front().members:
        write_study_report(study, study.folder / "report.html")
        if study.outcomes()["complete"]:
            raise SearchFailed(
                f"every complete trial of study {study.name!r} breaks a limit: see {study.folder / 'report.html'}, "
                "allow more or ask for more trials, and search under another study name"
            )
        reasons = ", ".join(sorted({trial.reason for trial in study.trials if trial.outcome.trained})[:3])
        raise SearchFailed(
            f"no trial of study {study.name!r} was trained to its end ({reasons}): see {study.folder / 'report.html'}, "
            "mend the recipe, and search under another study name"
        )
    yield from front_blocks(study, console.width, console.encoding)
    counts = study.outcomes()
    aside = f"{counts['screened']} screened and {counts['duplicate']} known already, which cost no training"
    taken = f", {study.taken_over} taken over from other studies" if study.taken_over else ""
    stopped = f", {counts['stopped']} of them stopped at a rung" if counts["stopped"] else ""
    trained = f"{study.done - study.taken_over} trials trained{taken}{stopped}"
    yield f"study {plain(study.name)} is complete: {trained}; {aside}"
    if study.exhausted:
        yield study.exhausted
    known = known_test_error(study, study.best()) is not None
    with working(console, f"{'' if known else 'scoring the best trial on the test part, '}writing the report"):
        conclusion = conclude(study)
    best = conclusion.best
    yield (
        f"best: trial {best.number} ({plain(best.seed or best.digest[:12])}), "
        f"error {best.values['error']:.2%} on validation, {conclusion.test_error:.2%} on the test part"
    )
    yield PROXY_NOTE
    for path in conclusion.files:
        yield f"  {plain(str(path))}"


def doctor_text(found: dict[str, Any]) -> str:
    """What ``nas doctor`` says to people."""
    gib = 1024**3
    lines = [f"Python {found['python']}"]
    lines += [f"  {package:<14} {number or 'not installed'}" for package, number in found["packages"].items()]
    bfloat16 = {True: ", bfloat16", False: ", no bfloat16", None: ""}[found["cpu_has_bfloat16"]]
    processor = f"{found['processor']}, {found['cpus']} CPUs{bfloat16}"
    lines.append(f"{processor}, {found['memory_bytes'] / gib:.1f} GiB memory")
    lines += [f"GPU {gpu['name']}, {gpu['memory_bytes'] / gib:.1f} GiB" for gpu in found["gpus"]] or ["no GPU"]
    runs, use = found["runs"], found["will_use"]
    lines.append(f"runs folder {runs['folder']}, {runs['free_bytes'] / gib:.1f} GiB free")
    lines.append(f"ledger {found['ledger']['place']}, {found['ledger']['state']}")
    lines.append(
        f"a search uses {use['executor']} on {use['device']} in {use['precision']}, "
        f"{use['trials_at_once']} trials at once"
    )
    return "\n".join(lines + [f"problem: {problem}" for problem in found["problems"]])
