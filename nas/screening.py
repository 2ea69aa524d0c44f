"""Screening: what is known of a proposal before any training, and whether it is trained at all."""

import logging
import random
from collections.abc import Mapping, Sequence

from nas.config import SearchConfig
from results.outcome import Origin, Outcome, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.cost import cost
from search_spaces.genes import Genes
from search_spaces.space import SearchSpace

logger = logging.getLogger("nas.screening")

DRAWN = 200  # random architectures that are looked at before a study begins


class Screen:
    """Judges architectures by the limits and principles of a search. ``classes``: those of the data."""

    def __init__(self, config: SearchConfig, searched: SearchSpace, classes: int) -> None:
        self.config, self.space, self.classes = config, searched, classes

    def judge(
        self, number: int, architecture: Architecture, genes: Genes | None, origin: Origin, twin: TrialRecord | None
    ) -> TrialRecord:
        """Return a trial that is to run, or that is set aside: it breaks a limit, or a ``twin`` was tried before.

        Seeds are never screened: they are what everything is compared with.
        """
        costs = self._costs(architecture)
        violations = self._violations(architecture, costs)
        outcome, reason = Outcome.RUNNING, ""
        if twin is not None:
            outcome, reason = Outcome.DUPLICATE, f"the same architecture as trial {twin.number}"
            violations = {**twin.violations, **violations}  # what was measured of it too
        elif origin != "seed" and (broken := {key: size for key, size in violations.items() if size > 0}):
            outcome = Outcome.SCREENED
            reason = "exceeds " + ", ".join(f"{key} by {size:.3g}" for key, size in broken.items())
        return TrialRecord(
            study=self.config.study,
            number=number,
            digest=architecture.digest,
            seed=architecture.name if origin == "seed" else None,
            origin=origin,
            architecture=architecture.as_data(),
            genes=genes,
            costs=costs,
            outcome=outcome,
            reason=reason,
            violations=violations,
        )

    def _costs(self, architecture: Architecture) -> dict[str, int]:
        target, classes = self.config.target, self.config.target.classes or self.classes
        counted = cost(architecture, target.resolution, classes=classes, channels=target.channels)
        return {name: value for name, value in counted.as_data().items() if value is not None}

    def _violations(self, architecture: Architecture, costs: Mapping[str, float]) -> dict[str, float]:
        """By limit (as a share of it) and principle, how far it is exceeded; 0 or less where it is kept."""
        limits = self.config.limits
        found = {f"limit:{name}": costs[name] / most - 1 for name, most in limits.items() if name in costs}
        audit = self.space.audit(architecture)
        for finding in (*audit.principles, *audit.rules):
            if finding.name not in audit.off:
                found[f"principle:{finding.name}"] = finding.violation
        return found

    def warn_of_limits(self) -> None:
        """Warn where not one of ``DRAWN`` random architectures keeps the limits, before anything is trained."""
        source, costs = random.Random(self.config.random_seed), list[Mapping[str, float]]()
        for _ in range(DRAWN if self.config.limits else 0):
            costs.append(self._costs(self.space.sample(source)))
            if all(costs[-1].get(name, 0) <= most for name, most in self.config.limits.items()):
                return
        if costs:
            seeds = "; its seeds are trained all the same" if self.config.seeds else ""
            told = "study %r: not one of %d random architectures keeps the limits%s%s"
            logger.warning(told, self.config.study, DRAWN, self._out_of_reach(costs), seeds)

    def out_of_reach(self, trials: list[TrialRecord]) -> str:
        """Say how near to the limits the screened proposals came, where none kept one; empty elsewhere."""
        return self._out_of_reach([trial.costs for trial in trials if trial.outcome is Outcome.SCREENED])

    def _out_of_reach(self, costs: Sequence[Mapping[str, float]]) -> str:
        least = {name: min((cost[name] for cost in costs if name in cost), default=0) for name in self.config.limits}
        missed = [
            f"none of them had less than {least[name]:,} {name}, and {most:,.0f} are allowed"
            for name, most in self.config.limits.items()
            if least[name] > most
        ]
        return f" ({'; '.join(missed)})" if missed else ""
