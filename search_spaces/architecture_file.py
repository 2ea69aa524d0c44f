"""Architecture files: reading what ``Architecture.to_yaml`` writes and people edit; every mistake with its line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from search_spaces.architecture import (
    FORMAT,
    MAX_RESOLUTION,
    Architecture,
    Aux,
    HeadStep,
    Module,
    Split,
    Stage,
    StemStep,
    Step,
    Tower,
    lay_out,
)
from search_spaces.errors import RequestError, ResolutionError, nearest
from search_spaces.operations import Conv, LocalNorm, Plain, Pool, Shape, parse
from search_spaces.yaml_files import Document, read_file, read_text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEYS = ("format", "name", "resolution", "norm_eps", "stem", "stages", "dropout", "aux", "notes")


def from_yaml(text: str, file: str = "<text>") -> Architecture:
    """Read the text of an architecture file; raise RequestError with file and line where it is wrong."""
    return from_document(read_text(text, file))


def from_file(path: Path) -> Architecture:
    """Read an architecture file."""
    return from_document(read_file(path))


def from_data(data: Any) -> Architecture:
    """Read what ``as_data`` gave."""
    return from_document(Document(data, "architecture", {}))


def from_document(document: Document) -> Architecture:
    """Build the architecture that a document describes, and check that it can be laid out."""
    if isinstance(document.data, dict) and _is_space(document.data):
        sentence = f"'nas space {document.file}' explains it, 'nas sample {document.file}' draws architectures from it"
        document.fail((), f"this is a space, not an architecture: {sentence}")
    reader = _Fields(document)
    data = reader.mapping((), document.data, _KEYS, required=("format", "name", "stem", "stages"))
    if data["format"] != FORMAT:
        document.fail(("format",), f"format is {repr(data['format'])[:60]}: this version reads {FORMAT!r}")
    name = data["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        document.fail(("name",), f"name is {str(name)[:80]!r}: use 1 to 64 letters, digits, '.', '_' or '-'")
    stages = tuple(
        reader.stage(("stages", s), stage, first=s == 0)
        for s, stage in enumerate(reader.items(("stages",), data["stages"], 1, 16))
    )
    architecture = Architecture(
        name=name,
        stem=reader.stem(("stem",), data["stem"]),
        stages=stages,
        aux=tuple(
            reader.aux(("aux", i), entry, stages)
            for i, entry in enumerate(reader.items(("aux",), data.get("aux", []), 0, 8))
        ),
        dropout=reader.number(("dropout",), data.get("dropout", 0.5), 0.0, 0.99),
        norm_eps=reader.number(("norm_eps",), data.get("norm_eps", 1e-3), 1e-12, 1.0),
        resolution=reader.whole(("resolution",), data.get("resolution", 299), 1, MAX_RESOLUTION),
    )
    side = architecture.resolution
    try:
        lay_out(architecture, Shape(3, side, side))
    except ResolutionError as error:
        from search_spaces.sides import advice  # numpy: only those who are refused pay

        sentence = f"{name} cannot run at {side} x {side}: {error}; change that, or the resolution"
        document.fail(_place(str(error).split(" ")[0]), f"{sentence}: {advice(architecture, [side])}")
    return architecture


def _is_space(data: dict[str, Any]) -> bool:
    if "format" in data:
        return str(data["format"]).startswith("space/")
    return "base" in data or "stems" in data


def _place(node: str) -> tuple[str | int, ...]:
    """Where a file describes a node: ``stage2.module1.tower3.0`` under stages, the second, modules, the first."""
    if not (match := re.match(r"stage(\d+)\.(?:reduction|module(\d+))", node)):
        return ("stem", int(node.split(".")[1]))
    stage, module = int(match[1]) - 1, match[2]
    return ("stages", stage, "modules", int(module) - 1) if module else ("stages", stage, "reduction")


class _Fields:
    """Checks one entry of a document at a time, and fails with its line."""

    def __init__(self, document: Document) -> None:
        self.fail: Any = document.fail

    def mapping(
        self, at: tuple[str | int, ...], value: Any, allowed: Sequence[str], required: Sequence[str]
    ) -> dict[str, Any]:
        where = ".".join(map(str, at)) or "an architecture file"
        if not isinstance(value, dict):
            self._fail(at, f"{where} must be a mapping with the keys {', '.join(allowed)}")
        for key in value:
            if key not in allowed:
                self._fail(
                    (*at, key),
                    f"unknown key {key[:60]!r} in {where}: allowed are {', '.join(allowed)}{nearest(key, allowed)}",
                )
        for key in required:
            if key not in value:
                self._fail(at, f"{where} has no {key!r}: add it")
        return dict(value)

    def items(self, at: tuple[str | int, ...], value: Any, least: int, most: int) -> list[Any]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            found = f"{len(value)} entries" if isinstance(value, list) else repr(value)[:60]
            self._fail(at, f"{'.'.join(map(str, at))} must be a list of {least} to {most} entries; found {found}")
        return list(value)

    def number(self, at: tuple[str | int, ...], value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._fail(at, f"{at[-1]} is {str(value)[:60]!r}: a number from {low:g} to {high:g} is allowed")
        return float(value)

    def whole(self, at: tuple[str | int, ...], value: Any, low: int, high: int) -> int:
        if not isinstance(value, int):
            self._fail(at, f"{at[-1]} is {str(value)[:60]!r}: a whole number from {low} to {high} is allowed")
        return int(self.number(at, value, low, high))

    def plain(self, at: tuple[str | int, ...], value: Any) -> Plain:
        try:
            return parse(value)
        except RequestError as error:
            self._fail(at, str(error))

    def step(self, at: tuple[str | int, ...], value: Any) -> Conv | Pool:
        if not isinstance(step := self.plain(at, value), Conv | Pool):
            self._fail(at, f"{value!r} is not for towers: a tower holds conv, max and avg")
        return step

    def stem(self, at: tuple[str | int, ...], value: Any) -> tuple[StemStep, ...]:
        return tuple(self.stem_step((*at, i), step) for i, step in enumerate(self.items(at, value, 1, 64)))

    def stem_step(self, at: tuple[str | int, ...], value: Any) -> StemStep:
        if isinstance(value, list):
            return self.module(at, value)
        if not isinstance(step := self.plain(at, value), Conv | Pool | LocalNorm):
            self._fail(at, f"{value!r} is not for the stem: it holds conv, max, avg, lrn and modules (lists of towers)")
        return step

    def head_step(self, at: tuple[str | int, ...], value: Any) -> HeadStep:
        if isinstance(step := self.plain(at, value), LocalNorm):
            self._fail(at, f"{value!r} is for the stem only")
        return step

    def tower(self, at: tuple[str | int, ...], value: Any) -> Tower:
        steps: list[Step] = []
        for i, step in enumerate(self.items(at, value, 1, 64)):
            if not isinstance(step, list):
                steps.append(self.step((*at, i), step))
                continue
            branches = [self.step((*at, i, b), branch) for b, branch in enumerate(self.items((*at, i), step, 2, 8))]
            if not all(isinstance(branch, Conv) for branch in branches):
                self._fail(
                    (*at, i),
                    "only convolutions may stand side by side inside a tower: give the pool a tower of its own",
                )
            steps.append(Split(tuple(branch for branch in branches if isinstance(branch, Conv))))
        return tuple(steps)

    def module(self, at: tuple[str | int, ...], value: Any) -> Module:
        return Module(tuple(self.tower((*at, t), tower) for t, tower in enumerate(self.items(at, value, 1, 16))))

    def stage(self, at: tuple[str | int, ...], value: Any, first: bool) -> Stage:
        data = self.mapping(at, value, ("reduction", "modules"), ("modules",))
        if first and "reduction" in data:
            self._fail(
                (*at, "reduction"), "the first stage has a reduction: the stem leads to it, so put the steps there"
            )
        modules = self.items((*at, "modules"), data["modules"], 1, 64)
        return Stage(
            tuple(self.module((*at, "modules", m), module) for m, module in enumerate(modules)),
            self.module((*at, "reduction"), data["reduction"]) if "reduction" in data else None,
        )

    def aux(self, at: tuple[str | int, ...], value: Any, stages: Sequence[Stage]) -> Aux:
        data = self.mapping(at, value, ("after", "steps"), ("after", "steps"))
        places = {
            f"stage{s}.module{m}": (s, m) for s, stage in enumerate(stages, 1) for m in range(1, len(stage.modules) + 1)
        }
        if not isinstance(data["after"], str) or data["after"] not in places:
            self._fail(
                (*at, "after"), f"there is no module {str(data['after'])[:60]!r}: allowed are {', '.join(places)}"
            )
        items = self.items((*at, "steps"), data["steps"], 1, 64)
        steps = tuple(self.head_step((*at, "steps", i), step) for i, step in enumerate(items))
        try:
            return Aux(*places[data["after"]], steps)
        except RequestError as error:
            self._fail((*at, "steps"), str(error))

    def _fail(self, at: tuple[str | int, ...], sentence: str) -> NoReturn:
        self.fail(at, sentence)
        raise AssertionError("Document.fail raises")
