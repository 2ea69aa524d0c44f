"""What runs as one, and what of a kernel counts; that it computes the same is in test_trainers_plan.py."""

import pytest

from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.graph import Graph
from search_spaces.operations import Conv, Pool
from search_spaces.seeds import seed
from trainers.grouping import grouped, unseen


def saved(graph: Graph) -> int:
    """How many calls fewer than nodes."""
    outputs = (graph.output, *graph.aux_outputs)
    return len(grouped(graph, outputs, joined=False)) - len(grouped(graph, outputs))


def test_inception_v3_runs_the_1x1_convolutions_of_a_module_as_one() -> None:
    """Nine modules of four 1x1s and a pool each, and a reduction of two 1x1s: 28 convolutions and 9 pools fewer."""
    assert saved(seed("inception-v3").graph(299)) == 9 * 3 + 1 + 9


@pytest.mark.parametrize(
    ("tower", "fewer"),
    [
        ((Pool((3, 3), kind="avg"), Conv((1, 1), width=4)), 2),
        ((Pool((3, 3), kind="avg", counted=False), Conv((1, 1), width=4)), 2),
        ((Pool((3, 3), kind="avg"), Conv((1, 1), width=4, bias=True)), 0),  # zeros of the padding would get the bias
        ((Pool((3, 3), kind="max"), Conv((1, 1), width=4)), 0),
        ((Pool((3, 3), kind="avg"), Conv((3, 3), width=4)), 0),
        ((Conv((1, 1), width=4, bias=True),), 0),
        ((Conv((1, 1), width=4),), 1),
    ],
)
def test_what_is_joined(tower: tuple[Conv | Pool, ...], fewer: int) -> None:
    stages = (Stage((Module(((Conv((1, 1), width=4),), tower)),)),)
    assert saved(Architecture("two", (Conv((3, 3), width=4),), stages, resolution=8).graph(8)) == fewer


@pytest.mark.parametrize(
    ("padding", "grid", "sides"),
    [
        ((1, 1), (1, 1), (1, 1)),  # the middle of a 3x3
        ((0, 3), (3, 3), (0, 1)),  # of a 1x7 the five in the middle
        ((1, 1), (2, 2), (0, 0)),
        ((0, 0), (1, 1), (0, 0)),
    ],
)
def test_what_sees_only_padding(padding: tuple[int, int], grid: tuple[int, int], sides: tuple[int, int]) -> None:
    assert unseen(padding, grid) == sides


def test_every_node_runs_once_and_after_what_it_reads() -> None:
    graph = seed("inception-v3").graph(299, aux=True)
    done = {graph.input.name}
    for group in grouped(graph, (graph.output, *graph.aux_outputs)):
        assert done.issuperset(group.reads)
        names = {node.name for node in (*group.nodes, *(pool for pool in group.pools if pool))}
        assert done.isdisjoint(names)
        done |= names
    assert done == {node.name for node in graph}
