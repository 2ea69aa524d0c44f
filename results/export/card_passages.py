"""The passages of a model card, each a list of Markdown lines under its heading. What comes from a study is text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.export.card_background import CardBackground, CardFile, Result
from results.export.content import Content
from results.export.facts import DATA, ERROR, MOST_CLASSES, RANDOM, scaling_text
from results.export.markdown import code, fenced, table, text
from results.figures import shown, spoken
from search_spaces.cost import Cost, cost
from search_spaces.errors import ResolutionError
from search_spaces.principles import Finding, audit
from search_spaces.seeds import seed

if TYPE_CHECKING:
    from results.export.comparison import Comparison

PAPER = "https://arxiv.org/abs/1512.00567"
_REFERENCE = "inception-v3"
_TRAININGS = {"proxy": "proxy training", "full": "full training", "unknown": "training"}
_CITATION = """\
@inproceedings{szegedy2016rethinking,
  title     = {Rethinking the Inception Architecture for Computer Vision},
  author    = {Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and Shlens, Jonathon and Wojna, Zbigniew},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year      = {2016},
  note      = {arXiv:1512.00567}
}
"""


def picture_text(content: Content) -> str:
    """``3 x 299 x 299``."""
    return f"{content.channels} x {sides_text(content.sides)}"


def sides_text(sides: tuple[int, int]) -> str:
    """``299 x 299``: height and width."""
    return f"{sides[0]} x {sides[1]}"


def opening(content: Content, background: CardBackground) -> list[str]:
    """The title, what must be known before anything else, and what it is."""
    place = background.place
    found = f", found as trial {place.number} of the study {text(place.name)}" if place is not None else ""
    cautions = [text(content.caution)] if content.caution else []
    cautions += [f"{code(file.name)} {_otherwise(file)}" for file in background.files if not file.own]
    return [
        f"# {text(content.architecture.name)}",
        "",
        *[line for caution in cautions for line in (f"> **Caution:** {caution}", "")],
        f"A convolutional network of the Inception family{found}. It classifies pictures of {picture_text(content)} "
        f"(channels, height, width) into {content.classes:,} classes. {_weights_sentence(content, background)}",
    ]


def _weights_sentence(content: Content, background: CardBackground) -> str:
    own = [file for file in background.files if file.own]
    if content.state is not None:
        included = any(file.trained for file in own)
        return "Weights are included." if included else "Its weights do not lie beside this card."
    drawn = [code(file.name) for file in own if file.weights]
    random = f" Those in {', '.join(drawn)} are random." if drawn else ""
    return f"It comes without weights: train it before use.{random}"


def _otherwise(file: CardFile) -> str:
    """What a file is of which the card does not tell."""
    if file.weights == RANDOM:
        return "holds random weights: what this card tells of weights is not of it."
    return (
        "was exported otherwise, with other weights, sizes or scaling of pictures: what this card tells is not of it."
    )


# ------------------------------------------------------------------------------------------------------------ results


def results_passage(content: Content, background: CardBackground) -> list[str]:
    """What was measured, and under which conditions; nothing where that is not known."""
    if content.state is None or not background.results:
        return []
    lines = ["## Results", ""]
    heading = ("measured", "value", "on the part for", "after", "conditions")
    lines += table(heading, [_result_row(result) for result in background.results], numbers=[1])
    if any(result.training == "proxy" for result in background.results):
        lines += [
            "",
            "A proxy training is brief, on small pictures and with narrow filters: it shows how architectures compare, "
            "not how good the full network becomes.",
        ]
    return lines


def _result_row(result: Result) -> tuple[str, ...]:
    measured = f"{text(spoken(result.name))}", shown(result.name, result.value)
    return (*measured, result.part, _TRAININGS[result.training], text(result.conditions))


# ------------------------------------------------------------------------------------------------------------ options


def options_passage(background: CardBackground) -> list[str]:
    """What options cost and bring; nothing where there are none."""
    if not background.compared:
        return []
    from results.export.comparison import CLEAR

    first = background.compared[0]
    heading = "", "typical deviation", "largest", "same first answer", "clear answer changed", "error", "time"
    return [
        "## Options",
        "",
        f"Each beside the plain export of its form, on {first.count} pictures of {text(first.pictures)}; times are of "
        f"one picture on {first.threads} threads of the CPU where it was exported. A deviation is the largest of a "
        f"picture's logits, as a share of its largest logit, and typical is the median; a first answer that leads by "
        f"more than {CLEAR:g} of that is clear.",
        "",
        *table(
            (*heading, "times as fast", "size"),
            [_option_row(comparison) for comparison in background.compared],
            numbers=range(1, 9),
        ),
    ]


def _option_row(comparison: "Comparison") -> tuple[str, ...]:
    found, size = comparison.found, "-"
    error = "-" if found.error is None else f"{found.error:.2%} (plain {found.plain_error:.2%})"
    if comparison.bytes is not None and comparison.plain_bytes is not None:
        size = f"{comparison.bytes / 1e6:.1f} MB (plain {comparison.plain_bytes / 1e6:.1f} MB)"
    time = f"{found.latency_ms:.3g} ms (plain {found.plain_latency_ms:.3g} ms)"
    figures = (
        f"{found.typical_deviation:.1e}{comparison.limit('typical_deviation')}",
        f"{found.deviation:.1e}{comparison.limit('deviation')}",
        f"{found.same_top1:.1%}",
        f"{found.changed:.1%}{comparison.limit('changed', '.0%')}",
    )
    return text(comparison.file), *figures, error, time, f"{found.speed:.2f}", size


# -------------------------------------------------------------------------------------------------------------- costs


def costs_passage(content: Content) -> list[str]:
    """Parameters, multiply-adds and memory for one picture, beside Inception-v3's at the same size if it takes that.

    Inception-v3 stands beside no other.
    """
    channels, classes = content.channels, content.classes
    mine = cost(content.architecture, content.sides, classes=classes, channels=channels)
    sides, same = content.sides, True
    try:
        its = cost(seed(_REFERENCE), sides, classes=classes, channels=channels)
    except ResolutionError:
        own = seed(_REFERENCE).resolution
        sides, same = (own, own), False
        its = cost(seed(_REFERENCE), sides, classes=classes, channels=channels)
    at = f"For one picture of {picture_text(content)} and {classes:,} classes, in float32."
    if content.architecture.digest == seed(_REFERENCE).digest:
        alone = [(name, a) for _, name, a, _ in _cost_rows(mine, mine)]
        return ["## Costs", "", at, "", *table(("", text(content.architecture.name)), alone, numbers=[1])]
    if not same:
        at += f" Inception-v3 does not take so small a picture: its costs are those at {sides_text(sides)}."
    heading = ("", text(content.architecture.name), f"Inception-v3 at {sides_text(sides)}", *["ratio"] * same)
    rows = [
        (name, a, b, *[f"{_number(mine, key) / _number(its, key):.3g}"] * same)
        for key, name, a, b in _cost_rows(mine, its)
    ]
    return ["## Costs", "", at, "", *table(heading, rows, numbers=[1, 2, 3][: 2 + same])]


_COSTS = {
    "params": "parameters",
    "macs": "multiply-adds",
    "activation_bytes": "activations",
    "peak_memory_bytes": "peak memory",
}


def _cost_rows(mine: Cost, its: Cost) -> Iterator[tuple[str, str, str, str]]:
    for key, name in _COSTS.items():
        cells = (_number(mine, key), _number(its, key))
        amounts = [shown(key, value) if key.endswith("_bytes") else f"{value:,}" for value in cells]
        yield key, name, amounts[0], amounts[1]


def _number(costs: Cost, key: str) -> int:
    value = costs.as_data()[key]
    assert value is not None  # only costs with auxiliary heads may be unknown
    return value


# -------------------------------------------------------------------------------------------------------------- audit


def audit_passage(content: Content) -> list[str]:
    """Each of the four principles and the rules beside them: value, threshold, where it is worst."""
    architecture, sides = content.audited
    found = audit(architecture, sides, content.thresholds)
    proxy = " of the architecture for which this proxy stands," if content.stands_for is not None else ""
    whose = "those of its study" if content.thresholds is not None else "inception-nas's own"
    lines = [
        "## Design principles",
        "",
        f'The four principles of ["Rethinking the Inception Architecture for Computer Vision"]({PAPER}), section 2, '
        f"and the rules of factorisation beside them, measured{proxy} for pictures of {sides_text(sides)}. The paper "
        f"gives no numbers: the thresholds are {whose}.",
        "",
        *table(
            ("principle or rule", "value", "threshold", "kept", "worst at"),
            [_finding_row(finding, found.off) for finding in (*found.principles, *found.rules)],
            numbers=[1, 2],
        ),
    ]
    if found.violations:
        lines += ["", *[f"- {text(finding.sentence)}" for finding in found.violations]]
    return lines


def _finding_row(finding: Finding, off: Sequence[str]) -> tuple[str, ...]:
    side = "at least" if finding.at_least else "at most"
    kept = "off" if finding.name in off else "yes" if finding.passed else "**no**"
    where = code(finding.where)
    return text(spoken(finding.name)), f"{finding.value:.3g}", f"{side} {finding.threshold:g}", kept, where


# ----------------------------------------------------------------------------------------------------------- training


def training_passage(content: Content, background: CardBackground) -> list[str]:
    """The recipe; nothing where that is not known."""
    if content.state is None or not background.recipe:
        return []
    lines = ["## Training", ""]
    rows = [(text(name), text(_plain(value))) for name, value in _flat(background.recipe)]
    lines += table(("setting", "value"), rows)
    if background.recipe.get("dropout") is not None:
        lines += ["", "Its dropout was in force in place of the network's own, which the exported files have."]
    return lines


def _flat(recipe: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def data_passage(content: Content, background: CardBackground) -> list[str]:
    """The data, how pictures are scaled, and what the outputs mean; nothing where nothing is known of them."""
    facts = {"name": text(background.data_name)}
    if background.data_on_hub:
        facts["on the Hugging Face Hub"] = text(background.data_on_hub)
    facts |= {"SHA-256": code(content.data_digest or ""), "split": text(background.split)}
    facts |= {text(name): text(value) for name, value in background.data.items()}
    if content.scaling is not None:
        facts["scaling of pictures"] = scaling_text(content.scaling)
    rows = [(name, value) for name, value in facts.items() if value]
    if not rows:
        return []
    lines = ["## Data", "", *table(("fact", "value"), rows)]
    if content.class_names and not content.classes_are_numbers:
        listed = [f"{index} {text(name)}" for index, name in enumerate(content.class_names[:MOST_CLASSES])]
        rest = len(content.class_names) - len(listed)
        lines += ["", f"Classes: {', '.join(listed)}{f' and {rest:,} more' if rest else ''}."]
    return lines


# ------------------------------------------------------------------------------------------------- limits, provenance


def limits_passage(content: Content, background: CardBackground) -> list[str]:
    """What it does not do, and what it was not tested for."""
    lines = [
        "- It gives every picture one of its classes, also one of something else, and its scores are not calibrated."
    ]
    if content.state is not None:
        on = f" {text(background.data_name)}" if background.data_name else " the data above"
        lines.append(
            f"- It was not tested on other data than{on}, at other sizes than {sides_text(content.sides)}, on damaged "
            "or hostile pictures, or for how its errors differ between groups of people."
        )
        if not any(result.part == "test" for result in background.results):
            lines.append(
                "- No result on a test part is known. A validation part that a search chose by flatters what it chose."
            )
    return ["## Limits", "", *lines]


def missing_passage(content: Content, background: CardBackground) -> list[str]:
    """What a reader looks for and does not find, all of it in one place; nothing where nothing is missing."""
    found = []
    if content.state is None:
        found.append("results, a recipe and data: there are no weights yet, so nothing was trained or measured")
    else:
        found += ["results: nothing that was measured of these weights is known"] * (not background.results)
        found += ["the recipe: how these weights were trained is not known"] * (not background.recipe)
        named = background.data_name or content.data_digest
        found += ["the data: on which pictures these weights were trained is not known"] * (not named)
        if content.scaling is None:
            found.append("the scaling of pictures in the training: another one gives other answers")
    found += ["a licence: it is the owner's choice, as `license` in the metadata"] * (not background.license)
    return ["## Not told", "", *[f"- {what}" for what in found]] if found else []


def provenance_passage(content: Content, background: CardBackground) -> list[str]:
    """Where it comes from, and what lies beside the card; what other passages tell is not told again."""
    digest = content.architecture.digest
    facts = {"digest of the architecture": code(digest)}
    for name, value in content.provenance.items():
        if name == "architecture":
            if value != digest:
                facts["digest of what it stands for"] = code(value)
        elif not (name == ERROR and background.results) and not (
            name == DATA and (background.data_name or content.data_digest)
        ):
            facts[text(name)] = text(value)
    if background.files:
        facts["files"] = ", ".join(code(file.name) for file in background.files)
    return ["## Provenance", "", *table(("fact", "value"), facts.items())]


def citation_passage() -> list[str]:
    """The paper whose principles it follows."""
    said = f"Its design follows the principles of [arXiv 1512.00567]({PAPER}):"
    return ["## Citation", "", said, "", *fenced("bibtex", _CITATION)]
