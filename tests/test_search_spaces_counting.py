"""The number of architectures of a space: exact against a count by brute force, estimates against exact counts."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from search_spaces import counting
from search_spaces.architecture import Architecture
from search_spaces.counting import count, estimate
from search_spaces.errors import RequestError
from search_spaces.genes import Batch, GeneWriter, OutsideSpace, Widths
from search_spaces.leaves import all_leaves, copies
from search_spaces.space import SearchSpace, space
from search_spaces.space_file import SpaceFile

STEM = ["conv 3x3/2 32 valid", "conv 3x3 64", "max 3x3/2 valid"]
FREE = {"off": ["bottleneck", "local_processing", "embedding", "balance", "parallel_reduction"]}


def _tower(**changes: Any) -> dict[str, Any]:
    return {"kernel": [3], "factorisation": ["none"], "embedding": [16, 16, 16], "output": [32, 32, 16]} | changes


def _stage(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "depth": [1, 1],
        "widen": ["late"],
        "pointwise": [32, 32, 16],
        "short": _tower(),
        "long": _tower(),
        "pool": {"kind": ["max"], "projection": [32, 32, 16]},
    }
    return plain | changes


def _reduction(**changes: Any) -> dict[str, Any]:
    short = {"direct": [True], "embedding": [32, 32, 16], "output": [64, 64, 16]}
    return {"kind": ["parallel"], "short": short, "long": _tower(output=[64, 64, 16])} | changes


def _space(first: dict[str, Any], second: dict[str, Any], **changes: Any) -> SearchSpace:
    """A space of two stages, the second behind a reduction."""
    data = {
        "format": "space/1",
        "name": "small",
        "resolution": 75,
        "stems": {"only": STEM},
        "stages": [first, {"reduction": _reduction()} | second],
    }
    return SearchSpace(SpaceFile.model_validate(data | changes))


CHAINS = _tower(kernel=[3, 5], factorisation=["none", "stacked"], repeats=[1, 2])
SMALL = {
    "widths under the principles": _space(
        _stage(
            pointwise=[32, 64, 16],
            short=_tower(embedding=[16, 32, 16], output=[32, 64, 16]),
            long=_tower(output=[32, 64, 16]),
        ),
        _stage(
            reduction=_reduction(short={"direct": [True], "embedding": [32, 32, 16], "output": [64, 128, 32]}),
            pointwise=[64, 128, 32],
            short=_tower(output=[32, 64, 32]),
            long=_tower(output=[32, 96, 32], embedding=[32, 64, 32]),
        ),
    ),
    "depths of tied modules": _space(
        _stage(depth=[1, 3], pointwise=[32, 64, 16], long=_tower(embedding=[16, 32, 16])),
        _stage(depth=[1, 2], pool={"kind": ["max"], "projection": [32, 64, 32]}),
    ),
    "depths of free modules": _space(
        _stage(depth=[1, 3], pointwise=[32, 64, 32]),
        _stage(depth=[1, 2], long=_tower(embedding=[16, 32, 16])),
        tied=False,
    ),
    "chains": _space(_stage(short=CHAINS), _stage(long=CHAINS, pointwise=[32, 64, 32])),
    "chains of a reduction": _space(
        _stage(),
        _stage(
            reduction=_reduction(
                kind=["parallel", "pool_first", "convolve_first"],
                short={"direct": [True, False], "embedding": [32, 64, 32], "output": [64, 96, 32]},
                long=CHAINS | {"output": [64, 96, 32]},
            )
        ),
        thresholds=FREE,
    ),
    "widening": _space(
        _stage(
            depth=[1, 2],
            widen=["early", "late"],
            short=_tower(repeats=[1, 2], embedding=[16, 32, 16], output=[16, 32, 16]),
            long=_tower(repeats=[1, 2], embedding=[32, 32, 16]),
        ),
        _stage(widen=["early", "late"], long=_tower(repeats=[2], embedding=[16, 32, 16])),
    ),
    "widening of free modules": _space(
        _stage(depth=[1, 2], widen=["early", "late"], short=_tower(repeats=[1, 2], embedding=[16, 32, 16])),
        _stage(widen=["early", "late"], long=_tower(factorisation=["none", "expanded"], repeats=[1, 2])),
        tied=False,
        thresholds=FREE,
    ),
    "padding, stems and heads": _space(
        _stage(depth=[1, 2], pool={"kind": ["avg", "max"], "projection": [32, 32, 32]}),
        _stage(pool={"kind": ["avg", "max"], "projection": [32, 64, 32]}),
        stems={"one": STEM, "other": [*STEM[:1], *STEM[2:]]},
        padding=["counted", "uncounted"],
        aux={"stage": 1, "heads": {"a": ["conv 1x1 16"], "b": ["conv 1x1 32"]}},
    ),
    "one architecture": _space(_stage(), _stage()),
}


class _EveryValue:
    """A pick that tries every value of every gene, whether it matters or not."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, int]] = []  # of each gene: which value, of how many
        self.at = 0

    def _next(self, size: int) -> int:
        if self.at == len(self.turns):
            self.turns.append((0, size))
        self.at += 1
        return self.turns[self.at - 1][0]

    def way(self, batch: Batch) -> int:
        return batch.number([allowed[self._next(len(allowed))] for _, allowed in batch])

    def width(self, name: str, widths: Widths, low: float, high: float) -> int:
        lowest, size = widths.interval(low, high)
        return lowest + self._next(size) * widths.step


def _brute_force(searched: SearchSpace) -> Iterator[Architecture]:
    pick = _EveryValue()
    while True:
        pick.at = 0
        yield searched._inception.walk(pick)
        while pick.turns and pick.turns[-1][0] + 1 == pick.turns[-1][1]:
            pick.turns.pop()
        if not pick.turns:
            return
        value, size = pick.turns.pop()
        pick.turns.append((value + 1, size))


@pytest.mark.parametrize("name", SMALL)
def test_small_spaces_are_counted_exactly(name: str) -> None:
    distinct = set(_brute_force(SMALL[name]))
    counted = count(SMALL[name])
    assert counted.exact
    assert (counted.low, counted.distinct, counted.high) == (len(distinct),) * 3
    assert (name == "one architecture") == (len(distinct) == 1)


@pytest.mark.parametrize("name", SMALL)
def test_copies_are_right_over_all_leaves(name: str) -> None:
    """1 / copies adds up to one for every architecture, and so to their number over all leaves."""
    shares: Counter[Architecture] = Counter()
    for leaf, architecture in all_leaves(SMALL[name]):
        number = copies(SMALL[name], leaf)
        shares[architecture] += Fraction(1, number) if number else Fraction(0)  # type: ignore[assignment]
    assert set(shares.values()) == {1}
    assert set(shares) == set(_brute_force(SMALL[name]))


def test_the_spaces_above_have_copies_of_every_kind() -> None:
    """A guard of the tests before: without copies they would say nothing."""
    for name in ("widths under the principles", "padding, stems and heads"):
        assert max(copies(SMALL[name], leaf) for leaf, _ in all_leaves(SMALL[name])) > 1, name
    for name in ("widening", "widening of free modules"):
        assert min(copies(SMALL[name], leaf) for leaf, _ in all_leaves(SMALL[name])) == 0, name
    for name in ("chains", "chains of a reduction", "widening"):
        assert sum(1 for _ in _brute_force(SMALL[name])) > sum(1 for _ in all_leaves(SMALL[name])), name


def test_no_copy_is_overlooked_in_a_shipped_space() -> None:
    """All values of one gene that give the same architecture, the others kept, are among its copies."""
    searched, source = space("inception"), random.Random(0)
    course = counting._Course.of(searched)
    for _ in range(30):
        walker = counting._Walker(course, source)
        walker.go(math.inf)
        leaf, architecture = walker.values, searched._inception.walk(walker)
        same = 0
        for final in searched._inception.finals(0):
            try:
                same += searched._inception.walk(GeneWriter({**leaf, "final": final})) == architecture
            except OutsideSpace:
                continue
        averages = any(value == "avg" for name, value in leaf.items() if name.endswith("pool.kind"))
        assert copies(searched, leaf) == same * (1 if averages else 2)
        assert same > 0


def test_towers_in_another_order_are_other_architectures() -> None:
    """What the command tells people: a digest may stand for several architectures of a space."""
    short_and_long = _tower(output=[32, 64, 32])
    found = count(searched := _space(_stage(short=short_and_long, long=short_and_long), _stage(), thresholds=FREE))
    digests = {architecture.digest for _, architecture in all_leaves(searched)}
    assert (found.distinct, len(digests)) == (4, 3)


@pytest.mark.parametrize("name", ["widths under the principles", "depths of tied modules", "widening"])
def test_the_interval_covers_the_count(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "WALKS", 200)
    exact = count(SMALL[name]).distinct
    found = [estimate(SMALL[name], random_seed) for random_seed in range(20)]
    assert sum(one.low <= exact <= one.high for one in found) >= 17
    assert not any(one.exact for one in found)
    assert sum(one.distinct for one in found) / 20 == pytest.approx(exact, rel=0.1)


def test_the_estimate_does_not_depend_on_how_deep_networks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free modules: nearly all architectures are among the deepest."""
    monkeypatch.setattr(counting, "WALKS", 800)
    searched = _space(
        _stage(depth=[1, 6], short=CHAINS, long=CHAINS), _stage(depth=[1, 2]), tied=False, thresholds=FREE
    )
    per_module = 5**2  # of chains: one or two 3x3, one or two 5x5, or four 3x3
    exact = 2 * sum(per_module**depth for depth in range(1, 7))
    found = estimate(searched)
    assert found.low <= exact <= found.high
    assert found.high < 1.1 * found.low


def test_estimates_of_a_shipped_space() -> None:
    searched, told = space("inception"), list[float]()
    found = count(searched, random_seed=1, progress=told.append)
    assert not found.exact
    assert 44 < math.log10(found.low) < math.log10(found.distinct) < math.log10(found.high) < 46.5
    assert found.method == "Knuth's estimator, 8 populations of 291 random walks"
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] < 1


def test_the_random_seed_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "WALKS", 200)
    searched = space("inception")
    assert estimate(searched, 3) == estimate(searched, 3)
    assert estimate(searched, 3) != estimate(searched, 4)


def test_what_turns_out_to_be_large_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_LEAVES", 30)
    monkeypatch.setattr(counting, "_mean_leaves", lambda space, random_seed: 1.0)
    found = count(SMALL["depths of tied modules"])
    assert not found.exact


def test_a_space_in_which_nearly_all_leaves_are_copies() -> None:
    same = _tower(kernel=[3, 5], repeats=[2, 3, 4], embedding=[32, 32, 16])
    first = _stage(depth=[16, 16], widen=["early", "late"], short=same, long=same)
    searched = _space(first, _stage(), tied=False, thresholds=FREE)
    with pytest.raises(RequestError, match=r"widening early or late is the same; .* \(widen: \[late\]\)"):
        count(searched)


def test_a_count_beyond_what_floats_hold() -> None:
    log = 400 * math.log(10)
    assert counting._rounded(log, math.floor) <= counting._rounded(log, round) == 10**400
    assert counting._rounded(math.log(1234567), math.ceil) == 1240000
    assert counting._rounded(math.log(12), math.floor) in (11, 12)
