"""The figures of the tabs: what a study's trials come to, found once for each revision and shared by all viewers."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dash.development.base_component import Component

from results.control import compare
from results.dashboard.parts import scroll, table
from results.dashboard.watch import Snapshot
from results.data_tables import of_distributions, of_outcomes
from results.distribution_figure import distributions_figure
from results.distributions import distributions
from results.figures import framed, spoken
from results.growth import growth
from results.growth_figure import hypervolume_over_time
from results.importance import Importance
from results.importance_figure import importances_figure
from results.outcome import StudyRecord

FindImportances = Callable[[StudyRecord], Sequence[Importance]]
REST = 10.0  # times as long as a figure took to find is rested before it is found anew, while a search runs


@dataclass(frozen=True)
class Told:
    """A tab: its figure in plotly's JSON form (None: there is nothing to draw), what it says, and its table."""

    figure: dict[str, Any] | None
    sentence: str
    table: Component | None = None


@dataclass(frozen=True)
class _Found:
    revision: int
    at: float
    took: float
    what: Any


class Tabs:
    """Finds what a tab shows. Any thread may ask; what others have found of the same study just now is not found again.

    While a search runs, each figure rests ten times as long as it took: what viewers look at must not slow it.
    """

    def __init__(self, importances: FindImportances) -> None:
        self._importances = importances
        self._known: dict[tuple[str, str], _Found] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()
        self._of: dict[str, Callable[[Snapshot, str], Told]] = {
            "growth": self._growth,
            "distributions": self._distributions,
            "importance": self._importance,
            "outcomes": self._outcomes,
        }

    def of(self, tab: str, snapshot: Snapshot, quantity: str) -> Told | None:
        """What a tab shows; None for one without a figure. ``quantity``: the one whose genes are looked at."""
        return self._of[tab](snapshot, quantity) if tab in self._of else None

    def _once(self, name: str, snapshot: Snapshot, find: Callable[[], Any]) -> Any:
        key = snapshot.record.name, name
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            known, now = self._known.get(key), time.monotonic()
            rests = known is not None and snapshot.driver is not None and now < known.at + REST * known.took
            if known is None or (known.revision != snapshot.revision and not rests):
                what = find()
                known = self._known[key] = _Found(snapshot.revision, time.monotonic(), time.monotonic() - now, what)
            return known.what

    def _growth(self, snapshot: Snapshot, quantity: str) -> Told:
        trials, objectives = snapshot.trials, snapshot.record.objectives
        figure, control = self._once(
            "growth", snapshot, lambda: (hypervolume_over_time(growth(trials, objectives)), compare(trials, objectives))
        )
        if figure is None:
            return Told(None, "No complete trial keeps all limits yet, so there is no hypervolume to draw.")
        return Told(
            figure, control.sentence if control else "The study has no control arm to compare the sampler with."
        )

    def _distributions(self, snapshot: Snapshot, quantity: str) -> Told:
        found = self._once(
            "distributions", snapshot, lambda: distributions(snapshot.trials, snapshot.record.objectives)
        )
        figure = distributions_figure(found)
        if figure is None:
            return Told(None, "There are too few complete trials yet to divide them into bands of equal cost.")
        written = of_distributions(found)
        rows = [["" if cell is None else _cell(cell) for cell in row] for row in written.rows[:_MOST]]
        told = f"Share of trials whose {spoken(found.objective)} is at most so large, in bands of equal cost."
        return Told(figure, told, scroll("Distributions", table(written.columns, rows), "tall"))

    def _importance(self, snapshot: Snapshot, quantity: str) -> Told:
        every: Sequence[Importance] = self._once("importance", snapshot, lambda: self._importances(snapshot.record))
        found = next((each for each in every if each.of == quantity), None)
        if found is None:
            told = ", ".join(spoken(each.of) for each in every) or "no objective"
            return Told(None, f"Which genes matter is found out for {told}: choose one of these under 'Upwards'.")
        if found.missing:
            return Told(None, f"Nothing can be said yet: {found.missing}.")
        left = f" Left out, as not every trial has them: {', '.join(found.left_out)}." if found.left_out else ""
        rows = [[gene, f"{100 * share:.1f} %"] for gene, share in found.shares.items()]
        told = f"Which genes matter for {spoken(found.of)}, which is drawn upwards above.{left}"
        return Told(importances_figure(found), told, scroll("Importance", table(["gene", "share"], rows), "tall"))

    def _outcomes(self, snapshot: Snapshot, quantity: str) -> Told:
        written = of_outcomes(snapshot.trials)
        found = [row for row in written.rows if row[1]]
        bars = {"type": "bar", "orientation": "h", "meta": "trials", "name": "trials", "showlegend": False}
        bars |= {"x": [row[1] for row in found], "y": [row[0] for row in found]}
        layout = framed({"title": {"text": "trials"}}, {"autorange": "reversed", "type": "category"})
        if not found:
            return Told(None, "There are no trials yet.")
        rows = [[_cell(cell) for cell in row] for row in found]
        return Told(
            {"data": [bars], "layout": layout},
            "How the trials ended.",
            scroll("Outcomes", table(written.columns, rows)),
        )


_MOST = 200  # rows of a table below a figure; its CSV file has all


def _cell(cell: object) -> str:
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}"
