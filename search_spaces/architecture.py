"""The description of a network: stem, stages of modules, reductions, heads. Frozen, in and out of YAML."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from search_spaces.errors import RequestError, ResolutionError, UnevenGrids, nearest
from search_spaces.graph import Graph
from search_spaces.operations import (
    AdaptivePool,
    Concat,
    Conv,
    Dropout,
    GlobalPool,
    Input,
    Linear,
    LocalNorm,
    Operation,
    Plain,
    Pool,
    Shape,
    parse,
)
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


StemStep = Conv | Pool | LocalNorm | Module
HeadStep = Conv | Pool | AdaptivePool | Linear | Dropout


@dataclass(frozen=True)
class Aux:
    """An auxiliary head on one module (stage and module from 1): ``steps``, a global pool and the linear layer.

    Where the steps hold a linear layer themselves, GoogLeNet's hidden one say, there is no global pool, and the weights
    of that layer depend on the grid that reaches it.
    """

    stage: int
    module: int
    steps: tuple[HeadStep, ...]

    def __post_init__(self) -> None:
        flat = False
        for step in self.steps:
            if flat and not isinstance(step, Linear | Dropout):
                raise RequestError(
                    f"{step.text()!r} comes after a linear layer, which leaves no grid: "
                    "only linear and dropout may follow it"
                )
            flat = flat or isinstance(step, Linear)

    @property
    def hidden(self) -> bool:
        """Whether the steps hold a linear layer."""
        return any(isinstance(step, Linear) for step in self.steps)


@dataclass(frozen=True)
class Architecture:
    """A whole network. Architectures are equal if they build the same one; ``name`` and ``resolution`` are labels."""

    name: str
    stem: tuple[StemStep, ...]
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

        ``aux`` adds the auxiliary heads. Raises ResolutionError, with the nearest sides that work, if the pictures are
        too small or their size leaves parallel towers on different grids.
        """
        sides = (resolution, resolution) if isinstance(resolution, int) else resolution or (self.resolution,) * 2
        if not all(1 <= side <= MAX_RESOLUTION for side in sides):
            raise RequestError(
                f"a resolution of {sides[0]} x {sides[1]} is not possible: allowed are 1 to {MAX_RESOLUTION}"
            )
        try:
            return lay_out(self, Shape(channels, *sides), classes, aux)
        except ResolutionError as error:
            raise ResolutionError(
                f"{self.name} cannot run at {sides[0]} x {sides[1]}: {error}; {_advice(self, sides, aux)}"
            ) from None

    def smallest_resolution(self, *, aux: bool = False) -> int:
        """Return the smallest square side, in pixels, that the architecture accepts.

        Not every larger side need work: parallel towers whose windows round differently, pools in ceil mode say, end on
        equal grids with some pictures only. So every side is tried.
        """
        side = _first_side(self, range(1, MAX_RESOLUTION + 1), aux)
        if side is None:
            raise RequestError(
                f"{self.name} accepts no picture up to {MAX_RESOLUTION} pixels: it reduces too often, or its parallel "
                "towers reduce differently"
            )
        return side

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the structure, with auxiliary heads, whatever the name, the resolution and the order of towers."""
        try:
            graph = lay_out(self, Shape(3, self.resolution, self.resolution), 1000, aux=True)
        except ResolutionError:  # the heads want larger pictures than the rest; the digest does not depend on the size
            side = self.smallest_resolution(aux=True)
            graph = lay_out(self, Shape(3, side, side), 1000, aux=True)
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
            "stem": [_module_data(step) if isinstance(step, Module) else step.text() for step in self.stem],
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


def lay_out(architecture: Architecture, picture: Shape, classes: int = 1000, aux: bool = False) -> Graph:
    """Return the graph for pictures of one shape; ResolutionError, without the sides that would work, if they do not.

    For those who try many sizes; everybody else uses ``Architecture.graph``.
    """
    graph = Graph(architecture.norm_eps)
    at = chain(graph, "stem", architecture.stem, graph.add("input", Input(picture)))
    ends: dict[tuple[int, int], str] = {}
    for s, stage in enumerate(architecture.stages, 1):
        if stage.reduction is not None:
            at = add_module(graph, f"stage{s}.reduction", stage.reduction, at)
        for m, module in enumerate(stage.modules, 1):
            at = ends[s, m] = add_module(graph, f"stage{s}.module{m}", module, at)
    graph.output = add_head(graph, at, architecture.dropout, classes)
    if aux:
        for i, head in enumerate(architecture.aux, 1):
            graph.aux_outputs += (add_aux(graph, f"aux{i}", head, ends[head.stage, head.module], classes),)
    return graph


def add_head(graph: Graph, at: str, dropout: float, classes: int) -> str:
    """Add what turns the final representation, the node ``at``, into logits; return the last node's name."""
    at = graph.add("head.pool", GlobalPool(), [at])
    if dropout:
        at = graph.add("head.dropout", Dropout(dropout), [at])
    return graph.add("head.linear", Linear(classes), [at])


def add_aux(graph: Graph, prefix: str, head: Aux, at: str, classes: int) -> str:
    """Add an auxiliary head on the node ``at``; return the last node's name."""
    at = chain(graph, prefix, head.steps, at)
    at = at if head.hidden else graph.add(f"{prefix}.pool", GlobalPool(), [at])
    return graph.add(f"{prefix}.linear", Linear(classes), [at])


def _first_side(architecture: Architecture, sides: Iterable[int], aux: bool) -> int | None:
    """Return the first of ``sides`` that works as a square."""
    try:
        lay_out(architecture, Shape(3, MAX_RESOLUTION, MAX_RESOLUTION), aux=aux)
    except UnevenGrids:
        pass
    except ResolutionError:  # what is too small here is too small on every smaller picture
        return None
    for side in sides:
        try:
            lay_out(architecture, Shape(3, side, side), aux=aux)
        except ResolutionError:
            continue
        return side
    return None


def _advice(architecture: Architecture, sides: Iterable[int], aux: bool) -> str:
    """Say which sides near those that do not work would. Sides that work as squares work as rectangles."""
    sentences: dict[str, int] = {}
    for side in dict.fromkeys(sides):
        try:
            lay_out(architecture, Shape(3, side, side), aux=aux)
            continue
        except UnevenGrids:
            below = _first_side(architecture, range(side - 1, 0, -1), aux)
        except ResolutionError:  # what is too small here is too small on every smaller picture
            below = None
        above = _first_side(architecture, range(side + 1, MAX_RESOLUTION + 1), aux)
        sentences.setdefault(_sides_that_work(below, above), side)
    if len(sentences) == 1:
        return next(iter(sentences))
    return "; ".join(f"for {side}, {sentence}" for sentence, side in sentences.items())


def _sides_that_work(below: int | None, above: int | None) -> str:
    if below is None and above is None:
        return f"no side up to {MAX_RESOLUTION} works"
    if below is None:
        return f"the smallest side that works is {above}"
    if above is None:
        return f"the largest side that works is {below}"
    return f"the nearest sides that work are {below} and {above}"


def chain(graph: Graph, prefix: str, steps: Sequence[Operation | Split | Module], at: str) -> str:
    """Add steps that follow one another, the first on the node ``at``; return the last node's name."""
    for i, step in enumerate(steps):
        if isinstance(step, Module):
            at = add_module(graph, f"{prefix}.{i}", step, at)
        elif isinstance(step, Split):
            names = [graph.add(f"{prefix}.{i}.branch{b}", conv, [at]) for b, conv in enumerate(step.branches, 1)]
            at = graph.add(f"{prefix}.{i}.concat", Concat(), names)
        else:
            at = graph.add(f"{prefix}.{i}", step, [at])
    return at


def add_module(graph: Graph, prefix: str, module: Module, at: str) -> str:
    """Add parallel towers on the node ``at``, and what joins them; return the last node's name."""
    ends = [chain(graph, f"{prefix}.tower{t}", tower, at) for t, tower in enumerate(module.towers, 1)]
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
        # Which sides would work is not said: to try all of them takes half a minute for a large file.
        sentence = f"{name} cannot run at {side} x {side}: {error}; change that, or the resolution"
        document.fail(_place(str(error).split(" ")[0]), sentence)
    return architecture


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


def stem_modules(architecture: Architecture) -> Iterator[tuple[str, Module]]:
    """Yield every module of the stem with its name, ``stem.3`` say."""
    for i, step in enumerate(architecture.stem):
        if isinstance(step, Module):
            yield f"stem.{i}", step


def modules(architecture: Architecture) -> Iterator[tuple[str, Module]]:
    """Yield every reduction and module of the stages with its unit's name, from the input to the output."""
    for s, stage in enumerate(architecture.stages, 1):
        if stage.reduction is not None:
            yield f"stage{s}.reduction", stage.reduction
        for m, module in enumerate(stage.modules, 1):
            yield f"stage{s}.module{m}", module
