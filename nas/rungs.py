"""Rungs: the fidelities at which trials are compared, from the cheapest to the proxy that the search file names.

A rung is a number of epochs of a training at some resolution, width and share of the training pictures. Rungs that
follow each other and differ in their epochs alone are stages of one training, which goes on where it was; a rung that
differs in more is trained anew. A value belongs to the rung at which it was measured, and values of different rungs are
never compared.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.config import SearchConfig, Setting
from results.outcome import Measurement
from trainers.recipe import Recipe


@dataclass(frozen=True)
class Rung:
    """``epochs`` of a training with pictures of ``resolution`` px, widths times ``width``, a ``share`` of the pictures.

    ``horizon``: the epochs of the whole training that this is a stage of, which its schedule is made for. ``training``:
    its place among the trainings of a trial, from 0.
    """

    resolution: int
    width: float
    share: float
    epochs: int
    horizon: int
    training: int

    @property
    def sentence(self) -> str:
        """Say what is trained at this rung."""
        return Setting(epochs=self.epochs, resolution=self.resolution, width=self.width, share=self.share).text

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe of the training that this is a stage of."""
        return replace(recipe, epochs=self.horizon)


def rungs_of(config: SearchConfig) -> tuple[Rung, ...]:
    """Return the rungs of a search, the cheapest first; the last is the proxy as the file has it."""
    rungs: list[Rung] = []
    for setting in config.settings():
        same = bool(rungs) and all(
            getattr(rungs[-1], name) == getattr(setting, name) for name in ("resolution", "width", "share")
        )
        training = rungs[-1].training + (not same) if rungs else 0
        rungs.append(Rung(setting.resolution, setting.width, setting.share, setting.epochs, 0, training))
    horizons = {rung.training: rung.epochs for rung in rungs}  # the last of each
    return tuple(replace(rung, horizon=horizons[rung.training]) for rung in rungs)


def fidelity_digest(rung: Rung, config: SearchConfig, data_digest: str) -> str:
    """Return what two trainings of one architecture must share to come to the same values, as a SHA-256.

    How long a training would go on after the rung is of no account where its schedule does not depend on that.
    """
    of_rung, recipe = asdict(rung), asdict(rung.recipe(config.recipe))
    del of_rung["training"]
    if not config.recipe.depends_on_epochs:
        del of_rung["horizon"], recipe["epochs"]
    facts: dict[str, Any] = {
        "rung": of_rung,
        "recipe": recipe,
        "data": data_digest,
        "random_seed": config.random_seed,
    }
    if config.measured:  # values of the target, measured before the training, belong to the result
        facts["measured"] = {
            "measure": config.measure.model_dump(mode="json"),
            "target": config.target.model_dump(mode="json"),
        }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def rung_of_epoch(rungs: Sequence[Rung], training: int, epoch: int) -> int:
    """Return the index of the rung on the way to whose end an epoch (from 1) of a training was."""
    stages = [index for index, rung in enumerate(rungs) if rung.training == training]
    return next((index for index in stages if epoch <= rungs[index].epochs), stages[-1])


def seconds_of(measurements: Iterable[Measurement]) -> float:
    """Return the seconds of a trial's trainings up to the last of some measurements."""
    return max((m.seconds for m in measurements), default=0.0)


def seconds_before(rungs: Sequence[Rung], rung: int, measurements: Iterable[Measurement]) -> float:
    """Return the seconds of a trial's trainings before the one that a rung is a stage of."""
    return seconds_of(m for m in measurements if rungs[m.rung].training < rungs[rung].training)
