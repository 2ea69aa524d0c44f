"""How fast trials end, and how long the rest take: by the clock of whoever watches, and by what is recorded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from small_studies import complete

from results.outcome import Outcome, TrialRecord
from results.pace import LAST, Pace, pace_of

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")


def trained(number: int, begun: float, over: float) -> TrialRecord:
    """A complete trial, from minute to minute."""
    known = {"started_at": at(begun), "finished_at": at(over), "seconds": 60 * (over - begun)}
    return complete(number, 0.5, 10**9, **known)


@pytest.mark.parametrize(
    ("seconds", "minutes", "at_once", "told"),
    [
        ([], 0.0, 0, "time left unknown"),
        ([3.0], 2.0, 1, "about 30 s left"),
        ([3.0] * 6, 2.0, 2, "3.0 trials/min, about 15 s left"),
        ([3600.0] * 6, 120.0, 2, "3.0 trials/h, about 300 min left"),
        ([9000.0] * 8 + [30.0] * 32, 10.0, 1, "4.0 trials/min, about 5 min left"),  # by the last ones
    ],
)
def test_a_pace_is_told_in_words(seconds: list[float], minutes: float, at_once: int, told: str) -> None:
    assert Pace(seconds, minutes, at_once).told(10) == told


def test_a_recorded_pace_is_that_since_the_last_pause() -> None:
    first = [trained(number, 5.0 * number, 5.0 * number + 5) for number in range(6)]  # until minute 30
    assert pace_of(first, 1) == Pace([300.0] * 6, 30.0, 1)
    later = [trained(6, 600, 604), trained(7, 601, 606)]  # after a night
    late = pace_of([*first, *later], 2)
    assert late == Pace([240.0, 300.0], 6.0, 2)
    assert late.told(10) == "20.0 trials/h, about 22 min left"
    resumed = replace(trained(5, 25, 603), seconds=300.0)  # the pause came between
    assert pace_of([*first[:5], resumed, *later], 2) == Pace([180.0, 240.0, 300.0], 6.0, 2)


def test_a_recorded_pace_is_that_of_the_last_trials() -> None:
    slow = [trained(number, 10.0 * number, 10.0 * number + 10) for number in range(50)]
    fast = [trained(50 + number, 500.0 + number, 501.0 + number) for number in range(LAST)]
    assert pace_of([*slow, *fast], 1) == Pace([60.0] * LAST, LAST, 1)


def test_what_was_not_trained_or_cannot_be_read_has_no_pace() -> None:
    aside = replace(trained(1, 1, 1), outcome=Outcome.SCREENED, values={}, seconds=None)
    others = [aside, replace(trained(2, 2, 2), reused="old:3"), replace(trained(3, 1, 3), finished_at="soon")]
    assert pace_of([trained(0, 0, 4), *others], 0) == Pace([240.0], 4.0, 0)
    assert pace_of([], 0) == Pace([], 0.0, 0)
