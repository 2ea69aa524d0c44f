"""``gp``: Optuna's Gaussian processes, one for each objective, and one for all limits together.

Fitting takes time with the cube of the number of trials, so at most ``most`` finished trials are fitted: past that,
half of them are the best of all (results/ranking.py) and half the newest of the others. What lies outside is forgotten
by the model, though not by the study. Proposals take seconds then: this sampler is for searches whose trials take
minutes.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from optuna.samplers import GPSampler

from nas.samplers.finished import Finished, finished
from nas.samplers.optuna_box import Box
from results.ranking import ranking
from search_spaces.genes import Gene, Genes


class Gp:
    """``startup``: random trials before it models. ``most``: finished trials that are fitted."""

    def __init__(
        self, genes: Sequence[Gene], objectives: Sequence[str], random_seed: int, *, startup: int, most: int
    ) -> None:
        self.objectives, self.startup, self.most = tuple(objectives), startup, most
        self.box = Box(genes, len(objectives), random_seed)
        self._finished: list[Finished] = []

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        if len(self._finished) < self.startup:
            return self.box.drawn(number)
        fitted = self._fitted()
        constrained = not all(each.kept for each in fitted)  # where all limits are kept there is nothing to learn
        neutral = self._neutral(fitted)
        self.box.told.trials = [
            self.box.trial(each, place, each.values or neutral, constrained=constrained)
            for place, each in enumerate(fitted)
        ]
        sampler = GPSampler(
            seed=self.box.seed(str(number)), n_startup_trials=0, warn_independent_sampling=False
        )
        return self.box.proposed(sampler, number)

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to."""
        found = finished(self.objectives, number, genes, values, violations)
        if found is not None:
            self._finished.append(found)

    def _fitted(self) -> list[Finished]:
        """Return the trials that are fitted, in the order in which they were told."""
        told = self._finished
        if len(told) <= self.most:
            return told
        nothing = (0.0,) * len(self.objectives)
        order = ranking([each.values or nothing for each in told], [each.violation for each in told])
        chosen = set(order[: self.most // 2])
        for place in reversed(range(len(told))):
            if len(chosen) == self.most:
                break
            chosen.add(place)
        return [told[place] for place in sorted(chosen)]

    def _neutral(self, fitted: Sequence[Finished]) -> tuple[float, ...]:
        """Return what stands for values that were not measured, of trials that break limits: the medians.

        They say the least about the objectives there; that a limit is broken is learned by the model of the limits.
        """
        known = [each.values for each in fitted if each.values is not None]
        return tuple(map(median, zip(*known, strict=True))) if known else (0.0,) * len(self.objectives)
