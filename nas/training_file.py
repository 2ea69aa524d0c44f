"""The YAML file of a full training as a strict model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from nas.config import LETTERS, Data, Name, RayConfig, Strict, check_name, with_overrides
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.yaml_files import read_file, validate
from trainers.named_recipes import with_recipe
from trainers.recipe import Recipe

Workers = Annotated[int, Field(ge=1, le=10_000)]
OF_LADDERS = {"width", "repeats"}  # keys that a file for 'nas ladder' has besides (nas/ladder.py)
MAY_DIFFER = ("workers", "threads", "ray")  # between two runs of one training: where it runs


class TrainingConfig(Strict):
    """A whole training file.

    ``name``: of the folder under ``runs/training``, by default that of the architecture and of the file.
    ``resolution``: of the pictures in pixels, by default the architecture's own. ``split_seed``: of the data's split,
    by default ``random_seed``; trainings that are to form an ensemble share one. ``workers``: processes that share
    every batch, each with a GPU where there are GPUs (``auto``: as many as GPUs, else one); more than one run through
    Ray Train, here or on the cluster that ``ray`` names. ``threads``: of the CPU for each, by default torch's choice.
    """

    name: Name | None = None
    data: Data
    resolution: Annotated[int, Field(ge=4, le=4096)] | None = None
    recipe: Recipe = Recipe()
    random_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    split_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    workers: Workers | Literal["auto"] = 1
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    ray: RayConfig = RayConfig()

    @property
    def of_split(self) -> int:
        """The random seed of the split."""
        return self.random_seed if self.split_seed is None else self.split_seed

    def as_data(self) -> dict[str, Any]:
        """Return the resolved file as plain data."""
        return self.model_dump(mode="json")


def read_training(
    path: Path, overrides: Mapping[str, object] | None = None, model: type[TrainingConfig] = TrainingConfig
) -> TrainingConfig:
    """Read a training file; ``overrides`` set dotted keys (``recipe.epochs``) to values before it is checked."""
    document = with_overrides(read_file(path), overrides)
    if model is TrainingConfig and isinstance(document.data, dict):
        for key in document.data.keys() & OF_LADDERS:
            document.fail(
                (key,),
                f"{key!r} belongs to the files of 'nas ladder': 'nas train' trains one architecture once, at its own "
                f"widths; leave it out{', or name a narrower architecture' if key == 'width' else ''}",
            )
    config = validate(model, with_recipe(document), "a training file")
    return config.model_copy(update={"data": config.data.beside(path.parent)})


def default_name(name: str) -> str:
    """Check a name that comes of a file's; RequestError, with how to give another, where it is none."""
    try:
        return check_name(name)
    except ValueError as error:
        raise RequestError(f"{error}; it comes of the file's name: give another with --set name=NAME") from None


def for_architecture(config: TrainingConfig, architecture: Architecture, file: str) -> TrainingConfig:
    """Fill in the name (of the architecture and the ``file``) and the resolution where a file leaves them open.

    Raises RequestError where these give no name.
    """
    name = config.name or default_name(f"{architecture.name}-{file}"[:LETTERS])
    return config.model_copy(update={"name": name, "resolution": config.resolution or architecture.resolution})
