"""The page's controls and the chart that follows them: which quantities, at which rung, within which limits."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import ALL, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from results.dashboard.details import SEED
from results.dashboard.layout import TABS
from results.dashboard.parts import missing
from results.dashboard.scene import KINDS, Choice, Scene, figure, scene
from results.dashboard.watch import Snapshot, Watch
from results.figures import is_fraction, shown, spoken
from search_spaces.seeds import seed_names

FINAL = -1  # among rungs: the final values
STEPS = 200  # of a slider


# What the controls are set to when a study is opened, by the names under which `offers` returns it.
OFFERED = {
    "offered": Output("offered", "data"),
    **{f"{name}_{part}": Output(name, part) for name in ("x", "y", "z", "rung") for part in ("options", "value")},
    "shown": Output("shown", "value"),
    "limits": Output("limits", "children"),
    "beside_options": Output("beside", "options"),
    "beside_value": Output("beside", "value"),
    "selected": Output("selected", "data"),
    "tab": Output("tab", "value"),
}


def offers(snapshot: Snapshot, asked: Mapping[str, str]) -> dict[str, Any]:
    """Set the controls for a study: as an address asks for, and where it does not, or not for this study, by default.

    ``offered`` says which study the controls are for, and whether there were values to limit.
    """
    first, known = Choice.first(snapshot), list(snapshot.quantities)
    names = [{"label": spoken(name), "value": name} for name in known]
    rungs = [{"label": "final values", "value": FINAL}]
    rungs += [{"label": f"rung {rung} alone", "value": rung} for rung in range(snapshot.rungs) if snapshot.rungs > 1]
    options, beside = _others(snapshot, asked.get("beside"))
    return {
        "offered": {"study": snapshot.record.name, "drawn": has_values(snapshot)},
        "x_options": names,
        "x_value": _one_of(asked.get("x"), known, first.x),
        "y_options": names,
        "y_value": _one_of(asked.get("y"), known, first.y),
        "z_options": names,
        "z_value": _one_of(asked.get("z"), known, None),
        "rung_options": rungs,
        "rung_value": _one_of(whole(asked.get("rung")), [entry["value"] for entry in rungs], FINAL),
        "shown": [kind for kind in KINDS if kind in asked["shown"].split(",")] if "shown" in asked else list(KINDS),
        "limits": _sliders(snapshot, asked),
        "beside_options": options,
        "beside_value": beside,
        "selected": _one_of(whole(asked.get("trial")), snapshot.place, None),
        "tab": _one_of(asked.get("tab"), TABS, "trials"),
    }


def has_values(snapshot: Snapshot) -> bool:
    """Whether any trial has come to values yet: only then the sliders have ends."""
    return any(trial.values for trial in snapshot.trials)


def register_controls(app: Dash, watch: Watch) -> None:
    """Connect the chart to the controls."""

    @app.callback(
        Output("scene", "data"),
        Output("summary", "children"),
        Output("csv", "href"),
        Output("front-csv", "href"),
        Input("offered", "data"),
        Input("revision", "data"),
        *(Input(name, "value") for name in ("x", "y", "z", "rung", "shown")),
        Input({"limit": ALL}, "value"),
        State({"limit": ALL}, "id"),
        State({"limit": ALL}, "max"),
        State({"limit": ALL}, "min"),
        prevent_initial_call=True,
    )
    def draw(
        offered: dict[str, Any] | None,
        at: dict[str, Any] | None,
        x: str | None,
        y: str | None,
        z: str | None,
        rung: int | None,
        shown_kinds: list[str],
        limits: list[float | None],
        ids: list[dict[str, str]],
        highest: list[float],
        lowest: list[float],
    ) -> tuple[Any, ...]:
        if not offered or not at or not x or not y or offered["study"] != at["study"]:
            raise PreventUpdate
        snapshot = watch.look(at["study"])
        if {x, y} - snapshot.quantities.keys():
            raise PreventUpdate  # those of the study before: the controls follow
        wanted = {}
        for value, name, high, low in zip(limits, (each["limit"] for each in ids), highest, lowest, strict=True):
            loose = high if snapshot.quantities.get(name) == "minimize" else low
            if value is not None and value != loose and name in snapshot.quantities:
                wanted[name] = value / (100 if is_fraction(name) else 1)
        choice = Choice(
            x,
            y,
            z if z in snapshot.quantities else None,
            None if rung in (None, FINAL) else rung,
            wanted,
            frozenset(shown_kinds),
        )
        found = scene(snapshot, choice)
        drawn = figure(found) | {"front": found.front_numbers, "view": at["study"]}
        files = f"/files/{{}}.csv?{_query(at['study'], choice)}"
        return drawn, _summary(found), files.format("trials"), files.format("front")


def _query(study: str, choice: Choice) -> str:
    asked: dict[str, Any] = {"study": study, "axes": ",".join(choice.axes)}
    if choice.rung is not None:
        asked["rung"] = choice.rung
    return urlencode(asked | {f"limit.{name}": value for name, value in choice.limits.items()})


def _one_of(value: Any, allowed: Any, default: Any) -> Any:
    return value if value is not None and value in allowed else default


def whole(text: str | None) -> int | None:
    """The whole number that a text is, None for any other text."""
    return int(text) if text is not None and text.lstrip("-").isdecimal() and len(text) < 12 else None


def number(text: str | None) -> float | None:
    """The finite number that a text is, None for any other text."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _sliders(snapshot: Snapshot, asked: Mapping[str, str]) -> list[Component]:
    """One slider for each quantity that varies; at its loose end it limits nothing."""
    sliders: list[Component] = []
    for name, goal in snapshot.quantities.items():
        values = snapshot.values(name, None)
        values = values[np.isfinite(values)] * (100 if is_fraction(name) else 1)
        if not len(values) or values.min() == values.max():
            continue
        low, high = float(values.min()), float(values.max())
        loose = high if goal == "minimize" else low
        given = number(asked.get(f"limit.{name}"))
        value = loose if given is None else min(high, max(low, given))
        word = "at most" if goal == "minimize" else "at least"
        identity = {"limit": name}
        slider = dcc.Slider(
            id=identity,
            min=low,
            max=high,
            step=(high - low) / STEPS,
            value=value,
            marks=None,
            included=True,
            allow_direct_input=False,
            tooltip={"placement": "bottom", "always_visible": False, "transform": _transform(name)},
        )
        ends = html.Div(
            [html.Span(shown(name, end / (100 if is_fraction(name) else 1))) for end in (low, high)], className="ends"
        )
        sliders.append(
            html.Div([html.Span(f"{spoken(name)}, {word}", className="label"), slider, ends], className="control")
        )
    return sliders or [missing("No trial has values yet, so there is nothing to limit.")]


def _transform(name: str) -> str:
    return "percent" if is_fraction(name) else "amount"


def _others(snapshot: Snapshot, asked: str | None) -> tuple[list[dict[str, str]], str | None]:
    """What a trial can be compared with, and with what it was: published networks, and a trial that was pinned."""
    measured = {trial.seed: str(trial.number) for trial in snapshot.trials if trial.seed and trial.values}
    options = [{"label": f"{name} (trial {number})", "value": number} for name, number in measured.items()]
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


def _summary(found: Scene) -> str:
    names = " and ".join(spoken(name) for name in found.choice.axes)
    at = "" if found.choice.rung is None else f" at rung {found.choice.rung}"
    drawn, wanted, size = int(found.drawn.sum()), int(found.wanted.sum()), len(found.front)
    if not drawn:
        return f"No trial has values of {names}{at} yet, so there is nothing to draw."
    if not wanted:
        return f"{drawn:,} trials have values of {names}{at}, and none of them keeps all limits: there is no front."
    worst = ", ".join(f"{spoken(name)} {shown(name, value)}" for name, value in found.reference_point.items())
    within = "" if wanted == drawn else f" ({drawn:,} with those beyond limits)"
    return (
        f"{size} of {wanted:,} trials{within} are on the front of {names}{at}; hypervolume {found.hypervolume:.4g} "
        f"up to {worst}."
    )
