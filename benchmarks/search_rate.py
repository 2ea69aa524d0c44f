"""How fast a search runs: trials per minute of the main job's search, and what is added to an empty trial.

    python benchmarks/search_rate.py -o benchmarks/search_rate.json [--trials 500 5000] [--runs 3 1] [--skip-main-job]

Part one runs the search of examples/digits.yaml in an empty runs folder, as ``make search`` does, and times it, and by
the command line a search of one trial: from the command to the moment its training begins. Part two runs trials that do
nothing, two at once: through this project's Ray Tune executor, through the same with ledger, sampler and screen around
it, and, as the yardstick, through bare Ray Tune with reused actors, all on one machine, turn and turn about. Given are
seconds a trial, medians of the runs; of the second and the last tenth, too, since a long search must stay as fast.
The file is written after every turn.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from nas.config import ExecutorConfig, read_search
from nas.doctor import hardware
from nas.driver import run
from nas.executors.ray_tune import RayTuneExecutor
from nas.job import Job, Report
from nas.study import Study
from results.outcome import Outcome

ROOT = Path(__file__).resolve().parent.parent


class Clock:
    """Work of empty jobs that notes when each ends."""

    stopping = False

    def __init__(self, count: int) -> None:
        self.left, self.ends = count, list[float]()

    def next_job(self) -> Job | None:
        if not self.left:
            return None
        self.left -= 1
        return Job(self.left, {}, [], "digits", {"epochs": 1}, 0, "/nowhere")

    @property
    def finished(self) -> bool:
        return not self.left

    def report(self, report: Report) -> bool:
        if report.final:
            self.ends.append(time.perf_counter())
        return not report.final


def empty_worker() -> type[Any]:
    """A worker that ends at once; defined here, so that Ray carries it to its processes by value."""

    class Empty:
        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            error = (len(str(self.job.architecture)) % 97) / 100
            return Report(self.job.number, 1, 1, {"error": error}, 0.0, (({"error": error}, 0.0),), Outcome.COMPLETE)

    return Empty


def rates(ends: list[float], started: float | None = None) -> dict[str, float]:
    """Seconds a trial: of all but the first fifth (workers still start), of the second and of the last tenth."""
    tenth = len(ends) // 10
    found = {
        "seconds_per_trial": _pace(ends[2 * tenth :]),
        "of_the_second_tenth": _pace(ends[tenth : 2 * tenth]),
        "of_the_last_tenth": _pace(ends[-tenth:]),
    }
    return found if started is None else {**found, "seconds_to_first_trial": ends[0] - started}


def _pace(ends: Sequence[float]) -> float:
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def executor_alone(trials: int) -> dict[str, float]:
    clock, started = Clock(trials), time.perf_counter()
    RayTuneExecutor(ExecutorConfig(workers=2)).run(clock, empty_worker())
    return rates(clock.ends, started)


def bare_ray_tune(trials: int) -> dict[str, float]:
    """Ray Tune by itself: an empty class Trainable, reused actors, two workers, no loggers."""
    import ray
    from ray import tune

    class Empty(tune.Trainable):
        def step(self) -> dict[str, Any]:
            return {"error": 0.0, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None: ...

        def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None: ...

    class Ends(tune.Callback):
        ends: list[float]

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.ends.append(time.perf_counter())

    callback = Ends()
    callback.ends = []
    started = time.perf_counter()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(Empty, {"cpu": 1}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=2, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[callback]),
        ).fit()
    ray.shutdown()
    return rates(callback.ends, started)


def whole_search_of_empty_trials(trials: int) -> dict[str, float]:
    """The executor with everything around it: proposals, screening, and a durable ledger."""
    with tempfile.TemporaryDirectory() as folder:
        config = read_search(ROOT / "examples" / "digits.yaml", {"trials": trials, "study": "empty"})
        study = run(config, Path(folder), make=empty_worker())
        complete = sorted((t.finished_at or "", t.number) for t in study.trials if t.outcome is Outcome.COMPLETE)
    numbers, tenth = [number for _, number in complete], len(complete) // 10
    return {
        **rates([datetime.fromisoformat(text).timestamp() for text, _ in complete]),
        # also those that were screened or known already, which cost time and are no trainings
        "proposals_a_trial_of_the_second_tenth": _pace(numbers[tenth : 2 * tenth]),
        "proposals_a_trial_of_the_last_tenth": _pace(numbers[-tenth:]),
    }


def main_job() -> dict[str, float]:
    """The search of ``make search``, from the command to the last trial."""
    with tempfile.TemporaryDirectory() as folder:
        config = read_search(ROOT / "examples" / "digits.yaml")
        started = time.perf_counter()
        study = run(config, Path(folder))
        seconds = time.perf_counter() - started
        complete = [trial for trial in study.trials if trial.outcome is Outcome.COMPLETE]
        return {
            "trials": float(len(complete)),
            "seconds": seconds,
            "trials_per_minute": 60 * len(complete) / seconds,
            "median_training_seconds_per_trial": median(trial.seconds or 0.0 for trial in complete),
            "error_of_inception_v3": next(trial.values["error"] for trial in complete if trial.seed == "inception-v3"),
            "lowest_error": min(trial.values["error"] for trial in complete),
        }


def first_trial() -> dict[str, float]:
    """Seconds from the command to the moment that the first trial's training begins: the median of three commands.

    That is its end as the ledger has it less the seconds of its one epoch: some tenths of a second too much.
    """
    found = [_first_trial() for _ in range(3)]
    return {"seconds_to_first_trial": median(found), "of_the_first_command": found[0]}


def _first_trial() -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        command = [sys.executable, "-m", "nas", "search", str(ROOT / "examples" / "digits.yaml"), "--runs", folder]
        subprocess.run(
            [*command, "--set", "trials=1", "--set", "recipe.epochs=1"], check=True, capture_output=True, cwd=folder
        )
        (trial,) = Study.open("digits", Path(folder)).trials
        ended = datetime.fromisoformat(trial.finished_at or "").timestamp()
        return ended - (trial.seconds or 0.0) - started


KINDS = {"bare_ray_tune": bare_ray_tune, "executor": executor_alone, "whole_search": whole_search_of_empty_trials}


def medians(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        kind: {key: median(run[key] for run in measured) for key in measured[0]} for kind, measured in runs.items()
    }
    bare = found["bare_ray_tune"]["seconds_per_trial"]
    ratios = {kind: found[kind]["seconds_per_trial"] / bare for kind in ("executor", "whole_search")}
    return {"runs": len(runs["bare_ray_tune"]), **found, "ratio_to_bare_ray_tune": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--trials", type=int, nargs="+", default=[500, 5000], help="empty trials per run")
    parser.add_argument("--runs", type=int, nargs="+", default=[3, 1], help="runs of each kind, for each of --trials")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--skip-main-job", action="store_true", help="only empty trials; the rest stays in the file")
    only.add_argument("--skip-empty", action="store_true", help="only real trials; the rest stays in the file")
    options = parser.parse_args()
    known = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
    if options.skip_empty and "empty_trials" not in known:
        parser.error(f"{options.output} holds no empty trials to keep: leave --skip-empty out")
    found: dict[str, Any] = {"hardware": hardware(), "load_before": os.getloadavg()[0]}
    kept = {key: known[key] for key in ("main_job", "first_trial") if key in known}
    found |= kept if options.skip_main_job else {"main_job": main_job(), "first_trial": first_trial()}
    if options.skip_empty:
        found["empty_trials"] = known["empty_trials"]
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    found["empty_trials"] = {}
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for trials, count in zip(options.trials, options.runs, strict=True):
        runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(count):  # turn and turn about, so that a slow minute of the machine meets all alike
            for kind, measured in KINDS.items():
                runs[kind].append(measured(trials))
                print(f"{trials} trials, {kind}: {json.dumps(runs[kind][-1])}", flush=True)
            found["empty_trials"][str(trials)] = medians(runs)
            options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
