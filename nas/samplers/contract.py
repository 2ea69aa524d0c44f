"""What the search asks of a sampler: to propose points of a space's box, and to learn from what they came to.

Every sampler passes one conformance suite, tests/test_nas_samplers.py.
"""

from collections.abc import Mapping
from typing import Protocol

from search_spaces.genes import Genes


class Sampler(Protocol):
    """Proposes genes for trial numbers. The proposal depends on what was told, in its order, and on the number alone.

    So a search that is resumed goes on as one that was never interrupted, without any state of the sampler's own.
    Proposals whose trials have not ended yet therefore have no say in the next one: a resumed sampler does not know
    them. Numbers grow from proposal to proposal; what is told may come in any order, and of trials never proposed.

    ``startup``: of how many points it has to learn; with fewer it draws uniformly. One beyond a limit counts: where
    hardly any random point keeps the limits, it is such points that lead to those that do.
    """

    startup: int

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn what a trial came to: its objectives (smaller is better), and by how much each limit is exceeded.

        A trial that exceeds a limit may come without values: it was not trained, and violations alone tell it from
        others. Without values and violations (it failed) nothing is learned; it may be told again later with values.
        A point is learned once, however often it is told: a copy is no further result.
        """
