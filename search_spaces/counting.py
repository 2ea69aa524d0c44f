"""How many distinct architectures a space holds: counted where they are few, else estimated.

A space is one function that asks for one value after another, so its choices form a tree. Several leaves of the tree
lead to the same architecture, ``copies`` of them; the number of architectures is the sum over the leaves of 1 / copies.

Few leaves are enumerated. Many are sampled by Knuth's estimator (D. E. Knuth, "Estimating the efficiency of backtrack
programs", Mathematics of Computation 29, 1975): along a random walk from the root, the product of the numbers of
options is an unbiased estimate of the number of leaves. Walks alone are of no use here: a width chosen early decides
how much room is left to dozens of later ones, and a few walks in a million carry the sum. So populations of walks stop
on the way, and go on from where the product so far is large, in proportion to it (D. Aldous and U. Vazirani, "Go with
the winners algorithms", FOCS 1994), which leaves the estimate unbiased. The logarithms of such estimates are close to
normally distributed (J. Berard, P. Del Moral and A. Doucet, Electronic Journal of Probability 19, 2014), and the
interval, from independent populations, is one for logarithms.

Architectures are told apart as they are written, by ``Architecture`` equality: two that differ only in the order of
parallel towers count as two, though their graphs have one digest.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.factorisation import kernels
from search_spaces.genes import Choice, Value, Widths
from search_spaces.inception_values import values
from search_spaces.space import SearchSpace

MOST_LEAVES = 50_000  # that are enumerated
PROBES = 40  # walks that tell whether leaves are few
POPULATIONS = 8
WALKS = 7_000  # of all populations, between two stops each
APART = 8  # widths from one stop to the next
SAMPLE = 16  # leaves of each population whose copies are counted
STUDENT = 2.365  # 97.5 % quantile of Student's t with POPULATIONS - 1 degrees of freedom


@dataclass(frozen=True)
class Count:
    """How many distinct architectures there are: ``distinct``, surely or with 95 % from ``low`` to ``high``.

    An estimate is rounded to three digits. ``method`` says in words how it was found.
    """

    distinct: int
    exact: bool
    low: int
    high: int
    method: str


def count(space: SearchSpace, random_seed: int = 0, progress: Callable[[float], object] | None = None) -> Count:
    """Count or estimate the distinct architectures of a space; ``progress`` is told the share that is done.

    Takes two or three seconds for the spaces that ship, and up to some ten where leaves are enumerated. Raises
    RequestError where the space offers so much twice over that an estimate finds no leaf to count.
    """
    tell = progress or (lambda share: None)
    source = random.Random(random_seed)
    if _mean_leaves(space, source) <= MOST_LEAVES:
        leaves, distinct = 0, set[Architecture]()
        for architecture in enumerate_leaves(space):
            leaves += 1
            distinct.add(architecture)
            if leaves > MOST_LEAVES:
                break
            if leaves % 100 == 0:
                tell(leaves / MOST_LEAVES)
        else:
            total = len(distinct)
            return Count(total, True, total, total, f"all {leaves:,} leaves of the tree of choices were walked through")
    return estimate(space, source, tell)


# ------------------------------------------------------------------------------------------------------- all leaves


class _Odometer:
    """A pick that goes to the next leaf in each walk: the last choice turns first."""

    def __init__(self) -> None:
        self.digits: list[int] = []
        self.sizes: list[int] = []

    def _digit(self, size: int) -> int:
        at = len(self.sizes)
        self.sizes.append(size)
        if at == len(self.digits):
            self.digits.append(0)
        return self.digits[at]

    def choices(self, of: Sequence[Choice]) -> tuple[Value, ...]:
        return tuple([own[self._digit(len(own))] for _, allowed in of if (own := _different(allowed))])

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        lowest, size = widths.interval(low, high)
        return lowest + self._digit(size) * widths.step

    def turn(self) -> bool:
        """Go to the next leaf; False after the last."""
        while self.digits and self.digits[-1] + 1 == self.sizes[-1]:
            self.digits.pop()
            self.sizes.pop()
        if not self.digits:
            return False
        self.digits[-1] += 1
        self.sizes.clear()
        return True


def enumerate_leaves(space: SearchSpace) -> "Iterator[Architecture]":
    """Walk to every leaf of the tree of choices; an architecture comes up once for each of its copies."""
    pick = _Odometer()
    while True:
        yield space._inception.walk(pick)
        if not pick.turn():
            return
