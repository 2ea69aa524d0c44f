"""The size of the representation along the depth as an SVG."""

import math
import textwrap

from results.markup import Markup, asset, element, join, with_literals
from results.profile import Profile, Segment, short_names, tick_text, ticks, verdict
from results.strokes import Layer, points, px, rect

# Pixels.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 820, 440, 72, 20, 98, 372
_LETTER = 7.0  # one letter of 12 px, on average
_LEGEND = (("measured", "measured"), ("line", "a gentle decrease"), ("least", "{share:g} of it, the least that passes"))


def draw_profile_svg(profile: Profile, *, title: str = "") -> str:
    """Return a standalone SVG: elements of every segment's narrowest cut over depth, the line, and the least.

    It follows the reader's light or dark setting and can also be put into an HTML page as it is.
    """
    plot, sheet = _Plot(profile), Layer()
    _draw_regions(sheet, plot, profile)
    _draw_scale(sheet, plot, profile)
    _draw_lines(sheet, plot, profile)
    _draw_worst(sheet, plot, profile)
    _draw_heading(sheet, profile, title)
    return element(
        "svg",
        element("style", with_literals(join(asset("drawing.css"), asset("profile.css")))),
        rect(0, 0, _WIDTH, _HEIGHT, "paper"),
        *sheet.shapes,
        xmlns="http://www.w3.org/2000/svg",
        class_="nas-drawing",
        role="img",
        aria_label=f"Size of the representation along the depth of {title or 'an architecture'}. "
        f"Lowest: {verdict(profile)}",
        width=_WIDTH,
        height=_HEIGHT,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
    )


class _Plot:
    """Where depths and elements lie on the page: depth linear to the right, elements logarithmic upwards."""

    def __init__(self, profile: Profile) -> None:
        low, self.most = profile.bounds
        self.least = low / 1.4  # room for the words below the lowest place
        self._low, self._high = math.log(self.least), math.log(self.most)

    def x(self, depth: float) -> float:
        return _LEFT + depth * (_WIDTH - _LEFT - _RIGHT)

    def y(self, elements: float) -> float:
        return _TOP + (self._high - math.log(elements)) / (self._high - self._low) * (_BOTTOM - _TOP)


def _draw_regions(sheet: Layer, plot: _Plot, profile: Profile) -> None:
    for i, region in enumerate(profile.regions):
        left, right = plot.x(region.start), plot.x(region.end)
        tip = element("title", region.name)
        sheet.shapes.append(element("g", tip, rect(left, _TOP, right - left, _BOTTOM - _TOP, f"band-{i % 2}")))
        room = (right - left) / _LETTER
        name = next(name for name in short_names(region.name) if len(name) < room or not name)
        if name:
            sheet.text((left + right) / 2, _BOTTOM + 18, "grid middle", name, tip=region.name)
    sheet.text(_LEFT, _BOTTOM + 42, "muted", "input")
    sheet.text((_LEFT + _WIDTH - _RIGHT) / 2, _BOTTOM + 42, "muted middle", "depth: convolutions on the longest path")
    sheet.text(_WIDTH - _RIGHT, _BOTTOM + 42, "muted end", "final representation")


def _draw_scale(sheet: Layer, plot: _Plot, profile: Profile) -> None:
    for value in ticks(plot.least, plot.most, 8):
        y = plot.y(value)
        sheet.shapes.append(element("polyline", class_="axis", points=points((_LEFT, y), (_WIDTH - _RIGHT, y))))
        sheet.text(_LEFT - 8, y + 4, "muted end", tick_text(value))
    sheet.text(8, _TOP - 10, "muted", "elements, log scale")


def _draw_lines(sheet: Layer, plot: _Plot, profile: Profile) -> None:
    ends = [(plot.x(depth), plot.y(profile.line(depth))) for depth in (0.0, 1.0)]
    least = [(plot.x(depth), plot.y(profile.line(depth) * profile.share)) for depth in (0.0, 1.0)]
    floor = [(plot.x(1.0), float(_BOTTOM)), (plot.x(0.0), float(_BOTTOM))]
    sheet.shapes.append(element("polygon", class_="short", points=points(*least, *floor)))
    sheet.shapes.append(element("polyline", class_="line", points=points(*ends)))
    sheet.shapes.append(element("polyline", class_="least", points=points(*least)))
    measured = [(plot.x(depth), plot.y(elements)) for depth, elements in profile.points]
    sheet.shapes.append(element("polyline", class_="measured", points=points(*measured)))
    for segment in profile.segments:
        tip = f"up to {segment.segment}: {segment.elements:,} elements, {segment.ratio:.2f} of {segment.line:,.0f}"
        sheet.shapes.append(_dot(plot, segment, 4, "cut", element("title", tip), data_segment=segment.segment))


def _dot(plot: _Plot, segment: Segment, radius: int, class_: str, *children: Markup, **attributes: str) -> Markup:
    centre = {"cx": px(plot.x(segment.depth)), "cy": px(plot.y(segment.elements))}
    return element("circle", *children, class_=class_, r=radius, **centre, **attributes)


def _draw_worst(sheet: Layer, plot: _Plot, profile: Profile) -> None:
    worst = profile.worst
    words = f"{worst.unit}: {worst.elements:,} elements, {worst.ratio:.2f} of the line"
    violated = " violated" if worst.ratio < profile.share else ""
    sheet.shapes.append(_dot(plot, worst, 9, f"worst{violated}"))
    half = len(words) * _LETTER / 2
    x = min(max(plot.x(worst.depth), _LEFT + half + 4), _WIDTH - _RIGHT - half - 4)
    sheet.text(x, plot.y(worst.elements) + 26, "label middle", words)


def _draw_heading(sheet: Layer, profile: Profile, title: str) -> None:
    shown = textwrap.shorten(title, 60, placeholder="...") or "Size of the representation"
    sheet.text(16, 28, "heading", shown, tip=title)
    passed = "passes" if profile.worst.ratio >= profile.share else "a bottleneck"
    said = f"elements that get through, from input to output; lowest: {profile.worst.ratio:.2f} of the line, {passed}"
    sheet.text(16, 46, "muted", said)
    x = 16.0
    for kind, text in _LEGEND:
        words = text.format(share=profile.share)
        sheet.shapes.append(element("polyline", class_=kind, points=points((x, 65), (x + 28, 65))))
        sheet.text(x + 34, 69, "muted", words)
        x += 34 + len(words) * _LETTER + 20
