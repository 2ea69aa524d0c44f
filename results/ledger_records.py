"""Records of a ledger's rows: whole columns at once, and row by row where something in one of them is damaged.

A row may be damaged: by a disk, by hand, by another program. It costs its own trial at most. Only what our own writing
allows is taken: mappings, and in most of them finite numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, get_args

from results.outcome import (
    LedgerError,
    Measurement,
    Origin,
    Outcome,
    StudyRecord,
    TrialRecord,
    check_objectives,
)

Fits = Callable[[list[Any]], bool]
_DAMAGE = (ValueError, TypeError, RecursionError)  # no JSON, no text at all, JSON that is too deep


def measurements_of(rows: Sequence[Any]) -> dict[int, list[Measurement]]:
    """Number of the trial -> its measurements, in the order of the rows; one whose values are damaged is left out.

    ``rows``: (study's key, number, rung, epoch, values, seconds, order).
    """
    decoded, damaged = _decoded([row[4] for row in rows], _numbers)
    lost, found = set(damaged), dict[int, list[Measurement]]()
    for index, ((_, number, rung, epoch, _, seconds, place), values) in enumerate(zip(rows, decoded, strict=True)):
        if index not in lost:
            found.setdefault(number, []).append(Measurement(rung, epoch, values, seconds, place))
    return found


def trials_from_columns(
    study: str, columns: Mapping[str, Sequence[Any]], measured: Mapping[int, Sequence[Measurement]]
) -> list[TrialRecord]:
    """The trials of a study whose columns (all of one length) these are; `measured` is by number.

    By columns and not row by row: one JSON text per column is decoded several times faster than one per field.
    A trial with a damaged field stays, with what can be read (`_told`).
    """
    fields = {name: columns[name] for name in columns if name != "study_id"}
    damaged: dict[int, list[str]] = {}
    for name, fits in _FITS.items():
        fields[name], places = _decoded(columns[name], fits)
        for index in places:
            damaged.setdefault(index, []).append(name)
    for name, allowed in (("outcome", _OUTCOMES), ("origin", _ORIGINS)):
        if not set(columns[name]) <= allowed.keys():
            for index in [index for index, text in enumerate(columns[name]) if text not in allowed]:
                damaged.setdefault(index, []).append(name)
    fields["outcome"] = [_OUTCOMES.get(text, Outcome.BROKEN) for text in columns["outcome"]]
    fields["measurements"] = [tuple(measured.get(number, ())) for number in columns["number"]]
    names = tuple(fields)
    found = [
        TrialRecord(study=study, **dict(zip(names, row, strict=True))) for row in zip(*fields.values(), strict=True)
    ]
    for index, unreadable in damaged.items():
        found[index] = _told(found[index], unreadable)
    return found


def outcome_of(text: str) -> Outcome:
    """The outcome that a row names; BROKEN where that is none."""
    return _OUTCOMES.get(text, Outcome.BROKEN)


def study_from_columns(columns: Mapping[Any, Any]) -> StudyRecord:
    """The study whose row this is; LedgerError where that is damaged: without it nothing is known of its trials."""
    fields = {key: value for key, value in columns.items() if key != "id"}
    for key in ("search", "objectives", "versions"):
        decoded, damaged = _decoded([fields[key]], _mappings)
        if damaged:
            raise LedgerError(
                f"study {fields['name']!r} cannot be read: its {key} in the ledger is damaged; "
                "put back a copy of the ledger, or search under another name"
            )
        fields[key] = decoded[0]
    check_objectives(fields["name"], fields["objectives"])
    fields["fidelities"] = fidelities_of(fields["fidelities"])
    return StudyRecord(**fields)


def fidelities_of(text: str | None) -> tuple[str, ...]:
    """A study's fidelities; () where they are not known, or damaged."""
    try:
        found = json.loads(text or "[]")
    except _DAMAGE:
        return ()
    return tuple(found) if isinstance(found, list) else ()


def _told(trial: TrialRecord, unreadable: Sequence[str]) -> TrialRecord:
    """A trial whose row is damaged, with a reason that says so.

    Where it is not known any more how good it is, it counts as broken: it cannot go on or be on a front, its
    architecture may be tried again, and no driver writes to its row.
    """
    reason = f"its row in the ledger is damaged, and cannot be read in: {', '.join(unreadable)}"
    if trial.reason:
        reason = f"{reason}; {trial.reason}"
    decisive = tuple(name for name in unreadable if name not in _BESIDES)
    if not decisive:
        return replace(trial, reason=reason, genes=None if "genes" in unreadable else trial.genes)
    if "outcome" not in unreadable:
        reason = f"was {trial.outcome}; {reason}"
    return replace(
        trial,
        outcome=Outcome.BROKEN,
        reason=reason,
        values={},
        genes=None if "genes" in unreadable else trial.genes,
        origin="sampler" if "origin" in unreadable else trial.origin,
        unreadable=decisive,
    )


# Texts of a column


def _decoded(texts: Sequence[str | None], fits: Fits) -> tuple[list[Any], list[int]]:
    """What JSON texts hold (of None: None), with {} for what is damaged or does not fit, and the places of that."""
    written = [text or "null" for text in texts]
    found = _read(written, fits)
    if found is not None:
        return found, []
    each = [_read([text], fits) for text in written]
    return [{} if one is None else one[0] for one in each], [index for index, one in enumerate(each) if one is None]


def _read(texts: Sequence[str], fits: Fits) -> list[Any] | None:
    """What some JSON texts hold; None unless all of them fit."""
    try:
        found: list[Any] = _DECODE(f"[{','.join(texts)}]")
    except _DAMAGE:
        return None
    return found if len(found) == len(texts) and fits(found) else None  # a text may hold a comma of its own


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is never written")


_DECODE = json.JSONDecoder(parse_constant=_refused).decode


def _mappings(found: list[Any]) -> bool:
    return set(map(type, found)) <= {dict}


def _mappings_or_none(found: list[Any]) -> bool:
    return set(map(type, found)) <= {dict, type(None)}


def _numbers(found: list[Any]) -> bool:
    """Whether all are mappings to numbers: types alone are looked at, which takes no time beside the decoding."""
    return _mappings(found) and set(map(type, chain.from_iterable(map(dict.values, found)))) <= {int, float}


_FITS: dict[str, Fits] = {
    "architecture": _mappings,
    "genes": _mappings_or_none,
    "costs": _numbers,
    "violations": _numbers,
    "values": _numbers,
}
_BESIDES = ("architecture", "genes")  # a trial's results stand without them, and their readers tell of it
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_ORIGINS: dict[str, Origin] = {origin: origin for origin in get_args(Origin)}
