"""What a space's YAML file may say: strict models, one field for every key."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from search_spaces.architecture import Aux, HeadStep
from search_spaces.errors import RequestError
from search_spaces.factorisation import Factorisation
from search_spaces.genes import Widths
from search_spaces.operations import Conv, LocalNorm, Pool, parse
from search_spaces.principles import Thresholds

WIDEST = 4096  # of one tower: what towers and reductions add up to stays a convolution's width

# A ValueError of a validator reads on after the key of its entry, a RequestError names what is wrong itself.


def _widths(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 3 and all(type(item) is int and 0 < item <= WIDEST for item in value):
        low, high, step = value
        if low <= high and (high - low) % step == 0:
            return Widths(low, high, step)
    raise ValueError(
        f"{str(value)[:60]} is not a range of widths: write [lowest, highest, step], whole numbers from 1 to {WIDEST}, "
        "the step dividing the difference"
    )


def _steps(value: Any, allows: Callable[[Any], bool], sentence: str) -> Any:
    """Read a list of operations; ``sentence`` says what is allowed where ``allows`` refuses one."""
    if not isinstance(value, list):
        raise ValueError(f"{str(value)[:60]!r} is not a list: write one of operations, [conv 3x3 64] say")
    found = []
    for i, item in enumerate(value):
        try:
            found.append(parse(item))
        except RequestError as error:
            raise RequestError(str(error), at=(i,)) from None
        if not allows(found[-1]):
            raise RequestError(f"{item!r} is not for {sentence}", at=(i,))
    return tuple(found)


def _stem(value: Any) -> Any:
    return _steps(
        value,
        lambda step: isinstance(step, Conv | Pool | LocalNorm),
        "the stem of a space: it holds conv, max, avg and lrn",
    )


def _head(value: Any) -> Any:
    steps = _steps(
        value,
        lambda step: not isinstance(step, LocalNorm),
        "an auxiliary head: it holds conv, max, avg, adaptive, linear and dropout",
    )
    Aux(1, 1, steps)  # refuses what cannot follow a linear layer
    return steps


def _named(pattern: str, sentence: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value[:60]!r} is not a name: {sentence}")
        return value

    return AfterValidator(check)


def _once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    for i, item in enumerate(value):
        if item in value[:i]:
            raise ValueError(f"{str(item).lower()} stands twice: keep it once")
    return value


def _different(value: dict[str, Any]) -> dict[str, Any]:
    names: dict[Any, str] = {}
    for name, steps in value.items():
        if (other := names.setdefault(steps, name)) != name:
            raise ValueError(f"{name} is the same as {other}: keep one of them")
    return value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a kernel of {value} cannot be padded evenly: odd ones from 3 to 15 are allowed")
    return value


def _in_order(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"a depth of {list(value)} is not possible: write [fewest, most] modules")
    return value


WidthsField = Annotated[Widths, BeforeValidator(_widths)]
Stem = Annotated[tuple[Conv | Pool | LocalNorm, ...], BeforeValidator(_stem), Field(min_length=1)]
Head = Annotated[tuple[HeadStep, ...], BeforeValidator(_head), Field(min_length=1)]
Name = Annotated[str, _named(r"[a-z][a-z0-9_]{0,31}", "use 1 to 32 small letters, digits and '_', a letter first")]
SpaceName = Annotated[
    str,
    _named(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "use 1 to 64 letters, digits, '.', '_' or '-', a letter or a digit first"
    ),
]
Odd = Annotated[int, Field(ge=3, le=15), AfterValidator(_odd)]
Depth = Annotated[int, Field(ge=1, le=32)]
Repeats = Annotated[int, Field(ge=1, le=4)]
Once = AfterValidator(_once)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class TowerChoices(_Strict):
    """What a spatial tower may be: a 1x1 embedding, then ``repeats`` n x n convolutions under a factorisation."""

    kernel: Annotated[tuple[Odd, ...], Once] = Field(min_length=1)
    factorisation: Annotated[tuple[Factorisation, ...], Once] = Field(min_length=1)
    repeats: Annotated[tuple[Repeats, ...], Once] = Field(default=(1,), min_length=1)
    embedding: WidthsField
    output: WidthsField


class DirectChoices(_Strict):
    """The short tower of a reduction: a stride-2 convolution, on the input itself (``direct``) or on an embedding."""

    direct: Annotated[tuple[bool, ...], Once] = Field(default=(True, False), min_length=1)
    embedding: WidthsField
    output: WidthsField


class PoolChoices(_Strict):
    """The pool tower: its kind, and the width of the 1x1 after it."""

    kind: Annotated[tuple[Literal["avg", "max"], ...], Once] = Field(default=("avg", "max"), min_length=1)
    projection: WidthsField


class ReductionChoices(_Strict):
    """How a grid is halved: in parallel (section 5), or by a pool and a 1x1, or by a 3x3 and a pool."""

    kind: Annotated[tuple[Literal["parallel", "pool_first", "convolve_first"], ...], Once] = Field(
        default=("parallel",), min_length=1
    )
    short: DirectChoices
    long: TowerChoices


class StageChoices(_Strict):
    """One stage: its reduction (none for the first), its number of modules, and their four towers."""

    depth: Annotated[tuple[Depth, Depth], AfterValidator(_in_order)]
    widen: Annotated[tuple[Literal["early", "late"], ...], Once] = Field(default=("early", "late"), min_length=1)
    reduction: ReductionChoices | None = None
    pointwise: WidthsField
    short: TowerChoices
    long: TowerChoices
    pool: PoolChoices


def _reduced(stages: tuple[StageChoices, ...]) -> tuple[StageChoices, ...]:
    """Refuse a reduction before the first stage, and none before any other: every stage has a grid of its own."""
    for s, stage in enumerate(stages):
        key = f"stages.stage{s + 1}"
        if s == 0 and stage.reduction is not None:
            raise RequestError(
                f"{key} has a reduction: the stem leads to the first stage, so take it out and put the steps there",
                at=(s, "reduction"),
            )
        if s > 0 and stage.reduction is None:
            raise RequestError(
                f"{key} has no 'reduction': every stage after the first stands on a smaller grid, so add one",
                at=(s, "reduction"),
            )
    return stages


class AuxChoices(_Strict):
    """The auxiliary head on the last module of ``stage``: the steps of each that may stand there, by name."""

    stage: Annotated[int, Field(ge=1)]
    heads: Annotated[dict[Name, Head], AfterValidator(_different)] = Field(min_length=1)


class SpaceFile(_Strict):
    """A file of ``spaces/``, or one that says in what it differs from another (``base``, read by ``space_document``).

    ``tied``: whether the modules of a stage share their choices. ``fixed``: the value of genes that are not searched;
    widths are fixed by their ranges.
    """

    format: Literal["space/1"]
    name: SpaceName
    notes: str = ""
    resolution: Annotated[int, Field(ge=32, le=4096)] = 299
    tied: bool = True
    stems: Annotated[dict[Name, Stem], AfterValidator(_different)] = Field(min_length=1)
    stages: Annotated[tuple[StageChoices, ...], AfterValidator(_reduced)] = Field(min_length=2)
    aux: AuxChoices | None = None
    dropout: Annotated[float, Field(ge=0, le=0.99)] = 0.5  # as an architecture file allows
    norm_eps: Annotated[float, Field(ge=1e-12, le=1)] = 1e-3
    padding: Annotated[tuple[Literal["counted", "uncounted"], ...], Once] = Field(default=("counted",), min_length=1)
    thresholds: Thresholds = Thresholds()
    fixed: dict[str, int | str] = Field(default_factory=dict)
