"""Where the rungs of a study end, and what its trials came to there.

A value of a rung is what was measured at the rung's last epoch. Whatever becomes of the trial after that, it keeps it:
one that goes on to the next rung, and runs or fails there, has been to the end of this one all the same. What a trial
costs is of no rung: it is counted for the target, or measured before the training, and holds at all of them.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from results.outcome import Measurement, Outcome, TrialRecord


def epochs_of(search: Mapping[str, Any]) -> tuple[int | None, ...]:
    """The last epoch of each rung of a resolved search file (``StudyRecord.search``), the top one last.

    Epochs are counted over the training that a rung is a stage of, as measurements count them. A rung that names none
    has those of the recipe; None where the recipe names none either, as in no study that a search began.
    """
    top = (search.get("recipe") or {}).get("epochs")
    lower = (search.get("rungs") or {}).get("lower") or ()
    return (*((rung or {}).get("epochs") or top for rung in lower), top)


def measured_at(trial: TrialRecord, rung: int, epoch: int) -> Measurement | None:
    """What was measured of a trial at a rung after an epoch; None if nothing was."""
    found = bisect_left(trial.measurements, (rung, epoch), key=lambda m: (m.rung, m.epoch))
    measurement = trial.measurements[found] if found < len(trial.measurements) else None
    return measurement if measurement is not None and (measurement.rung, measurement.epoch) == (rung, epoch) else None


def end_of(trial: TrialRecord, rung: int, epochs: Sequence[int | None]) -> Measurement | None:
    """What was measured of a trial at the end of a rung; None if it was not trained so far, or nobody knows how far.

    ``epochs``: as `epochs_of` gives them. The values are those of the rung.
    """
    last = epochs[rung] if 0 <= rung < len(epochs) else None
    return None if last is None else measured_at(trial, rung, last)


def ended(trial: TrialRecord, rung: int, epochs: Sequence[int | None]) -> bool:
    """Whether a trial has come to the end of a rung: only then has it a value there, and it never loses it again."""
    return end_of(trial, rung, epochs) is not None


def costs_of(trial: TrialRecord) -> dict[str, float]:
    """What a trial costs, whatever the rung: counted for its target, and measured before its training (epoch 0)."""
    before = measured_at(trial, 0, 0)
    return {**trial.costs, **(before.values if before is not None else {})}


def values_with(trial: TrialRecord, measured: Mapping[str, float]) -> dict[str, float]:
    """What a trial comes to where something was ``measured`` of it: that, and what it costs."""
    return {**costs_of(trial), **measured}


def values_at(trial: TrialRecord, rung: int | None, epochs: Sequence[int | None]) -> dict[str, float] | None:
    """What a trial comes to at the end of a rung, with what it costs; None if it has not come there.

    ``rung`` None: its final values, which only a complete trial has. ``epochs``: as `epochs_of` gives them.
    """
    if rung is None:
        return values_with(trial, trial.values) if trial.outcome is Outcome.COMPLETE else None
    end = end_of(trial, rung, epochs)
    return None if end is None else values_with(trial, end.values)
