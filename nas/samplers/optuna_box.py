"""What Optuna's samplers are given: the box as distributions, and the told trials in a study that holds nothing else.

The samplers are asked through their own interface (``sample_relative``), not through ``Study.ask``: that would leave a
running trial behind for every proposal, and a resumed search has none of those.
"""

import hashlib
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.samplers.distributions import distribution_of
from nas.samplers.finished import Finished, drawn, source
from search_spaces.genes import Gene, Genes

optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings are to authors of studies, and there are none

LONG_AGO = datetime(2000, 1, 1)  # trials must bear a time; no sampler looks at it


def purpose(number: int, tried: int) -> str:
    """Return what random numbers are for: a trial's proposal, after so many others that it was not to be."""
    return f"{number}{'+' * tried}"


class Told(InMemoryStorage):
    """A store of exactly the trials that a sampler is to see."""

    def __init__(self) -> None:
        super().__init__()
        self.trials: list[FrozenTrial] = []

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials themselves: samplers only read them."""
        return self.trials if states is None else [trial for trial in self.trials if trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep no notes on proposals: they are meant for other processes, and there are none."""


class Box:
    """The genes as Optuna's distributions, for studies of so many ``objectives`` to be minimised."""

    def __init__(self, genes: Sequence[Gene], objectives: int, random_seed: int) -> None:
        self.genes, self.random_seed = tuple(genes), random_seed
        self.distributions = {gene.name: distribution_of(gene) for gene in genes}
        # As Optuna does: what has one value is not sampled.
        self.space = {name: each for name, each in self.distributions.items() if not each.single()}
        self.objectives = objectives

    def seed(self, purpose: str) -> int:
        """Return a random seed that depends on the study's and on a purpose, such as a trial's number."""
        return int.from_bytes(hashlib.sha256(f"{self.random_seed} {purpose}".encode()).digest()[:4])

    def drawn(self, number: int, tried: int = 0) -> Genes:
        """Return a uniform random point for a trial, another one for each that was tried before it."""
        return drawn(self.genes, source(self.random_seed, purpose(number, tried)))

    def study(self, trials: Sequence[FrozenTrial] = ()) -> Study:
        """Return a study that holds these trials; always a new one, as a study remembers what it read before."""
        told = Told()
        told.trials = list(trials)
        return optuna.create_study(storage=told, directions=["minimize"] * self.objectives)

    def proposed(
        self, sampler: BaseSampler, number: int, trials: Sequence[FrozenTrial] = (), *, tried: int = 0
    ) -> Genes:
        """Return the point for a trial that a sampler makes of finished ones.

        What it leaves open, or wants drawn at random, is drawn uniformly; anew for each point that was tried before.
        """
        asked = FrozenTrial(
            number=number,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=LONG_AGO,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        found = sampler.sample_relative(self.study(trials), asked, self.space)
        return {**self.drawn(number, tried), **found}

    def trial(self, found: Finished, place: int, values: Sequence[float], *, constrained: bool = True) -> FrozenTrial:
        """Return a trial as Optuna keeps it; ``place``: its number there."""
        made = FrozenTrial(
            number=place,
            trial_id=place,
            state=TrialState.COMPLETE,
            value=None,
            values=values,
            datetime_start=LONG_AGO,
            datetime_complete=LONG_AGO,
            params=dict(found.genes),
            distributions=self.distributions,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        if constrained:
            made.set_constraint("violation", found.violation)
        return made
