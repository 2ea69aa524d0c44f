"""How fast the trials of a search end, and how long the rest will take, in words for the terminal and the dashboard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import pairwise
from statistics import median

from results.outcome import TrialRecord

RECENT = 32  # trials, by which the time left is told
LAST = 256  # trials, by which the rate is told where it is found out from what is recorded
QUIET = 60.0  # seconds without a start or an end that are no pause, however short the trials are


@dataclass(frozen=True)
class Pace:
    """``seconds``: what each trial that ended took by the wall clock, the last one last; ``minutes``: all of them.

    ``at_once``: how many trials run beside each other.
    """

    seconds: Sequence[float]
    minutes: float
    at_once: int

    def told(self, rest: int) -> str:
        """`3.0 trials/min, about 7 min left`: the rate, and the time left for the ``rest`` of the trials."""
        return ", ".join(part for part in (self._rate(), self._left(rest)) if part)

    def _rate(self) -> str:
        """Trials that ended in a minute, or of slow ones in an hour; "" for fewer than two."""
        if len(self.seconds) < 2 or self.minutes <= 0:
            return ""
        rate = len(self.seconds) / self.minutes
        return f"{rate:.1f} trials/min" if rate >= 1 else f"{60 * rate:.1f} trials/h"

    def _left(self, rest: int) -> str:
        """Time left, from the median trial and the number that run at once."""
        if not self.seconds:
            return "time left unknown"
        left = max(0, rest) * median(self.seconds[-RECENT:]) / max(1, self.at_once)
        return f"about {left:.0f} s left" if left < 120 else f"about {left / 60:.0f} min left"


def pace_of(trials: Iterable[TrialRecord], running: int) -> Pace:
    """Return the pace of a search that runs, by what is recorded of the trials that ended last, since its last pause.

    A pause is longer than two of their longest trainings, without a start or an end in it. ``running``: how many run.
    Moments are of one clock, the driver's; a trial of which they cannot be read does not count.
    """
    trained = (trial for trial in trials if trial.seconds is not None and trial.finished_at and not trial.reused)
    last = nlargest(LAST, trained, key=lambda trial: trial.finished_at or "")
    known = [(_moment(trial.started_at), _moment(trial.finished_at)) for trial in reversed(last)]
    spans = [(begun, over) for begun, over in known if begun is not None and over is not None]
    moments = sorted(moment for span in spans for moment in span)
    quiet = max([QUIET, *(2 * (trial.seconds or 0) for trial in last)])
    since = max([*moments[:1], *(after for before, after in pairwise(moments) if after - before > quiet)], default=0.0)
    seconds = [over - max(begun, since) for begun, over in spans if over > since]
    return Pace(seconds, (moments[-1] - since) / 60 if moments else 0.0, running)


def _moment(iso: str | None) -> float | None:
    """Seconds since the epoch; None of what is no moment."""
    try:
        return datetime.fromisoformat(iso or "").timestamp()
    except ValueError:
        return None
