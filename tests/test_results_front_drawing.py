"""The place of one trial on the front, as an SVG: marks where the values lie, the trial's own among them."""

import re
from xml.etree import ElementTree

import pytest
from small_studies import OBJECTIVES, complete, study_of_eight

from results.chart import BOTTOM, LEFT, RIGHT, TOP, WIDTH, steps
from results.front_drawing import draw_front_svg
from results.outcome import Outcome

SVG = "{http://www.w3.org/2000/svg}"


def shapes(svg: str, kind: str) -> list[tuple[float, float]]:
    """Where marks of a kind lie, the one of the legend left out."""
    root = ElementTree.fromstring(svg)
    parents = [each for each in root.iter(f"{SVG}g") if any(child.get("class") == kind for child in each)]
    found = [re.findall(r"[\d.]+", each.get("transform", "")) for each in parents]
    return [(float(x), float(y)) for x, y in found if float(y) > TOP - 20]


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_its_own_place_is_ringed() -> None:
    svg = draw_front_svg(study_of_eight(), OBJECTIVES, 3)  # type: ignore[arg-type]
    assert svg is not None
    [here] = shapes(svg, "here")
    front = shapes(svg, "front")
    assert here == min(front)  # trial 3 is the cheapest
    assert len(shapes(svg, "seeds")) == 2
    assert {"this network", "inception-v3", "googlenet"} <= set(texts(svg))
    assert "on the front" in svg
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= BOTTOM for x, y in [here, *front])


def test_a_trial_off_the_front_is_said_to_be() -> None:
    svg = draw_front_svg([*study_of_eight(), complete(8, 0.9, 9 * 10**9)], OBJECTIVES, 8)  # type: ignore[arg-type]
    assert svg is not None
    assert "off the front" in svg
    [here] = shapes(svg, "here")
    assert here not in shapes(svg, "front")


@pytest.mark.parametrize("number", [8, 99])
def test_a_trial_without_a_place_has_no_picture(number: int) -> None:
    stopped = complete(8, 0.9, 9 * 10**9, outcome=Outcome.STOPPED, values={}) if number == 8 else None
    known = [*study_of_eight(), *([stopped] if stopped else [])]
    assert draw_front_svg(known, OBJECTIVES, number) is None  # type: ignore[arg-type]
    assert draw_front_svg([], OBJECTIVES, number) is None  # type: ignore[arg-type]


def test_one_trial_alone_is_drawn() -> None:
    svg = draw_front_svg([complete(0, 0.5, 10**9)], OBJECTIVES, 0)  # type: ignore[arg-type]
    assert svg is not None
    assert len(shapes(svg, "here")) == 1


def test_many_trials_take_little_room() -> None:
    many = [complete(n, 0.2 + (n * 7919 % 1000) / 2000, 10**9 + n * 104729 % 10**9) for n in range(5000)]
    svg = draw_front_svg(many, OBJECTIVES, 17)  # type: ignore[arg-type]
    assert svg is not None
    assert len(svg) < 100_000


def test_names_from_a_study_are_text() -> None:
    svg = draw_front_svg([complete(0, 0.5, 10**9, seed="<b>&amp;")], OBJECTIVES, 0)  # type: ignore[arg-type]
    assert svg is not None
    assert "<b>&amp;" in texts(svg)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (1.0, 2.05, [1.0, 1.2, 1.4, 1.6, 1.8, 2.0]),
        (7e8, 9e8, [7e8, 7.5e8, 8e8, 8.5e8, 9e8]),
    ],
)
def test_marks_of_an_axis_are_round(low: float, high: float, expected: list[float]) -> None:
    assert steps(low, high, 7) == pytest.approx(expected)
