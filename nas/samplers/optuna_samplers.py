"""Optuna's samplers over an in-memory study."""

import hashlib
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState, create_trial

from nas.config import SamplerConfig
from nas.samplers.distributions import distribution_of
from search_spaces.genes import Gene, Genes

optuna.logging.set_verbosity(optuna.logging.WARNING)

_GENERATION = "NSGAIISampler:generation"  # where Optuna's NSGA-II keeps a trial's generation


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> float | int | str:
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high)
    assert isinstance(distribution, CategoricalDistribution)
    value = trial.suggest_categorical(name, distribution.choices)
    assert isinstance(value, int | str)
    return value


class OptunaSampler:
    """One of Optuna's samplers: ``random``, ``tpe`` (multivariate) or ``nsga2``.

    A fresh sampler, seeded from the random seed and the trial's number, makes each proposal from the told trials, so
    there is nothing to restore but the trials themselves.
    """

    def __init__(
        self, config: SamplerConfig, genes: Sequence[Gene], objectives: Sequence[str], random_seed: int
    ) -> None:
        self.config, self.objectives, self.random_seed = config, tuple(objectives), random_seed
        self.distributions = {gene.name: distribution_of(gene) for gene in genes}
        self.study = optuna.create_study(directions=["minimize"] * len(objectives), sampler=self._sampler(0))
        self._asked: dict[int, Trial] = {}
        self._with_parents = 0  # NSGA-II's generations whose parents are selected

    def _sampler(self, number: int) -> BaseSampler:
        seed = int.from_bytes(hashlib.sha256(f"{self.random_seed} {number}".encode()).digest()[:4])
        if self.config.name == "tpe":
            return TPESampler(seed=seed, multivariate=True, n_startup_trials=self.config.startup, constant_liar=True)
        if self.config.name == "nsga2":
            return NSGAIISampler(seed=seed, population_size=self.config.population)
        return RandomSampler(seed=seed)

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        self.study.sampler = self._sampler(number)
        trial = self._asked[number] = self.study.ask()  # this also makes Optuna look at its trials anew
        self._select_parents()
        return {name: _suggest(trial, name, distribution) for name, distribution in self.distributions.items()}

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to; without values and violations (it failed) nothing is learned."""
        trial = self._asked.pop(number, None)
        broken = any(size > 0 for size in violations.values())
        if not values and not broken:
            if trial is not None:
                self.study.tell(trial, state=TrialState.FAIL)
            return
        # Optuna wants values of every trial, though it ranks those that exceed a limit by their violations alone: what
        # was not measured is told as the worst there is, an error of 1.
        told = [values.get(name, 1.0) for name in self.objectives]
        if trial is not None:
            for name, size in violations.items():
                trial.set_constraint(name, size)
            self.study.tell(trial, told)
            return
        attributes = {_GENERATION: self._generation()} if self.config.name == "nsga2" else {}
        self.study.add_trial(
            create_trial(
                params=dict(genes),
                distributions=self.distributions,
                values=told,
                system_attrs=attributes,
                constraints=dict(violations),
            )
        )

    def _select_parents(self) -> None:
        """Select the parents of every generation up to the next trial's, in order.

        Optuna does so when a generation first needs them, and then hands them over in another order than later from its
        store: after this it always reads its store, so that a resumed search draws as one that was not interrupted.
        """
        sampler = self.study.sampler
        if isinstance(sampler, NSGAIISampler):
            for generation in range(self._with_parents + 1, self._generation() + 1):
                sampler.get_parent_population(self.study, generation)
                self._with_parents = generation

    def _generation(self) -> int:
        """The generation that NSGA-II would give the next trial: a full one is followed by the next."""
        told = [
            trial.system_attrs[_GENERATION]
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if _GENERATION in trial.system_attrs
        ]
        newest = max(told, default=0)
        return newest + 1 if told.count(newest) >= self.config.population else newest
