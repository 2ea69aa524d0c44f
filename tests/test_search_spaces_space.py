"""Laws of the search space: total, invertible, valid by construction; and what a user's own space file may say."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.factorisation import kernels
from search_spaces.genes import Gene
from search_spaces.principles import NAMES, RULES
from search_spaces.seeds import seed
from search_spaces.space import OutsideSpace, SearchSpace, space
from search_spaces.yaml_files import read_file, write_text

INCEPTION, FREE = space("inception"), space("inception-free")
V3 = seed("inception-v3")
BUILT_IN = {*NAMES, *RULES} - {"balance"}


def _values(gene: Gene) -> st.SearchStrategy[Any]:
    # The ends of the interval are where rounding goes wrong, so they are drawn more often than a float would be.
    return (
        st.sampled_from(gene.choices) if gene.choices else st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
    )


def _check_point(searched: SearchSpace, point: dict[str, Any]) -> None:
    architecture = searched.decode(point)
    assert not {f.name for f in searched.audit(architecture).violations} & BUILT_IN
    assert architecture.graph(299, aux=True)
    genes = searched.encode(architecture)
    assert searched.decode(genes) == architecture
    assert searched.encode(searched.decode(genes)) == genes
    assert architecture in searched


@given(st.fixed_dictionaries({gene.name: _values(gene) for gene in INCEPTION.genes}))
@settings(max_examples=200)
def test_every_point_is_a_valid_architecture_and_comes_back(point: dict[str, Any]) -> None:
    _check_point(INCEPTION, point)


# hypothesis cannot draw 259 values at a time: it draws what a generator draws from, and the share of extreme values.
@given(st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=200)
def test_every_point_of_the_free_space_is_valid_and_comes_back(number: int, extreme: float) -> None:
    source = random.Random(number)

    def value(gene: Gene) -> Any:
        at_border = gene.is_width and source.random() < extreme
        return source.choice([0.0, 0.5, 1.0]) if at_border else gene.sample(source)

    _check_point(FREE, {gene.name: value(gene) for gene in FREE.genes})


@pytest.mark.parametrize("searched", [INCEPTION, FREE], ids=lambda searched: searched.name)
@pytest.mark.parametrize("name", ["inception-v2", "inception-v3", "inception-v3-tf"])
def test_the_networks_of_the_paper_are_points(searched: SearchSpace, name: str) -> None:
    architecture = seed(name)
    assert searched.decode(searched.encode(architecture)) == architecture
    assert architecture in searched
    assert searched.audit(architecture).passed


def test_genes_of_inception_v3() -> None:
    genes = INCEPTION.encode(V3)
    assert genes["stage2.long.factorisation"] == "asymmetric"
    assert genes["stage3.depth"] == 2
    assert FREE.encode(V3)["stage2.module3.long.factorisation"] == "asymmetric"


@pytest.mark.parametrize("searched", [INCEPTION, FREE], ids=lambda searched: searched.name)
@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_mutation_and_crossover_stay_inside(searched: SearchSpace, number: int) -> None:
    source = random.Random(number)
    one, other = searched.sample(source), searched.sample(source)
    assert searched.mutate(one, source, genes=3) in searched
    child = searched.crossover(one, other, source)
    assert child in searched
    assert searched.crossover(one, one, source) == one
    assert not {f.name for f in searched.audit(child).violations} & BUILT_IN


def test_sampling_is_repeatable_and_varied() -> None:
    assert INCEPTION.sample(7) == INCEPTION.sample(7)
    source = random.Random(0)
    assert len({INCEPTION.sample(source).digest for _ in range(50)}) == 50


def test_every_choice_is_reached() -> None:
    """Nothing that the file offers is unreachable, except what the principles forbid."""
    source = random.Random(0)
    seen: dict[str, set[Any]] = {}
    for _ in range(300):
        for name, value in INCEPTION.encode(INCEPTION.sample(source)).items():
            seen.setdefault(name, set()).add(value)
    for gene in INCEPTION.genes:
        # A chain that two choices describe is encoded as the first of them; all else must turn up.
        if gene.choices and not gene.name.endswith((".kernel", ".factorisation", ".repeats")):
            assert seen[gene.name] == set(gene.choices), gene.name
        if gene.is_width:
            assert len(seen[gene.name]) > 3, gene.name


def test_asymmetric_splits_stand_on_medium_grids_only() -> None:
    by_name = {gene.name: gene for gene in INCEPTION.genes}
    assert "asymmetric" in by_name["stage2.short.factorisation"].choices
    assert "asymmetric" not in by_name["stage1.short.factorisation"].choices
    assert (
        "asymmetric" not in by_name["stage2.reduction.long.factorisation"].choices
    )  # it convolves on the 35 x 35 grid
    assert "expanded" in by_name["stage3.short.factorisation"].choices
    larger = {gene.name: gene for gene in space("inception", 512).genes}
    assert "asymmetric" not in larger["stage2.short.factorisation"].choices  # 30 x 30 there


def test_factorisations() -> None:
    assert kernels(5, "none", 2) == ((5, 5), (5, 5))
    assert kernels(7, "stacked") == ((3, 3),) * 3
    assert kernels(7, "asymmetric") == ((1, 7), (7, 1))
    assert kernels(7, "asymmetric", 2) == ((7, 1), (1, 7), (7, 1), (1, 7))
    assert kernels(3, "expanded", 2) == ((3, 3), ((1, 3), (3, 1)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stage1.depth": 99}, "the gene 'stage1.depth' is 99: allowed are 1, 2, 3, 4, 5"),
        ({"stage1.pointwise.first": 1.5}, "a position from 0 to 1"),
        ({"stage1.detph": 2}, "did you mean 'stage1.depth'?"),
    ],
)
def test_points_outside_the_box_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence.replace("?", r"\?")):
        INCEPTION.decode({**INCEPTION.encode(V3), **change})
    genes = INCEPTION.encode(V3)
    del genes["stem"]
    with pytest.raises(RequestError, match="the gene 'stem' is missing"):
        INCEPTION.decode(genes)


def test_why_an_architecture_lies_outside() -> None:
    with pytest.raises(OutsideSpace, match="stem is not one of released, printed, seven"):
        INCEPTION.encode(replace(V3, stem=V3.stem[:-1]))
    with pytest.raises(OutsideSpace, match="there are 2 stages: this space has 3"):
        INCEPTION.encode(replace(V3, stages=V3.stages[:2]))
    with pytest.raises(OutsideSpace, match=r"it has 'dropout: 0\.25' where the nearest point has 'dropout: 0\.5'"):
        INCEPTION.encode(replace(V3, dropout=0.25))
    many = replace(V3, stages=(replace(V3.stages[0], modules=V3.stages[0].modules * 3), *V3.stages[1:]))
    with pytest.raises(OutsideSpace, match=r"stage1\.depth is 9: this space allows 1, 2, 3, 4, 5"):
        INCEPTION.encode(many)
    assert many not in INCEPTION


def _own(tmp_path: Path, change: dict[str, Any]) -> SearchSpace:
    data = read_file(Path(__file__).parent.parent / "search_spaces" / "spaces" / "inception.yaml").data
    path = tmp_path / "own.yaml"
    path.write_text(write_text({**data, **change}), encoding="utf-8")
    return space(str(path))


def test_a_principle_can_be_switched_off_in_yaml(tmp_path: Path) -> None:
    free = _own(tmp_path, {"thresholds": {"off": ["bottleneck", "parallel_reduction"]}})
    kinds = next(gene for gene in free.genes if gene.name == "stage2.reduction.kind")
    assert kinds.choices == ("parallel", "pool_first", "convolve_first")
    assert "stage2.reduction.kind" not in {gene.name for gene in INCEPTION.genes}
    source = random.Random(0)
    violated = set()
    for _ in range(60):
        architecture = free.sample(source)
        assert free.decode(free.encode(architecture)) == architecture
        violated |= {f.name for f in INCEPTION.audit(architecture).violations}
    assert {"bottleneck", "parallel_reduction"} <= violated


def test_thresholds_of_a_file_hold(tmp_path: Path) -> None:
    strict = _own(tmp_path, {"thresholds": {"bottleneck": 0.55, "embedding": 0.4}})
    source = random.Random(0)
    for _ in range(60):
        assert not {f.name for f in strict.audit(strict.sample(source)).violations} & BUILT_IN


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"resolutoin": 299}, "unknown key 'resolutoin' in a space file: allowed are .*did you mean 'resolution'"),
        ({"thresholds": {"bottelneck": 1}}, "unknown key 'bottelneck' in thresholds: .*did you mean 'bottleneck'"),
        ({"thresholds": {"off": ["botleneck"]}}, "there is no principle 'botleneck'"),
        ({"resolution": "large"}, "resolution is 'large'"),
        ({"format": "space/7"}, "format is 'space/7'"),
        ({"stems": {"a": ["conv 3x3"]}}, "has no width"),
        ({"stages": []}, "stages is"),
        (
            {"stages": [{"depth": [1, 2], "pointwise": [32, 130, 16]}]},
            r"\[32, 130, 16\] is not a range of widths: .*the step dividing",
        ),
        ({"resolution": 40}, "too small"),
    ],
)
def test_a_wrong_space_file_is_told(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence) as caught:
        _own(tmp_path, change)
    assert "\n" not in str(caught.value)


def test_an_even_kernel_is_refused(tmp_path: Path) -> None:
    shipped = Path(__file__).parent.parent / "search_spaces" / "spaces" / "inception.yaml"
    own = tmp_path / "own.yaml"
    own.write_text(
        shipped.read_text(encoding="utf-8").replace("kernel: [3, 5, 7]", "kernel: [3, 4]", 1), encoding="utf-8"
    )
    with pytest.raises(RequestError, match=r"own\.yaml:\d+: stages\.stage2\.short\.kernel\.1: a kernel of 4 cannot"):
        space(str(own))


def test_unknown_spaces_are_refused() -> None:
    with pytest.raises(RequestError, match="did you mean 'inception'"):
        space("incepton")
    with pytest.raises(RequestError, match="there is no file"):
        space("none.yaml")


def _narrow(tmp_path: Path, text: str) -> SearchSpace:
    path = tmp_path / "narrow.yaml"
    path.write_text("base: inception\nname: narrow\n" + text, encoding="utf-8")
    return space(str(path))


def test_a_space_says_in_what_it_differs_from_another(tmp_path: Path) -> None:
    stages = "stages:\n  stage1: {depth: [3, 3], pool: {kind: [avg]}}\n  stage2: {depth: [4, 6]}\n"
    narrow = _narrow(tmp_path, stages + "thresholds: {off: [balance]}")
    assert narrow.file.stages[0].depth == (3, 3)
    assert narrow.file.stages[0].pointwise == INCEPTION.file.stages[0].pointwise
    assert narrow.file.stages[2] == INCEPTION.file.stages[2]
    assert narrow.thresholds == replace(INCEPTION.thresholds, off=("balance",))
    assert len(narrow.genes) == len(INCEPTION.genes) - 2
    assert V3 in narrow
    source = random.Random(0)
    assert all(narrow.sample(source) in INCEPTION for _ in range(20))
    assert {len(narrow.sample(source).stages[1].modules) for _ in range(60)} == {4, 5, 6}


def test_genes_can_be_fixed(tmp_path: Path) -> None:
    text = (
        "fixed: {stem: released, stage2.depth: 4, stage1.long.kernel: 3, stage1.long.repeats: 2, "
        "stage1.long.factorisation: none}"
    )
    narrow = _narrow(tmp_path, text)
    assert len(narrow.genes) == len(INCEPTION.genes) - 5
    source = random.Random(0)
    for _ in range(40):
        architecture = narrow.sample(source)
        assert len(architecture.stages[1].modules) == 4
        assert narrow.decode(narrow.encode(architecture)) == architecture
        assert architecture in INCEPTION
    outside = next(a for a in map(INCEPTION.sample, range(99)) if len(a.stages[1].modules) != 4)
    assert outside not in narrow
    assert V3 in narrow
    assert V3 in _narrow(tmp_path, "fixed: {stage2.depth: 4, stage2.widen: late, padding: counted, aux: normalised}")
    assert V3 not in _narrow(tmp_path, "fixed: {padding: uncounted}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fixed: {stage2.detph: 4}", r"fixes 'stage2\.detph', which is no gene of it; did you mean 'stage2\.depth'"),
        ("fixed: {stage2.depth: 40}", r"fixes stage2\.depth at 40: allowed are 1, 2, 3, 4, 5, 6, 7, 8"),
        ("fixed: {stage1.pointwise.first: 64}", r"fixes stage1\.pointwise\.first, a width: narrow its range instead"),
        ("stages: {stage4: {depth: [1, 2]}}", r"narrow\.yaml:3: there is no 'stage4' in inception\.yaml"),
        ("stages:\n  stage2:\n    depht: [1, 2]", r"narrow\.yaml:5: unknown key 'depht'.*did you mean 'depth'"),
        (
            "stages:\n  stage2:\n    depth: [6, 4]",
            r"narrow\.yaml:5: stages\.stage2\.depth: a depth of \[6, 4\] is not possible",
        ),
        (
            "stages:\n  stage2:\n    depth: [1, 99]",
            r"narrow\.yaml:5: stages\.stage2\.depth\.1 is 99: 32 or less is allowed",
        ),
    ],
)
def test_a_wrong_narrower_space_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        _narrow(tmp_path, text)


def test_a_base_must_exist_and_end(tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    path.write_text("base: round.yaml\nname: round", encoding="utf-8")
    with pytest.raises(RequestError, match=r"round\.yaml:1: base is .*, which is based on this file again"):
        space(str(path))
    path.write_text("base: incepton\nname: round", encoding="utf-8")
    with pytest.raises(RequestError, match=r"round\.yaml:1: there is no space 'incepton'.*did you mean 'inception'"):
        space(str(path))
    path.write_text("base: inception\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"round\.yaml:1: .* has no 'name' of its own: add it"):
        space(str(path))
    path.write_text("base: 3\nname: round", encoding="utf-8")
    with pytest.raises(RequestError, match=r"base is .3.: the name of a space or a YAML file is allowed"):
        space(str(path))


def test_heads_that_find_no_room_at_another_target_resolution_do_not_close_the_space():
    searched = space("inception", 224)
    drawn = searched.sample(0)
    assert drawn in searched
    assert cost(drawn, 224).params_with_aux is None


def test_a_mutant_is_another_architecture():
    source = random.Random(3)
    searched = space("inception")
    parent = searched.sample(source)
    mutants = [searched.mutate(parent, source) for _ in range(20)]
    assert all(mutant != parent and mutant in searched for mutant in mutants)


def test_what_widens_early_to_its_embedding_is_read_as_either():
    """An expanded chain that widens early passes once what it would pass twice: 'late' allows other widths."""
    searched = space("inception-free", 151)
    source = random.Random(5)
    for _ in range(400):
        point = {gene.name: gene.sample(source) for gene in searched.genes}
        for name in point:  # embeddings as wide as outputs, where the intervals meet
            if name.endswith("widen"):
                point[name] = "early"
            elif name.endswith("factorisation") and name.startswith("stage3") and "reduction" not in name:
                point[name] = "expanded"
            elif name.endswith("embedding"):
                point[name] = 1.0
            elif name.endswith(("short.output", "long.output")):
                point[name] = 0.0
        drawn = searched.decode(point)
        assert searched.decode(searched.encode(drawn)) == drawn
