"""Small boxes of genes with all that samplers ask of a space: here an architecture is its genes."""

import random
from collections.abc import Mapping

from search_spaces.genes import Gene, Genes

MIXED = (Gene("x"), Gene("y"), Gene("n", (1, 2, 3, 4)), Gene("kind", ("avg", "max")), Gene("odd", (3, 5, 9)))


class Box:
    """A space whose every point is another architecture."""

    name = "box"

    def __init__(self, *genes: Gene) -> None:
        self.genes = genes

    def decode(self, genes: Mapping[str, float | int | str]) -> Genes:
        return dict(genes)

    def encode(self, architecture: Genes) -> Genes:
        return dict(architecture)

    def mutate(self, architecture: Genes, random_source: random.Random, genes: int = 1) -> Genes:
        drawn = random_source.sample(self.genes, min(genes, len(self.genes)))
        return {**architecture, **{gene.name: gene.sample(random_source) for gene in drawn}}

    def crossover(self, mother: Genes, father: Genes, random_source: random.Random) -> Genes:
        return {name: random_source.choice((mother[name], father[name])) for name in mother}
