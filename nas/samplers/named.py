"""The samplers by name. Each is imported only where it is named: some load Optuna, and ``gp`` torch."""

from collections.abc import Sequence

from nas.samplers.contract import Sampler
from nas.samplers.options import (
    EvolutionOptions,
    GpOptions,
    LocalOptions,
    Nsga2Options,
    Nsga3Options,
    SamplerConfig,
    TpeOptions,
)
from search_spaces.space import SearchSpace


def named_sampler(chosen: SamplerConfig, space: SearchSpace, objectives: Sequence[str], random_seed: int) -> Sampler:
    """Return the sampler that a search file names, for a space."""
    match chosen:
        case TpeOptions():
            from nas.samplers.tpe import Tpe

            return Tpe(chosen, space.genes, objectives, random_seed)
        case Nsga2Options() | Nsga3Options():
            from nas.samplers.nsga import Nsga

            return Nsga(chosen, space.genes, objectives, random_seed)
        case GpOptions():
            from nas.samplers.gp import Gp

            return Gp(chosen, space.genes, objectives, random_seed)
        case EvolutionOptions():
            from nas.samplers.evolution import Evolution

            return Evolution(chosen, space, objectives, random_seed)
        case LocalOptions():
            from nas.samplers.local import Local

            return Local(chosen, space, objectives, random_seed)
    from nas.samplers.uniform import Uniform

    return Uniform(space.genes, random_seed)
