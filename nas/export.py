"""Export: every form that is asked for is written aside, proved where it runs, and put in its place with the rest."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nas.export_content import content_of
from nas.study import Found
from results.export.card_background import CardBackground
from results.export.content import Content
from search_spaces.errors import ExportFailed, NotWritten, RequestError
from search_spaces.files import write_files
from search_spaces.seeds import seed
from trainers.about import About

if TYPE_CHECKING:
    from torch import Tensor

    from results.export.proof import Proof
    from trainers.network import Network

FORMS = ("python", "safetensors", "onnx", "pt2", "yaml", "card")
PROVED = ("python", "onnx", "pt2")
_TRACED = ("onnx", "pt2")  # made from the network
FOLDED = 1e-4  # the most by which logits may differ after folding, relatively: weights of single precision are rounded
DRAWN = "there are no trained weights: those in .onnx and .pt2 files are random, for shapes and speed; train before use"
CardOf = Callable[[Sequence[str]], CardBackground]
_AS_TORCHVISION = ("inception-v3", "googlenet-torchvision")  # seeds that compute what torchvision's networks compute


@dataclass(frozen=True)
class Exported:
    """What was written, and what was proved of it."""

    files: tuple[Path, ...]
    proofs: "tuple[Proof, ...]"


def check_forms(forms: Sequence[str]) -> None:
    """Raise RequestError, before any work, where a form needs a package that is not installed."""
    if "onnx" in forms:
        from results.export.onnx_packages import RUN, WRITE, need

        need(*WRITE, *RUN)


def export(
    content: Content,
    forms: Sequence[str],
    folder: Path,
    tell: Callable[[str], None],
    card: CardOf = lambda files: CardBackground(),
) -> Exported:
    """Write forms into a folder, all or none, and prove those that run; ``tell`` gets a sentence for each proof.

    ``card``: what a card tells besides, given the names of the files that lie beside it.
    RequestError where a form cannot be had of this content or be written; ExportFailed where a file does not compute
    what its network computes. Nothing stays behind then.
    """
    files, proofs = _proved(content, forms, folder, tell, card)
    return Exported(tuple(write_files(folder, files)), proofs)


def export_bundle(
    content: Content, folder: Path, tell: Callable[[str], None], card: CardOf = lambda files: CardBackground()
) -> Exported:
    """Write every form that this content has and a manifest into a folder, which must be new or empty."""
    from results.export.manifest import MANIFEST, manifest

    if files_lie_in(folder):
        raise RequestError(f"{str(folder)!r} is not empty: a bundle is all that lies in its folder, so name a new one")
    forms = [form for form in FORMS if form != "safetensors" or content.state is not None]
    files, proofs = _proved(content, forms, folder, tell, card)
    files[MANIFEST] = manifest(content, files, proofs)
    return Exported(tuple(write_files(folder, files)), proofs)


def fold_norms(content: Content, tell: Callable[[str], None]) -> Content:
    """Fold batch norms into the convolutions; ExportFailed where that changes logits by more than rounding."""
    from nas.export_networks import reference
    from results.export.folding import folded
    from results.export.proof import difference

    result = folded(content)
    error = difference(reference(result), reference(content), content)
    if not error <= FOLDED:
        raise ExportFailed(
            f"with batch norms folded {content.name} computes something else: its logits differ by {error:.1e} of the "
            f"largest, {FOLDED:g} is allowed; export it without --fold-bn"
        )
    tell(f"{result.name}: logits within {error:.1e} of those with batch norms ({FOLDED:g} is allowed)")
    return result


def files_lie_in(folder: Path) -> bool:
    """Whether a folder holds anything; RequestError where that cannot be seen."""
    try:
        return folder.exists() and any(folder.iterdir())
    except OSError as error:
        raise RequestError(f"{str(folder)!r} cannot be read: {error.strerror}; name a folder of your own") from None


def export_found(
    found: Found,
    to: str,
    folder: Path,
    weights: "Mapping[str, Tensor] | None" = None,
    classes: int | None = None,
    *,
    full: bool = False,
    about: About | None = None,
) -> list[Path]:
    """Write an architecture as ``yaml`` or ``python`` without a proof, which takes seconds; see ``content_of``."""
    content = requested(found, [to], weights, classes, full=full, about=about)
    return write_files(folder, written(content, to))


def requested(
    found: Found,
    forms: Sequence[str],
    weights: "Mapping[str, Tensor] | None" = None,
    classes: int | None = None,
    *,
    full: bool = False,
    about: About | None = None,
) -> Content:
    """Return the content for forms: an architecture file alone is of the architecture, not of a trial's proxy."""
    if list(forms) != ["yaml"]:
        content = content_of(found, weights, classes, full=full, about=about)
        drawn = content.state is None and any(form in _TRACED for form in forms)
        return replace(content, caution=DRAWN) if drawn else content
    if weights is not None:
        raise RequestError("an architecture file holds no weights: leave --weights out, or export --to python")
    return content_of(found, full=True)


def written(
    content: Content, form: str, network: "Network | None" = None, background: CardBackground | None = None
) -> dict[str, bytes]:
    """Return the files of one form by name; ``network``: for those that are made from it; ``background``: a card's."""
    write = getattr(import_module(f"results.export.to_{form}"), f"to_{form}")
    if form == "safetensors":
        found: dict[str, bytes] = write(content, _torchvision_keys(content))
    elif form in _TRACED:
        found = write(content, network)
    elif form == "card":
        found = write(content, background or CardBackground())
    else:
        found = write(content)
    return found


def _torchvision_keys(content: Content) -> Mapping[str, str]:
    """The keys of torchvision's network for an architecture that computes the same, with ours; else none."""
    from trainers.foreign_weights import foreign_lineages

    for name in _AS_TORCHVISION:
        whole = seed(name)
        if replace(content.architecture, name=whole.name, resolution=whole.resolution) == whole:
            return foreign_lineages(whole)[0][1]
    return {}


def _proved(
    content: Content, forms: Sequence[str], folder: Path, tell: Callable[[str], None], card: CardOf
) -> "tuple[dict[str, bytes], tuple[Proof, ...]]":
    """Make all files, write them beside where they will lie, and prove them there."""
    check_forms(forms)
    if "card" in forms:
        _check_card(folder)
    network = None
    if any(form in _TRACED for form in forms):
        from nas.export_networks import reference

        network = reference(content)
    files: dict[str, bytes] = {}
    for form in forms:
        background = card(sorted({*files, *_names_in(folder)})) if form == "card" else None
        files |= written(content, form, network, background)
    if not (running := [form for form in forms if form in PROVED]):
        return files, ()
    with _aside(folder, files) as staged:
        return files, tuple(_proof(form, content, staged, network, tell) for form in running)


def _check_card(folder: Path) -> None:
    """Raise RequestError where a card would replace a file that is none."""
    from results.export.to_card import CARD

    try:
        there = (folder / CARD).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    if "pipeline_tag: image-classification" not in there.partition("\n---")[0]:
        raise RequestError(f"{str(folder / CARD)!r} is there and is no model card of an export: name another folder")


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:  # there is none yet: whoever writes there says what is wrong with it
        return []


def _proof(
    form: str, content: Content, staged: Path, network: "Network | None", tell: Callable[[str], None]
) -> "Proof":
    from nas.export_networks import to_train, trunk_of
    from results.export.proof import prove

    if form == "python":
        training = to_train(content)
        proof = prove(form, content, staged, trunk_of(training, content), training)
    else:
        assert network is not None
        proof = prove(form, content, staged, network)
    tell(proof.sentence)
    return proof


@contextmanager
def _aside(folder: Path, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files into a folder within or beside the one where they will lie, which is gone afterwards."""
    beside = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    staged: Path | None = None
    try:
        try:
            staged = Path(tempfile.mkdtemp(prefix=".export-", suffix=".partial", dir=beside))
            for name, content in files.items():
                (staged / name).write_bytes(content)
        except OSError as error:
            raise NotWritten(
                f"{', '.join(files)} cannot be written beside {str(folder)!r}: {error.strerror}; name a folder where "
                "you may write, with enough space"
            ) from None
        yield staged
    finally:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)
