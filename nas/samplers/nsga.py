"""``nsga2`` and ``nsga3``: Optuna's genetic algorithms (Deb et al., 2002; Deb and Jain, 2014).

A generation is ``population`` finished trials in the order in which they were told, whichever parents they have: so it
does not depend on what is under way. Once it is full, the best of it and of its parents become the next parents. Only
these two lists are looked at, so a proposal takes no longer after thousands of trials. A point that is told again is no
other member: generations of copies would breed nothing but copies.
"""

import math
import warnings
from collections.abc import Mapping, Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import NSGAIIISampler, NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas.samplers.finished import Point, finished, point
from nas.samplers.options import Nsga2Options, Nsga3Options
from nas.samplers.optuna_box import Box, purpose
from search_spaces.genes import Gene, Genes

_TRIES = 20  # children, at most, until one is none that was told
_NOW = 1  # what Optuna is told is the generation; it is asked about one at a time


class Generations:
    """The part of Optuna's genetic samplers that looks generations up in a study: here they are at hand."""

    parents: list[FrozenTrial]
    generation: list[FrozenTrial]

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return the generation of a proposal."""
        return _NOW

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the trials of the generation."""
        return self.generation

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return its parents."""
        return self.parents


class _Nsga2(Generations, NSGAIISampler):
    pass


class _Nsga3(Generations, NSGAIIISampler):
    pass


class Nsga:
    """Selects by NSGA-II's crowding distance, or by NSGA-III's reference points, whichever its options are of."""

    def __init__(
        self,
        options: Nsga2Options | Nsga3Options,
        genes: Sequence[Gene],
        objectives: Sequence[str],
        random_seed: int,
    ) -> None:
        self.options, self.objectives, self.startup = options, tuple(objectives), options.population
        self.box = Box(genes, len(objectives), random_seed)
        self._parents: list[FrozenTrial] = []
        self._generation: list[FrozenTrial] = []
        self._told: set[Point] = set()

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``: a random one in the first generation."""
        if not self._parents:
            return self.box.drawn(number)
        for tried in range(_TRIES):
            genes = self.box.proposed(self._sampler(purpose(number, tried)), number, tried=tried)
            if point(self.box.genes, genes) not in self._told:
                break
        return genes

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to; the same genes are learned once.

        Those that break limits are ranked by their violations alone.
        """
        found = finished(self.objectives, number, genes, values, violations)
        if found is None or (told := point(self.box.genes, genes)) in self._told:
            return
        trial = self.box.trial(found, len(self._told), found.values or (0.0,) * len(self.objectives))
        self._generation.append(trial)
        self._told.add(told)
        if len(self._generation) == self.options.population:
            sampler = self._sampler(f"parents after {len(self._told)}")  # NSGA-III draws among those of equal merit
            self._parents = sampler.select_parent(self.box.study(), _NOW)
            self._generation = []

    def _sampler(self, drawn_for: str) -> _Nsga2 | _Nsga3:
        seed = self.box.seed(drawn_for)
        options = self.options
        sampler: _Nsga2 | _Nsga3
        if isinstance(options, Nsga3Options):
            divisions = options.divisions or divisions_for(len(self.objectives), options.population)
            with warnings.catch_warnings():  # Optuna calls it experimental since 2023
                warnings.simplefilter("ignore", ExperimentalWarning)
                sampler = _Nsga3(seed=seed, population_size=options.population, dividing_parameter=divisions)
        else:
            sampler = _Nsga2(seed=seed, population_size=options.population)
        sampler.parents, sampler.generation = self._parents, self._generation
        return sampler


def divisions_for(objectives: int, population: int) -> int:
    """Return into how many parts each axis is divided, for at most ``population`` points (Das and Dennis, 1998)."""
    parts = 1
    while objectives > 1 and math.comb(objectives + parts, parts + 1) <= population:
        parts += 1
    return parts
