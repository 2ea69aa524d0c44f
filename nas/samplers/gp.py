"""``gp``: Optuna's Gaussian processes, one for each objective, and one for all limits together.

Fitting takes time with the cube of the number of trials, so at most ``learns_from`` finished trials are fitted: past
that, half of them are the best of all, and half the newest of the others. What lies outside is forgotten by the model,
though not by the study. Proposals take seconds all the same: this sampler is for searches whose trials take minutes.
"""

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from optuna.samplers import GPSampler

from nas.samplers.finished import Finished, Point, finished, most_telling, point
from nas.samplers.options import GpOptions
from nas.samplers.optuna_box import Box
from search_spaces.genes import Gene, Genes


class Gp:
    """Proposes where the models promise the most hypervolume, or the least value of a single objective."""

    def __init__(self, options: GpOptions, genes: Sequence[Gene], objectives: Sequence[str], random_seed: int) -> None:
        self.options, self.objectives, self.startup = options, tuple(objectives), options.startup
        self.box = Box(genes, len(objectives), random_seed)
        self._finished: list[Finished] = []
        self._told: set[Point] = set()

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        if len(self._finished) < self.startup:
            return self.box.drawn(number)
        fitted = [self._finished[place] for place in most_telling(self._finished, self.options.learns_from)]
        constrained = not all(each.kept for each in fitted)  # where all limits are kept there is nothing to learn
        neutral = self._neutral(fitted)
        trials = [
            self.box.trial(each, place, each.values or neutral, constrained=constrained)
            for place, each in enumerate(fitted)
        ]
        sampler = GPSampler(seed=self.box.seed(str(number)), n_startup_trials=0, warn_independent_sampling=False)
        with np.errstate(invalid="ignore"):  # where every point promises the same, Optuna divides 0 by 0 and goes on
            return self.box.proposed(sampler, number, trials)

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to; the same genes are learned once."""
        found = finished(self.objectives, number, genes, values, violations)
        if found is None or (told := point(self.box.genes, genes)) in self._told:
            return
        self._told.add(told)
        self._finished.append(found)

    def _neutral(self, fitted: Sequence[Finished]) -> tuple[float, ...]:
        """Return what stands for values that were not measured, of trials that break limits: the medians.

        They say the least about the objectives there; that a limit is broken is learned by the model of the limits.
        """
        known = [each.values for each in fitted if each.values is not None]
        return tuple(map(median, zip(*known, strict=True))) if known else (0.0,) * len(self.objectives)
