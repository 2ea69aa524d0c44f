"""What a space's YAML file may say: strict models, one field for every key."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from search_spaces.architecture import Aux, HeadStep
from search_spaces.factorisation import Factorisation
from search_spaces.genes import Widths
from search_spaces.operations import Conv, LocalNorm, Plain, Pool, parse
from search_spaces.principles import Thresholds


def _widths(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 3 and all(isinstance(item, int) and item > 0 for item in value):
        low, high, step = value
        if low <= high and (high - low) % step == 0:
            return Widths(low, high, step)
    raise ValueError(
        f"{value!r} is not a range of widths: write [lowest, highest, step], the step dividing the difference"
    )


def _operations(value: Any) -> Any:
    return tuple(parse(item) for item in value) if isinstance(value, list) else value


def _stem(value: tuple[Plain, ...]) -> tuple[Plain, ...]:
    for step in value:
        if not isinstance(step, Conv | Pool | LocalNorm):
            raise ValueError(f"{step.text()!r} is not for the stem of a space: it holds conv, max, avg and lrn")
    return value


def _head(value: tuple[Plain, ...]) -> tuple[Plain, ...]:
    Aux(1, 1, value)  # type: ignore[arg-type]  # refuses what cannot stand in a head
    return value


WidthsField = Annotated[Widths, BeforeValidator(_widths)]
Stem = Annotated[
    tuple[Conv | Pool | LocalNorm, ...], AfterValidator(_stem), BeforeValidator(_operations), Field(min_length=1)
]
Head = Annotated[tuple[HeadStep, ...], AfterValidator(_head), BeforeValidator(_operations), Field(min_length=1)]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a kernel of {value} cannot be padded evenly: odd ones from 3 to 15 are allowed")
    return value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Odd = Annotated[int, Field(ge=3, le=15), AfterValidator(_odd)]


Depth = Annotated[int, Field(ge=1, le=32)]


def _in_order(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"a depth of {list(value)} is not possible: write [fewest, most] modules")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class TowerChoices(_Strict):
    """What a spatial tower may be: a 1x1 embedding, then ``repeats`` n x n convolutions under a factorisation."""

    kernel: tuple[Odd, ...] = Field(min_length=1)
    factorisation: tuple[Factorisation, ...] = Field(min_length=1)
    repeats: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(default=(1,), min_length=1)
    embedding: WidthsField
    output: WidthsField


class DirectChoices(_Strict):
    """The short tower of a reduction: a stride-2 convolution, on the input itself (``direct``) or on an embedding."""

    direct: tuple[bool, ...] = (True, False)
    embedding: WidthsField
    output: WidthsField


class PoolChoices(_Strict):
    """The pool tower: its kind, and the width of the 1x1 after it."""

    kind: tuple[Literal["avg", "max"], ...] = Field(default=("avg", "max"), min_length=1)
    projection: WidthsField


class ReductionChoices(_Strict):
    """How a grid is halved: in parallel (section 5), or by a pool and a 1x1, or by a 3x3 and a pool."""

    kind: tuple[Literal["parallel", "pool_first", "convolve_first"], ...] = Field(default=("parallel",), min_length=1)
    short: DirectChoices
    long: TowerChoices


class StageChoices(_Strict):
    """One stage: its reduction (none for the first), its number of modules, and their four towers."""

    depth: Annotated[tuple[Depth, Depth], AfterValidator(_in_order)]
    widen: tuple[Literal["early", "late"], ...] = Field(default=("early", "late"), min_length=1)
    reduction: ReductionChoices | None = None
    pointwise: WidthsField
    short: TowerChoices
    long: TowerChoices
    pool: PoolChoices


class AuxChoices(_Strict):
    """The auxiliary head on the last module of ``stage``: the steps of each that may stand there, by name."""

    stage: Annotated[int, Field(ge=1)]
    heads: dict[Name, Head] = Field(min_length=1)


class SpaceFile(_Strict):
    """A file of ``spaces/``, or one that says in what it differs from another (``base``, read by ``space_document``).

    ``tied``: whether the modules of a stage share their choices. ``fixed``: the value of genes that are not searched;
    widths are fixed by their ranges.
    """

    format: Literal["space/1"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    notes: str = ""
    resolution: Annotated[int, Field(ge=32, le=4096)] = 299
    tied: bool = True
    stems: dict[Name, Stem] = Field(min_length=1)
    stages: tuple[StageChoices, ...] = Field(min_length=2)
    aux: AuxChoices | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    norm_eps: Annotated[float, Field(gt=0)] = 1e-3
    padding: tuple[Literal["counted", "uncounted"], ...] = Field(default=("counted",), min_length=1)
    thresholds: Thresholds = Thresholds()
    fixed: dict[str, int | str] = Field(default_factory=dict)
