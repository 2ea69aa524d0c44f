"""How the error fell from epoch to epoch, as an SVG."""

import math
from collections.abc import Mapping, Sequence

from results.chart import Axis, Chart
from results.markup import element
from results.strokes import px

MOST_SERIES = 3  # that can be told apart by dash and colour

Curve = Sequence[tuple[int, float]]  # epoch and error, a fraction


def draw_curve_svg(series: Mapping[str, Curve]) -> str | None:
    """Return a standalone SVG of up to three errors by name over the epochs; None with fewer than two epochs.

    Errors that are not finite are left out. More than three series are a ValueError.
    """
    if len(series) > MOST_SERIES:
        raise ValueError(f"{len(series)} series in one curve: {MOST_SERIES} at most can be told apart")
    known = {name: [(e, 100 * v) for e, v in sorted(curve) if math.isfinite(v)] for name, curve in series.items()}
    drawn = {name: curve for name, curve in known.items() if curve}
    epochs = [epoch for curve in drawn.values() for epoch, _ in curve]
    if len(set(epochs)) < 2:
        return None
    errors = [error for curve in drawn.values() for _, error in curve]
    first, least = next((name, min(curve, key=lambda at: at[1])) for name, curve in drawn.items())
    room = 0.06 * (max(errors) - min(errors)) or 1.0
    low = max(0.0, min(errors) - room)
    said = f"lowest {first}: {least[1]:.2f} % after epoch {least[0]}"
    chart = Chart(
        Axis("epochs", float(min(epochs)), float(max(epochs)), _whole),
        Axis("error", low, max(errors) + room, lambda error: f"{error:.6g} %"),
        heading="Training",
        said=said,
    )
    for n, (name, curve) in enumerate(drawn.items()):
        chart.line(f"series series-{n}", *curve)
        chart.legend(name, element("polyline", class_=f"series series-{n}", points="-10,0 10,0"))
    centre = {"cx": px(chart.x(least[0])), "cy": px(chart.y(least[1]))}
    chart.sheet.shapes.append(element("circle", class_="least", r=4.5, **centre))
    return chart.svg("chart.css", label=f"Errors of the training over its epochs; {said}")


def _whole(epoch: float) -> str:
    """Only whole epochs are written."""
    return f"{epoch:.0f}" if abs(epoch - round(epoch)) < 1e-9 else ""
