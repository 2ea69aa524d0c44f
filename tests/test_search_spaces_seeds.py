"""The published networks: parameters, multiply-adds, grids and accepted sizes are those of their publications."""

import re
from collections.abc import Iterator

import pytest

from search_spaces.architecture import Architecture, lay_out
from search_spaces.architecture_file import from_yaml
from search_spaces.cost import cost
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Conv, Pool, Shape
from search_spaces.seeds import seed, seed_names, seed_notes

# Parameters without and with auxiliary heads, multiply-adds at the own size; convolutions, and those on the longest
# path. Counted by torch on torchvision 0.28's models, on timm 1.0.31's inception_v4 and on the Caffe lineage's
# bn-inception (pretrainedmodels 0.7.4); googlenet is the released Caffe model's, inception-v2 is counted below.
PUBLISHED = {
    "bn-inception": (11_295_240, 11_295_240, 2_032_600_064, 69, 33),
    "googlenet": (6_998_552, 13_378_280, 1_582_671_872, 57, 21),
    "googlenet-torchvision": (6_624_904, 13_004_888, 1_498_376_192, 57, 21),
    "inception-v2": (26_405_192, 29_731_120, 6_482_774_624, 105, 53),
    "inception-v3": (23_834_568, 27_161_264, 5_713_216_096, 94, 47),
    "inception-v3-tf": (23_834_568, 27_161_264, 5_713_216_096, 94, 47),
    "inception-v4": (42_679_816, 42_679_816, 12_253_974_624, 149, 75),
}
GOOGLENET = {"stem.0": (64, 112), "stem.1": (64, 56), "stage1.module1": (256, 28), "stage1.module2": (480, 28)}
GOOGLENET |= {"stage2.reduction": (480, 14), "stage2.module1": (512, 14), "stage2.module2": (512, 14)}
GOOGLENET |= {"stage2.module3": (512, 14), "stage2.module4": (528, 14), "stage2.module5": (832, 14)}
GOOGLENET |= {"stage3.reduction": (832, 7), "stage3.module1": (832, 7), "stage3.module2": (1024, 7)}
BN_INCEPTION = {"stem.0": (64, 112), "stem.1": (64, 56), "stem.2": (64, 56), "stem.3": (192, 56), "stem.4": (192, 28)}
BN_INCEPTION |= {"stage1.module1": (256, 28), "stage1.module2": (320, 28), "stage2.reduction": (576, 14)}
BN_INCEPTION |= {"stage2.module1": (576, 14), "stage2.module2": (576, 14), "stage2.module3": (608, 14)}
BN_INCEPTION |= {"stage2.module4": (608, 14), "stage3.reduction": (1056, 7)}
BN_INCEPTION |= {"stage3.module1": (1024, 7), "stage3.module2": (1024, 7)}
INCEPTION = {"stem.0": (32, 149), "stem.1": (32, 147), "stem.2": (64, 147)}
V3 = INCEPTION | {"stem.3": (64, 73), "stem.4": (80, 73), "stem.5": (192, 71), "stem.6": (192, 35)}
V3 |= {"stage1.module1": (256, 35), "stage1.module2": (288, 35), "stage1.module3": (288, 35)}
V3 |= {f"stage2.{unit}": (768, 17) for unit in ("reduction", "module1", "module2", "module3", "module4")}
V3 |= {"stage3.reduction": (1280, 8), "stage3.module1": (2048, 8), "stage3.module2": (2048, 8)}
END_POINTS = {
    "googlenet": GOOGLENET | {"stem.2": (64, 56), "stem.4": (192, 56), "stem.6": (192, 28)},
    "googlenet-torchvision": GOOGLENET | {"stem.2": (64, 56), "stem.3": (192, 56), "stem.4": (192, 28)},
    "bn-inception": BN_INCEPTION,
    # 1512.00567, Table 1
    "inception-v2": INCEPTION
    | {"stem.3": (64, 73), "stem.4": (80, 71), "stem.5": (192, 35), "stem.6": (288, 35)}
    | {f"stage1.module{m}": (288, 35) for m in (1, 2, 3)}
    | {"stage2.reduction": (768, 17)}
    | {f"stage2.module{m}": (768, 17) for m in (1, 2, 3, 4, 5)}
    | {"stage3.reduction": (1280, 8), "stage3.module1": (2048, 8), "stage3.module2": (2048, 8)},
    "inception-v3": V3,
    "inception-v3-tf": V3,
    # 1602.07261, Figures 3 to 9
    "inception-v4": INCEPTION
    | {"stem.3": (160, 73), "stem.4": (192, 71), "stem.5": (384, 35)}
    | {f"stage1.module{m}": (384, 35) for m in (1, 2, 3, 4)}
    | {"stage2.reduction": (1024, 17)}
    | {f"stage2.module{m}": (1024, 17) for m in range(1, 8)}
    | {"stage3.reduction": (1536, 8)}
    | {f"stage3.module{m}": (1536, 8) for m in (1, 2, 3)},
}


def test_the_family_is_complete() -> None:
    assert set(seed_names()) == set(PUBLISHED) == set(END_POINTS)
    with pytest.raises(RequestError, match="did you mean 'inception-v3'"):
        seed("inception-v33")


@pytest.mark.parametrize("name", seed_names())
def test_a_seed_costs_what_its_publication_costs(name: str) -> None:
    params, params_with_aux, macs, convs, depth = PUBLISHED[name]
    found = cost(seed(name))
    assert (found.params, found.params_with_aux, found.macs) == (params, params_with_aux, macs)
    graph = seed(name).graph()
    assert sum(isinstance(node.operation, Conv) for node in graph) == convs
    assert graph.depth[graph.output] == depth + 1  # the linear layer


@pytest.mark.parametrize("name", seed_names())
def test_a_seed_has_the_published_end_points(name: str) -> None:
    last: dict[str, Shape] = {}
    for node in seed(name).graph():
        last[".".join(node.name.split(".")[:2])] = node.shape
    found = {unit: shape for unit, shape in last.items() if unit.startswith("stage") or unit in END_POINTS[name]}
    assert found == {unit: Shape(width, side, side) for unit, (width, side) in END_POINTS[name].items()}


@pytest.mark.parametrize("name", seed_names())
def test_a_seed_says_where_it_comes_from_and_survives_yaml(name: str) -> None:
    assert re.search(r"arXiv 1[456]\d\d\.\d{5}|arXiv 1409\.4842", seed_notes(name))
    again = from_yaml(seed(name).to_yaml())
    assert (again, again.name, again.digest) == (seed(name), name, seed(name).digest)


def test_digests_are_those_that_studies_know() -> None:
    assert seed("inception-v3").digest == "24121102b0e5d08c518faf3101f13849d67cd652b5ff9be25972753e0b21481c"
    assert len({seed(name).digest for name in seed_names()}) == len(seed_names())


def test_auxiliary_heads_of_googlenet() -> None:
    graph = seed("googlenet-torchvision").graph(224, aux=True)
    heads = [sum(node.params for node in graph if node.unit == unit) for unit in ("aux1", "aux2")]
    assert heads == [3_188_968, 3_191_016]
    printed = seed("googlenet").graph(224, aux=True)
    assert [printed[f"aux1.{i}"].shape for i in (0, 1, 2)] == [(512, 4, 4), (128, 4, 4), (1024, 1, 1)]
    assert printed["aux2.0"].input_shapes == ((528, 14, 14),)
    assert "aux1.pool" not in printed.nodes


def test_padding_conventions() -> None:
    """Averages count their padding in torchvision's lineage and do not in the original framework's."""

    def counted(name: str) -> set[bool]:
        pools = [node.operation for node in seed(name).graph() if isinstance(node.operation, Pool)]
        return {pool.counted for pool in pools if pool.kind == "avg"}

    assert counted("inception-v3") == counted("inception-v2") == counted("bn-inception") == {True}
    assert counted("inception-v3-tf") == counted("inception-v4") == {False}


# ------------------------------------------------------------------- counts from the printed tables, without our graph

Layer = tuple[int, int, int, int]  # kernel height x width, channels in, channels out, positions of the output


def total(layers: Iterator[Layer], per_filter: int, features: int) -> tuple[int, int]:
    """Parameters, with ``per_filter`` of them beside each filter's weights, and multiply-adds; 1000 classes."""
    counted = list(layers)
    params = sum((taps * reads + per_filter) * width for taps, reads, width, _ in counted)
    return params + features * 1000 + 1000, sum(t * r * w * p for t, r, w, p in counted) + features * 1000


def printed_googlenet(large: int) -> Iterator[Layer]:
    """1409.4842, Table 1; ``large`` is the kernel of the third tower."""
    yield from ((49, 3, 64, 112**2), (1, 64, 64, 56**2), (9, 64, 192, 56**2))
    reads = 192
    for side, row in (
        (28, (64, 96, 128, 16, 32, 32)), (28, (128, 128, 192, 32, 96, 64)),
        (14, (192, 96, 208, 16, 48, 64)), (14, (160, 112, 224, 24, 64, 64)), (14, (128, 128, 256, 24, 64, 64)),
        (14, (112, 144, 288, 32, 64, 64)), (14, (256, 160, 320, 32, 128, 128)),
        (7, (256, 160, 320, 32, 128, 128)), (7, (384, 192, 384, 48, 128, 128)),
    ):  # fmt: skip
        point, middle_reduce, middle, large_reduce, widest, projection = row
        for width in (point, middle_reduce, large_reduce, projection):
            yield 1, reads, width, side**2
        yield 9, middle_reduce, middle, side**2
        yield large**2, large_reduce, widest, side**2
        reads = point + middle + widest + projection


def test_googlenet_is_the_printed_table() -> None:
    for name, large, per_filter in (("googlenet", 5, 1), ("googlenet-torchvision", 3, 2)):
        found = cost(seed(name))
        assert (found.params, found.macs) == total(printed_googlenet(large), per_filter, 1024)


def printed_bn_inception() -> Iterator[Layer]:
    """1502.03167, Figure 5, with the released widths; zeros are towers that are not there."""
    yield from ((49, 3, 64, 112**2), (1, 64, 64, 56**2), (9, 64, 192, 56**2))
    reads = 192
    for side, row in (
        (28, (64, 64, 64, 64, 96, 32)), (28, (64, 64, 96, 64, 96, 64)), (28, (0, 128, 160, 64, 96, 0)),
        (14, (224, 64, 96, 96, 128, 128)), (14, (192, 96, 128, 96, 128, 128)), (14, (160, 128, 160, 128, 160, 128)),
        (14, (96, 128, 192, 160, 192, 128)), (14, (0, 128, 192, 192, 256, 0)),
        (7, (352, 192, 320, 160, 224, 128)), (7, (352, 192, 320, 192, 224, 128)),
    ):  # fmt: skip
        point, middle_reduce, middle, double_reduce, double, projection = row
        end = side if point else side // 2
        for width in (point, middle_reduce, double_reduce, projection):
            yield 1, reads, width, side**2
        yield from ((9, middle_reduce, middle, end**2), (9, double_reduce, double, side**2))
        yield 9, double, double, end**2
        reads = middle + double + (point + projection if point else reads)


def test_bn_inception_is_the_printed_table() -> None:
    found = cost(seed("bn-inception"))
    assert (found.params, found.macs) == total(printed_bn_inception(), 3, 1024)  # a bias, a scale and a shift


def printed_inception_v2() -> Iterator[Layer]:
    """1512.00567, Table 1 and Figures 5, 6, 7 and 10, with the released widths inside the modules."""
    yield from ((9, 3, 32, 149**2), (9, 32, 32, 147**2), (9, 32, 64, 147**2))
    yield from ((9, 64, 80, 71**2), (9, 80, 192, 35**2), (9, 192, 288, 35**2))
    for _ in range(3):
        for width in (64, 48, 64, 64):
            yield 1, 288, width, 35**2
        yield from ((9, 48, 64, 35**2), (9, 64, 96, 35**2), (9, 96, 96, 35**2))
    yield from ((9, 288, 384, 17**2), (1, 288, 64, 35**2), (9, 64, 96, 35**2), (9, 96, 96, 17**2))
    for c in (128, 160, 160, 192, 192):
        for width in (192, c, c, 192):
            yield 1, 768, width, 17**2
        yield from ((7, c, width, 17**2) for width in (c, 192, c, c, c, 192))
    yield from ((1, 768, 192, 17**2), (1, 768, 192, 17**2), (9, 192, 320, 8**2), (9, 192, 192, 8**2))
    yield from ((7, 192, 192, 17**2), (7, 192, 192, 17**2))
    for reads in (1280, 2048):
        for width in (320, 384, 448, 192):
            yield 1, reads, width, 8**2
        yield from ((3, 384, 384, 8**2) for _ in range(4))
        yield 9, 448, 384, 8**2


def test_inception_v2_is_the_printed_table() -> None:
    found = cost(seed("inception-v2"))
    assert (found.params, found.macs) == total(printed_inception_v2(), 2, 2048)
    # the head: 1x1 128 with a norm, 5x5 768 with a bias in its place, and the classifier
    head = (768 + 2) * 128 + (25 * 128 + 1) * 768 + 769 * 1000
    assert found.params_with_aux == found.params + head


# ------------------------------------------------------------------------------------------------------ sizes accepted


def works(architecture: Architecture, height: int, width: int) -> bool:
    try:
        lay_out(architecture, Shape(3, height, width))
    except ResolutionError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "smallest", "with_aux"),
    [
        ("bn-inception", 31, 31),
        ("googlenet", 31, 79),
        ("googlenet-torchvision", 15, 15),
        ("inception-v2", 75, 299),
        ("inception-v3", 75, 299),
        ("inception-v3-tf", 75, 299),
        ("inception-v4", 75, 75),
    ],
)
def test_the_smallest_side_is_the_first_that_works(name: str, smallest: int, with_aux: int) -> None:
    architecture = seed(name)
    assert architecture.smallest_resolution() == smallest
    assert architecture.smallest_resolution(aux=True) == with_aux
    assert works(architecture, smallest, smallest)
    assert not any(works(architecture, side, side) for side in range(1, smallest))
    with pytest.raises(
        ResolutionError, match=rf"{smallest - 1} x {smallest - 1}: .*the smallest side .* is {smallest}$"
    ):
        architecture.graph(smallest - 1)
    with pytest.raises(ResolutionError, match=f"the smallest side that works is {smallest}$"):
        architecture.graph((smallest + 100, smallest - 1))


def test_sizes_between_those_that_work_are_refused_with_their_neighbours() -> None:
    """Beside padded convolutions of stride 2 the pools of bn-inception, in ceil mode, end on their grid or one less."""
    architecture = seed("bn-inception")
    sides = [side for side in range(1, 300) if works(architecture, side, side)]
    assert sides == [start + i for start in range(31, 300, 32) for i in range(8)]
    for side in (39, 62, 200):
        below, above = max(s for s in sides if s < side), min(s for s in sides if s > side)
        sentence = rf"different grids, .*; the nearest sides that work are {below} and {above}$"
        with pytest.raises(ResolutionError, match=sentence):
            architecture.graph(side)
        with pytest.raises(ResolutionError, match=sentence):
            architecture.graph((224, side))
    with pytest.raises(
        ResolutionError, match=r"for 40, the nearest .* 38 and 63; for 104, the nearest .* 102 and 127$"
    ):
        architecture.graph((40, 104))


def test_a_rectangle_works_if_both_its_sides_do() -> None:
    architecture = seed("bn-inception")
    for height in range(30, 75, 5):
        for width in range(30, 75, 5):
            squares = works(architecture, height, height) and works(architecture, width, width)
            assert works(architecture, height, width) == squares
