"""The four design principles of "Rethinking the Inception Architecture" (arXiv 1512.00567, section 2) as measurements.

Each gives a number, a threshold and the place where it is worst. The paper gives no numbers: the thresholds are this
project's choice, set where Inception-v3 and BN-Inception pass and the paper's own bad examples (Figure 9
left: pool, then widen; asymmetric factors on early grids) fail. Beside the principles stand the factorisation rules of
sections 3 and 5.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, nearest
from search_spaces.graph import Graph, Node
from search_spaces.operations import Concat, Conv, Pool, Shape

NAMES = ("bottleneck", "local_processing", "embedding", "balance")
RULES = ("asymmetric_factors", "nonlinear_factors", "parallel_reduction")


@dataclass(frozen=True)
class Thresholds:
    """Where each measurement starts to be a violation; ``off`` names principles that do not count.

    ``bottleneck``: least ratio of a cut to the geometric line. ``shrink``: least channels of a module relative to the
    one before. ``coarsest``: least channels on entering the last grid, relative to entering the grid before it.
    ``embedding``: most channels a spatial convolution reads, relative to its module's input. ``balance``: most
    difference of log2(width) and log2(depth) relative to ``reference``. ``share``: least and most share of the
    multiply-adds for one stage. ``asymmetric_grids``: sides of the grids on which n x 1 splits are allowed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    bottleneck: float = 0.5
    shrink: float = 0.95
    coarsest: float = 1.5
    embedding: float = 0.5
    balance: float = 1.0
    share: tuple[float, float] = (0.05, 0.65)
    asymmetric_grids: tuple[int, int] = (12, 20)
    reference: str = "inception-v3"
    off: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, low, high in (("bottleneck", 0.0, 1.0), ("shrink", 0.0, 1.0), ("embedding", 0.0, 1.0)):
            if not low < getattr(self, name) <= high:
                raise RequestError(
                    f"thresholds.{name} is {getattr(self, name):g}: more than {low:g} to {high:g} is allowed"
                )
        if not (1 <= self.coarsest <= 8 and 0 < self.balance <= 16):
            raise RequestError(
                f"thresholds.coarsest is {self.coarsest:g} and balance {self.balance:g}: 1 to 8 and more than 0 to 16 "
                "are allowed"
            )
        if not 0 <= self.share[0] < self.share[1] <= 1:
            raise RequestError(
                f"thresholds.share is {list(self.share)}: two shares from 0 to 1 are allowed, least first"
            )
        if not 1 <= self.asymmetric_grids[0] <= self.asymmetric_grids[1]:
            raise RequestError(
                f"thresholds.asymmetric_grids is {list(self.asymmetric_grids)}: two sides are allowed, least first"
            )
        for name in self.off:
            if name not in NAMES + RULES:
                raise RequestError(
                    f"there is no principle {name!r} to switch off: allowed are {', '.join(NAMES + RULES)}"
                    f"{nearest(name, NAMES + RULES)}"
                )


@dataclass(frozen=True)
class Finding:
    """One measurement, passed if ``value`` is at least (``at_least``) or at most the threshold; ``where``: worst."""

    name: str
    value: float
    threshold: float
    at_least: bool
    where: str
    sentence: str
    passed: bool = field(init=False)

    def __post_init__(self) -> None:
        within = self.value >= self.threshold if self.at_least else self.value <= self.threshold
        object.__setattr__(self, "passed", within)

    @property
    def violation(self) -> float:
        """How far beyond the threshold, in the measurement's own unit; 0 if passed."""
        return 0.0 if self.passed else abs(self.value - self.threshold)

    def as_data(self) -> dict[str, Any]:
        """Return the fields that programs read."""
        return {
            "name": self.name,
            "value": self.value,
            "threshold": self.threshold,
            "passed": self.passed,
            "where": self.where,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Audit:
    """The four principles and the factorisation rules, measured; those that are off are measured and do not count."""

    principles: tuple[Finding, ...]
    rules: tuple[Finding, ...]
    off: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        """Every finding that counts and did not pass."""
        return tuple(f for f in (*self.principles, *self.rules) if not f.passed and f.name not in self.off)

    @property
    def passed(self) -> bool:
        """Whether nothing that counts is violated."""
        return not self.violations

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "passed": self.passed,
            "principles": [finding.as_data() for finding in self.principles],
            "rules": [finding.as_data() for finding in self.rules],
            "off": list(self.off),
        }


def audit(
    architecture: Architecture, resolution: int | tuple[int, int] | None = None, thresholds: Thresholds | None = None
) -> Audit:
    """Measure an architecture at ``resolution`` (pixels; its own by default); ResolutionError if that is too small."""
    limits = thresholds or Thresholds()
    graph = architecture.graph(resolution)
    return Audit(
        principles=(
            bottleneck(graph, limits.bottleneck),
            local_processing(graph, limits.shrink, limits.coarsest),
            embedding(graph, limits.embedding),
            balance(graph, limits),
        ),
        rules=(asymmetric_factors(graph, limits.asymmetric_grids), nonlinear_factors(graph), parallel_reduction(graph)),
        off=limits.off,
    )


# --------------------------------------------------------------------------------------------- 1: no bottlenecks


def dominators(graph: Graph) -> dict[str, str | None]:
    """For every node, the last node that all paths from the input to it share (None for the input)."""
    found: dict[str, str | None] = {}
    level: dict[str, int] = {}
    for node in graph:
        at = node.inputs[0] if node.inputs else None
        for other in node.inputs[1:]:
            while at is not None and at != other:
                if level[at] >= level[other]:
                    at = found[at]
                else:
                    other = found[other] or other
        found[node.name] = at
        level[node.name] = level[at] + 1 if at is not None else 0
    return found


@dataclass(frozen=True)
class Cut:
    """The narrowest place of one segment: ``elements`` pass it, the geometric line asks for ``line`` at this depth."""

    segment: str
    elements: int
    line: float
    depth: float

    @property
    def ratio(self) -> float:
        """elements / line."""
        return self.elements / self.line


def cuts(graph: Graph) -> list[Cut]:
    """Return the minimum vertex cut of every segment between single-tensor cuts, from the input to the last grid.

    The capacity of a node is the number of elements of its output. The line runs geometrically from the input's size
    at depth 0 to the final representation's at depth 1; depth is the share of the convolutions of the longest path
    that lie up to the segment's end. Towers share no nodes except at dominators, so the minimum cut of a segment is a
    sum over towers of minima along them.
    """
    idom = dominators(graph)
    last = graph["head.pool"].inputs[0]
    chain = [last]
    while (before := idom[chain[-1]]) is not None:
        chain.append(before)
    chain.reverse()

    def flow(name: str, source: str) -> float:
        if name == source:
            return math.inf
        node, gate = graph[name], idom[name]
        assert gate is not None
        inner = sum(flow(parent, gate) for parent in node.inputs) if len(node.inputs) > 1 else math.inf
        return min(node.shape.elements, inner, flow(gate, source))

    start, end = graph[chain[0]].shape.elements, graph[last].shape.elements
    found = []
    for source, target in pairwise(chain):
        depth = graph.depth[target] / max(1, graph.depth[last])
        elements = int(min(graph[source].shape.elements, flow(target, source)))
        found.append(Cut(target, elements, start ** (1 - depth) * end**depth, depth))
    return found


def bottleneck(graph: Graph, least: float) -> Finding:
    """Principle 1: the smallest ratio of a segment's minimum cut to the geometric line."""
    worst = min(cuts(graph), key=lambda cut: cut.ratio)
    unit = graph[worst.segment].unit
    sentence = (
        f"{worst.elements:,} elements pass {unit}, {worst.ratio:.2f} of the {worst.line:,.0f} that a gentle decrease "
        f"from input to output would keep there (at least {least:g})"
    )
    return Finding("bottleneck", worst.ratio, least, True, unit, sentence)


# --------------------------------------------------------------------------------- 2: wide where it is processed


@dataclass(frozen=True)
class Unit:
    """A module or reduction as the measurements see it."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def source(self) -> Shape:
        """What the unit reads."""
        return self.nodes[0].input_shapes[0]

    @property
    def shape(self) -> Shape:
        """What the unit gives."""
        return self.nodes[-1].shape

    @property
    def stage(self) -> int:
        """Number of the stage, from 1."""
        return int(self.name.split(".")[0].removeprefix("stage"))

    @property
    def reduces(self) -> bool:
        """Whether this is the reduction that leads to the stage's grid."""
        return self.name.endswith(".reduction")


def units(graph: Graph) -> list[Unit]:
    """All modules and reductions in order."""
    nodes: dict[str, list[Node]] = {}
    for node in graph:
        if node.unit.startswith("stage"):
            nodes.setdefault(node.unit, []).append(node)
    return [Unit(name, tuple(members)) for name, members in nodes.items()]


def local_processing(graph: Graph, shrink: float, coarsest: float) -> Finding:
    """Principle 2, as the worst of three ratios of what is found to what is required, so that 1 is the threshold.

    Channels do not shrink from one module to the next below ``shrink``; entering the last grid there are ``coarsest``
    times the channels of entering the grid before; expanded filter banks stand on the last grid only (each elsewhere
    counts as 0).
    """
    all_units = units(graph)
    found = [
        (
            unit.shape.channels / unit.source.channels / shrink,
            unit.name,
            f"{unit.name} takes {unit.source.channels} channels to {unit.shape.channels} "
            f"(at least {shrink:g} of what enters)",
        )
        for unit in all_units
    ]
    entries = {unit.stage: unit.shape if unit.reduces else unit.source for unit in reversed(all_units)}
    if len(entries) > 1:
        last, before = max(entries), sorted(entries)[-2]
        here, there = entries[last].channels, entries[before].channels
        sentence = (
            f"the last grid is entered with {here} channels, the one before with {there} (at least {coarsest:g} times)"
        )
        found.append((here / there / coarsest, f"stage{last}", sentence))
    found += [
        (0.0, unit.name, f"{unit.name} has an expanded filter bank before the last grid")
        for unit in all_units
        if unit.stage != max(entries) and any(".branch" in node.name for node in unit.nodes)
    ]
    value, where, sentence = min(found, key=lambda entry: entry[0])
    return Finding("local_processing", value, 1.0, True, where, sentence)


# -------------------------------------------------------------------------------------------------- 3: embeddings


def embedding(graph: Graph, most: float) -> Finding:
    """Principle 3: the widest tensor that a spatial convolution of a module reads, relative to the module's input."""
    worst = (0.0, "", "no module has a spatial convolution")
    for unit in units(graph):
        if unit.reduces:
            continue
        for node in unit.nodes:
            if isinstance(node.operation, Conv) and node.operation.spatial:
                read, source = node.input_shapes[0].channels, unit.source.channels
                if read / source > worst[0]:
                    kernel = node.operation.window_text
                    sentence = (
                        f"a {kernel} of {unit.name} reads {read} of the module's {source} channels (at most {most:g})"
                    )
                    worst = (read / source, unit.name, sentence)
    return Finding("embedding", worst[0], most, False, worst[1], worst[2])


# ----------------------------------------------------------------------------------------------------- 4: balance


@lru_cache(maxsize=64)
def _reference(name: str) -> tuple[float, int]:
    """Width and depth of the reference, which do not depend on the picture."""
    from search_spaces.seeds import seed

    graph = seed(name).graph()
    return _width(graph), graph.depth[graph["head.pool"].inputs[0]]


def _width(graph: Graph) -> float:
    """The mean over stages of log2(channels at the stage's end)."""
    ends = {unit.stage: math.log2(unit.shape.channels) for unit in units(graph)}
    return sum(ends.values()) / len(ends)


def balance(graph: Graph, limits: Thresholds) -> Finding:
    """Principle 4: |log2(width ratio) - log2(depth ratio)| to the reference, or the share of a stage outside its band.

    Width is the geometric mean of the channels at the ends of the stages, depth the convolutions on the longest path. A
    share outside the band is measured as the log2 of how far it lies outside, beyond the threshold.
    """
    width, depth = _reference(limits.reference)
    own_depth = max(1, graph.depth[graph["head.pool"].inputs[0]])
    wider, deeper = _width(graph) - width, math.log2(own_depth / depth)
    found = [
        (
            abs(wider - deeper),
            "network",
            f"{2**wider:.2f}x as wide and {2**deeper:.2f}x as deep as {limits.reference} "
            f"(at most {limits.balance:g} apart in powers of two)",
        )
    ]
    low, high = limits.share
    total = sum(node.macs for node in graph)
    shares: dict[str, int] = {}
    for unit in units(graph):
        stage = f"stage{unit.stage}"
        shares[stage] = shares.get(stage, 0) + sum(node.macs for node in unit.nodes)
    for stage, macs in shares.items():
        share = max(macs / total, 1e-6) if total else 1e-6  # a stage of pools only; the figure stays finite
        outside = max(math.log2(low / share) if low else -math.inf, math.log2(share / high))
        if outside > 0:
            sentence = f"{stage} has {share:.0%} of the multiply-adds ({low:.0%} to {high:.0%} allowed)"
            found.append((limits.balance + outside, stage, sentence))
    value, where, sentence = max(found, key=lambda entry: entry[0])
    return Finding("balance", value, limits.balance, False, where, sentence)


# ------------------------------------------------------------------------------------------- rules of factorisation


def asymmetric_factors(graph: Graph, grids: tuple[int, int]) -> Finding:
    """Section 3.2: 1xn and nx1 in sequence only on medium grids; the value is the distance of a grid from the band."""
    worst = (0.0, "", f"every n x 1 split stands on a grid from {grids[0]} to {grids[1]}")
    for unit in units(graph):
        for node in unit.nodes:
            if isinstance(node.operation, Conv) and len(set(node.operation.kernel)) == 2 and ".branch" not in node.name:
                for side in node.input_shapes[0][1:]:
                    outside = max(grids[0] - side, side - grids[1], 0)
                    if outside > worst[0]:
                        kernel = node.operation.window_text
                        sentence = (
                            f"a {kernel} of {unit.name} stands on a grid of {side} ({grids[0]} to {grids[1]} allowed)"
                        )
                        worst = (float(outside), unit.name, sentence)
    return Finding("asymmetric_factors", worst[0], 0.0, False, worst[1], worst[2])


def nonlinear_factors(graph: Graph) -> Finding:
    """Section 3.1: a non-linearity between factors; the value counts convolutions that feed another without one."""
    linear = [
        node
        for node in graph
        if isinstance(node.operation, Conv)
        and not node.operation.activation
        and any(isinstance(graph[reader].operation, Conv) for reader in graph.readers[node.name])
    ]
    where = linear[0].unit if linear else ""
    sentence = (
        f"{linear[0].name} feeds a convolution without an activation"
        if linear
        else "every factor is followed by a ReLU"
    )
    return Finding("nonlinear_factors", float(len(linear)), 0.0, False, where, sentence)


def parallel_reduction(graph: Graph) -> Finding:
    """Section 5: grids are reduced by convolutions and a pool side by side; the value counts those that are not."""
    serial = []
    for unit in units(graph):
        if unit.reduces:
            ends = unit.nodes[-1]
            joined = [graph[name].operation for name in ends.inputs] if isinstance(ends.operation, Concat) else []
            kinds = {type(operation) for operation in joined}
            if not {Conv, Pool} <= kinds:
                serial.append(unit.name)
    sentence = (
        f"{serial[0]} is not a stride-2 convolution and a pool side by side"
        if serial
        else "every grid is reduced in parallel"
    )
    return Finding("parallel_reduction", float(len(serial)), 0.0, False, serial[0] if serial else "", sentence)
