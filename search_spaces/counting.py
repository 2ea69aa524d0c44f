"""How many distinct architectures a space holds: counted where they are few, else estimated.

The choices of a space form a tree. Several of its leaves lead to the same architecture, ``copies`` of them; the number
of architectures is the sum over the leaves of 1 / copies.

Few leaves are enumerated. Many are sampled by Knuth's estimator (D. E. Knuth, "Estimating the efficiency of backtrack
programs", Mathematics of Computation 29, 1975): along a random walk from the root, the product of the numbers of
options is an unbiased estimate of the number of leaves. Independent walks are of no use here: a width chosen early
decides how much room is left to dozens of later ones, so that few walks in a million carry the sum. Populations of
walks therefore stop on the way, and go on from where the product so far is large, in proportion to it, which leaves the
estimate unbiased (D. Aldous and U. Vazirani, "Go with the winners algorithms", FOCS 1994). The logarithms of such
estimates are nearly normally distributed (J. Berard, P. Del Moral and A. Doucet, "A lognormal central limit theorem for
particle approximations of normalizing constants", Electronic Journal of Probability 19, 2014); so the interval, from
independent populations, is one for the mean of a lognormal distribution.

Architectures are told apart as ``Architecture`` equality does: two that differ only in the order of parallel towers
count as two, though their graphs have one digest.
"""

import itertools
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean, variance

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.genes import Batch, Pick, Value, Widths
from search_spaces.leaves import Ways, all_leaves, copies
from search_spaces.space import SearchSpace

MOST_LEAVES = 50_000  # that are enumerated
PROBES = 40  # walks that tell whether leaves are few
POPULATIONS = 8
WALKS = 7_000  # between two stops each, of all populations together
APART = 16  # widths from one stop to the next
SAMPLE = 8  # leaves of each population whose copies are counted
STUDENT = 2.365  # 97.5 % quantile of Student's t with POPULATIONS - 1 degrees of freedom

Progress = Callable[[float], object]  # is told the share that is done


@dataclass(frozen=True)
class Count:
    """How many distinct architectures there are: ``distinct``; with 95 % confidence, from ``low`` to ``high``.

    An estimate is rounded to three digits. ``method`` says in words how it was found.
    """

    distinct: int
    exact: bool
    low: int
    high: int
    method: str


def count(space: SearchSpace, random_seed: int = 0, progress: Progress = lambda share: None) -> Count:
    """Count the distinct architectures of a space, or estimate them where it has more than some 50,000 leaves.

    Takes about two seconds, up to ten where leaves are enumerated. The same random seed gives the same estimate. Raises
    RequestError where an estimate is not possible; the sentence says what to change.
    """
    if _mean_leaves(space, random_seed) <= MOST_LEAVES:
        leaves, found = 0, set[Architecture]()
        for _, architecture in itertools.islice(all_leaves(space), MOST_LEAVES + 1):
            leaves += 1
            found.add(architecture)
            if leaves % 500 == 0:
                progress(leaves / MOST_LEAVES)
        if leaves <= MOST_LEAVES:
            return Count(len(found), True, len(found), len(found), "each of them was built")
    return estimate(space, random_seed, progress)


def _mean_leaves(space: SearchSpace, random_seed: int) -> float:
    """A first estimate of the number of leaves, from a few walks to the end."""
    course, source = _Course.of(space), random.Random(random_seed)
    walkers = [_Walker(course, source) for _ in range(PROBES)]
    for walker in walkers:
        walker.go(math.inf)
    return fmean(math.exp(min(walker.log, 700.0)) for walker in walkers)


def estimate(space: SearchSpace, random_seed: int = 0, progress: Progress = lambda share: None) -> Count:
    """Estimate the distinct architectures of a space from populations of random walks."""
    source, course = random.Random(random_seed), _Course.of(space)
    size = max(SAMPLE, WALKS // (POPULATIONS * len(course.stops)))
    logs, shares = [], []
    for done in range(POPULATIONS):
        progress(done / POPULATIONS)
        log, leaves = _population(course, size, source)
        number = [copies(space, leaf.values) for leaf in leaves]
        logs.append(log)
        shares.append(fmean(1 / n if n else 0.0 for n in number))
    top = max(logs)
    totals = [math.exp(log - top) * share for log, share in zip(logs, shares, strict=True)]
    mean = fmean(totals)
    if not mean:
        raise RequestError(
            f"the architectures of the space {space.name!r} cannot be counted: its towers give as many channels as "
            "they embed, so that widening early or late is the same; allow one of them only (widen: [late])"
        )
    # The variance of the logarithm of a lognormal distribution, from its mean and variance, and from its logarithms.
    some = [math.log(total) for total in totals if total]
    spread = max(math.log1p(variance(totals) / mean**2), variance(some) if len(some) > 1 else 0.0)
    margin = STUDENT * math.sqrt(spread / POPULATIONS + spread**2 / (2 * (POPULATIONS - 1)))  # Cox's, for its mean
    middle = top + math.log(mean)
    low, high = _rounded(middle - margin, math.floor), _rounded(middle + margin, math.ceil)
    method = f"Knuth's estimator, {POPULATIONS} populations of {size} random walks"
    return Count(_rounded(middle, round), False, low, high, method)


def _rounded(log: float, way: Callable[[float], int]) -> int:
    """Return exp(log) to three digits, rounded in a ``way``."""
    log10 = log / math.log(10)
    tens = max(0, math.floor(log10) - 2)
    return max(1, way(10 ** (log10 - tens))) * int(10**tens)


# ----------------------------------------------------------------------------------------------------- random walks


@dataclass(frozen=True)
class _Course:
    """What walkers follow: the rank of every width, in the order of asking, and how likely each depth is drawn."""

    walk: Callable[[Pick], Architecture]
    ways: Ways
    ranks: dict[str, int]
    odds: dict[str, tuple[float, ...]]

    @classmethod
    def of(cls, space: SearchSpace) -> "_Course":
        """Lay the course: depths are drawn in proportion to the choices, widths aside, that they lead to."""
        walk, ways = space._inception.walk, Ways()

        def outline(**depths: Value) -> _Outline:
            found = _Outline(ways, depths)
            walk(found)
            return found

        depths, odds = outline().depths, {}
        for name, allowed in depths.items():
            sizes = [outline(**{name: depth}).size for depth in allowed]
            odds[name] = tuple(size / sum(sizes) for size in sizes)
        deepest = outline(**{name: allowed[-1] for name, allowed in depths.items()})
        return cls(walk, ways, {name: rank for rank, name in enumerate(deepest.widths)}, odds)

    @property
    def stops(self) -> list[float]:
        """The ranks at which walkers stop; the last is beyond the end."""
        return [*range(APART, len(self.ranks), APART), math.inf]


class _Outline:
    """A pick that takes the depths it is given, else the first way, and notes what there was to choose."""

    def __init__(self, ways: Ways, given: dict[str, Value]) -> None:
        self.ways, self.given = ways, given
        self.depths: dict[str, tuple[Value, ...]] = {}
        self.widths: list[str] = []
        self.size = 1  # the number of ways to choose all but depths and widths

    def way(self, batch: Batch) -> int:
        """Return the first way, or the depth that is given."""
        ways, name = self.ways.of(batch), batch[0][0]
        if name.endswith(".depth"):
            self.depths[name] = tuple(depth for (depth,) in ways)
            return batch.number([self.given.get(name, self.depths[name][0])])
        self.size *= len(ways)
        return batch.number(ways[0])

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return the lowest width."""
        self.widths.append(name)
        return widths.interval(low, high)[0]


class _Stopped(Exception):
    """A walker has come to a stop."""


class _Walker:
    """A pick that draws at random, up to a stop; ``log``: of the product of the options since it was last weighed."""

    def __init__(self, course: _Course, source: random.Random, values: dict[str, Value] | None = None) -> None:
        self.course, self.source = course, source
        self.values = dict(values or {})
        self.log = 0.0

    def go(self, stop: float) -> None:
        """Walk from the root, along what is chosen already, until a width whose rank is ``stop`` is due."""
        self.stop = stop
        with suppress(_Stopped):
            self.course.walk(self)

    def way(self, batch: Batch) -> int:
        """Return what is chosen, or a way drawn at random."""
        if batch[0][0] in self.values:
            return batch.number([self.values[name] for name, _ in batch])
        ways = self.course.ways.of(batch)
        odds = self.course.odds.get(batch[0][0])
        index = self.source.choices(range(len(ways)), odds)[0]
        self.log -= math.log(odds[index] if odds else 1 / len(ways))
        self.values.update((name, value) for (name, _), value in zip(batch, ways[index], strict=True))
        return batch.number(ways[index])

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        """Return what is chosen, or a width drawn at random."""
        if name in self.values:
            return int(self.values[name])
        if self.course.ranks.get(name, -1) >= self.stop:
            raise _Stopped
        lowest, size = widths.interval(low, high)
        self.log += math.log(size)
        self.values[name] = width = lowest + int(self.source.random() * size) * widths.step
        return width


def _population(course: _Course, size: int, source: random.Random) -> tuple[float, list[_Walker]]:
    """Return the logarithm of one estimate of the number of leaves, and walkers at SAMPLE leaves drawn uniformly."""
    log, walkers = 0.0, [_Walker(course, source) for _ in range(size)]
    for stop in course.stops:
        for walker in walkers:
            walker.go(stop)
        top = max(walker.log for walker in walkers)
        weights = [math.exp(walker.log - top) for walker in walkers]
        log += top + math.log(fmean(weights))
        chosen = _draw_evenly(weights, SAMPLE if stop == math.inf else size, source)
        walkers = [_Walker(course, source, walkers[index].values) for index in chosen]
    return log, walkers


def _draw_evenly(weights: Sequence[float], size: int, source: random.Random) -> list[int]:
    """Draw ``size`` indices in proportion to the weights, at even distances from a random start."""
    passed = list(itertools.accumulate(weights))
    start = source.random()
    places = ((start + i) * passed[-1] / size for i in range(size))
    return [min(bisect_right(passed, place), len(weights) - 1) for place in places]
