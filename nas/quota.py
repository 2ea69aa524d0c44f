"""Which trials' files go when they take more room than the search file allows: the worst off the front first."""

from collections.abc import Mapping, Sequence

from results.outcome import Outcome, TrialRecord
from results.ranking import ranking


def to_delete(
    trials: Sequence[TrialRecord],
    needed: frozenset[int],
    objectives: Sequence[str],
    sizes: Mapping[int, int],
    quota: float,
) -> list[int]:
    """Return the numbers of the trials whose files go.

    The files of trials that run and of those that are ``needed``, on the front or elsewhere, are not counted and stay.
    Of the others first those of stopped trials go, the ones that came least far first, then those of complete ones, the
    worst first.

    Args:
        trials: all of the study.
        sizes: bytes of each trial's files, by number.
        quota: bytes that the files of all trials off the front may take.
    """
    ended = [trial for trial in trials if trial.outcome.final and not trial.unreadable]  # or it may be on the front
    kept = [trial for trial in ended if sizes.get(trial.number) and trial.number not in needed]
    excess = sum(sizes[trial.number] for trial in kept) - quota
    gone: list[int] = []
    for trial in _worst_first(kept, objectives):
        if excess <= 0:
            break
        gone.append(trial.number)
        excess -= sizes[trial.number]
    return gone


def _worst_first(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    complete = [trial for trial in trials if trial.outcome is Outcome.COMPLETE]
    others = [trial for trial in trials if trial.outcome is not Outcome.COMPLETE]
    others.sort(key=lambda trial: (max((m.rung for m in trial.measurements), default=-1), -_last_error(trial)))
    broken = [sum(size for size in trial.violations.values() if size > 0) for trial in complete]
    order = ranking([[trial.values[name] for name in objectives] for trial in complete], broken)
    return others + [complete[place] for place in reversed(order)]


def _last_error(trial: TrialRecord) -> float:
    last = trial.measurements[-1].values if trial.measurements else {}
    return last.get("error", 1.0)
