"""Does a principle help? What two arms, random architectures with it and without, say at equal cost."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

from results.equal_cost import (
    EQUAL,
    LEAST,
    SHARES,
    Difference,
    Point,
    Share,
    difference,
    difference_of_shares,
    partners,
    quantiles,
    shown,
)
from results.outcome import Outcome, TrialRecord


@dataclass(frozen=True)
class Arm:
    """All trials of one side. ``breaking``: how many of those trained (``trained``) break the principle."""

    on: bool
    studies: tuple[str, ...]
    outcomes: dict[str, int]
    points: tuple[Point, ...]
    trained: int
    failed: int
    breaking: int

    @property
    def word(self) -> str:
        """``on`` or ``off``."""
        return "on" if self.on else "off"


@dataclass(frozen=True)
class Ablation:
    """What two arms say about a principle. Differences are None where there are too few trials for an interval.

    ``equal``: at equal MACs, which is the answer. ``raw``: whatever the MACs. ``broken``: at equal MACs, against those
    trials of the off arm alone that break the principle. ``failures``: of the shares of trained trials that failed.
    ``elsewhere``: complete trials left out because they were measured at another rung or epoch.
    """

    principle: str
    on: Arm
    off: Arm
    epochs: int
    equal: Difference | None
    raw: Difference | None
    broken: Difference | None
    failures: Share | None
    elsewhere: int

    @property
    def breaking(self) -> int:
        """Compared trials of the off arm that break the principle."""
        return sum(point.breaks for point in self.off.points)

    @property
    def repeats(self) -> int:
        """Runs of each arm."""
        return len(self.on.studies)


# ------------------------------------------------------------------------------------------------------------ the arms


def read_arm(
    studies: Sequence[tuple[str, Iterable[TrialRecord]]], breaks: Callable[[TrialRecord], bool], *, on: bool
) -> Arm:
    """Return an arm from its runs, each a study's name and trials; ``breaks``: whether a trial breaks the principle.

    Seeds are left out: they are the same in both arms, and nobody drew them.
    """
    outcomes: Counter[str] = Counter()
    points, trained, failed, breaking = [], 0, 0, 0
    for repeat, (_, trials) in enumerate(studies):
        for trial in trials:
            if trial.seed is not None:
                continue
            outcomes[str(trial.outcome)] += 1
            failed += trial.outcome.failed
            if not trial.outcome.trained:
                continue
            trained += 1
            broken = breaks(trial)
            breaking += broken
            if trial.outcome is Outcome.COMPLETE and trial.measurements:
                last = trial.measurements[-1]
                point = Point(
                    trial.number,
                    repeat,
                    trial.values["error"],
                    trial.costs["macs"],
                    broken,
                    (last.rung, last.epoch),
                )
                points.append(point)
    return Arm(on, tuple(name for name, _ in studies), dict(outcomes), tuple(points), trained, failed, breaking)


def compare(principle: str, on: Arm, off: Arm) -> Ablation:
    """Compare two arms, by the trials measured at one rung and epoch: that at which most were, of equals the last."""
    counts = Counter(point.at for point in (*on.points, *off.points))
    at = max(counts, key=lambda key: (counts[key], key), default=(0, 0))
    sides = [_measured(arm, at) for arm in (on, off)]
    one, other = (arm.points for arm in sides)
    return Ablation(
        principle=principle,
        on=sides[0],
        off=sides[1],
        epochs=at[1],
        equal=difference(one, other),
        raw=difference(one, other, factor=inf),
        broken=difference(one, [point for point in other if point.breaks]),
        failures=difference_of_shares((on.failed, on.trained), (off.failed, off.trained)),
        elsewhere=sum(counts.values()) - counts[at],
    )


def _measured(arm: Arm, at: tuple[int, int]) -> Arm:
    kept = tuple(point for point in arm.points if point.at == at)
    return replace(arm, points=kept)


# ------------------------------------------------------------------------------------------------------------ the words


def points_text(value: float) -> str:
    """A difference of fractions in points: ``-1.24``."""
    return f"{100 * value:.2f}" if abs(value) >= 0.00005 else "0.00"


def verdict(ablation: Ablation) -> str:
    """What the arms say at equal MACs, in one sentence: nothing where hardly a trial of the off arm breaks it."""
    name, found = ablation.principle, ablation.equal
    trials = f"{len(ablation.on.points)} and {len(ablation.off.points)} complete trials"
    proxies = f"{trials} of proxies after {ablation.epochs} epoch{'s' * (ablation.epochs != 1)}"
    if found is None:
        empty = [arm.word for arm in (ablation.on, ablation.off) if not arm.points]
        why = f"no trial with {name} {' or '.join(empty)} is complete" if empty else f"{proxies} have too few pairs"
        return f"Nothing can be said about {name}: {why} at equal MACs (at least {LEAST} trials of each arm)."
    if ablation.breaking < LEAST:
        breaking = "not one" if not ablation.breaking else f"only {ablation.breaking}"
        return (
            f"Nothing can be said about {name}: {breaking} of {len(ablation.off.points)} complete trials with {name} "
            f"off breaks it (difference {points_text(found.value)} points, 95 % interval {_span(found)}, between arms "
            "that both keep it for the most part)."
        )
    if not shown(found):
        return (
            f"No difference could be shown: with {name} on, error at equal MACs differs by {points_text(found.value)} "
            f"points (95 % interval {_span(found)}); {proxies}."
        )
    return (
        f"With {name} on, error is {'lower' if found.value < 0 else 'higher'} by {points_text(abs(found.value))} "
        f"points at equal MACs (95 % interval {_span(found, turned=found.value < 0)}); {proxies}."
    )


def notes(ablation: Ablation) -> list[str]:
    """What belongs beside the verdict: power, the trials that break the principle, failures, what was left out."""
    name, off = ablation.principle, ablation.off
    told = []
    if ablation.equal is not None and ablation.breaking >= LEAST:
        many = f"{ablation.breaking} of the {len(off.points)} complete trials with {name} off break it"
        if ablation.breaking == len(off.points):
            told.append(f"{many}.")
        elif ablation.broken is None:
            told.append(f"{many}: too few at equal MACs to compare them alone.")
        else:
            found = ablation.broken
            told.append(
                f"{many}. Against these alone, error with {name} on differs by {points_text(found.value)} points at "
                f"equal MACs (95 % interval {_span(found)})."
            )
    failures = ablation.failures
    if failures is not None and (ablation.on.failed or off.failed):
        counts = " and ".join(f"{arm.failed} of {arm.trained} with {name} {arm.word}" for arm in (ablation.on, off))
        shows = "" if shown(failures) else ", which shows no difference"
        told.append(
            f"Failed (diverged, out of memory or time, worker lost): {counts}; shares differ by "
            f"{points_text(failures.value)} points "
            f"(95 % interval {_span(failures)}){shows}. Their errors are in no figure above."
        )
    if ablation.equal is not None:
        alone = len(ablation.on.points) - ablation.equal.on, len(off.points) - ablation.equal.off
        if any(alone):
            told.append(f"Without a partner at equal MACs: {alone[0]} trials with {name} on, {alone[1]} off.")
    if ablation.elsewhere:
        told.append(f"Measured at another rung or epoch and not compared: {ablation.elsewhere} complete trials.")
    kind = "one random seed" if ablation.repeats == 1 else f"{ablation.repeats} random seeds"
    told.append(
        f"The architectures are random draws of the two spaces and not the outcome of an optimisation; {kind}: the "
        "interval covers the draw of architectures, not that of the split or of first weights."
    )
    return told


def _span(found: Difference | Share, *, turned: bool = False) -> str:
    low, high = (-found.high, -found.low) if turned else (found.low, found.high)
    return f"{points_text(low)} to {points_text(high)}"


def as_data(ablation: Ablation) -> dict[str, Any]:
    """The ablation as plain data for JSON: errors and differences are fractions; differences are on less off."""
    weights = dict(zip(("on", "off"), partners(ablation.on.points, ablation.off.points), strict=True))
    return {
        "principle": ablation.principle,
        "verdict": verdict(ablation),
        "notes": notes(ablation),
        "epochs": ablation.epochs,
        "repeats": ablation.repeats,
        "differences": {
            "at_equal_macs": _plain(ablation.equal),
            "at_any_macs": _plain(ablation.raw),
            "against_breaking_at_equal_macs": _plain(ablation.broken),
            "share_failed": _plain(ablation.failures),
        },
        "equal_macs_factor": EQUAL,
        "arms": {arm.word: _arm_data(arm, weights[arm.word]) for arm in (ablation.on, ablation.off)},
    }


def _plain(found: Difference | Share | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _arm_data(arm: Arm, weights: list[int]) -> dict[str, Any]:
    names = [f"{share:.0%}" for share in SHARES]
    return {
        "studies": list(arm.studies),
        "outcomes": arm.outcomes,
        "trained": arm.trained,
        "failed": arm.failed,
        "breaking": arm.breaking,
        "compared": len(arm.points),
        "error": dict(zip(names, quantiles(arm.points), strict=False)),
        "error_at_equal_macs": dict(zip(names, quantiles(arm.points, weights), strict=False)),
        "trials": [
            {"study": arm.studies[p.repeat], "number": p.number, "error": p.error, "macs": p.macs, "breaks": p.breaks}
            for p in arm.points
        ],
    }
