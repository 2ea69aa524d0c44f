"""What an architecture costs: exact parameters, multiply-adds and memory, from the graph alone."""

from dataclasses import asdict, dataclass

from search_spaces.architecture import Architecture
from search_spaces.errors import ResolutionError
from search_spaces.facts import ELEMENTS, MACS, PARAMS, WIDTH, Facts, aux_facts, count_of, head_facts
from search_spaces.layout import Layout, layout_of
from search_spaces.operations import Shape

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
        activation_bytes=BYTES * _elements(layout, head),
        peak_memory_bytes=BYTES * (params + _peak_elements(layout, head)),
    )


def params_and_macs(architecture: Architecture, layout: Layout, *, classes: int = 1000) -> tuple[int, int]:
    """Count parameters and multiply-adds alone: all that a screen needs, in a fraction of the time of ``count``."""
    counts = layout.counts + _at(head_facts(architecture.dropout, classes, *layout.shape[1:]), layout.shape)
    return count_of(counts, PARAMS), count_of(counts, MACS)


def _at(facts: Facts, shape: Shape) -> int:
    """The counts of a tower or a head that reads a shape, in lanes."""
    return facts.per * shape.channels + facts.kept


def _aux(architecture: Architecture, layout: Layout, classes: int) -> tuple[int, int] | None:
    """Params and MACs of the auxiliary heads; None where they do not fit."""
    ends = {unit.name: unit.shape for unit in layout.units}
    counts = 0
    try:
        for head in architecture.aux:
            shape = ends[f"stage{head.stage}.module{head.module}"]
            counts += _at(aux_facts(head, classes, *shape[1:]), shape)
    except ResolutionError:
        return None
    return count_of(counts, PARAMS), count_of(counts, MACS)


def _elements(layout: Layout, head: Facts) -> int:
    """The elements of all nodes' outputs, the picture and the head included."""
    joined = sum([unit.shape.elements for unit in (*layout.stem, *layout.units) if len(unit.towers) > 1])
    return layout.picture.elements + count_of(layout.counts + _at(head, layout.shape), ELEMENTS) + joined


def _peak_elements(layout: Layout, head: Facts) -> int:
    """The most elements alive at once when nodes run in order and each output is freed after its last reader."""
    peak = layout.picture.elements
    runs = [(unit.source, unit.towers) for unit in (*layout.stem, *layout.units)]
    for source, towers in (*runs, (layout.shape, (head,))):
        channels, waiting, done, last = source.channels, source.elements, 0, len(towers) - 1
        for t, tower in enumerate(towers):
            for per, kept in tower.details.held:
                peak = max(peak, waiting + done + per * channels + kept)
            if t == last:
                waiting = 0
            for per, kept in tower.details.free:
                peak = max(peak, waiting + done + per * channels + kept)
            done += Shape(count_of(_at(tower, source), WIDTH), *tower.grid).elements
        if last:
            peak = max(peak, 2 * done)  # the towers and what joins them
    return peak
