"""The frame of a drawn chart: two linear axes with their marks, a heading, and a legend."""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.markup import Markup, asset, element, join, with_literals
from results.strokes import Layer, Point, points, rect

# Pixels.
WIDTH, HEIGHT = 820, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 112, 396
LETTER = 7.0  # one letter of 12 px, on average
_MARKS = 7  # of one axis, at most


@dataclass(frozen=True)
class Axis:
    """One side: from ``low`` to a higher ``high``; ``text`` writes a number there, "" where it gets no mark."""

    label: str
    low: float
    high: float
    text: Callable[[float], str]


class Chart:
    """A sheet with its frame, and where values lie on it: draw on ``sheet``, then take the ``svg``."""

    def __init__(self, x: Axis, y: Axis, *, heading: str, said: str) -> None:
        """``heading``: the title; ``said``: a line below it."""
        self.x_axis, self.y_axis = x, y
        self.sheet = Layer()
        self._legend_end = 16.0
        self.sheet.text(16, 28, "heading", textwrap.shorten(heading, 70, placeholder="..."), tip=heading)
        self.sheet.text(16, 46, "muted", textwrap.shorten(said, 112, placeholder="..."), tip=said)
        self._marks()

    def x(self, value: float) -> float:
        """Pixels from the left."""
        axis = self.x_axis
        return LEFT + (value - axis.low) / (axis.high - axis.low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        axis = self.y_axis
        return BOTTOM - (value - axis.low) / (axis.high - axis.low) * (BOTTOM - TOP)

    def line(self, class_: str, *through: Point) -> None:
        """Draw a line through points that are given as values."""
        at = [(self.x(x), self.y(y)) for x, y in through]
        self.sheet.shapes.append(element("polyline", class_=class_, points=points(*at)))

    def legend(self, words: str, *marks: Markup) -> None:
        """Add an entry; ``marks`` are drawn around (0, 0)."""
        x = self._legend_end
        self.sheet.shapes.append(element("g", *marks, transform=f"translate({x + 10:.1f} 66)"))
        self.sheet.text(x + 26, 70, "muted", words)
        self._legend_end = x + 26 + len(words) * LETTER + 18

    def svg(self, *sheets: str, label: str) -> str:
        """Return the standalone SVG, styled by these style sheets besides the drawings' own."""
        return element(
            "svg",
            element("style", with_literals(join(asset("drawing.css"), *map(asset, sheets)))),
            rect(0, 0, WIDTH, HEIGHT, "paper"),
            *self.sheet.lines,
            *self.sheet.shapes,
            xmlns="http://www.w3.org/2000/svg",
            class_="nas-drawing",
            role="img",
            aria_label=label,
            width=WIDTH,
            height=HEIGHT,
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
        )

    def _marks(self) -> None:
        sheet = self.sheet
        for value in steps(self.y_axis.low, self.y_axis.high, _MARKS):
            y = self.y(value)
            sheet.lines.append(element("polyline", class_="axis", points=points((LEFT, y), (WIDTH - RIGHT, y))))
            sheet.text(LEFT - 8, y + 4, "muted end", self.y_axis.text(value))
        for value in steps(self.x_axis.low, self.x_axis.high, _MARKS):
            x, words = self.x(value), self.x_axis.text(value)
            if not words:
                continue
            sheet.lines.append(element("polyline", class_="axis", points=points((x, BOTTOM), (x, BOTTOM + 5))))
            sheet.text(x, BOTTOM + 20, "muted middle", words)
        sheet.lines.append(element("polyline", class_="axis", points=points((LEFT, BOTTOM), (WIDTH - RIGHT, BOTTOM))))
        sheet.text(8, TOP - 14, "muted", self.y_axis.label)
        sheet.text((LEFT + WIDTH - RIGHT) / 2, BOTTOM + 46, "muted middle", self.x_axis.label)


def steps(low: float, high: float, most: int) -> Sequence[float]:
    """Round numbers in equal steps of 1, 2 or 5 times a power of ten from ``low`` to ``high``: at most ``most``."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
