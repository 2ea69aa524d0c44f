"""What the page asks of the server: each callback reads, and answers nothing where nothing has changed.

What needs no data of the ledger (colours, selection, the address) happens in the browser: ``assets/dashboard.js``.
"""

from typing import Any
from urllib.parse import parse_qs

import numpy as np
from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate

from results.dashboard.controls import OFFERED, offers, options, register_controls
from results.dashboard.layout import grid
from results.dashboard.rows import columns, rows, values_told
from results.dashboard.selected import FindThresholds, register_selected
from results.dashboard.tabs import Tabs
from results.dashboard.watch import Snapshot, Watch, or_nothing
from results.outcome import LedgerError, Outcome, state_called
from results.plain_text import count


def register(app: Dash, watch: Watch, tabs: Tabs, audited_by: FindThresholds) -> None:
    """Connect the page to what is watched."""
    _register_study(app, watch)
    register_controls(app, watch)
    register_selected(app, watch, audited_by)
    _register_tabs(app, watch, tabs)
    _register_browser(app)


# ------------------------------------------------------------------------------------------------------------ the study


def _register_study(app: Dash, watch: Watch) -> None:
    study = {
        "asked": Output("asked", "data"),
        "options": Output("study", "options"),
        "study": Output("study", "value"),
        "revision": Output("revision", "data"),
        "standing": Output("standing", "children"),
    }

    @app.callback(
        output=study | OFFERED,
        inputs={
            "search": Input("place", "search"),
            "tick": Input("tick", "n_intervals"),
            "study": Input("study", "value"),
        },
        state={
            "asked": State("asked", "data"),
            "options": State("study", "options"),
            "at": State("revision", "data"),
            "standing": State("standing", "children"),
            "offered": State("offered", "data"),
            "beside": State("beside", "value"),
        },
    )
    def look(
        search: str | None,
        tick: int | None,
        study: str | None,
        asked: dict[str, str] | None,
        options: list[str] | None,
        at: dict[str, Any] | None,
        standing: str | None,
        offered: dict[str, Any] | None,
        beside: str | None,
    ) -> dict[str, Any]:
        """Open the page, another study, or look whether the one that is open has changed."""
        told: dict[str, Any] = {}
        if asked is None:
            found = parse_qs((search or "").removeprefix("?"), keep_blank_values=True)
            told["asked"] = asked = {key: texts[-1] for key, texts in found.items()}
        try:
            names = watch.studies()
            told |= {"options": names} if names != options else {}
            if asked and study in names and offered and offered["study"] != study:
                told["asked"] = asked = {}  # the reader has chosen another one: the address counts no more
            if study not in names:
                told["study"] = study = asked["study"] if asked.get("study") in names else next(iter(names), None)
            said = "There is no study in this ledger yet: 'nas search' makes one."
            if study is not None:
                snapshot = watch.look(study)
                said = _standing(snapshot)
                if asked.get("study", study) not in names:
                    said = f"There is no study {asked['study'][:60]!r} here, so this is {study!r}. {said}"
                told |= {"revision": snapshot.at} if snapshot.at != at else {}
                told |= _offered(snapshot, offered, asked, beside)
        except LedgerError as error:
            said = f"{str(error)[:1].upper()}{str(error)[1:]}."
        told |= {"standing": said} if said != standing else {}
        if not told:
            raise PreventUpdate
        return {name: told.get(name, no_update) for name in study_outputs}

    study_outputs = tuple(study | OFFERED)


def _offered(
    snapshot: Snapshot, offered: dict[str, Any] | None, asked: dict[str, str], beside: str | None
) -> dict[str, Any]:
    """What the controls are set to, or may be set to: all of it for another study, only what is new for the same."""
    now = options(snapshot, beside)
    if offered == now["offered"]:
        return {}
    if offered is not None and (offered["study"], offered["generation"]) == (snapshot.record.name, snapshot.generation):
        return {name: what for name, what in now.items() if (name, what) != ("beside_value", beside)}
    first = offered is None and asked.get("study", snapshot.record.name) == snapshot.record.name
    return offers(snapshot, asked if first else {})


def _standing(snapshot: Snapshot) -> str:
    """How a study stands: its trials by outcome, and of a search that runs, how far it is and when it will be done."""
    counts, driver = snapshot.counts, snapshot.driver
    told = ", ".join(f"{counts[outcome]:,} {outcome.called(driver)}" for outcome in Outcome if counts[outcome])
    state = state_called(snapshot.record.state, driver)
    standing = f"{state}: {count(len(snapshot.trials), 'trial')}" + (f" ({told})" if told else "")
    asked = snapshot.record.search.get("trials")
    if snapshot.pace is None or not isinstance(asked, int):
        return standing
    done = sum(number for outcome, number in counts.items() if outcome.trained)
    return f"{standing}. {done:,} of {asked:,} done, {snapshot.pace.told(asked - done)}"


# ------------------------------------------------------------------------------------------------------------- the tabs


def _register_tabs(app: Dash, watch: Watch, tabs: Tabs) -> None:
    @app.callback(
        Output("rows", "data"),
        Output("rows-at", "data"),
        Output("grid-place", "children"),
        Output("rows-of", "children"),
        Input("drawn", "data"),  # the chart comes first: the table follows it, to another rung as well
        State("rows-at", "data"),
        prevent_initial_call=True,
    )
    @or_nothing
    def fill(at: dict[str, Any] | None, known: dict[str, Any] | None) -> tuple[Any, ...]:
        if at is None:
            raise PreventUpdate
        snapshot, rung = watch.look(at["study"]), at["rung"]
        since, names = snapshot.since(known), list(snapshot.quantities)
        table = no_update if since else grid(columns(names), snapshot.generation)
        if known is not None and known["rung"] != rung:
            since = 0  # every row holds other values
        if since == snapshot.revision:
            raise PreventUpdate
        fresh = [snapshot.trials[int(place)] for place in np.flatnonzero(snapshot.changed > since)]
        told = rows(fresh, names, rung, snapshot.epochs, snapshot.driver) | {"generation": snapshot.generation}
        return told, snapshot.at | {"rung": rung}, table, values_told(rung, snapshot.rungs)

    @app.callback(
        Output("figure", "data"),
        Output("figure-told", "children"),
        Output("figure-table", "children"),
        Output("figure-at", "data"),
        Input("tab", "value"),
        Input("revision", "data"),
        Input("y", "value"),
        Input("overdue", "data"),
        State("figure-at", "data"),
        running=[(Output("busy", "hidden"), False, True)],
        prevent_initial_call=True,
    )
    @or_nothing
    def picture(
        tab: str, at: dict[str, Any] | None, quantity: str | None, overdue: int | None, known: str | None
    ) -> tuple[Any, ...]:
        found = tabs.of(tab, watch.look(at["study"]), quantity or "") if at is not None else None
        if found is None or found.stamp == known:
            raise PreventUpdate
        return found.figure, found.sentence, found.table, found.stamp


# ---------------------------------------------------------------------------------------------------------- the browser


def _register_browser(app: Dash) -> None:
    def here(function: str, *what: Any, **options: Any) -> None:
        connect: Any = app.clientside_callback  # without types in Dash
        connect(ClientsideFunction("nas", function), *what, **options)

    later: dict[str, Any] = {"prevent_initial_call": True}
    theme, selected, asked = Input("theme", "data"), Input("selected", "data"), State("asked", "data")
    beside = Input("beside", "value")
    slider = {"limit": ALL, "end": ALL}
    wanted = Output("wanted", "data", allow_duplicate=True)
    within = [State(slider, part) for part in ("id", "min", "max")]
    here("want", wanted, Input(slider, "value"), *within, State("wanted", "data"), **later)
    kept, lift = Output({"kept": ALL}, "hidden"), {"lift": ALL}
    here("lift", wanted, kept, Input(lift, "n_clicks"), State(lift, "id"), State("wanted", "data"), **later)
    here("paint", Output("chart-frame", "children"), Input("scene", "data"), selected, beside, theme, asked)
    here("at", Output("drawn", "data"), Input("scene", "data"), **later)
    of = [State(*part) for part in (("revision", "data"), ("selected", "data"), ("beside", "value"))]
    here("course", Output("curve-frame", "children"), Input("curve-data", "data"), theme, *of)
    here("statistic", Output("statistic-frame", "children"), Input("figure", "data"), theme, State("figure-at", "data"))
    here("clicked", Output("selected", "data", allow_duplicate=True), Input("chart", "clickData"), **later)
    filtered = [Output(*part, allow_duplicate=True) for part in (("clear", "hidden"), ("rows-told", "children"))]
    here("lasso", *filtered, Input("chart", "selectedData"), **later)
    here("cleared", *filtered, Input("clear", "n_clicks"), **later)
    here("fill", Output("rows-told", "title"), Input("rows", "data"), asked, **later)
    pinned = [Output("beside", part, allow_duplicate=True) for part in ("value", "options")]
    here("pin", *pinned, Input("pin", "n_clicks"), State("selected", "data"), State("beside", "options"), **later)
    shown_now = [State(*part) for part in (("tab", "value"), ("revision", "data"), ("figure-at", "data"))]
    here("overdue", Output("overdue", "data"), Input("tick", "n_intervals"), *shown_now, State("busy", "hidden"))
    hidden = [Output(part, "hidden") for part in ("tab-trials", "tab-figure", "pin")]
    here("show", *hidden, Input("tab", "value"), selected)
    controls = [Input(name, "value") for name in ("study", "x", "y", "z", "rung", "shown", "beside", "tab")]
    seen = [Input(name, "data") for name in ("wanted", "selected", "moved", "arranged", "painted")]
    one = {"limit": MATCH, "end": MATCH}
    here("limit", Output(one | {"part": "value"}, "children"), Input(one, "value"), State(one, "tooltip"))
    here("moved", Output("moved", "data"), Input("chart", "relayoutData"), **later)
    here("address", Output("link", "href"), *controls, *seen, asked)
