"""The curve of a training as an SVG."""

import math
import re
from xml.etree import ElementTree

import pytest

from results.chart import BOTTOM, LEFT, RIGHT, TOP, WIDTH
from results.curve_drawing import draw_curve_svg

SVG = "{http://www.w3.org/2000/svg}"


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The points of the drawn series, without those of the legend."""
    found = [each for each in ElementTree.fromstring(svg).iter(f"{SVG}polyline") if "series" in each.get("class", "")]
    pairs = [[pair.split(",") for pair in each.get("points", "").split()] for each in found]
    return [[(float(x), float(y)) for x, y in each] for each in pairs if float(each[0][1]) > TOP - 20]


def test_errors_lie_where_they_belong() -> None:
    svg = draw_curve_svg({"validation error": [(3, 0.2), (1, 0.5), (2, 0.1)], "training error": [(1, 0.4), (3, 0.05)]})
    assert svg is not None
    validation, training = lines(svg)
    assert [x for x, _ in validation] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    heights = [y for _, y in validation]
    assert heights[0] < heights[2] < heights[1]
    assert training[0][1] > heights[0]
    assert all(TOP <= y <= BOTTOM for _, y in validation + training)
    assert "lowest validation error: 10.00 % after epoch 2" in svg


def test_what_is_not_finite_is_left_out() -> None:
    svg = draw_curve_svg({"error": [(1, 0.5), (2, math.nan), (3, 0.2)]})
    assert svg is not None
    assert [len(line) for line in lines(svg)] == [2]


@pytest.mark.parametrize("series", [{}, {"error": []}, {"error": [(1, 0.5)]}, {"error": [(1, math.inf), (2, 0.5)]}])
def test_one_epoch_is_no_curve(series: dict[str, list[tuple[int, float]]]) -> None:
    assert draw_curve_svg(series) is None


def test_equal_errors_and_whole_epochs() -> None:
    svg = draw_curve_svg({"error": [(1, 0.0), (2, 0.0)]})
    assert svg is not None
    words = re.findall(r">([\d.]+)</text>", svg)
    assert set(words) == {"1", "2"}


def test_more_series_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="4 series in one curve"):
        draw_curve_svg({str(n): [(1, 0.5), (2, 0.4)] for n in range(4)})
