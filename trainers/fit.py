"""The training loop: epoch by epoch, resumable between epochs with identical results on the CPU."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers import checkpoint
from trainers.augment import Augmentation
from trainers.average import measure_statistics
from trainers.checkpoint import CheckpointError
from trainers.data import DataSet
from trainers.evaluate import BATCH, score
from trainers.feed import Batch, Feed, steps_per_epoch
from trainers.network import Network
from trainers.optimizer import learning_rate
from trainers.recipe import Recipe
from trainers.training_step import TrainingStep
from trainers.world import World

# A loss that is not finite never comes back, so looking later loses nothing but time. Looking means waiting for the
# device: every hundredth step costs nothing measurable, and wastes at most a hundred steps of a long epoch.
LOOK_EVERY = 100

# The averaged network's statistics are measured on at most so many training pictures, drawn at random: a forward pass
# over a few large batches, a tenth of an epoch's time on a small data set and nothing on a large one.
STATISTICS_PICTURES = 512
STATISTICS_BATCH = 128


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to.

    ``epoch`` counts from 1. ``train_loss``: mean over the steps, with smoothing and auxiliary losses, in nats.
    ``validation_error``: top-1, 0 to 1, of the averaged network where the recipe averages; ``validation_loss`` in
    nats without smoothing. ``learning_rate``: of the last step. ``seconds``: training and validation;
    ``pictures_per_second``: training alone. ``waiting_seconds``: how much of ``seconds`` was waiting for pictures.
    """

    epoch: int
    train_loss: float
    validation_error: float
    validation_loss: float
    learning_rate: float
    seconds: float
    pictures_per_second: float
    waiting_seconds: float


@dataclass(frozen=True)
class Diverged:
    """The loss is no longer finite at ``step`` of ``epoch``, from 1; past the last step if validation showed it."""

    epoch: int
    step: int
    value: float

    @property
    def sentence(self) -> str:
        """Say what was found and what to do."""
        return (
            f"the training diverged: the loss is {self.value} at step {self.step} of epoch {self.epoch};"
            " lower learning_rate, or add warmup_epochs or gradient_clip"
        )


class Fit:
    """One training: call ``epoch`` until there are as many as wanted, ``save`` and ``restore`` between them.

    The network is moved to the device and trained in place. All randomness of an epoch (order, augmentation, dropout)
    comes from ``random_seed`` and the epoch's number alone, so a resumed training needs no generator's state and ends
    with the same weights, bit for bit on the CPU, as one that was never interrupted.

    In a ``world`` of several processes each takes its share of every batch and of the validation, and all hold the same
    weights; the statistics that a batch norm trains with are those of a process's own share.
    """

    def __init__(
        self,
        network: Network,
        data: DataSet,
        recipe: Recipe,
        *,
        device: torch.device | str = "cpu",
        random_seed: int,
        world: World | None = None,
    ) -> None:
        self.network, self.data, self.recipe, self.random_seed = network, data, recipe, random_seed
        self.device = torch.device(device)
        self.step = TrainingStep(network, recipe, self.device, world)
        self.world, self.precision, self.average = self.step.world, self.step.precision, self.step.average
        self.history: list[EpochResult] = []
        self._train = Feed(data, data.train, self.device)
        self._validation = Feed(data, data.validation, self.device)
        self._augmentation = Augmentation.of(recipe)
        self._steps = steps_per_epoch(data.train, recipe.batch_size)

    @property
    def epochs_done(self) -> int:
        """Epochs behind us, those before a restart included."""
        return len(self.history)

    @property
    def result(self) -> Network:
        """The network to evaluate, export and keep: the averaged one where the recipe averages."""
        return self.network if self.average is None else self.average.network

    def epoch(
        self, told: Callable[[int, int], None] = lambda step, steps: None, rest: Callable[[], None] = lambda: None
    ) -> EpochResult | Diverged:
        """Train for one epoch and validate. After Diverged the weights are of no use.

        ``told`` hears of each step; ``rest`` is called after every batch, of the validation too: it may make it wait.
        """
        started, waited = time.perf_counter(), self._waited
        epoch = self.epochs_done + 1
        losses = self._train_epoch(epoch, told, rest)
        if isinstance(losses, Diverged):
            return losses
        trained = time.perf_counter()
        if self.average is None:  # each normalised by its own share: from here on all hold one network
            self.world.average(buffer for buffer in self.network.buffers() if buffer.is_floating_point())
        else:
            sample = _resting(self._train.ordered(*self._sample()), rest)
            measure_statistics(self.average.network, sample, self.precision)
        own = _resting(self._validation.ordered(BATCH, self._own()), rest)
        validation = score(self.result, own, self.precision, self.world)
        if not math.isfinite(validation.loss):
            return Diverged(epoch, self._steps + 1, validation.loss)
        result = EpochResult(
            epoch=epoch,
            train_loss=sum(losses) / len(losses),
            validation_error=validation.error,
            validation_loss=validation.loss,
            learning_rate=self.step.learning_rate,
            seconds=time.perf_counter() - started,
            pictures_per_second=self._steps * min(self.recipe.batch_size, len(self.data.train)) / (trained - started),
            waiting_seconds=self._waited - waited,
        )
        self.history.append(result)
        return result

    @property
    def _waited(self) -> float:
        return self._train.waiting_seconds + self._validation.waiting_seconds

    def _sample(self) -> tuple[int, Tensor]:
        """Size and places, in the training part, of the batches on which statistics are measured: whole ones.

        Drawn at random, the same in every epoch and process: in order, a batch of a part that lies class by class would
        hold few classes, and its norms would take away what tells them apart.
        """
        drawn = torch.randperm(
            len(self.data.train), generator=torch.Generator().manual_seed(_seed(self.random_seed, 0))
        )
        size = min(STATISTICS_BATCH, len(drawn))
        return size, drawn[: min(STATISTICS_PICTURES, len(drawn)) // size * size]

    def _own(self) -> Tensor:
        """Places, in the validation part, of this process's share."""
        return torch.arange(self.world.rank, len(self.data.validation), self.world.size)

    def _train_epoch(
        self, epoch: int, told: Callable[[int, int], None], rest: Callable[[], None]
    ) -> list[float] | Diverged:
        """Return the loss of every step."""
        recipe, losses, world = self.recipe, torch.zeros(self._steps, device=self.device), self.world
        self.network.train()
        with _seeded(_seed(self.random_seed, epoch), world.rank, self.device) as generator:
            shuffled = self._train.shuffled(recipe.batch_size, generator, self._augmentation, world)
            for step, (pictures, labels) in enumerate(_resting(shuffled, rest)):
                rate = learning_rate(recipe, epoch - 1 + (step + 0.5) / self._steps)
                losses[step] = self.step(pictures, labels, rate)
                told(step + 1, self._steps)
                # One that leaves the loop leaves the others waiting for its gradients: together they look at the end.
                if world.size == 1 and (step + 1) % LOOK_EVERY == 0 and (diverged := _first_bad(losses, epoch)):
                    return diverged
        world.average([losses])
        return _first_bad(losses, epoch) or losses.tolist()

    # ------------------------------------------------------------------------------------------------- checkpoints

    def save(self, folder: Path) -> Path:
        """Write a checkpoint into a folder, which keeps the last two; return its path."""
        tensors = checkpoint.flat("network", self.network.state_dict())
        for i, param in enumerate(self.step.flat.both):
            tensors |= checkpoint.flat(f"optimizer/{i}", self.step.optimizer.state[param])
        if self.average is not None:
            tensors |= checkpoint.flat("average", self.average.network.state_dict())
        data = {
            "identity": self._identity(),
            "updates": 0 if self.average is None else self.average.updates,
            "history": [asdict(result) for result in self.history],
        }
        return checkpoint.save(folder, self.epochs_done, tensors, data)

    def restore(self, folder: Path) -> int:
        """Go on from the newest whole checkpoint of a folder; return how many epochs it has behind it, 0 without any.

        Raises CheckpointError if all checkpoints are damaged or the newest belongs to another training.
        """
        found = checkpoint.latest(folder)
        if found is None:
            return 0
        identity = found.data.get("identity")
        for name, mine in self._identity().items():
            if not isinstance(identity, dict) or identity.get(name) != mine:
                raise CheckpointError(
                    f"the checkpoint in {folder} belongs to another training (its {name} differs):"
                    " use another folder, or train with what it was begun with"
                )
        with torch.no_grad():
            _copy_state(self.network.state_dict(), checkpoint.part("network", found.tensors))
            if self.average is not None:
                _copy_state(self.average.network.state_dict(), checkpoint.part("average", found.tensors))
                self.average.updates = found.data["updates"]
        for i, param in enumerate(self.step.flat.both):
            state = checkpoint.part(f"optimizer/{i}", found.tensors)
            self.step.optimizer.state[param] = {name: value.to(self.device) for name, value in state.items()}
        self.history = [EpochResult(**result) for result in found.data["history"]]
        return self.epochs_done

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be ours."""
        recipe = asdict(self.recipe)
        if not self.recipe.depends_on_epochs:
            del recipe["epochs"]
        shapes = {name: tuple(tensor.shape) for name, tensor in self.network.state_dict().items()}
        return {
            "network": _hash([self.network.graph.digest(), shapes]),
            "data": _hash([self.data.digest, self.data.resolution]),
            "recipe": _hash(recipe),
            "random_seed": self.random_seed,
        }


def _resting(batches: Iterable[Batch], rest: Callable[[], None]) -> Iterator[Batch]:
    """Yield batches; ``rest`` once what came of each is done."""
    for batch in batches:
        yield batch
        rest()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _copy_state(mine: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for name, tensor in mine.items():
        tensor.copy_(found[name])


def _first_bad(losses: Tensor, epoch: int) -> Diverged | None:
    bad = (~losses.isfinite()).nonzero()
    return Diverged(epoch, int(bad[0]) + 1, losses[bad[0]].item()) if len(bad) else None


def _seed(random_seed: int, epoch: int) -> int:
    """Derive an epoch's random seed; hashed, so that epoch 2 of seed 1 has nothing to do with epoch 1 of seed 2."""
    return int.from_bytes(hashlib.sha256(f"{random_seed} {epoch}".encode()).digest()[:7])


@contextmanager
def _seeded(seed: int, rank: int, device: torch.device) -> Iterator[torch.Generator]:
    """Yield a seeded generator, and seed torch's global ones (dropout draws from them) until the end of the block.

    The generator is the same in all processes of a training, which agree on the order; dropout is each one's own.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed + rank)
        yield torch.Generator().manual_seed(seed)
