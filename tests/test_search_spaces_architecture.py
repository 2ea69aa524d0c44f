"""Architectures: YAML round trip, graphs, digests, and what hand-edited files are told."""

import random
from dataclasses import replace

import pytest
from architectures import architectures
from hypothesis import given, settings

from search_spaces.architecture import Architecture, Module, Split, Stage, StemStep, modules, stem_modules
from search_spaces.architecture_file import from_data, from_yaml
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Conv, LocalNorm, Pool, parse
from search_spaces.seeds import seed

V3 = seed("inception-v3")


@given(architectures())
def test_yaml_gives_back_the_architecture(architecture: Architecture) -> None:
    read = from_yaml(architecture.to_yaml())
    assert read == architecture
    assert (read.name, read.resolution) == (architecture.name, architecture.resolution)
    assert from_data(architecture.as_data()) == architecture


@given(architectures())
@settings(max_examples=50)
def test_digest_ignores_names_and_the_order_of_towers(architecture: Architecture) -> None:
    shuffle = random.Random(0)

    def shuffled(module: Module) -> Module:
        towers = [
            tuple(
                Split(tuple(shuffle.sample(s.branches, len(s.branches)))) if isinstance(s, Split) else s for s in tower
            )
            for tower in module.towers
        ]
        return Module(tuple(shuffle.sample(towers, len(towers))))

    stages = tuple(
        Stage(tuple(map(shuffled, stage.modules)), shuffled(stage.reduction) if stage.reduction else None)
        for stage in architecture.stages
    )
    other = replace(architecture, name="other", stages=stages)
    assert other.digest == architecture.digest


def _with_tower(step: int, text: str) -> Architecture:
    """Inception-v3 with one step of the second tower of its first module replaced."""
    module = V3.stages[0].modules[0]
    tower = list(module.towers[1])
    tower[step] = parse(text)
    changed = Module((module.towers[0], tuple(tower), *module.towers[2:]))
    return replace(V3, stages=(replace(V3.stages[0], modules=(changed, *V3.stages[0].modules[1:])), *V3.stages[1:]))


@pytest.mark.parametrize(
    "other",
    [
        _with_tower(0, "conv 1x1 64"),
        _with_tower(1, "conv 3x3 64"),
        _with_tower(1, "conv 5x5 64 linear"),
        _with_tower(1, "conv 5x5 64 bias"),
        replace(V3, norm_eps=1e-5),
        replace(V3, dropout=0.2),
        replace(V3, aux=()),
        replace(V3, stem=(*V3.stem[:4], V3.stem[5], V3.stem[6])),
    ],
)
def test_digest_differs_where_the_output_does(other: Architecture) -> None:
    assert other.digest != V3.digest
    assert other != V3


def test_digest_tells_a_shared_convolution_from_two() -> None:
    one, row, column = Conv((1, 1), width=8), Conv((1, 3), width=8), Conv((3, 1), width=8)
    shared = Module(((one, Split((row, column))),))
    apart = Module(((one, row), (one, column)))

    def architecture(module: Module) -> Architecture:
        return Architecture("x", (parse("conv 3x3 8"),), (Stage((module,)),), resolution=16)

    assert architecture(shared).digest != architecture(apart).digest


def test_digest_keeps_the_order_of_towers_before_a_local_normalisation() -> None:
    """It looks at neighbouring channels, and no weights between could put them back into another order."""
    towers = ((Conv((1, 1), width=4),), (Conv((3, 3), width=8),))

    def digest(towers: tuple[tuple[Conv, ...], ...], *after: StemStep) -> str:
        stage = Stage((Module(((Conv((1, 1)),),)),))
        return Architecture("x", (Module(towers), *after), (stage,), resolution=16).digest

    assert digest(towers) == digest(towers[::-1])
    for after in ((LocalNorm(),), (Pool((3, 3)), LocalNorm())):
        assert digest(towers, *after) != digest(towers[::-1], *after)
    assert digest(towers, Conv((1, 1)), LocalNorm()) == digest(towers[::-1], Conv((1, 1)), LocalNorm())


def test_inception_v3_is_as_published() -> None:
    graph = V3.graph(299)
    assert graph.depth[graph.output] == 48  # 47 convolutions on the longest path, and the linear layer
    assert sum(isinstance(node.operation, Conv) for node in graph) == 94
    assert sum(isinstance(node.operation, Conv) for node in V3.graph(299, aux=True)) == 96
    assert [name for name, _ in modules(V3)][3] == "stage2.reduction"


def test_smallest_resolution() -> None:
    assert V3.smallest_resolution() == 75  # torchvision's own limit
    V3.graph(75)
    with pytest.raises(ResolutionError, match="the smallest side that works is 75"):
        V3.graph(74)
    V3.graph((75, 120))
    with pytest.raises(ResolutionError):
        V3.graph((120, 74))
    with pytest.raises(RequestError, match="allowed are 1 to 4096"):
        V3.graph(100_000)


def test_graph_is_networkx_ready() -> None:
    import networkx as nx

    graph = V3.graph(299, aux=True)
    assert nx.is_directed_acyclic_graph(graph.digraph)
    assert next(iter(nx.topological_sort(graph.digraph))) == "input"
    assert nx.dag_longest_path_length(graph.digraph) > 47
    assert {n for n, d in graph.digraph.out_degree() if d == 0} == {graph.output, *graph.aux_outputs}


GOOD = """\
format: architecture/1
name: tiny
resolution: 16
stem: [conv 3x3 8]
stages:
  - modules:
      - - [conv 1x1 4]
        - [conv 1x1 4, conv 3x3 4]
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("conv 3x3 4", "conv 3x3 -4", 8, "has width -4"),
        ("conv 3x3 4", "convolve 3x3 4", 8, "did you mean 'conv'"),
        ("resolution", "resolutoin", 3, "unknown key 'resolutoin'"),
        ("name: tiny", "name: ../etc", 2, "letters, digits"),
        ("stem: [conv 3x3 8]", "stem: []", 4, "must be a list of 1 to 64"),
        ("- - [conv 1x1 4]", "- - []", 7, "must be a list of 1 to 64"),
        ("format: architecture/1", "format: architecture/9", 1, "this version reads"),
        ("[conv 1x1 4, conv 3x3 4]", "[conv 1x1 4, conv 3x3/2 4]", 7, "end on different grids"),
        ("[conv 1x1 4, conv 3x3 4]", "[[conv 1x1 4, max 3x3]]", 8, "only convolutions"),
        ("resolution: 16", "resolution: big", 3, "a whole number from 1 to 4096"),
        ("[conv 1x1 4, conv 3x3 4]", "[lrn 5]", 8, "'lrn 5' is not for towers: a tower holds conv, max and avg"),
        ("[conv 3x3 8]", "[linear 8]", 4, "'linear 8' is not for the stem: it holds conv, max, avg, lrn and modules"),
        ("[conv 3x3 8]", "[[[conv 3x3 8], []]]", 4, "must be a list of 1 to 64"),
        ("[conv 3x3 8]", "[[[conv 3x3 8], [max 3x3/2]]]", 4, "16 x 16 and 8 x 8"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(old: str, new: str, line: int, sentence: str) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    with pytest.raises(RequestError) as caught:
        from_yaml(text, "f.yaml")
    assert f"f.yaml:{line}: " in str(caught.value)
    assert sentence in str(caught.value)


def test_a_module_in_the_stem() -> None:
    text = GOOD.replace(
        "stem: [conv 3x3 8]", "stem:\n  - conv 3x3/2 8\n  - - [max 3x3/2]\n    - [conv 1x1 4, conv 3x3/2 6]"
    )
    architecture = from_yaml(text)
    graph = architecture.graph(32)
    names = [node.name for node in graph if node.unit == "stem"]
    assert names == ["stem.0", "stem.1.tower1.0", "stem.1.tower2.0", "stem.1.tower2.1", "stem.1.concat"]
    assert graph["stem.1.concat"].shape == (14, 8, 8)
    assert [name for name, _ in stem_modules(architecture)] == ["stem.1"]
    assert from_yaml(architecture.to_yaml()) == architecture


def test_a_head_with_a_hidden_layer_has_no_global_pool() -> None:
    head = "aux:\n  - {after: stage1.module1, steps: [%s]}\n"
    hidden = from_yaml(GOOD + head % "adaptive 2x2, linear 6 relu, dropout 0.5").graph(16, classes=5, aux=True)
    assert [node.name for node in hidden if node.unit == "aux1"] == ["aux1.0", "aux1.1", "aux1.2", "aux1.linear"]
    assert hidden["aux1.1"].params == (8 * 2 * 2 + 1) * 6
    assert hidden["aux1.linear"].params == (6 + 1) * 5
    plain = from_yaml(GOOD + head % "adaptive 2x2, dropout 0.5").graph(16, classes=5, aux=True)
    assert [node.name for node in plain if node.unit == "aux1"] == ["aux1.0", "aux1.1", "aux1.pool", "aux1.linear"]
    with pytest.raises(RequestError, match=r"<text>:10: 'conv 1x1 4' comes after a linear layer, which leaves no grid"):
        from_yaml(GOOD + head % "linear 6, conv 1x1 4")
    with pytest.raises(RequestError, match=r"<text>:10: 'lrn 5' is for the stem only"):
        from_yaml(GOOD + head % "lrn 5")


def test_what_works_at_few_sizes_or_none_is_told_so() -> None:
    module = Module(((Conv((3, 3), 2, False),), (Conv((1, 1), 3),)))
    uneven = Architecture("uneven", (Conv((9, 9), 1, False),), (Stage((module,)),), resolution=64)
    assert uneven.smallest_resolution() == 11
    with pytest.raises(ResolutionError, match=r"1 x 1 and 2 x 2: .*the nearest sides that work are 11 and 13$"):
        uneven.graph(12)
    with pytest.raises(ResolutionError, match=r"19 x 19 and 27 x 27: .*the largest side that works is 18$"):
        uneven.graph(64)
    greedy = Architecture("greedy", (Conv((3, 3), 31, False),) * 4, (Stage((Module(((Conv((1, 1)),),)),)),))
    with pytest.raises(ResolutionError, match=r"no side up to 4096 works$"):
        greedy.graph(64)
    with pytest.raises(RequestError, match="accepts no picture up to 4096 pixels"):
        greedy.smallest_resolution()


def test_aux_heads_stand_on_modules_that_exist() -> None:
    with pytest.raises(RequestError, match=r"there is no module 'stage1\.module9': allowed are stage1\.module1"):
        from_yaml(GOOD + "aux:\n  - {after: stage1.module9, steps: [conv 1x1 4]}\n")
