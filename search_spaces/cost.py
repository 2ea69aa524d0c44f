"""What an architecture costs: exact parameters, multiply-adds and memory, from the graph alone."""

from dataclasses import asdict, dataclass

from search_spaces.architecture import Architecture
from search_spaces.errors import ResolutionError
from search_spaces.graph import Graph

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


def graph_params(graph: Graph) -> int:
    """Sum of the learned numbers of all nodes."""
    return sum(node.params for node in graph)


def graph_macs(graph: Graph) -> int:
    """Sum of the multiply-adds of all nodes, for one picture."""
    return sum(node.macs for node in graph)


def peak_activation_elements(graph: Graph) -> int:
    """The most elements alive at once when nodes run in order and each output is freed after its last reader."""
    unread = {name: len(readers) for name, readers in graph.readers.items()}
    alive = peak = 0
    for node in graph:
        alive += node.shape.elements
        peak = max(peak, alive)
        for parent in node.inputs:
            unread[parent] -= 1
            if not unread[parent]:
                alive -= graph[parent].shape.elements
    return peak


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
    graph = architecture.graph(resolution, classes=classes, channels=channels)
    params, macs = graph_params(graph), graph_macs(graph)
    try:
        full = architecture.graph(resolution, classes=classes, channels=channels, aux=True)
    except ResolutionError:
        params_with_aux = macs_with_aux = None
    else:
        params_with_aux, macs_with_aux = graph_params(full), graph_macs(full)
    return Cost(
        params=params,
        params_with_aux=params_with_aux,
        macs=macs,
        macs_with_aux=macs_with_aux,
        activation_bytes=BYTES * sum(node.shape.elements for node in graph),
        peak_memory_bytes=BYTES * (params + peak_activation_elements(graph)),
    )
