"""One full training in several processes, by Ray Train: on this machine or a cluster, a GPU each where there are GPUs.

The processes keep their own checkpoints in the training's folder, which all of them must see; Ray Train starts them,
joins them to one process group, and starts all of them again after one was lost. Its own experiment state is scratch.
"""

import logging
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
from trainers.cpus import usable_cpus
from trainers.journal import METRICS
from trainers.training import TrainingJob
from trainers.watch import Watch

STOP = "stop"  # a file in the training's folder: end after the running epoch
LOST_WORKERS = 3  # times that all processes are started again after one was lost
LOOK_SECONDS = 0.2
WAITING_SECONDS = 60.0  # after which a training that has not begun is told of

logger = logging.getLogger("nas.executors.ray_train")


def train_together(
    job: TrainingJob, workers: int, address: str | None, look: Callable[[], None], stopping: Callable[[], bool]
) -> None:
    """Train a job in several processes; ``look`` is called again and again meanwhile, and asks the folder for news.

    Raises RequestError where the cluster can never run so many, TrainingFailed where the training fails.
    """
    started = connect(address, max(usable_cpus(), workers))
    scratch = tempfile.mkdtemp(prefix="nas-ray-")
    stop = Path(job.folder) / STOP
    stop.unlink(missing_ok=True)
    try:
        trainer = TorchTrainer(
            _work,  # type: ignore[arg-type]  # the stubs forget what it may return
            train_loop_config=asdict(job),
            scaling_config=_scaling(workers),
            run_config=ray_train.RunConfig(
                name="scratch",
                storage_path=scratch,
                failure_config=ray_train.FailureConfig(max_failures=LOST_WORKERS),
            ),
        )
        ended = _Ended(trainer)
        asked, told = time.time(), False
        while ended.pending:
            look()
            if not told and time.time() - asked > WAITING_SECONDS and (told := True) and not _began(job, asked):
                logger.warning(
                    "the workers have not begun yet: a busy cluster starts %d of them once it has room", workers
                )
            if stopping():
                stop.touch()
            time.sleep(LOOK_SECONDS)
        look()
        ended.raise_failure()
    finally:
        stop.unlink(missing_ok=True)
        if started:
            end()
        shutil.rmtree(scratch, ignore_errors=True)


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

    def __init__(self, trainer: TorchTrainer) -> None:
        self.sentence: str | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(trainer,), daemon=True)
        self._thread.start()

    def _run(self, trainer: TorchTrainer) -> None:
        try:
            self.sentence = trainer.fit().return_value  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - raised again in the main thread
            self.error = error

    @property
    def pending(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def raise_failure(self) -> None:
        """Raise what ended it, if that was a failure."""
        if isinstance(self.error, WorkerGroupError):
            last = str(next(iter(self.error.worker_failures.values()), self.error)).strip().splitlines()[-1]
            raise TrainingFailed(
                f"the workers failed {LOST_WORKERS + 1} times, the last time by: {last}; mend it, and the same command "
                "goes on"
            ) from self.error
        if self.error is not None:
            raise self.error
        if self.sentence is not None:
            raise TrainingFailed(self.sentence)


class _StopFile(Watch):
    """Ends the training after the running epoch once the file is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def stopping(self) -> bool:  # type: ignore[override]  # looked for each time
        return self.path.exists()


def _work(config: dict[str, Any]) -> str | None:
    """Be one process of the training; return the sentence of a failure that another try would only repeat."""
    from trainers.training import train
    from trainers.world import World

    job = TrainingJob(**config)
    try:
        train(job, world=World.joined(), watch=_StopFile(Path(job.folder) / STOP))
    except (RequestError, TrainingFailed) as error:
        return str(error)
    return None
