"""The trials of a running search, with what is counted of them kept up: what is asked often is not counted anew."""

from collections import Counter
from collections.abc import Iterable

from results.outcome import Outcome, TrialRecord


class Tally:
    """Trials by number. ``counts``: how many there are of each outcome."""

    def __init__(self, trials: Iterable[TrialRecord] = ()) -> None:
        self.trials: dict[int, TrialRecord] = {}
        self.counts: Counter[Outcome] = Counter()
        self._complete: dict[int, TrialRecord] = {}
        for trial in trials:
            self.take(trial)

    def take(self, trial: TrialRecord) -> None:
        """Take in a trial that is new, or as it is now. One that is complete does not change any more."""
        before = self.trials.get(trial.number)
        if before is not None:
            self.counts[before.outcome] -= 1
        self.counts[trial.outcome] += 1
        self.trials[trial.number] = trial
        if trial.outcome is Outcome.COMPLETE:
            self._complete[trial.number] = trial

    @property
    def done(self) -> int:
        """How many trials used up a part of the budget."""
        return sum(count for outcome, count in list(self.counts.items()) if outcome.trained)

    @property
    def set_aside(self) -> int:
        """How many were screened or known."""
        return sum(count for outcome, count in list(self.counts.items()) if outcome.set_aside)

    @property
    def completed(self) -> int:
        """How many are complete."""
        return len(self._complete)

    def complete(self) -> list[TrialRecord]:
        """The complete trials, by number; a list of its own: another thread may take in one meanwhile."""
        return sorted(self._complete.values(), key=lambda trial: trial.number)
