"""What Optuna draws a gene from."""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.genes import Gene


def distribution_of(gene: Gene) -> BaseDistribution:
    """Return a gene's distribution: a share of a width's interval, a whole number, or one of its choices."""
    if gene.is_width:
        return FloatDistribution(0.0, 1.0)
    if gene.ordered:
        return IntDistribution(int(gene.choices[0]), int(gene.choices[-1]))
    return CategoricalDistribution(gene.choices)
