"""Trials as rows of the page's table; columns of quantities are numbers, which the table sorts and filters as such.

A column holds the values of one rung alone, the one that is chosen: whatever else was measured is told in the details.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from results.figures import is_fraction, spoken, suffix
from results.outcome import TrialRecord, origin_called
from results.rung_values import costs_of, values_at


def columns(quantities: Sequence[str]) -> list[dict[str, Any]]:
    """Return the table's columns: what a trial is, its quantities, and how it was trained."""
    number: dict[str, Any] = {"filter": "agNumberColumnFilter", "type": "rightAligned"}
    number["filterParams"] = {"defaultOption": "lessThanOrEqual", "buttons": ["reset"]}
    number["comparator"] = {"function": "missingLast"}
    fields: list[dict[str, Any]] = [
        {
            "field": "number",
            "headerName": "trial",
            "sort": "desc",
            **number,
            "filterParams": {"defaultOption": "equals"},
        },
        {"field": "name", "headerName": "architecture", "filter": "agTextColumnFilter", "minWidth": 150},
        {"field": "origin", "headerName": "origin", "filter": "agTextColumnFilter"},
        {"field": "outcome", "headerName": "outcome", "filter": "agTextColumnFilter", "minWidth": 110},
        {"field": "rung", "headerName": "rung", **number},
    ]
    for name in quantities:
        kind = "percent" if is_fraction(name) else "amount"
        head = f"{spoken(name)}, %" if is_fraction(name) else spoken(name)
        fields.append(
            {
                "field": f"q_{name}",
                "headerName": head,
                "valueFormatter": {"function": f"{kind}(params.value, '{suffix(name)}')"},
                **number,
            }
        )
    fields.append(
        {
            "field": "seconds",
            "headerName": "training, s",
            "valueFormatter": {"function": "seconds(params.value)"},
            **number,
        }
    )
    fields.append({"field": "reason", "headerName": "reason", "filter": "agTextColumnFilter", "minWidth": 200})
    return fields


def values_told(rung: int | None, rungs: int) -> str:
    """Whose values stand in the table; nothing where a study has no rungs to mix up."""
    if rungs == 1:
        return ""
    which = "final ones, of complete trials alone" if rung is None else f"those at the end of rung {rung}"
    return f"Values are {which}: 'Values of' chooses others. The column 'rung' tells where a trial was trained last."


def rows(
    trials: Sequence[TrialRecord],
    quantities: Sequence[str],
    rung: int | None,
    epochs: Sequence[int | None],
    driver: str | None = None,
) -> dict[str, Any]:
    """Return trials as ``fields`` and, for each of these, what all trials have there: the page puts rows together.

    Values are those at the end of ``rung`` (None: final ones); a trial that has not come there has its costs alone.
    ``epochs``: the last one of each rung. ``driver``: who searches the study. Texts that many trials share are written
    once: ``data`` holds their places in ``texts`` then.
    """
    told = [_row(trial, quantities, values_at(trial, rung, epochs) or costs_of(trial), driver) for trial in trials]
    fields = list(told[0]) if told else []
    data: list[Any] = [[row[field] for row in told] for field in fields]
    texts: dict[str, list[str]] = {}
    for place, field in enumerate(fields):
        if field in _SHARED:
            known = {text: at for at, text in enumerate(dict.fromkeys(data[place]))}
            texts[field], data[place] = list(known), [known[text] for text in data[place]]
    return {"fields": fields, "data": data, "texts": texts}


_SHARED = ("origin", "outcome", "reason")


def _row(
    trial: TrialRecord, quantities: Sequence[str], values: Mapping[str, float], driver: str | None
) -> dict[str, Any]:
    last = trial.measurements[-1] if trial.measurements else None
    seconds = trial.seconds if trial.seconds is not None or last is None else last.seconds
    told: dict[str, Any] = {
        "number": trial.number,
        "name": trial.seed or trial.digest[:12],
        "origin": origin_called(trial.origin),
        "outcome": trial.outcome.called(driver),
        "rung": None if last is None else last.rung,
        "seconds": None if seconds is None else round(seconds, 1),
        "reason": trial.reason[:300],
    }
    for name in quantities:
        value = values.get(name)
        told[f"q_{name}"] = value if value is None else _short((100 if is_fraction(name) else 1) * value)
    return told


def _short(value: float) -> float | int:
    """Six digits are more than a column shows; a whole number is written without a point."""
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() else short
