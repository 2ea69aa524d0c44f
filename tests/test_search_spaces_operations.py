"""Operations: text forms, shapes and costs, against torch's own counting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from architectures import adaptive_pools, convs, dropouts, linears, local_norms, pools, strided_pools
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import (
    AdaptivePool,
    Concat,
    Conv,
    Dropout,
    Linear,
    LocalNorm,
    Plain,
    Pool,
    Shape,
    parse,
)

WINDOWS = st.one_of(convs(), convs(same=False), pools(), strided_pools())


@given(st.one_of(WINDOWS, local_norms, adaptive_pools, linears, dropouts))
def test_text_gives_back_the_operation(operation: Plain) -> None:
    assert parse(operation.text()) == operation


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("conv 3x3/2 32 valid", Conv((3, 3), 2, False, 32)),
        ("conv 1x7 192", Conv((1, 7), 1, True, 192)),
        ("conv 1x1 64 bias linear", Conv((1, 1), 1, True, 64, norm=False, activation=False)),
        ("max 3x3/2 valid", Pool((3, 3), 2, False)),
        ("avg 3x3 uncounted", Pool((3, 3), kind="avg", counted=False)),
        ("conv 1x1 64 norm bias", Conv((1, 1), 1, True, 64, norm=True, bias=True)),
        ("conv 3x3 64 valid bias", Conv((3, 3), 1, False, 64, norm=False, bias=True)),
        ("max 2x2/2 valid ceil", Pool((2, 2), 2, False, ceil=True)),
        ("avg 3x3/2 ceil uncounted", Pool((3, 3), 2, True, "avg", False, True)),
        ("lrn 5", LocalNorm(5)),
        ("adaptive 4x4", AdaptivePool((4, 4))),
        ("linear 1024 relu", Linear(1024, activation=True)),
        ("linear 10", Linear(10)),
        ("dropout 0.7", Dropout(0.7)),
    ],
)
def test_forms(text: str, operation: Plain) -> None:
    assert parse(text) == operation
    assert operation.text() == text


def test_equal_operations_have_one_form() -> None:
    assert parse("conv 1x1 64 norm") == parse("conv 1x1 64 valid") == Conv((1, 1), width=64)
    assert Conv((1, 1), width=64, norm=False) == Conv((1, 1), width=64, norm=False, bias=True)
    assert parse("max 3x3 ceil") == Pool((3, 3))  # at stride 1 every window is whole


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cnv 3x3 8", "allowed are conv, max, avg, lrn, adaptive, linear and dropout; did you mean 'conv'?"),
        ("conv 3x3", "has no width"),
        ("conv 1x1 6x4", "'6x4' in 'conv 1x1 6x4' is no number of filters"),
        ("conv 3x3 0", "has width 0: allowed are 1 to 65536"),
        ("conv 3x3 99999999", "allowed are 1 to 65536"),
        ("conv 3x3 8 vald", "did you mean 'valid'?"),
        ("conv 2x2 8", "even kernel"),
        ("conv 0x3 8", "must be 1 to 31"),
        ("conv 3x3 -8", "has width -8: allowed are 1 to"),
        ("max 3x3 uncounted", "allowed after max are valid"),
        ("max 3x3 cell", "did you mean 'ceil'?"),
        ("lrn", "write it as 'lrn 5'"),
        ("lrn 99", "sizes must be 1 to 31"),
        ("adaptive 4", "write it as 'adaptive 4x4'"),
        ("adaptive 0x4", "grid sides must be 1 to 31"),
        ("linear 0 relu", "has width 0: allowed are 1 to 65536"),
        ("linear 10 bias", "write it as 'linear 1024 relu'"),
        ("dropout 1.0", "write it as 'dropout 0.5'"),
        ("", "is not an operation"),
        ("conv 3x3 8; import os", "is not an operation"),
    ],
)
def test_wrong_forms_are_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert sentence in str(caught.value)


def test_hashes_are_the_same_in_every_process() -> None:
    """Operations keep their hash and travel between processes, in each of which the hash of a text is another."""
    script = "from search_spaces.operations import parse; print(hash(parse('conv 3x3 8')), hash(parse('avg 3x3/2')))"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": random_seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for random_seed in ("1", "2")
    }
    assert len(found) == 1


@given(WINDOWS, st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_shape_is_torchs(operation: Conv | Pool, channels: int, height: int, width: int) -> None:
    import torch
    from torch import nn

    x = torch.zeros(1, channels, height, width)
    kernel, stride, padding = operation.kernel, operation.stride, operation.padding
    window: nn.Module
    if isinstance(operation, Conv):
        window = nn.Conv2d(channels, operation.width, kernel, stride, padding)
    elif operation.kind == "max":
        window = nn.MaxPool2d(kernel, stride, padding, ceil_mode=operation.ceil)
    else:
        window = nn.AvgPool2d(kernel, stride, padding, ceil_mode=operation.ceil)
    try:
        shape = operation.output([Shape(channels, height, width)])
    except ResolutionError:
        with pytest.raises(RuntimeError):
            window(x)
    else:
        assert tuple(window(x).shape[1:]) == tuple(shape)


def test_rounding_up_by_hand() -> None:
    """The last window must start inside the picture or its left padding, as torch has it."""

    def side(size: int, kernel: int, stride: int, same: bool, ceil: bool = True) -> int:
        return Pool((kernel, kernel), stride, same, ceil=ceil).output([Shape(1, size, size)]).height

    assert [side(size, 3, 2, False) for size in (2, 3, 4, 5, 112)] == [1, 1, 2, 2, 56]
    assert [side(size, 3, 2, False, ceil=False) for size in (3, 4, 5, 112)] == [1, 1, 2, 55]
    assert [side(size, 2, 2, False) for size in (1, 13, 14)] == [1, 7, 7]
    assert [side(size, 3, 2, True) for size in (1, 2, 7, 8)] == [1, 2, 4, 5]
    assert side(5, 1, 3, True) == 2  # a third window would start beyond the picture


def test_costs_by_hand() -> None:
    conv, source = Conv((3, 5), 2, True, 7), Shape(4, 10, 10)
    assert conv.output([source]) == Shape(7, 5, 5)
    assert conv.params([source]) == 3 * 5 * 4 * 7 + 2 * 7
    assert Conv((3, 5), 2, True, 7, norm=False).params([source]) == 3 * 5 * 4 * 7 + 7
    assert Conv((3, 5), 2, True, 7, bias=True).params([source]) == 3 * 5 * 4 * 7 + 3 * 7
    assert conv.macs([source]) == 3 * 5 * 4 * 7 * 25
    assert Linear(10).params([Shape(4, 2, 2)]) == 16 * 10 + 10
    assert Linear(10).macs([Shape(4, 2, 2)]) == 160
    assert LocalNorm(5).output([source]) == source
    assert AdaptivePool((2, 3)).output([source]) == Shape(4, 2, 3)
    assert LocalNorm(5).params([source]) == LocalNorm(5).macs([source]) == AdaptivePool((2, 3)).macs([source]) == 0


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
