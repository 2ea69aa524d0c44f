"""Is the proxy to be trusted? A sample of architectures trained at every rung, and how well the rungs agree.

A calibration is an ordinary study of the ledger, FILE's with -calibration: random architectures within the file's
limits, and its seeds, every one of which goes on to the top rung. It resumes, and what it trained is known to later
searches of the same ledger at the same fidelities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.candidate import Candidate
from nas.config import LETTERS, RungConfig, RungsConfig, SearchConfig
from nas.job import Worker
from nas.progress import Progress
from nas.rungs import Rung, rungs_of, seconds_before
from nas.runs import Runs
from nas.samplers.options import RandomOptions
from results.agreement import LEAST, Agreement, agreements, errors_at, recommended
from results.outcome import TrialRecord
from search_spaces.errors import RequestError

if TYPE_CHECKING:
    from nas.executors.contract import Executor
    from nas.study import Study

NAMED = "-calibration"


@dataclass(frozen=True)
class Calibration:
    """What was found. ``threshold``: the tau from which a rung is recommended; ``spent``: seconds by rung."""

    study: str
    rungs: tuple[Rung, ...]
    found: tuple[Agreement, ...]
    spent: tuple[float, ...]
    threshold: float

    @property
    def recommended(self) -> int | None:
        """The cheapest rung that reaches the threshold, None if only the top one can be trusted."""
        return recommended(self.found, self.threshold)

    @property
    def advice(self) -> str:
        """Say what to do with it."""
        if not self.found:
            return f"Fewer than {LEAST} trials reached the top rung: nothing can be said; ask for more with --trials."
        index = self.recommended
        if index is None:
            return (
                f"No rung below the top reaches {self.threshold:g}: search at the top rung alone, or calibrate dearer "
                "rungs."
            )
        chosen = next(each for each in self.found if each.what == f"rung {index}")
        costs = [each for each in self.found if each.what in ("params", "macs")]
        free = max(costs, key=lambda each: each.tau)
        told = f"The cheapest rung that reaches {self.threshold:g} is rung {index}: {self.rungs[index].sentence}."
        if chosen.interval is None:
            told += f" It may be less: {chosen.trials} trials are too few for an interval; more would tell."
        elif chosen.interval[0] < self.threshold:
            told += f" It may be less: its interval begins at {chosen.interval[0]:+.2f}; more trials would tell."
        if chosen.tau <= free.tau:
            told += f" But {free.what} alone, which cost no training, order the trials as well ({free.tau:+.2f})."
        return told

    def lines(self) -> list[str]:
        """Return the table for people."""
        top = len(self.rungs) - 1
        lines = [f"study {self.study}: Kendall's tau with rung {top} ({self.rungs[top].sentence}), 90 % intervals"]
        for each in self.found:
            note = "costs no training"
            if each.what.startswith("rung "):
                index = int(each.what.split()[1])
                share = f", {self.spent[index] / self.spent[top]:.0%} of the top rung's time" if self.spent[top] else ""
                note = f"{self.rungs[index].sentence}{share}"
            lines.append(f"  {each.what:<8}{each.tau:+.2f}  {each.interval_text}  {note}")
        return [*lines, self.advice]

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "study": self.study,
            "rungs": [rung.sentence for rung in self.rungs],
            "threshold": self.threshold,
            "agreements": [each.as_data() for each in self.found],
            "seconds": list(self.spent),
            "recommended": self.recommended,
            "advice": self.advice,
        }


def plan(config: SearchConfig, trials: int) -> SearchConfig:
    """Return the search that calibrates a file's rungs; RequestError where it is wrong."""
    if trials < LEAST:
        raise RequestError(f"a calibration of {trials} trials tells nothing: at least {LEAST} are needed (--trials 24)")
    name = config.study + NAMED
    if len(name) > LETTERS:
        raise RequestError(
            f"the study's name is too long: {name!r} has {len(name)} letters and {LETTERS} are allowed; choose a "
            "shorter one with --set study=NAME"
        )
    lower = config.rungs.lower or _lower(config.recipe.epochs)
    changes = {
        "study": name,
        "trials": trials,
        "sampler": RandomOptions(),
        "screen": None,
        "control": 0.0,
        "rungs": RungsConfig(lower=lower, reduction=1),
    }
    return SearchConfig.from_data({**config.as_data(), **config.model_copy(update=changes).as_data()})


def _lower(epochs: int) -> tuple[RungConfig, ...]:
    """Rungs for a file without any: a quarter and a half of the epochs."""
    fewer = sorted({count for count in (epochs // 4, epochs // 2) if 0 < count < epochs})
    if not fewer:
        raise RequestError(
            "there is nothing to calibrate: the file has no rungs, and its recipe only one epoch; add rungs.lower, for "
            "instance [{epochs: 1, width: 0.0625}]",
            ("rungs",),
        )
    return tuple(RungConfig(epochs=count) for count in fewer)


def calibrate(
    planned: SearchConfig,
    runs: Path | Runs,
    *,
    threshold: float,
    progress: Progress | None = None,
    executor: "Executor | None" = None,
    make: type[Worker] = Candidate,
) -> Calibration | None:
    """Run or resume a calibration; None if Ctrl-C stopped it before it was complete."""
    from nas.driver import run

    study = run(planned, runs, progress=progress, executor=executor, make=make)
    return measured(study, planned, threshold) if study.record.state == "complete" else None


def measured(study: "Study", config: SearchConfig, threshold: float) -> Calibration:
    """Return what the trials of a study say of its rungs."""
    rungs = rungs_of(config)
    found = agreements(study.trials, [rung.epochs for rung in rungs])
    return Calibration(study.name, rungs, tuple(found), _spent(study, rungs), threshold)


def _spent(study: "Study", rungs: Sequence[Rung]) -> tuple[float, ...]:
    """Seconds of the trials that reached the top rung, from nothing to the end of each: its own training alone.

    Without trials that took a rung over from another study: that was not paid here, and would make it look cheap.
    """
    top = len(rungs) - 1
    spent = [0.0] * len(rungs)
    for trial in study.trials:
        if _trained_here(trial) and errors_at(trial, top, rungs[top].epochs) is not None:
            for m in trial.measurements:
                if m.epoch == rungs[m.rung].epochs:
                    spent[m.rung] += m.seconds - seconds_before(rungs, m.rung, trial.measurements)
    return tuple(spent)


def _trained_here(trial: TrialRecord) -> bool:
    """Whether every epoch took time; what was taken over took none."""
    seconds = [0.0, *(m.seconds for m in trial.measurements if m.epoch > 0)]
    return all(before < after for before, after in pairwise(seconds))
