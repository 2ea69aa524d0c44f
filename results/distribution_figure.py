"""The figure of the distributions of error at equal cost, in plotly's JSON form."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from results.blocks import quantity
from results.distributions import Band, Distributions
from results.figures import REFERENCE, chart_text, framed, is_fraction, spoken, suffix
from results.label_places import label_places
from results.outcome import origin_called

_Y = (0, 1.02)
_DASHES = ("solid", "dash", "dashdot", "dot")  # by band, from the cheapest


def distributions_figure(found: Distributions) -> dict[str, Any] | None:
    """Stairs: the share of an arm's trials in a band of MACs that is at most as large as a value; None without bands.

    Bands differ by their dashes, arms by colour. Stars are published networks, at the share of their band (all arms
    together) that is at most as large as their value. Colours, by ``meta``: "sampler", "random", "seeds", "reference".
    """
    if not found.bands:
        return None
    scale = 100 if is_fraction(found.objective) else 1
    traces = [
        _stairs(band, arm, dash, scale) for band, dash in zip(found.bands, _DASHES, strict=False) for arm in band.arms
    ]
    stars = [star for band in found.bands for star in _stars(band, scale)]
    _name_stars(stars, [value for trace in (*traces, *stars) for value in trace["x"]])
    traces += stars
    return {
        "data": traces,
        "layout": framed(
            {
                "title": {"text": chart_text(spoken(found.objective)), "standoff": 10},
                "ticksuffix": suffix(found.objective),
            },
            {"title": {"text": "share of the arm's trials"}, "range": list(_Y), "tickformat": ".0%"},
        ),
    }


def _stairs(band: Band, arm: str, dash: str, scale: int) -> dict[str, Any]:
    values = band.arms[arm]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [float(f"{scale * value:.6g}") for value in (values[0], *values)],
        "y": [n / len(values) for n in range(len(values) + 1)],
        "line": {"shape": "hv", "width": 2, "dash": dash},
        "name": f"{origin_called(arm)}, {quantity(band.low)} to {quantity(band.high)} MACs",
        "meta": arm,
    }


def _stars(band: Band, scale: int) -> list[dict[str, Any]]:
    every = sorted(value for values in band.arms.values() for value in values)
    shares = [bisect_right(every, mark.value) / len(every) if every else 0.0 for mark in band.seeds]
    return [
        {
            "type": "scatter",
            "mode": "markers+text",
            "x": [float(f"{scale * mark.value:.6g}")],
            "y": [share],
            "text": [chart_text(mark.name)],
            "cliponaxis": False,
            "marker": {"symbol": "star", "size": 13},
            "name": chart_text(mark.name),
            "showlegend": False,
            "meta": "reference" if mark.name == REFERENCE else "seeds",
        }
        for mark, share in zip(band.seeds, shares, strict=True)
    ]


def _name_stars(stars: Sequence[dict[str, Any]], x: Sequence[float]) -> None:
    """Put the names of the stars where they do not cover each other, in a chart of so many values to the right."""
    spots = [(star["x"][0], star["y"][0]) for star in stars]
    names = [star["name"] for star in stars]
    for star, place in zip(stars, label_places(spots, names, (min(x), max(x)), _Y, "top center"), strict=True):
        star["textposition"] = place
