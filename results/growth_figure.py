"""The figure of the hypervolume by trial, in plotly's JSON form."""

from typing import Any

from results.figures import chart_text, framed, shown, spoken
from results.growth import ALL, Growth
from results.outcome import origin_called

_LONG = 32  # letters, beyond which a line of the title would not fit on a narrow screen
_COLOURS = {ALL: "trials"}


def hypervolume_by_trial(growth: Growth) -> dict[str, Any] | None:
    """Stairs of the hypervolume after so many trials that used up budget; None where no trial is comparable.

    Colours, by ``meta``: "trials" (all together), "sampler" and "random" (the arms). Only where a line rises it has
    points, and at its ends.
    """
    traces = []
    for arm, sizes in growth.sizes.items():
        rises = [n for n, size in enumerate(sizes) if n in (0, len(sizes) - 1) or size != sizes[n - 1]]
        trace = {"type": "scatter", "mode": "lines", "x": [n + 1 for n in rises], "y": [sizes[n] for n in rises]}
        look = {"line": {"shape": "hv", "width": 2, "dash": "dot" if arm == ALL else "solid"}}
        name = "all trials" if arm == ALL else origin_called(arm)
        traces.append(trace | look | {"name": name, "meta": _COLOURS.get(arm, arm)})
    if not growth.reference_point or not any(trace["x"] for trace in traces):
        return None
    corner = ", ".join(
        chart_text(f"{spoken(name)} {shown(name, value)}") for name, value in growth.reference_point.items()
    )
    apart = "<br>" if len(corner) > _LONG else " "
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": framed(
            {
                "title": {"text": f"trials that used up budget<br>hypervolume up to{apart}{corner}", "standoff": 10},
                "rangemode": "tozero",
                "automargin": True,
            },
            {"title": {"text": "hypervolume"}, "rangemode": "tozero", "exponentformat": "power"},
        ),
    }
