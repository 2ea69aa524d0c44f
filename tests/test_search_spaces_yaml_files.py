"""YAML: strict in, readable out."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import RequestError
from search_spaces.yaml_files import read_file, read_text, write_text

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read_text(write_text(value)).data == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("~", None),
        ("true", True),
        ("'1'", "1"),
        ("-.5", -0.5),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert read_text(text).data == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: the key 'a' stands twice"),
        ("a: &x 1\nb: *x", "f.yaml:1: anchors and aliases"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml:1: the tag"),
        ("- " * 60 + "x", "nested deeper than 40"),
        ("{1: 2, [a]: 3}", "a key must be plain text"),
        ("a: .nan", "not a finite number"),
        ("a: .inf", "not a finite number"),
        ("a: [1, 2", "not valid YAML"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("a: \x00", "not valid YAML"),
        ("? {a: b}\n: c", "a key must be plain text"),
        ("x: " + "y" * 2_000_000, "larger than"),
    ],
)
def test_what_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_text(text, "f.yaml")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_are_known() -> None:
    document = read_text("a:\n  - b\n  - c: 1\n", "f.yaml")
    with pytest.raises(RequestError, match=r"f\.yaml:3: here"):
        document.fail(("a", 1, "c", "deeper"), "here")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no file"):
        read_file(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\xff")
    with pytest.raises(RequestError, match="not UTF-8"):
        read_file(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"a" * 10_000_000)
    with pytest.raises(RequestError, match="larger than"):
        read_file(tmp_path / "large.yaml")


def test_numbers_stay_exact() -> None:
    for number in (0.1, 1e-300, 1e300, math.pi, 5e-324):
        assert read_text(write_text({"x": number})).data == {"x": number}
