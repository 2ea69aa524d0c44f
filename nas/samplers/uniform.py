"""``random``: uniform points of the box, whatever was told."""

from collections.abc import Mapping, Sequence

from nas.samplers.finished import drawn, source
from search_spaces.genes import Gene, Genes


class Uniform:
    """Draws every gene uniformly; the baseline that every other sampler has to beat."""

    startup = 0

    def __init__(self, genes: Sequence[Gene], random_seed: int) -> None:
        self.genes, self.random_seed = tuple(genes), random_seed

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        return drawn(self.genes, source(self.random_seed, number))

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn nothing."""
