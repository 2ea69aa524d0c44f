"""Trials on Ray Tune: this machine or a cluster.

Ray Tune keeps the actors, the resources and the retries after a lost process; what is tried and what is recorded is the
driver's business, so its own experiment state is scratch.
"""

import json
import logging
import math
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

# Its settings come before Ray.
from nas.executors.ray_cluster import Machine, answered, ask_gpu_bytes, asking_for, connect, end, machines

# isort: split

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.candidate import predicted_bytes
from nas.config import ExecutorConfig
from nas.executors.contract import Work
from nas.executors.gpu_shares import SHARES, larger, share_for
from nas.executors.lost_worker import cause
from nas.job import Job, Report, Worker
from results.outcome import Outcome
from search_spaces.errors import RequestError
from trainers.cpus import usable_cpus

logger = logging.getLogger("nas.executors.ray_tune")

LOST_WORKERS = 2  # times that a trial is started again after its process died
LOOK_SECONDS = 10.0  # between two looks at what a cluster has: machines come late, and go
BOOT_SECONDS = 600.0  # for which a cluster without a single CPU, whose machines still start, is waited for
GPU_SECONDS = 120.0  # for which GPUs are waited for that others hold


@dataclass(frozen=True)
class Room:
    """What trials can have: ``workers`` at once at most, ``gpus`` in all, of ``gpu_bytes`` each.

    ``gpus_per_trial``: of each trial; None where a trial asks for the share that its predicted memory needs.
    ``limit_s``: seconds that a trial may take, 0 for any number. ``spare``: trials that wait besides.
    """

    workers: int
    gpus: float = 0.0
    gpus_per_trial: float | None = 0.0
    gpu_bytes: int = 0
    limit_s: float = 0.0
    spare: int = 0

    def share(self, job: Job) -> float:
        """Return the GPUs, or the share of one, that a job asks for."""
        if self.gpus_per_trial is not None:
            return self.gpus_per_trial
        return share_for(predicted_bytes(job), self.gpu_bytes)


class RayTuneExecutor:
    """Runs jobs on Ray's actors, several at once; actors are reused from trial to trial."""

    def __init__(self, config: ExecutorConfig, address: str | None = None) -> None:
        self.config, self.address = config, address
        self._asked: list[Any] | None = None  # GPUs that came while trials train on CPUs
        self._useless: list[Machine] | None = None  # machines whose GPUs turned out to be of no use

    def run(self, work: Work, make: type[Worker]) -> None:
        """Run jobs until there is none left or the work is stopping."""
        started = self.connect()
        scratch = tempfile.mkdtemp(prefix="nas-ray-")
        try:
            room = self._room(self._machines(work), work)
            look = None if self.address is None else lambda room: self._recounted(room, machines())
            searcher = _Jobs(work, room, look)
            cpus = self.config.cpus_per_trial
            tune.Tuner(
                tune.with_resources(
                    _trainable(make),
                    lambda config: tune.PlacementGroupFactory([{"CPU": cpus, "GPU": config["gpu_share"]}]),
                ),
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
                    callbacks=[_Quiet()],
                    failure_config=tune.FailureConfig(max_failures=LOST_WORKERS),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
            searcher.raise_mistake()
        finally:
            if started:
                end()
            shutil.rmtree(scratch, ignore_errors=True)

    def connect(self) -> bool:
        """Start Ray on this machine, or join the cluster at the address; return whether we started it."""
        cpus = usable_cpus()
        if self.config.workers != "auto":  # they may share this machine's CPUs; one alone must find its own
            if self.address is None and self.config.cpus_per_trial > cpus:
                raise RequestError(
                    f"a trial asks for {self.config.cpus_per_trial:g} CPUs, but this machine has {cpus}: lower "
                    "executor.cpus_per_trial, or name a cluster (ray.address)"
                )
            cpus = max(cpus, int(self.config.workers * self.config.cpus_per_trial + 0.999))
        return connect(self.address, cpus)

    def _machines(self, work: Work) -> list[Machine]:
        """Return the machines; where a cluster has none that could run anything, ask for one and wait for it."""
        found, cpus, gpus = machines(), self.config.cpus_per_trial, self.config.gpus_per_trial
        on_gpus = gpus not in ("auto", 0)
        if self.address is None or _any(found, on_gpus):
            return found
        what = "CPUs and GPUs" if on_gpus else "CPUs"
        logger.warning("the cluster at %s has no machine with %s yet: waiting for one", self.address, what)
        asked = time.monotonic()
        with asking_for({"CPU": cpus} | ({"GPU": float(gpus)} if on_gpus else {})):
            while not _any(found, on_gpus) and time.monotonic() - asked < BOOT_SECONDS:
                time.sleep(1.0)
                if work.stopping:
                    raise KeyboardInterrupt
                found = machines()
        return found

    def _room(self, found: list[Machine], work: Work) -> Room:
        """What trials can have; a request that no machine can ever meet is refused with what there is."""
        gpus, wanted, cpus = _gpus(found), self.config.gpus_per_trial, self.config.cpus_per_trial
        shared = wanted == "auto" and gpus > 0
        each = SHARES[0] if shared else 0.0 if wanted == "auto" else float(wanted)
        workers = self._workers(found, each)
        if not workers:
            has = "; ".join(f"{machine.cpus:g} CPUs and {machine.gpus:g} GPUs" for machine in found)
            raise RequestError(
                f"a trial asks for {cpus:g} CPUs and {each:g} GPUs of one machine, but Ray's have {has}: lower "
                "executor.cpus_per_trial or executor.gpus_per_trial, or add machines"
            )
        # A cluster that starts machines on demand sees the demand by a trial that waits.
        spare = int(self.address is not None and self.config.workers == "auto")
        limit = self.config.trial_limit_s or 0.0
        if shared:
            return Room(workers, gpus, None, self._gpu_bytes(work), limit, spare)
        if wanted == "auto" and self.address is not None:
            logger.warning(
                "the cluster at %s has no GPU: trials train on its CPUs until one comes (executor.gpus_per_trial: 1 "
                "waits for one, 0 keeps to CPUs)",
                self.address,
            )
        return Room(workers, gpus, each, limit_s=limit, spare=spare)

    def _gpu_bytes(self, work: Work) -> int:
        """Return the memory of the smallest GPU; RequestError where others hold one for too long."""
        asked, since, warned = ask_gpu_bytes(), time.monotonic(), False
        while (found := answered(asked, 1.0)) is None:
            waited = time.monotonic() - since
            if work.stopping:
                raise KeyboardInterrupt
            if waited >= GPU_SECONDS:
                raise RequestError(
                    f"not all of Ray's GPUs could be asked for their memory within {GPU_SECONDS:.0f} s: run the search "
                    "when others have let go of them, or say with executor.gpus_per_trial what each trial gets"
                )
            if waited >= LOOK_SECONDS and not warned:
                logger.warning("waiting for Ray's GPUs, to ask for their memory: others may hold them")
                warned = True
            asked = asked or ask_gpu_bytes()
        return found

    def _recounted(self, room: Room, found: list[Machine]) -> Room:
        """Return what trials can have by now; machines that go may come again: as long as none is there, the same.

        How much of a GPU trials ask for stays, once there was one: to ask for its memory would wait for it to be free.
        """
        if self.config.gpus_per_trial == "auto" and room.gpus_per_trial is not None and _gpus(found):
            room = self._on_gpus(room, found)
        workers = self._workers(found, SHARES[0] if room.gpus_per_trial is None else room.gpus_per_trial)
        return replace(room, workers=workers, gpus=_gpus(found)) if workers else room

    def _on_gpus(self, room: Room, found: list[Machine]) -> Room:
        """Let trials to come ask for shares of the GPUs that came, once these have told their memory."""
        if found == self._useless:
            return room
        self._asked = self._asked or ask_gpu_bytes()
        try:
            memory = answered(self._asked, 0.0)
        except RequestError as error:  # no reason to end a search that gets on
            logger.warning("trials go on on CPUs: %s", error)
            self._asked, self._useless = None, found
            return room
        return room if memory is None else replace(room, gpus_per_trial=None, gpu_bytes=memory)

    def _workers(self, found: list[Machine], gpus: float) -> int:
        fits = sum(_fitting(machine, self.config.cpus_per_trial, gpus) for machine in found)
        return fits if self.config.workers == "auto" else min(self.config.workers, fits)


def _any(found: list[Machine], on_gpus: bool) -> bool:
    return any(machine.cpus and (machine.gpus or not on_gpus) for machine in found)


def _gpus(found: list[Machine]) -> float:
    return sum(machine.gpus for machine in found)


def _fitting(machine: Machine, cpus: float, gpus: float) -> int:
    """How many trials a machine carries at once; a share of a GPU lies on one GPU."""
    room = int(machine.cpus / cpus + 1e-9)
    if gpus >= 1:
        return min(room, int(machine.gpus / gpus))
    return min(room, int(machine.gpus) * int(1 / gpus + 1e-9)) if gpus else room


class _Quiet(TrialProgressCallback):
    """Stands in for Ray Tune's own, which prints of trials that are let go, whatever ``verbose`` is."""

    def _print(self, msg: str) -> None:
        """Nothing: the work tells of its trials."""


def _trainable(make: type[Worker]) -> type[tune.Trainable]:
    class Trial(tune.Trainable):
        """A Ray actor that lives for many trials."""

        def setup(self, config: dict[str, Any]) -> None:
            self.worker = make(Job(**json.loads(config["job"])))

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

    def __init__(self, work: Work, room: Room, look: Callable[[Room], Room] | None = None) -> None:
        """``look``: what a cluster has by now, after what it had."""
        super().__init__()
        self.work, self.room, self.look = work, room, look
        self._looked = time.monotonic()
        self.active: dict[str, Job] = {}
        self.losses: dict[str, str] = {}  # what Ray said when trials lost their workers, the last time
        self.waiting: list[Job] = []  # for a share of a GPU: a first one, or a larger one after running out of memory
        self.mistake: BaseException | None = None

    @property
    def ending(self) -> bool:
        """Whether no trial is to start any more."""
        return self.mistake is not None or self.work.stopping

    @property
    def _busy(self) -> int:
        """How many trials take room; where GPUs came late those do not that began on CPUs before."""
        on_gpus = self.room.gpus_per_trial is None
        return sum(job.gpu_share > 0 or not on_gpus for job in self.active.values())

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is a text
        if self.ending:
            return Searcher.FINISHED
        try:
            self._look_again()
            if self._busy >= self.room.workers + self.room.spare:
                return None
            job = self.waiting.pop(0) if self.waiting else self._next()
        except BaseException as error:  # noqa: BLE001 - raised again after Ray Tune has ended; it would bury it in its log
            self.mistake = error
            return Searcher.FINISHED
        if job is None:
            return Searcher.FINISHED if self.work.finished else None
        free = self.room.gpus - math.fsum(other.gpu_share for other in self.active.values()) + 1e-9
        if job.gpu_share > free and (not self.room.spare or free < 0):
            self.waiting.insert(0, job)
            return None
        self.active[trial_id] = job
        # As text: Ray Tune copies, searches and stores every leaf of what is nested, longer than an empty trial lasts.
        return {"job": json.dumps(asdict(job)), "gpu_share": job.gpu_share}

    def _look_again(self) -> None:
        if self.look is None or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self.room = self.look(self.room)

    def _next(self) -> Job | None:
        job = self.work.next_job()
        if job is None:
            return None
        return replace(job, gpu_share=self.room.share(job), limit_s=self.room.limit_s, token=secrets.token_hex(8))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take the last report of a trial that is over; all others were the scheduler's to take."""
        job, said = self.active.pop(trial_id, None), self.losses.pop(trial_id, "")
        if job is None:
            return
        if error:
            reason = f"the worker was lost {LOST_WORKERS + 1} times, at last because {cause(said)}"
            self.take(Report(job.number, 0, 0, outcome=Outcome.LOST_WORKER, reason=reason, traceback=said))
        elif result is not None and result.get("report"):
            report = Report.from_data(json.loads(result["report"]))
            if report.ends and not self._tries_again(job, report):
                self.take(report)

    def lose(self, trial_id: str, said: str) -> None:
        """Learn from Ray's words why a trial lost its worker; whether it is tried again Ray Tune sees to."""
        if (job := self.active.get(trial_id)) is not None:
            self.losses[trial_id] = said
            logger.warning("trial %d lost its worker because %s", job.number, cause(said))

    def _tries_again(self, job: Job, report: Report) -> bool:
        """Let a trial that ran out of its share's memory go once to a larger share; return whether it does."""
        if report.outcome is not Outcome.OUT_OF_MEMORY or not job.may_try_again:
            return False
        share = larger(job.gpu_share)
        assert share is not None
        logger.warning("trial %d ran out of the memory of %g of a GPU and goes to %g", job.number, job.gpu_share, share)
        self.waiting.append(replace(job, gpu_share=share, tried_again=True, token=secrets.token_hex(8)))
        return True

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

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Choose as Ray Tune does, which asks in every step; at the end none, and those that wait are let go."""
        if not self.jobs.ending:
            return super().choose_trial_to_run(tune_controller)
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == TuneTrial.PENDING:
                tune_controller.stop_trial(trial)
        return None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        goes_on = self.jobs.take(Report.from_data(json.loads(result["report"])))
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Tell why a worker was lost: Ray Tune writes that into a file first, and hands it to nobody."""
        said = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        self.jobs.lose(trial.trial_id, said.rpartition("Failure # ")[2])  # the last of them
