"""The sliders of the page: a limit for each quantity, within what the trials have of it.

A limit is told as it is shown: fractions in percent, in the page's address as well. What the reader wants is kept by
the page (``wanted``, which the page's script sets) and outlasts the sliders, which reach no further than the values.
"""

import math
import re
from collections.abc import Mapping

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component

from results.dashboard.parts import aria, missing
from results.dashboard.watch import Snapshot
from results.figures import is_fraction, shown, spoken

STEPS = 200
FINAL = -1  # among rungs: the final values

Ends = dict[str, tuple[float, float]]


def chosen(rung: int | None) -> int | None:
    """The rung that the page's control stands at; None: final values."""
    return None if rung == FINAL else rung


def whole(text: str | None) -> int | None:
    """The whole number that a text is, None for any other text."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,11}", text) else None


def number(text: str | None) -> float | None:
    """The finite number that a text is, None for any other text."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def scale(name: str) -> float:
    """By what a quantity is multiplied where it is shown."""
    return 100.0 if is_fraction(name) else 1.0


def ends(snapshot: Snapshot, rung: int | None) -> Ends:
    """Between what each quantity that varies lies at a rung, rounded outwards so that it seldom changes."""
    found: Ends = {}
    for name in snapshot.quantities:
        values = snapshot.values(name, chosen(rung))
        values = values[np.isfinite(values)] * scale(name)
        if len(values) and values.min() < values.max():
            found[name] = _outwards(float(values.min()), float(values.max()))
    return found


def _outwards(low: float, high: float) -> tuple[float, float]:
    step = 10.0 ** math.floor(math.log10(high - low)) / 5
    return round(math.floor(low / step) * step, 10), round(math.ceil(high / step) * step, 10)


def sliders(snapshot: Snapshot, between: Ends, wanted: Mapping[str, float]) -> list[Component]:
    """One slider for each quantity between its ends. ``wanted``: limits as shown; the others limit nothing.

    A slider stands as near to what is wanted as it can; of a limit without a slider is told that it counts, beside a
    button that lifts it.
    """
    made: list[Component] = []
    for name, (low, high) in between.items():
        label, least = _label(snapshot, name), snapshot.quantities[name] == "minimize"
        identity = {"limit": name, "end": "high" if least else "low"}
        value = min(high, max(low, wanted.get(name, high if least else low)))
        slider = dcc.Slider(
            id=identity,
            min=low,
            max=high,
            step=(high - low) / STEPS,
            value=value,
            marks=None,
            included=True,
            allow_direct_input=False,
            tooltip={"placement": "bottom", "transform": "percent" if is_fraction(name) else "amount"},
        )
        marks = html.Div([html.Span(shown(name, end / scale(name))) for end in (low, high)], className="ends")
        told = html.Span(id=identity | {"part": "value"}, className="value")
        parts = [html.Span([label, " ", told], className="label"), slider, marks]
        made.append(html.Div(parts, className="control", role="group", **aria(label=label)))
    for name, value in wanted.items():
        if name in snapshot.quantities and name not in between:
            limit = f"{_label(snapshot, name)} {shown(name, value / scale(name))}"
            kept = missing(f"Kept, where no values differ: {limit}.")
            lift = html.Button("Lift it", id={"lift": name}, n_clicks=0, **aria(label=f"Lift the limit {limit}"))
            made.append(html.Div([kept, lift], id={"kept": name}, className="control"))
    return made or [missing("No quantity differs among the trials' values yet, so there is nothing to limit.")]


def _label(snapshot: Snapshot, name: str) -> str:
    return f"{spoken(name)}, at {'most' if snapshot.quantities[name] == 'minimize' else 'least'}"
