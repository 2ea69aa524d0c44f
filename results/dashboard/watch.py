"""Studies as they are at this moment, read again only where they have changed, for any number of viewers."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from results.figures import MEASURED
from results.outcome import Direction, LedgerError, NoLedger, Outcome, StudyRecord, TrialRecord

if TYPE_CHECKING:
    from results.ledger import Ledger

AGAIN = 1.0  # seconds until a study is looked at again: viewers in between share what was read


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A study at one moment: ``trials`` by number, without their long parts (`Ledger.summaries`).

    ``revision`` grows with each change; ``changed`` holds, in the order of the trials, the one at which each was last
    read. ``driver``: the process that searches the study, if one does.
    """

    record: StudyRecord
    trials: Sequence[TrialRecord]
    revision: int
    changed: NDArray[np.int64]
    driver: str | None

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The trials' numbers, shape (trials,), ascending."""
        return np.array([trial.number for trial in self.trials], dtype=np.int64)

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Number -> index among the trials."""
        return {trial.number: index for index, trial in enumerate(self.trials)}

    @cached_property
    def rungs(self) -> int:
        """How many rungs the study has: 1 without any below the top."""
        lower = (self.record.search.get("rungs") or {}).get("lower") or ()
        seen = max((m.rung for trial in self.trials for m in trial.measurements[-1:]), default=0)
        return max(len(lower), seen) + 1

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """Whether each trial keeps all constraints that were measured of it, shape (trials,)."""
        return np.array([trial.feasible for trial in self.trials], dtype=bool)

    @cached_property
    def quantities(self) -> dict[str, Direction]:
        """What can be drawn: the objectives with their directions, then costs, which are minimised."""
        costs: dict[str, Direction] = {
            name: "minimize" for trial in self.trials[:1] for name in ("macs", "params") if name in trial.costs
        }
        return {
            **self.record.objectives,
            **{name: goal for name, goal in costs.items() if name not in self.record.objectives},
        }

    def values(self, name: str, rung: int | None) -> NDArray[np.float64]:
        """One quantity of every trial, shape (trials,), NaN where there is none.

        ``rung`` None: final values, which only complete trials have; else what was measured last at that rung.
        Counted costs are the same at every rung, but count only for trials that have come to the rung's end.
        """
        known: dict[tuple[str, int | None], NDArray[np.float64]] = self.__dict__.setdefault("_values", {})
        if (name, rung) not in known:
            found = [self._value(trial, name, rung) for trial in self.trials]
            known[name, rung] = np.array(found, dtype=float)
        return known[name, rung]

    def _value(self, trial: TrialRecord, name: str, rung: int | None) -> float:
        if rung is None:
            if trial.outcome is not Outcome.COMPLETE:
                return np.nan
            value = trial.values.get(name)
        else:
            if not _ended(trial, rung):
                return np.nan
            value = next((m.values.get(name) for m in reversed(trial.measurements) if m.rung == rung), None)
        if value is None and name not in MEASURED:
            value = trial.costs.get(name)
        return np.nan if value is None else float(value)


class Watch:
    """Reads studies from a ledger for the dashboard. Any thread may call it; each study is read by one at a time."""

    def __init__(self, open_ledger: "Callable[[], Ledger]", again: float = AGAIN) -> None:
        self._open, self._again = open_ledger, again
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
        try:
            return [record.name for record in reversed(self.ledger().studies())]
        except NoLedger:
            return []

    def look(self, study: str) -> Snapshot:
        """The study as it is now, give or take a second; LedgerError where it cannot be read."""
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
    holder = ledger.holder(study)
    driver = None if holder is None else str(holder)
    before, pulse = known.snapshot, ledger.pulse(study)
    if before is not None and pulse == known.pulse and driver == before.driver:
        return before
    standings = ledger.standings(study)
    # what runs may have repeated an epoch: its count is the same then, and its values are not
    stale = [n for n, at in standings.items() if at != known.standings.get(n) or at[0] == Outcome.RUNNING]
    fresh = {trial.number: trial for trial in ledger.summaries(study, stale if before else None)}
    revision = 1 if before is None else before.revision + 1
    kept = (
        {trial.number: (trial, int(at)) for trial, at in zip(before.trials, before.changed, strict=True)}
        if before
        else {}
    )
    kept |= {number: (trial, revision) for number, trial in fresh.items() if not _same(kept.get(number), trial)}
    ordered = [kept[number] for number in sorted(kept)]
    known.pulse, known.standings = pulse, standings
    return Snapshot(
        record=ledger.study(study),
        trials=tuple(trial for trial, _ in ordered),
        revision=revision,
        changed=np.array([at for _, at in ordered], dtype=np.int64),
        driver=driver,
    )


def _ended(trial: TrialRecord, rung: int) -> bool:
    """Whether a trial has come to the end of a rung: only then its values are those of the rung."""
    if not trial.measurements:
        return False
    last = trial.measurements[-1].rung
    return last > rung or (last == rung and trial.outcome in (Outcome.STOPPED, Outcome.COMPLETE))


def _same(known: tuple[TrialRecord, int] | None, trial: TrialRecord) -> bool:
    return known is not None and known[0] == trial
