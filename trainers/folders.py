"""A folder of pictures with one folder per class, found but not yet read.

    pictures/cats/*.jpg  pictures/dogs/*.jpg

A folder whose only folders are ``train`` and any of ``val`` (or ``validation`` or ``valid``) and ``test`` brings splits
of its own: its test part is ``test``, or, where there is none, ``val``, and all else is split into training and
validation. Every class must then be in each. Pictures may lie deeper inside a class. Hidden files and folders, and
files whose name does not end as a picture's does, are no pictures; links are followed, but never round in a circle.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_spaces.errors import RequestError
from trainers.cache import Listing
from trainers.source import DataSource

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
TRAIN, TEST = "train", "test"
VALIDATION = ("val", "validation", "valid")


@dataclass(frozen=True)
class _File:
    path: str  # relative to the folder, with slashes
    size: int
    changed_ns: int


def list_folder(source: str) -> Listing:
    """Find the classes and pictures of a folder; RequestError where there are none, or too few, or a class is empty."""
    DataSource(source).check_there()
    root = Path(source)
    names = _folders(root)
    given = _given_parts(source, names, root)
    parts = given or [("", names)]
    classes = tuple(parts[0][1])
    _check_classes(source, classes, parts)
    files: list[_File] = []
    labels: list[int] = []
    held_out: list[bool] = []
    for part, _ in parts:
        for label, name in enumerate(classes):
            inside = f"{part}/{name}" if part else name
            found = sorted(_pictures(root, inside), key=lambda file: file.path)
            if not found:
                raise RequestError(
                    f"the class {inside!r} of {source!r} holds no pictures ({', '.join(ENDINGS)}): "
                    "fill it, or remove its folder"
                )
            files += found
            labels += [label] * len(found)
            held_out += [part != TRAIN and part == parts[-1][0] and given is not None] * len(found)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.size}\0{file.changed_ns}\n".encode("utf-8", "surrogateescape"))
    return Listing(
        source=source,
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name)[:40] or "root",
        fingerprint=digest.hexdigest(),
        classes=classes,
        files=tuple(file.path for file in files),
        labels=labels,
        held_out=held_out,
        read=lambda index: (root / files[index].path).read_bytes(),
    )


def _folders(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if not _hidden(entry.name) and entry.is_dir())


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _given_parts(source: str, names: list[str], root: Path) -> list[tuple[str, list[str]]] | None:
    """The parts that a folder brings, the test part last, with the classes of each; None for a folder of classes."""
    if TRAIN not in names or not set(names) <= {TRAIN, TEST, *VALIDATION} or not _folders(root / TRAIN):
        return None
    validation = [name for name in names if name in VALIDATION]
    if len(validation) > 1:
        raise RequestError(f"{source!r} holds {' and '.join(validation)}, which mean the same: keep one of them")
    others = validation + [name for name in names if name == TEST]
    return [(name, _folders(root / name)) for name in (TRAIN, *others)]


def _check_classes(source: str, classes: tuple[str, ...], parts: list[tuple[str, list[str]]]) -> None:
    if not classes:
        raise RequestError(
            f"{source!r} holds no folders: put the pictures of each class into a folder of its own, at least two"
        )
    if len(classes) == 1:
        raise RequestError(
            f"{source!r} holds one class, {classes[0]!r}: at least two are needed to tell apart; add one"
        )
    for part, found in parts[1:]:
        if tuple(found) != classes:
            odd = sorted(set(found) ^ set(classes))
            where = part if odd[0] not in found else parts[0][0]
            raise RequestError(
                f"the class {odd[0]!r} of {source!r} is missing in {where}: every part must hold the same classes; "
                "add its folder, or remove it in the others"
            )


def _pictures(root: Path, inside: str, seen: frozenset[tuple[int, int]] = frozenset()) -> Iterator[_File]:
    """Yield the pictures under a class's folder; ``seen``: the folders on the way to it, so that no link goes round."""
    at = os.stat(root / inside)
    here = (at.st_dev, at.st_ino)
    if here in seen:
        return
    try:
        with os.scandir(root / inside) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                if entry.is_dir():
                    yield from _pictures(root, f"{inside}/{entry.name}", seen | {here})
                elif entry.name.lower().endswith(ENDINGS) and entry.is_file():
                    status = entry.stat()
                    yield _File(f"{inside}/{entry.name}", status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise RequestError(
            f"the folder {str(root / inside)!r} cannot be read ({error.strerror}): mend its permissions, or remove it"
        ) from None
