"""Data sets of Hugging Face: the library itself where it is installed, and its absence."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import COLOURS, noise
from PIL import Image

from search_spaces.errors import RequestError
from trainers import data
from trainers.source import DataSource


def test_without_the_library_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        RequestError, match=r"'hf:cifar10' needs the package datasets: pip install 'inception-nas\[hugg"
    ):
        data.load("hf:cifar10")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("INCEPTION_NAS_CACHE", str(tmp_path / "cache"))
    return pytest.importorskip("datasets", exc_type=ImportError)


def part(datasets: Any, count: int, first: int, *, unknown: bool = False, **more: Any) -> Any:
    names = list(COLOURS)
    labels = [number % 3 for number in range(count)]
    pictures = [
        {"bytes": png(noise(COLOURS[names[label]], (12, 12), first + number)), "path": None}
        for number, label in enumerate(labels)
    ]
    columns = {"img": pictures, "label": [-1] * count if unknown else labels, **more}
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    features |= {name: datasets.ClassLabel(names=["a", "b"]) for name in more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def kept(datasets: Any, folder: Path, **parts: Any) -> str:
    datasets.DatasetDict(parts).save_to_disk(str(folder))
    return f"hf:{folder}"


def test_a_data_set_is_read_and_its_test_part_held_out(datasets: Any, tmp_path: Path) -> None:
    source = kept(
        datasets,
        tmp_path / "three",
        train=part(datasets, 30, 0),
        validation=part(datasets, 15, 100),
        test=part(datasets, 12, 200),
    )
    found = data.load(source, resolution=12)
    assert found.classes == ("blue", "green", "red")
    assert (len(found.train) + len(found.validation), found.test_pictures) == (45, 12)
    test = data.test_part(found)
    for number, (pixels, label) in enumerate(zip(test.read(torch.arange(12)), test.labels, strict=True)):
        assert np.array_equal(pixels.numpy(), noise(COLOURS[found.classes[label]], (12, 12), 200 + number))
    assert data.load(source, resolution=12).digest == found.digest
    assert data.load(source, resolution=12, random_seed=1).digest != found.digest


def test_a_test_part_without_labels_is_none(datasets: Any, tmp_path: Path) -> None:
    source = kept(
        datasets,
        tmp_path / "hidden",
        train=part(datasets, 30, 0),
        validation=part(datasets, 15, 100),
        test=part(datasets, 12, 200, unknown=True),
    )
    found = data.load(source, resolution=12)
    assert found.test_pictures == 15
    assert len(found.train) + len(found.validation) == 30


def test_one_part_is_split_in_three(datasets: Any, tmp_path: Path) -> None:
    part(datasets, 30, 0).save_to_disk(str(tmp_path / "one"))
    found = data.load(DataSource(f"hf:{tmp_path / 'one'}", test=0.1), resolution=12)
    assert (len(found.train), len(found.validation), found.test_pictures) == (21, 6, 3)


def test_a_column_of_labels_is_chosen(datasets: Any, tmp_path: Path) -> None:
    source = kept(datasets, tmp_path / "two", train=part(datasets, 30, 0, coarse=[0, 1] * 15))
    with pytest.raises(
        RequestError, match=r"has several columns of class labels: there are label, coarse; name one in"
    ):
        data.load(source, resolution=12)
    with pytest.raises(RequestError, match=r"has no column 'fine' of class labels: there are label, coarse"):
        data.load(DataSource(source, label="fine"), resolution=12)
    assert data.load(DataSource(source, label="coarse"), resolution=12).classes == ("a", "b")


def test_a_folder_builder_of_the_library(datasets: Any, tmp_path: Path) -> None:
    """By ``load_dataset``, without a network: a name that is a local folder."""
    from pictures import write_folder

    write_folder(tmp_path / "p" / "train", {"red": 6, "blue": 6})
    found = data.load(f"hf:{tmp_path / 'p'}", resolution=12)
    assert found.classes == ("blue", "red")
    assert len(found.train) + len(found.validation) + found.test_pictures == 12


def test_what_cannot_be_had_is_told(datasets: Any, tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match=r"the data set 'hf:no/such' cannot be had \(.*\): check the name and the net"
    ):
        data.load("hf:no/such")
    plain = datasets.Dataset.from_dict({"text": ["a", "b"]})
    plain.save_to_disk(str(tmp_path / "text"))
    with pytest.raises(RequestError, match=r"has not one column of pictures: there are none; its columns are text"):
        data.load(f"hf:{tmp_path / 'text'}")
    with pytest.raises(RequestError, match="holds the parts test: one named 'train' is needed"):
        data.load(kept(datasets, tmp_path / "half", test=part(datasets, 3, 0)))


# ----------------------------------------------------------------------------- where the library is not installed


class PictureFeature:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Rows:
    """As much of a data set as is asked for: columns by name, rows by number, pictures as bytes."""

    _fingerprint = "1"

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features = columns, features

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return {name: column[key] for name, column in self.columns.items()}

    def select_columns(self, names: list[str]) -> "Rows":
        return Rows({name: self.columns[name] for name in names}, {name: self.features[name] for name in names})

    def cast_column(self, name: str, feature: PictureFeature) -> "Rows":
        assert not feature.decode
        return self


def test_a_stand_in_for_the_library_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bytes, and paths where there are none; a configuration; a row without a label."""
    from types import ModuleType

    monkeypatch.setenv("INCEPTION_NAS_CACHE", str(tmp_path / "cache"))
    names = list(COLOURS)
    pictures: list[dict[str, Any]] = []
    for number in range(31):
        content = png(noise(COLOURS[names[number % 3]], (12, 12), number))
        (tmp_path / f"{number}.png").write_bytes(content)
        pictures.append({"bytes": content} if number % 2 else {"bytes": None, "path": str(tmp_path / f"{number}.png")})
    labels = [*(number % 3 for number in range(30)), None]
    rows = Rows({"image": pictures, "label": labels}, {"image": PictureFeature(), "label": ClassLabel(names)})
    asked: list[Any] = []
    module: Any = ModuleType("datasets")
    module.Image, module.ClassLabel = PictureFeature, ClassLabel
    module.load_dataset = lambda *name: asked.append(name) or {"train": rows}
    monkeypatch.setitem(sys.modules, "datasets", module)
    found = data.load("hf:somebody/colours:small", resolution=12)
    assert asked == [("somebody/colours", "small")]
    assert found.classes == tuple(names)
    assert len(found.train) + len(found.validation) + found.test_pictures == 30
    whole = found.train._all
    for number in range(30):
        assert np.array_equal(whole[number], noise(COLOURS[names[number % 3]], (12, 12), number))
