"""Asynchronous successive halving for several objectives with constraints: which trial goes on to the next rung.

As in Li et al., "A System for Massively Parallel Hyperparameter Tuning" (1810.05934, algorithm 2): whenever a worker is
free, a trial among the best share of a rung that has not gone on yet does so, the highest rung first; nobody waits for
a rung to fill. The best are found by constrained non-dominated sorting (``results.ranking``). Arms are kept
apart, so that the random arm is a search of its own.
"""

from collections.abc import Mapping, Sequence

from results.ranking import ranking


class Halving:
    """What is known of each rung, and who goes on. Numbers are those of trials; smaller values are better."""

    def __init__(self, rungs: int, reduction: float) -> None:
        self.rungs, self.reduction = rungs, reduction
        self._results: dict[tuple[str, int], dict[int, tuple[Sequence[float], float]]] = {}
        self._gone_on: dict[tuple[str, int], set[int]] = {}
        self._ranked: dict[tuple[str, int], list[int]] = {}

    def record(
        self, arm: str, rung: int, number: int, values: Sequence[float], violations: Mapping[str, float]
    ) -> None:
        """Learn what a trial came to at the end of a rung."""
        broken = sum(size for size in violations.values() if size > 0)
        self._results.setdefault((arm, rung), {})[number] = (tuple(values), broken)
        self._ranked.pop((arm, rung), None)

    def went_on(self, arm: str, rung: int, number: int) -> None:
        """Learn that a trial is on its way from this rung to the next, or past it."""
        self._gone_on.setdefault((arm, rung), set()).add(number)

    def next(self, arm: str, *, closing: bool = False) -> tuple[int, int] | None:
        """Return the number of the trial that goes on, and the rung to which; None if nobody does now.

        ``closing``: no further trials will begin, so that a rung of too few for a share sends its best one on.
        """
        for rung in range(self.rungs - 2, -1, -1):
            results = self._results.get((arm, rung), {})
            room = int(len(results) / self.reduction)
            if closing and results:
                room = max(room, 1)
            gone = self._gone_on.get((arm, rung), set())
            for number in self._best(arm, rung)[:room]:
                if number not in gone:
                    return number, rung + 1
        return None

    def _best(self, arm: str, rung: int) -> list[int]:
        """Numbers of the trials at a rung, the best first."""
        if (arm, rung) not in self._ranked:
            results = self._results.get((arm, rung), {})
            numbers = sorted(results)
            order = ranking([results[number][0] for number in numbers], [results[number][1] for number in numbers])
            self._ranked[arm, rung] = [numbers[index] for index in order]
        return self._ranked[arm, rung]
