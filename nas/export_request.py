"""An export as the command asks for it: what is wanted is checked, gathered, written, proved and compared."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from nas.export import Exported, check_empty, check_packages, export, export_bundle, fold_norms, requested
from nas.export_card import card_background
from nas.export_pictures import Progress
from nas.study import Found
from results.export.content import Content
from results.export.deployment import FORMS, PLAIN, Deployment
from results.export.folding import folded_architecture
from results.export.int8 import NORMS
from search_spaces.errors import RequestError
from trainers.source import DataSource


@dataclass(frozen=True)
class Asked:
    """What is asked for: a ``form``, or None for a bundle of all.

    ``weights``: a file of them. ``classes``, ``full``: as ``nas.export_content.content_of`` takes them. ``data``:
    pictures to compare and to calibrate on; None: those that the weights were trained on.
    """

    form: str | None
    weights: Path | None = None
    classes: int | None = None
    full: bool = False
    fold_bn: bool = False
    deployment: Deployment = PLAIN
    data: DataSource | None = None

    @property
    def forms(self) -> tuple[str, ...]:
        """Those that are written."""
        return FORMS if self.form is None else (self.form,)

    @property
    def compares(self) -> bool:
        """Whether what leaves is not the plain export, with which it is to be compared."""
        return self.fold_bn or not self.deployment.plain

    def check(self) -> None:
        """Raise RequestError, before any work, where it cannot be had."""
        if self.fold_bn and self.form == "yaml":
            raise RequestError("--fold-bn folds weights, and an architecture file holds none: name another form")
        if self.form is None and not self.deployment.plain and not self.deployment.forms:
            raise RequestError(
                f"{self.deployment.option} and --channels-last go together in no form: leave one of them out"
            )
        if self.data is not None and not self.compares:
            raise RequestError(
                "--data is for comparing an option with the plain export: name one of --fold-bn, --precision, "
                "--channels-last and --pixels, or leave it out"
            )
        if self.form is not None:
            self.deployment.check(self.form)
        if self.data is not None:
            self.data.check_there()


def export_asked(
    arch: str,
    found: Found,
    asked: Asked,
    folder: Path,
    tell: Callable[[str], None],
    say: Callable[[str], None] = lambda sentence: None,
    decoding: Callable[[str], AbstractContextManager[Progress | None]] = lambda source: nullcontext(),
) -> tuple[Content, Exported]:
    """Export what ``arch`` names, and return what left.

    ``tell`` gets a sentence of each proof and comparison, ``say`` what is under way; ``decoding``: shows how pictures
    are decoded, if need be.
    """
    state, about = None, None
    if asked.weights is not None:
        from nas.import_weights import read_weights

        state, about = read_weights(arch, found.architecture, asked.weights)
    plain, beside = requested(found, asked.forms, state, asked.classes, full=asked.full, about=about), None
    content = plain
    if content.state is None and (asked.fold_bn or asked.data is not None):
        what = "--fold-bn folds weights" if asked.fold_bn else "pictures mean nothing to random weights (--data)"
        raise RequestError(f"{what}, and {content.architecture.name} has none: name weights, or leave it out")
    has_norms = folded_architecture(content.architecture) != content.architecture
    if asked.deployment.precision.startswith("int8") and has_norms and not asked.fold_bn:
        raise RequestError(NORMS)
    if asked.form is None:
        check_empty(folder)
    check_packages(asked.forms)  # what is wrong with the request comes first: no package would mend it
    if asked.compares:
        from nas.export_comparison import Beside
        from nas.export_pictures import pictures_for

        needed = asked.deployment.precision == "int8-static"
        pictures = pictures_for(found, content, about, asked.data, needed=needed, tell=tell, decoding=decoding)
        beside = Beside(content, pictures)
    if asked.fold_bn:
        say(f"folding batch norms of {content.name}")
        content = fold_norms(content, tell)
    content = replace(content, deployment=asked.deployment)
    card = partial(card_background, found, weights=asked.weights, about=about)
    if asked.form is None:  # its card is that of the plain forms
        return content, export_bundle(content, folder, tell, partial(card, plain), beside, say)
    return content, export(
        content, asked.forms, folder, tell, partial(card, content, folded=asked.fold_bn), beside, say
    )
