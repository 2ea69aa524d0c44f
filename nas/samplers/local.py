"""``local``: local search over architectures (White et al., 2005.02960), for several objectives and with limits.

A walk begins with random points. From then on, a proposal is a neighbour, by the space's own mutation, of one of the
walk's best: those that no other of the walk dominates, or, where none keeps every limit, the one that breaks them
least; or a random point, where no neighbour seems left that was not told. Once ``patience`` results in a row have
changed nothing of the best, a new walk begins.
"""

from collections.abc import Mapping, Sequence

from nas.samplers.finished import Finished, Point, drawn, finished, point, source
from nas.samplers.options import LocalOptions
from search_spaces.genes import Genes
from search_spaces.space import SearchSpace

_TRIES = 20  # neighbours, at most, until one is none that was told


class Local:
    """Walks from the best of the walk to their neighbours."""

    def __init__(self, options: LocalOptions, space: SearchSpace, objectives: Sequence[str], random_seed: int) -> None:
        self.options, self.space, self.objectives, self.random_seed = options, space, tuple(objectives), random_seed
        self.startup = options.startup
        self.walks = 1
        self._best: list[Finished] = []
        self._since = -1  # the number that began this walk: neighbours with a lower one belong to another
        self._learned = 0  # results of this walk
        self._idle = 0  # results in a row that changed nothing
        self._told: set[Point] = set()

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        random_source = source(self.random_seed, number)
        if self._learned < self.startup:
            return drawn(self.space.genes, random_source)
        middle = self.space.decode(random_source.choice(self._best).genes)
        for _ in range(_TRIES):
            genes = self.space.encode(self.space.mutate(middle, random_source))
            if point(self.space.genes, genes) not in self._told:
                return genes
        return drawn(self.space.genes, random_source)

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to; the same genes are learned once.

        Neighbours from an earlier walk that come late are no part of this one.
        """
        found = finished(self.objectives, number, genes, values, violations)
        if found is None or (told := point(self.space.genes, genes)) in self._told:
            return
        self._told.add(told)
        if self.walks > 1 and (self._learned == 0 or number < self._since):
            if genes != drawn(self.space.genes, source(self.random_seed, number)):
                return  # only random points begin a walk: those that were proposed for it
            self._since = number if self._learned == 0 else self._since
        self._learned += 1
        self._idle = 0 if self._improves(found) else self._idle + 1
        if self._idle >= self.options.patience and self._learned > self.startup:
            self.walks += 1
            self._best, self._learned, self._idle = [], 0, 0

    def _improves(self, found: Finished) -> bool:
        """Take a result in among the best, if it is one of them; return whether it is."""
        if any(_no_worse(best, found) for best in self._best):
            return False
        self._best = [best for best in self._best if not _no_worse(found, best)] + [found]
        return True


def _no_worse(one: Finished, other: Finished) -> bool:
    """Whether one result dominates another, or equals it (Deb et al., 2002, section VI)."""
    if one.kept != other.kept:
        return one.kept
    if not one.kept:
        return one.violation <= other.violation
    assert one.values is not None
    assert other.values is not None
    return all(mine <= theirs for mine, theirs in zip(one.values, other.values, strict=True))
