"""A full training by command: what is asked, what the folder holds already, where it runs, and what it came to."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.doctor import warn_of_emulation
from nas.interrupt import Interrupt
from nas.lock import sole_process
from nas.study import Found
from nas.training_file import MAY_DIFFER, TrainingConfig
from nas.training_view import TrainingView
from results.outcome import differences, shown
from results.plain_text import count
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.files import remove_drafts, write_files
from trainers.recipe import check_shares
from trainers.watch import Watch

if TYPE_CHECKING:
    from trainers.training import TrainingJob

TRAININGS = "training"  # the folder under runs
ABOUT, ARCHITECTURE = "training.json", "architecture.yaml"


@dataclass(frozen=True)
class Trained:
    """How a training stands: ``metrics``, one mapping an epoch, and the epoch (from 1) whose weights are the best."""

    name: str
    folder: Path
    epochs: int
    metrics: tuple[dict[str, Any], ...]

    @property
    def complete(self) -> bool:
        """Whether all epochs are done."""
        return len(self.metrics) >= self.epochs

    @property
    def best(self) -> dict[str, Any] | None:
        """The epoch with the lowest validation error; None before the first."""
        return min(self.metrics, key=lambda epoch: (epoch["validation_error"], epoch["epoch"]), default=None)

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        best = self.best
        return {
            "training": self.name,
            "folder": str(self.folder),
            "state": "complete" if self.complete else "stopped",
            "epochs": self.epochs,
            "epochs_done": len(self.metrics),
            "best": best,
            "weights": str(self.folder / "best.safetensors") if best else None,
        }

    def text(self) -> str:
        """Return what people read at the end."""
        if (best := self.best) is None:
            return f"training {self.name} stopped before its first epoch was done; the same command goes on"
        if len(self.metrics) > self.epochs:
            done = f"has {len(self.metrics)} epochs behind it and {self.epochs} were asked for: nothing was to do"
        elif self.complete:
            done = f"is complete: {count(self.epochs, 'epoch')}"
        else:
            done = f"stopped with {len(self.metrics)} of {self.epochs} epochs done; the same command goes on"
        lines = [
            f"training {self.name} {done}",
            f"best: epoch {best['epoch']}, validation error {best['validation_error']:.2%}; the test part was not read",
            *(f"  {self.folder / name}" for name in ("best.safetensors", "metrics.jsonl", "architecture.yaml")),
        ]
        return "\n".join(lines)


def train_found(found: Found, config: TrainingConfig, runs: Path, *, view: TrainingView | None = None) -> Trained:
    """Run or resume a training until it is complete, or Ctrl-C; return how it stands.

    ``config``: with name and resolution (``for_architecture``). Raises RequestError, before anything is written, where
    the request is wrong; TrainingFailed where the training fails.
    """
    architecture, name = found.architecture, config.name
    assert name is not None
    config.data.check_there()  # what costs nothing comes first: torch takes seconds
    _check_pictures(architecture, config)
    workers = _workers(config)
    from trainers.data import load
    from trainers.training import train

    if config.ray.address is None:
        warn_of_emulation(config.recipe)
    folder = runs / TRAININGS / name
    job = _job(found, config, folder)
    view = view or TrainingView()
    with view.decoding(config.data.source) as decoded:
        data = load(config.data, random_seed=config.of_split, resolution=config.resolution, progress=decoded)
    with sole_process(folder, f"training {name!r} is run"):
        _same_training(folder, config, architecture.digest)
        remove_drafts(folder)
        write_files(folder, {ARCHITECTURE: architecture.to_yaml().encode(), ABOUT: _about(config, architecture.digest)})
        view.known(read_metrics(folder))
        with view, Interrupt(view.stop):
            if workers == 1 and config.ray.address is None:
                train(job, data, watch=view)
            else:
                _together(job, workers, config.ray.address, view)
    return Trained(name, folder, config.recipe.epochs, read_metrics(folder))


def _check_pictures(architecture: Architecture, config: TrainingConfig) -> None:
    """Raise ResolutionError where the architecture, or its auxiliary heads, cannot run at the file's resolution."""
    side = config.resolution
    architecture.graph(side)
    try:
        architecture.graph(side, aux=config.recipe.aux_weight > 0)
    except ResolutionError as error:
        raise ResolutionError(
            f"{error}; that is for its auxiliary heads: train without them (--set recipe.aux_weight=0), or train "
            f"{architecture.name}@{side}, whose stem is for pictures of {side} px and whose heads fit"
        ) from None


def _together(job: "TrainingJob", workers: int, address: str | None, watch: Watch) -> None:
    """Tell the watch what the processes write into the folder."""
    from nas.executors.ray_train import train_together

    folder = Path(job.folder)
    told = len(read_metrics(folder))
    watch.begin(told, job.recipe["epochs"])

    def look() -> None:
        nonlocal told
        for metrics in read_metrics(folder)[told:]:
            watch.epoch(metrics)
            told += 1

    train_together(job, workers, address, look, watch)


def read_metrics(folder: Path) -> tuple[dict[str, Any], ...]:
    """Return what a training measured after every epoch; a line that is still being written is left out."""
    try:
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return tuple(json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n"))


# ------------------------------------------------------------------------------------------------------- what is asked


def _job(found: Found, config: TrainingConfig, folder: Path) -> "TrainingJob":
    from trainers.training import TrainingJob

    about = {"digest": found.architecture.digest, "architecture": found.architecture.name}
    assert config.resolution is not None
    return TrainingJob(
        architecture=found.architecture.as_data(),
        resolution=config.resolution,
        data=config.data.absolute().as_data(),
        recipe=asdict(config.recipe),
        random_seed=config.random_seed,
        split_seed=config.of_split,
        folder=str(folder.resolve()),
        threads=config.threads,
        about=about,
    )


def _workers(config: TrainingConfig) -> int:
    if config.workers == "auto":
        from nas.doctor import gpus

        workers = max(1, len(gpus()))
    else:
        workers = config.workers
    check_shares(config.recipe.batch_size, workers)
    return workers


def _about(config: TrainingConfig, digest: str) -> bytes:
    return json.dumps({"architecture": digest, "file": config.as_data()}, indent=1).encode()


def _same_training(folder: Path, config: TrainingConfig, digest: str) -> None:
    """Raise RequestError, with what differs, where the folder holds another training that has an epoch behind it."""
    from trainers.training import CHECKPOINTS

    if not (folder / ABOUT).is_file() or not any((folder / CHECKPOINTS).glob("epoch-*")):
        return
    try:
        before = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        known, asked = before["architecture"], before["file"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RequestError(
            f"{folder / ABOUT} is damaged: give this training another name (--set name=...), or remove the folder"
        ) from None
    if known != digest:
        raise RequestError(
            f"training {config.name!r} was begun with another architecture: give this one a name (--set name=...)"
        )
    for key, old, new in differences(asked, config.as_data()):
        if key.split(".")[0] in MAY_DIFFER or (key == "recipe.epochs" and not config.recipe.depends_on_epochs):
            continue
        raise RequestError(
            f"training {config.name!r} was begun with {key} {shown(old)}, and now it is {shown(new)}: put it back, or "
            "give this training a name of its own (--set name=...)"
        )
