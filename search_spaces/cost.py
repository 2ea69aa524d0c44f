"""What an architecture costs: exact parameters, multiply-adds and memory, from the graph alone."""

from dataclasses import asdict, dataclass

from search_spaces.architecture import Architecture
from search_spaces.errors import ResolutionError
from search_spaces.layout import Layout, aux_facts, elements, head_facts, layout_of, peak_elements

BYTES = 4  # float32


@dataclass(frozen=True)
class Cost:
    """Costs for one picture. Multiply-adds of convolutions and linear layers count once; memory is for float32.

    ``activation_bytes``: outputs of all operations, what training keeps for one picture.
    ``peak_memory_bytes``: weights, and the most that is alive at once when the operations run in order, each output
    freed after its last reader.
    The fields ``with_aux`` are None where the auxiliary heads do not fit the picture.
    """

    params: int
    params_with_aux: int | None
    macs: int
    macs_with_aux: int | None
    activation_bytes: int
    peak_memory_bytes: int

    def as_data(self) -> dict[str, int | None]:
        """Return the fields by name."""
        return asdict(self)


def cost(
    architecture: Architecture,
    resolution: int | tuple[int, int] | None = None,
    *,
    classes: int = 1000,
    channels: int = 3,
) -> Cost:
    """Count the costs of an architecture; ``resolution`` in pixels, its own by default.

    Raises ResolutionError where the pictures are too small.
    """
    return count(architecture, layout_of(architecture, resolution, channels=channels), classes=classes)


def count(architecture: Architecture, layout: Layout, *, classes: int = 1000) -> Cost:
    """Count the costs of an architecture that is laid out."""
    params, macs = params_and_macs(architecture, layout, classes=classes)
    head = head_facts(architecture.dropout, classes, *layout.shape[1:])
    heads = _aux(architecture, layout, classes)
    return Cost(
        params=params,
        params_with_aux=None if heads is None else params + heads[0],
        macs=macs,
        macs_with_aux=None if heads is None else macs + heads[1],
        activation_bytes=BYTES * elements(layout, head),
        peak_memory_bytes=BYTES * (params + peak_elements(layout, head)),
    )


def params_and_macs(architecture: Architecture, layout: Layout, *, classes: int = 1000) -> tuple[int, int]:
    """Count parameters and multiply-adds alone: all that a screen needs, in a fraction of the time of ``count``."""
    channels, *grid = layout.shape
    head = head_facts(architecture.dropout, classes, *grid)
    return (
        layout.params + head.params_per * channels + head.params,
        layout.macs + head.macs_per * channels + head.macs,
    )


def _aux(architecture: Architecture, layout: Layout, classes: int) -> tuple[int, int] | None:
    """Params and MACs of the auxiliary heads; None where they do not fit."""
    ends = {unit.name: unit.shape for unit in layout.units}
    params = macs = 0
    try:
        for head in architecture.aux:
            channels, *grid = ends[f"stage{head.stage}.module{head.module}"]
            known = aux_facts(head, classes, *grid)
            params += known.params_per * channels + known.params
            macs += known.macs_per * channels + known.macs
    except ResolutionError:
        return None
    return params, macs
