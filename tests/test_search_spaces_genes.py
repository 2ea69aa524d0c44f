"""Ways to make choices together have numbers; a width is drawn from the interval that is decoded."""

import itertools
import math
import random
from collections import Counter

import pytest

from search_spaces.genes import Batch, GeneDrawer, GeneReader, GeneWriter, OutsideSpace, Widths

BATCH = Batch((("kernel", (3, 5, 7)), ("kind", ("avg", "max")), ("fixed", (1,))))


def test_every_way_has_a_number() -> None:
    ways = [BATCH.way(number) for number in range(BATCH.size)]
    assert ways == list(itertools.product((3, 5, 7), ("avg", "max"), (1,)))
    assert [BATCH.number(way) for way in ways] == list(range(6))
    with pytest.raises(ValueError, match="not in tuple"):
        BATCH.number((4, "avg", 1))


def test_ways_are_drawn_alike_and_read_as_written() -> None:
    pick = GeneDrawer(random.Random(0))
    drawn = Counter(pick.way(BATCH) for _ in range(6000))
    assert sorted(drawn) == list(range(6))
    assert all(850 < count < 1150 for count in drawn.values())
    for number in range(BATCH.size):
        writer = GeneWriter(dict(zip(("kernel", "kind", "fixed"), BATCH.way(number), strict=True)))
        assert writer.way(BATCH) == number
        assert "fixed" not in writer.genes
        assert GeneReader(writer.genes).way(BATCH) == number
    with pytest.raises(OutsideSpace, match="kernel is 9: this space allows 3, 5, 7"):
        GeneWriter({"kernel": 9, "kind": "avg", "fixed": 1}).way(BATCH)


@pytest.mark.parametrize("low", [-math.inf, -3.5, 0.0, 32.0, 32.0001, 63.9999, 64, 95.5, 128.0, 500.0])
@pytest.mark.parametrize("high", [-7.0, 31.9, 32.0, 63.9999, 64, 95.5, 96.0, 128.0, math.inf])
def test_a_drawn_width_is_one_of_the_interval(low: float, high: float) -> None:
    """By the definition: from low rounded up to high rounded down, the lowest where nothing is left."""
    widths, pick = Widths(32, 128, 32), GeneDrawer(random.Random(0))
    grid = [32, 64, 96, 128]
    floor = [width for width in grid if width >= low] or [128]
    allowed = [width for width in floor if width <= high] or floor[:1]
    assert widths.interval(low, high) == (allowed[0], len(allowed))
    assert {pick.width("any", widths, low, high) for _ in range(100)} == set(allowed)
