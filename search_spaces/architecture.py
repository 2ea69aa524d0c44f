"""The description of a network: stem, stages of modules, reductions, heads. Frozen, and out to YAML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from search_spaces.errors import RequestError, ResolutionError
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
    Pool,
    Shape,
)
from search_spaces.yaml_files import write_text

FORMAT = "architecture/1"
MAX_RESOLUTION = 4096


@dataclass(frozen=True)
class Split:
    """Convolutions that read the same tensor side by side and are joined: an expanded filter bank (Figure 7)."""

    branches: tuple[Conv, ...]


Step = Conv | Pool | Split
Tower = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """Parallel towers that read the same tensor and are joined along the channels."""

    towers: tuple[Tower, ...]


@dataclass(frozen=True, slots=True)
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

    def sides(self, resolution: int | tuple[int, int] | None) -> tuple[int, int]:
        """Return height and width of the pictures, its own by default; RequestError beyond what is allowed."""
        sides = (resolution, resolution) if isinstance(resolution, int) else resolution or (self.resolution,) * 2
        if not all(1 <= side <= MAX_RESOLUTION for side in sides):
            raise RequestError(
                f"a resolution of {sides[0]} x {sides[1]} is not possible: allowed are 1 to {MAX_RESOLUTION}"
            )
        return sides

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
        sides = self.sides(resolution)
        try:
            return lay_out(self, Shape(channels, *sides), classes, aux)
        except ResolutionError as error:
            from search_spaces.sides import advice  # numpy: only those who are refused pay

            raise ResolutionError(
                f"{self.name} cannot run at {sides[0]} x {sides[1]}: {error}; {advice(self, sides, aux=aux)}"
            ) from None

    def smallest_resolution(self, *, aux: bool = False) -> int:
        """Return the smallest square side, in pixels, that the architecture accepts.

        Not every larger side need work: parallel towers whose windows round differently, pools in ceil mode say, end on
        equal grids with some pictures only. So every side is tried.
        """
        from search_spaces.sides import smallest_side

        return smallest_side(self, aux=aux)

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


# ------------------------------------------------------------------------------------------------------------ modules


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
