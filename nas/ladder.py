"""The ladder of the paper's Table 3: Inception-v2, and what turns it into Inception-v3, rung by rung, on any data.

Each rung adds one change to the one above (arXiv 1512.00567, Table 3): RMSProp in place of momentum, label smoothing,
the stem's 7x7 as a chain of 3x3, batch norm in the auxiliary head. The paper prints no separate network for the first
three; they are Inception-v3 with the stem that its factorised one comes from (64 filters of 7x7/2, a pool, then 1x1 80
and 3x3 192) and an auxiliary head without norms.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from nas.config import Strict
from nas.study import Found
from nas.training import Trained, train_found
from nas.training_file import TrainingConfig, default_name, read_training
from nas.training_view import TrainingView
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from search_spaces.space import space
from trainers.recipe import Recipe

SPACE, STEM, HEAD = "inception", "seven", "plain"  # where the parts of the first rungs are described
NOTE = (
    "error: of the validation part after the last epoch, mean of the random seeds; "
    "best: the lowest of all epochs, which flatters"
)
KEYS = ("v2", "rmsprop", "smoothing", "factorised", "auxiliary")  # what a ladder file calls the rungs
OWN = ("optimizer", "label_smoothing")  # fields of the recipe that make a rung what it is

# What a rung's recipe may differ in; Recipe checks the values.
_Change = create_model(
    "Change", __base__=Strict, **{each.name: (Any, None) for each in fields(Recipe) if each.name not in OWN}
)  # type: ignore[call-overload]
_Overrides = create_model("Overrides", __base__=Strict, **{key: (_Change, _Change()) for key in KEYS})  # type: ignore[call-overload]


class LadderConfig(TrainingConfig):
    """A training file for all rungs; ``width``: of their networks, a multiplier; ``repeats``: random seeds of each.

    The recipe's optimizer, label smoothing and the networks are the rungs' own. ``overrides``: fields of the recipe
    that differ at a rung, by its key: a rate that suits RMSProp does not suit momentum.
    """

    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    overrides: _Overrides = _Overrides()  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _check_overrides(self) -> "LadderConfig":
        for key in KEYS:
            try:
                self.recipe_at(key)
            except RequestError as error:
                raise RequestError(f"overrides.{key}: {error}", ("overrides", key, *error.at)) from None
        return self

    def recipe_at(self, key: str) -> Recipe:
        """Return the recipe of a rung, but for the fields that are its own."""
        changes = getattr(self.overrides, key).model_dump(exclude_unset=True)
        return replace(self.recipe, **changes)


@dataclass(frozen=True)
class Rung:
    """One row of Table 3: its change, the architecture and the recipe, and the paper's single-crop top-1 error."""

    name: str
    architecture: Architecture
    recipe: Recipe
    paper_error: float


@dataclass(frozen=True)
class Row:
    """A rung, climbed, with the validation errors of each random seed that was not stopped before its end.

    ``errors``: of the last epoch; ``best_errors``: the lowest of all epochs, which flatter: the same pictures chose
    them.
    """

    rung: Rung
    errors: tuple[float, ...]
    best_errors: tuple[float, ...]
    complete: bool

    @property
    def error(self) -> float | None:
        """The mean of the errors; None without any."""
        return fmean(self.errors) if self.errors else None

    @property
    def deviation(self) -> float | None:
        """Their standard deviation; None for fewer than two."""
        return stdev(self.errors) if len(self.errors) > 1 else None

    @property
    def best_error(self) -> float | None:
        """The mean of the best errors; None without any."""
        return fmean(self.best_errors) if self.best_errors else None

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "rung": self.rung.name,
            "digest": self.rung.architecture.digest,
            "error": self.error,
            "deviation": self.deviation,
            "errors": list(self.errors),
            "best_error": self.best_error,
            "best_errors": list(self.best_errors),
            "paper_error": self.rung.paper_error,
            "complete": self.complete,
        }


def read_ladder(path: Path, overrides: dict[str, object] | None = None) -> LadderConfig:
    """Read a training file for the ladder."""
    config = read_training(path, overrides, LadderConfig)
    assert isinstance(config, LadderConfig)
    return config.model_copy(update={"name": config.name or default_name(path.stem[:48])})


def rungs(config: LadderConfig) -> tuple[Rung, ...]:
    """Return the five rungs, from Inception-v2 to Inception-v3, at the file's resolution and width."""
    whole = seed("inception-v3")
    parts = space(SPACE).file
    assert parts.aux is not None
    head = replace(whole.aux[0], steps=parts.aux.heads[HEAD])
    first = replace(whole, stem=parts.stems[STEM], aux=(head,))
    factorised = replace(whole, aux=(head,))
    steps: tuple[tuple[str, Architecture, Literal["sgd", "rmsprop"], float, float], ...] = (
        ("Inception-v2", first, "sgd", 0.0, 0.234),
        ("+ RMSProp", first, "rmsprop", 0.0, 0.231),
        ("+ label smoothing", first, "rmsprop", 0.1, 0.228),
        ("+ factorised 7x7", factorised, "rmsprop", 0.1, 0.216),
        ("+ BN-auxiliary", whole, "rmsprop", 0.1, 0.212),
    )
    side = config.resolution or whole.resolution
    small = side < whole.resolution or config.width < 1
    return tuple(
        Rung(
            name,
            (proxy(of, side, config.width) if small else of).named(f"rung-{i}"),
            replace(config.recipe_at(key), optimizer=optimizer, label_smoothing=smoothing),
            error,
        )
        for i, (key, (name, of, optimizer, smoothing, error)) in enumerate(zip(KEYS, steps, strict=True), 1)
    )


def climb(
    config: LadderConfig, runs: Path, view: Callable[[str], TrainingView] = lambda name: TrainingView()
) -> Iterator[Row]:
    """Train every rung, each as an ordinary training that goes on where it was stopped; yield it when it is done.

    ``view`` makes what shows a training of a name. A rung that was stopped is the last that is yielded.
    """
    side = config.resolution or seed("inception-v3").resolution
    for i, rung in enumerate(rungs(config), 1):
        trained: list[Trained] = []
        stopping = False
        for repeat in range(config.repeats):
            random_seed = config.random_seed + repeat
            name = f"{config.name}-{i}" + (f"-seed{random_seed}" if config.repeats > 1 else "")
            of_rung = {
                "name": name,
                "resolution": side,
                "recipe": rung.recipe,
                "random_seed": random_seed,
                "split_seed": config.of_split,  # of the pictures all see the same
            }
            asked = TrainingConfig.model_construct(
                **{key: getattr(config, key) for key in TrainingConfig.model_fields} | of_rung
            )
            shown = view(f"{name} {rung.name}")
            trained.append(train_found(Found(rung.architecture), asked, runs, view=shown))
            stopping = shown.stopping  # in the last epoch of a training, too, which is complete then
            if stopping or not trained[-1].complete:
                break
        done = [each for each in trained if each.complete]
        complete = len(done) == config.repeats
        last = tuple(each.metrics[-1]["validation_error"] for each in done)
        best = tuple(min(epoch["validation_error"] for epoch in each.metrics) for each in done)
        yield Row(rung, last, best, complete)
        if stopping or not complete:
            return


def table(rows: list[Row]) -> str:
    """Return the rungs beside the paper's, errors in percent and the change from the row above in points."""
    head = f"{'':<20} {'error':>14} {'change':>8} {'best':>8}   {'paper':>6} {'change':>7}"
    lines = [head, "-" * len(head)]
    before: Row | None = None
    for row in rows:
        error = "-" if row.error is None else f"{row.error:.2%}"
        spread = "" if row.deviation is None else f" ±{100 * row.deviation:.2f}"
        own = "" if before is None or None in (row.error, before.error) else f"{100 * (row.error - before.error):+.2f}"  # type: ignore[operator]
        paper = "" if before is None else f"{100 * (row.rung.paper_error - before.rung.paper_error):+.1f}"
        best = "-" if row.best_error is None else f"{row.best_error:.2%}"
        lines.append(
            f"{row.rung.name:<20} {error + spread:>14} {own:>8} {best:>8}   {row.rung.paper_error:>6.1%} {paper:>7}"
        )
        before = row
    return "\n".join([*lines, NOTE])
