"""Export: every form that is asked for is written aside, proved where it runs, and put in its place with the rest."""

import hashlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.export_content import content_of
from nas.study import Found
from results.export.card_background import CardBackground, CardFile
from results.export.content import Content
from results.export.deployment import FORMS, PLAIN
from results.process import Process
from search_spaces.errors import ExportFailed, NotWritten, RequestError
from search_spaces.files import DRAFT, make_folder, missing_folders, remove_drafts, write_files
from search_spaces.seeds import seed
from trainers.about import About

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.export_comparison import Beside
    from nas.export_pictures import Pictures
    from results.export.comparison import Comparison
    from results.export.proof import Proof
    from trainers.network import Network

PROVED = ("python", "onnx", "pt2")
_TRACED = ("onnx", "pt2")  # made from the network
FOLDED = 1e-4  # the most by which logits may differ after folding, relatively: weights of single precision are rounded
DRAWN = "there are no trained weights: those in .onnx and .pt2 files are random, for shapes and speed; train before use"
_PARTIAL = (".export-", ".partial")  # how names of folders begin and end in which files wait for their proof
_OWNER = "process.json"  # in them: whose they are
_BEGINNING = 60.0  # seconds within which every export has written that
CardOf = Callable[[Sequence[CardFile], "Sequence[Comparison]"], CardBackground]
_AS_TORCHVISION = ("inception-v3", "googlenet-torchvision")  # seeds that compute what torchvision's networks compute


@dataclass(frozen=True)
class Exported:
    """What was written, what was proved of it, and what options came to beside the plain export."""

    files: tuple[Path, ...]
    proofs: "tuple[Proof, ...]"
    compared: "tuple[Comparison, ...]" = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "files": [str(path) for path in self.files],
            "proofs": [proof.as_data() for proof in self.proofs],
            "compared": [comparison.as_data() for comparison in self.compared],
        }


def check_packages(forms: Sequence[str]) -> None:
    """Raise RequestError, before any work, where a form needs a package that is not installed."""
    if "onnx" in forms:
        from results.export.onnx_packages import RUN, WRITE, need

        need(*WRITE, *RUN)


def export(
    content: Content,
    forms: Sequence[str],
    folder: Path,
    tell: Callable[[str], None],
    card: CardOf = lambda files, compared: CardBackground(),
    beside: "Beside | None" = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Exported:
    """Write forms into a folder, all or none, and prove those that run; ``tell`` gets a sentence for each proof.

    ``card``: what a card tells besides, given the files that lie beside it, and what was found of what is compared.
    ``beside``: the plain export, with which what leaves is compared; ``tell`` gets a sentence of that, too. ``say``
    gets what is under way.
    RequestError where a form cannot be had of this content or be written; ExportFailed where a file does not compute
    what its network computes. Nothing stays behind then.
    """
    for form in forms:
        content.deployment.check(form)
    check_packages(forms)
    with _aside(folder) as staged:
        made = _made([(form, content) for form in forms], folder, staged, tell, card, beside, say)
        return Exported(tuple(write_files(folder, made.files)), made.proofs, made.compared)


def export_bundle(
    content: Content,
    folder: Path,
    tell: Callable[[str], None],
    card: CardOf = lambda files, compared: CardBackground(),
    beside: "Beside | None" = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Exported:
    """Write every form that this content has, plain, and a manifest into a folder, which must be new or empty.

    Where the content has options, folded norms among them, what can be had with them lies there besides.
    """
    from results.export.manifest import MANIFEST, manifest

    check_empty(folder)
    plain = replace(content, deployment=PLAIN) if beside is None else beside.plain
    pieces = [(form, plain) for form in FORMS if form != "safetensors" or plain.state is not None]
    if not content.deployment.plain:
        pieces += [(form, content) for form in content.deployment.forms]
    elif content.architecture != plain.architecture:
        pieces += [(form, content) for form in FORMS if form != "card"]  # which tells of all
    for form, piece in pieces:
        piece.deployment.check(form)
    check_packages([form for form, _ in pieces])
    with _aside(folder) as staged:
        made = _made(pieces, folder, staged, tell, card, beside, say)
        made.files[MANIFEST] = manifest(plain, made.files, made.proofs, made.compared)
        return Exported(tuple(write_files(folder, made.files)), made.proofs, made.compared)


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


def check_empty(folder: Path) -> None:
    """Raise RequestError where a folder for a bundle holds anything but what has no owner, or cannot be read."""
    _remove_left(folder)
    try:
        taken = folder.exists() and any(not _is_ownerless(path) for path in folder.iterdir())
    except OSError as error:
        raise RequestError(f"{str(folder)!r} cannot be read: {error.strerror}; name a folder of your own") from None
    if taken:
        raise RequestError(f"{str(folder)!r} is not empty: a bundle is all that lies in its folder, so name a new one")


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
    content: Content,
    form: str,
    network: "Network | None" = None,
    background: CardBackground | None = None,
    pictures: "Pictures | None" = None,
) -> dict[str, bytes]:
    """Return the files of one form by name.

    ``network``: for those that are made from it; ``background``: a card's; ``pictures``: for calibration.
    """
    write = getattr(import_module(f"results.export.to_{form}"), f"to_{form}")
    if form == "safetensors":
        found: dict[str, bytes] = write(content, _torchvision_keys(content))
    elif form == "onnx":
        calibration = () if pictures is None else pictures.calibration
        found = write(content, network, [content.taken(batch) for batch in calibration])
    elif form == "pt2":
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


@dataclass(frozen=True)
class _Made:
    files: dict[str, bytes]
    proofs: "tuple[Proof, ...]"
    compared: "tuple[Comparison, ...]"


def _made(
    pieces: Sequence[tuple[str, Content]],
    folder: Path,
    staged: Path,
    tell: Callable[[str], None],
    card: CardOf,
    beside: "Beside | None",
    say: Callable[[str], None],
) -> _Made:
    """Make all files, forms of one content with and without its options, and prove them where they are ``staged``.

    What is not the plain export is compared with it: a form that runs in it, weights and source by their network.
    """
    if any(form == "card" for form, _ in pieces):
        _check_card(folder)
    pictures = None if beside is None else beside.pictures

    @cache
    def network_of(piece: Content) -> "Network":
        """The same as the plain one unless norms are folded: each is built once."""
        from nas.export_networks import reference

        same = beside is not None and beside.plain.architecture == piece.architecture
        return beside.network if beside is not None and same else reference(piece)

    files: dict[str, bytes] = {}
    for form, piece in pieces:
        if form != "card":
            say(f"writing {piece.name} as {form}")
            files |= written(piece, form, network_of(piece) if form in _TRACED else None, pictures=pictures)
    proofs: tuple[Proof, ...] = ()
    if running := [(form, piece) for form, piece in pieces if form in PROVED]:
        _stage(files, staged, folder)
        for form, piece in running:
            say(f"proving {piece.name} as {form}, reloaded in a fresh process")
            proofs += (_proof(form, piece, staged, network_of, tell, pictures),)
    found: tuple[Comparison, ...] = ()
    if beside is not None:
        from nas.export_comparison import compared

        changed = [each for each in pieces if not beside.is_plain(each[1])]
        runs = [each for each in changed if each[0] in _TRACED] or changed[:1]
        for form, piece in runs:
            say(f"comparing {piece.name} as {form} with the plain export")
            found += (compared(form, piece, files, network_of(piece), beside, tell),)
    for form, piece in pieces:
        if form == "card":  # the last, as it tells of all the others
            from results.export.card_files import card_files

            background = card(card_files(piece, files, folder), found)
            files |= written(piece, form, background=background)
    return _Made(files, proofs, found)


def _check_card(folder: Path) -> None:
    """Raise RequestError where a card would replace what somebody else wrote, or wrote into it."""
    from results.export.to_card import CARD, is_as_written

    try:
        there = (folder / CARD).read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:  # whatever it is, it is there
        there = ""
    if not is_as_written(there):
        raise RequestError(
            f"{str(folder / CARD)!r} is there and is no model card as an export wrote it: name another folder, or move "
            "it away"
        )


def _proof(
    form: str,
    content: Content,
    staged: Path,
    network_of: "Callable[[Content], Network]",
    tell: Callable[[str], None],
    pictures: "Pictures | None",
) -> "Proof":
    from nas.export_networks import to_train, trunk_of
    from results.export.proof import BATCHES, prove

    if form == "python":
        training = to_train(content)
        proof = prove(form, content, staged, trunk_of(training, content), training)
    else:
        # What rounds is made for pictures; what does not computes the same of noise, which shows more.
        rounds = content.deployment.precision != "float32"
        shown = pictures.first(sum(BATCHES)) if pictures is not None and rounds else None
        proof = prove(form, content, staged, _standard(form, content, network_of(content)), pictures=shown)
        if form == "onnx" and content.deployment.precision != "int8-dynamic":  # which has operations of its own
            from results.export.onnx_graph import check_counts

            check_counts(content, (staged / proof.file).read_bytes(), proof.file)
            proof = replace(proof, counted=True)
    tell(proof.sentence)
    return proof


def _remove_left(folder: Path) -> None:
    """Remove what exports left that were killed, as far as can be told that they are gone."""
    for left in folder.glob("*".join(_PARTIAL)):
        owner = _owner(left)
        if owner is not None and owner.is_alive(Process.this()) is False:
            _take_back(folder)
            shutil.rmtree(left, ignore_errors=True)
        elif _is_ownerless(left) and time.time() - left.stat().st_mtime > _BEGINNING:
            shutil.rmtree(left, ignore_errors=True)


def _owner(left: Path) -> Process | None:
    """Whose a folder is in which files wait; None where that is not written yet."""
    try:
        return Process.from_text((left / _OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None


def _is_ownerless(path: Path) -> bool:
    """Whether an export has only just begun there, or was killed as it did: nothing of it lies anywhere else."""
    return fnmatch(path.name, "*".join(_PARTIAL)) and _owner(path) is None


def _take_back(folder: Path) -> None:
    """Remove what lies there of a bundle that did not come to its end, and drafts: its manifest is one until then."""
    from results.export.manifest import listed

    for draft in folder.glob(DRAFT):
        for name, digest in listed(draft.read_bytes()).items():
            path = folder / name
            if path.parent == folder and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                path.unlink()
    remove_drafts(folder, below=False)


def _standard(form: str, content: Content, network: "Network") -> "nn.Module":
    """What a file must compute: a program with options just what its module computes in this process."""
    if form != "pt2" or content.deployment.plain:
        return network
    from results.export.plain_network import deployed

    module = deployed(replace(content, deployment=replace(content.deployment, pixels=False)), network.state_dict())
    return module.eval()


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Make a folder within the one where files will lie, in which they wait; it is gone when they lie there.

    It says who is at work until then. A folder that is made for it goes again where nothing comes to lie in it.
    """
    _remove_left(folder)
    # What will be there is known before it is made: an interrupt right after that leaves nothing behind.
    made, staged = list[Path](), folder / secrets.token_hex(8).join(_PARTIAL)
    try:
        try:
            made = missing_folders(folder)
            make_folder(folder)
            staged.mkdir(mode=0o700)
            (staged / _OWNER).write_text(Process.this().to_text(), encoding="utf-8")
        except OSError as error:
            raise NotWritten(
                f"an export cannot be written to {str(folder)!r}: {error.strerror}; name a folder that you may write "
                "to, with enough space"
            ) from None
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        for path in made:
            with suppress(OSError):  # it is not empty, as an export lies there, or was not made
                path.rmdir()


def _stage(files: Mapping[str, bytes], staged: Path, folder: Path) -> None:
    try:
        for name, content in files.items():
            (staged / name).write_bytes(content)
    except OSError as error:
        raise NotWritten(
            f"{', '.join(files)} cannot be written beside {str(folder)!r}: {error.strerror}; name a folder where "
            "you may write, with enough space"
        ) from None
