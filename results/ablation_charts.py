"""The charts of an ablation as SVG: error against MACs, and the distributions of error at equal MACs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.ablation import Ablation, Arm
from results.blocks import quantity
from results.equal_cost import Point, partners
from results.markup import Markup, element, join

WIDTH, HEIGHT = 560, 360
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 30, 44


@dataclass(frozen=True)
class Axis:
    """Maps values from ``low`` to ``high`` to pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values on the axis: 1, 2 and 5 times powers of ten, or multiples of one of these."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [times * 10.0**power for power in powers for times in (1, 2, 5)]
        else:
            size = 10 ** math.floor(math.log10(self.high - self.low))
            step = next(s * size for s in (0.2, 0.5, 1, 2) if (self.high - self.low) / (s * size) <= 8)
            found = [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [tick for tick in found if self.low <= tick <= self.high]


def scatter(ablation: Ablation) -> Markup:
    """Error against MACs: discs with the principle on, rings with it off, crosses on those that break it."""
    every = [point for arm in (ablation.on, ablation.off) for point in arm.points]
    if not every:
        return Markup()
    x = _axis([point.macs for point in every], LEFT, WIDTH - RIGHT)
    y = _axis([point.error for point in every], HEIGHT - BOTTOM, TOP, logarithmic=True)
    frame = [*_horizontal(x, "MACs of the target", quantity), *_vertical(y, _percent)]
    marks = [element("g", *(_mark(arm, p, x, y) for p in arm.points), class_=arm.word) for arm in _arms(ablation)]
    label = f"Scatter of error against MACs: {len(ablation.on.points)} trials on, {len(ablation.off.points)} off."
    told = "Error against MACs. Discs: on. Rings: off; a cross in the ring: the trial breaks the principle."
    return _figure(label, told, [*frame, *marks, *_legend()])


def distributions(ablation: Ablation) -> Markup:
    """The share of trials below each error, weighted so that both arms have about the same MACs."""
    weights = partners(ablation.on.points, ablation.off.points)
    paired = [
        p for arm, w in zip(_arms(ablation), weights, strict=True) for p, n in zip(arm.points, w, strict=True) if n
    ]
    if not paired:
        return Markup()
    x = _axis([point.error for point in paired], LEFT, WIDTH - RIGHT, logarithmic=True)
    y = Axis(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    frame = [*_horizontal(x, "error", _percent), *_vertical(y, lambda share: f"{share:.0%}")]
    lines = [
        element("g", element("path", d=_steps(arm.points, counts, x, y), class_="step"), class_=arm.word)
        for arm, counts in zip(_arms(ablation), weights, strict=True)
    ]
    told = "Share of trials with at most this error, at equal MACs: each counts as often as it has partners."
    return _figure("Distribution of error per arm, at equal MACs.", told, [*frame, *lines, *_legend()])


def _arms(ablation: Ablation) -> tuple[Arm, Arm]:
    return ablation.on, ablation.off


def _axis(values: Sequence[float], start: float, end: float, *, logarithmic: bool = False) -> Axis:
    """An axis with room on both sides; a logarithmic one only where every value is positive."""
    low, high = min(values), max(values)
    if logarithmic and low > 0:
        room = max((high / low) ** 0.06, 1.05)
        return Axis(low / room, high * room, start, end, logarithmic=True)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    return Axis(low - room, high + room, start, end)


def _percent(error: float) -> str:
    return f"{100 * error:.3g} %"


def _horizontal(axis: Axis, title: str, write: Callable[[float], str]) -> list[Markup]:
    found = []
    for tick in axis.ticks():
        at = f"{axis.at(tick):.1f}"
        found.append(element("line", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
        found.append(element("text", write(tick), x=at, y=HEIGHT - BOTTOM + 16, text_anchor="middle"))
    found.append(element("text", title, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, text_anchor="middle"))
    return found


def _vertical(axis: Axis, write: Callable[[float], str]) -> list[Markup]:
    found = []
    for tick in axis.ticks():
        at = axis.at(tick)
        found.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="grid"))
        found.append(element("text", write(tick), x=LEFT - 6, y=f"{at + 4:.1f}", text_anchor="end"))
    return found


def _mark(arm: Arm, point: Point, x: Axis, y: Axis) -> Markup:
    at, up = f"{x.at(point.macs):.1f}", f"{y.at(point.error):.1f}"
    broken = ", breaks it" if point.breaks else ""
    told = f"error {_percent(point.error)}, {quantity(point.macs)} MACs{broken}"
    title = element("title", f"{arm.studies[point.repeat]}:{point.number}, {told}")
    mark = element("circle", title, cx=at, cy=up, r=4.5, class_="dot" if arm.on else "ring")
    if not point.breaks:
        return mark
    return join(mark, element("path", d=f"M{at} {up}m-3 -3l6 6m0 -6l-6 6", class_="cross"))


def _steps(points: Sequence[Point], weights: Sequence[int], x: Axis, y: Axis) -> str:
    """The path of the weighted distribution function, from its first step to the right edge."""
    total, summed = sum(weights), 0
    path = [f"M{x.start} {y.at(0):.1f}"]
    for error, weight in sorted(zip((point.error for point in points), weights, strict=True)):
        if weight:
            summed += weight
            path.append(f"H{x.at(error):.1f}V{y.at(summed / total):.1f}")
    return "".join([*path, f"H{x.end}"])


def _legend() -> list[Markup]:
    return [
        element("text", "on", x=LEFT, y=18, class_="on"),
        element("text", "off", x=LEFT + 40, y=18, class_="off"),
    ]


def _figure(label: str, told: str, content: Sequence[Markup]) -> Markup:
    box = f"0 0 {WIDTH} {HEIGHT}"
    svg = element("svg", *content, viewBox=box, role="img", aria_label=label, xmlns="http://www.w3.org/2000/svg")
    return element("figure", svg, element("figcaption", told))
