"""Figures as plain data in plotly's JSON form: whoever shows them chooses the colours by each trace's ``meta``."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from results.blocks import quantity
from results.markup import Markup
from results.outcome import TrialRecord
from results.pareto import Front, comparable

COSTS = ("macs", "params", "macs_with_aux", "params_with_aux", "activation_bytes", "peak_memory_bytes", "latency_ms")
REFERENCE = "inception-v3"  # what every result is compared with

_LETTERS = 60  # of one line of a label

_NAMES = {"macs": "MACs", "params": "parameters"}


def quality(objectives: Mapping[str, str]) -> str:
    """The objective that is drawn upwards: the first that is not a cost, else the first."""
    return next((name for name in objectives if name not in COSTS), next(iter(objectives)))


def is_fraction(name: str) -> bool:
    """Whether an objective is a fraction of pictures and shown in percent: ``error``, ``top1_error``, ``accuracy``."""
    return name.rsplit("_", 1)[-1] in ("error", "accuracy")


def shown(name: str, value: float) -> str:
    """An objective's value as people read it: ``3.21 %``, ``5.71 G``, ``0.123``."""
    if is_fraction(name):
        return f"{100 * value:.2f} %"
    return quantity(value) if name in COSTS else f"{value:.4g}"


def spoken(name: str) -> str:
    """An objective's or cost's name as people read it: ``top1 error``, ``MACs``."""
    return _NAMES.get(name, name.replace("_", " "))


def error_against_macs(trials: Iterable[TrialRecord], front: Front) -> dict[str, Any] | None:
    """The first objective that is not a cost against MACs: all complete trials, the front, the seeds; None if empty.

    The line joins the members of the front that are best in these two alone: with more objectives than these, others
    belong to the front as well and are marked without it.
    """
    if not front.objectives:
        return None
    name = quality(front.objectives)
    drawn = [trial for trial in comparable(trials, front.objectives) if "macs" in trial.costs]
    if not drawn:
        return None
    members = {trial.number for trial in front.members}
    seeds = [trial for trial in drawn if trial.seed is not None]
    others = [trial for trial in drawn if trial.number not in members and trial.seed is None]
    best = [trial for trial in drawn if trial.number in members]
    line = _outer(best, name, minimise=front.objectives[name] == "minimize")
    reference = [trial for trial in seeds if trial.seed == REFERENCE]
    traces = [
        _points(others, name, front, "trials", "complete trials", {"symbol": "circle", "size": 7}),
        _line(line, name),
        _points(best, name, front, "front", "front", {"symbol": "diamond", "size": 11}),
        _rings([trial for trial in seeds if trial.number in members], name),
        _labelled([trial for trial in seeds if trial not in reference], name, front, "seeds", 13),
        _labelled(reference, name, front, "reference", 18),
    ]
    return {"data": [trace for trace in traces if trace["x"]], "layout": _layout(name, _place(drawn, name))}


def script_json(data: object) -> Markup:
    """JSON that can stand in a script element of an HTML page: no text in it can end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _outer(best: Sequence[TrialRecord], name: str, *, minimise: bool) -> list[TrialRecord]:
    sign = 1 if minimise else -1
    kept: list[TrialRecord] = []
    for trial in sorted(best, key=lambda trial: (trial.costs["macs"], sign * trial.values[name])):
        if not kept or sign * trial.values[name] < sign * kept[-1].values[name]:
            kept.append(trial)
    return kept


def _place(trials: Sequence[TrialRecord], name: str) -> dict[str, Any]:
    scale = 100 if is_fraction(name) else 1
    return {
        "type": "scatter",
        "x": [trial.costs["macs"] for trial in trials],
        "y": [float(f"{scale * trial.values[name]:.6g}") for trial in trials],
    }


def _line(trials: Sequence[TrialRecord], name: str) -> dict[str, Any]:
    style = {"mode": "lines", "line": {"shape": "hv", "width": 2}, "hoverinfo": "skip", "showlegend": False}
    return _place(trials, name) | style | {"meta": "front", "name": "front"}


def _rings(trials: Sequence[TrialRecord], name: str) -> dict[str, Any]:
    """Open diamonds around the stars of seeds that are on the front, so that both can be seen."""
    marker = {"symbol": "diamond-open", "size": 24, "line": {"width": 2}}
    look = {"mode": "markers", "marker": marker, "hoverinfo": "skip", "showlegend": False}
    return _place(trials, name) | look | {"meta": "front", "name": "front"}


def _points(
    trials: Sequence[TrialRecord], name: str, front: Front, meta: str, label: str, marker: dict[str, Any]
) -> dict[str, Any]:
    hover = [_hover(trial, front) for trial in trials]
    look = {"mode": "markers", "marker": marker, "hoverinfo": "text", "hovertext": hover}
    return _place(trials, name) | look | {"meta": meta, "name": label}


def _labelled(trials: Sequence[TrialRecord], name: str, front: Front, meta: str, size: int) -> dict[str, Any]:
    label = "Inception-v3" if meta == "reference" else "other seeds"
    trace = _points(trials, name, front, meta, label, {"symbol": "star", "size": size})
    words = [_plain(trial.seed or "") for trial in trials]
    # The stairs of the front come to a point from its worse side: the label goes to the other.
    below = "bottom center" if front.objectives[name] == "minimize" else "top center"
    return trace | {"mode": "markers+text", "text": words, "textposition": below, "cliponaxis": False}


def _hover(trial: TrialRecord, front: Front) -> str:
    who = f"{trial.seed}, trial {trial.number}" if trial.seed else f"trial {trial.number}"
    values = [
        f"{spoken(name)} {shown(name, trial.values[name])}" for name in front.objectives if name not in trial.costs
    ]
    costs = [f"{spoken(name)} {quantity(trial.costs[name])}" for name in ("macs", "params") if name in trial.costs]
    return "<br>".join(_plain(line) for line in (who, *values, *costs, f"digest {trial.digest[:12]}"))


def _plain(text: str) -> str:
    """The text for plotly, which reads a few HTML tags and entities in labels; cut where it would leave the chart."""
    return html.escape(text if len(text) <= _LETTERS else text[: _LETTERS - 3] + "...", quote=False)


def _layout(name: str, points: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "xaxis": {
            "title": {"text": "MACs of the target", "standoff": 10},
            "tickformat": "~s",
            "range": _range(points["x"], 0.12),
            "zeroline": False,
        },
        "yaxis": {
            "title": {"text": _plain(spoken(name))},
            "ticksuffix": " %" if is_fraction(name) else "",
            "range": _range(points["y"], 0.12),
            "automargin": True,
            "zeroline": False,
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 64, "r": 24, "t": 48, "b": 64},
        "hovermode": "closest",
        "dragmode": "pan",
    }


def _range(values: Sequence[float], room: float) -> list[float]:
    """The axis: all values and room for labels on both sides, even where all values are equal."""
    low, high = min(values), max(values)
    space = room * (high - low) or 0.1 * abs(high) or 1.0
    return [low - space, high + space]
