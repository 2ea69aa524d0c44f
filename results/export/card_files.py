"""The files that lie beside a model card, by what they say of themselves: names tell nothing of what is inside."""

import ast
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from results.export.card_background import CardFile
from results.export.content import Content
from results.export.facts import metadata
from results.export.folding import folded_architecture
from results.export.onnx_packages import need
from results.export.to_python import network_class
from search_spaces.architecture_file import from_yaml

_FORMS = {".py": "python", ".safetensors": "safetensors", ".onnx": "onnx", ".pt2": "pt2", ".yaml": "yaml"}
_SIZES = ("classes", "channels", "resolution", "mean", "deviation", "white")
_TOLD = ("weights", *_SIZES)  # a card tells these of a file
_MOST_HEADER = 10**8  # bytes, by the format
_SAYABLE = re.compile(r"[\w. ()+-]+")  # names that end no text in the code of a card


def card_files(content: Content, made: Mapping[str, bytes], folder: Path) -> tuple[CardFile, ...]:
    """Return the files of a content's architecture: those that are ``made``, and those that lie in ``folder`` already.

    What is made with its norms folded is among them, of an architecture of its own. A file that cannot be read, is of
    another architecture, or has marks in its name to which code gives a meaning, is none of them.
    """
    needed, mine = network_class(content), metadata(content)
    folded = replace(content, architecture=folded_architecture(content.architecture))
    its_class, its_facts = network_class(folded), {**mine, "digest": folded.architecture.digest}
    found = [
        _recognised(name, io.BytesIO(file), mine, needed)
        or _recognised(name, io.BytesIO(file), its_facts, its_class, _SIZES)
        for name, file in made.items()
    ]
    for path in _lying_in(folder):
        if path.name not in made:
            if path.suffix == ".onnx":
                need("onnx")  # or the card would know nothing of it
            try:
                with path.open("rb") as file:
                    found.append(_recognised(path.name, file, mine, needed))
            except OSError:  # not ours to read
                continue
    return tuple(sorted((file for file in found if file is not None), key=lambda file: file.name))


def _lying_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix in _FORMS and path.is_file()]
    except OSError:  # there is none yet: whoever writes there says what is wrong with it
        return []


def _recognised(
    name: str, file: BinaryIO, mine: Mapping[str, str], needed: str, same: Sequence[str] = _TOLD
) -> CardFile | None:
    """What a file is, beside what the card tells, ``mine``; ``needed``: the class that its source must define.

    ``same``: what both must say for the card to be of the file, too.
    """
    form = _FORMS.get(Path(name).suffix)
    if form is None or not _SAYABLE.fullmatch(name) or (form == "python" and not Path(name).stem.isidentifier()):
        return None
    try:
        if form in ("python", "yaml"):
            text = file.read().decode("utf-8")
            text = text if form == "yaml" else _architecture_in(text, needed)
            return CardFile(name, form) if from_yaml(text).digest == mine["digest"] else None
        read = {"safetensors": _of_weights, "onnx": _of_onnx, "pt2": _of_pt2}[form]
        facts = read(file)
        if facts["digest"] != mine["digest"]:
            return None
        return CardFile(
            name,
            form,
            weights=facts.get("weights", "unknown"),
            own=all(facts.get(key) == mine.get(key) for key in same),
            pixels=facts.get("input") == "pixels",
            precision=facts.get("precision", "float32"),
            names=facts.get("names", ""),
        )
    except Exception:  # noqa: BLE001 - anything may lie there, and readers of it raise anything
        return None


def _architecture_in(source: str, needed: str) -> str:
    """The text of the architecture in an exported source; ValueError where that does not define the class."""
    body = ast.parse(source).body
    if not any(isinstance(part, ast.ClassDef) and part.name == needed for part in body):
        raise ValueError(f"there is no class {needed}")
    texts = [
        part.value for part in body if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "ARCHITECTURE"
    ]
    return str(ast.literal_eval(texts[0]))


def _of_weights(file: BinaryIO) -> dict[str, str]:
    """What stands beside the tensors, and whether their names are ours (``names`` is "" then)."""
    header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), _MOST_HEADER)))
    facts: dict[str, str] = header.pop("__metadata__")
    return {**facts, "names": "" if "head.linear.weight" in header else "torchvision"}


def _of_onnx(file: BinaryIO) -> dict[str, str]:
    import onnx

    model = onnx.load_model(file, load_external_data=False)
    return {entry.key: entry.value for entry in model.metadata_props}


def _of_pt2(file: BinaryIO) -> dict[str, str]:
    with zipfile.ZipFile(file) as parts:
        [name] = [name for name in parts.namelist() if name.endswith("/extra/facts.json")]
        facts: dict[str, str] = json.loads(parts.read(name))
        return facts
