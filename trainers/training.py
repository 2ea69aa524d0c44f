"""THE MAIN PATH of a full training: build, go on from the last checkpoint, train epoch by epoch, keep the best weights.

The same function runs alone in a process, or as one of several processes that share every batch (``World``). All that
it needs travels as plain data; all that it leaves lies in the job's folder.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError, TrainingFailed
from trainers.data import DataSet, load
from trainers.fit import Diverged, EpochResult, Fit
from trainers.journal import Journal
from trainers.network import build
from trainers.recipe import Recipe
from trainers.source import DataSource
from trainers.watch import Watch
from trainers.world import World

CHECKPOINTS = "checkpoint"


@dataclass(frozen=True)
class TrainingJob:
    """A training as plain data.

    ``folder``: absolute; ``data``: what ``DataSource.as_data`` gave; ``recipe``: the fields of a Recipe; ``threads``:
    of the CPU, or torch's own choice; ``about``: what is written beside the weights, with what is known of the data.
    """

    architecture: dict[str, Any]
    resolution: int
    data: dict[str, Any] | str
    recipe: dict[str, Any]
    random_seed: int
    folder: str
    threads: int | None = None
    about: dict[str, Any] = field(default_factory=dict)


def train(
    job: TrainingJob, data: DataSet | None = None, *, world: World | None = None, watch: Watch | None = None
) -> tuple[EpochResult, ...]:
    """Train until the recipe's epochs are done, or the watch asks for an end; return all epochs so far.

    ``data``: what the job names, where that is loaded already.

    Raises TrainingFailed, with its reason, where the training diverges; CheckpointError where the folder holds another
    training's checkpoints.
    """
    world, watch = world or World(), watch or Watch()
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    data = data or load(DataSource.from_data(job.data), random_seed=job.random_seed, resolution=job.resolution)
    fit = _fit(job, data, world)
    folder = Path(job.folder)
    fit.restore(folder / CHECKPOINTS)
    watch.begin(fit.epochs_done, fit.recipe.epochs)
    with _journal(job, data, fit, world) as journal:
        while fit.epochs_done < fit.recipe.epochs and not world.agree(watch.stopping, fit.device):
            result = fit.epoch(watch.step)
            if isinstance(result, Diverged):
                raise TrainingFailed(result.sentence)
            if journal is not None:
                fit.save(folder / CHECKPOINTS)
                journal.epoch(fit)
            watch.epoch(asdict(result))
        if journal is not None and fit.epochs_done >= fit.recipe.epochs:
            journal.end(fit)
    return tuple(fit.history)


def _fit(job: TrainingJob, data: DataSet, world: World) -> Fit:
    architecture, recipe = from_data(job.architecture), Recipe(**job.recipe)
    check_shares(recipe, world.size)
    graph = architecture.graph(
        job.resolution, classes=len(data.classes), channels=data.channels, aux=recipe.aux_weight > 0
    )
    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    network = build(graph, initialise=job.random_seed, device=device, classifier_deviation=recipe.classifier_deviation)
    return Fit(network, data, recipe, device=device, random_seed=job.random_seed, world=world)


def check_shares(recipe: Recipe, workers: int) -> None:
    """Raise RequestError where a batch cannot be shared evenly, at least two pictures (for the batch norms) each."""
    if recipe.batch_size % workers or recipe.batch_size < 2 * workers:
        raise RequestError(
            f"a batch of {recipe.batch_size} cannot be shared evenly by {workers} workers, two pictures each or more: "
            f"set recipe.batch_size to a multiple of {workers}, {2 * workers} or more"
        )


def _journal(job: TrainingJob, data: DataSet, fit: Fit, world: World) -> AbstractContextManager[Journal | None]:
    """The journal of the process that leads; the others keep none."""
    if not world.leads:
        return nullcontext()
    about = {
        **job.about,
        "classes": len(data.classes),
        "channels": data.channels,
        "resolution": data.resolution,
        "aux": bool(fit.network.graph.aux_outputs),
        "trained": {
            "on": job.data,
            "data_digest": data.digest,
            "random_seed": job.random_seed,
            "class_names": list(data.classes),
            "mean": list(data.mean),
            "deviation": list(data.deviation),
            "white": data.white,
        },
    }
    return Journal(Path(job.folder), fit.history, about)
