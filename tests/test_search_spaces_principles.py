"""Principles: calibrated on published networks and the paper's bad examples; the cut checked against networkx."""

from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
from architectures import architectures
from hypothesis import given, settings

from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from search_spaces.operations import parse
from search_spaces.principles import Audit, Thresholds, audit, cuts, dominators
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


def _bn_inception() -> Architecture:
    """BN-Inception (1502.03167) with its published widths; the padding of its convolutions does not matter here."""

    def module(one: int, three: tuple[int, int], double: tuple[int, int], pool: str, stride: str = "") -> Module:
        towers = [
            [f"conv 1x1 {three[0]}", f"conv 3x3{stride} {three[1]}"],
            [f"conv 1x1 {double[0]}", f"conv 3x3 {double[1]}", f"conv 3x3{stride} {double[1]}"],
            pool.split(", "),
        ]
        if one:
            towers.insert(0, [f"conv 1x1 {one}"])
        return Module(tuple(tuple(parse(step) for step in tower) for tower in towers))

    def avg(width: int) -> str:
        return f"avg 3x3, conv 1x1 {width}"

    return Architecture(
        "bn-inception",
        tuple(parse(step) for step in ("conv 7x7/2 64", "max 3x3/2", "conv 1x1 64", "conv 3x3 192", "max 3x3/2")),
        (
            Stage((module(64, (64, 64), (64, 96), avg(32)), module(64, (64, 96), (64, 96), avg(64)))),
            Stage(
                (
                    module(224, (64, 96), (96, 128), avg(128)),
                    module(192, (96, 128), (96, 128), avg(128)),
                    module(160, (128, 160), (128, 160), avg(128)),
                    module(96, (128, 192), (160, 192), avg(128)),
                ),
                module(0, (128, 160), (64, 96), "max 3x3/2", "/2"),
            ),
            Stage(
                (
                    module(352, (192, 320), (160, 224), avg(128)),
                    module(352, (192, 320), (192, 224), "max 3x3, conv 1x1 128"),
                ),
                module(0, (128, 192), (192, 256), "max 3x3/2", "/2"),
            ),
        ),
        resolution=224,
    )


def test_inception_v3_passes_with_the_known_figures() -> None:
    found = audit(V3, 299)
    assert found.passed
    assert [f.name for f in found.principles] == ["bottleneck", "local_processing", "embedding", "balance"]
    assert _finding(found, "bottleneck") == pytest.approx(0.5704, abs=1e-4)
    assert found.principles[0].where == "stage3.reduction"
    assert _finding(found, "embedding") == 0.5
    assert _finding(found, "balance") == 0.0


def test_bn_inception_passes() -> None:
    assert audit(_bn_inception(), 224).passed


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


@given(architectures())
@settings(max_examples=60)
def test_cuts_are_the_general_minimum_cut(architecture: Architecture) -> None:
    graph = architecture.graph(24)
    idom = dominators(graph)
    assert {k: v for k, v in idom.items() if v} == {
        k: v for k, v in nx.immediate_dominators(graph.digraph, "input").items() if k != "input"
    }
    for cut in cuts(graph):
        source = idom[cut.segment]
        assert source is not None
        assert cut.elements == _minimum_cut(graph, source, cut.segment)
