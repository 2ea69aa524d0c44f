"""``tpe``: Optuna's tree-structured Parzen estimator, multivariate (Bergstra et al., 2011; Falkner et al., 2018).

Its time per proposal grows with the number of finished trials (benchmarks/sampler_rate.json).
"""

from collections.abc import Mapping, Sequence

from optuna.samplers import TPESampler

from nas.samplers.finished import finished
from nas.samplers.optuna_box import Box
from search_spaces.genes import Gene, Genes


class Tpe:
    """``startup``: random trials before it models. ``candidates``: points among which the likeliest is proposed."""

    def __init__(
        self, genes: Sequence[Gene], objectives: Sequence[str], random_seed: int, *, startup: int, candidates: int
    ) -> None:
        self.objectives, self.startup, self.candidates = tuple(objectives), startup, candidates
        self.box = Box(genes, len(objectives), random_seed)

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        if len(self.box.told.trials) < self.startup:
            return self.box.drawn(number)
        sampler = TPESampler(
            seed=self.box.seed(str(number)),
            multivariate=True,
            n_startup_trials=0,
            n_ei_candidates=self.candidates,
            constant_liar=False,  # it would learn from proposals whose trials have not ended
        )
        return self.box.proposed(sampler, number)

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to. Those that break limits are ordered by their violations alone."""
        found = finished(self.objectives, number, genes, values, violations)
        if found is not None:
            told = self.box.told.trials
            told.append(self.box.trial(found, len(told), found.values or (0.0,) * len(self.objectives)))
