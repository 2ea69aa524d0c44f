"""Proxies: Table 2 of the paper, grids kept on small pictures, widths scaled."""

import random
from dataclasses import replace

import pytest

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.operations import Conv, Pool
from search_spaces.proxy import low_resolution, proxy, scaled
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space

V3 = seed("inception-v3")


def _grids(architecture: Architecture, resolution: int) -> list[int]:
    graph = low_resolution(architecture, resolution).graph(resolution, aux=True)
    return [graph[f"stage{s}.module1.concat"].shape.height for s in (1, 2, 3)]


@pytest.mark.parametrize("name", ["inception-v2", "inception-v3", "inception-v3-tf"])
def test_table_2_of_the_paper(name: str) -> None:
    """299 px: stride 2 and a pool; 151 px: stride 1 and the pool; 79 px: stride 1 and no pool."""
    architecture = seed(name)
    assert low_resolution(architecture, 299) == architecture
    first = (replace(V3.stem[0], stride=1), *architecture.stem[1:3])
    assert low_resolution(architecture, 151).stem == (*first, *architecture.stem[3:])
    assert low_resolution(architecture, 79).stem == (*first, *architecture.stem[4:])
    assert _grids(architecture, 151) == [35, 17, 8]
    assert _grids(architecture, 79) == [36, 17, 8]


def test_modules_in_the_stem_give_up_the_strides_of_all_their_towers() -> None:
    """The same three settings for Inception-v4, whose stem pools and convolves side by side where the others pool."""
    architecture = seed("inception-v4")
    assert low_resolution(architecture, 299) == architecture
    for resolution, towers in (
        (151, [["max 3x3/2 valid"], ["conv 3x3/2 96 valid"]]),
        (79, [["max 3x3 valid"], ["conv 3x3 96 valid"]]),
    ):
        small = low_resolution(architecture, resolution)
        assert small.as_data()["stem"][0] == "conv 3x3 32 valid"
        assert small.as_data()["stem"][3] == towers
        assert small.stem[4:] == architecture.stem[4:]
        assert small.stages == architecture.stages
        assert _grids(architecture, resolution) == [35, 17, 8]


@pytest.mark.parametrize("name", seed_names())
def test_proxies_of_the_family_see_the_targets_grids(name: str) -> None:
    architecture = seed(name)
    graph = architecture.graph()
    target = [graph[f"stage{s}.module1.concat"].shape.height for s in (1, 2, 3)]
    assert low_resolution(architecture, architecture.resolution) == architecture
    for resolution in (8, 16):
        assert _grids(architecture, resolution) == [resolution, resolution // 2, resolution // 4]
    for resolution in (32, 64, 96, 128):
        for grid, wanted in zip(_grids(architecture, resolution), target, strict=True):
            assert 0.8 < grid / wanted < 1.3


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
    assert _grids(V3, resolution) == grids


def test_auxiliary_heads_shrink_to_the_grid() -> None:
    def steps(name: str, resolution: int) -> list[str]:
        return [step.text() for step in low_resolution(seed(name), resolution).aux[0].steps]

    assert steps("inception-v3", 32) == ["avg 5x5/3 valid", "conv 1x1 128", "conv 4x4 768 valid"]
    assert steps("inception-v2", 8) == ["avg 2x2/2 valid", "conv 1x1 128", "conv 2x2 768 valid bias"]
    hidden = ["linear 1024 relu", "dropout 0.7"]
    assert steps("googlenet", 32) == ["avg 5x5/3 valid", "conv 1x1 128 bias", *hidden]
    assert steps("googlenet", 8) == ["avg 2x2/2 valid", "conv 1x1 128 bias", *hidden]
    assert steps("googlenet-torchvision", 8) == ["adaptive 4x4", "conv 1x1 128", *hidden]
    assert steps("googlenet-torchvision", 4) == ["adaptive 2x2", "conv 1x1 128", *hidden]


def test_padded_pools_are_not_rounded_up() -> None:
    """At 79 px the towers of bn-inception's reductions end on different grids, so its windows are padded."""
    small = low_resolution(seed("bn-inception"), 79)
    assert small.stem[1] == Pool((3, 3), 2, True)
    assert _grids(seed("bn-inception"), 79) == [20, 10, 5]


def test_scaled_widths() -> None:
    small = scaled(V3, 0.125)
    widths = [node.operation.width for node in small.graph(299) if isinstance(node.operation, Conv)]
    full = [node.operation.width for node in V3.graph(299) if isinstance(node.operation, Conv)]
    assert all(width % 4 == 0 and width >= 8 for width in widths)
    pairs = sorted(zip(full, widths, strict=True))
    assert [width for _, width in pairs] == sorted(width for _, width in pairs)
    assert scaled(V3, 1.0) == V3
    head = scaled(seed("googlenet-torchvision"), 0.125).aux[0]
    assert [step.text() for step in head.steps] == ["adaptive 4x4", "conv 1x1 16", "linear 128 relu", "dropout 0.7"]
    assert scaled(seed("inception-v4"), 0.5).as_data()["stem"][3] == [["max 3x3/2 valid"], ["conv 3x3/2 48 valid"]]
    with pytest.raises(RequestError, match="more than 0 and at most 1"):
        scaled(V3, 0.0)


def test_every_architecture_of_the_space_has_a_proxy() -> None:
    searched, source = space("inception"), random.Random(0)
    for _ in range(30):
        architecture = searched.sample(source)
        for resolution in (8, 32):
            assert proxy(architecture, resolution, 0.125).graph(resolution, channels=1, classes=10, aux=True)
