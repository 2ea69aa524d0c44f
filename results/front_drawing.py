"""The place of one trial among the others of its study, as an SVG: the report's figure, drawn once and for all."""

import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from results.blocks import quantity
from results.chart import HEIGHT, Axis, Chart
from results.figures import is_fraction, quality, quality_against_cost, shown, spent, spoken, suffix, thrift
from results.label_places import label_places
from results.markup import Markup, element
from results.outcome import Direction, TrialRecord
from results.pareto import front
from results.strokes import points, px

_STAR = [(0.0, -8.0), (1.9, -2.6), (7.6, -2.5), (3.1, 1.0), (4.7, 6.5), (0.0, 3.2)]  # its right half
_HERE = "this network"
_SIDES = {"left": -1, "center": 0, "right": 1}
_GAP = 11  # pixels from the middle of a point to its name


class _Spot(NamedTuple):
    """A value to the right and one upwards."""

    x: float
    y: float


def draw_front_svg(trials: Iterable[TrialRecord], objectives: Mapping[str, Direction], number: int) -> str | None:
    """Return a standalone SVG of a study's complete trials with a ring around trial ``number``.

    None where that trial is not among those that can be drawn: complete, with all objectives.
    """
    known = list(trials)
    found = front(known, objectives)
    figure = quality_against_cost(known, found)
    here = next((trial for trial in known if trial.number == number), None)
    names = (thrift(objectives), quality(objectives))
    if figure is None or here is None:
        return None
    cost, value = spent(here, names[0]), here.values.get(names[1])
    if cost is None or value is None:
        return None
    spot = _Spot(cost, value * (100 if is_fraction(names[1]) else 1))
    on_front = any(member.number == number for member in found.members)
    said = f"{spoken(names[1])} {shown(names[1], value)}"
    return _drawn(figure, spot, names, said, on_front=on_front)


def _drawn(figure: Mapping[str, Any], here: _Spot, names: tuple[str, str], value: str, *, on_front: bool) -> str:
    x, y = names
    traces: list[dict[str, Any]] = list(figure["data"])
    place = "on the front" if on_front else "off the front"
    said = f"trial by trial: {spoken(y)} against {spoken(x)} of the target; this network is {place}"
    chart = Chart(
        Axis(f"{spoken(x)} of the target", *_range(figure, "x"), lambda cost: f"{quantity(cost)}{suffix(x)}"),
        Axis(spoken(y), *_range(figure, "y"), lambda each: f"{each:.6g}{suffix(y)}"),
        heading="Place in its study",
        said=said,
    )
    _draw_trials(chart, [trace for trace in traces if trace["meta"] in ("trials", "random")])
    for trace in traces:
        if trace["mode"] == "lines":
            _draw_stairs(chart, _spots(trace))
    members = [spot for trace in traces if _is_front(trace) for spot in _spots(trace)]
    for spot in members:
        chart.sheet.shapes.append(_at(chart, spot, _diamond()))
    stars = [
        (spot, html.unescape(name))
        for trace in traces
        if "text" in trace
        for spot, name in zip(_spots(trace), trace["text"], strict=True)
    ]
    for spot, _ in stars:
        chart.sheet.shapes.append(_at(chart, spot, _star()))
    chart.sheet.shapes.append(_at(chart, here, _ring()))
    _draw_names(chart, [(here, _HERE), *stars])
    _draw_legend(chart, members=bool(members), stars=bool(stars))
    return chart.svg("chart.css", label=f"Place of this network among the trials of its study, {place}; {value}")


def _is_front(trace: Mapping[str, Any]) -> bool:
    return bool(trace["meta"] == "front" and trace["mode"] == "markers" and trace["marker"]["symbol"] == "diamond")


def _spots(trace: Mapping[str, Any]) -> list[_Spot]:
    return [_Spot(x, y) for x, y in zip(trace["x"], trace["y"], strict=True)]


def _range(figure: Mapping[str, Any], side: str) -> tuple[float, float]:
    """The figure's axis, which does not reach below zero unless a value does."""
    low, high = figure["layout"][f"{side}axis"]["range"]
    return (max(low, 0.0) if min(min(trace[side]) for trace in figure["data"]) >= 0 else low), high


def _draw_trials(chart: Chart, traces: Sequence[Mapping[str, Any]]) -> None:
    """One path for all of them: of ten thousand trials many lie on the same pixel."""
    spots = [spot for trace in traces for spot in _spots(trace)]
    at = dict.fromkeys(f"M{px(chart.x(spot.x))} {px(chart.y(spot.y))}h0" for spot in spots)
    if at:
        chart.sheet.shapes.append(element("path", class_="trials", d="".join(at)))
        chart.legend("complete trials", element("path", class_="trials", d="M0 0h0"))


def _draw_stairs(chart: Chart, spots: Sequence[_Spot]) -> None:
    """Level from a member to the cost of the next, then to its value."""
    corners = [spots[0]]
    for before, after in pairwise(spots):
        corners += [_Spot(after.x, before.y), after]
    chart.line("stairs", *corners)


def _draw_names(chart: Chart, named: Sequence[tuple[_Spot, str]]) -> None:
    spots, words = [spot for spot, _ in named], [name for _, name in named]
    across_range, up_range = ((axis.low, axis.high) for axis in (chart.x_axis, chart.y_axis))
    places = label_places(spots, words, across_range, up_range)
    for (x, y), name, side in zip(spots, words, places, strict=True):
        upright, _, across = side.partition(" ")
        to = _SIDES[across]
        down = {"top": -_GAP - 3, "middle": 4, "bottom": _GAP + 12}[upright]
        anchor = {-1: " end", 0: " middle", 1: ""}[to]
        at = chart.x(x) + to * _GAP, min(chart.y(y) + down, HEIGHT - 4.0)
        chart.sheet.text(*at, f"name{' this' if name == _HERE else ''}{anchor}", name)


def _draw_legend(chart: Chart, *, members: bool, stars: bool) -> None:
    if members:
        chart.legend("front", _diamond())
    if stars:
        chart.legend("published networks", _star())
    chart.legend(_HERE, _ring())


def _at(chart: Chart, spot: _Spot, mark: Markup) -> Markup:
    return element("g", mark, transform=f"translate({px(chart.x(spot.x))} {px(chart.y(spot.y))})")


def _diamond() -> Markup:
    return element("polygon", class_="front", points=points((0, -6), (6, 0), (0, 6), (-6, 0)))


def _star() -> Markup:
    left = [(-x, y) for x, y in reversed(_STAR) if x]
    return element("polygon", class_="seeds", points=points(*_STAR, *left))


def _ring() -> Markup:
    return element("circle", class_="here", r=10)
