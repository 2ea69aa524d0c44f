"""Proxies: Table 2 of the paper, grids kept on small pictures, widths scaled."""

import random

import pytest

from search_spaces.errors import RequestError
from search_spaces.operations import Conv
from search_spaces.proxy import low_resolution, proxy, scaled
from search_spaces.seeds import seed
from search_spaces.space import space

V3 = seed("inception-v3")


def _grids(resolution: int) -> list[int]:
    graph = low_resolution(V3, resolution).graph(resolution, aux=True)
    return [graph[f"stage{s}.module1.concat"].shape.height for s in (1, 2, 3)]


def test_table_2_of_the_paper() -> None:
    """299 px: stride 2 and a pool; 151 px: stride 1 and the pool; 79 px: stride 1 and no pool."""
    assert low_resolution(V3, 299) == V3
    steps = [step.text() for step in low_resolution(V3, 151).stem]
    assert steps[0] == "conv 3x3 32 valid"
    assert steps.count("max 3x3/2 valid") == 2
    steps = [step.text() for step in low_resolution(V3, 79).stem]
    assert steps[0] == "conv 3x3 32 valid"
    assert steps.count("max 3x3/2 valid") == 1


@pytest.mark.parametrize(
    ("resolution", "grids"),
    [
        (299, [35, 17, 8]),
        (151, [35, 17, 8]),
        (79, [36, 17, 8]),
        (64, [32, 16, 8]),
        (32, [32, 16, 8]),
        (16, [16, 8, 4]),
        (8, [8, 4, 2]),
    ],
)
def test_grids_are_kept_as_far_as_pictures_allow(resolution: int, grids: list[int]) -> None:
    assert _grids(resolution) == grids


def test_auxiliary_heads_shrink_to_the_grid() -> None:
    head = low_resolution(V3, 32).aux[0]
    assert [step.text() for step in head.steps] == ["avg 5x5/3 valid", "conv 1x1 128", "conv 4x4 768 valid"]


def test_scaled_widths() -> None:
    small = scaled(V3, 0.125)
    widths = [node.operation.width for node in small.graph(299) if isinstance(node.operation, Conv)]
    full = [node.operation.width for node in V3.graph(299) if isinstance(node.operation, Conv)]
    assert all(width % 4 == 0 and width >= 8 for width in widths)
    pairs = sorted(zip(full, widths, strict=True))
    assert [width for _, width in pairs] == sorted(width for _, width in pairs)
    assert scaled(V3, 1.0) == V3
    with pytest.raises(RequestError, match="more than 0 and at most 1"):
        scaled(V3, 0.0)


def test_every_architecture_of_the_space_has_a_proxy() -> None:
    searched, source = space("inception"), random.Random(0)
    for _ in range(30):
        architecture = searched.sample(source)
        for resolution in (8, 32):
            assert proxy(architecture, resolution, 0.125).graph(resolution, channels=1, classes=10, aux=True)
