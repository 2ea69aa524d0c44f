"""What stands beside the tensors of a weight file: what they are of, and how they were trained. Imports no torch.

Whoever hands over a weight file has written it, so that every field is checked before it is used.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from search_spaces.errors import RequestError
from search_spaces.operations import MAX_WIDTH
from search_spaces.yaml_files import Document, validate
from trainers.source import MAX_SIDE, DataSource


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("64 digits from 0 to f are allowed")
    return value


Digest = Annotated[str, AfterValidator(_sha256)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ByChannel = Annotated[tuple[Finite, ...], Field(min_length=1, max_length=MAX_WIDTH)]
Fact = Annotated[str, Field(max_length=2_000)]
Source = Annotated[DataSource, BeforeValidator(lambda value: {"source": value} if isinstance(value, str) else value)]

_ANEW = "write these weights anew with 'nas train' or 'nas import-weights', or use the release that wrote them"
LEVELS = 6  # of what is written; nesting without an end would end the reader


class _Fields(BaseModel):
    """What stands there, or a part of it. What a later release writes besides is left alone; within ``on`` not."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Trained(_Fields):
    """How weights were trained; None where that is not known.

    ``on``: the pictures, split by ``random_seed`` into parts with the digest ``data_digest``. ``mean`` and
    ``deviation`` by channel, in units of which ``white`` is the largest: how pictures were standardised, all three or
    none. ``view``: ``whole`` where the whole centre square was seen, resized.
    """

    on: Source | None = None
    data_digest: Digest | None = None
    random_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    class_names: tuple[str, ...] | None = None
    mean: ByChannel | None = None
    deviation: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=MAX_WIDTH)] | None = None
    white: Positive | None = None
    view: Literal["whole"] | None = None

    @model_validator(mode="after")
    def _whole_scale(self) -> "Trained":
        """The three parts of the scale belong together."""
        given = [value for value in (self.mean, self.deviation, self.white) if value is not None]
        if given and (len(given) < 3 or len(self.mean or ()) != len(self.deviation or ())):
            raise RequestError("mean, deviation and white belong together, the former two for as many channels")
        return self


class About(_Fields):
    """What is known of weights; None where that is not known.

    ``digest``: of the architecture, whose name is ``architecture``. ``stands_for``: of a proxy, the digest of the
    architecture for which it stands. ``resolution``: of the pictures that they were trained on, in pixels.
    ``validation_error``: top-1, 0 to 1, after ``epoch``. ``caution``: what their user must be warned of, and
    ``provenance``: facts by name, both of weights that were exported before.
    """

    digest: Digest | None = None
    architecture: str | None = None
    stands_for: Digest | None = None
    classes: Annotated[int, Field(ge=1, le=MAX_WIDTH)] | None = None
    channels: Annotated[int, Field(ge=1, le=MAX_WIDTH)] | None = None
    resolution: Annotated[int, Field(ge=1, le=MAX_SIDE)] | None = None
    aux: bool | None = None
    epoch: Annotated[int, Field(ge=0)] | None = None
    validation_error: Annotated[float, Field(ge=0, le=1)] | None = None
    trained: Trained = Trained()
    caution: Fact | None = None
    provenance: Annotated[dict[Fact, Fact], Field(max_length=50)] | None = None

    def check_digest(self, digest: str, name: str) -> None:
        """Raise RequestError where the weights say that they are of another architecture than this one."""
        if self.digest is not None and self.digest != digest:
            raise RequestError(
                f"the weights are of another architecture (digest {self.digest[:12]}, and that of {name} is "
                f"{digest[:12]}): name the architecture that they are of"
            )

    def check_sizes(self, classes: int, channels: int) -> None:
        """Raise RequestError where what is said is of other classes or channels than those of the weights."""
        names, mean = self.trained.class_names, self.trained.mean
        if names is not None and len(names) != classes:
            found = f"names {len(names)} classes, and they are for {classes}"
        elif mean is not None and len(mean) not in (1, channels):
            found = f"scales pictures of {len(mean)} channels, and they take {channels}"
        else:
            return
        raise RequestError(
            f"what stands beside the weights {found}: give a file as 'nas train', a search or 'nas export' wrote it"
        )


def read_about(data: Mapping[str, Any], file: str, remedy: str = _ANEW) -> About:
    """Check what stands beside the tensors of ``file``; RequestError, with what is wrong, where it cannot be used."""
    known = {name: data[name] for name in About.model_fields if name in data}
    try:
        if _deeper(known, LEVELS):
            raise RequestError(f"{file}: what stands beside the tensors is nested deeper than {LEVELS} levels")
        return validate(About, Document(known, file, {}), "what stands beside the tensors")
    except RequestError as error:
        raise RequestError(f"{error}; {remedy}") from None


def _deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_deeper(each, levels - 1) for each in inner)
