"""Trials on Ray Tune: this machine or a cluster.

Ray Tune keeps the actors, the resources and the retries after a lost process; what is tried and what is recorded is the
driver's business, so its own experiment state is scratch.
"""

import json
import logging
import shutil
import tempfile
from dataclasses import asdict
from typing import Any

from nas.executors.ray_cluster import connect, has  # its settings come before Ray

# isort: split

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.candidate import Job, Report, Worker
from nas.config import ExecutorConfig
from nas.executors.contract import Work
from results.outcome import Outcome
from search_spaces.errors import RequestError
from trainers.cpus import usable_cpus

logger = logging.getLogger("nas.executors.ray_tune")

GPU_SHARE = 0.25  # of a GPU for one proxy, where the search file leaves it open
LOST_WORKERS = 2  # times that a trial is started again after its process died


class RayTuneExecutor:
    """Runs jobs on Ray's actors, several at once; actors are reused from trial to trial."""

    def __init__(self, config: ExecutorConfig) -> None:
        self.config = config

    def run(self, work: Work, make: type[Worker]) -> None:
        """Run jobs until there is none left or the work is stopping."""
        started = self._connect()
        scratch = tempfile.mkdtemp(prefix="nas-ray-")
        try:
            gpus, workers = self._resources()
            trainable = tune.with_resources(
                _trainable(make, gpus), {"cpu": self.config.cpus_per_trial, **({"gpu": gpus} if gpus else {})}
            )
            searcher = _Jobs(work, workers)
            tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=searcher,
                    scheduler=_Scheduler(searcher),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=str,
                ),
                run_config=tune.RunConfig(
                    name="scratch",
                    storage_path=scratch,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=LOST_WORKERS),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
            searcher.raise_mistake()
        finally:
            if started:
                ray.shutdown()
            shutil.rmtree(scratch, ignore_errors=True)

    def _connect(self) -> bool:
        """Start Ray on this machine, or join the cluster at the address; return whether we started it."""
        cpus = usable_cpus()
        if self.config.workers != "auto":
            cpus = max(cpus, int(self.config.workers * self.config.cpus_per_trial + 0.999))
        return connect(self.config.address, cpus)

    def _resources(self) -> tuple[float, int]:
        """GPUs per trial, and trials at once; a request that can never be met is refused with what there is."""
        cpus, all_gpus = has()
        wanted = self.config.gpus_per_trial
        gpus = (GPU_SHARE if all_gpus else 0.0) if wanted == "auto" else wanted
        if gpus > all_gpus or self.config.cpus_per_trial > cpus:
            raise RequestError(
                f"a trial asks for {self.config.cpus_per_trial:g} CPUs and {gpus:g} GPUs, but Ray has {cpus:g} and "
                f"{all_gpus:g}: lower executor.cpus_per_trial or executor.gpus_per_trial, or add machines"
            )
        room = int(cpus / self.config.cpus_per_trial)
        if gpus:
            room = min(room, int(all_gpus / gpus))
        return gpus, room if self.config.workers == "auto" else min(self.config.workers, room)


def _trainable(make: type[Worker], gpus: float) -> type[tune.Trainable]:
    class Trial(tune.Trainable):
        """A Ray actor that lives for many trials."""

        def setup(self, config: dict[str, Any]) -> None:
            job = Job(**config["job"])
            self.worker = make(job)

        def step(self) -> dict[str, Any]:
            report = self.worker.step()
            # As text: Ray Tune flattens nested results.
            return {"report": json.dumps(report.as_data()), "done": report.ends}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Trials keep their own checkpoints in the study's folder."""

        def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
            """A trial that starts again goes on from its own checkpoint."""

    return Trial


class _Jobs(Searcher):
    """Hands the work's jobs to Ray Tune, and Ray Tune's results to the work."""

    def __init__(self, work: Work, workers: int) -> None:
        super().__init__()
        self.work, self.workers = work, workers
        self.active: dict[str, Job] = {}
        self.mistake: BaseException | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is a text
        if self.mistake or self.work.stopping:
            return Searcher.FINISHED
        if len(self.active) >= self.workers:
            return None
        try:
            job = self.work.next_job()
        except BaseException as error:  # noqa: BLE001 - raised again after Ray Tune has ended; it would bury it in its log
            self.mistake = error
            return Searcher.FINISHED
        if job is None:
            return Searcher.FINISHED if self.work.finished else None
        self.active[trial_id] = job
        return {"job": asdict(job)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take the last report of a trial that is over; all others were the scheduler's to take."""
        job = self.active.pop(trial_id, None)
        if job is None:
            return
        if error:
            reason = f"the worker's process failed {LOST_WORKERS + 1} times: it was killed, or took too much memory"
            self.take(Report(job.number, 0, 0, outcome=Outcome.LOST_WORKER, reason=reason))
        elif result is not None and result.get("report"):
            report = Report.from_data(json.loads(result["report"]))
            if report.ends:
                self.take(report)

    def take(self, report: Report) -> bool:
        """Give the work a report; return whether the trial goes on."""
        try:
            return self.mistake is None and self.work.report(report)
        except BaseException as error:  # noqa: BLE001 - as above
            self.mistake = error
            return False

    def raise_mistake(self) -> None:
        """Raise what went wrong in the driver while Ray Tune was calling it."""
        if self.mistake is not None:
            raise self.mistake

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune stores what it is given, and the work holds a database. The ledger is the truth."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the truth."""


class _Scheduler(FIFOScheduler):
    """Asks the work after every report whether the trial goes on: past the end of a rung only the best do.

    Successive halving is the work's (nas/halving.py). A trial that does not go on gives its place to another at once,
    and comes back as a job of its own if it turns out to be among the best after all.
    """

    def __init__(self, jobs: _Jobs) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.jobs = jobs

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as above."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        goes_on = self.jobs.take(Report.from_data(json.loads(result["report"])))
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)
