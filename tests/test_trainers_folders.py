"""Folders of pictures: classes, given splits, what is no picture, and a sentence for each mistake."""

import os
from pathlib import Path

import pytest
from pictures import write_folder

from search_spaces.errors import RequestError
from trainers import data
from trainers.folders import list_folder
from trainers.source import DataSource


def test_classes_and_pictures_are_found_in_order(tmp_path: Path) -> None:
    write_folder(tmp_path, {"red": 3, "blue": 2})
    (tmp_path / "blue" / "deeper").mkdir()
    os.rename(tmp_path / "blue" / "000.png", tmp_path / "blue" / "deeper" / "a.PNG")
    for other in (".hidden", "notes.txt", "blue/.thumb.png", "blue/readme.md"):
        (tmp_path / other).touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    listing = list_folder(str(tmp_path))
    assert listing.classes == ("blue", "red")
    assert listing.files == ("blue/001.png", "blue/deeper/a.PNG", "red/000.png", "red/001.png", "red/002.png")
    assert listing.labels == [0, 0, 1, 1, 1]
    assert not any(listing.held_out)
    assert listing.read(0) == (tmp_path / "blue" / "001.png").read_bytes()


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    write_folder(tmp_path / "kept", {"red": 2, "blue": 2})
    root = tmp_path / "chosen"
    root.mkdir()
    (root / "red").symlink_to(tmp_path / "kept" / "red")
    (root / "blue").symlink_to(tmp_path / "kept" / "blue")
    (tmp_path / "kept" / "red" / "round").symlink_to(root / "red")
    assert list_folder(str(root)).files == ("blue/000.png", "blue/001.png", "red/000.png", "red/001.png")


def test_the_fingerprint_sees_every_change(tmp_path: Path) -> None:
    write_folder(tmp_path, {"red": 2, "blue": 2})
    before = list_folder(str(tmp_path)).fingerprint
    assert list_folder(str(tmp_path)).fingerprint == before
    path = tmp_path / "red" / "001.png"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    touched = list_folder(str(tmp_path)).fingerprint
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    longer = list_folder(str(tmp_path)).fingerprint
    path.rename(tmp_path / "red" / "002.png")
    renamed = list_folder(str(tmp_path)).fingerprint
    assert len({before, touched, longer, renamed}) == 4


@pytest.mark.parametrize(
    ("others", "held_out"),
    [({"test": 4}, "test"), ({"val": 4}, "val"), ({"valid": 3, "test": 4}, "test"), ({"validation": 5}, "validation")],
)
def test_a_given_part_is_the_test_part_and_all_else_is_split(
    tmp_path: Path, others: dict[str, int], held_out: str
) -> None:
    for number, (part, count) in enumerate({"train": 10, **others}.items()):
        write_folder(tmp_path / part, {"red": count, "blue": count}, first=100 * number)
    listing = list_folder(str(tmp_path))
    assert {file.split("/")[0] for file, out in zip(listing.files, listing.held_out, strict=True) if out} == {held_out}
    found = data.load(tmp_path, resolution=12)
    rest = 2 * sum({"train": 10, **others}.values()) - 2 * others[held_out]
    assert found.test_pictures == 2 * others[held_out]
    assert len(found.train) + len(found.validation) == rest
    assert len(found.validation) == 2 * round(0.2 * rest / 2)
    other = data.load(tmp_path, resolution=12, random_seed=1)
    assert torch_equal(data.test_part(found), data.test_part(other))  # no seed draws from a given part
    assert not torch_equal(found.train, other.train)


def torch_equal(one: data.Part, other: data.Part) -> bool:
    import torch

    places = torch.arange(len(one))
    return len(one) == len(other) and torch.equal(one.read(places), other.read(places))


def test_a_train_folder_alone_is_split_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", {"red": 5, "blue": 5})
    listing = list_folder(str(tmp_path))
    assert listing.classes == ("blue", "red")
    assert not any(listing.held_out)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_folder(tmp_path, {"red": 2})
    os.rename(tmp_path / "red", tmp_path / "train")
    write_folder(tmp_path, {"blue": 2})
    assert list_folder(str(tmp_path)).classes == ("blue", "train")


def wrong_folder(root: Path, what: str) -> None:
    match what:
        case "no classes":
            write_folder(root, {"red": 2})
            os.rename(root / "red" / "000.png", root / "000.png")
            (root / "red" / "001.png").unlink()
            (root / "red").rmdir()
        case "one class":
            write_folder(root, {"red": 2})
        case "empty class":
            write_folder(root, {"red": 2, "blue": 2, "green": 0})
            (root / "green" / "notes.txt").touch()
        case "two validations":
            for part in ("train", "val", "valid"):
                write_folder(root / part, {"red": 2, "blue": 2})
        case "class missing in a part":
            write_folder(root / "train", {"red": 2, "blue": 2})
            write_folder(root / "test", {"red": 2})
        case "class missing in training":
            write_folder(root / "train", {"red": 2, "blue": 2})
            write_folder(root / "test", {"red": 2, "blue": 2, "green": 1})
        case "empty class of a part":
            write_folder(root / "train", {"red": 2, "blue": 2})
            write_folder(root / "test", {"red": 2, "blue": 0})


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("no classes", "holds no folders: put the pictures of each class into a folder of its own"),
        ("one class", "holds one class, 'red': at least two are needed"),
        ("empty class", r"the class 'green' of .* holds no pictures \(.jpg, .*\): fill it, or remove its folder"),
        ("two validations", "holds val and valid, which mean the same: keep one"),
        ("class missing in a part", "the class 'blue' of .* is missing in test: every part must hold the same classes"),
        ("class missing in training", "the class 'green' of .* is missing in train"),
        ("empty class of a part", "the class 'test/blue' of .* holds no pictures"),
    ],
)
def test_a_wrong_folder_is_told(tmp_path: Path, what: str, sentence: str) -> None:
    wrong_folder(tmp_path, what)
    with pytest.raises(RequestError, match=sentence) as caught:
        data.load(tmp_path, resolution=12)
    assert "\n" not in str(caught.value)


def test_shares_and_a_given_test_part_do_not_go_together(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", {"red": 5, "blue": 5})
    write_folder(tmp_path / "test", {"red": 2, "blue": 2})
    with pytest.raises(RequestError, match=r"data.test is 0.1, but .* has a test part of its own: leave data.test out"):
        data.load(DataSource(str(tmp_path), test=0.1), resolution=12)
    assert len(data.load(DataSource(str(tmp_path), validation=0.4), resolution=12).validation) == 4
