"""The description of a network: stem, stages of modules, reductions, heads. Frozen, in and out of YAML."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from search_spaces.errors import RequestError, ResolutionError, nearest
from search_spaces.graph import Graph
from search_spaces.operations import Concat, Conv, Dropout, GlobalPool, Input, Linear, Pool, Shape, parse
from search_spaces.yaml_files import Document, read_file, read_text, write_text

FORMAT = "architecture/1"
MAX_RESOLUTION = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Split:
    """Convolutions that read the same tensor side by side and are joined: an expanded filter bank (Figure 7)."""

    branches: tuple[Conv, ...]


Step = Conv | Pool | Split
Tower = tuple[Step, ...]


@dataclass(frozen=True)
class Module:
    """Parallel towers that read the same tensor and are joined along the channels."""

    towers: tuple[Tower, ...]


@dataclass(frozen=True)
class Stage:
    """Modules on one grid, after the reduction that leads to it (None for the first: the stem leads there)."""

    modules: tuple[Module, ...]
    reduction: Module | None = None


@dataclass(frozen=True)
class Aux:
    """An auxiliary head: ``steps``, a global pool and a linear layer, on one module (stage and module from 1)."""

    stage: int
    module: int
    steps: tuple[Conv | Pool, ...]


@dataclass(frozen=True)
class Architecture:
    """A whole network. Architectures are equal if they build the same one; ``name`` and ``resolution`` are labels."""

    name: str
    stem: tuple[Conv | Pool, ...]
    stages: tuple[Stage, ...]
    aux: tuple[Aux, ...] = ()
    dropout: float = 0.5
    norm_eps: float = 1e-3
    resolution: int = 299

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._structure == other._structure

    def __hash__(self) -> int:
        return hash(self._structure)

    @property
    def _structure(self) -> tuple[object, ...]:
        return self.stem, self.stages, self.aux, self.dropout, self.norm_eps

    def graph(
        self,
        resolution: int | tuple[int, int] | None = None,
        *,
        classes: int = 1000,
        channels: int = 3,
        aux: bool = False,
    ) -> Graph:
        """Lay the architecture out for pictures of ``resolution`` (a side, or height and width, in pixels).

        ``aux`` adds the auxiliary heads. Raises ResolutionError, with the smallest side that works, if the pictures
        are too small.
        """
        sides = (resolution, resolution) if isinstance(resolution, int) else resolution or (self.resolution,) * 2
        if not all(1 <= side <= MAX_RESOLUTION for side in sides):
            raise RequestError(
                f"a resolution of {sides[0]} x {sides[1]} is not possible: allowed are 1 to {MAX_RESOLUTION}"
            )
        try:
            return _lay_out(self, Shape(channels, *sides), classes, aux)
        except ResolutionError as error:
            smallest = self.smallest_resolution(aux=aux)
            raise ResolutionError(
                f"{self.name} cannot run at {sides[0]} x {sides[1]}: {error}; "
                f"the smallest side that works is {smallest}"
            ) from None

    def smallest_resolution(self, *, aux: bool = False) -> int:
        """Return the smallest square side, in pixels, that the architecture accepts."""
        low, high = 1, MAX_RESOLUTION + 1  # grids grow with the picture, so bisection finds the border
        while low < high:
            side = (low + high) // 2
            try:
                _lay_out(self, Shape(3, side, side), 2, aux)
            except ResolutionError:
                low = side + 1
            else:
                high = side
        if low > MAX_RESOLUTION:
            raise RequestError(f"{self.name} accepts no picture up to {MAX_RESOLUTION} pixels: it reduces too often")
        return low

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the structure, with auxiliary heads, whatever the name, the resolution and the order of towers."""
        try:
            graph = _lay_out(self, Shape(3, self.resolution, self.resolution), 1000, aux=True)
        except ResolutionError:  # the heads want larger pictures than the rest; the digest does not depend on the size
            side = self.smallest_resolution(aux=True)
            graph = _lay_out(self, Shape(3, side, side), 1000, aux=True)
        return graph.digest()

    def named(self, name: str) -> "Architecture":
        """Return the same architecture under another name."""
        return replace(self, name=name)

    def as_data(self) -> dict[str, Any]:
        """Return plain dicts, lists and scalars: the content of an architecture file."""
        data: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "resolution": self.resolution,
            "norm_eps": self.norm_eps,
            "stem": [step.text() for step in self.stem],
            "stages": [],
        }
        for stage in self.stages:
            entry: dict[str, Any] = {}
            if stage.reduction is not None:
                entry["reduction"] = _module_data(stage.reduction)
            entry["modules"] = [_module_data(module) for module in stage.modules]
            data["stages"].append(entry)
        data["dropout"] = self.dropout
        if self.aux:
            data["aux"] = [
                {"after": f"stage{aux.stage}.module{aux.module}", "steps": [step.text() for step in aux.steps]}
                for aux in self.aux
            ]
        return data

    def to_yaml(self) -> str:
        """Return the text of an architecture file."""
        return write_text(self.as_data())


def _module_data(module: Module) -> list[Any]:
    def step_data(step: Step) -> Any:
        return [branch.text() for branch in step.branches] if isinstance(step, Split) else step.text()

    return [[step_data(step) for step in tower] for tower in module.towers]


# ---------------------------------------------------------------------------------------------------------- the graph


def _lay_out(architecture: Architecture, picture: Shape, classes: int, aux: bool) -> Graph:
    graph = Graph(architecture.norm_eps)
    at = _chain(graph, "stem", architecture.stem, graph.add("input", Input(picture)))
    ends: dict[tuple[int, int], str] = {}
    for s, stage in enumerate(architecture.stages, 1):
        if stage.reduction is not None:
            at = _add_module(graph, f"stage{s}.reduction", stage.reduction, at)
        for m, module in enumerate(stage.modules, 1):
            at = ends[s, m] = _add_module(graph, f"stage{s}.module{m}", module, at)
    at = graph.add("head.pool", GlobalPool(), [at])
    if architecture.dropout:
        at = graph.add("head.dropout", Dropout(architecture.dropout), [at])
    graph.output = graph.add("head.linear", Linear(classes), [at])
    if aux:
        for i, head in enumerate(architecture.aux, 1):
            at = _chain(graph, f"aux{i}", head.steps, ends[head.stage, head.module])
            at = graph.add(f"aux{i}.pool", GlobalPool(), [at])
            graph.aux_outputs += (graph.add(f"aux{i}.linear", Linear(classes), [at]),)
    return graph


def _chain(graph: Graph, prefix: str, steps: Sequence[Step], at: str) -> str:
    for i, step in enumerate(steps):
        if isinstance(step, Split):
            names = [graph.add(f"{prefix}.{i}.branch{b}", conv, [at]) for b, conv in enumerate(step.branches, 1)]
            at = graph.add(f"{prefix}.{i}.concat", Concat(), names)
        else:
            at = graph.add(f"{prefix}.{i}", step, [at])
    return at


def _add_module(graph: Graph, prefix: str, module: Module, at: str) -> str:
    ends = [_chain(graph, f"{prefix}.tower{t}", tower, at) for t, tower in enumerate(module.towers, 1)]
    return ends[0] if len(ends) == 1 else graph.add(f"{prefix}.concat", Concat(), ends)


# ------------------------------------------------------------------------------------------------------------ reading


def from_yaml(text: str, file: str = "<text>") -> Architecture:
    """Read the text of an architecture file; raise RequestError with file and line where it is wrong."""
    return from_document(read_text(text, file))


def from_file(path: Path) -> Architecture:
    """Read an architecture file."""
    return from_document(read_file(path))


def from_data(data: Any) -> Architecture:
    """Read what ``as_data`` gave."""
    return from_document(Document(data, "architecture", {}))


_KEYS = ("format", "name", "resolution", "norm_eps", "stem", "stages", "dropout", "aux", "notes")


def from_document(document: Document) -> Architecture:
    """Build the architecture that a document describes, and check that it can be laid out."""
    reader = _Fields(document)
    data = reader.mapping((), document.data, _KEYS, required=("format", "name", "stem", "stages"))
    if data["format"] != FORMAT:
        document.fail(("format",), f"format is {data['format']!r}: this version reads {FORMAT!r}")
    name = data["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        document.fail(("name",), f"name is {str(name)[:80]!r}: use 1 to 64 letters, digits, '.', '_' or '-'")
    stages = tuple(
        reader.stage(("stages", s), stage, first=s == 0)
        for s, stage in enumerate(reader.items(("stages",), data["stages"], 1, 16))
    )
    architecture = Architecture(
        name=name,
        stem=reader.plain_steps(("stem",), data["stem"]),
        stages=stages,
        aux=tuple(
            reader.aux(("aux", i), entry, stages)
            for i, entry in enumerate(reader.items(("aux",), data.get("aux", []), 0, 8))
        ),
        dropout=reader.number(("dropout",), data.get("dropout", 0.5), 0.0, 0.99),
        norm_eps=reader.number(("norm_eps",), data.get("norm_eps", 1e-3), 1e-12, 1.0),
        resolution=reader.whole(("resolution",), data.get("resolution", 299), 1, MAX_RESOLUTION),
    )
    try:
        architecture.graph(architecture.resolution)
    except RequestError as error:
        document.fail((), str(error))
    return architecture


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

    def step(self, at: tuple[str | int, ...], value: Any) -> Conv | Pool:
        try:
            return parse(value)
        except RequestError as error:
            self._fail(at, str(error))

    def plain_steps(self, at: tuple[str | int, ...], value: Any) -> tuple[Conv | Pool, ...]:
        return tuple(self.step((*at, i), step) for i, step in enumerate(self.items(at, value, 1, 64)))

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
        return Aux(*places[data["after"]], self.plain_steps((*at, "steps"), data["steps"]))

    def _fail(self, at: tuple[str | int, ...], sentence: str) -> NoReturn:
        self.fail(at, sentence)
        raise AssertionError("Document.fail raises")


def modules(architecture: Architecture) -> Iterator[tuple[str, Module]]:
    """Yield every reduction and module with its unit's name, from the input to the output."""
    for s, stage in enumerate(architecture.stages, 1):
        if stage.reduction is not None:
            yield f"stage{s}.reduction", stage.reduction
        for m, module in enumerate(stage.modules, 1):
            yield f"stage{s}.module{m}", module
