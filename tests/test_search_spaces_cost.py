"""Costs: exact figures of the published network, and equal to torch's own counts elsewhere (test_trainers_network)."""

from itertools import accumulate

import pytest
from architectures import architectures
from hypothesis import given, settings

from search_spaces.architecture import Architecture
from search_spaces.cost import cost, peak_activation_elements
from search_spaces.errors import ResolutionError
from search_spaces.seeds import seed


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


@given(architectures())
@settings(max_examples=40)
def test_peak_is_what_a_naive_simulation_finds(architecture: Architecture) -> None:
    graph = architecture.graph(24)
    order = list(graph.nodes)
    alive = [
        sum(
            graph[name].shape.elements
            for name in order[: at + 1]
            if name == order[at] or any(order.index(reader) >= at for reader in graph.readers[name])
        )
        for at in range(len(order))
    ]
    assert peak_activation_elements(graph) == list(accumulate(alive, max))[-1]
