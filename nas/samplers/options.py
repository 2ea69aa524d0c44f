"""The options of each sampler as strict models; one that belongs to another sampler is refused with a sentence."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from search_spaces.errors import RequestError, nearest

Few = Annotated[int, Field(ge=1, le=10_000)]
Many = Annotated[int, Field(ge=2, le=10_000)]
Chance = Annotated[float, Field(ge=0, le=1)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _are_its_own(cls, options: Any) -> Any:
        for key in options if isinstance(options, dict) else ():
            if key not in cls.model_fields:
                _refuse(cls, str(key))
        return options


class RandomOptions(_Options):
    """Uniform in the genes. It has no options."""

    name: Literal["random"] = "random"


class TpeOptions(_Options):
    """Optuna's multivariate TPE. ``startup``: random trials before it models; ``candidates``: of which it takes one.

    ``learns_from``: finished trials that are modelled, at most: half of them the best, half the newest of the rest.
    """

    name: Literal["tpe"] = "tpe"
    startup: Few = 16
    candidates: Few = 24
    learns_from: Many = 1000


class Nsga2Options(_Options):
    """Optuna's NSGA-II. ``population``: of a generation; the first one is random."""

    name: Literal["nsga2"] = "nsga2"
    population: Many = 32


class Nsga3Options(_Options):
    """Optuna's NSGA-III. ``population``: of a generation; the first one is random.

    ``divisions``: of each objective's axis, which make the reference points; by default as many as make at most
    ``population`` of them.
    """

    name: Literal["nsga3"] = "nsga3"
    population: Many = 32
    divisions: Annotated[int, Field(ge=1, le=1000)] | None = None


class GpOptions(_Options):
    """Optuna's Gaussian processes: one for each objective, and one for what is exceeded.

    ``startup``: random trials before it models. ``learns_from``: finished trials that are modelled, at most: half of
    them the best, half the newest of the rest. What a proposal costs grows with them faster than in proportion.
    """

    name: Literal["gp"] = "gp"
    startup: Few = 16
    learns_from: Annotated[int, Field(ge=8, le=2000)] = 128


class EvolutionOptions(_Options):
    """Regularised evolution (Real et al., 1802.01548) in several objectives.

    ``startup``: random trials before the first child. ``population``: the newest trials, among which ``tournament`` are
    drawn, whose best is the parent. ``crossover``: the chance that a child has a second one. ``mutations``: genes that
    are drawn afresh.
    """

    name: Literal["evolution"] = "evolution"
    startup: Few = 16
    population: Many = 64
    tournament: Few = 16
    crossover: Chance = 0.5
    mutations: Annotated[int, Field(ge=1, le=1000)] = 1


class LocalOptions(_Options):
    """Local search: neighbours of the best found, by one mutation.

    ``startup``: random trials with which a walk begins; ``patience``: trials without a new best one after which
    another walk begins.
    """

    name: Literal["local"] = "local"
    startup: Few = 8
    patience: Few = 64


_ALL = (RandomOptions, TpeOptions, Nsga2Options, Nsga3Options, GpOptions, EvolutionOptions, LocalOptions)
SAMPLERS: dict[str, type[_Options]] = {options.model_fields["name"].default: options for options in _ALL}
DEFAULT = Nsga2Options()


def _refuse(options: type[_Options], key: str) -> None:
    """Raise RequestError for a key that is no option of a sampler, with the samplers that have it."""
    name, own = options.model_fields["name"].default, [each for each in options.model_fields if each != "name"]
    others = [other for other, theirs in SAMPLERS.items() if key in theirs.model_fields]
    allowed = f"allowed are {', '.join(own)}" if own else "it has no options"
    if others:
        sentence = f"sampler has {key!r}, which is an option of {' and '.join(others)}, not of {name}: {allowed}"
    else:
        sentence = f"unknown key {key[:60]!r} in sampler: {allowed}{nearest(key, own)}"
    raise RequestError(sentence, (key,))


def _named(value: Any) -> Any:
    """Take a name for a sampler with its defaults, and options without a name for those of the default one."""
    value = {"name": value} if isinstance(value, str) else value
    if isinstance(value, dict):
        name = value.get("name", DEFAULT.name)
        if name not in SAMPLERS:
            near = nearest(str(name), SAMPLERS)
            raise RequestError(f"sampler is {str(name)[:60]!r}: allowed are {', '.join(SAMPLERS)}{near}")
        return {**value, "name": name}
    return value


_Any = RandomOptions | TpeOptions | Nsga2Options | Nsga3Options | GpOptions | EvolutionOptions | LocalOptions
SamplerConfig = Annotated[_Any, Field(discriminator="name"), BeforeValidator(_named)]


def of_earlier_release(sampler: Any) -> Any:
    """Return what an earlier release kept of a sampler without the options that were not the sampler's own.

    It kept ``population`` and ``startup`` with every sampler.
    """
    if isinstance(sampler, dict) and set(sampler) == {"name", "population", "startup"} and sampler["name"] in SAMPLERS:
        own = SAMPLERS[sampler["name"]].model_fields
        return {key: value for key, value in sampler.items() if key in own}
    return sampler
