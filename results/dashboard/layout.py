"""The page before anything is known: controls, chart, details, tabs, and the stores through which they speak."""

from typing import Any

from dash import dcc, html
from dash.development.base_component import Component
from dash_ag_grid import AgGrid

from results.dashboard.parts import aria, frame, labelled
from results.dashboard.scene import KINDS

POLL_MS = 2000
UNSELECTED = "Click a point of the chart or a row of the table."
TABS = {
    "trials": "Trials",
    "growth": "Hypervolume by trial",
    "distributions": "Distributions",
    "importance": "Importance of genes",
    "outcomes": "Outcomes",
}
_KIND_LABELS = {
    "sampler": "sampler",
    "random": "random arm",
    "seed": "published networks",
    "infeasible": "beyond limits",
}
# What the page remembers; `asked` is the view that its address carries, `wanted` the limits that its reader has set.
_STORES = (
    "asked",
    "offered",
    "revision",
    "wanted",
    "scene",
    "selected",
    "told",
    "rows",
    "rows-at",
    "curve-data",
    "figure",
    "moved",
    "arranged",
    "drawn",
    "painted",
    "figure-at",
    "overdue",
    "theme",
)


def page() -> Component:
    """Return the whole page."""
    return html.Div(
        [
            dcc.Location(id="place", refresh=False),
            dcc.Interval(id="tick", interval=POLL_MS),
            *(dcc.Store(id=name) for name in _STORES),
            html.A("Skip to the chart", href="#chart-frame", className="skip"),
            _header(),
            html.Main([_controls(), _middle(), _details()], id="main"),
            _below(),
        ],
        id="page",
    )


def _header() -> Component:
    study = dcc.Dropdown(id="study", clearable=False, searchable=True, placeholder="no study yet", maxHeight=320)
    return html.Header(
        [
            html.H1("inception-nas"),
            labelled("Study", study, "study"),
            html.P("Reading the ledger ...", id="standing", role="status", **aria(live="polite")),
            html.A("Link to this view", id="link", href="?", className="quiet"),
        ]
    )


def _controls() -> Component:
    def pick(name: str, label: str, **options: Any) -> Component:
        return labelled(label, dcc.Dropdown(id=name, searchable=False, maxHeight=320, **options), name)

    shown = dcc.Checklist(
        id="shown", options=[{"label": _KIND_LABELS[kind], "value": kind} for kind in KINDS], value=list(KINDS)
    )
    return html.Section(
        [
            html.H2("View"),
            pick("x", "To the right", clearable=False),
            pick("y", "Upwards", clearable=False),
            pick("z", "Into depth", placeholder="nothing"),
            pick("rung", "Values of", clearable=False),
            html.Fieldset([html.Legend("Shown"), shown]),
            html.Fieldset([html.Legend("Limits"), html.Div(id="limits")]),
        ],
        className="controls",
        **aria(label="View"),
    )


def _middle() -> Component:
    save = [html.Button(f"Save as {kind.upper()}", id=f"save-{kind}", n_clicks=0) for kind in ("png", "svg")]
    tables = [
        html.A(text, id=name, href="#", download="")
        for name, text in (("csv", "All trials (CSV)"), ("front-csv", "Front (CSV)"))
    ]
    return html.Section(
        [
            html.H2("Front", id="front-title"),
            html.P(id="summary", role="status", **aria(live="polite")),
            frame("chart", "Scatter of the study's trials. Arrow keys walk along the front.", "large"),
            html.P(
                "Click a point, or walk along the front with the arrow keys: its architecture is shown beside. A lasso "
                "filters the table.",
                className="muted",
            ),
            html.P(
                "This browser draws no WebGL: many points are slower.", id="no-webgl", hidden=True, className="muted"
            ),
            html.Div(
                [*save, *tables, html.Button("Clear the lasso", id="clear", hidden=True, n_clicks=0)], className="bar"
            ),
        ],
        className="middle",
    )


def _details() -> Component:
    beside = dcc.Dropdown(id="beside", placeholder="nothing", maxHeight=320)
    curve = frame("curve", "Error by epoch of the selected trial", kind="small")
    return html.Section(
        [
            html.H2("No trial selected", id="details-title"),
            labelled("Compared with", beside, "beside"),
            html.Button("Compare the next one with this", id="pin", n_clicks=0, hidden=True),
            html.Div([html.Div(UNSELECTED, id="values"), html.Div(id="architecture")], id="details"),
            html.Div([html.H3("Training curve"), curve], id="curve-part"),
        ],
        className="details",
        **aria(label="Selected trial"),
    )


def _below() -> Component:
    tabs = dcc.Tabs(id="tab", value="trials", children=[dcc.Tab(label=text, value=name) for name, text in TABS.items()])
    return html.Section(
        [
            tabs,
            html.Div(
                [
                    html.P("", id="rows-of", className="muted"),
                    html.P("", id="rows-told", role="status", className="muted"),
                    html.Div(id="grid-place"),
                ],
                id="tab-trials",
            ),
            html.Div(
                [
                    html.P("", id="figure-told"),
                    html.P("Working it out ...", id="busy", hidden=True, role="status", className="muted"),
                    frame("statistic", "The figure of this tab", kind="large"),
                    html.Div(id="figure-table"),
                ],
                id="tab-figure",
                hidden=True,
            ),
        ],
        className="below",
    )


def grid(columns: list[dict[str, Any]], generation: str) -> Component:
    """Return the table of trials, which comes after the chart: to set it up takes a second of the browser's time."""
    made: Component = AgGrid(
        id={"grid": generation},
        columnDefs=columns,
        getRowId="params.data.id",
        defaultColDef={
            "sortable": True,
            "filter": True,
            "resizable": True,
            "floatingFilter": True,
            "minWidth": 90,
            "flex": 1,
        },
        dashGridOptions={
            "suppressFieldDotNotation": True,  # a name of an objective may hold a dot
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
            "isExternalFilterPresent": {"function": "lassoPresent()"},
            "doesExternalFilterPass": {"function": "lassoed(params)"},
            "localeText": {"noRowsToShow": "no trials"},
            "animateRows": False,
            "theme": {"function": "gridTheme(themeQuartz)"},
        },
        className="grid",
    )
    return made
