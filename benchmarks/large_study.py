"""A study as a search of days leaves it, without its trainings: for what reads studies, and how long that takes.

    python -m benchmarks.large_study --trials 10000 --runs runs

Architectures, genes and costs are real (space ``inception``, 81 genes, costs at 299 px); errors follow a law of cost
and of a few genes, with noise. A quarter are random points; two rungs stop half of the trials; every outcome occurs.
"""

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nas.config import SearchConfig
from nas.rungs import rungs_of
from results import ledger_tables
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, TrialRecord, measurement_columns, trial_columns
from search_spaces.architecture import Architecture
from search_spaces.cost import cost
from search_spaces.seeds import seed
from search_spaces.space import space

STUDY = "large"
OBJECTIVES = {"error": "minimize", "macs": "minimize", "params": "minimize"}
SEEDS = ("inception-v3", "inception-v3-tf", "inception-v2", "googlenet-torchvision")
RUNGS = [{"epochs": 1}]  # below the top, which has four
LIMIT = 12e9  # MACs
# Of what was not seen to its end, in parts of a thousand; the rest is complete or stopped at the first rung.
ENDS = {
    Outcome.DUPLICATE: 20,
    Outcome.DIVERGED: 15,
    Outcome.OUT_OF_MEMORY: 4,
    Outcome.LOST_WORKER: 2,
    Outcome.TIMED_OUT: 2,
    Outcome.BROKEN: 1,
}


def config(trials: int) -> SearchConfig:
    return SearchConfig.from_data(
        {
            "study": STUDY,
            "data": "digits",
            "trials": trials,
            "seeds": list(SEEDS),
            "objectives": list(OBJECTIVES),
            "limits": {"macs": LIMIT},
            "recipe": {"epochs": 4},
            "rungs": RUNGS,
            "target": {"resolution": 299, "classes": 1000},
        }
    )


def trials(count: int, random_seed: int = 0) -> Iterator[TrialRecord]:
    """Trials by number, as a search would have recorded them."""
    source, searched = random.Random(random_seed), space("inception", 299)
    for number in range(count):
        name = SEEDS[number] if number < len(SEEDS) else None
        architecture = seed(name) if name else searched.sample(random_seed=number)
        genes = None if name else searched.encode(architecture)
        costs = {k: v for k, v in cost(architecture, 299).as_data().items() if v is not None}
        origin = "seed" if name else "random" if number % 4 == 3 else "sampler"
        started = TrialRecord(
            study=STUDY,
            number=number,
            digest=architecture.digest,
            origin=origin,
            seed=name,
            architecture=architecture.as_data(),
            genes=genes,
            costs=costs,
            started_at=f"2026-11-{1 + number // 1440 % 28:02}T{number // 60 % 24:02}:{number % 60:02}:00.000+00:00",
            violations={"limit:macs": costs["macs"] / LIMIT - 1},
            order=10 * number + 1,
        )
        yield _ended(started, architecture, source)


def _on_the_front(trial: TrialRecord) -> TrialRecord:
    """The trial with an error that falls with its MACs, so that no two dominate each other."""
    if trial.outcome is not Outcome.COMPLETE:
        return trial
    error = 0.9 if trial.seed else 1e9 / trial.costs["macs"] / 2
    return replace(trial, values=trial.values | {"error": error})


def _ended(trial: TrialRecord, architecture: Architecture, source: random.Random) -> TrialRecord:
    ended = {"finished_at": trial.started_at, "seconds": 40.0 + 20 * source.random()}
    if trial.violations["limit:macs"] > 0 and trial.seed is None:
        told = f"macs {trial.costs['macs']:,} is above the limit {LIMIT:,.0f}"
        return replace(trial, outcome=Outcome.SCREENED, reason=told, finished_at=trial.started_at)
    roll, passed = source.random() * 1000, 0.0
    for outcome, share in ENDS.items() if trial.seed is None else ():
        passed += share
        if roll < passed:
            trace = "Traceback (most recent call last):\nValueError: made up" if outcome is Outcome.BROKEN else None
            seconds = None if outcome.set_aside else ended["seconds"]
            told = f"made up for outcome {outcome}"
            return replace(trial, outcome=outcome, reason=told, traceback=trace, **ended | {"seconds": seconds})
    errors = _errors(trial, architecture, source)
    stopped = trial.seed is None and source.random() < 0.5
    measured = [
        Measurement(
            0 if epoch == 1 else 1,
            epoch,
            {"error": error, "loss": 0.1 + 3 * error},
            10.0 * epoch,
            order=trial.order + epoch,
        )
        for epoch, error in enumerate(errors[: 1 if stopped else 4], 1)
    ]
    if stopped:
        outcome, values, told = Outcome.STOPPED, {}, "not among the best of rung 0"
    else:
        outcome, told = Outcome.COMPLETE, ""
        values = {"error": errors[-1]} | {name: float(trial.costs[name]) for name in ("macs", "params")}
    return replace(trial, outcome=outcome, reason=told, values=values, measurements=tuple(measured), **ended)


def _errors(trial: TrialRecord, architecture: Architecture, source: random.Random) -> list[float]:
    """The error after each of four epochs: falls with cost and depth, is better for the sampler's later trials."""
    size = math.log10(trial.costs["macs"] / 1e9)
    depth = sum(len(stage.modules) for stage in architecture.stages) / 12
    learned = 0.03 * (1 - math.exp(-trial.number / 2000)) if trial.origin == "sampler" else 0.0
    last = 0.28 - 0.09 * size - 0.02 * depth - learned + source.gauss(0, 0.02)
    last = min(0.9, max(0.02, last))
    return [round(min(0.95, last + gap + source.gauss(0, 0.004)), 5) for gap in (0.2, 0.09, 0.03, 0.0)]


def write_study(runs: Path, count: int, *, worst: bool = False) -> None:
    """Lay the study into the ledger of a runs folder at once, as a driver's calls would have left it.

    ``worst``: every complete trial but the seeds is on the front of error and MACs.
    """
    runs.mkdir(parents=True, exist_ok=True)
    asked, every = config(count), list(trials(count))
    if worst:
        every = [_on_the_front(trial) for trial in every]
    with Ledger.open(runs / "ledger.sqlite", create=True) as ledger:
        fidelities = [f"fidelity {place}" for place in range(len(rungs_of(asked)))]
        ledger.create_study(STUDY, asked.as_data(), OBJECTIVES, {"torch": "2.13.0"}, "data", fidelities=fidelities)
        with ledger._writing(STUDY) as connection:
            key = connection.execute(ledger_tables.studies.select()).one().id
            rows, measured = [], []
            for trial in every:
                ends = {"values": json.dumps(trial.values), "traceback": trial.traceback, "artifact": None}
                ends |= {"finished_at": trial.finished_at, "seconds": trial.seconds}
                rows.append(trial_columns(trial) | ends | {"study_id": key})
                place = {"study_id": key, "number": trial.number}
                measured += [measurement_columns(each, "x") | place for each in trial.measurements]
            connection.execute(ledger_tables.trials.insert(), rows)
            connection.execute(ledger_tables.measurements.insert(), measured)
        ledger.set_state(STUDY, "complete")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--runs", type=Path, required=True)
    asked = parser.parse_args()
    write_study(asked.runs, asked.trials)
