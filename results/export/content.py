"""What leaves: an architecture, the weights that go with it, and what their user must know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from results.export.deployment import PLAIN, Deployment
from results.export.names import module_name
from search_spaces.architecture import Architecture
from search_spaces.principles import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Pictures = NDArray[np.float32]


@dataclass(frozen=True)
class Scaling:
    """How a picture becomes an input: a pixel p from 0 (black) to ``white`` goes in as (p - mean) / deviation.

    ``mean`` and ``deviation`` by channel, in the unit of the pixels.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    white: float

    def of_pixels(self, pixels: "Pictures") -> "Pictures":
        """Scale pixels, float32 (N, C, H, W)."""
        mean, deviation = self._by_channel
        return (pixels - mean) / deviation

    def to_pixels(self, pictures: "Pictures") -> "Pictures":
        """Return the pixels that scaled pictures, float32 (N, C, H, W), were."""
        mean, deviation = self._by_channel
        return pictures * deviation + mean

    @property
    def _by_channel(self) -> "tuple[Pictures, Pictures]":
        import numpy as np

        mean, deviation = (np.array(each, np.float32)[:, None, None] for each in (self.mean, self.deviation))
        return mean, deviation


@dataclass(frozen=True, eq=False)
class Content:
    """What is exported, in whatever form.

    Attributes:
        architecture: what its network computes.
        classes: outputs of the last layer.
        channels: of a picture.
        sides: height and width of a picture in pixels, at which costs are counted and examples are run.
        state: weights, as a built network names them, with or without auxiliary heads; None: there are none.
        provenance: facts by name, in the order in which they are told: study, validation error, data ...
        scaling: how pictures are scaled; None where that is not known.
        class_names: what the outputs mean, in order; () where that is not known.
        data_digest: SHA-256 of the data that the weights were trained on, if known.
        caution: what a user of the weights must be warned of, as a sentence; "" for nothing.
        deployment: how it computes in a file that runs.
        stands_for: of a proxy, the architecture that was found, and height and width of the pictures for which the
            principles judge it: those of the proxy's small ones say nothing.
        thresholds: of that audit, those of its study; the project's own where None.
    """

    architecture: Architecture
    classes: int
    channels: int
    sides: tuple[int, int]
    state: "Mapping[str, Tensor] | None" = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    scaling: Scaling | None = None
    class_names: tuple[str, ...] = ()
    data_digest: str | None = None
    caution: str = ""
    deployment: Deployment = PLAIN
    stands_for: tuple[Architecture, tuple[int, int]] | None = None
    thresholds: Thresholds | None = None

    @property
    def audited(self) -> tuple[Architecture, tuple[int, int]]:
        """What the principles are measured of, and on pictures of which height and width."""
        return self.stands_for or (self.architecture, self.sides)

    @property
    def classes_are_numbers(self) -> bool:
        """Whether the classes are called 0, 1, 2, ... as the outputs are, so that their names say nothing more."""
        return self.class_names == tuple(map(str, range(len(self.class_names))))

    def taken(self, pictures: "Pictures") -> "Pictures":
        """Return scaled pictures, float32 (N, C, H, W), as a file of this deployment takes them."""
        scaling = self.scaling if self.deployment.pixels else None
        return pictures if scaling is None else scaling.to_pixels(pictures)

    @property
    def name(self) -> str:
        """Of the files: ``inception_v3``."""
        return module_name(self.architecture.name) + self.deployment.suffix
