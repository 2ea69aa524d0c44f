from architectures import architectures
from hypothesis import given

from results.blocks import Block, blocks
from results.series import Parallel, Series, block_series
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.graph import Graph, Node
from search_spaces.operations import Concat
from search_spaces.seeds import seed


def _nodes(parts: Series) -> list[Node]:
    found: list[Node] = []
    for part in parts:
        if isinstance(part, Parallel):
            found += [node for tower in part.towers for node in _nodes(tower)] + [part.join]
        else:
            found.append(part)
    return found


def _check_edges(parts: Series, source: str) -> str:
    """Every part reads what the one before gives; return what the last one gives."""
    for part in parts:
        if isinstance(part, Parallel):
            assert [_check_edges(tower, source) for tower in part.towers] == list(part.join.inputs)
            source = part.join.name
        else:
            assert part.inputs == (source,)
            source = part.name
    return source


def _outline(parts: Series) -> list[object]:
    """Names inside the unit, towers as lists."""
    return [
        [_outline(tower) for tower in part.towers] if isinstance(part, Parallel) else part.name.split(".", 1)[1]
        for part in parts
    ]


def _block(graph: Graph, unit: str) -> Block:
    return next(block for block in blocks(graph) if block.units == (unit,))


@given(architectures())
def test_every_node_stands_in_its_place(architecture: Architecture) -> None:
    graph = architecture.graph()
    drawn = [graph.input.name]
    for block in blocks(graph):
        parts = block_series(block)
        assert _check_edges(parts, block.source) == block.end
        drawn += [node.name for node in _nodes(parts)]
    assert sorted(drawn) == sorted(graph.nodes)


def test_a_module_is_one_parallel_and_a_filter_bank_one_inside_a_tower() -> None:
    (module,) = block_series(_block(seed("inception-v3").graph(), "stage3.module1"))
    assert isinstance(module, Parallel)
    assert [len(tower) for tower in module.towers] == [1, 2, 3, 2]
    bank = module.towers[1][1]
    assert isinstance(bank, Parallel)
    assert isinstance(bank.join.operation, Concat)
    assert [node.operation.text() for tower in bank.towers for node in _nodes(tower)] == [
        "conv 1x3 384",
        "conv 3x1 384",
    ]


def test_modules_in_a_stem_stand_between_its_operations() -> None:
    data = seed("inception-v3").as_data()
    data["stem"][3] = [["max 3x3/2 valid"], ["conv 1x1 64", ["conv 1x3 32", "conv 3x1 32"], "conv 3x3/2 96 valid"]]
    graph = from_data(data).graph()
    first, second, third, module, *rest = _outline(block_series(_block(graph, "stem")))
    assert [first, second, third] == ["0", "1", "2"]
    assert module == [["3.tower1.0"], ["3.tower2.0", [["3.tower2.1.branch1"], ["3.tower2.1.branch2"]], "3.tower2.2"]]
    assert rest == ["4", "5", "6"]
