"""The trial that is selected, beside another one: what is told of it, and its training curve."""

from collections.abc import Callable
from typing import Any

from dash import Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate

from results.dashboard.details import SEED, Subject, architecture_panel, of_seed, of_trial, values_panel
from results.dashboard.layout import UNSELECTED
from results.dashboard.parts import missing
from results.dashboard.sliders import chosen, whole
from results.dashboard.watch import Snapshot, Watch, or_nothing
from results.figures import chart_text, is_fraction, spoken
from results.outcome import StudyRecord, TrialRecord
from results.report_audit import AuditedBy
from results.view import Target
from search_spaces.errors import RequestError

FindThresholds = Callable[[StudyRecord], AuditedBy]
_LONGEST = 200  # letters of what is quoted from an address
_ARCHITECTURE = 3  # of what is asked for, the first that decide what is told of an architecture


def register_selected(app: Dash, watch: Watch, audited_by: FindThresholds) -> None:
    """Connect the panel and the curve to the trial that is selected, and to the one beside it."""

    @app.callback(
        Output("details-title", "children"),
        Output("values", "children"),
        Output("architecture", "children"),
        Output("curve-data", "data"),
        Output("told", "data"),
        Input("selected", "data"),
        Input("beside", "value"),
        Input("rung", "value"),
        Input("revision", "data"),
        State("told", "data"),
        prevent_initial_call=True,
    )
    @or_nothing
    def tell(
        number: int | None, beside: str | None, rung: int | None, at: dict[str, Any] | None, told: Any
    ) -> tuple[Any, ...]:
        if at is None:
            raise PreventUpdate
        snapshot = watch.look(at["study"])
        if number is None or number not in snapshot.place:
            return "No trial selected", UNSELECTED, None, None, None
        asked = [
            snapshot.generation,
            number,
            beside,
            rung,
            _changed(snapshot, number),
            _changed(snapshot, whole(beside)),
        ]
        if asked == told and ctx.triggered_id == "revision":
            raise PreventUpdate
        try:
            subject = of_trial(watch.trial(at["study"], number), snapshot.epochs, chosen(rung))
            other = _other(watch, snapshot, beside, chosen(rung))
            values = values_panel(snapshot.record, subject, other, snapshot.driver)
            architecture: Any = no_update
            if told is None or told[:_ARCHITECTURE] != asked[:_ARCHITECTURE]:  # else it stays, as its reader left it
                architecture = architecture_panel(snapshot.record, subject, other, audited_by(snapshot.record))
        except RequestError as error:
            return f"Trial {number}", missing(f"This trial cannot be shown: {error}."), None, None, None
        return subject.title.capitalize(), values, architecture, curve(subject, other), asked


def _changed(snapshot: Snapshot, number: int | None) -> int | None:
    place = None if number is None else snapshot.place.get(number)
    return None if place is None else int(snapshot.changed[place])


def _other(watch: Watch, snapshot: Snapshot, beside: str | None, rung: int | None) -> Subject | None:
    if not beside:
        return None
    if beside.startswith(SEED):
        return of_seed(beside.removeprefix(SEED)[:_LONGEST], Target.of(snapshot.record.search))
    number = whole(beside)
    if number is None or number not in snapshot.place:
        raise RequestError(f"there is no trial {beside[:_LONGEST]!r} to compare with: choose another")
    return of_trial(watch.trial(snapshot.record.name, number), snapshot.epochs, rung)


def curve(subject: Subject, beside: Subject | None) -> dict[str, Any] | None:
    """The course of a trial's first fraction (its error) by epoch, each rung a line of its own; None without any."""
    traces = []
    for each, meta in ((subject, "front"), (beside, "random")):
        trial = each.trial if each is not None else None
        if trial is None or not trial.measurements:
            continue
        name = next((key for m in trial.measurements for key in m.values if is_fraction(key)), None)
        if name is None:
            continue
        for rung in sorted({m.rung for m in trial.measurements if name in m.values}):
            part = [m for m in trial.measurements if m.rung == rung and name in m.values]
            traces.append(_course(trial, name, rung, [m.epoch for m in part], [m.values[name] for m in part], meta))
    if not traces:
        return None
    axes = {"xaxis": {"title": {"text": "epoch"}, "dtick": None}, "yaxis": {"ticksuffix": " %", "rangemode": "tozero"}}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    margin = {"l": 48, "r": 8, "t": 32, "b": 40}
    return {"data": traces, "layout": axes | {"legend": legend, "margin": margin, "showlegend": True}}


def _course(
    trial: TrialRecord, name: str, rung: int, epochs: list[int], values: list[float], meta: str
) -> dict[str, Any]:
    dash = ("solid", "dot", "dash")[rung % 3]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": epochs,
        "y": [100 * value for value in values],
        "line": {"dash": dash},
        "meta": meta,
        "name": chart_text(f"{spoken(name)}, trial {trial.number}, rung {rung}"),
    }
