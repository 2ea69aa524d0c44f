"""The scatter of a study as the page draws it: which trials stand where, and which of them are its front.

Points go to the browser as typed arrays, each with its trial's number, which finds the rest of it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.dashboard.watch import Snapshot
from results.figures import REFERENCE, chart_text, is_fraction, quality, spoken, suffix, thrift
from results.pareto import default_reference, hypervolume, nondominated

_CROWD = ("trials", "random", "infeasible")
KINDS = ("sampler", "random", "seed", "infeasible")  # of points, each of which can be left out

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What is looked at: two or three quantities at a rung (None: final values), within limits.

    ``limits``: quantity -> the worst value that is still wanted, in the direction of the quantity.
    """

    x: str
    y: str
    z: str | None = None
    rung: int | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    shown: frozenset[str] = frozenset(KINDS)

    @property
    def axes(self) -> tuple[str, ...]:
        """The quantities, two or three different ones."""
        return tuple(dict.fromkeys(name for name in (self.x, self.y, self.z) if name))

    @staticmethod
    def first(snapshot: Snapshot) -> "Choice":
        """What a study is opened with: its first quality against what it costs."""
        objectives = snapshot.record.objectives
        return Choice(x=thrift(objectives), y=quality(objectives))


@dataclass(frozen=True, eq=False)
class Scene:
    """What a choice comes to. Masks are over the snapshot's trials, shape (trials,).

    ``drawn``: trials with all values. ``wanted``: those of them that keep constraints and limits. ``front``: those of
    them that no other one dominates; it ascends in x.
    """

    snapshot: Snapshot
    choice: Choice
    drawn: Mask
    wanted: Mask
    front: NDArray[np.int64]
    hypervolume: float
    reference_point: dict[str, float]

    @property
    def front_numbers(self) -> list[int]:
        """The numbers of the front's trials, by x."""
        return [int(number) for number in self.snapshot.numbers[self.front]]


def scene(snapshot: Snapshot, choice: Choice) -> Scene:
    """Find what a choice comes to. Its front is among the values of one rung, as every front is."""
    goals = [snapshot.quantities[name] for name in choice.axes]
    points = np.stack([snapshot.values(name, choice.rung) for name in choice.axes], axis=1)
    drawn = np.asarray(np.isfinite(points).all(axis=1), dtype=bool)
    wanted = drawn & snapshot.feasible
    for name, limit in choice.limits.items():
        sign = 1 if snapshot.quantities[name] == "minimize" else -1
        wanted[~(sign * snapshot.values(name, choice.rung) <= sign * limit)] = False  # also what is not known
    places = np.flatnonzero(wanted)
    if not len(places):
        return Scene(snapshot, choice, drawn, wanted, places, 0.0, {})
    kept = places[nondominated(points[places], goals)]
    reference = default_reference(points[drawn & snapshot.feasible], goals)
    size = hypervolume(points[kept], reference, goals)
    front = kept[np.lexsort((points[kept, 1], points[kept, 0]))] if points.shape[1] > 1 else kept
    return Scene(snapshot, choice, drawn, wanted, front, size, dict(zip(choice.axes, reference, strict=True)))


# -------------------------------------------------------------------------------------------------------------- figure


def figure(found: Scene) -> dict[str, Any]:
    """The scene in plotly's JSON form; colours are chosen in the page, by each trace's ``meta``."""
    trials = found.snapshot.trials
    origin = np.array([trial.origin for trial in trials], dtype=object)
    seeds = np.array([trial.seed is not None for trial in trials], dtype=bool)
    reference = np.array([trial.seed == REFERENCE for trial in trials], dtype=bool)
    member = np.zeros(len(trials), dtype=bool)
    member[found.front] = True
    shown, good = found.choice.shown, found.wanted & ~member
    control = origin == "random"
    sampled = ~seeds & ~control
    ring = {"symbol": "diamond-open", "size": 11, "line": {"width": 2}}
    groups = (
        ("infeasible", "beyond limits", found.drawn & ~found.wanted, {"symbol": "x-thin", "size": 6}, "infeasible"),
        ("trials", "sampler", good & sampled, {"symbol": "circle", "size": 7}, "sampler"),
        ("random", "random arm", good & control, {"symbol": "square", "size": 7}, "random"),
        ("front", "front, sampler", member & sampled, {"symbol": "diamond", "size": 11}, None),
        ("front", "front, random arm", member & control, ring, None),
        ("front", "front, seeds", member & seeds, {"symbol": "diamond", "size": 11}, None),
        ("seeds", "other seeds", found.drawn & seeds & ~reference, {"symbol": "star", "size": 14}, "seed"),
        ("reference", "Inception-v3", found.drawn & reference, {"symbol": "star", "size": 19}, "seed"),
    )
    traces = [_line(found)] if found.choice.z is None and len(found.front) else []
    for meta, name, mask, marker, kind in groups:
        if (kind is None or kind in shown) and mask.any():
            traces.append(_points(found, mask, meta, name, marker))
    of = {"x": found.choice.x, "y": found.choice.y, "z": found.choice.z}
    return {"data": traces, "layout": _layout(found), "of": of}


def _points(found: Scene, mask: Mask, meta: str, name: str, marker: Mapping[str, Any]) -> dict[str, Any]:
    at = _coordinates(found, np.flatnonzero(mask))
    kind = "scattergl" if found.choice.z is None else "scatter3d"
    return {
        "type": kind,
        "mode": "markers",
        **{axis: packed(values) for axis, values in at.items()},
        "hovertemplate": _hover(found.choice, name),
        "customdata": packed(found.snapshot.numbers[mask].astype(np.int32)),
        "marker": dict(marker),
        **({"opacity": 0.25} if found.choice.z is not None and meta in _CROWD else {}),  # or they would hide the front
        "meta": meta,
        "uid": name,  # by which plotly knows what the reader has hidden
        "name": f"{name} ({int(mask.sum()):,})",
    }


def _hover(choice: Choice, group: str) -> str:
    """What is told of the point under the pointer, in plotly's own words for numbers."""
    names = {"x": choice.x, "y": choice.y, "z": choice.z}
    lines = [f"{chart_text(spoken(name))} {_written(axis, name)}" for axis, name in names.items() if name]
    return "<br>".join(("trial %{customdata}", *lines)) + f"<extra>{group}</extra>"


def _written(axis: str, name: str) -> str:
    if is_fraction(name):
        return f"%{{{axis}:.2f}} %"
    return f"%{{{axis}:.3g}} ms" if name.endswith("_ms") else f"%{{{axis}:.4s}}{suffix(name)}"


def _line(found: Scene) -> dict[str, Any]:
    at = _coordinates(found, _outline(found))
    look = {"mode": "lines", "line": {"shape": "hv", "width": 2}, "hoverinfo": "skip", "showlegend": False}
    return {"type": "scatter", **{k: v.tolist() for k, v in at.items()}, **look, "meta": "front", "uid": "line"}


def _outline(found: Scene) -> NDArray[np.int64]:
    """The members of the front from left to right; of equals the first."""
    at = np.stack([found.snapshot.values(name, found.choice.rung)[found.front] for name in found.choice.axes], axis=1)
    _, first = np.unique(at, axis=0, return_index=True)
    return found.front[np.sort(first)]


def _coordinates(found: Scene, places: NDArray[np.int64]) -> dict[str, Array]:
    names = {"x": found.choice.x, "y": found.choice.y, "z": found.choice.z}
    return {
        axis: (100 if is_fraction(name) else 1) * found.snapshot.values(name, found.choice.rung)[places]
        for axis, name in names.items()
        if name
    }


def packed(values: NDArray[Any]) -> dict[str, str]:
    """An array as plotly reads it without parsing numbers."""
    return {"dtype": values.dtype.str[1:], "bdata": base64.b64encode(values.tobytes()).decode("ascii")}


def _layout(found: Scene) -> dict[str, Any]:
    choice, at = found.choice, found.snapshot.at
    axes: dict[str, Any] = {"xaxis": _axis(choice.x), "yaxis": _axis(choice.y)}
    if choice.z is not None:
        axes = {"scene": axes | {"zaxis": _axis(choice.z), "aspectmode": "cube"}}
    return {
        **axes,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"},
        "margin": {"l": 64, "r": 16, "t": 40, "b": 64} if choice.z is None else {"l": 0, "r": 0, "t": 40, "b": 0},
        "hovermode": "closest",
        "dragmode": "pan" if choice.z is None else "turntable",
        # what the reader has done (zoom, legend, lasso) stays as long as the study and the axes do
        "uirevision": "/".join(map(str, (at["study"], at["generation"], choice.x, choice.y, choice.z, choice.rung))),
    }


def _axis(name: str) -> dict[str, Any]:
    mark = suffix(name)
    return {
        "title": {"text": chart_text(spoken(name))},
        "tickformat": "~s" if mark in ("", "B") and not is_fraction(name) else "",
        "ticksuffix": mark,
        "zeroline": False,
        "automargin": True,
    }
