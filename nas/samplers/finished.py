"""What samplers make of the trials they are told: one number of each objective, and one for all limits together."""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.ranking import ranking
from search_spaces.genes import Gene, Genes

Point = tuple[float | int | str, ...]


@dataclass(frozen=True)
class Finished:
    """A trial that teaches something.

    ``values``: one for each objective, in their order, smaller is better; None where a limit is broken and not all of
    them were measured. ``violation``: where limits are broken, the sum of what exceeds each of them; where all are
    kept, 0 or less: how near the nearest one is.
    """

    number: int
    genes: Genes
    values: tuple[float, ...] | None
    violation: float

    @property
    def kept(self) -> bool:
        """Whether every limit is kept."""
        return self.violation <= 0


def finished(
    objectives: Sequence[str],
    number: int,
    genes: Genes,
    values: Mapping[str, float],
    violations: Mapping[str, float],
) -> Finished | None:
    """Return what is learned of a trial; None where it failed: no limit is broken, and an objective is missing."""
    found = tuple(float(values[name]) for name in objectives) if all(name in values for name in objectives) else None
    excess = sum(size for size in violations.values() if size > 0)
    if found is None and excess <= 0:
        return None
    return Finished(number, dict(genes), found, excess if excess > 0 else max(violations.values(), default=0.0))


def point(every: Sequence[Gene], genes: Genes) -> Point:
    """Return what tells a point of the box from others: what it has of every gene, in their order."""
    return tuple(genes[gene.name] for gene in every)


def best_first(told: Sequence[Finished]) -> list[int]:
    """Return the places of trials in a list, the best first: by non-dominated rank, with constraint domination."""
    unmeasured = next(((0.0,) * len(each.values) for each in told if each.values), (0.0,))
    return ranking([each.values or unmeasured for each in told], [each.violation for each in told])


def most_telling(told: Sequence[Finished], most: int) -> list[int]:
    """Return the places of at most so many trials: of more, half of them the best, half the newest of the others."""
    if len(told) <= most:
        return list(range(len(told)))
    chosen = set(best_first(told)[: most // 2])
    newest = (place for place in reversed(range(len(told))) if place not in chosen)
    chosen.update(itertools.islice(newest, most - len(chosen)))
    return sorted(chosen)


def source(random_seed: int, purpose: int | str) -> random.Random:
    """Return the random numbers for a purpose, such as a trial's number, and for the study's random seed."""
    return random.Random(f"{random_seed} {purpose}")


def drawn(genes: Sequence[Gene], random_source: random.Random) -> Genes:
    """Return a uniform random point of the box."""
    return {gene.name: gene.sample(random_source) for gene in genes}
