import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from architectures import architectures
from hypothesis import given

from results.profile import Profile, Region, Segment, draw_profile_text, profile, tick_text, ticks
from results.profile_drawing import draw_profile_svg
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.principles import audit
from search_spaces.seeds import seed, seed_names

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = """</text><script>alert(1)</script> "quoted" & 'single' \x00\x1b[31m \ud800 ]]>"""


def _segment(unit: str, start: float, depth: float, elements: int, line: float) -> Segment:
    return Segment(f"{unit}.concat", unit, start, depth, elements, line, elements / line)


SMALL = Profile(
    (
        _segment("stem", 0.0, 0.2, 80_000, 1e5 * 0.1**0.2),
        _segment("stage1.module1", 0.2, 0.5, 50_000, 1e5 * 0.1**0.5),
        _segment("stage2.reduction", 0.5, 0.7, 6_000, 1e5 * 0.1**0.7),
        _segment("stage2.module1", 0.7, 1.0, 10_000, 1e4),
    ),
    100_000,
    0.5,
)


def _pinched() -> Architecture:
    """Inception-v3 with the paper's bad example: a pool, then a 1x1 that widens."""
    data = seed("inception-v3").as_data()
    data["stages"][1]["reduction"] = [["max 3x3/2 valid", "conv 1x1 768"]]
    return from_data(data | {"name": "pinched"})


@pytest.mark.parametrize("architecture", [*map(seed, seed_names()), _pinched()], ids=lambda a: a.name)
def test_the_figures_are_those_of_the_audit(architecture: Architecture) -> None:
    bottleneck = audit(architecture).principles[0]
    measured = profile(architecture, None, bottleneck.threshold)
    assert measured.worst.ratio == bottleneck.value
    assert measured.worst.unit == bottleneck.where
    assert measured.share == bottleneck.threshold
    side = architecture.resolution
    assert measured.picture == 3 * side * side
    for segment in measured.segments:
        assert segment.ratio == pytest.approx(segment.elements / segment.line)
        assert measured.line(segment.depth) == pytest.approx(segment.line)


@given(architectures())
def test_segments_and_regions_cover_the_depth_without_a_gap(architecture: Architecture) -> None:
    measured = profile(architecture, None, 0.5)
    for pieces in ([(s.start, s.depth) for s in measured.segments], [(r.start, r.end) for r in measured.regions]):
        assert pieces[0][0] == 0.0
        assert [end for _, end in pieces[:-1]] == [start for start, _ in pieces[1:]]
        assert all(start <= end for start, end in pieces)
    low, high = measured.bounds
    assert all(low < segment.elements < high for segment in measured.segments)
    for width in (40, 80):
        text = draw_profile_text(measured, width=width)
        assert max(map(len, text.splitlines())) <= width
        assert any("X" in line for line in text.splitlines()[1:-2])
    ET.fromstring(draw_profile_svg(measured))


def test_regions_of_inception_v3() -> None:
    measured = profile(seed("inception-v3"), None, 0.5)
    names = ["stem", "stage1", "stage2.reduction", "stage2", "stage3.reduction", "stage3"]
    assert [region.name for region in measured.regions] == names
    assert measured.regions[0] == Region("stem", 0.0, 5 / 47)
    assert measured.regions[-1].end == 1.0


def test_the_picture_in_letters() -> None:
    assert draw_profile_text(SMALL, width=44, height=10) == PICTURE


PICTURE = """\
representation size: elements that get
through, input to output, log scale
 100 k┤▀▀▄▄▄▄▄▄
      │   ·····▀▀▀▄▄▄▄
  50 k┤╌╌╌     ·····  ▀▀▀▄
      │   ╌╌╌╌╌     ····· ▄
      │        ╌╌╌╌╌     ··▄··
  20 k┤             ╌╌╌╌    ▄ ·····
      │                 ╌╌╌╌╌▄     ·····
  10 k┤                       ╌╌╌╌╌     ▄▄▄
      │                       ▄▀ ▄▄╌╌▀▀▀
   5 k┤                         X  ▄▀   ╌╌╌
      └┬──────┬──────────┬──────┬──────────
       stem   stage1     red.   stage2
▀ measured  · a gentle decrease
╌ 0.5 of it, the least that passes
X worst: stage2.reduction, 6,000 elements,
0.30 of the line (below 0.5)"""


def test_the_picture_without_unicode_says_the_same() -> None:
    letters = draw_profile_text(SMALL, width=60)
    plain = draw_profile_text(SMALL, width=60, ascii_only=True)
    assert plain.isascii()
    assert [len(line) for line in plain.splitlines()] == [len(line) for line in letters.splitlines()]
    assert plain.count("X") == letters.count("X")


@pytest.mark.parametrize("width", [1, 40, 60, 80, 120])
@pytest.mark.parametrize("architecture", [seed("inception-v3"), seed("googlenet"), _pinched()], ids=lambda a: a.name)
def test_the_picture_keeps_to_the_width_and_names_stages(architecture: Architecture, width: int) -> None:
    lines = draw_profile_text(profile(architecture, None, 0.5), width=width).splitlines()
    assert max(map(len, lines)) <= max(width, 40)
    axis = next(i for i, line in enumerate(lines) if "└" in line)
    starts = [i for i, letter in enumerate(lines[axis]) if letter == "┬"]
    names = {match.start(): match[0] for match in re.finditer(r"\S+", lines[axis + 1])}
    assert set(names) <= set(starts)
    assert [name for name in names.values() if name.startswith("s") and name != "s"][-1] in ("stage3", "s3")


def test_the_worst_place_stands_below_the_least_line_only_if_it_is_a_violation() -> None:
    for architecture in (seed("inception-v3"), _pinched()):
        measured = profile(architecture, None, 0.5)
        lines = draw_profile_text(measured, width=100, height=60).splitlines()
        row = next(i for i, line in enumerate(lines) if "X" in line)
        column = lines[row].rindex("X")
        passes = any(line[column : column + 1] == "╌" for line in lines[row + 1 :])
        assert passes == (measured.worst.ratio >= 0.5)


def _closely(least: float) -> Profile:
    """A network whose middle is a hair above or below the least line."""
    middle = round(1e5 * 0.1**0.5 * least)
    return replace(SMALL, segments=(_segment("stem", 0.0, 0.5, middle, 1e5 * 0.1**0.5), SMALL.segments[-1]))


PROFILES = [
    *(pytest.param(profile(seed(name), None, 0.5), id=name) for name in seed_names()),
    pytest.param(profile(_pinched(), None, 0.5), id="pinched"),
    pytest.param(SMALL, id="small"),
    pytest.param(_closely(0.501), id="just passes"),
    pytest.param(_closely(0.499), id="just fails"),
]


def _check_letters(measured: Profile, width: int, height: int) -> None:
    lines = draw_profile_text(measured, width=width, height=height).splitlines()
    first = next(i for i, line in enumerate(lines) if "│" in line or "┤" in line)
    rows = [line.ljust(width) for line in lines[first : first + height]]
    fails = measured.worst.ratio < measured.share
    for column in zip(*rows, strict=True):
        marks = [row for row, letter in enumerate(column) if letter in "▀▄X"]
        least = column.index("╌") if "╌" in column else None  # None: the mark stands on it
        if "X" in column and fails:
            assert least is not None
            assert least < marks[0]
        if not fails and least is not None:
            assert all(row < least for row in marks)


@pytest.mark.parametrize("measured", PROFILES)
@pytest.mark.parametrize(("width", "height"), [(40, 14), (80, 14), (110, 14), (100, 40), (80, 5)])
def test_letters_enter_the_forbidden_area_only_where_the_network_fails(
    measured: Profile, width: int, height: int
) -> None:
    _check_letters(measured, width, height)


def _check_svg(measured: Profile) -> None:
    """Both lines are straight between the points of the measured one: what holds at these holds everywhere."""
    root = ET.fromstring(draw_profile_svg(measured))
    measured_at, ends = (
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in (_plotted(root, "measured"), _plotted(root, "least"))
    )
    (left, high), (right, low) = ends
    assert measured_at[0][0] == left
    below = [y - (high + (x - left) / (right - left) * (low - high)) for x, y in measured_at]  # pixels
    if measured.worst.ratio >= measured.share:
        assert max(below) <= 0.1
    else:
        worst = 1 + measured.segments.index(measured.worst)
        assert below[worst] > 0 or measured.worst.ratio > measured.share * 0.995
        assert below[worst] >= max(below) - 0.2


def _plotted(root: ET.Element, kind: str) -> str:
    """The points of a line of the plot, which comes before that of the legend."""
    return next(line.get("points", "") for line in root.iter(SVG + "polyline") if line.get("class") == kind)


@pytest.mark.parametrize("measured", PROFILES)
def test_the_svg_enters_the_forbidden_area_only_where_the_network_fails(measured: Profile) -> None:
    _check_svg(measured)


@given(architectures())
def test_the_pictures_agree_with_the_verdict(architecture: Architecture) -> None:
    measured = profile(architecture, None, 0.5)
    _check_letters(measured, 80, 14)
    _check_svg(measured)


def test_svg_marks_every_segment_where_it_belongs() -> None:
    measured = profile(_pinched(), None, 0.5)
    root = ET.fromstring(draw_profile_svg(measured, title="pinched"))
    dots = {dot.get("data-segment"): dot for dot in root.iter(SVG + "circle") if dot.get("data-segment")}
    assert list(dots) == [segment.segment for segment in measured.segments]
    by_depth = [float(dots[segment.segment].get("cx", "")) for segment in measured.segments]
    assert by_depth == sorted(by_depth)
    by_size = sorted(measured.segments, key=lambda segment: -segment.elements)
    heights = [float(dots[segment.segment].get("cy", "")) for segment in by_size]
    assert heights == sorted(heights)
    (ring,) = [circle for circle in root.iter(SVG + "circle") if "worst" in circle.get("class", "")]
    worst = dots[measured.worst.segment]
    assert (ring.get("cx"), ring.get("cy")) == (worst.get("cx"), worst.get("cy"))
    assert "violated" in ring.get("class", "")
    words = ["".join(text.itertext()) for text in root.iter(SVG + "text")]
    assert "stage2.reduction: 83,232 elements, 0.39 of the line" in words


@pytest.mark.parametrize("name", seed_names())
def test_svg_keeps_everything_on_the_page(name: str) -> None:
    root = ET.fromstring(draw_profile_svg(profile(seed(name), None, 0.5), title=name))
    _, _, width, height = (float(size) for size in root.get("viewBox", "").split())
    for text in root.iter(SVG + "text"):
        tip = text.find(SVG + "title")
        words = "".join(text.itertext()).removeprefix((tip.text or "") if tip is not None else "")
        kinds = (text.get("class") or "").split()
        long = len(words) * (10.5 if "heading" in kinds else 7.2)
        x = float(text.get("x", "")) - (long if "end" in kinds else long / 2 if "middle" in kinds else 0)
        assert x >= 0, words
        assert x + long <= width, words
        assert 12 <= float(text.get("y", "")) <= height - 4
    for circle in root.iter(SVG + "circle"):
        assert 0 < float(circle.get("cx", "")) < width
        assert 0 < float(circle.get("cy", "")) < height


def test_svg_is_safe_and_stands_alone() -> None:
    svg = draw_profile_svg(SMALL, title=HOSTILE)
    root = ET.fromstring(svg.encode())
    assert not list(root.iter(SVG + "script"))
    assert "alert(1)" in root.get("aria-label", "")
    assert "prefers-color-scheme: dark" in svg
    assert re.findall(r"https?://[^\"' ]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in svg
    assert "@import" not in svg


@pytest.mark.parametrize(
    ("low", "high", "most", "found"),
    [
        (70_000, 700_000, 7, [100_000, 200_000, 500_000]),
        (4, 20_000, 8, [10, 30, 100, 300, 1000, 3000, 10_000]),
        (1, 1e9, 5, [1, 1e2, 1e4, 1e6, 1e8]),
        (21, 29, 5, []),
    ],
)
def test_ticks_are_round_and_few(low: float, high: float, most: int, found: list[float]) -> None:
    assert ticks(low, high, most) == pytest.approx(found)


@pytest.mark.parametrize(
    ("value", "text"), [(500_000, "500 k"), (2e6, "2 M"), (50_000, "50 k"), (10, "10"), (100, "100")]
)
def test_ticks_are_written_short(value: float, text: str) -> None:
    assert tick_text(value) == text


def test_one_segment_is_enough() -> None:
    alone = Profile((_segment("stem", 0.0, 1.0, 50, 100.0),), 100, 0.5)
    assert math.isclose(alone.line(0.3), 100)
    assert "X" in draw_profile_text(alone, width=40)
    ET.fromstring(draw_profile_svg(alone))
