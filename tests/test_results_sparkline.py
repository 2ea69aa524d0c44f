"""Curves and shares in one line."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.sparkline import shares_bar, sparkline


def test_a_curve_goes_from_its_lowest_to_its_highest():
    assert sparkline([0.8, 0.4, 0.0], 9) == "█▅▁"
    assert sparkline([0.0, 1.0, math.nan, 0.5], 9, ascii_only=True) == "_@ +"
    assert sparkline([0.5, 0.5], 9) == "▁▁"
    assert sparkline([], 9) == ""


def test_of_a_long_curve_the_first_and_last_value_stay():
    line = sparkline([1.0, *[0.5] * 97, 0.0], 10)
    assert (len(line), line[0], line[-1]) == (10, "█", "▁")
    assert sparkline([1.0, 0.0, 0.3], 1) == "▁"


@given(st.dictionaries(st.sampled_from("#=.,d!"), st.integers(0, 10_000)), st.integers(1, 60))
def test_a_bar_is_full_and_shows_every_count(counts, width):
    bar = shares_bar(counts, width)
    held = [mark for mark, count in counts.items() if count]
    assert len(bar) == (max(width, len(held)) if held else 0)
    total = sum(counts.values())
    for mark in held:
        assert bar.count(mark) >= 1
        share = max(0, width - len(held)) * counts[mark] / total
        assert bar.count(mark) == pytest.approx(1 + share, abs=1)
