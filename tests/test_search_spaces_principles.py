"""Principles: calibrated on published networks and the paper's bad examples; the cut checked against networkx."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from architectures import architectures
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.architecture import Architecture, Module, Split, Stage
from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from search_spaces.layout import layout_of
from search_spaces.operations import Conv, Pool, parse
from search_spaces.principles import Audit, Thresholds, audit, cuts
from search_spaces.seeds import seed

V3 = seed("inception-v3")


def _finding(found: Audit, name: str) -> float:
    return next(f.value for f in (*found.principles, *found.rules) if f.name == name)


def _reduced(stage: int, *towers: list[str]) -> Architecture:
    """Inception-v3 with another reduction before a stage."""
    module = Module(tuple(tuple(parse(step) for step in tower) for tower in towers))
    stages = list(V3.stages)
    stages[stage - 1] = replace(stages[stage - 1], reduction=module)
    return replace(V3, stages=tuple(stages))


def test_inception_v3_passes_with_the_known_figures() -> None:
    found = audit(V3, 299)
    assert found.passed
    assert [f.name for f in found.principles] == ["bottleneck", "local_processing", "embedding", "balance"]
    assert _finding(found, "bottleneck") == pytest.approx(0.5704, abs=1e-4)
    assert found.principles[0].where == "stage3.reduction"
    assert _finding(found, "embedding") == 0.5
    assert _finding(found, "balance") == 0.0


@pytest.mark.parametrize("name", ["bn-inception", "inception-v2", "inception-v3", "inception-v3-tf"])
def test_the_published_networks_after_googlenet_pass(name: str) -> None:
    assert audit(seed(name)).passed


def test_googlenet_reduces_by_pools_alone_and_is_shallow() -> None:
    assert {f.name for f in audit(seed("googlenet")).violations} == {"balance", "parallel_reduction"}


@pytest.mark.parametrize(("stage", "width", "ratio"), [(2, 768, 0.388), (3, 1280, 0.335)])
def test_pool_then_widen_is_a_bottleneck(stage: int, width: int, ratio: float) -> None:
    """Figure 9, left."""
    found = audit(_reduced(stage, ["max 3x3/2 valid", f"conv 1x1 {width}"]), 299)
    assert _finding(found, "bottleneck") == pytest.approx(ratio, abs=1e-3)
    assert {f.name for f in found.violations} == {"bottleneck", "parallel_reduction"}


def test_widen_then_pool_is_no_bottleneck_but_dear() -> None:
    """Figure 9, right: three times the cost, and not how the paper reduces."""
    found = audit(_reduced(2, ["conv 3x3 768", "max 3x3/2 valid"]), 299)
    assert {f.name for f in found.violations} == {"parallel_reduction"}


def _with_module(stage: int, towers: list[list[str]]) -> Architecture:
    module = Module(tuple(tuple(parse(step) for step in tower) for tower in towers))
    stages = list(V3.stages)
    stages[stage - 1] = replace(stages[stage - 1], modules=(*stages[stage - 1].modules[:-1], module))
    return replace(V3, stages=tuple(stages))


@pytest.mark.parametrize(
    ("towers", "violated"),
    [
        ([["conv 1x1 160"], ["conv 1x1 48", "conv 1x5 48", "conv 5x1 128"]], {"asymmetric_factors"}),
        ([["conv 1x1 160"], ["conv 3x3 128"]], {"embedding"}),
        ([["conv 1x1 100"], ["conv 1x1 48", "conv 3x3 100"]], {"local_processing"}),
        ([["conv 1x1 160"], ["conv 1x1 64", "conv 3x3 64 linear", "conv 3x3 128"]], {"nonlinear_factors"}),
    ],
)
def test_each_rule_is_violated_alone(towers: list[list[str]], violated: set[str]) -> None:
    found = audit(_with_module(1, towers), 299)
    assert {f.name for f in found.violations} == violated
    assert all(f.where == "stage1.module3" for f in found.violations)
    assert all(f.violation > 0 for f in found.violations)


def test_balance_sees_a_network_that_only_deepens() -> None:
    middle = V3.stages[1]
    deep = replace(V3, stages=(V3.stages[0], replace(middle, modules=middle.modules * 5), V3.stages[2]))
    found = audit(deep, 299)
    assert {f.name for f in found.violations} == {"balance"}


def test_principles_can_be_switched_off_and_moved() -> None:
    bad = _reduced(2, ["max 3x3/2 valid", "conv 1x1 768"])
    assert audit(bad, 299, Thresholds(off=("bottleneck", "parallel_reduction"))).passed
    assert not audit(V3, 299, Thresholds(bottleneck=0.6)).passed


def test_degenerate_architectures_are_measured_without_a_fault() -> None:
    """No convolution at all, and a stage of pools only."""
    pools = Module(((parse("max 3x3"),),))
    one = Module(((parse("conv 1x1 8"),),))
    for stages in ((Stage((pools,)),), (Stage((one,)), Stage((pools,)))):
        stem = (parse("max 3x3"),) if len(stages) == 1 else (parse("conv 3x3 8"),)
        found = audit(Architecture("odd", stem, stages, resolution=32))
        assert all(abs(f.value) < 1e9 for f in found.principles)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shrink": 0.0},
        {"bottleneck": -1.0},
        {"embedding": 0.0},
        {"coarsest": 0.0},
        {"share": (0.9, 0.1)},
        {"asymmetric_grids": (20, 12)},
        {"off": ("nonsense",)},
    ],
)
def test_thresholds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"allowed"):
        Thresholds(**wrong)


def _minimum_cut(graph: Graph, source: str, target: str) -> float:
    """networkx's minimum vertex cut between two nodes, both of which may be cut: every node becomes an edge."""
    split: nx.DiGraph[tuple[str, str]] = nx.DiGraph()
    for node in graph:
        split.add_edge((node.name, "in"), (node.name, "out"), capacity=node.shape.elements)
        for parent in node.inputs:
            split.add_edge((parent, "out"), (node.name, "in"))
    return float(nx.minimum_cut_value(split, (source, "in"), (target, "out")))


def _single_tensors(graph: Graph) -> list[str]:
    """The nodes that all paths from the picture to the final representation share, by networkx."""
    last = graph["head.pool"].inputs[0]
    before = nx.immediate_dominators(graph.digraph, graph.input.name)
    chain = [last]
    while chain[-1] != graph.input.name:
        chain.append(before[chain[-1]])
    return chain[::-1]


@given(architectures(), st.integers(20, 33))
@settings(max_examples=80)
def test_cuts_are_the_general_minimum_cut(architecture: Architecture, width: int) -> None:
    graph = architecture.graph((24, width))
    chain = _single_tensors(graph)
    found = cuts(layout_of(architecture, (24, width)))
    assert [cut.elements for cut in found] == [_minimum_cut(graph, *pair) for pair in pairwise(chain)]
    deepest = max(1, graph.depth[chain[-1]])
    assert [cut.depth for cut in found] == [graph.depth[name] / deepest for name in chain[1:]]
    units = [graph[name].unit for name in chain[1:]]
    assert [cut.unit for cut in found] == units
    start, end = graph.input.shape.elements, graph[chain[-1]].shape.elements
    assert [cut.line for cut in found] == [pytest.approx(start * (end / start) ** cut.depth) for cut in found]
    lowest = min(cut.ratio for cut in found)
    assert audit(architecture, (24, width)).principles[0].value == pytest.approx(lowest)


@given(architectures())
@settings(max_examples=80)
def test_other_measures_are_those_of_the_whole_graph(architecture: Architecture) -> None:
    """Embedding, splits and linear factors again, node by node."""
    graph, found = architecture.graph(24), audit(architecture, 24)
    sources = {}
    for node in graph:
        if node.unit.startswith("stage"):
            sources.setdefault(node.unit, node.input_shapes[0].channels)
    spatial = [node for node in graph if isinstance(node.operation, Conv) and node.operation.spatial]
    inside = [node for node in spatial if node.unit.startswith("stage")]
    read = [
        node.input_shapes[0].channels / sources[node.unit] for node in inside if not node.unit.endswith("reduction")
    ]
    assert _finding(found, "embedding") == max(read, default=0.0)
    sides = [
        side
        for node in spatial
        if isinstance(node.operation, Conv) and len(set(node.operation.kernel)) == 2 and ".branch" not in node.name
        for side in node.input_shapes[0][1:]
    ]
    assert _finding(found, "asymmetric_factors") == max([0, *(max(12 - side, side - 20) for side in sides)])
    linear = [
        node.name
        for node in graph
        if isinstance(node.operation, Conv) and not node.operation.activation
        if any(isinstance(graph[reader].operation, Conv) for reader in graph.readers[node.name])
    ]
    assert _finding(found, "nonlinear_factors") == len(linear)


def test_a_violation_says_what_to_do() -> None:
    found = audit(_reduced(2, ["max 3x3/2 valid", "conv 1x1 768"]), 299)
    assert "widen stage2.reduction, or reduce the grid by" in found.violations[0].sentence
    narrow = _with_module(1, [["conv 1x1 100"], ["conv 1x1 48", "conv 3x3 100"]])
    assert "takes 288 channels to 200" in audit(narrow, 299).violations[0].sentence
    assert "give it 274 or more" in audit(narrow, 299).violations[0].sentence


def test_a_reduction_by_pools_alone_is_none_in_parallel_whatever_follows_them() -> None:
    pool = Pool((3, 3), 2, same=False)
    pools = _reduced(2, ["max 3x3/2 valid", "conv 1x1 480"], ["max 3x3/2 valid"])
    found = {finding.name: finding for finding in audit(pools).rules}["parallel_reduction"]
    assert (found.value, found.where) == (1.0, "stage2.reduction")
    inside = replace(V3.stages[1], reduction=None, modules=(Module(((pool, Conv((1, 1), width=768)),)),))
    hidden = replace(V3, stages=(V3.stages[0], inside, V3.stages[2]))
    found = {finding.name: finding for finding in audit(hidden).rules}["parallel_reduction"]
    assert (found.value, found.where) == (1.0, "stage2.module1")


def test_asymmetric_factors_in_the_stem_count() -> None:
    early = replace(V3, stem=(*V3.stem[:1], Conv((1, 7), width=64), Conv((7, 1), width=64), *V3.stem[1:]))
    found = {finding.name: finding for finding in audit(early).rules}["asymmetric_factors"]
    assert (found.passed, found.where, found.value) == (False, "stem.1", 149 - 20)


def test_an_expanded_filter_bank_in_the_last_reduction_stands_on_the_grid_before() -> None:
    split = Split((Conv((1, 7), width=96), Conv((7, 1), width=96)))
    last = V3.stages[2].reduction
    assert last is not None
    bank = Module(((Conv((1, 1), width=192), split, Conv((3, 3), 2, False, 320)), *last.towers[1:]))
    split_there = replace(V3, stages=(*V3.stages[:2], replace(V3.stages[2], reduction=bank)))
    found = {finding.name: finding for finding in audit(split_there).principles}["local_processing"]
    assert (found.value, found.where) == (0.0, "stage3.reduction")
