"""THE MAIN PATH of a full training: build, go on from the last checkpoint, train epoch by epoch, keep the best weights.

The same function runs alone in a process, or as one of several processes that share every batch (``World``). All that
it needs travels as plain data; all that it leaves lies in the job's folder.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError, TrainingFailed
from search_spaces.graph import Graph
from trainers import measure
from trainers.data import DataSet, load
from trainers.evaluate import BATCH
from trainers.fit import Diverged, EpochResult, Fit
from trainers.journal import Journal
from trainers.memory import is_out_of_memory, predict_training, size_text
from trainers.network import build
from trainers.one_end import one_end
from trainers.place import Place
from trainers.recipe import Recipe, check_shares
from trainers.room import check_room
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
    split_seed: int
    folder: str
    threads: int | None = None
    about: dict[str, Any] = field(default_factory=dict)


def train(
    job: TrainingJob, data: DataSet | None = None, *, world: World | None = None, watch: Watch | None = None
) -> tuple[EpochResult, ...]:
    """Train until the recipe's epochs are done, or the watch asks for an end; return all epochs so far.

    ``data``: what the job names, where that is loaded already.

    Raises TrainingFailed, with its reason, where the training diverges, runs out of memory or meets a disk that
    refuses; CheckpointError where the folder holds another training's checkpoints. What one process raises all raise
    (trainers/one_end.py); Lost where one has gone without a word.
    """
    world, watch = world or World(), watch or Watch()
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    recipe, source = Recipe(**job.recipe), DataSource.from_data(job.data)
    check_shares(recipe.batch_size, world.size)
    with one_end(Path(job.folder), world):
        data = data or world.together(lambda: load(source, random_seed=job.split_seed, resolution=job.resolution))
        check_shares(min(recipe.batch_size, len(data.train)), world.size)
        return _at(Place.of(world), job, data, recipe, world, watch)


def _at(
    place: Place, job: TrainingJob, data: DataSet, recipe: Recipe, world: World, watch: Watch
) -> tuple[EpochResult, ...]:
    """Train on a device; where its memory will not do or runs out, say what was predicted and what there is."""
    graph = from_data(job.architecture).graph(
        job.resolution, classes=len(data.classes), channels=data.channels, aux=recipe.aux_weight > 0
    )
    share = replace(recipe, batch_size=min(recipe.batch_size, len(data.train)) // world.size)
    validation = min(BATCH, -(-len(data.validation) // world.size))
    predicted = predict_training(graph, share, device=place.kind, validation_batch=validation).peak
    warned = world.together(lambda: check_room(predicted, place.memory_bytes, place.kind, processes=place.processes))
    if warning := max(world.all(warned)):  # empty where all have room
        watch.warn(warning)
    measure.forget_peak(place.device)
    try:
        return _train(job, data, recipe, graph, place, world, watch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).strip().splitlines()[0][:200]
    peak, counted = measure.peak_so_far(place.device)
    raise TrainingFailed(
        f"out of memory: predicted were {size_text(predicted)} besides the data, and the actual peak was "
        f"{size_text(peak)} {counted}, of {size_text(place.memory_bytes)}; lower recipe.batch_size or resolution, or "
        f"share the batch by more workers ({said})"
    )


def _train(
    job: TrainingJob, data: DataSet, recipe: Recipe, graph: Graph, place: Place, world: World, watch: Watch
) -> tuple[EpochResult, ...]:
    network = build(
        graph, initialise=job.random_seed, device=place.device, classifier_deviation=recipe.classifier_deviation
    )
    fit = Fit(network, data, recipe, device=place.device, random_seed=job.random_seed, world=world)
    folder = Path(job.folder)
    world.together(lambda: fit.restore(folder / CHECKPOINTS))
    if len(set(world.all((fit.epochs_done, data.digest)))) > 1:
        raise RequestError(
            f"the processes of the training see other pictures, or other checkpoints in {folder}: both must lie on "
            "disks that all machines share"
        )
    watch.begin(fit.epochs_done, fit.recipe.epochs)
    with _journal(job, data, fit, world) as journal:
        while fit.epochs_done < fit.recipe.epochs and not any(world.all(watch.stopping)):
            with place.shared() as rest:  # measurements of searches on this device go between two steps
                result = fit.epoch(watch.step, rest)
            if isinstance(result, Diverged):
                raise TrainingFailed(result.sentence)
            world.together(lambda: _keep(fit, journal, folder))
            watch.epoch(asdict(result))
        if journal is not None and fit.epochs_done >= fit.recipe.epochs:
            journal.end(fit)
    return tuple(fit.history)


def _keep(fit: Fit, journal: Journal | None, folder: Path) -> None:
    """Write what an epoch leaves: the best weights before the checkpoint, so that none is passed over after a crash."""
    if journal is not None:
        journal.epoch(fit)
        fit.save(folder / CHECKPOINTS)


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
            "random_seed": job.split_seed,
            **data.seen(),
        },
    }
    return Journal(Path(job.folder), fit.history, about)
