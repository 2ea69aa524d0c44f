"""Which pictures an architecture accepts: the same as trying every one, and soon said of the largest files."""

from typing import Any

import pytest
from architectures import architectures
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import architecture, architecture_file
from search_spaces.architecture import Architecture, Module, Split, Stage, Step, lay_out
from search_spaces.architecture_file import from_yaml
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Conv, Pool, Shape
from search_spaces.seeds import seed, seed_names
from search_spaces.sides import advice, sides_that_work, smallest_side

ONE = Stage((Module(((Conv((1, 1)),),)),))


def tried(architecture: Architecture, sides: range, aux: bool) -> list[int]:
    """The sides for which a whole graph can be laid out."""
    found = []
    for side in sides:
        try:
            lay_out(architecture, Shape(3, side, side), aux=aux)
        except ResolutionError:
            continue
        found.append(side)
    return found


@given(architectures(), st.booleans())
@settings(max_examples=60)
def test_the_same_sides_work_as_when_each_is_tried(architecture: Architecture, aux: bool) -> None:
    found = sides_that_work(architecture, aux=aux)
    assert [side for side in found if side < 30] == tried(architecture, range(1, 30), aux)


windows = st.builds(
    Pool,
    st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda sides: (2 * sides[0] - 1, 2 * sides[1] - 1)),
    st.integers(1, 4),
    st.booleans(),
    ceil=st.booleans(),
)


@given(st.lists(st.lists(windows, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3).map(tuple))
@settings(max_examples=100)
def test_towers_that_seldom_or_never_agree(towers: tuple[tuple[Step, ...], ...]) -> None:
    architecture = Architecture("odd", (Conv((3, 3)), Module(towers)), (ONE,))
    found = sides_that_work(architecture)
    assert [side for side in found if side < 60] == tried(architecture, range(1, 60), False)


@pytest.mark.parametrize("name", seed_names())
@pytest.mark.parametrize("aux", [False, True])
def test_the_borders_of_the_published_networks(name: str, aux: bool) -> None:
    architecture = seed(name)
    smallest = smallest_side(architecture, aux=aux)
    near = range(max(1, smallest - 6), smallest + 12)
    assert [side for side in sides_that_work(architecture, aux=aux) if side in near] == tried(architecture, near, aux)


def test_advice_names_what_lies_next_to_a_refused_side() -> None:
    even = Architecture("even", (Module(((Pool((1, 1), 2, False),), (Pool((2, 2), 2, False),))),), (ONE,))
    assert advice(even, [7]) == "the nearest sides that work are 6 and 8"
    assert advice(even, [1]) == "the smallest side that works is 2"
    assert advice(even, [7, 7]) == advice(even, [7, 8]) == advice(even, [7])
    assert advice(even, [1, 9]) == (
        "for 1, the smallest side that works is 2; for 9, the nearest sides that work are 8 and 10"
    )
    few = Architecture("few", (Module(((Pool((3, 3), 2, False),), (Pool((3, 3), 1, False),))),), (ONE,))
    assert advice(few, [9]) == "the largest side that works is 3"
    never = Architecture("never", (Conv((1, 1)), Module(((Split((Conv((1, 1)), Conv((3, 3), 1, False))),),))), (ONE,))
    assert advice(never, [64]) == "no side up to 4096 works"


# As many entries as a file may have: modules whose windows all differ, and at the end towers that never agree.
def largest() -> str:
    kinds = [f"max {2 * h + 1}x{2 * w + 1}" for h in range(1, 16) for w in range(1, 16)]
    tower = f"[{', '.join(kinds[:60])}]"
    module = f"      - [{tower}, {tower}, {tower}, {tower}]\n"
    never = "      - [[max 3x3], [max 3x3 valid]]\n"
    return (
        "format: architecture/1\nname: largest\nresolution: 64\nstem: [conv 3x3 8]\nstages:\n  - modules:\n"
        + module * 38
        + never
    )


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every graph that is laid out: trying each of 4,096 sides so would take minutes."""
    calls: list[int] = []
    real = architecture.lay_out

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(architecture, "lay_out", counted)
    monkeypatch.setattr(architecture_file, "lay_out", counted)
    return calls


def test_the_largest_file_that_never_works_is_refused_at_once(laid_out: list[int]) -> None:
    with pytest.raises(RequestError, match=r"<text>:45: .* 62 x 62 and 64 x 64: .*: no side up to 4096 works$"):
        from_yaml(largest())
    assert 1 <= len(laid_out) <= 3


def test_the_largest_network_that_never_works_is_refused_at_once(laid_out: list[int]) -> None:
    """Windows that shrink the grid little by little: no two of them read grids of one size."""
    tower = tuple(Pool((2 + i % 3, 2), 1 + (i == 8), False) for i in range(64))
    module = Module((tower,) * 15 + ((*tower, Pool((1, 2), 1, False)),))
    tall = Architecture("tall", tuple(Conv((2, 2), 1, False) for _ in range(64)), (Stage((module,) * 10),))
    with pytest.raises(ResolutionError, match="no side up to 4096 works"):
        tall.graph(2048)
    with pytest.raises(RequestError, match="accepts no picture up to 4096 pixels"):
        tall.smallest_resolution()
    assert 1 <= len(laid_out) <= 3
