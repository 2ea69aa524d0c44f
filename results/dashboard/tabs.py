"""The figures of the tabs: what a study's trials come to, found once for each revision and shared by all viewers."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dash.development.base_component import Component

from results.blocks import quantity
from results.control import NO_CONTROL, Control, compare, startup_of
from results.dashboard.parts import scroll, table
from results.dashboard.watch import Snapshot
from results.distribution_figure import distributions_figure
from results.distributions import Distributions, distributions
from results.equal_cost import SHARES
from results.figures import framed, shown, spoken
from results.growth import growth
from results.growth_figure import hypervolume_by_trial
from results.importance import Importance
from results.importance_figure import importances_figure
from results.outcome import Outcome, StudyRecord

FindImportances = Callable[[StudyRecord], Sequence[Importance]]
_Outcomes = list[tuple[str, int, str]]  # each with its count and meaning
_Growth = tuple[dict[str, Any] | None, Control | None]
REST = 10.0  # times as long as a figure took to find is rested before it is found anew, while a search runs


@dataclass(frozen=True)
class Told:
    """A tab: its figure in plotly's JSON form (None: there is nothing to draw), what it says, and its table.

    ``stamp`` is another one whenever anything of it is.
    """

    figure: dict[str, Any] | None
    sentence: str
    table: Component | None = None
    stamp: str = ""


@dataclass(frozen=True)
class _Found:
    generation: str
    revision: int
    at: float
    took: float
    what: Any


class Tabs:
    """Finds what a tab shows. Any thread may ask; what others have found of the same study just now is not found again.

    While a search runs, each figure rests ten times as long as it took: what viewers look at must not slow it. While
    one viewer's question is worked on, the others are told what was known before, under the stamp of that.
    """

    def __init__(self, importances: FindImportances) -> None:
        self._importances = importances
        self._known: dict[tuple[str, str], _Found] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()
        self._of: dict[str, tuple[Callable[[Snapshot], Any], Callable[[Any, Snapshot, str], Told]]] = {
            "growth": (_find_growth, self._growth),
            "distributions": (
                lambda snapshot: distributions(snapshot.trials, snapshot.record.objectives),
                self._distributions,
            ),
            "importance": (lambda snapshot: self._importances(snapshot.record), self._importance),
            "outcomes": (_find_outcomes, self._outcomes),
        }

    def of(self, tab: str, snapshot: Snapshot, quantity: str) -> Told | None:
        """What a tab shows; None for one without a figure. ``quantity``: the one whose genes are looked at."""
        if tab not in self._of:
            return None
        find, tell = self._of[tab]
        found = self._once(tab, snapshot, find)
        about = quantity if tab == "importance" else ""
        stamp = "/".join(map(str, (snapshot.record.name, tab, about, found.generation, found.revision)))
        return replace(tell(found.what, snapshot, quantity), stamp=stamp)

    def _once(self, tab: str, snapshot: Snapshot, find: Callable[[Snapshot], Any]) -> _Found:
        key = snapshot.record.name, tab
        with self._lock:
            lock, known = self._locks.setdefault(key, threading.Lock()), self._known.get(key)
        if not lock.acquire(blocking=known is None or known.generation != snapshot.generation):
            assert known is not None
            return known
        try:
            known, now = self._known.get(key), time.monotonic()
            same = known is not None and known.generation == snapshot.generation
            if known is None or not same or (known.revision != snapshot.revision and not _rests(known, snapshot, now)):
                what = find(snapshot)
                took = time.monotonic() - now
                known = _Found(snapshot.generation, snapshot.revision, now + took, took, what)
                self._known[key] = known
            return known
        finally:
            lock.release()

    @staticmethod
    def _growth(what: _Growth, snapshot: Snapshot, quantity: str) -> Told:
        (figure, control), objectives = what, snapshot.record.objectives
        if figure is None:
            return Told(None, "No complete trial keeps all limits yet, so there is no hypervolume to draw.")
        told = f"Of {' and '.join(map(spoken, objectives))}, all objectives of the study, whatever is drawn above."
        compared = control.sentence if control else NO_CONTROL
        return Told(figure, f"{told} {compared}")

    @staticmethod
    def _distributions(found: Distributions, snapshot: Snapshot, quantity: str) -> Told:
        figure = distributions_figure(found)
        if figure is None:
            return Told(None, "There are too few complete trials yet to divide them into bands of equal cost.")
        told = f"Share of trials whose {spoken(found.objective)} is at most so large, in bands of equal cost."
        return Told(figure, told, scroll("Distributions", _quantiles(found), "tall"))

    @staticmethod
    def _importance(every: Sequence[Importance], snapshot: Snapshot, quantity: str) -> Told:
        found = next((each for each in every if each.of == quantity), None)
        if found is None:
            told = ", ".join(spoken(each.of) for each in every) or "no objective"
            return Told(None, f"Which genes matter is found out for {told}: choose one of these under 'Upwards'.")
        if found.missing:
            return Told(None, f"Nothing can be said yet: {found.missing}. {found.reservations}".strip())
        rows = [[gene, f"{100 * share:.1f} %"] for gene, share in found.shares.items()]
        told = f"Which genes matter for {spoken(found.of)}, which is drawn upwards above. {found.reservations}".strip()
        return Told(importances_figure(found), told, scroll("Importance", table(["gene", "share"], rows), "tall"))

    @staticmethod
    def _outcomes(found: _Outcomes, snapshot: Snapshot, quantity: str) -> Told:
        bars = {"type": "bar", "orientation": "h", "meta": "trials", "name": "trials", "showlegend": False}
        bars |= {"x": [row[1] for row in found], "y": [row[0] for row in found]}
        layout = framed({"title": {"text": "trials"}}, {"autorange": "reversed", "type": "category"})
        if not found:
            return Told(None, "There are no trials yet.")
        rows = [[outcome, f"{count:,}", meaning] for outcome, count, meaning in found]
        return Told(
            {"data": [bars], "layout": layout},
            "How the trials ended.",
            scroll("Outcomes", table(["outcome", "trials", "meaning"], rows)),
        )


def _find_growth(snapshot: Snapshot) -> _Growth:
    trials, objectives = snapshot.trials, snapshot.record.objectives
    startup = startup_of(snapshot.record.search)
    return hypervolume_by_trial(growth(trials, objectives)), compare(trials, objectives, startup=startup)


def _find_outcomes(snapshot: Snapshot) -> _Outcomes:
    counts, driver = snapshot.counts, snapshot.driver
    return [(each.called(driver), counts[each], each.meaning(driver)) for each in Outcome if counts[each]]


def _rests(known: _Found, snapshot: Snapshot, now: float) -> bool:
    return snapshot.driver is not None and now < known.at + REST * known.took


def _quantiles(found: Distributions) -> Component:
    heads = ["MACs", "arm", "trials", "best", *(f"{share:.0%}" for share in SHARES[1:-1]), "worst"]
    rows: list[list[str]] = []
    for band in found.bands:
        for arm, values in band.arms.items():
            marks = [shown(found.objective, value) for value in band.quantiles(arm).values()]
            rows.append([f"{quantity(band.low)} to {quantity(band.high)}", arm, f"{len(values):,}", *marks])
    return table(heads, rows)
