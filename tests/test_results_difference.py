import copy
from collections import Counter
from typing import Any

import pytest
from architectures import architectures
from hypothesis import given
from hypothesis import strategies as st

from results.difference import compare
from results.marked import Marked
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.graph import Graph
from search_spaces.operations import Input
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space

V3 = seed("inception-v3")
SPACE = space("inception", 299)


def _changed(**places: Any) -> dict[str, Any]:
    return copy.deepcopy(V3.as_data())


def _graph(data: dict[str, Any], *, aux: bool = False) -> Graph:
    return from_data(data).graph(299, aux=aux)


def _rest(graph: Graph, marked: Marked) -> Counter[str]:
    """The operations that are not marked."""
    return Counter(
        node.operation.text() for node in graph if node.name not in marked and not isinstance(node.operation, Input)
    )


@pytest.mark.parametrize("name", seed_names())
def test_an_architecture_does_not_differ_from_itself(name: str) -> None:
    architecture = seed(name)
    found = compare(architecture.graph(aux=True), architecture.graph(aux=True))
    assert not found.first
    assert not found.second
    assert found.sentences("itself") == []


def test_one_width_marks_that_node_in_both() -> None:
    data = _changed()
    assert data["stages"][1]["modules"][2][1][1] == "conv 1x7 160"
    data["stages"][1]["modules"][2][1][1] = "conv 1x7 128"
    found = compare(_graph(data), V3.graph(299))
    node = frozenset({"stage2.module3.tower2.1"})
    assert (found.first, found.second) == (Marked(node), Marked(node))
    assert found.sentences("Inception-v3") == ["Stage 2, module 3: tower 2 has 1x7 128 where Inception-v3 has 1x7 160."]


def test_other_kernels_are_told_together_and_the_rest_of_the_tower_is_left_alone() -> None:
    data = _changed()
    data["stages"][1]["modules"][2][1][1:] = ["conv 3x3 192"]
    found = compare(_graph(data), V3.graph(299))
    assert found.first == Marked(frozenset({"stage2.module3.tower2.1"}))
    assert found.second == Marked(frozenset({"stage2.module3.tower2.1", "stage2.module3.tower2.2"}))
    assert found.sentences("Inception-v3") == [
        "Stage 2, module 3: tower 2 has 3x3 192 where Inception-v3 has 1x7 160 - 7x1 192."
    ]
    back = compare(V3.graph(299), _graph(data))
    assert back.sentences("the other") == [
        "Stage 2, module 3: tower 2 has 1x7 160 - 7x1 192 where the other has 3x3 192."
    ]


def test_what_short_forms_hide_is_told_in_full() -> None:
    sentences = compare(V3.graph(299), seed("inception-v3-tf").graph(299)).sentences("the other")
    assert sentences[0] == "Stage 1, module 1: tower 4 has avg 3x3 where the other has avg 3x3 uncounted."
    assert len(sentences) == 9  # its modules


def test_a_module_more_is_one_block_whatever_stands_around_it() -> None:
    data = _changed()
    data["stages"][1]["modules"].insert(1, copy.deepcopy(data["stages"][1]["modules"][0]))
    found = compare(_graph(data), V3.graph(299))
    assert found.first == Marked(blocks=frozenset({"stage2.module2"}))
    assert not found.second
    (sentence,) = found.sentences("Inception-v3")
    assert sentence.startswith("Added: stage 2, module 2 (1x1 192 | 1x1 128 - 1x7 128 - 7x1 192 | ")
    (sentence,) = compare(V3.graph(299), _graph(data)).sentences("the other")
    assert sentence.startswith("Left out: stage 2, module 2 of the other (1x1 192 | ")


def test_modules_after_a_new_one_are_compared_with_their_own() -> None:
    data = _changed()
    data["stages"][1]["modules"].insert(0, [["conv 1x1 700"]])
    data["stages"][1]["modules"][3][0][0] = "conv 1x1 200"
    found = compare(_graph(data), V3.graph(299))
    assert found.first == Marked(frozenset({"stage2.module4.tower1.0"}), frozenset({"stage2.module1"}))
    assert found.second == Marked(frozenset({"stage2.module3.tower1.0"}))
    assert found.sentences("Inception-v3")[1] == (
        "Stage 2, module 4, which is stage 2, module 3 in Inception-v3: tower 1 has 1x1 200 where Inception-v3 has "
        "1x1 192."
    )


def test_the_order_of_towers_does_not_count() -> None:
    data = _changed()
    data["stages"][0]["modules"][1].reverse()
    assert not compare(_graph(data), V3.graph(299)).changes
    data["stages"][0]["modules"][1][0][1] = "conv 1x1 80"
    (sentence,) = compare(_graph(data), V3.graph(299)).sentences("Inception-v3")
    assert sentence == "Stage 1, module 2: tower 1 has 1x1 80 where tower 4 of Inception-v3 has 1x1 64."


def test_towers_of_one_alone_are_marked_whole() -> None:
    data = _changed()
    data["stages"][0]["modules"][0].append(["max 3x3", "conv 1x1 16"])
    found = compare(_graph(data), V3.graph(299))
    assert found.first == Marked(frozenset({"stage1.module1.tower5.0", "stage1.module1.tower5.1"}))
    assert found.sentences("Inception-v3") == ["Stage 1, module 1: tower 5 (max 3x3 - 1x1 16) is not in Inception-v3."]
    (sentence,) = compare(V3.graph(299), _graph(data)).sentences("it")
    assert sentence == "Stage 1, module 1: has no tower 5 of it (max 3x3 - 1x1 16)."


def test_a_head_at_another_place_is_marked() -> None:
    data = _changed()
    data["aux"][0]["after"] = "stage2.module3"
    found = compare(_graph(data, aux=True), V3.graph(299, aux=True))
    assert (found.first, found.second) == (Marked(blocks=frozenset({"aux1"})),) * 2
    assert found.sentences("Inception-v3") == [
        "Auxiliary head 1: has its place on stage 2, module 3 where Inception-v3 has its place on stage 2, module 4."
    ]


PAIRS = st.tuples(st.integers(0, 60), st.integers(0, 60))


def _check(one: Architecture, other: Architecture, side: int | None) -> None:
    first, second = (architecture.graph(side, aux=True) for architecture in (one, other))
    found = compare(first, second)
    assert _rest(first, found.first) == _rest(second, found.second)
    assert set(found.first.nodes) <= set(first.nodes)
    assert set(found.second.nodes) <= set(second.nodes)
    assert bool(found.changes) == bool(found.first or found.second)
    back = compare(second, first)
    assert (back.first, back.second) == (found.second, found.first)
    assert len(back.changes) == len(found.changes)
    assert all(sentence.endswith(".") for sentence in found.sentences("the other"))


@given(PAIRS)
def test_every_node_is_matched_by_an_equal_one_or_marked(pair: tuple[int, int]) -> None:
    one, other = (SPACE.sample(random_seed=number) for number in pair)
    _check(one, other, 299)
    same = one.graph(299).digest() == other.graph(299).digest()
    assert same == (not compare(one.graph(299), other.graph(299)).changes)


@given(architectures(), architectures())
def test_every_node_of_any_two_architectures_is_matched_or_marked(one: Architecture, other: Architecture) -> None:
    _check(one, other, None)
