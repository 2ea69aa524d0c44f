"""``tpe``: Optuna's tree-structured Parzen estimator, multivariate (Bergstra et al., 2011; Falkner et al., 2018).

Its time grows with the trials that are modelled, so at most ``learns_from`` finished trials are: past that, half of
them are the best of all, and half the newest of the others.
"""

from collections.abc import Mapping, Sequence

from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial

from nas.samplers.finished import Finished, Point, finished, most_telling, point
from nas.samplers.options import TpeOptions
from nas.samplers.optuna_box import Box
from search_spaces.genes import Gene, Genes


class Tpe:
    """Proposes what is likelier among good trials than among the others."""

    def __init__(self, options: TpeOptions, genes: Sequence[Gene], objectives: Sequence[str], random_seed: int) -> None:
        self.options, self.objectives, self.startup = options, tuple(objectives), options.startup
        self.box = Box(genes, len(objectives), random_seed)
        self._finished: list[Finished] = []
        self._trials: list[FrozenTrial] = []  # the same in Optuna's words
        self._told: set[Point] = set()

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        if len(self._finished) < self.startup:
            return self.box.drawn(number)
        places = most_telling(self._finished, self.options.learns_from)
        sampler = TPESampler(
            seed=self.box.seed(str(number)),
            multivariate=True,
            n_startup_trials=0,
            n_ei_candidates=self.options.candidates,
            constant_liar=False,  # it would learn from proposals whose trials have not ended
        )
        return self.box.proposed(sampler, number, [self._trials[place] for place in places])

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to; the same genes are learned once.

        Those that break limits are ordered by their violations alone.
        """
        found = finished(self.objectives, number, genes, values, violations)
        if found is None or (told := point(self.box.genes, genes)) in self._told:
            return
        self._told.add(told)
        unmeasured = (0.0,) * len(self.objectives)
        self._trials.append(self.box.trial(found, len(self._finished), found.values or unmeasured))
        self._finished.append(found)
