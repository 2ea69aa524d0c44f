"""Names beside points: they keep apart, and stay within the chart."""

import itertools

import numpy as np
import pytest

from results.label_places import _SIDES, _box, _shared, label_places

NAMES = ["inception-v3", "inception-v2", "bn-inception", "googlenet"]


def boxes(points: list[tuple[float, float]], names: list[str], places: list[str]) -> list[tuple[float, ...]]:
    return [_box(spot, name, *_SIDES[place]) for spot, name, place in zip(points, names, places, strict=True)]


def test_a_name_alone_goes_where_it_is_wanted() -> None:
    assert label_places([(0.5, 0.5)], ["googlenet"], (0, 1), (0, 1), "top center") == ["top center"]
    assert label_places([(5e9, 20.0)], ["googlenet"], (0, 10e9), (0, 40)) == ["bottom center"]


def test_names_of_close_points_keep_apart() -> None:
    points = [(0.5, 0.5), (0.52, 0.5), (0.5, 0.53), (0.55, 0.5)]
    found = boxes(points, NAMES, label_places(points, NAMES, (0, 1), (0, 1)))
    assert all(_shared(one, other) == 0 for one, other in itertools.combinations(found, 2))


@pytest.mark.parametrize("corner", list(itertools.product((0.0, 1.0), repeat=2)))
def test_a_name_at_a_corner_stays_within_the_chart(corner: tuple[float, float]) -> None:
    places = label_places([corner], ["inception-v3"], (0, 1), (0, 1))
    left, bottom, right, top = boxes([corner], ["inception-v3"], places)[0]
    assert 0 <= left < right <= 1
    assert 0 <= bottom < top <= 1


def test_names_cover_less_than_where_all_go_below() -> None:
    generator = np.random.Generator(np.random.PCG64(0))

    def covered(found: list[tuple[float, ...]]) -> float:
        return sum(_shared(one, other) for one, other in itertools.combinations(found, 2))  # type: ignore[arg-type]

    for _ in range(50):
        points = [(float(a), float(b)) for a, b in generator.uniform(0.4, 0.6, (4, 2))]
        placed = boxes(points, NAMES, label_places(points, NAMES, (0, 1), (0, 1)))
        assert covered(placed) <= covered(boxes(points, NAMES, ["bottom center"] * 4))


def test_points_at_one_place_have_names_all_the_same() -> None:
    assert len(set(label_places([(1.0, 1.0)] * 3, NAMES[:3], (1, 1), (1, 1)))) == 3
