"""Export as a model card in the format of the Hugging Face Hub: README.md with metadata in front, and its drawings.

The drawings are SVG files beside it, referenced relatively. The Hub serves such files with a content security policy
that takes no style sheets, so their shapes carry their looks as attributes too (results/inked.py).
"""

import hashlib

from results.curve_drawing import draw_curve_svg
from results.drawing import draw_svg
from results.export.card_background import CardBackground
from results.export.card_loading import loading_passage
from results.export.card_metadata import front_matter
from results.export.card_passages import (
    audit_passage,
    citation_passage,
    costs_passage,
    data_passage,
    limits_passage,
    missing_passage,
    opening,
    options_passage,
    provenance_passage,
    results_passage,
    training_passage,
)
from results.export.content import Content
from results.export.markdown import one_line
from results.front_drawing import draw_front_svg
from results.inked import inked
from results.profile import profile
from results.profile_drawing import draw_profile_svg
from search_spaces.errors import ResolutionError
from search_spaces.graph import Graph
from search_spaces.principles import Thresholds

CARD = "README.md"
_ALTS = {
    "architecture.svg": "Drawing of the architecture, input at the top",
    "front.svg": "Scatter of the study's trials with this network marked",
    "profile.svg": "Size of the representation along the depth",
    "training.svg": "Errors over the epochs of the training",
}

_CAPTIONS = {"front.svg": ("", "Trials of its study, as briefly as the search trained them; this one is marked.")}


def to_card(content: Content, background: CardBackground) -> dict[str, bytes]:
    """Return README.md and the drawings that it shows: ``architecture.svg``, ``profile.svg``, ``front.svg``, ...

    The card's last line, which is not shown, says that it is ours (``is_as_written``).
    Raises ResolutionError where the pictures are too small for the architecture.
    """
    drawings = _drawings(content, background)

    def drawn(name: str) -> list[str]:
        return [f"![{_ALTS[name]}]({name})", *_CAPTIONS.get(name, ())] if name in drawings else []

    passages = [
        front_matter(content, background),
        opening(content, background),
        drawn("architecture.svg"),
        results_passage(content, background),
        drawn("front.svg"),
        options_passage(background),
        costs_passage(content),
        audit_passage(content),
        drawn("profile.svg"),
        training_passage(content, background),
        drawn("training.svg"),
        data_passage(content, background),
        limits_passage(content, background),
        missing_passage(content, background),
        loading_passage(content, background),
        provenance_passage(content, background),
        citation_passage(),
    ]
    card = "\n\n".join("\n".join(passage) for passage in passages if passage) + "\n\n"
    return {CARD: f"{card}{_seal(card)}".encode(), **{name: inked(svg).encode() for name, svg in drawings.items()}}


def is_as_written(card: str) -> bool:
    """Whether a text is a card of ours that nobody has changed since: it ends with the hash of what is above."""
    above, _, last = card.rstrip("\n").rpartition("\n")
    return f"{last}\n" == _seal(f"{above}\n")


def _seal(card: str) -> str:
    """The last line of a card, which is not shown."""
    return f"<!-- Written by nas export; SHA-256 of what is above: {hashlib.sha256(card.encode()).hexdigest()} -->\n"


def _drawings(content: Content, background: CardBackground) -> dict[str, str]:
    """The drawings by name; those of a study or of a training only where that is known."""
    name, place = one_line(content.architecture.name), background.place
    share = (content.thresholds or Thresholds()).bottleneck
    found = {
        "architecture.svg": draw_svg(_graph(content), title=name, columns=None),
        "profile.svg": draw_profile_svg(profile(*content.audited, share), title=name),
    }
    front = draw_front_svg(place.trials, place.objectives, place.number) if place is not None else None
    curve = draw_curve_svg(background.curve)
    found |= {"front.svg": front} if front is not None else {}
    return found | ({"training.svg": curve} if curve is not None else {})


def _graph(content: Content) -> Graph:
    """With auxiliary heads where they fit the pictures."""
    architecture, classes, channels = content.architecture, content.classes, content.channels
    try:
        return architecture.graph(content.sides, classes=classes, channels=channels, aux=True)
    except ResolutionError:
        return architecture.graph(content.sides, classes=classes, channels=channels)
