"""One full training in several processes, by Ray Train: on this machine or a cluster, a GPU each where there are GPUs.

The processes keep their own checkpoints in the training's folder, which all of them must see; Ray Train starts them,
joins them to one process group, and starts all of them again after one was lost. Its own experiment state is scratch.
"""

import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.executors.ray_cluster import connect, end, machines  # its settings come before Ray

# isort: split

from ray import train as ray_train
from ray.train import WorkerGroupError
from ray.train.torch import TorchTrainer

from search_spaces.errors import RequestError, TrainingFailed
from search_spaces.files import write_files
from trainers.cpus import usable_cpus
from trainers.failure import Failure, Notice
from trainers.journal import METRICS
from trainers.training import TrainingJob
from trainers.watch import Watch

# Files in the training's folder, through which driver and workers speak.
STOP = "stop"  # end after the running epoch
WARNING = "warning"  # a sentence for the user
LOST_WORKERS = 3  # times that all processes are started again after one was lost
LOOK_SECONDS = 0.2
WAITING_SECONDS = 60.0  # after which a training that has not begun is told of

logger = logging.getLogger("nas.executors.ray_train")


def train_together(job: TrainingJob, workers: int, address: str | None, look: Callable[[], None], watch: Watch) -> None:
    """Train a job in several processes; ``look`` is called again and again meanwhile, and asks the folder for news.

    ``watch``: hears of warnings, and is asked whether the training is to end.

    Raises RequestError where the cluster can never run so many, TrainingFailed where the training fails: what one
    worker raised.
    """
    started = connect(address, max(usable_cpus(), workers))
    scratch = tempfile.mkdtemp(prefix="nas-ray-")
    folder = Path(job.folder)
    _forget_words(folder)
    notice = Notice(folder, secrets.token_hex(8))
    try:
        ended = _Ended(_trainer(job, workers, notice.attempt, scratch), notice)
        asked, told = time.time(), False
        # A Ray of our own ends at once with what has failed; another one starts the workers again, which say it.
        while ended.pending and not (started and notice.found()):
            look()
            _pass_on(folder, watch)
            if not told and time.time() - asked > WAITING_SECONDS and (told := True) and not _began(job, asked):
                logger.warning(
                    "the workers have not begun yet: a busy cluster starts %d of them once it has room", workers
                )
            time.sleep(LOOK_SECONDS)
        look()
        _pass_on(folder, watch)
        ended.raise_failure()
    finally:
        _forget_words(folder)
        if started:
            end()
        shutil.rmtree(scratch, ignore_errors=True)


def _trainer(job: TrainingJob, workers: int, attempt: str, scratch: str) -> TorchTrainer:
    return TorchTrainer(
        _work,  # type: ignore[arg-type]  # the stubs forget what it may return
        train_loop_config={"job": asdict(job), "attempt": attempt},
        scaling_config=_scaling(workers),
        run_config=ray_train.RunConfig(
            name="scratch",
            storage_path=scratch,
            failure_config=ray_train.FailureConfig(max_failures=LOST_WORKERS),
        ),
    )


def _pass_on(folder: Path, watch: Watch) -> None:
    """Tell the workers that they are to end, and the watch what they warn of."""
    if watch.stopping:
        write_files(folder, {STOP: b""})
    if (warning := folder / WARNING).exists():
        watch.warn(warning.read_text(encoding="utf-8"))
        warning.unlink()


def _forget_words(folder: Path) -> None:
    for name in (STOP, WARNING):
        (folder / name).unlink(missing_ok=True)


def _began(job: TrainingJob, since: float) -> bool:
    """Whether the leading worker has opened its metrics since a time (of the clock)."""
    metrics = Path(job.folder) / METRICS
    return metrics.exists() and metrics.stat().st_mtime >= since


def _scaling(workers: int) -> ray_train.ScalingConfig:
    """A GPU for each worker, or else as many CPUs as every one of them can have on a machine."""
    found = machines()
    cpus, gpus = sum(machine.cpus for machine in found), sum(machine.gpus for machine in found)
    if workers > (gpus or cpus):
        raise RequestError(
            f"{workers} workers need {'a GPU' if gpus else 'a CPU'} each, but Ray has {cpus:g} CPUs and {gpus:g} GPUs: "
            "set workers to what there is, or add machines"
        )
    each = 1 if gpus else cpus_for_each(workers, [machine.cpus for machine in found])
    return ray_train.ScalingConfig(num_workers=workers, use_gpu=bool(gpus), resources_per_worker={"CPU": each})


def cpus_for_each(workers: int, machines: Sequence[float]) -> int:
    """Return the most CPUs that each of so many workers can have, whole ones of one machine."""
    most = int(max(machines))
    return next((each for each in range(most, 0, -1) if sum(int(cpus // each) for cpus in machines) >= workers), 1)


class _Ended:
    """A training that runs in a thread, since Ray Train would take Ctrl-C for itself in the main one."""

    def __init__(self, trainer: TorchTrainer, notice: Notice) -> None:
        self.notice = notice
        self.failure: Failure | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(trainer,), daemon=True)
        self._thread.start()

    def _run(self, trainer: TorchTrainer) -> None:
        try:
            if (returned := trainer.fit().return_value) is not None:  # type: ignore[attr-defined]
                self.failure = Failure(**returned)
        except Exception as error:  # noqa: BLE001 - raised again in the main thread
            self.error = error

    @property
    def pending(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def raise_failure(self) -> None:
        """Raise what ended it, if that was a failure."""
        if (failure := self.failure or self.notice.found()) is not None:
            raise failure.error from self.error
        if isinstance(self.error, WorkerGroupError):
            last = str(next(iter(self.error.worker_failures.values()), self.error)).strip().splitlines()[-1]
            raise TrainingFailed(
                f"the workers failed {LOST_WORKERS + 1} times, the last time by: {last}; mend it, and the same command "
                "goes on"
            ) from self.error
        if self.error is not None:
            raise self.error


class _Folder(Watch):
    """Speaks with the driver through the training's folder; ``leads``: whether this worker has the word."""

    def __init__(self, folder: Path, leads: bool) -> None:
        self.folder, self.leads = folder, leads

    @property
    def stopping(self) -> bool:  # type: ignore[override]  # looked for each time
        return (self.folder / STOP).exists()

    def warn(self, sentence: str) -> None:
        if self.leads:
            write_files(self.folder, {WARNING: sentence.encode()})


def _work(config: dict[str, Any]) -> dict[str, Any] | None:
    """Be one process of the training; return the Failure, as plain data, that another try would only repeat."""
    from trainers.training import train
    from trainers.world import World

    job = TrainingJob(**config["job"])
    notice = Notice(Path(job.folder), config["attempt"])
    if (failure := notice.found()) is not None:  # Ray has started all again after it
        return asdict(failure)
    world = World.joined(notice.attempt)
    train(job, world=world, watch=_Folder(notice.folder, world.leads))
    return None
