"""The samplers by name. Each is imported only where it is named: some load Optuna, and ``gp`` torch."""

from collections.abc import Sequence

from nas.config import SamplerConfig
from nas.samplers.contract import Sampler
from search_spaces.space import SearchSpace


def named_sampler(config: SamplerConfig, space: SearchSpace, objectives: Sequence[str], random_seed: int) -> Sampler:
    """Return the sampler that a search file names, for a space."""
    name, options = config.name, config.options
    if name == "random":
        from nas.samplers.uniform import Uniform

        return Uniform(space.genes, random_seed)
    if name == "tpe":
        from nas.samplers.tpe import Tpe

        return Tpe(space.genes, objectives, random_seed, **options)
    if name == "gp":
        from nas.samplers.gp import Gp

        return Gp(space.genes, objectives, random_seed, **options)
    if name == "evolution":
        from nas.samplers.evolution import Evolution

        return Evolution(space, objectives, random_seed, **options)
    if name == "local":
        from nas.samplers.local import Local

        return Local(space, objectives, random_seed, **options)
    from nas.samplers.nsga import Nsga

    return Nsga(space.genes, objectives, random_seed, reference_lines=name == "nsga3", **options)
