"""Arrays in an .npz file: every documented form, and a sentence for each other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_spaces.errors import RequestError
from trainers.arrays import read_arrays

COLOUR = np.random.default_rng(0).integers(0, 256, (10, 6, 6, 3), np.uint8)
LABELS = np.array([0, 1] * 5)


def read(tmp_path: Path, **arrays: Any) -> Any:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return read_arrays(str(path))


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (COLOUR[..., 0], COLOUR[..., :1]),
        (COLOUR[:, :, :4], COLOUR[:, 1:5, :4]),
        (COLOUR[:, :3, :, :], COLOUR[:, :3, 1:4]),  # channels last where both are possible
    ],
)
def test_every_form_is_read(tmp_path: Path, images: np.ndarray, expected: np.ndarray) -> None:
    for names in (("images", "labels"), ("x", "y")):
        found = read(tmp_path, **dict(zip(names, (images, LABELS.astype(np.int32)[:, None]), strict=True)))
        assert np.array_equal(found.pixels, expected)
        assert np.array_equal(found.labels, LABELS)
        assert not found.held_out.any()
        assert found.classes == ("0", "1")


def test_a_given_test_part_is_held_out(tmp_path: Path) -> None:
    keras = read(tmp_path, x_train=COLOUR[:6], y_train=LABELS[:6], x_test=COLOUR[6:], y_test=LABELS[6:])
    names = {"train": slice(0, 4), "val": slice(4, 6), "test": slice(6, 10)}
    arrays = {f"{part}_images": COLOUR[where] for part, where in names.items()}
    arrays |= {f"{part}_labels": LABELS[where, None] for part, where in names.items()}
    for found in (keras, read(tmp_path, **arrays)):
        assert np.array_equal(found.pixels, COLOUR)
        assert found.held_out.tolist() == [False] * 6 + [True] * 4
    assert not read(tmp_path, x_train=COLOUR, y_train=LABELS).held_out.any()


def test_classes_have_names(tmp_path: Path) -> None:
    assert read(tmp_path, images=COLOUR, labels=LABELS, classes=np.array(["cat", "dog"])).classes == ("cat", "dog")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    first = read(tmp_path, images=COLOUR, labels=LABELS)
    assert read_arrays(str(tmp_path / "a.npz")) is first
    assert read(tmp_path, images=COLOUR + 1, labels=LABELS).digest != first.digest


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": COLOUR}, r"holds pictures: 'images' and 'labels' are needed .*; write it with these names"),
        ({}, "holds nothing"),
        ({"images": COLOUR.astype(float), "labels": LABELS}, r"'images' of .* is float64 of the form \(10, 6, 6, 3\)"),
        ({"images": COLOUR[0, 0], "labels": LABELS}, r"is uint8 of the form \(6, 3\): allowed is uint8 of the form"),
        ({"images": COLOUR[:0], "labels": LABELS[:0]}, r"of the form \(0, 6, 6, 3\)"),
        ({"images": np.zeros((10, 6, 6, 5), np.uint8), "labels": LABELS}, r"has the form \(10, 6, 6, 5\)"),
        (
            {"images": COLOUR, "labels": LABELS[:9]},
            r"'labels' of .* is int64 of the form \(9,\): a whole",
        ),
        ({"images": COLOUR, "labels": LABELS / 2}, "'labels' of .* is float64"),
        (
            {"images": COLOUR, "labels": LABELS * 2},
            "the labels of .* are 0, 2: they must be 0, 1 and so on",
        ),
        ({"images": COLOUR, "labels": LABELS - 1}, "the labels of .* are -1, 0"),
        ({"images": COLOUR, "labels": LABELS * 0}, "the labels of .* are 0: .* two at least"),
        (
            {"images": COLOUR, "labels": LABELS, "classes": np.array(["cat"])},
            r"'classes' .* a text for each of",
        ),
        (
            {"x_train": COLOUR, "y_train": LABELS, "x_test": COLOUR[:, :4, :4], "y_test": LABELS},
            "hold pictures of several shapes",
        ),
    ],
)
def test_wrong_arrays_are_told(tmp_path: Path, arrays: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence) as caught:
        read(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    trap = np.array([Trap()], dtype=object)
    with pytest.raises(RequestError, match=r"cannot be read as arrays \(it holds Python objects\)"):
        read(tmp_path, images=COLOUR, labels=trap)
    np.save(tmp_path / "b.npy", trap, allow_pickle=True)
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(RequestError, match="cannot be read as arrays"):
        read_arrays(str(tmp_path / "b.npz"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"\x93NUMPY\x01\x00"])
def test_what_is_no_npz_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(RequestError, match="cannot be read as arrays"):
        read_arrays(str(tmp_path / "c.npz"))


def test_a_damaged_npz_is_told(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", images=COLOUR, labels=LABELS)
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[200:220] = bytes(20)
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(RequestError, match="cannot be read as arrays"):
        read_arrays(str(tmp_path / "d.npz"))


def test_one_array_is_no_set_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", COLOUR)
    (tmp_path / "e.npy").rename(tmp_path / "e.npz")
    with pytest.raises(RequestError, match=r"no archive of named arrays.*numpy.savez"):
        read_arrays(str(tmp_path / "e.npz"))


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(RequestError, match=r"there is no data folder './none.npz'"):
        read_arrays("none.npz")
