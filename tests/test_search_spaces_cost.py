"""Costs: exact figures of the published network; every count from known towers equals that of the whole graph."""

from itertools import accumulate

import pytest
from architectures import architectures
from hypothesis import given, settings

from search_spaces.architecture import Architecture
from search_spaces.cost import BYTES, cost
from search_spaces.errors import ResolutionError
from search_spaces.graph import Graph
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space


def test_inception_v3_costs_what_torchvision_counts() -> None:
    counted = cost(seed("inception-v3"), 299)
    assert counted.params == 23_834_568
    assert counted.params_with_aux == 27_161_264
    assert counted.macs == 5_713_216_096


def test_classes_change_only_the_linear_layers() -> None:
    thousand, ten = cost(seed("inception-v3"), 299), cost(seed("inception-v3"), 299, classes=10)
    assert thousand.params - ten.params == 990 * 2049
    assert thousand.macs - ten.macs == 990 * 2048


def test_heads_that_do_not_fit_are_not_counted() -> None:
    counted = cost(seed("inception-v3"), 75)
    assert counted.params == 23_834_568
    assert counted.params_with_aux is None
    with pytest.raises(ResolutionError):
        cost(seed("inception-v3"), 74)


def _peak(graph: Graph) -> int:
    """The most elements alive at once: at every node, all that it or a later one still reads."""
    order = list(graph.nodes)
    alive = [
        sum(
            graph[name].shape.elements
            for name in order[: at + 1]
            if name == order[at] or any(order.index(reader) >= at for reader in graph.readers[name])
        )
        for at in range(len(order))
    ]
    return list(accumulate(alive, max))[-1]


def _equal_to_graph(architecture: Architecture, sides: tuple[int, int], classes: int, channels: int) -> None:
    counted = cost(architecture, sides, classes=classes, channels=channels)
    graph = architecture.graph(sides, classes=classes, channels=channels)
    assert (counted.params, counted.macs) == (graph.params, graph.macs)
    assert counted.activation_bytes == BYTES * sum(node.shape.elements for node in graph)
    assert counted.peak_memory_bytes == BYTES * (graph.params + _peak(graph))
    try:
        full = architecture.graph(sides, classes=classes, channels=channels, aux=True)
    except ResolutionError:
        assert counted.params_with_aux is None
    else:
        assert (counted.params_with_aux, counted.macs_with_aux) == (full.params, full.macs)


@given(architectures())
@settings(max_examples=80)
def test_counts_are_those_of_the_whole_graph(architecture: Architecture) -> None:
    """Nodes are added up one by one here: no tower is taken from memory, no count is derived from two others."""
    _equal_to_graph(architecture, (24, 31), 7, 2)


@pytest.mark.parametrize("name", seed_names())
def test_counts_of_published_networks_are_those_of_their_graphs(name: str) -> None:
    architecture = seed(name)
    _equal_to_graph(architecture, (architecture.resolution,) * 2, 1000, 3)
    _equal_to_graph(architecture, (architecture.resolution, architecture.resolution + 64), 10, 1)


@pytest.mark.parametrize("name", ["inception", "inception-free"])
def test_counts_of_samples_are_those_of_their_graphs(name: str) -> None:
    searched = space(name)
    for random_seed in range(10):
        _equal_to_graph(searched.sample(random_seed), (299, 299), 1000, 3)
