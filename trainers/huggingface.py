"""Data sets of Hugging Face by name. The only file that imports datasets: ``pip install inception-nas[huggingface]``.

``hf:NAME`` or ``hf:NAME:CONFIG``, as ``datasets.load_dataset`` takes them, and ``hf:FOLDER`` for one that was kept with
``save_to_disk``. The classes are those of the one column of class labels (or of ``data.label``), the pictures those of
the one column of pictures. ``train`` is needed; a labelled ``test``, or else a labelled ``validation``, is the test
part, and every other of these three is split into training and validation together with ``train``.
"""

import hashlib
import re
import threading
from pathlib import Path
from typing import Any

from search_spaces.errors import RequestError
from trainers.cache import Listing
from trainers.source import HUGGING_FACE, needs_datasets

TRAIN, OTHERS = "train", ("validation", "test")  # in the order in which one stands in for the other, from the end


def list_dataset(source: str, label: str | None) -> Listing:
    """Open a data set, from the network if it is not on this machine yet; RequestError where that does not succeed."""
    try:
        import datasets
    except ImportError:
        raise needs_datasets(source) from None
    name, _, config = source.removeprefix(HUGGING_FACE).partition(":")
    try:
        if (Path(name) / "dataset_dict.json").is_file() or (Path(name) / "dataset_info.json").is_file():
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, config or None)
    except Exception as error:  # noqa: BLE001 - that library and its network raise anything; it is passed on in words
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise RequestError(
            f"the data set {source!r} cannot be had ({type(error).__name__}: {why}): check the name and the network"
        ) from None
    parts = dict(found) if isinstance(found, dict) else {TRAIN: found}
    return _listing(source, parts, label, datasets)


def _listing(source: str, parts: dict[str, Any], label: str | None, datasets: Any) -> Listing:
    if TRAIN not in parts:
        raise RequestError(f"{source!r} holds the parts {', '.join(parts)}: one named 'train' is needed; use another")
    features = parts[TRAIN].features
    pictures = _column(source, features, datasets.Image, None, "pictures")
    truth = _column(source, features, datasets.ClassLabel, label, "class labels")
    names = tuple(map(str, features[truth].names))
    if len(names) < 2:
        raise RequestError(f"{source!r} has {len(names)} class: at least two are needed; use another data set")
    used = [TRAIN, *(part for part in OTHERS if part in parts)]
    columns = {part: list(parts[part][truth]) for part in used}
    used = [part for part in used if any(value is not None and value >= 0 for value in columns[part])]  # -1: unknown
    rows = [
        (part, row, int(value)) for part in used for row, value in enumerate(columns[part])
        if value is not None and value >= 0
    ]  # fmt: skip
    raw = {
        part: parts[part].select_columns([pictures]).cast_column(pictures, datasets.Image(decode=False))
        for part in used
    }
    lock = threading.Lock()

    def read(index: int) -> bytes:
        part, row, _ = rows[index]
        with lock:  # the library does not promise more
            kept = raw[part][row][pictures] or {}
        if kept.get("bytes") is not None:
            return bytes(kept["bytes"])
        return Path(kept.get("path") or "").read_bytes()

    prints = [getattr(parts[part], "_fingerprint", "") for part in used]
    return Listing(
        source=source,
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", source)[:40],
        fingerprint=hashlib.sha256(repr((source, truth, pictures, used, prints)).encode()).hexdigest(),
        classes=names,
        files=[f"{part}/{row}" for part, row, _ in rows],
        labels=[value for _, _, value in rows],
        held_out=[part == used[-1] != TRAIN for part, _, _ in rows],
        read=read,
    )


def _column(source: str, features: Any, kind: type, asked: str | None, what: str) -> str:
    """The one column of a kind, or the one that was asked for."""
    found: list[str] = [name for name, feature in features.items() if isinstance(feature, kind)]
    if asked is not None and asked in found:
        return asked
    if asked is not None or len(found) != 1:
        wanted = f"no column {asked!r}" if asked is not None else "not one column" if not found else "several columns"
        known = ", ".join(found) or f"none; its columns are {', '.join(features)}"
        raise RequestError(
            f"{source!r} has {wanted} of {what}: there are {known}; "
            + ("name one in data.label" if what == "class labels" and found else "use another data set")
        )
    return found[0]
