"""Studies as they are at this moment, read again only where they have changed, for any number of viewers."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from dash.exceptions import PreventUpdate
from numpy.typing import NDArray

from results.figures import thrift
from results.outcome import Direction, LedgerError, NoLedger, Outcome, StudyRecord, TrialRecord
from results.pace import Pace, pace_of
from results.rung_values import epochs_of, values_at

if TYPE_CHECKING:
    from results.ledger import Ledger

T = TypeVar("T")
AGAIN = 1.0  # seconds until a study is looked at again: viewers in between share what was read


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A study at one moment: ``trials`` by number, without their long parts (`Ledger.summaries`).

    ``revision`` grows with each change; ``changed`` holds, in the order of the trials, the one at which each was last
    read. Both count only within a ``generation``, which is another one after the dashboard was started anew, or another
    study has come in the place of this one. ``driver``: the process that searches the study, if one does.
    """

    record: StudyRecord
    trials: Sequence[TrialRecord]
    revision: int
    changed: NDArray[np.int64]
    driver: str | None
    generation: str = ""

    @property
    def at(self) -> dict[str, Any]:
        """What a page remembers of it, to know whether it has changed."""
        return {"study": self.record.name, "generation": self.generation, "revision": self.revision}

    def since(self, known: Mapping[str, Any] | None) -> int:
        """The revision that a page knows of this study; 0 where it knows another one, or none."""
        same = known is not None and (known["study"], known["generation"]) == (self.record.name, self.generation)
        return int(known["revision"]) if known is not None and same else 0

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The trials' numbers, shape (trials,), ascending."""
        return np.array([trial.number for trial in self.trials], dtype=np.int64)

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Number -> index among the trials."""
        return {trial.number: index for index, trial in enumerate(self.trials)}

    @cached_property
    def epochs(self) -> tuple[int | None, ...]:
        """The last epoch of each rung, the top one last (`results.rung_values`)."""
        return epochs_of(self.record.search)

    @property
    def rungs(self) -> int:
        """How many rungs the study has: 1 without any below the top."""
        return len(self.epochs)

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """Whether each trial keeps all constraints that were measured of it, shape (trials,)."""
        return np.array([trial.feasible for trial in self.trials], dtype=bool)

    @cached_property
    def counts(self) -> Counter[Outcome]:
        """How many trials there are of each outcome."""
        return Counter(trial.outcome for trial in self.trials)

    @cached_property
    def pace(self) -> Pace | None:
        """How fast trials end; None where nobody searches."""
        return pace_of(self.trials, self.counts[Outcome.RUNNING]) if self.driver is not None else None

    @cached_property
    def quantities(self) -> dict[str, Direction]:
        """What can be drawn: the objectives with their directions, then costs, which are minimised."""
        objectives = self.record.objectives
        known = {name for trial in self.trials for name in trial.costs} | {thrift(objectives)}
        costs = [name for name in ("macs", "params") if name in known and name not in objectives]
        return {**objectives, **dict.fromkeys(costs, "minimize")}

    def values(self, name: str, rung: int | None) -> NDArray[np.float64]:
        """One quantity of every trial, shape (trials,), NaN where there is none.

        ``rung`` None: final values, which only complete trials have; else what was measured at that rung's end.
        Costs are the same at every rung, but count only for trials that have come to the rung's end.
        """
        known: dict[tuple[str, int | None], NDArray[np.float64]] = self.__dict__.setdefault("_values", {})
        if (name, rung) not in known:
            found = [values_at(trial, rung, self.epochs) or {} for trial in self.trials]
            for each in {name, *self.quantities}:  # all at once: another one is asked for next
                known[each, rung] = np.array([values.get(each, np.nan) for values in found], dtype=float)
        return known[name, rung]


class Watch:
    """Reads studies from a ledger for the dashboard. Any thread may call it; each study is read by one at a time.

    ``only``: the one study that may be read, if not all of them.
    """

    def __init__(self, open_ledger: "Callable[[], Ledger]", *, only: str | None = None, again: float = AGAIN) -> None:
        self._open, self._only, self._again = open_ledger, only, again
        self._ledger: Ledger | None = None
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def ledger(self) -> "Ledger":
        """The ledger, opened at the first call that finds one; NoLedger or LedgerError until then."""
        with self._lock:
            if self._ledger is None:
                self._ledger = self._open()
            return self._ledger

    def studies(self) -> list[str]:
        """The names of all studies, the newest first; [] where there is no ledger yet."""
        if self._only is not None:
            return [self._only]
        try:
            return self.ledger().names()[::-1]
        except NoLedger:
            return []

    def trial(self, study: str, number: int) -> TrialRecord:
        """One trial with all its parts; LedgerError where it cannot be read."""
        self._check(study)
        return self.ledger().trial(study, number)

    def trials(self, study: str) -> list[TrialRecord]:
        """All trials with all their parts, by number; LedgerError where they cannot be read."""
        self._check(study)
        return self.ledger().trials(study)

    def _check(self, study: str) -> None:
        if self._only not in (None, study):
            raise LedgerError(f"this dashboard shows study {self._only!r} alone: serve {study!r} by another one")

    def look(self, study: str) -> Snapshot:
        """The study as it is now, give or take a second; LedgerError where it cannot be read."""
        self._check(study)
        ledger = self.ledger()
        with self._lock:
            known = self._known.setdefault(study, _Known())
        with known.lock:
            if known.snapshot is None or time.monotonic() - known.looked >= self._again:
                try:
                    known.snapshot = _read(ledger, study, known)
                except LedgerError:
                    if known.snapshot is None:
                        with self._lock:
                            self._known.pop(study, None)
                    raise
                known.looked = time.monotonic()
            return known.snapshot

    def close(self) -> None:
        """Close the ledger."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None


class _Known:
    """What was read of a study, and when."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.looked = 0.0
        self.pulse: object = None
        self.standings: dict[int, tuple[str, int]] = {}
        self.snapshot: Snapshot | None = None


def _read(ledger: "Ledger", study: str, known: _Known) -> Snapshot:
    """The study anew, or the known snapshot where nothing has changed since; only changed trials are read."""
    record, holder = ledger.study(study), ledger.holder(study)
    driver = None if holder is None else str(holder)
    before, pulse = known.snapshot, ledger.pulse(study)
    if before is not None and before.record.created_at != record.created_at:
        before = None  # another study of this name, in a ledger that was made anew
    if before is not None and (pulse, driver, record) == (known.pulse, before.driver, before.record):
        return before
    standings = ledger.standings(study)
    if before is not None and not before.place.keys() <= standings.keys():
        before = None
    stale = [n for n, at in standings.items() if at != known.standings.get(n)]
    revision = 1 if before is None else before.revision + 1
    kept: dict[int, tuple[TrialRecord, int]] = {}
    if before is not None:
        kept = {t.number: (t, int(at)) for t, at in zip(before.trials, before.changed, strict=True)}
    for trial in ledger.summaries(study, None if before is None else stale):
        if trial.number not in kept or kept[trial.number][0] != trial:
            kept[trial.number] = trial, revision
    if before is not None and (before.driver is None) != (driver is None):  # what is running is called otherwise now
        kept |= {number: (trial, revision) for number, (trial, _) in kept.items() if not trial.outcome.final}
    ordered = [kept[number] for number in sorted(kept)]
    known.pulse, known.standings = pulse, standings
    return Snapshot(
        record=record,
        trials=tuple(trial for trial, _ in ordered),
        revision=revision,
        changed=np.array([at for _, at in ordered], dtype=np.int64),
        driver=driver,
        generation=secrets.token_hex(4) if before is None else before.generation,
    )


def or_nothing(function: Callable[..., T]) -> Callable[..., T]:
    """Make a callback answer nothing where the ledger cannot be read: the line on top of the page tells why."""

    @wraps(function)
    def quiet(*arguments: Any) -> T:
        try:
            return function(*arguments)
        except LedgerError:
            raise PreventUpdate from None

    return quiet
