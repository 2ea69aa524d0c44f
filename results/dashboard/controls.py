"""The page's controls and the chart that follows them: which quantities, at which rung, within which limits."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import ALL, Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from results.dashboard.details import SEED
from results.dashboard.layout import TABS
from results.dashboard.scene import KINDS, Choice, Scene, figure, scene
from results.dashboard.sliders import FINAL, chosen, ends, number, scale, sliders, whole
from results.dashboard.watch import Snapshot, Watch, or_nothing
from results.figures import shown, spoken
from search_spaces.seeds import seed_names

_SLIDER = {"limit": ALL, "end": ALL}

# What the controls are set to when a study is opened, by the names under which `offers` returns it.
OFFERED = {
    "offered": Output("offered", "data"),
    **{f"{name}_{part}": Output(name, part) for name in ("x", "y", "z", "rung") for part in ("options", "value")},
    "shown": Output("shown", "value"),
    "limits": Output("limits", "children"),
    "wanted": Output("wanted", "data"),
    "beside_options": Output("beside", "options"),
    "beside_value": Output("beside", "value"),
    "selected": Output("selected", "data"),
    "tab": Output("tab", "value"),
}


def options(snapshot: Snapshot, beside: str | None) -> dict[str, Any]:
    """What the controls of a study let one choose from; ``offered`` tells of the rest whether it has changed.

    ``beside``: what the selected trial is compared with, which is another one once a published network is a trial.
    """
    names = [{"label": spoken(name), "value": name} for name in snapshot.quantities]
    rungs = [{"label": "final values", "value": FINAL}]
    rungs += [{"label": f"rung {rung} alone", "value": rung} for rung in range(snapshot.rungs) if snapshot.rungs > 1]
    known = {"study": snapshot.record.name, "generation": snapshot.generation}
    measured = {trial.seed: str(trial.number) for trial in snapshot.trials if trial.seed and trial.values}
    others, beside = _others(snapshot, measured, beside)
    return {
        "offered": known | {"quantities": list(snapshot.quantities), "rungs": snapshot.rungs, "measured": measured},
        "x_options": names,
        "y_options": names,
        "z_options": names,
        "rung_options": rungs,
        "beside_options": others,
        "beside_value": beside,
    }


def offers(snapshot: Snapshot, asked: Mapping[str, str]) -> dict[str, Any]:
    """Set the controls for a study: as an address asks for, and where it does not by default."""
    first, found = Choice.first(snapshot), options(snapshot, asked.get("beside"))
    wanted = _asked_limits(asked)
    rung = _one_of(whole(asked.get("rung")), [entry["value"] for entry in found["rung_options"]], FINAL)
    return found | {
        "x_value": _one_of(asked.get("x"), snapshot.quantities, first.x),
        "y_value": _one_of(asked.get("y"), snapshot.quantities, first.y),
        "z_value": _one_of(asked.get("z"), snapshot.quantities, None),
        "rung_value": rung,
        "shown": [kind for kind in KINDS if kind in asked["shown"].split(",")] if "shown" in asked else list(KINDS),
        "limits": sliders(snapshot, ends(snapshot, rung), wanted),
        "wanted": wanted,
        "selected": _one_of(whole(asked.get("trial")), snapshot.place, None),
        "tab": _one_of(asked.get("tab"), TABS, "trials"),
    }


def _asked_limits(asked: Mapping[str, str]) -> dict[str, float]:
    found = {key.removeprefix("limit."): number(text) for key, text in asked.items() if key.startswith("limit.")}
    return {name: value for name, value in found.items() if value is not None}


def register_controls(app: Dash, watch: Watch) -> None:
    """Connect the chart to the controls, and the sliders to what the trials have."""
    _register_sliders(app, watch)

    @app.callback(
        Output("scene", "data"),
        Output("summary", "children"),
        Output("csv", "href"),
        Output("front-csv", "href"),
        Input("offered", "data"),
        Input("revision", "data"),
        *(Input(name, "value") for name in ("x", "y", "z", "rung", "shown")),
        Input("wanted", "data"),
        prevent_initial_call=True,
    )
    @or_nothing
    def draw(
        offered: dict[str, Any] | None,
        at: dict[str, Any] | None,
        x: str | None,
        y: str | None,
        z: str | None,
        rung: int | None,
        kinds: list[str],
        wanted: dict[str, float] | None,
    ) -> tuple[Any, ...]:
        if not offered or not at or offered["study"] != at["study"]:
            raise PreventUpdate
        snapshot = watch.look(at["study"])
        if not {x, y} <= snapshot.quantities.keys():
            raise PreventUpdate  # those of the study before: the controls follow
        choice = Choice(
            str(x),
            str(y),
            z if z in snapshot.quantities else None,
            chosen(rung),
            {name: value / scale(name) for name, value in (wanted or {}).items() if name in snapshot.quantities},
            frozenset(kinds),
        )
        found = scene(snapshot, choice)
        drawn = figure(found) | {"front": found.front_numbers, "at": snapshot.at | {"rung": choice.rung}}
        files = f"/files/{{}}.csv?{_query(at['study'], choice)}"
        told = summary(found, () if found.drawn.any() else rungs_with_values(snapshot, choice.axes))
        return drawn, told, files.format("trials"), files.format("front")


def _register_sliders(app: Dash, watch: Watch) -> None:
    @app.callback(
        Output("limits", "children", allow_duplicate=True),
        Input("revision", "data"),
        Input("rung", "value"),
        State("wanted", "data"),
        *(State(_SLIDER, part) for part in ("id", "min", "max")),
        prevent_initial_call=True,
    )
    @or_nothing
    def follow(
        at: dict[str, Any] | None,
        rung: int | None,
        wanted: dict[str, float] | None,
        ids: list[dict[str, str]],
        lowest: list[float],
        highest: list[float],
    ) -> Any:
        """Let the sliders reach from end to end of what there is; what the reader wants is kept beside them."""
        if at is None:
            raise PreventUpdate
        snapshot = watch.look(at["study"])
        between = ends(snapshot, rung)
        if between == {each["limit"]: (low, high) for each, low, high in zip(ids, lowest, highest, strict=True)}:
            raise PreventUpdate
        return sliders(snapshot, between, wanted or {})


def _query(study: str, choice: Choice) -> str:
    asked: dict[str, Any] = {"study": study, "axes": ",".join(choice.axes)}
    if choice.rung is not None:
        asked["rung"] = choice.rung
    return urlencode(asked | {f"limit.{name}": f"{scale(name) * value:.12g}" for name, value in choice.limits.items()})


def _one_of(value: Any, allowed: Any, default: Any) -> Any:
    return value if value is not None and value in allowed else default


def _others(
    snapshot: Snapshot, measured: Mapping[str, str], asked: str | None
) -> tuple[list[dict[str, str]], str | None]:
    """What a trial can be compared with, and with what it was: published networks, and a trial that was pinned.

    ``measured``: published network -> number of its trial.
    """
    options = [{"label": f"{name} (trial {place})", "value": place} for name, place in measured.items()]
    rest = [name for name in seed_names() if name not in measured]
    options += [{"label": f"{name} (not trained here)", "value": SEED + name} for name in rest]
    if asked is not None:
        asked = measured.get(asked.removeprefix(SEED), asked)
        known = asked in (option["value"] for option in options)
        if not known and whole(asked) in snapshot.place:
            options.insert(0, {"label": f"trial {asked}", "value": asked})
        elif not known:
            asked = None
    return options, asked


def rungs_with_values(snapshot: Snapshot, axes: Sequence[str]) -> list[int]:
    """The rungs at which a trial has values of all axes; none where there is but one rung, the final values'."""
    rungs = range(snapshot.rungs) if snapshot.rungs > 1 else ()
    return [n for n in rungs if np.isfinite([snapshot.values(name, n) for name in axes]).all(axis=0).any()]


def summary(found: Scene, rungs: Sequence[int] = ()) -> str:
    """What the chart shows, in words; where it shows nothing, ``rungs`` are those at which there are values."""
    names = " and ".join(spoken(name) for name in found.choice.axes)
    at = "" if found.choice.rung is None else f" at rung {found.choice.rung}"
    drawn, wanted, size = int(found.drawn.sum()), int(found.wanted.sum()), len(found.front)
    if not drawn:
        elsewhere = f" Rung {rungs[-1]} has some: 'Values of' shows them." if rungs else ""
        return f"No trial has values of {names}{at} yet, so there is nothing to draw.{elsewhere}"
    if not wanted:
        return f"{drawn:,} trials have values of {names}{at}, and none of them keeps all limits: there is no front."
    worst = ", ".join(f"{spoken(name)} {shown(name, value)}" for name, value in found.reference_point.items())
    within = "" if wanted == drawn else f" within the limits (of {drawn:,})"
    return (
        f"{size} of {wanted:,} trials{within} are on the front of {names}{at}; hypervolume {found.hypervolume:.4g} "
        f"up to {worst}."
    )
