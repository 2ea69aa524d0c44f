"""Figures as plain data in plotly's JSON form: whoever shows them chooses the colours by each trace's ``meta``."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from results.blocks import quantity
from results.label_places import label_places
from results.markup import Markup
from results.outcome import TrialRecord, origin_called
from results.pareto import Front, measured

MEASURED = ("latency_ms", "measured_memory_bytes")  # costs that stand among a trial's values
COSTS = ("macs", "params", "macs_with_aux", "params_with_aux", "activation_bytes", "peak_memory_bytes", *MEASURED)
REFERENCE = "inception-v3"  # what every result is compared with

_LETTERS = 60  # of one line of a label

_NAMES = {"macs": "MACs", "params": "parameters", "activation_bytes": "activations"}


def quality(objectives: Mapping[str, str]) -> str:
    """The objective that is drawn upwards: the first that is not a cost, else the first."""
    return next((name for name in objectives if name not in COSTS), next(iter(objectives)))


def thrift(objectives: Iterable[str]) -> str:
    """The cost that is drawn to the right: MACs, unless only other costs are objectives."""
    costs = [name for name in objectives if name in COSTS]
    return "macs" if not costs or "macs" in costs else costs[0]


def spent(trial: TrialRecord, name: str) -> float | None:
    """What a trial takes of a cost, counted or measured; None where it is not known."""
    return (trial.values if name in MEASURED else trial.costs).get(name)


def is_fraction(name: str) -> bool:
    """Whether an objective is a fraction of pictures and shown in percent: ``error``, ``top1_error``, ``accuracy``."""
    return name.rsplit("_", 1)[-1] in ("error", "accuracy")


def shown(name: str, value: float) -> str:
    """An objective's value as people read it, with its unit: ``3.21 %``, ``5.71 G``, ``95.3 MB``, ``12.3 ms``."""
    if is_fraction(name):
        return f"{100 * value:.2f} %"
    if name.endswith("_bytes"):
        return f"{quantity(value)}{'B' if abs(value) >= 999.5 else ' B'}"
    if name.endswith("_ms"):
        return f"{value:.3g} ms" if abs(value) < 999.5 else f"{value:.0f} ms"
    return quantity(value) if name in COSTS else f"{value:.4g}"


def spoken(name: str) -> str:
    """An objective's or cost's name as people read it, without its unit: ``top1 error``, ``MACs``, ``latency``."""
    return _NAMES.get(name, name.removesuffix("_ms").removesuffix("_bytes").replace("_", " "))


def quality_against_cost(trials: Iterable[TrialRecord], front: Front) -> dict[str, Any] | None:
    """The first objective that is not a cost against ``thrift``: complete trials, front, seeds; None if empty.

    The line joins the members of the front that are best in these two alone: with more objectives than these, others
    belong to the front as well and are marked without it.

    Colours, by ``meta``: "trials" (the sampler's), "random" (the random arm), "infeasible" (complete, but a limit or
    principle is broken: published networks at most), "front", "seeds" and "reference" (Inception-v3, within the limits
    or not: it is what everything is compared with).
    """
    if not front.objectives:
        return None
    axes = _Axes(thrift(front.objectives), quality(front.objectives))
    drawn = [trial for trial in measured(trials, front.objectives) if spent(trial, axes.x) is not None]
    if not drawn:
        return None
    members = {trial.number for trial in front.members}
    reference = [trial for trial in drawn if trial.seed == REFERENCE]
    beyond = [trial for trial in drawn if not trial.feasible and trial not in reference]
    seeds = [trial for trial in drawn if trial.seed is not None and trial.feasible and trial not in reference]
    others = [trial for trial in drawn if trial.number not in members and trial.seed is None and trial.feasible]
    control = [trial for trial in others if trial.origin == "random"]
    searched = [trial for trial in others if trial.origin != "random"]
    best = [trial for trial in drawn if trial.number in members]
    line = _outer(best, axes, minimise=front.objectives[axes.y] == "minimize")
    ring = {"symbol": "circle-open", "size": 8, "line": {"width": 2}}
    layout = _layout(axes, _place(drawn, axes))
    # The stairs of the front come to a point from its worse side: names rather go to the other.
    better = "bottom center" if front.objectives[axes.y] == "minimize" else "top center"
    stars = [*reference, *seeds, *beyond]
    at = _place(stars, axes)
    places = label_places(
        list(zip(at["x"], at["y"], strict=True)),
        [trial.seed or "" for trial in stars],
        layout["xaxis"]["range"],
        layout["yaxis"]["range"],
        better,
    )
    side = {trial.number: place for trial, place in zip(stars, places, strict=True)}
    traces = [
        _labelled(beyond, axes, front, "infeasible", 10, side),
        _points(searched, axes, front, "trials", "complete trials", {"symbol": "circle", "size": 7}),
        _points(control, axes, front, "random", origin_called("random"), ring),
        _line(line, axes),
        _points(best, axes, front, "front", "front", {"symbol": "diamond", "size": 11}),
        _rings([trial for trial in best if trial.seed is not None], axes),
        _labelled(seeds, axes, front, "seeds", 13, side),
        _labelled(reference, axes, front, "reference", 18, side),
    ]
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def script_json(data: object) -> Markup:
    """JSON that can stand in a script element of an HTML page: no text in it can end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


class _Axes(NamedTuple):
    """What is drawn to the right and upwards."""

    x: str
    y: str


def _cost(trial: TrialRecord, axes: _Axes) -> float:
    found = spent(trial, axes.x)
    assert found is not None  # only such trials are drawn
    return found


def _outer(best: Sequence[TrialRecord], axes: _Axes, *, minimise: bool) -> list[TrialRecord]:
    sign = 1 if minimise else -1
    kept: list[TrialRecord] = []
    for trial in sorted(best, key=lambda trial: (_cost(trial, axes), sign * trial.values[axes.y])):
        if not kept or sign * trial.values[axes.y] < sign * kept[-1].values[axes.y]:
            kept.append(trial)
    return kept


def _place(trials: Sequence[TrialRecord], axes: _Axes) -> dict[str, Any]:
    scale = 100 if is_fraction(axes.y) else 1
    return {
        "type": "scatter",
        "x": [_cost(trial, axes) for trial in trials],
        "y": [float(f"{scale * trial.values[axes.y]:.6g}") for trial in trials],
    }


def _line(trials: Sequence[TrialRecord], axes: _Axes) -> dict[str, Any]:
    style = {"mode": "lines", "line": {"shape": "hv", "width": 2}, "hoverinfo": "skip", "showlegend": False}
    return _place(trials, axes) | style | {"meta": "front", "name": "front"}


def _rings(trials: Sequence[TrialRecord], axes: _Axes) -> dict[str, Any]:
    """Open diamonds around the stars of seeds that are on the front, so that both can be seen."""
    marker = {"symbol": "diamond-open", "size": 24, "line": {"width": 2}}
    look = {"mode": "markers", "marker": marker, "hoverinfo": "skip", "showlegend": False}
    return _place(trials, axes) | look | {"meta": "front", "name": "front"}


def _points(
    trials: Sequence[TrialRecord], axes: _Axes, front: Front, meta: str, label: str, marker: dict[str, Any]
) -> dict[str, Any]:
    hover = [_hover(trial, front) for trial in trials]
    look = {"mode": "markers", "marker": marker, "hoverinfo": "text", "hovertext": hover}
    return _place(trials, axes) | look | {"meta": meta, "name": label}


def _labelled(
    trials: Sequence[TrialRecord], axes: _Axes, front: Front, meta: str, size: int, side: Mapping[int, str]
) -> dict[str, Any]:
    label = {"reference": "Inception-v3", "infeasible": "break a limit"}.get(meta, "other seeds")
    trace = _points(trials, axes, front, meta, label, {"symbol": "star", "size": size})
    words = [chart_text(trial.seed or "") for trial in trials]
    places = [side[trial.number] for trial in trials]
    return trace | {"mode": "markers+text", "text": words, "textposition": places, "cliponaxis": False}


def _hover(trial: TrialRecord, front: Front) -> str:
    who = f"{trial.seed}, trial {trial.number}" if trial.seed else f"trial {trial.number}"
    counted = [name for name in ("macs", "params") if name in trial.costs]
    values = [f"{spoken(name)} {shown(name, trial.values[name])}" for name in front.objectives if name not in counted]
    costs = [f"{spoken(name)} {quantity(trial.costs[name])}" for name in counted]
    broken = ", ".join(name.partition(":")[2] or name for name, size in trial.violations.items() if size > 0)
    limits = [f"breaks {broken}"] if broken else []
    return "<br>".join(chart_text(line) for line in (who, *values, *costs, *limits, f"digest {trial.digest[:12]}"))


def chart_text(text: str) -> str:
    """Return text for plotly, which reads some HTML tags and entities in labels; cut where it would leave the chart."""
    return html.escape(text if len(text) <= _LETTERS else text[: _LETTERS - 3] + "...", quote=False)


def framed(x: Mapping[str, Any], y: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layout of a chart with these axes."""
    return {
        "xaxis": {"zeroline": False, **x},
        "yaxis": {"automargin": True, "zeroline": False, **y},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 64, "r": 24, "t": 48, "b": 64},
        "hovermode": "closest",
        "dragmode": "pan",
    }


def _layout(axes: _Axes, points: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return framed(
        {
            "title": {"text": f"{spoken(axes.x)} of the target", "standoff": 10},
            "tickformat": "" if axes.x.endswith("_ms") else "~s",
            "ticksuffix": suffix(axes.x),
            "range": _range(points["x"], 0.12),
        },
        {
            "title": {"text": chart_text(spoken(axes.y))},
            "ticksuffix": suffix(axes.y),
            "range": _range(points["y"], 0.12),
        },
    )


def suffix(name: str) -> str:
    """Return the unit after a number of an axis; a prefix of bytes comes before it."""
    if is_fraction(name):
        return " %"
    return " ms" if name.endswith("_ms") else "B" if name.endswith("_bytes") else ""


def _range(values: Sequence[float], room: float) -> list[float]:
    """The axis: all values and room for labels on both sides, even where all values are equal."""
    low, high = min(values), max(values)
    space = room * (high - low) or 0.1 * abs(high) or 1.0
    return [low - space, high + space]
