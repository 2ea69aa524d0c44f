"""Published results laid over the scatter of a study: open symbols of their own, never part of its front."""

from collections.abc import Sequence
from typing import Any

from results.blocks import quantity
from results.figures import chart_text, is_fraction, shown, spoken
from results.published import Published

_SYMBOLS = {"single crop": "square-open", "multi-crop": "triangle-up-open", "ensemble": "hexagon-open"}


def with_published(figure: dict[str, Any], points: Sequence[Published], x: str, y: str) -> dict[str, Any]:
    """Return the figure of cost ``x`` and objective ``y`` with the points that have both, a trace for each table.

    The colour's name, in ``meta``, is "published". Costs are those of one network for one picture, whatever is averaged
    over. The axes are widened so that all points are in sight.
    """
    drawn = [(each, each.cost(x), each.error(y)) for each in points]
    known = [(each, cost, error) for each, cost, error in drawn if cost is not None and error is not None]
    if not known:
        return figure
    traces: list[dict[str, Any]] = []
    for table in dict.fromkeys(each.table for each, *_ in known):
        rows = [row for row in known if row[0].table == table]
        tested, source = rows[0][0].tested, rows[0][0].source
        look = {"symbol": _SYMBOLS[tested], "size": 11, "line": {"width": 2}}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [cost for _, cost, _ in rows],
                "y": [float(f"{(100 if is_fraction(y) else 1) * error:.6g}") for *_, error in rows],
                "marker": look,
                "hoverinfo": "text",
                "hovertext": [_hover(each, x, cost) for each, cost, _ in rows],
                "name": f"published, {tested} ({source})",
                "meta": "published",
            }
        )
    layout = dict(figure["layout"])
    places = [point for trace in traces for point in zip(trace["x"], trace["y"], strict=True)]
    for n, axis in enumerate("xy"):
        plain = layout[f"{axis}axis"]
        layout[f"{axis}axis"] = {**plain, "range": _widened(plain["range"], [row[n] for row in places])}
    return {"data": [*figure["data"], *traces], "layout": layout}


def _widened(shown: Sequence[float], values: Sequence[float]) -> list[float]:
    """The axis with room for the values, too."""
    low, high = min(*shown, *values), max(*shown, *values)
    room = 0.06 * (high - low)
    return [min(shown[0], min(values) - room), max(shown[1], max(values) + room)]


def _hover(point: Published, x: str, cost: float) -> str:
    errors = (("top-1", point.top1), ("top-5", point.top5))
    told = ", ".join(f"{name} error {shown('error', error)}" for name, error in errors if error is not None)
    counted = "counted here" if point.seed else "as printed"
    lines = (point.name, f"published: {told}", point.crops, point.source, f"{spoken(x)} {quantity(cost)}, {counted}")
    return "<br>".join(map(chart_text, lines))
