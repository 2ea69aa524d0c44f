"""The space of Inception networks that a space file describes: which choices there are, and in which order they fall.

``walk`` is the one description of the space; see ``genes.py`` for how it serves sampling, decoding and encoding alike.
With tied genes the modules of a stage share their choices, and a schedule of widths runs from the first to the last;
else every module and tower has its own. What the principles demand of structures is built into the choices (asymmetric
factors on medium grids, expanded filter banks on the last one, parallel reductions), what they demand of widths into
the intervals of ``inception_widths.py``.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import cast

from search_spaces.architecture import MAX_RESOLUTION, Architecture, Aux, HeadStep, Module, Stage
from search_spaces.errors import RequestError, ResolutionError, nearest
from search_spaces.factorisation import FACTORISATIONS, Factorisation, Kernels, allowed, kernels
from search_spaces.facts import aux_facts
from search_spaces.genes import Batch, Choice, Gene, Pick, Value, Widths
from search_spaces.inception_plans import (
    PLACES,
    STRIDE_POOL,
    ModulePlan,
    PointwiseTowers,
    ReductionPlan,
    SpatialPlan,
    StagePlan,
    pool_towers,
)
from search_spaces.inception_widths import Limits, Names, StemPlan, WidthWalk
from search_spaces.layout import layout_of
from search_spaces.operations import Pool
from search_spaces.space_file import ReductionChoices, SpaceFile, TowerChoices

Chains = dict[Kernels | None, tuple[int, Factorisation, int]]
CHOICES = ("kernel", "factorisation", "repeats")
TOWERS = ("long", "short")


Spot = tuple[ModulePlan, dict[str, PointwiseTowers]]  # a module's plan, and the towers of its pool by padding


@dataclass(frozen=True)
class StageTable:
    """The choices of a stage by name; ``spots``: those of each module, or once for all of them.

    Reductions: kind, direct, and the three of the long tower's chain. Spots: widen, pool.kind, and three for the chain
    of the short and of the long tower. ``reductions`` and, for each spot, ``modules``: what the ways of these choices
    lead to, each made when it is first asked for. Spots that allow the same share it.
    """

    depth: Batch
    reduction: Batch
    spots: tuple[Batch, ...]
    names: Names
    reductions: dict[int, ReductionPlan]
    modules: tuple[dict[int, Spot], ...]


@lru_cache(maxsize=1024)
def chains(choices: tuple[Choice, ...]) -> Chains:
    """Every chain of kernels that three choices (CHOICES) allow, with the first values that give it."""
    (_, sizes), (_, factorisations), (_, repeats) = choices
    found: Chains = {}
    for factorisation in sorted(cast(tuple[Factorisation, ...], factorisations), key=FACTORISATIONS.index):
        for n in cast(tuple[int, ...], sizes):
            for times in cast(tuple[int, ...], repeats):
                found.setdefault(kernels(n, factorisation, times), (n, factorisation, times))
    return found


class InceptionSpace:
    """The space that a ``SpaceFile`` describes, at its resolution."""

    def __init__(self, file: SpaceFile) -> None:
        self.file = file
        self.off = set(file.thresholds.off)
        self.limits = Limits.of(file.thresholds)
        if file.aux is not None and file.aux.stage > len(file.stages):
            raise RequestError(
                f"the space {file.name!r} puts an auxiliary head on stage {file.aux.stage}: it has "
                f"{len(file.stages)} stages",
                at=("aux", "stage"),
            )
        heads = tuple(file.aux.heads) if file.aux else ()
        of_all = (("stem", tuple(file.stems)), ("padding", file.padding), ("aux", heads))
        whole = [self._choice(name, allowed) for name, allowed in of_all if allowed]
        drawn = cast(tuple[str, ...], whole[0][1])  # a stem that is fixed leaves the others no say
        self.grids = {name: self._grids(name) for name in drawn}
        self.stems = {name: self._stem(name) for name in drawn}
        self.whole = Batch(whole)  # choices of the whole network
        self.wholes = [tuple(map(str, self.whole.way(number))) for number in range(self.whole.size)]
        self.tables = [self._table(s) for s in range(len(file.stages))]
        self.width_names = [table.names for table in self.tables]
        self._plans: dict[tuple[object, ...], ModulePlan | SpatialPlan] = {}
        genes = tuple(self._genes())
        self.genes = tuple(gene for gene in genes if len(gene.choices) != 1)
        self._check_fixed(genes)

    # -------------------------------------------------------------------------------------------------------- the stems

    def _grids(self, stem: str) -> list[tuple[int, int]]:
        """Height and width of the grid of each stage."""
        side, pool = self.file.resolution, Module(((STRIDE_POOL,),))
        stages = (Stage(()), *(Stage((), pool) for _ in self.file.stages[1:]))
        try:
            layout = layout_of(Architecture(self.file.name, self.file.stems[stem], stages), side)
        except ResolutionError as error:
            raise ResolutionError(
                f"pictures of {side} px are too small for the space {self.file.name!r}: {error}; "
                "choose a larger resolution, or stems with fewer strides",
                at=("stems", stem),
            ) from None
        return [unit.shape[1:] for unit in (layout.stem[-1], *layout.units)]

    def _stem(self, name: str) -> StemPlan:
        picture = 3 * self.file.resolution**2
        layout = layout_of(Architecture(self.file.name, self.file.stems[name], (Stage(()),)), self.file.resolution)
        least = self.limits.least or 1.0
        slope = min(
            (
                math.log(segment.elements / (least * picture)) / segment.depth
                for segment in layout.segments
                if segment.depth
            ),
            default=math.inf,
        )
        end = layout.stem[-1]
        return StemPlan(end.shape.channels, end.depth, picture, slope)

    # ------------------------------------------------------------------------------------------------- the choices

    def factorisations(
        self, choices: TowerChoices, stage: int, tower: str, *, reduction: bool = False
    ) -> tuple[Factorisation, ...]:
        """Return those that may stand in a stage (from 0): asymmetric on medium grids, expanded on the last."""
        grid = stage - 1 if reduction else stage  # a reduction convolves on the grid before it
        last = (stage == len(self.file.stages) - 1 and not reduction) or "local_processing" in self.off
        shapes = {stem: grids[grid] for stem, grids in self.grids.items()}
        sides = {side for shape in shapes.values() for side in shape}
        low, high = self.file.thresholds.asymmetric_grids
        band = (low, high) if "asymmetric_factors" not in self.off else (0, MAX_RESOLUTION)
        fine = tuple(f for f in choices.factorisation if all(allowed(f, side, band, last) for side in sides))
        if fine:
            return fine
        found = ", ".join(
            f"{height} x {width} with the stem {stem}"
            for stem, (height, width) in shapes.items()
            if not low <= min(height, width) <= max(height, width) <= high
        )
        reasons = {
            "asymmetric": f"asymmetric is for grids from {low} to {high}, not for {found} (asymmetric_factors)",
            "expanded": "expanded is for the last grid (local_processing)",
        }
        off = ("asymmetric_factors",) if "asymmetric" in choices.factorisation else ("local_processing",)
        key = ("stages", stage, *(("reduction",) if reduction else ()), tower, "factorisation")
        raise self._nothing_left(key, choices.factorisation, [reasons[f] for f in choices.factorisation], "none", off)

    def reductions(self, choices: ReductionChoices, stage: int) -> tuple[str, ...]:
        """Return the kinds that the principles leave in a stage (from 0)."""
        by = {"pool_first": ("parallel_reduction", "bottleneck"), "convolve_first": ("parallel_reduction",)}
        forbidden = {kind: tuple(name for name in by.get(kind, ()) if name not in self.off) for kind in choices.kind}
        fine = tuple(kind for kind in choices.kind if not forbidden[kind])
        if fine:
            return fine
        reasons = [f"{kind} breaks {' and '.join(names)}" for kind, names in forbidden.items()]
        off = min(forbidden.values(), key=len)
        raise self._nothing_left(("stages", stage, "reduction", "kind"), choices.kind, reasons, "parallel", off)

    def _nothing_left(
        self, at: tuple[str | int, ...], allowed: Sequence[str], reasons: Sequence[str], other: str, off: Sequence[str]
    ) -> RequestError:
        key = ".".join(f"stage{part + 1}" if isinstance(part, int) else part for part in at)
        switch = f"thresholds: {{off: [{', '.join((*self.file.thresholds.off, *off))}]}}"
        return RequestError(
            f"{key} allows {', '.join(allowed)}, and the principles leave nothing of it: {'; '.join(reasons)}; add "
            f"another choice, {other} say, or write '{switch}'",
            at=at,
        )

    def check_heads(self) -> None:
        """Refuse an auxiliary head that can be drawn and does not fit the grid of its stage."""
        if self.file.aux is None:
            return
        stage, heads = self.file.aux.stage, self.file.aux.heads
        for name in cast(tuple[str, ...], self.whole[-1][1]):
            head = heads[name]
            for stem, grids in self.grids.items():
                height, width = grids[stage - 1]
                if _fits(head, height, width):
                    continue
                least = bisect_left(range(MAX_RESOLUTION), True, lo=1, key=partial(_square_fits, head))
                needed = f"it needs {least} x {least}" if least < MAX_RESOLUTION else "it fits no grid"
                raise RequestError(
                    f"aux.heads.{name} does not fit the grid of stage{stage}, which is {height} x {width} with the "
                    f"stem {stem} and pictures of {self.file.resolution} px: {needed}; give it smaller windows, fix "
                    "another head ('fixed: {aux: NAME}'), choose a larger resolution, or write 'aux: null'",
                    at=("aux", "heads", name),
                )

    # --------------------------------------------------------------------------------------------------- the genes

    def _table(self, s: int) -> StageTable:
        """Name every choice of a stage (from 0), with what is allowed there."""
        stage, at = self.file.stages[s], f"stage{s + 1}"
        # Each module has its own choices, or all of a stage the same.
        spots = [at] if self.file.tied else [f"{at}.module{m}" for m in range(1, stage.depth[1] + 1)]
        reduction: list[Choice] = []
        if stage.reduction is not None:
            flags = tuple("yes" if flag else "no" for flag in stage.reduction.short.direct)
            reduction = [
                self._choice(f"{at}.reduction.kind", self.reductions(stage.reduction, s)),
                self._choice(f"{at}.reduction.direct", flags),
                *self._tower_choices(f"{at}.reduction.long", stage.reduction.long, s, reduction=True),
            ]
        batches = [
            Batch(
                (
                    self._choice(f"{spot}.widen", stage.widen),
                    self._choice(f"{spot}.pool.kind", stage.pool.kind),
                    *self._tower_choices(f"{spot}.short", stage.short, s),
                    *self._tower_choices(f"{spot}.long", stage.long, s),
                )
            )
            for spot in spots
        ]
        modules: dict[tuple[tuple[Value, ...], ...], dict[int, Spot]] = {}
        return StageTable(
            depth=Batch([self._choice(f"{at}.depth", tuple(range(stage.depth[0], stage.depth[1] + 1)))]),
            reduction=Batch(reduction),
            spots=tuple(batches),
            # Widths are chosen for the first and the last module of a stage where genes are tied, else for each.
            names=Names(
                [[f"{at}.{place}.{end}" for place in PLACES] for end in ("first", "last")]
                if self.file.tied
                else [[f"{spot}.{place}" for place in PLACES] for spot in spots],
                [[f"{at}.{tower}.embedding.{end}" for tower in TOWERS] for end in ("first", "last")]
                if self.file.tied
                else [[f"{spot}.{tower}.embedding" for tower in TOWERS] for spot in spots],
                [f"{at}.reduction.{tower}.{what}" for what in ("output", "embedding") for tower in TOWERS],
            ),
            reductions={},
            modules=tuple(modules.setdefault(tuple(allowed for _, allowed in batch), {}) for batch in batches),
        )

    def _tower_choices(self, at: str, choices: TowerChoices, stage: int, *, reduction: bool = False) -> list[Choice]:
        factorisations = self.factorisations(choices, stage, at.rpartition(".")[2], reduction=reduction)
        values = (choices.kernel, factorisations, choices.repeats)
        return [self._choice(f"{at}.{name}", tuple(of)) for name, of in zip(CHOICES, values, strict=True)]

    def _check_fixed(self, genes: Sequence[Gene]) -> None:
        """Refuse to fix what is no gene, or a width."""
        choices = [gene.name for gene in genes if not gene.is_width]
        for name in self.file.fixed:
            if name in choices:
                continue
            if name in {gene.name for gene in genes}:
                raise RequestError(
                    f"the space {self.file.name!r} fixes {name}, a width: narrow its range instead, to [64, 64, 16] "
                    "say",
                    at=("fixed", name),
                )
            raise RequestError(
                f"the space {self.file.name!r} fixes {name!r}, which is no gene of it{nearest(name, choices)}",
                at=("fixed", name),
            )

    def _choice(self, name: str, allowed: tuple[Value, ...]) -> Choice:
        """A gene and what it may be: one value where the file fixes it."""
        if name not in self.file.fixed:
            return name, allowed
        value = self.file.fixed[name]
        if value not in allowed:
            raise RequestError(
                f"the space {self.file.name!r} fixes {name} at {value!r}: allowed are {', '.join(map(str, allowed))}",
                at=("fixed", name),
            )
        return name, (value,)

    def _genes(self) -> Iterator[Gene]:
        yield from (Gene(name, allowed) for name, allowed in self.whole)
        for stage, table in zip(self.file.stages, self.tables, strict=True):
            choices = [*table.reduction, *table.depth, *(choice for spot in table.spots for choice in spot)]
            yield from (Gene(name, allowed) for name, allowed in choices)
            long, short = stage.long, stage.short
            widths: list[tuple[Sequence[Sequence[str]], tuple[Widths, ...]]] = []
            widths.append((table.names.outputs, (long.output, short.output, stage.pointwise, stage.pool.projection)))
            widths.append((table.names.embeddings, (long.embedding, short.embedding)))
            if stage.reduction is not None:
                long_, short_ = stage.reduction.long, stage.reduction.short
                ranges = (long_.output, short_.output, long_.embedding, short_.embedding)
                widths.append(([table.names.reduction], ranges))
            for names, of_all in widths:
                yield from (Gene(name, (), of) for own in names for name, of in zip(own, of_all, strict=True))
        yield Gene("final")

    # ---------------------------------------------------------------------------------------------------------- walk

    def walk(self, pick: Pick) -> Architecture:
        """Ask for every gene, in order, and return the architecture that the answers describe."""
        file = self.file
        stem, padding, *head = self.wholes[pick.way(self.whole)]
        plans = [self._stage_plan(pick, s, self.grids[stem][s], padding) for s in range(len(file.stages))]
        aux: tuple[Aux, ...] = ()
        if file.aux is not None:
            aux = _aux(file.aux.stage, plans[file.aux.stage - 1].modules, file.aux.heads[head[0]])
        stages = WidthWalk(self.limits, file.tied, self.stems[stem], plans, self.width_names).stages(pick)
        return Architecture(file.name, file.stems[stem], stages, aux, file.dropout, file.norm_eps, file.resolution)

    def finals(self, channels: int) -> tuple[int, ...]:
        """The final widths that a network may have been made for: from the ``channels`` that it ends with up.

        Where thresholds leave the ranges of widths no room, rounding may exceed the final width: smaller ones follow.
        """
        stage = self.file.stages[-1]
        long, short, others = stage.long.output, stage.short.output, (stage.pointwise, stage.pool.projection)
        step = math.gcd(*(widths.step for widths in (long, short, *others)))
        highest = 2 * (long.high + short.high) + sum(widths.high for widths in others)  # with expanded filter banks
        return (*range(channels, highest + 1, step), *range(channels - step, 0, -step))

    def _stage_plan(self, pick: Pick, s: int, grid: tuple[int, int], padding: str) -> StagePlan:
        table, reduction = self.tables[s], None
        if table.reduction:
            way = pick.way(table.reduction)
            reduction = table.reductions.get(way) or self._reduction_plan(s, way)
        _, depths = table.depth[0]
        depth = cast(int, depths[pick.way(table.depth)])
        plans, pools = [], []
        for m, (spot, modules) in enumerate(zip(table.spots[:depth], table.modules, strict=False)):
            way = pick.way(spot)
            plan, towers = modules.get(way) or self._module_plan(s, m, way)
            plans.append(plan)
            pools.append(towers[padding])
        return StagePlan(plans, pools, depth, reduction, grid[0] * grid[1])

    def _reduction_plan(self, s: int, way: int) -> ReductionPlan:
        """Make the plan of a reduction for a way of its choices."""
        (kind, direct, *chain), choices = self.tables[s].reduction.way(way), self.file.stages[s].reduction
        assert choices is not None
        long = self._spatial_plan(choices.long, chain)
        found = self.tables[s].reductions[way] = ReductionPlan(str(kind), direct == "yes", long, choices)
        return found

    def _module_plan(self, s: int, m: int, way: int) -> Spot:
        """Make the plan of a module, and the towers of its pool, for a way of the choices at a spot (from 0)."""
        table, stage = self.tables[s], self.file.stages[s]
        widen, kind, *chains = table.spots[m].way(way)
        short, long = self._spatial_plan(stage.short, chains[:3]), self._spatial_plan(stage.long, chains[3:])
        key = (s, widen, short.chain, long.chain)
        if key not in self._plans:
            self._plans[key] = ModulePlan(stage, widen == "early", short, long)
        pools: dict[str, PointwiseTowers] = {
            padding: pool_towers(Pool((3, 3), kind="avg" if kind == "avg" else "max", counted=padding == "counted"))
            for padding in self.file.padding
        }
        found = table.modules[m][way] = cast(ModulePlan, self._plans[key]), pools
        return found

    def _spatial_plan(self, choices: TowerChoices, values: Sequence[Value]) -> SpatialPlan:
        n, factorisation, repeats = values
        chain = kernels(int(n), cast(Factorisation, factorisation), int(repeats))
        return cast(SpatialPlan, self._plans.setdefault((choices, chain), SpatialPlan(choices, chain)))


def _fits(head: tuple[HeadStep, ...], height: int, width: int) -> bool:
    """Whether an auxiliary head accepts a grid."""
    try:
        aux_facts(Aux(1, 1, head), 1000, height, width)
    except ResolutionError:
        return False
    return True


def _square_fits(head: tuple[HeadStep, ...], side: int) -> bool:
    return _fits(head, side, side)


@lru_cache(maxsize=1024)
def _aux(stage: int, module: int, steps: tuple[HeadStep, ...]) -> tuple[Aux, ...]:
    return (Aux(stage, module, steps),)
