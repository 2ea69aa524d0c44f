"""The space of Inception networks with genes tied per stage: schedules of widths run from the first module to the last.

``walk`` is the one description of the space; see ``genes.py`` for how it serves decoding and encoding alike. What the
principles demand is built into the intervals that it offers, place by place:

- local processing: a stage starts with at least ``shrink`` of the channels that enter and no tower narrows along it;
  the last grid is entered with ``coarsest`` times the channels of the grid before;
- embedding: what a spatial convolution of a module reads is at most the stated share of the module's input;
- bottleneck: the widths so far bound the final representation from above (it raises the line that every cut is compared
  with), the final representation that the rest needs at least bounds every width from below, and embeddings are as
  wide as the cut through their module must be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from search_spaces.architecture import Architecture, Aux, Module, Split, Step, Tower
from search_spaces.errors import ResolutionError
from search_spaces.factorisation import FACTORISATIONS, Factorisation, Kernels, allowed, kernels, step_kernels
from search_spaces.genes import Gene, OutsideSpace, Pick, Value, Widths
from search_spaces.inception_widths import STRIDE_POOL, WidthWalk
from search_spaces.operations import Conv, Pool, Shape
from search_spaces.space_file import ReductionChoices, SpaceFile, StageChoices, TowerChoices

# ----------------------------------------------------------------------------------------------------- the structure


@dataclass(frozen=True)
class SpatialChoice:
    """The discrete choices of a spatial tower: its chain of kernels."""

    choices: TowerChoices
    chain: Kernels

    @property
    def expanded(self) -> bool:
        """Whether the chain ends in convolutions side by side."""
        return isinstance(self.chain[-1][0], tuple)

    @property
    def fan(self) -> int:
        """How many times the output width leaves the tower."""
        return len(self.chain[-1]) if self.expanded else 1

    def passes(self, output: int, widen: str) -> int:
        """Channels of the narrowest tensor of the tower behind its embedding."""
        return output if widen == "early" and len(self.chain) > 1 else self.fan * output

    def steps(self, embedding: int, output: int, widen: str) -> Tower:
        """The tower with its widths; ``widen``: the first ("early") or the last convolution goes to the output's."""
        steps: list[Step] = [Conv((1, 1), width=embedding)]
        for i, kernel in enumerate(self.chain):
            width = output if widen == "early" or i == len(self.chain) - 1 else embedding
            if isinstance(kernel[0], tuple):
                steps.append(Split(tuple(Conv(side, width=width) for side in kernel)))
            else:
                steps.append(Conv(kernel, width=width))
        return tuple(steps)


@dataclass(frozen=True)
class ReductionChoice:
    """The discrete choices of a reduction."""

    kind: str
    direct: bool
    long: SpatialChoice
    choices: ReductionChoices


@dataclass(frozen=True)
class StagePlan:
    """The discrete choices of a stage; ``area``: places of its grid; ``counted``: zeros count in average pools."""

    number: int
    depth: int
    widen: str
    pool: str
    counted: bool
    short: SpatialChoice
    long: SpatialChoice
    reduction: ReductionChoice | None
    choices: StageChoices
    area: int

    @property
    def module_depth(self) -> int:
        """Convolutions on the longest path of a module."""
        return 1 + max(len(self.short.chain), len(self.long.chain))

    @property
    def reduction_depth(self) -> int:
        """Convolutions on the longest path of the reduction; 0 without one."""
        if self.reduction is None:
            return 0
        return len(self.reduction.long.chain) + 2 if self.reduction.kind == "parallel" else 1

    @property
    def reduction_highs(self) -> int:
        """The most channels that the reduction's convolutions join to its pool's."""
        choices = self.choices.reduction
        return choices.short.output.high + choices.long.output.high if choices else 0

    def tower(self, name: str) -> SpatialChoice:
        """``short`` or ``long``."""
        return self.short if name == "short" else self.long

    def widths(self, place: str) -> Widths:
        """The range of an output: ``pointwise``, ``short.output``, ``long.output`` or ``pool.projection``."""
        if place == "pointwise":
            return self.choices.pointwise
        return (
            self.choices.pool.projection
            if place == "pool.projection"
            else self.tower(place.split(".")[0]).choices.output
        )

    def fan(self, place: str) -> int:
        """How many times the width of a place counts in the module's output."""
        return self.tower(place.split(".")[0]).fan if place.endswith(".output") else 1

    @property
    def outputs_read(self) -> frozenset[str]:
        """The outputs whose width a convolution of the same tower reads."""
        towers = ("short", "long") if self.widen == "early" else ()
        return frozenset(f"{name}.output" for name in towers if len(self.tower(name).chain) > 1)


Chains = dict[Kernels | None, tuple[int, Factorisation, int]]


class InceptionSpace:
    """The space that a ``SpaceFile`` describes, at its resolution."""

    def __init__(self, file: SpaceFile) -> None:
        self.file = file
        self.thresholds = file.thresholds
        self.off = set(file.thresholds.off)
        self.grids = {name: self._grids(steps) for name, steps in file.stems.items()}
        self.genes = tuple(self._genes())

    def _grids(self, stem: Sequence[Conv | Pool]) -> list[Shape]:
        """Shapes on entering each stage (channels count for the first only)."""
        shape = Shape(3, self.file.resolution, self.file.resolution)
        try:
            for step in stem:
                shape = step.output([shape])
            shapes = [shape]
            for _ in self.file.stages[1:]:
                shapes.append(STRIDE_POOL.output([shapes[-1]]))
        except ResolutionError as error:
            raise ResolutionError(
                f"pictures of {self.file.resolution} px are too small for the space {self.file.name!r}: {error}; "
                "choose a larger resolution, or stems with fewer strides"
            ) from None
        return shapes

    # ------------------------------------------------------------------------------------------------------- choices

    def factorisations(
        self, choices: TowerChoices, stage: int, *, reduction: bool = False
    ) -> tuple[Factorisation, ...]:
        """Return those that may stand in a stage (from 0): asymmetric on medium grids, expanded on the last."""
        at = stage - 1 if reduction else stage  # a reduction convolves on the grid before it
        last = stage == len(self.file.stages) - 1 and not reduction
        sides = [shapes[at].height for shapes in self.grids.values()]
        bands = self.thresholds.asymmetric_grids if "asymmetric_factors" not in self.off else (0, math.inf)
        last = last or "local_processing" in self.off
        fine = [f for f in choices.factorisation if all(allowed(f, side, bands, last) for side in sides)]  # type: ignore[arg-type]
        return tuple(fine) or ("none",)

    def chains(self, choices: TowerChoices, stage: int, *, reduction: bool = False) -> Chains:
        """Every chain of kernels that a tower may be, with the first choices that give it."""
        found: Chains = {}
        for factorisation in sorted(self.factorisations(choices, stage, reduction=reduction), key=FACTORISATIONS.index):
            for n in choices.kernel:
                for repeats in choices.repeats:
                    found.setdefault(kernels(n, factorisation, repeats), (n, factorisation, repeats))
        return found

    def long_reduction_chains(self, stage: int) -> Chains:
        """The chains of the long tower of a stage's reduction, without its stride-2 convolution."""
        reduction = self.file.stages[stage].reduction
        return self.chains(reduction.long, stage, reduction=True) if reduction else {}

    def reductions(self, choices: ReductionChoices) -> tuple[str, ...]:
        """Return the kinds that the principles leave."""
        forbidden = set()
        if "parallel_reduction" not in self.off:
            forbidden |= {"convolve_first", "pool_first"}
        if "bottleneck" not in self.off:
            forbidden.add("pool_first")
        return tuple(kind for kind in choices.kind if kind not in forbidden) or ("parallel",)

    def _genes(self) -> list[Gene]:
        found = [Gene("stem", tuple(self.file.stems))]
        for s, stage in enumerate(self.file.stages):
            at = f"stage{s + 1}"
            if stage.reduction is not None:
                found.append(Gene(f"{at}.reduction.kind", self.reductions(stage.reduction)))
                found.append(Gene(f"{at}.reduction.direct", _names(stage.reduction.short.direct)))
                found += self._tower_genes(f"{at}.reduction.long", stage.reduction.long, s, reduction=True)
                found += [
                    Gene(f"{at}.reduction.{place}")
                    for place in ("short.embedding", "short.output", "long.embedding", "long.output")
                ]
            found.append(Gene(f"{at}.depth", tuple(range(stage.depth[0], stage.depth[1] + 1))))
            found.append(Gene(f"{at}.widen", stage.widen))
            for tower, choices in (("short", stage.short), ("long", stage.long)):
                found += self._tower_genes(f"{at}.{tower}", choices, s)
            found.append(Gene(f"{at}.pool.kind", stage.pool.kind))
            for place in (
                "pointwise",
                "short.embedding",
                "short.output",
                "long.embedding",
                "long.output",
                "pool.projection",
            ):
                found += [Gene(f"{at}.{place}.first"), Gene(f"{at}.{place}.last")]
        return [gene for gene in found if len(gene.choices) != 1]

    def _tower_genes(self, at: str, choices: TowerChoices, stage: int, *, reduction: bool = False) -> list[Gene]:
        return [
            Gene(f"{at}.kernel", choices.kernel),
            Gene(f"{at}.factorisation", self.factorisations(choices, stage, reduction=reduction)),
            Gene(f"{at}.repeats", choices.repeats),
        ]

    # ---------------------------------------------------------------------------------------------------------- walk

    def walk(self, pick: Pick) -> Architecture:
        """Ask for every gene, in order, and return the architecture that the answers describe."""
        stem = str(pick.choice("stem", tuple(self.file.stems)))
        plans = [self._plan(pick, s, self.grids[stem][s]) for s in range(len(self.file.stages))]
        stages = WidthWalk(self, self.file.stems[stem], plans).stages(pick)
        aux: tuple[Aux, ...] = ()
        if self.file.aux is not None:
            aux = (Aux(self.file.aux.stage, plans[self.file.aux.stage - 1].depth, self.file.aux.steps),)
        return Architecture(
            name=self.file.name,
            stem=self.file.stems[stem],
            stages=stages,
            aux=aux,
            dropout=self.file.dropout,
            norm_eps=self.file.norm_eps,
            resolution=self.file.resolution,
        )

    def _plan(self, pick: Pick, s: int, shape: Shape) -> StagePlan:
        stage, at = self.file.stages[s], f"stage{s + 1}"
        reduction = None
        if stage.reduction is not None:
            reduction = ReductionChoice(
                kind=str(pick.choice(f"{at}.reduction.kind", self.reductions(stage.reduction))),
                direct=pick.choice(f"{at}.reduction.direct", _names(stage.reduction.short.direct)) == "yes",
                long=self._spatial(pick, f"{at}.reduction.long", stage.reduction.long, s, reduction=True),
                choices=stage.reduction,
            )
        return StagePlan(
            number=s + 1,
            depth=int(pick.choice(f"{at}.depth", tuple(range(stage.depth[0], stage.depth[1] + 1)))),
            widen=str(pick.choice(f"{at}.widen", stage.widen)),
            pool=str(pick.choice(f"{at}.pool.kind", stage.pool.kind)),
            counted=self.file.pools_count_padding,
            short=self._spatial(pick, f"{at}.short", stage.short, s),
            long=self._spatial(pick, f"{at}.long", stage.long, s),
            reduction=reduction,
            choices=stage,
            area=shape.height * shape.width,
        )

    def _spatial(self, pick: Pick, at: str, choices: TowerChoices, s: int, *, reduction: bool = False) -> SpatialChoice:
        n = int(pick.choice(f"{at}.kernel", choices.kernel))
        factorisation = pick.choice(f"{at}.factorisation", self.factorisations(choices, s, reduction=reduction))
        repeats = int(pick.choice(f"{at}.repeats", choices.repeats))
        return SpatialChoice(choices, kernels(n, factorisation, repeats))  # type: ignore[arg-type]


def _names(flags: Sequence[bool]) -> tuple[str, ...]:
    return tuple("yes" if flag else "no" for flag in flags)


# -------------------------------------------------------------------------------------------------------- the way back


def values(space: InceptionSpace, architecture: Architecture, widen: Sequence[str]) -> dict[str, Value]:
    """Read every gene's value off an architecture, given where each stage widens; OutsideSpace if impossible."""
    stems = {steps: name for name, steps in space.file.stems.items()}
    if architecture.stem not in stems:
        raise OutsideSpace(f"stem is not one of {', '.join(space.file.stems)}")
    if len(architecture.stages) != len(space.file.stages):
        raise OutsideSpace(f"there are {len(architecture.stages)} stages: this space has {len(space.file.stages)}")
    found: dict[str, Value] = {"stem": stems[architecture.stem]}
    for s, (stage, choices) in enumerate(zip(architecture.stages, space.file.stages, strict=True)):
        at = f"stage{s + 1}"
        if (choices.reduction is None) != (stage.reduction is None):
            raise OutsideSpace(
                f"{at} has {'no' if stage.reduction is None else 'a'} reduction: this space differs there"
            )
        if choices.reduction is not None and stage.reduction is not None:
            before = _channels(architecture.stages[s - 1].modules[-1])
            known = _reduction_values(stage.reduction, space.long_reduction_chains(s), before, at)
            found |= {f"{at}.reduction.{name}": value for name, value in known.items()}
        found[f"{at}.depth"] = len(stage.modules)
        found[f"{at}.widen"] = widen[s]
        for which, module in (("first", stage.modules[0]), ("last", stage.modules[-1])):
            for name, value in _module_values(module, space, s, f"{at} ({which} module)").items():
                found[f"{at}.{name}.{which}" if isinstance(value, int) and name in _SCHEDULED else f"{at}.{name}"] = (
                    value
                )
    return found


_SCHEDULED = ("pointwise", "short.embedding", "short.output", "long.embedding", "long.output", "pool.projection")


def _module_values(module: Module, space: InceptionSpace, s: int, at: str) -> dict[str, Value]:
    stage = space.file.stages[s]
    match module.towers:
        case (
            (Conv(kernel=(1, 1)) as pointwise,),
            short,
            long,
            (Pool(kernel=(3, 3)) as pool, Conv(kernel=(1, 1)) as projection),
        ):
            return {
                "pointwise": pointwise.width,
                "pool.kind": pool.kind,
                "pool.projection": projection.width,
                **_tower_values(short, space.chains(stage.short, s), "short", at),
                **_tower_values(long, space.chains(stage.long, s), "long", at),
            }
    raise OutsideSpace(f"a module of {at} is not a 1x1, two spatial towers and a 3x3 pool with a 1x1, in this order")


def _tower_values(tower: Tower, chains: Chains, name: str, at: str) -> dict[str, Value]:
    match tower:
        case (Conv(kernel=(1, 1)) as embedding, *rest) if rest and (chain := step_kernels(rest)) in chains:
            n, factorisation, repeats = chains[chain]
            last = rest[-1]
            output = last.branches[0].width if isinstance(last, Split) else cast(Conv, last).width
            return {
                f"{name}.kernel": n,
                f"{name}.factorisation": factorisation,
                f"{name}.repeats": repeats,
                f"{name}.embedding": embedding.width,
                f"{name}.output": output,
            }
    raise OutsideSpace(
        f"the {name} tower of {at} is not a 1x1 and one of the chains of convolutions that this space has there"
    )


def _reduction_values(module: Module, chains: Chains, before: int, at: str) -> dict[str, Value]:
    n, factorisation, repeats = next(iter(chains.values()))
    found: dict[str, Value] = {"direct": "yes", "kind": "parallel"}
    match module.towers:
        case ((Pool(), Conv() as conv),) | ((Conv() as conv, Pool()),):
            found["kind"] = "pool_first" if isinstance(module.towers[0][0], Pool) else "convolve_first"
            unused = {"long.kernel": n, "long.factorisation": factorisation, "long.repeats": repeats}
            return found | unused | {"short.output": conv.width - before}
        case (
            (*embedding, Conv(kernel=(3, 3), stride=2) as short),
            (*long, Conv(kernel=(3, 3), stride=2) as last),
            (Pool(),),
        ):
            found["short.output"] = short.width
            match embedding:
                case [Conv(kernel=(1, 1)) as conv]:
                    found |= {"direct": "no", "short.embedding": conv.width}
            return found | _tower_values(tuple(long), chains, "long", f"{at}.reduction") | {"long.output": last.width}
    raise OutsideSpace(f"{at}.reduction is not two towers that end in a 3x3/2 and a pool, in this order")


def _channels(module: Module) -> int:
    """What a module of this space gives: the widths of its towers' last convolutions."""
    ends = [tower[-1] for tower in module.towers]
    joined = [branch for end in ends for branch in (end.branches if isinstance(end, Split) else (end,))]
    return sum(branch.width for branch in joined if isinstance(branch, Conv))
