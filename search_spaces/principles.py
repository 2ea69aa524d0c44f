"""The four design principles of "Rethinking the Inception Architecture" (arXiv 1512.00567, section 2) as measurements.

Each gives a number, a threshold and the place where it is worst. The paper gives no numbers: the thresholds are this
project's choice, set where Inception-v2, Inception-v3 and BN-Inception pass and the paper's own bad examples (Figure 9
left: pool, then widen; asymmetric factors on early grids) fail. Beside the principles stand the factorisation rules of
sections 3 and 5.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, NoReturn

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, nearest
from search_spaces.facts import MACS, count_of
from search_spaces.layout import Layout, layout_of
from search_spaces.operations import Conv, Pool
from search_spaces.seeds import seed, seed_names

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
        for name, most in (("bottleneck", 1), ("shrink", 1), ("embedding", 1), ("balance", 16)):
            if not 0 < getattr(self, name) <= most:
                self._refuse(name, f"more than 0 to {most} is allowed")
        if not 1 <= self.coarsest <= 8:
            self._refuse("coarsest", "1 to 8 is allowed")
        if not 0 <= self.share[0] < self.share[1] <= 1:
            self._refuse("share", "two shares from 0 to 1 are allowed, least first")
        if not 1 <= self.asymmetric_grids[0] <= self.asymmetric_grids[1]:
            self._refuse("asymmetric_grids", "two sides are allowed, least first")
        if self.reference not in seed_names():
            allowed = f"{', '.join(seed_names())} are allowed{nearest(self.reference, seed_names())}"
            self._refuse("reference", allowed)
        for i, name in enumerate(self.off):
            if name not in NAMES + RULES:
                raise RequestError(
                    f"there is no principle {name!r} to switch off: allowed are {', '.join(NAMES + RULES)}"
                    f"{nearest(name, NAMES + RULES)}",
                    at=("off", i),
                )
            if name in self.off[:i]:
                raise RequestError(f"thresholds.off lists {name} twice: keep it once", at=("off", i))

    def _refuse(self, name: str, allowed: str) -> NoReturn:
        value = getattr(self, name)
        shown = list(value) if isinstance(value, tuple) else value
        raise RequestError(f"thresholds.{name} is {shown!r}: {allowed}", at=(name,))


class Finding(NamedTuple):
    """One measurement, passed if ``value`` is at least (``at_least``) or at most the threshold; ``where``: worst.

    ``words`` with ``figures`` filled in are its ``sentence``, which is made when somebody reads it.
    """

    name: str
    value: float
    threshold: float
    at_least: bool
    where: str
    words: str
    figures: tuple[object, ...] = ()

    @property
    def sentence(self) -> str:
        """What was measured, against what, and what to do if that is a violation."""
        return self.words.format(*self.figures)

    @property
    def passed(self) -> bool:
        """Whether the value is on the right side of the threshold."""
        return self.value >= self.threshold if self.at_least else self.value <= self.threshold

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


class Audit(NamedTuple):
    """The four principles and the factorisation rules, measured; those that are off are measured and do not count."""

    principles: tuple[Finding, ...]
    rules: tuple[Finding, ...]
    off: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        """Every finding that counts and did not pass."""
        return tuple([f for f in (*self.principles, *self.rules) if not f.passed and f.name not in self.off])

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
    return measure(layout_of(architecture, resolution), thresholds or Thresholds())


def measure(layout: Layout, limits: Thresholds) -> Audit:
    """Measure an architecture that is laid out."""
    return Audit(
        principles=(
            bottleneck(layout, limits.bottleneck),
            local_processing(layout, limits.shrink, limits.coarsest),
            embedding(layout, limits.embedding),
            balance(layout, limits),
        ),
        rules=(
            asymmetric_factors(layout, limits.asymmetric_grids),
            nonlinear_factors(layout),
            parallel_reduction(layout),
        ),
        off=limits.off,
    )


# --------------------------------------------------------------------------------------------- 1: no bottlenecks


@dataclass(frozen=True, slots=True)
class Cut:
    """The narrowest place of one segment: ``elements`` pass it, the geometric line asks for ``line`` at this depth.

    ``segment`` is the module, the reduction or the step of a chain in which it lies; ``depth`` runs from 0, the
    picture, to 1, the final representation.
    """

    segment: str
    elements: int
    line: float
    depth: float

    @property
    def ratio(self) -> float:
        """elements / line."""
        return self.elements / self.line

    @property
    def unit(self) -> str:
        """The module, the reduction or ``stem``."""
        return _unit(self.segment)


def cuts(layout: Layout) -> list[Cut]:
    """Return the minimum vertex cut of every segment between single tensors, from the picture to the last grid.

    The capacity of a node is the number of elements of its output. The line runs geometrically from the picture's size
    at depth 0 to the final representation's at depth 1; depth is the share of the convolutions of the longest path
    that lie up to the segment's end.
    """
    start, end, total = layout.picture.elements, layout.shape.elements, max(1, layout.depth)
    found = []
    for place, elements, convolutions in layout.segments:
        depth = convolutions / total
        found.append(Cut(place, elements, start ** (1 - depth) * end**depth, depth))
    return found


def _unit(place: str) -> str:
    parts = place.split(".")
    return "stem" if parts[0] == "stem" else ".".join(parts[:2])


def bottleneck(layout: Layout, least: float) -> Finding:
    """Principle 1: the smallest ratio of a segment's minimum cut to the geometric line."""
    start, end, total = layout.picture.elements, layout.shape.elements, max(1, layout.depth)
    fall = (end / start) ** (1 / total)  # from one convolution to the next
    lowest, worst = math.inf, layout.segments[0]
    for segment in layout.segments:
        height = segment[1] / fall ** segment[2]
        if height < lowest:
            lowest, worst = height, segment
    depth = worst.depth / total
    line = start ** (1 - depth) * end**depth
    ratio, where = worst.elements / line, _unit(worst.place)
    words = (
        "at its narrowest, {0} lets {1:,} elements through; a gentle decrease from input to output would keep {2:,.0f} "
        "there, and at least {3:g} of them are asked for"
    )
    if ratio < least:
        words += ": widen {0}, or reduce the grid by a stride-2 convolution and a pool side by side"
    return Finding("bottleneck", ratio, least, True, where, words, (where, worst.elements, line, least))


# --------------------------------------------------------------------------------- 2: wide where it is processed


def local_processing(layout: Layout, shrink: float, coarsest: float) -> Finding:
    """Principle 2, as the worst of three ratios of what is found to what is required, so that 1 is the threshold.

    Channels do not shrink from one module to the next below ``shrink``; entering the last grid there are ``coarsest``
    times the channels of entering the grid before; expanded filter banks stand on the last grid only (each elsewhere
    counts as 0).
    """
    last = layout.stages[-1][0].stage
    value, worst = math.inf, layout.units[0]
    for unit in layout.units:
        kept = unit.shape.channels / unit.source.channels
        if kept < value:
            value, worst = kept, unit
    value /= shrink
    expanded = [
        unit
        for unit in layout.special
        for tower in unit.special
        if tower.expanded and (unit.stage != last or unit.reduces)  # a reduction convolves on the grid before
    ]
    if expanded:
        value, worst = 0.0, expanded[0]
    if len(layout.stages) > 1:
        firsts = [units[0] for units in layout.stages[-2:]]
        there, here = [(first.shape if first.reduces else first.source).channels for first in firsts]
        if here / there / coarsest < value:
            words = "the last grid starts with {0} channels, the one before with {1}; at least {2:g} times as many "
            words += "are asked for"
            if here < coarsest * there:
                words += ": widen the last reduction to {3}"
            figures: tuple[object, ...] = (here, there, coarsest, math.ceil(coarsest * there))
            return Finding("local_processing", here / there / coarsest, 1.0, True, f"stage{last}", words, figures)
    given, found = worst.source.channels, worst.shape.channels
    words = "{0} takes {1} channels to {2}; at least {3:g} of what enters is asked for"
    if expanded:
        words = (
            "{0} has convolutions of 1xn and nx1 side by side before the last grid: put one after the other, or move "
            "them to the last grid"
        )
    elif value < 1:
        words += ": give it {4} or more"
    figures = (worst.name, given, found, shrink, math.ceil(shrink * given))
    return Finding("local_processing", value, 1.0, True, worst.name, words, figures)


# -------------------------------------------------------------------------------------------------- 3: embeddings


def embedding(layout: Layout, most: float) -> Finding:
    """Principle 3: the widest tensor that a spatial convolution of a module reads, relative to the module's input."""
    value, worst = 0.0, None
    for unit in layout.units:
        ratio = unit.read / unit.source.channels
        if ratio > value and not unit.reduces:
            value, worst = ratio, unit
    if worst is None:
        return Finding("embedding", 0.0, most, False, "", "no module has a spatial convolution")
    kernels = [tower.details.kernel for tower in worst.towers if tower.read == worst.read]
    kernels = kernels or [tower.details.input_kernel for tower in worst.towers if tower.details.input_kernel]
    given = worst.source.channels
    words = "a {0} of {1} reads {2} channels, the module {3}; at most {4:g} of what the module reads is asked for"
    if value > most:
        words += ": put a 1x1 with {5} filters or fewer before it"
    figures = (kernels[0], worst.name, worst.read, given, most, math.floor(most * given))
    return Finding("embedding", value, most, False, worst.name, words, figures)


# ----------------------------------------------------------------------------------------------------- 4: balance


@lru_cache(maxsize=64)
def _reference(name: str) -> tuple[float, int]:
    """Width and depth of the reference, which do not depend on the picture."""
    layout = layout_of(seed(name))
    return _width(layout), layout.depth


def _width(layout: Layout) -> float:
    """The mean over stages of log2(channels at the stage's end)."""
    return math.log2(math.prod([units[-1].shape.channels for units in layout.stages])) / len(layout.stages)


def balance(layout: Layout, limits: Thresholds) -> Finding:
    """Principle 4: |log2(width ratio) - log2(depth ratio)| to the reference, or the share of a stage outside its band.

    Width is the geometric mean of the channels at the ends of the stages, depth the convolutions on the longest path. A
    share (of the multiply-adds up to the final representation) outside the band is measured as the log2 of how far it
    lies outside, beyond the threshold.
    """
    width, depth = _reference(limits.reference)
    wider, deeper = _width(layout) - width, math.log2(max(1, layout.depth) / depth)
    value, worst, worst_share = abs(wider - deeper), 0, 0.0
    (low, high), total = limits.share, layout.macs
    for units in layout.stages:
        macs = count_of(sum([unit.counts for unit in units]), MACS)
        share = max(macs / total, 1e-6) if total else 1e-6  # a stage of pools only; the figure stays finite
        if not low <= share <= high:
            outside = math.log2(low / share) if share < low else math.log2(share / high)
            if limits.balance + outside > value:
                value, worst, worst_share = limits.balance + outside, units[0].stage, share
    if worst:
        words = (
            "{0} has {1:.0%} of the multiply-adds, and {2:.0%} to {3:.0%} is asked for: move modules or width "
            f"{'into' if worst_share < low else 'out of'} it"
        )
        where = f"stage{worst}"
        return Finding("balance", value, limits.balance, False, where, words, (where, worst_share, low, high))
    words = "the network is {0:.2f}x as wide and {1:.2f}x as deep as {2}; at most a factor of {3:g} between them is "
    words += "asked for"
    if value > limits.balance:
        words += ": add modules, or narrow them" if wider > deeper else ": widen the modules, or take some away"
    figures = (2**wider, 2**deeper, limits.reference, 2**limits.balance)
    return Finding("balance", value, limits.balance, False, "network", words, figures)


# ------------------------------------------------------------------------------------------- rules of factorisation


def asymmetric_factors(layout: Layout, grids: tuple[int, int]) -> Finding:
    """Section 3.2: 1xn and nx1 in sequence only on medium grids; the value is the distance of a grid from the band."""
    (low, high), value, worst, found = grids, 0, "", ("", 0)
    for unit in layout.special:
        for tower in unit.special:
            for side, kernel in tower.asymmetric:
                outside = low - side if side < low else side - high
                if outside > value:
                    value, worst, found = outside, unit.name, (kernel, side)
    words = "every n x 1 split stands on a grid from {3} to {4}"
    if worst:
        words = "a {1} of {0} stands on a grid of {2}, and {3} to {4} is asked for: use an n x n there, or stacked 3x3"
    return Finding("asymmetric_factors", float(value), 0.0, False, worst, words, (worst, *found, low, high))


def nonlinear_factors(layout: Layout) -> Finding:
    """Section 3.1: a non-linearity between factors; the value counts convolutions that feed another without one."""
    found: list[str] = []
    for unit in layout.special:
        for tower in unit.special:
            found += [unit.name] * tower.linear
            if tower.ends_linear and len(unit.towers) == 1:
                units = (*layout.stem, *layout.units)
                after = units[units.index(unit) + 1 :][:1]
                found += [unit.name] * any(reader.details.starts_conv for other in after for reader in other.towers)
    words, where = "no convolution feeds another without an activation", found[0] if found else ""
    if found:
        words = "a convolution of {0} feeds another without an activation: drop 'linear' from it"
    return Finding("nonlinear_factors", float(len(found)), 0.0, False, where, words, (where,))


def parallel_reduction(layout: Layout) -> Finding:
    """Section 5: grids are reduced by convolutions and a pool side by side; the value counts those that are not."""
    serial = []
    for unit in layout.units:
        if unit.reduces or unit.shape.height != unit.source.height:
            strided = [tower.details.strided for tower in unit.towers]
            if (unit.reduces or any(strided)) and not ({Conv} in strided and {Pool} in strided):
                serial.append(unit.name)
    words, where = "every grid is reduced in parallel", serial[0] if serial else ""
    if serial:
        words = (
            "{0} is not a convolution of stride 2 and a pool of stride 2 side by side: give it a tower that ends in a "
            "3x3/2 convolution and one of a 3x3/2 pool"
        )
    return Finding("parallel_reduction", float(len(serial)), 0.0, False, where, words, (where,))
