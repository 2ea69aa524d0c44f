"""``evolution``: aging evolution of architectures (Real et al., 1802.01548), for several objectives and with limits.

Parents are chosen among the newest trials by tournament, whose order is non-dominated rank with constraint domination
(results/ranking.py). Children are made by the space's own crossover and mutation, so a gene that plays no part in a
parent is never what a child differs in.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

from nas.samplers.finished import Finished, Point, best_first, drawn, finished, point, source
from nas.samplers.options import EvolutionOptions
from search_spaces.architecture import Architecture
from search_spaces.genes import Genes
from search_spaces.space import SearchSpace

_TRIES = 20  # children, at most, until one is none that was told


class Evolution:
    """Breeds among the newest trials that keep every limit.

    While these are fewer than the population, the newest of the others fill it up: they are worse than any that keep
    the limits, and the more they break them the worse.
    """

    def __init__(
        self, options: EvolutionOptions, space: SearchSpace, objectives: Sequence[str], random_seed: int
    ) -> None:
        self.options, self.space, self.objectives, self.random_seed = options, space, tuple(objectives), random_seed
        self.startup = options.startup
        self._kept: deque[Finished] = deque(maxlen=options.population)
        self._broken: deque[Finished] = deque(maxlen=options.population)
        self._told: set[Point] = set()
        self._order: list[Finished] | None = None

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        random_source = source(self.random_seed, number)
        if len(self._told) < self.startup:
            return drawn(self.space.genes, random_source)
        for _ in range(_TRIES):
            genes = self.space.encode(self._child(random_source))
            if point(self.space.genes, genes) not in self._told:
                break
        return genes

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to; the same genes are learned once."""
        found = finished(self.objectives, number, genes, values, violations)
        if found is None or (told := point(self.space.genes, genes)) in self._told:
            return
        self._told.add(told)
        (self._kept if found.kept else self._broken).append(found)
        self._order = None

    def _child(self, random_source: Random) -> Architecture:
        child = self._parent(random_source)
        if random_source.random() < self.options.crossover:
            child = self.space.crossover(child, self._parent(random_source), random_source)
        return self.space.mutate(child, random_source, self.options.mutations)

    def _parent(self, random_source: Random) -> Architecture:
        if self._order is None:
            self._order = self._ranked()
        drawn_places = (random_source.randrange(len(self._order)) for _ in range(self.options.tournament))
        return self.space.decode(self._order[min(drawn_places)].genes)

    def _ranked(self) -> list[Finished]:
        """Return the population, the best first."""
        room = self.options.population - len(self._kept)
        members = [*self._kept, *(list(self._broken)[-room:] if room else ())]
        return [members[place] for place in best_first(members)]
