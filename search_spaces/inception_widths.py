"""The widths of the tied Inception space: at every place the interval that the principles leave, front to back.

The single tensors of the network (the end of each reduction, of each stage's first and last module) form a chain. Each
has a ``floor``, the fewest channels with which its cut can hold, and a ``ceiling``, the most that the tensors after it
can carry on; both come from following the rest of the chain at its lowest choices, so a later interval is not empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Literal

from search_spaces.architecture import Module, Stage, Tower
from search_spaces.genes import Pick, Widths
from search_spaces.operations import Conv, Pool, Shape

if TYPE_CHECKING:
    from search_spaces.inception import InceptionSpace, SpatialChoice, StagePlan

MOST_CHANNELS = 8192
PLACES = ("long.output", "short.output", "pointwise", "pool.projection")
STRIDE_POOL = Pool((3, 3), 2, same=False, kind="max")


@dataclass
class Tensor:
    """A single tensor of the chain. ``depths``: where its cut is compared with the line; ``add``: the fewest channels
    that a reduction's convolutions join to its pool's; ``lows``: the fewest channels of a module by its ranges;
    ``slack``: what rounding to the steps of the ranges may add."""

    kind: Literal["entry", "first", "last"]
    plan: "StagePlan"
    depths: tuple[float, ...]
    add: int = 0
    lows: int = 0
    slack: int = 0
    capacity: float = inf
    floor: float = 0.0


@dataclass
class Place:
    """A width to be chosen: it counts ``fan`` times, and the whole must reach ``needs`` times it.

    Of its channels, ``passes`` times the width and at most ``cap`` come through the tensors before it.
    """

    name: str
    widths: Widths
    low: float
    high: float
    fan: int = 1
    passes: int = 1
    needs: float = 0.0
    cap: float = inf

    def lost(self, width: int) -> float:
        """Channels of the output that do not count in the cut through the module."""
        return self.fan * width - min(self.passes * width, self.cap)


@dataclass
class Chosen:
    """The widths of one stage, by place; ``source``: channels that enter its first module."""

    source: int
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    reduction: dict[str, int] = field(default_factory=dict)


def share(
    pick: Pick,
    path: str,
    places: Sequence[Place],
    least: float,
    most: float,
    least_with: Callable[[float], float] = lambda lost: 0.0,
) -> dict[str, int]:
    """Choose one width after another so that their sum lies between ``least`` and ``most`` whatever is chosen.

    ``path`` is the gene's name with ``{}`` for the place's. ``least_with`` gives the least sum for the channels that
    the choices so far lose on the way through the module.
    """
    found: dict[str, int] = {}
    total, lost = 0, 0.0
    for i, place in enumerate(places):
        rest = places[i + 1 :]
        rest_high = sum(other.fan * other.widths.down(other.high) for other in rest)
        rest_low = sum(other.fan * other.widths.up(other.low) for other in rest)
        rest_lost = sum(other.lost(other.widths.up(other.low)) for other in rest)
        low = max(place.low, (least - total - rest_high) / place.fan)
        high = min(place.high, (most - total - rest_low) / place.fan)
        while (
            high > low
            and place.lost(widest := place.widths.down(high))
            and least_with(lost + place.lost(widest) + rest_lost) > most
        ):
            high = widest - place.widths.step
        width = found[place.name] = pick.width(path.format(place.name), place.widths, low, high)
        total += place.fan * width
        lost += place.lost(width)
        least = max(least, width * place.needs, least_with(lost) if place.lost(width) else 0.0)
    return found


def smallest(holds: Callable[[int], bool]) -> int:
    """Return the smallest number of channels from 1 for which a monotone condition holds, by bisection."""
    low, high = 1, MOST_CHANNELS
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


class WidthWalk:
    """Asks for all widths of one architecture whose discrete choices (``plans``) are known."""

    def __init__(self, space: "InceptionSpace", stem: Sequence[Conv | Pool], plans: "Sequence[StagePlan]") -> None:
        limits, off = space.thresholds, space.off
        self.shrink = 0.0 if "local_processing" in off else limits.shrink
        self.coarsest = 0.0 if "local_processing" in off else limits.coarsest
        self.embedding = inf if "embedding" in off else limits.embedding
        self.least = 0.0 if "bottleneck" in off else limits.bottleneck
        self.plans = plans
        self.start = 3 * space.file.resolution**2
        self.most = inf  # the largest final representation, in elements, that the cuts so far allow
        self.module_depths: list[list[float]] = []
        self.chain: list[Tensor] = []
        self._lay_chain(stem, space.file.resolution)
        self._set_capacities()
        if self.least:
            for i in reversed(range(len(self.chain))):
                self.chain[i].floor = self._floor(i)

    # ------------------------------------------------------------------------------------------------------ the chain

    def _lay_chain(self, stem: Sequence[Conv | Pool], resolution: int) -> None:
        at = sum(isinstance(step, Conv) for step in stem)
        total = at + sum(plan.reduction_depth + plan.module_depth * plan.depth for plan in self.plans)
        shape, depth = Shape(3, resolution, resolution), 0
        for step in stem:
            after = step.output([shape])
            depth += isinstance(step, Conv)
            if depth:
                self._pass(min(shape.elements, after.elements), depth / total)
            shape = after
        self.stem_channels = shape.channels
        for plan in self.plans:
            at += plan.reduction_depth
            entry = at / total
            depths = [(at + plan.module_depth * (m + 1)) / total for m in range(plan.depth)]
            at += plan.module_depth * plan.depth
            self.module_depths.append(depths)
            if plan.reduction is not None:
                choices = plan.reduction.choices
                add = choices.short.output.low + choices.long.output.low
                self.chain.append(Tensor("entry", plan, (entry, depths[0], depths[-1]), add=add))
            lows = sum(plan.fan(place) * plan.widths(place).low for place in PLACES)
            slack = max(plan.widths(place).step for place in PLACES) - 1
            self.chain.append(Tensor("first", plan, (depths[0], *depths[1:2], depths[-1]), lows=lows, slack=slack))
            self.chain.append(Tensor("last", plan, (depths[-1],), lows=lows))

    def _set_capacities(self) -> None:
        after, following = inf, None
        for plan in reversed(self.plans):
            highs: float = sum(plan.fan(place) * plan.widths(place).high for place in PLACES)
            if following is None and self.least:  # the cut through the last module's embeddings must hold
                highs = min(highs, (plan.choices.short.embedding.high + plan.choices.long.embedding.high) / self.least)
            module = min(highs, after - following.add) if following else highs
            for tensor in self.chain:
                if tensor.plan is plan:
                    tensor.capacity = module
            entry = next((tensor for tensor in self.chain if tensor.plan is plan and tensor.kind == "entry"), None)
            if entry is None:
                return
            entry.capacity = module / self.shrink if self.shrink else inf
            if following is not None and following.plan is self.plans[-1] and self.coarsest > self.shrink:
                joined = following.plan.reduction_highs
                entry.capacity = min(
                    entry.capacity, joined / (self.coarsest - self.shrink), following.capacity / self.coarsest
                )
            after, following = entry.capacity, entry

    def _bound(self, elements: float, depth: float) -> float:
        """The largest final representation with which a cut holds: elements >= least start^(1-t) final^t, solved."""
        return (elements / (self.least * self.start ** (1 - depth))) ** (1 / depth) if self.least else inf

    def _pass(self, elements: float, depth: float) -> None:
        """Take a cut into account."""
        self.most = min(self.most, self._bound(elements, depth))

    def _final_after(self, i: int, channels: float, entered: float) -> float:
        """The fewest elements of the final representation after tensor ``i``; ``entered``: channels into its stage."""
        for tensor in self.chain[i + 1 :]:
            if tensor.kind == "first":
                entered, channels = channels, max(self.shrink * channels, tensor.lows, tensor.floor) + tensor.slack
            elif tensor.kind == "last":
                channels = max(channels, tensor.floor)
            else:
                needed = self.coarsest * entered if tensor.plan is self.plans[-1] else 0.0
                channels = max(channels + tensor.add, needed, tensor.floor)
        return channels * self.plans[-1].area

    def _floor(self, i: int, lost: float = 0.0) -> int:
        """The fewest channels with which the cuts at tensor ``i`` hold for the smallest final representation after it.

        ``lost``: channels of the tensor that its module's embeddings do not pass.
        """
        tensor = self.chain[i]
        # What entered the stage is not known here: at most this many times the tensor's own channels.
        entered = 1 / self.shrink if self.shrink and tensor.kind != "entry" else 1.0

        def holds(channels: int) -> bool:
            bound = min(self._bound(max(channels - lost, 0) * tensor.plan.area, depth) for depth in tensor.depths)
            return bound >= self._final_after(i, channels, channels * entered)

        return smallest(holds)

    def _ceiling(self, i: int, entered: float) -> float:
        """The most channels of tensor ``i`` that the tensors after it can carry on."""
        tensor = self.chain[i]
        if self.most == inf:
            return tensor.capacity
        too_many = smallest(
            lambda channels: self._final_after(i, channels, channels if tensor.kind == "entry" else entered) > self.most
        )
        return min(tensor.capacity, too_many - 1)

    # ------------------------------------------------------------------------------------------------------- the walk

    def stages(self, pick: Pick) -> tuple[Stage, ...]:
        """Ask for every width, outputs first, and return the stages."""
        channels = entered = self.stem_channels
        chosen: list[Chosen] = []
        position = 0
        for s, plan in enumerate(self.plans):
            widths = Chosen(channels)
            if plan.reduction is not None:
                channels = self._pick_reduction(pick, position, widths, channels, entered)
                position += 1
            entered = widths.source = channels
            channels = self._pick_outputs(pick, s, position, widths)
            position += 2
            chosen.append(widths)
        final = channels * self.plans[-1].area
        found = []
        for s, (plan, widths) in enumerate(zip(self.plans, chosen, strict=True)):
            reduction = self._reduction(pick, plan, widths) if plan.reduction else None
            embeddings = self._pick_embeddings(pick, s, widths, final)
            modules = tuple(self._module(plan, widths, embeddings, m) for m in range(plan.depth))
            found.append(Stage(modules, reduction))
        return tuple(found)

    def _pick_reduction(self, pick: Pick, i: int, widths: Chosen, channels: int, entered: int) -> int:
        tensor = self.chain[i]
        reduction = tensor.plan.reduction
        assert reduction is not None
        least = max(tensor.floor, self.coarsest * entered if tensor.plan is self.plans[-1] else 0.0)
        ranges = {"long.output": reduction.choices.long.output, "short.output": reduction.choices.short.output}
        if reduction.kind != "parallel":  # a single convolution: the short tower's
            del ranges["long.output"]
        places = [Place(name, widths_of, widths_of.low, widths_of.high) for name, widths_of in ranges.items()]
        at = f"stage{tensor.plan.number}.reduction.{{}}"
        widths.reduction = share(pick, at, places, least - channels, self._ceiling(i, entered) - channels)
        total = channels + sum(widths.reduction.values())
        for depth in tensor.depths:
            self._pass(total * tensor.plan.area, depth)
        return total

    def _pick_outputs(self, pick: Pick, s: int, i: int, widths: Chosen) -> int:
        plan, first, last = self.plans[s], self.chain[i], self.chain[i + 1]
        at = f"stage{plan.number}.{{}}"
        places = self._output_places(plan, widths.source, shrink=self.shrink or 1.0)
        least = max(first.floor, self.shrink * widths.source)
        ceiling = self._ceiling(i, widths.source)
        widths.first = share(
            pick, at + ".first", places, least, ceiling, lambda lost: self._floor(i, lost) if self.least else 0.0
        )
        total = self._total(plan, widths.first)
        passed = total - sum(place.lost(widths.first[place.name]) for place in places)
        for depth in self.module_depths[s]:
            if depth < 1:
                self._pass(passed * plan.area, depth)
        if plan.depth == 1:
            widths.last = widths.first
            return total
        ceiling = self._ceiling(i + 1, widths.source)
        if last is self.chain[-1]:
            ceiling = min(last.capacity, self.most / plan.area)
        places = self._output_places(plan, min(widths.source, total), bottoms=widths.first)
        widths.last = share(pick, at + ".last", places, max(total, last.floor), ceiling)
        return self._total(plan, widths.last)

    def _output_places(
        self, plan: "StagePlan", source: int, *, shrink: float = 1.0, bottoms: dict[str, int] | None = None
    ) -> list[Place]:
        """The outputs of a module's towers, none narrower than ``bottoms``.

        One that a convolution of its own tower reads is an embedding itself; and none counts more than 1 / least times
        what its embedding can pass, so that the cut through the last module holds.
        """
        found = []
        twice = (
            1 / self.embedding if plan.depth > 1 and bottoms is None else 0.0
        )  # later modules embed the first's output
        for name in PLACES:
            ranges, fan = plan.widths(name), plan.fan(name)
            place = Place(name, ranges, bottoms[name] if bottoms else ranges.low, ranges.high, fan, fan)
            if name.endswith(".output") and self.least:
                tower = plan.tower(name.split(".")[0])
                place.passes = tower.passes(1, plan.widen)
                place.cap = tower.choices.embedding.down(self.embedding * source * (shrink if plan.depth > 1 else 1.0))
                place.high = min(place.high, place.cap / self.least / fan)
            if name in plan.outputs_read:
                place.high, place.needs = min(place.high, self.embedding * source), twice
            found.append(place)
        return found

    @staticmethod
    def _total(plan: "StagePlan", widths: dict[str, int]) -> int:
        return sum(plan.fan(place) * widths[place] for place in PLACES)

    def _pick_embeddings(self, pick: Pick, s: int, widths: Chosen, final: int) -> dict[str, tuple[int, int]]:
        """Choose embeddings within their share of every module's input, and as wide as the cut through it must be."""
        plan = self.plans[s]
        most = self.embedding * min(widths.source, self._total(plan, widths.first) if plan.depth > 1 else inf)
        needs, outputs = [], {"long": [], "short": []}  # type: tuple[list[float], dict[str, list[int]]]
        for m, depth in enumerate(self.module_depths[s]):
            at = {
                place: plan.widths(place).between(widths.first[place], widths.last[place], m, plan.depth)
                for place in PLACES
            }
            line = self.least * self.start ** (1 - depth) * final**depth / plan.area if self.least else 0.0
            needs.append(line - at["pointwise"] - min(at["pool.projection"], widths.source))
            for tower in outputs:
                outputs[tower].append(plan.tower(tower).passes(at[f"{tower}.output"], plan.widen))
        found: dict[str, tuple[int, int]] = {}
        others = [min(plan.choices.short.embedding.down(most), passed) for passed in outputs["short"]]
        for tower in ("long", "short"):
            ranges = plan.tower(tower).choices.embedding
            low = max(need - other for need, other in zip(needs, others, strict=True))
            low = max(low, ranges.low)
            first = pick.width(f"stage{plan.number}.{tower}.embedding.first", ranges, low, most)
            last = first
            if plan.depth > 1:
                last = pick.width(f"stage{plan.number}.{tower}.embedding.last", ranges, low, most)
            found[tower] = (first, last)
            others = [min(ranges.between(first, last, m, plan.depth), outputs[tower][m]) for m in range(plan.depth)]
        return found

    # ---------------------------------------------------------------------------------------------- the architecture

    def _reduction(self, pick: Pick, plan: "StagePlan", widths: Chosen) -> Module:
        reduction = plan.reduction
        assert reduction is not None
        at = f"stage{plan.number}.reduction"
        if reduction.kind != "parallel":
            conv = Conv((1, 1) if reduction.kind == "pool_first" else (3, 3), width=widths.source)
            steps = (STRIDE_POOL, conv) if reduction.kind == "pool_first" else (conv, STRIDE_POOL)
            return Module((steps,))
        long_output, short_output = widths.reduction["long.output"], widths.reduction["short.output"]
        # The grid before has more than four times the places: an embedding of a quarter passes as much as the output.
        ranges = reduction.choices.long.embedding
        embedding = pick.width(f"{at}.long.embedding", ranges, max(ranges.low, long_output / 4), ranges.high)
        long = (*reduction.long.steps(embedding, long_output, "early"), Conv((3, 3), 2, False, long_output))
        short: Tower = (Conv((3, 3), 2, False, short_output),)
        if not reduction.direct:
            ranges = reduction.choices.short.embedding
            embedding = pick.width(f"{at}.short.embedding", ranges, max(ranges.low, short_output / 4), ranges.high)
            short = (Conv((1, 1), width=embedding), *short)
        return Module((short, long, (STRIDE_POOL,)))

    @staticmethod
    def _module(plan: "StagePlan", widths: Chosen, embeddings: dict[str, tuple[int, int]], m: int) -> Module:
        def width(place: str) -> int:
            return plan.widths(place).between(widths.first[place], widths.last[place], m, plan.depth)

        def spatial(tower: "SpatialChoice", name: str) -> Tower:
            embedding = tower.choices.embedding.between(*embeddings[name], m, plan.depth)
            return tower.steps(embedding, width(f"{name}.output"), plan.widen)

        pool = Pool((3, 3), kind="avg" if plan.pool == "avg" else "max", counted=plan.counted or plan.pool == "max")
        return Module(
            (
                (Conv((1, 1), width=width("pointwise")),),
                spatial(plan.short, "short"),
                spatial(plan.long, "long"),
                (pool, Conv((1, 1), width=width("pool.projection"))),
            )
        )
