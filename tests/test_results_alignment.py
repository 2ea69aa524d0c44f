from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from results.alignment import aligned


def _cost(one: str, other: str) -> int:
    return 0 if one == other else 3


def _least(first: str, second: str) -> int:
    """The least cost by trying every choice of pairs in order."""
    best = 2 * (len(first) + len(second))
    for size in range(1, min(len(first), len(second)) + 1):
        for mine in combinations(first, size):
            for theirs in combinations(second, size):
                pairs = sum(_cost(one, other) for one, other in zip(mine, theirs, strict=True))
                best = min(best, pairs + 2 * (len(first) + len(second) - 2 * size))
    return best


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_nothing_is_lost_and_no_other_alignment_costs_less(first: str, second: str) -> None:
    pairs = aligned(first, second, _cost, lambda item: 2)
    assert "".join(one for one, _ in pairs if one is not None) == first
    assert "".join(other for _, other in pairs if other is not None) == second
    spent = sum(2 if one is None or other is None else _cost(one, other) for one, other in pairs)
    assert spent == _least(first, second)


def test_of_equal_alignments_earlier_items_are_paired() -> None:
    assert aligned("ab", "abb", _cost, lambda item: 2) == [("a", "a"), ("b", "b"), (None, "b")]
    assert aligned("", "", _cost, lambda item: 2) == []
