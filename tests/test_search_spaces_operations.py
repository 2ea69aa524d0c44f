"""Operations: text forms, shapes and costs, against torch's own counting."""

import pytest
from architectures import convs, pools
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Concat, Conv, Linear, Pool, Shape, parse


@given(st.one_of(convs(), convs(same=False), pools()))
def test_text_gives_back_the_operation(operation: Conv | Pool) -> None:
    assert parse(operation.text()) == operation


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("conv 3x3/2 32 valid", Conv((3, 3), 2, False, 32)),
        ("conv 1x7 192", Conv((1, 7), 1, True, 192)),
        ("conv 1x1 64 bias linear", Conv((1, 1), 1, True, 64, norm=False, activation=False)),
        ("max 3x3/2 valid", Pool((3, 3), 2, False)),
        ("avg 3x3 uncounted", Pool((3, 3), kind="avg", counted=False)),
    ],
)
def test_forms(text: str, operation: Conv | Pool) -> None:
    assert parse(text) == operation
    assert operation.text() == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cnv 3x3 8", "'cnv' is not an operation: allowed are conv, max and avg; did you mean 'conv'?"),
        ("conv 3x3", "has no width"),
        ("conv 3x3 0", "has width 0: allowed are 1 to 65536"),
        ("conv 3x3 99999999", "allowed are 1 to 65536"),
        ("conv 3x3 8 vald", "did you mean 'valid'?"),
        ("conv 2x2 8", "even kernel"),
        ("conv 0x3 8", "must be 1 to 31"),
        ("conv 3x3 -8", "is not an operation"),
        ("max 3x3 uncounted", "allowed after max are valid"),
        ("", "is not an operation"),
        ("conv 3x3 8; import os", "is not an operation"),
    ],
)
def test_wrong_forms_are_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert sentence in str(caught.value)


@given(st.one_of(convs(), convs(same=False), pools()), st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_shape_is_torchs(operation: Conv | Pool, channels: int, height: int, width: int) -> None:
    import torch
    from torch import nn

    x = torch.zeros(1, channels, height, width)
    window: nn.Module
    if isinstance(operation, Conv):
        window = nn.Conv2d(channels, operation.width, operation.kernel, operation.stride, operation.padding)
    else:
        window = nn.AvgPool2d(operation.kernel, operation.stride, operation.padding)
    try:
        shape = operation.output([Shape(channels, height, width)])
    except ResolutionError:
        with pytest.raises(RuntimeError):
            window(x)
    else:
        assert tuple(window(x).shape[1:]) == tuple(shape)


def test_costs_by_hand() -> None:
    conv, source = Conv((3, 5), 2, True, 7), Shape(4, 10, 10)
    assert conv.output([source]) == Shape(7, 5, 5)
    assert conv.params([source]) == 3 * 5 * 4 * 7 + 2 * 7
    assert Conv((3, 5), 2, True, 7, norm=False).params([source]) == 3 * 5 * 4 * 7 + 7
    assert conv.macs([source]) == 3 * 5 * 4 * 7 * 25
    assert Linear(10).params([Shape(4, 2, 2)]) == 16 * 10 + 10
    assert Linear(10).macs([Shape(4, 2, 2)]) == 160


def test_factorisation_saves_what_the_paper_says() -> None:
    """1512.00567, section 3: two 3x3 for a 5x5 save 28 %, 1x3 and 3x1 for a 3x3 save 33 %."""
    shape = Shape(64, 17, 17)

    def macs(*kernels: tuple[int, int]) -> int:
        return sum(Conv(kernel, width=64).macs([shape]) for kernel in kernels)

    assert macs((3, 3), (3, 3)) / macs((5, 5)) == 18 / 25
    assert macs((1, 3), (3, 1)) / macs((3, 3)) == 2 / 3


def test_concat_refuses_different_grids() -> None:
    assert Concat().output([Shape(3, 8, 8), Shape(5, 8, 8)]) == Shape(8, 8, 8)
    with pytest.raises(RequestError, match=r"4 x 4 and 8 x 8"):
        Concat().output([Shape(3, 8, 8), Shape(5, 4, 4)])
