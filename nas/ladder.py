"""The ladder of the paper's Table 3: Inception-v2, and what turns it into Inception-v3, rung by rung, on any data.

Each rung adds one change to the one above (arXiv 1512.00567, Table 3): RMSProp in place of momentum, label smoothing,
the stem's 7x7 as a chain of 3x3, batch norm in the auxiliary head. The paper prints no separate network for the first
three; they are Inception-v3 with the stem that its factorised one comes from (64 filters of 7x7/2, a pool, then 1x1 80
and 3x3 192) and an auxiliary head without norms.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

from pydantic import Field

from nas.study import Found
from nas.training import Trained, train_found
from nas.training_file import TrainingConfig, default_name, read_training
from nas.training_view import TrainingView
from search_spaces.architecture import Architecture
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from search_spaces.space import space
from trainers.recipe import Recipe

SPACE, STEM, HEAD = "inception", "seven", "plain"  # where the parts of the first rungs are described


class LadderConfig(TrainingConfig):
    """A training file for all rungs; ``width``: of their networks, a multiplier; ``repeats``: random seeds of each.

    The recipe's optimizer, label smoothing and the networks are the rungs' own.
    """

    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    repeats: Annotated[int, Field(ge=1, le=100)] = 1


@dataclass(frozen=True)
class Rung:
    """One row of Table 3: its change, the architecture and the recipe, and the paper's single-crop top-1 error."""

    name: str
    architecture: Architecture
    recipe: Recipe
    paper_error: float


@dataclass(frozen=True)
class Row:
    """A rung, climbed: the lowest validation error of each random seed; None where it was stopped before."""

    rung: Rung
    errors: tuple[float, ...]
    complete: bool

    @property
    def error(self) -> float | None:
        """Their mean."""
        return fmean(self.errors) if self.errors else None

    @property
    def deviation(self) -> float | None:
        """Their standard deviation; None for fewer than two."""
        return stdev(self.errors) if len(self.errors) > 1 else None

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "rung": self.rung.name,
            "digest": self.rung.architecture.digest,
            "error": self.error,
            "deviation": self.deviation,
            "errors": list(self.errors),
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
    momentum = replace(config.recipe, optimizer="sgd", label_smoothing=0.0)
    rmsprop = replace(momentum, optimizer="rmsprop")
    smoothed = replace(rmsprop, label_smoothing=0.1)
    steps = (
        ("Inception-v2", first, momentum, 0.234),
        ("+ RMSProp", first, rmsprop, 0.231),
        ("+ label smoothing", first, smoothed, 0.228),
        ("+ factorised 7x7", factorised, smoothed, 0.216),
        ("+ BN-auxiliary", whole, smoothed, 0.212),
    )
    side = config.resolution or whole.resolution
    small = side < whole.resolution or config.width < 1
    return tuple(
        Rung(name, (proxy(of, side, config.width) if small else of).named(f"rung-{i}"), recipe, error)
        for i, (name, of, recipe, error) in enumerate(steps, 1)
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
            trained.append(train_found(Found(rung.architecture), asked, runs, view=view(f"{name} {rung.name}")))
            if not trained[-1].complete:
                break
        done = tuple(each.best["validation_error"] for each in trained if each.complete and each.best)
        complete = len(done) == config.repeats
        yield Row(rung, done, complete)
        if not complete:
            return


def table(rows: list[Row]) -> str:
    """Return the rungs beside the paper's, errors in percent and the change from the row above in points."""
    head = f"{'':<20} {'error':>14} {'change':>8}   {'paper':>6} {'change':>7}"
    lines = [head, "-" * len(head)]
    before: Row | None = None
    for row in rows:
        error = "-" if row.error is None else f"{row.error:.2%}"
        spread = "" if row.deviation is None else f" ±{100 * row.deviation:.2f}"
        own = "" if before is None or None in (row.error, before.error) else f"{100 * (row.error - before.error):+.2f}"  # type: ignore[operator]
        paper = "" if before is None else f"{100 * (row.rung.paper_error - before.rung.paper_error):+.1f}"
        lines.append(f"{row.rung.name:<20} {error + spread:>14} {own:>8}   {row.rung.paper_error:>6.1%} {paper:>7}")
        before = row
    return "\n".join(lines)
