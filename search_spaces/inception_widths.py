"""The widths of an Inception network: at every place the interval that the principles leave, front to back.

The first width that is chosen is the ``final`` one: the most channels that the network may end with. It fixes the line
of principle 1 (least ratio x geometric line from the picture to the final representation), and with it, place by place:

- a floor: the fewest channels with which the cut there reaches the line, and the principles' share of what came before;
- a ceiling: the most channels that the rest of the network, at its lowest, can carry on without exceeding ``final``.

Of the final widths, those count as allowed for which the floors of the whole network stay under its ceilings.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from search_spaces.architecture import Module, Stage
from search_spaces.genes import Pick, schedule
from search_spaces.inception_plans import STRIDE_POOL, STRIDE_POOL_TOWER, ModulePlan, StagePlan, reduction_tower
from search_spaces.operations import Conv
from search_spaces.principles import Thresholds


@dataclass(frozen=True)
class Names:
    """The names of one stage's width genes, for every module where widths are chosen.

    ``outputs`` as PLACES; ``embeddings``: long, short; ``reduction``: outputs of long and short, embeddings of both.
    """

    outputs: Sequence[Sequence[str]]
    embeddings: Sequence[Sequence[str]]
    reduction: Sequence[str]


@dataclass(frozen=True)
class Limits:
    """What the principles demand of widths; a principle that is off demands nothing."""

    shrink: float
    coarsest: float
    embedding: float
    least: float

    @classmethod
    def of(cls, thresholds: Thresholds) -> "Limits":
        """Read them off a space's thresholds."""
        off = thresholds.off
        wide = "local_processing" not in off
        return cls(
            shrink=thresholds.shrink if wide else 0.0,
            coarsest=thresholds.coarsest if wide else 0.0,
            embedding=inf if "embedding" in off else thresholds.embedding,
            least=0.0 if "bottleneck" in off else thresholds.bottleneck,
        )


@dataclass(frozen=True)
class StemPlan:
    """A stem: its channels, its convolutions, the picture's elements, and the largest final representation.

    Its narrowest tensor, ``e`` elements after ``c`` of ``n`` convolutions, allows a final representation of at most
    ``picture * exp(n * slope)`` elements; ``slope`` is the least of log(e / (least * picture)) / c.
    """

    channels: int
    depth: int
    picture: int
    slope: float


class WidthWalk:
    """Asks for all widths of one architecture whose discrete choices (``plans``) are known.

    Widths are chosen at every module; where genes are tied at a stage's first and last one, which share their floor and
    their ceiling. Lists of floors and ceilings hold, for every stage, its entry and its spots. On the way of every draw
    comparisons stand for min and max, which take three times as long.
    """

    def __init__(
        self, limits: Limits, tied: bool, stem: StemPlan, plans: Sequence[StagePlan], names: Sequence[Names]
    ) -> None:
        self.limits, self.tied, self.stem, self.plans, self.names = limits, tied, stem, plans, names
        self.depths: list[list[int]] = []  # convolutions up to the entry of a stage, and to the end of each module
        at = stem.depth
        for plan in plans:
            if plan.reduction is not None:
                at += plan.reduction.depth
            depths = [at]
            if tied:  # of modules that are all the same the first and the last suffice
                depths += [at + plan.spots[0].depth, at + plan.spots[0].depth * plan.modules]
            else:
                for module in plan.spots:
                    depths.append(depths[-1] + module.depth)
            at = depths[-1]
            self.depths.append(depths)
        self.total = at

    def stages(self, pick: Pick) -> tuple[Stage, ...]:
        """Ask for every width, outputs first, and return the stages."""
        final, needs = self._pick_final(pick)
        ceilings = self._ceilings(final)
        channels = self.stem.channels
        entered = 0
        chosen = []
        for s, plan in enumerate(self.plans):
            joined: list[int] = []
            if plan.reduction is not None:
                joined = self._pick_reduction(pick, s, channels, entered, needs[s][0], ceilings[s][0])
                channels += sum(joined)
            entered = channels
            sources, outputs = self._pick_outputs(pick, s, channels, needs, ceilings[s])
            channels = plan.spots[-1].channels(outputs[-1])
            chosen.append((joined, sources, outputs))
        found = []
        for s, (joined, sources, outputs) in enumerate(chosen):
            reduction = self._reduction(pick, s, joined, sources[0]) if joined else None
            found.append(Stage(self._modules(pick, s, sources, outputs, needs[s]), reduction))
        return tuple(found)

    # ------------------------------------------------------------------------------------------------ the final width

    def _pick_final(self, pick: Pick) -> tuple[int, list[list[float]]]:
        """Choose the most channels to end with, and return with them what the line to them needs.

        More than the ranges of widths can follow is cut off; less than what follows from its own line is raised to it.
        """
        widths = self.plans[-1].spots[-1].totals
        highest = inf
        if self.limits.least:
            slope, scale = self.stem.slope, 1 / (self.limits.least * self.stem.picture)
            ceilings: list[list[float]] = []
            for s, (plan, depths) in enumerate(zip(self.plans, self.depths, strict=True)):
                for m, (module, depth) in enumerate(zip(plan.spots, depths[1:], strict=False), 1):
                    if module.lost and not ceilings:
                        ceilings = self._ceilings(inf)
                    passing = module.passing_within(ceilings[s][m]) if module.lost else module.passing
                    height = math.log(passing * plan.area * scale)
                    for at in (depth, depths[2]) if self.tied else (depth,):
                        if height / at < slope:
                            slope = height / at
            highest = self.stem.picture * math.exp(self.total * slope) / self.plans[-1].area
        final = pick.width("final", widths, widths.low, highest)
        while True:
            needs = self._needs(final)
            follows = self._least_final(needs)
            if follows <= final or final == widths.high:
                return final, needs
            final = widths.up(follows)

    def _least_final(self, floors: list[list[float]]) -> float:
        """The fewest channels to end with if every width is the lowest that the floors allow."""
        shrink, last = self.limits.shrink, self.plans[-1]
        channels: float = self.stem.channels
        entered = 0.0
        for plan, needs in zip(self.plans, floors, strict=True):
            if plan.reduction is not None:
                channels += plan.reduction.low
                if plan is last:
                    channels = max(channels, self.limits.coarsest * entered)
                channels = max(channels, needs[0])
            entered = channels
            for module, need in zip(plan.spots, needs[1:], strict=True):
                least = need + module.lost if need else module.low
                channels = max(shrink * channels, module.low, least) + module.slack
        return channels

    def _needs(self, final: float) -> list[list[float]]:
        """The fewest channels of each entry, and of the cut through the module at each spot; zeros if that is off.

        Where genes are tied, one holds for the whole stage: no tower narrows along it.
        """
        least, picture = self.limits.least, self.stem.picture
        if not least:
            return [[0.0] * (1 + len(plan.spots)) for plan in self.plans]
        fall = (final * self.plans[-1].area / picture) ** (1 / self.total)
        found = []
        for plan, depths in zip(self.plans, self.depths, strict=True):
            scale = least * picture / plan.area
            lines = [scale * fall**depth for depth in depths]
            if fall > 1:  # what a module reads is part of the cut through it
                lines = [*lines[1:], lines[-1]]
            found.append(lines[:2] if self.tied else lines)
        return found

    def _ceilings(self, final: float) -> list[list[float]]:
        """The most channels of each entry, and of the module at each spot."""
        shrink, coarsest, last = self.limits.shrink, self.limits.coarsest, self.plans[-1]
        found: list[list[float]] = []
        most: float = final
        for plan in reversed(self.plans):
            ceilings: list[float] = []
            for module in reversed(plan.spots):
                if ceilings:
                    most = (most - module.slack) / shrink if shrink else inf
                if most > module.high:
                    most = module.high
                ceilings.append(most)
            most = (most - plan.spots[0].slack) / shrink if shrink else inf
            if len(found) == 1 and coarsest and last.reduction is not None:
                most = min(most, found[0][0] / coarsest)
                if coarsest > shrink:
                    most = min(most, last.reduction.high / (coarsest - shrink))
            ceilings.append(most)
            found.append(ceilings[::-1])
            if plan.reduction is not None:
                most -= plan.reduction.low
        return found[::-1]

    # --------------------------------------------------------------------------------------------------- the outputs

    def _pick_reduction(
        self, pick: Pick, s: int, channels: int, entered: int, need: float, ceiling: float
    ) -> list[int]:
        """Choose what a reduction's convolutions join to its pool's channels."""
        reduction = self.plans[s].reduction
        assert reduction is not None
        least = max(need, self.limits.coarsest * entered if s == len(self.plans) - 1 else 0.0) - channels
        most = ceiling - channels
        ranges, names = reduction.ranges, self.names[s].reduction
        if len(ranges) == 1:
            return [pick.width(names[1], ranges[0], least, most)]
        long, short = ranges
        first = pick.width(names[0], long, least - short.high, most - short.low)
        return [first, pick.width(names[1], short, least - first, most - first)]

    def _pick_outputs(
        self, pick: Pick, s: int, source: int, needs: list[list[float]], ceilings: list[float]
    ) -> tuple[list[int], Sequence[Sequence[int]]]:
        """Choose the outputs of a stage's modules; return what each spot reads, and each module's outputs as PLACES."""
        plans, names, limits = self.plans[s].spots, self.names[s].outputs, self.limits
        after, need, count = self._least_after(s, source, needs), needs[s], self.plans[s].modules
        if not self.tied:
            sources, outputs = [source], list[Sequence[int]]()
            for m, plan in enumerate(plans, 1):
                channels = sources[-1]
                least = max(limits.shrink * channels, after if m == len(plans) else 0.0)
                most = limits.embedding * channels
                outputs.append(_share(pick, names[m - 1], plan, least, ceilings[m], need[m], most, most))
                sources.append(plan.channels(outputs[-1]))
            return sources[:-1], outputs
        plan = plans[0]
        most = limits.embedding * source
        if count == 1:
            after = max(limits.shrink * source, after)
            return [source], [_share(pick, names[0], plan, after, ceilings[1], need[1], most, most)]
        # Later modules embed what the first one gives: at least this share of what enters, and twice what they read.
        narrowest, grow = most * min(1.0, limits.shrink or 1.0), 1 / limits.embedding
        first = _share(pick, names[0], plan, limits.shrink * source, ceilings[1], need[1], narrowest, most, grow)
        total = plan.channels(first)
        most = limits.embedding * min(source, total)
        last = _share(pick, names[1], plan, max(total, after), ceilings[-1], 0.0, most, most, 0.0, first)
        along = list(zip(*map(schedule, first, last, plan.steps, (count,) * 4), strict=True))
        return [source, total], along

    def _least_after(self, s: int, entered: int, needs: list[list[float]]) -> float:
        """The fewest channels at the end of a stage with which the reduction after it can reach what it must."""
        if s + 1 == len(self.plans):
            return 0.0
        reduction = self.plans[s + 1].reduction
        joined = reduction.high if reduction else 0
        wanted = needs[s + 1][0]
        if s + 2 == len(self.plans):
            wanted = max(wanted, self.limits.coarsest * entered)
        return wanted - joined

    # ------------------------------------------------------------------------------------------------ the embeddings

    def _modules(
        self, pick: Pick, s: int, sources: list[int], outputs: Sequence[Sequence[int]], needs: list[float]
    ) -> tuple[Module, ...]:
        """Choose embeddings: at most their share of the module's input, and as wide as the cut through it must be."""
        plans, names, most = self.plans[s].spots, self.names[s].embeddings, self.limits.embedding
        if not self.tied:
            found = []
            spots = zip(plans, self.plans[s].pools, outputs, sources, needs[1:], names, strict=False)
            for plan, pool, chosen, source, need, own in spots:
                long, short = _embed(pick, (own,), plan, chosen, need, most * source, source)
                found.append(plan.module(pool, (long[0], short[0]), chosen))
            return tuple(found)
        # The cut through the first module asks for most: no output narrows along the stage.
        plan, count = plans[0], self.plans[s].modules
        long, short = _embed(pick, names[:count], plan, outputs[0], needs[1], most * min(sources[:2]), sources[0])
        along = zip(
            schedule(long[0], long[-1], plan.long.choices.embedding.step, count),
            schedule(short[0], short[-1], plan.short.choices.embedding.step, count),
            strict=True,
        )
        pool = self.plans[s].pools[0]
        return tuple([plan.module(pool, embeddings, chosen) for embeddings, chosen in zip(along, outputs, strict=True)])

    def _reduction(self, pick: Pick, s: int, joined: list[int], channels: int) -> Module:
        """Choose the embeddings of a reduction that gives ``channels``, and make it."""
        reduction, names = self.plans[s].reduction, self.names[s].reduction
        assert reduction is not None
        if reduction.kind == "pool_first":
            return Module(((STRIDE_POOL, Conv((1, 1), width=channels)),))
        if reduction.kind == "convolve_first":
            return Module(((Conv((3, 3), width=channels), STRIDE_POOL),))
        # The grid before has more than four times the places: an embedding of a quarter passes as much as the output.
        long, short = joined
        embedding = pick.width(names[2], reduction.long.choices.embedding, long / 4, inf)
        long_tower = reduction_tower(reduction.long, embedding, long)
        embedding = 0
        if not reduction.direct:
            embedding = pick.width(names[3], reduction.choices.short.embedding, short / 4, inf)
        short_tower = reduction_tower(None, embedding, short)
        return Module((short_tower, long_tower, STRIDE_POOL_TOWER))


def _share(
    pick: Pick,
    names: Sequence[str],
    plan: ModulePlan,
    least: float,
    most: float,
    need: float,
    embeddable: float,
    readable: float,
    grow: float = 0.0,
    bottoms: Sequence[int] | None = None,
) -> list[int]:
    """Choose a module's outputs, one after another, so that their sum lies from ``least`` to ``most`` in any case.

    ``need`` channels must come through the module: of an output no more counts than its embedding, ``embeddable`` at
    most, can pass on. An output that a convolution of its own tower reads is at most ``readable``, and the sum at least
    ``grow`` times it. ``bottoms`` are lower bounds of the outputs.
    """
    lows: Sequence[int] = plan.lows
    highs, rest_low, rest_high = plan.highs, plan.low, plan.high
    if bottoms is not None:
        lows, rest_low = bottoms, plan.channels(bottoms)
    if plan.reads:
        highs = plan.readable_highs(readable)
        rest_high = plan.channels(highs)
    caps, lost, missing = (0, 0, 0, 0), 0, need
    if need:
        long, short = plan.embeddings[0].down(embeddable), plan.embeddings[1].down(embeddable)
        through = min(plan.passes[0] * highs[0], long) + min(plan.passes[1] * highs[1], short) + highs[2] + highs[3]
        if need + rest_high - through > least:  # else enough comes through whatever is chosen
            caps = (long, short, 0, 0)
            missing -= through
            for i in (0, 1):
                lost += plan.fans[i] * lows[i] - min(plan.passes[i] * lows[i], caps[i])
            least = max(least, need + lost)
    chosen, total = [], 0
    for name, (widths, fan, passes, is_read), bottom, top, cap in zip(
        names, plan.places, lows, highs, caps, strict=True
    ):
        rest_low -= fan * bottom
        rest_high -= fan * top
        low, high = (least - total - rest_high) / fan, (most - total - rest_low) / fan
        if low < bottom:
            low = bottom
        if high > top:
            high = top
        if cap:  # what the output must pass on, and what it may lose
            missing += min(passes * top, cap)
            lost -= fan * bottom - min(passes * bottom, cap)
            spare = most - need - lost - plan.slack
            low = max(low, min(missing, cap) / passes)
            high = min(high, (spare + cap) / fan)
            if passes < fan:
                high = min(high, spare / (fan - passes))
        width = pick.width(name, widths, low, high)
        chosen.append(width)
        total += fan * width
        if cap:
            passed = min(passes * width, cap)
            missing -= passed
            lost += fan * width - passed
            least = max(least, need + lost)
        if is_read and grow:
            least = max(least, width * grow)
    return chosen


def _embed(
    pick: Pick,
    names: Sequence[Sequence[str]],
    plan: ModulePlan,
    outputs: Sequence[int],
    need: float,
    most: float,
    source: int,
) -> tuple[list[int], list[int]]:
    """Choose the embeddings of the long and the short tower, one for each entry of ``names``, up to ``most``."""
    need -= outputs[2] + (outputs[3] if outputs[3] < source else source)
    (long_range, short_range), (long_passes, short_passes, *_) = plan.embeddings, plan.passes
    least = 0.0
    if need > long_range.low:  # else enough comes through whatever is chosen
        least = need - min(short_range.down(most), short_passes * outputs[1])
    long = [pick.width(own[0], long_range, least, most) for own in names]
    least = 0.0
    if need > short_range.low:
        least = need - min(*long, long_passes * outputs[0])
    return long, [pick.width(own[1], short_range, least, most) for own in names]
