"""Where the names beside points of a chart go, so that they cover neither each other nor the points."""

from collections.abc import Mapping, Sequence

# Sizes in shares of a chart of about 900 x 430 px with letters of 12 px.
_LETTER, _HEIGHT = 0.0085, 0.045
_RIGHT, _UP = 0.012, 0.026  # from the middle of a point to its edge
_SIDES = {"bottom center": (0, -1), "top center": (0, 1), "middle right": (1, 0), "middle left": (-1, 0)}
_SIDES |= {"bottom right": (1, -1), "bottom left": (-1, -1), "top right": (1, 1), "top left": (-1, 1)}

Box = tuple[float, float, float, float]  # left, bottom, right, top; the chart is 0 to 1


def label_places(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    x: Sequence[float],
    y: Sequence[float],
    first: str = "bottom center",
) -> list[str]:
    """Return plotly's ``textposition`` for the name of each point.

    One after another takes the place that covers least of the points, of the names before it and of what lies outside
    of the chart, whose ends are ``x`` and ``y``; where it makes no difference ``first``, which is plotly's word, too.
    """
    (left, right), (bottom, top) = x, y
    spots = [((a - left) / ((right - left) or 1), (b - bottom) / ((top - bottom) or 1)) for a, b in points]
    taken = [(a - _RIGHT, b - _UP, a + _RIGHT, b + _UP) for a, b in spots]
    sides: Mapping[str, tuple[int, int]] = {first: _SIDES[first], **_SIDES}
    chosen = []
    for spot, name in zip(spots, names, strict=True):
        boxes = {side: _box(spot, name, *way) for side, way in sides.items()}
        side = min(boxes, key=lambda each: _outside(boxes[each]) + sum(_shared(boxes[each], box) for box in taken))
        taken.append(boxes[side])
        chosen.append(side)
    return chosen


def _box(spot: tuple[float, float], name: str, right: int, up: int) -> Box:
    """The name's box on one side of a point."""
    width = len(name) * _LETTER
    left = spot[0] + {1: _RIGHT, 0: -width / 2, -1: -_RIGHT - width}[right]
    bottom = spot[1] + {1: _UP, 0: -_HEIGHT / 2, -1: -_UP - _HEIGHT}[up]
    return left, bottom, left + width, bottom + _HEIGHT


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _outside(box: Box) -> float:
    """The area of a box that lies outside of the chart."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, (0.0, 0.0, 1.0, 1.0))
