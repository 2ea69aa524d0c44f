"""The discrete choices of an Inception network, made: what stands where, and how wide it may be, before any width.

Plans of modules are made once for every combination of choices and carry the sums over their ranges of widths.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from search_spaces.architecture import Module, Split, Step, Tower
from search_spaces.factorisation import Kernels
from search_spaces.genes import Widths
from search_spaces.operations import Conv, Pool
from search_spaces.space_file import ReductionChoices, StageChoices, TowerChoices

STRIDE_POOL = Pool((3, 3), 2, same=False, kind="max")
STRIDE_POOL_TOWER: Tower = (STRIDE_POOL,)
PLACES = ("long.output", "short.output", "pointwise", "pool.projection")


@dataclass(frozen=True, eq=False)
class SpatialPlan:
    """A tower of a 1x1 embedding and a chain of spatial convolutions."""

    choices: TowerChoices
    chain: Kernels

    @cached_property
    def fan(self) -> int:
        """How often the output's width leaves the tower."""
        return len(self.chain[-1]) if isinstance(self.chain[-1][0], tuple) else 1

    def passes(self, early: bool) -> int:
        """How often the output's width passes the narrowest tensor behind the embedding."""
        return 1 if early and len(self.chain) > 1 else self.fan

    @cached_property
    def early(self) -> "SpatialTowers":
        """Its towers by embedding and output if the first convolution goes to the output's width."""
        return SpatialTowers(self.chain, early=True)

    @cached_property
    def late(self) -> "SpatialTowers":
        """Its towers by embedding and output if the last convolution does."""
        return SpatialTowers(self.chain, early=False)


class SpatialTowers(dict[tuple[int, int], Tower]):
    """The towers of one chain by embedding and output, each made once: searches ask for them again and again."""

    def __init__(self, chain: Kernels, *, early: bool) -> None:
        super().__init__()
        self.chain, self.widens_early = chain, early

    def __missing__(self, widths: tuple[int, int]) -> Tower:
        embedding, output = widths
        steps: list[Step] = [conv((1, 1), embedding)]
        for i, kernel in enumerate(self.chain):
            width = output if self.widens_early or i == len(self.chain) - 1 else embedding
            if isinstance(kernel[0], tuple):
                steps.append(Split(tuple(conv(side, width) for side in kernel)))
            else:
                steps.append(conv(kernel, width))
        found = self[widths] = tuple(steps)
        return found


@lru_cache(maxsize=1 << 16)
def conv(kernel: tuple[int, int], width: int) -> Conv:
    """Return a padded convolution of stride 1; the same object every time."""
    return Conv(kernel, width=width)


class PointwiseTowers(dict[int, Tower]):
    """The towers of a 1x1 after given steps, by its width."""

    def __init__(self, *before: Step) -> None:
        super().__init__()
        self.before = before

    def __missing__(self, width: int) -> Tower:
        found = self[width] = (*self.before, conv((1, 1), width))
        return found


POINTWISE = PointwiseTowers()
pool_towers = lru_cache(maxsize=1024)(PointwiseTowers)


@lru_cache(maxsize=1 << 14)
def reduction_tower(plan: SpatialPlan | None, embedding: int, output: int) -> Tower:
    """Return a tower that ends in a convolution of stride 2, after a spatial tower, a 1x1, or nothing (0 wide)."""
    before = plan.early[embedding, output] if plan else (conv((1, 1), embedding),) * bool(embedding)
    return (*before, Conv((3, 3), 2, False, output))


@dataclass(frozen=True, eq=False)
class ModulePlan:
    """The discrete choices of a module, its pool aside, and the sums over its ranges of widths. Tuples follow PLACES.

    ``early``: towers widen at their first convolution, else at their last. ``passes``: how often each output's width
    passes the narrowest tensor behind the tower's embedding; ``fans``: how often it leaves the module.
    """

    stage: StageChoices
    early: bool
    short: SpatialPlan
    long: SpatialPlan

    @cached_property
    def ranges(self) -> tuple[Widths, Widths, Widths, Widths]:
        """What each output may be."""
        stage = self.stage
        return (self.long.choices.output, self.short.choices.output, stage.pointwise, stage.pool.projection)

    @cached_property
    def fans(self) -> tuple[int, int, int, int]:
        """How often each output's width leaves the module."""
        return (self.long.fan, self.short.fan, 1, 1)

    @cached_property
    def passes(self) -> tuple[int, int, int, int]:
        """How often each output's width passes the narrowest tensor behind its embedding."""
        return (self.long.passes(self.early), self.short.passes(self.early), 1, 1)

    @cached_property
    def output_is_read(self) -> tuple[bool, bool, bool, bool]:
        """Whether a convolution of the same tower reads a tensor as wide as the output."""
        return (self.early and len(self.long.chain) > 1, self.early and len(self.short.chain) > 1, False, False)

    @cached_property
    def places(self) -> tuple[tuple[Widths, int, int, bool], ...]:
        """Of each output: what it may be, how often it leaves the module, how often it passes, whether it is read."""
        return tuple(zip(self.ranges, self.fans, self.passes, self.output_is_read, strict=True))

    @cached_property
    def embeddings(self) -> tuple[Widths, Widths]:
        """What the embeddings of the long and the short tower may be."""
        return self.long.choices.embedding, self.short.choices.embedding

    @cached_property
    def short_towers(self) -> SpatialTowers:
        """Its short towers by embedding and output."""
        return self.short.early if self.early else self.short.late

    @cached_property
    def long_towers(self) -> SpatialTowers:
        """Its long towers by embedding and output."""
        return self.long.early if self.early else self.long.late

    @cached_property
    def reads(self) -> bool:
        """Whether any output is read so."""
        return any(self.output_is_read)

    @cached_property
    def depth(self) -> int:
        """Convolutions on the longest path."""
        return 1 + max(len(self.short.chain), len(self.long.chain))

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The steps of the outputs' ranges."""
        return tuple(widths.step for widths in self.ranges)

    @cached_property
    def lows(self) -> tuple[int, ...]:
        """The narrowest outputs."""
        return tuple(widths.low for widths in self.ranges)

    @cached_property
    def highs(self) -> tuple[int, ...]:
        """The widest outputs."""
        return tuple(widths.high for widths in self.ranges)

    @cached_property
    def totals(self) -> Widths:
        """The channels that the module may give."""
        step = math.gcd(*(fan * step for fan, step in zip(self.fans, self.steps, strict=True)))
        return Widths(self.channels(self.lows), self.channels(self.highs), step)

    @cached_property
    def low(self) -> int:
        """The fewest channels that the module may give."""
        return self.totals.low

    @cached_property
    def high(self) -> int:
        """The most channels that the module may give."""
        return self.totals.high

    def readable_highs(self, readable: float) -> tuple[int, ...]:
        """The widest outputs if those that are read may have up to ``readable`` channels."""
        (long_is_read, short_is_read, *_), (long, short, *others) = self.output_is_read, self.highs
        return (
            self.ranges[0].down(readable) if long_is_read else long,
            self.ranges[1].down(readable) if short_is_read else short,
            *others,
        )

    @cached_property
    def lost(self) -> int:
        """Channels of the narrowest outputs that do not pass the narrowest tensors behind the embeddings."""
        return sum((fan - n) * low for fan, n, low in zip(self.fans, self.passes, self.lows, strict=True))

    @cached_property
    def slack(self) -> int:
        """How far rounding up to the steps of the outputs may overshoot."""
        return max(self.steps) - 1

    @cached_property
    def passing(self) -> int:
        """The most channels that can come through the tensors before the outputs."""
        caps = (self.long.choices.embedding.high, self.short.choices.embedding.high)
        towers = [min(n * high, cap) for n, high, cap in zip(self.passes, self.highs, caps, strict=False)]
        return sum(towers) + self.highs[2] + self.highs[3]

    def passing_within(self, total: float) -> float:
        """The channels that surely come through if the module gives at most ``total``, whatever rounding does."""
        others, towers = self.highs[2] + self.highs[3], self.low - self.lows[2] - self.lows[3]
        most_often = max(fan / n for fan, n in zip(self.fans, self.passes, strict=True))
        extra = max(0.0, (total - others - towers) / most_often)
        return min(self.passing, min(total, others + towers) - self.lost + extra - self.slack)

    def channels(self, outputs: Sequence[int]) -> int:
        """Return the channels of the module's output."""
        fans = self.fans
        return fans[0] * outputs[0] + fans[1] * outputs[1] + outputs[2] + outputs[3]

    def module(self, pool: PointwiseTowers, embeddings: Sequence[int], outputs: Sequence[int]) -> Module:
        """Return the module. ``embeddings``: long, short; ``outputs`` as PLACES."""
        return Module(
            (
                POINTWISE[outputs[2]],
                self.short_towers[embeddings[1], outputs[1]],
                self.long_towers[embeddings[0], outputs[0]],
                pool[outputs[3]],
            )
        )


@dataclass(frozen=True, eq=False)
class ReductionPlan:
    """The discrete choices of a reduction."""

    kind: str
    direct: bool
    long: SpatialPlan
    choices: ReductionChoices

    @cached_property
    def depth(self) -> int:
        """Convolutions on the longest path."""
        return len(self.long.chain) + 2 if self.kind == "parallel" else 1

    @cached_property
    def ranges(self) -> tuple[Widths, ...]:
        """The outputs that join the pool's channels: long, short; a reduction in sequence has the short one only."""
        short, long = self.choices.short.output, self.choices.long.output
        return (long, short) if self.kind == "parallel" else (short,)

    @cached_property
    def low(self) -> int:
        """The fewest channels that join the pool's."""
        return sum(widths.low for widths in self.ranges)

    @cached_property
    def high(self) -> int:
        """The most channels that join the pool's."""
        return sum(widths.high for widths in self.ranges)


class StagePlan(NamedTuple):
    """A stage of so many ``modules``. ``area``: of its grid.

    ``spots`` and ``pools``: of each module, or once for all of them where genes are tied.
    """

    spots: Sequence[ModulePlan]
    pools: Sequence[PointwiseTowers]
    modules: int
    reduction: ReductionPlan | None
    area: int
