"""Data sets: a fixed, stratified split, a test part out of reach, sentences for what cannot be loaded."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces.errors import RequestError
from trainers import data
from trainers.collection import in_memory
from trainers.feed import Feed
from trainers.source import DataSource


@pytest.fixture(scope="module")
def digits() -> data.DataSet:
    return data.load("digits", random_seed=0, resolution=16)


def pictures(part: data.Part) -> torch.Tensor:
    return part.read(torch.arange(len(part)))


def rows(part: data.Part) -> set[bytes]:
    return {picture.numpy().tobytes() for picture in pictures(part)}


def test_split_is_stratified_disjoint_and_whole(digits: data.DataSet) -> None:
    test = data.test_part(digits)
    assert len(digits.train) + len(digits.validation) + len(test) == 1797
    assert digits.test_pictures == len(test)
    counts = torch.stack([part.labels.bincount() for part in (digits.train, digits.validation, test)])
    shares = counts / counts.sum(0)
    torch.testing.assert_close(shares, torch.tensor([[0.6], [0.2], [0.2]]).expand(3, 10), rtol=0, atol=0.01)
    # All scans differ, so equal pictures would be shared ones.
    assert not rows(digits.train) & rows(digits.validation)
    assert not rows(test) & (rows(digits.train) | rows(digits.validation))


def test_split_depends_on_the_random_seed_and_the_shares_alone(digits: data.DataSet) -> None:
    again, other = data.load("digits", random_seed=0), data.load("digits", random_seed=1)
    assert torch.equal(pictures(digits.train), pictures(again.train))
    assert digits.digest == again.digest  # whatever the resolution
    assert digits.split_digest == again.split_digest
    assert digits.digest != other.digest
    assert not torch.equal(digits.train.labels, other.train.labels)
    shares = data.load(DataSource("digits", validation=0.1, test=0.3))
    assert shares.digest != digits.digest
    assert len(shares.train) == pytest.approx(0.6 * 1797, abs=6)
    assert len(shares.validation) == pytest.approx(0.1 * 1797, abs=6)
    assert shares.test_pictures == pytest.approx(0.3 * 1797, abs=6)


def test_pixels_stay_with_their_labels(digits: data.DataSet) -> None:
    from sklearn.datasets import load_digits

    scans, labels = load_digits(return_X_y=True)
    known = {scan.astype(np.uint8).tobytes(): int(label) for scan, label in zip(scans, labels, strict=True)}
    for part in (digits.train, digits.validation, data.test_part(digits)):
        found = [known[picture.numpy().tobytes()] for picture in pictures(part)]
        assert found == part.labels.tolist()


def test_the_test_part_is_no_attribute(digits: data.DataSet) -> None:
    assert {field.name for field in fields(digits)} == {
        "source", "classes", "channels", "resolution", "random_seed", "train", "validation", "test_pictures",
        "damaged", "repeated", "leaked", "mean", "deviation", "white", "split_digest", "digest",
    }  # fmt: skip


def test_facts_are_plain(digits: data.DataSet) -> None:
    assert digits.split_facts() == {
        "classes": 10,
        "training": 1078,
        "validation": 360,
        "test": 359,
        "damaged": 0,
        "repeated": 0,
        "leaked": 0,
        "random_seed": 0,
        "digest": digits.split_digest,
    }


def test_mean_and_deviation_are_those_of_the_training_part(digits: data.DataSet) -> None:
    pixels = pictures(digits.train).double()
    assert digits.mean[0] == pytest.approx(pixels.mean().item(), rel=1e-12)
    assert digits.deviation[0] == pytest.approx(pixels.std().item(), rel=1e-12)
    native = data.load("digits")
    (seen, _), *_ = Feed(native, native.train, "cpu").ordered(10_000)
    assert seen.shape == (len(native.train), 1, 8, 8)
    assert seen.mean().item() == pytest.approx(0, abs=1e-5)
    assert seen.std().item() == pytest.approx(1, abs=1e-5)


def test_moments_of_large_white_pictures_do_not_overflow() -> None:
    pixels = np.full((2, 300, 300, 3), 255, np.uint8)
    pixels[0, ..., 1] = 0
    whole = in_memory(pixels, np.array([0, 1]), ("a", "b"))
    mean, deviation = whole.moments(np.array([0, 1]))
    assert mean == (255.0, 127.5, 255.0)
    assert deviation == pytest.approx((1e-6, 127.5, 1e-6), rel=1e-5)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("digit", r"there is no data set 'digit': supported are 'digits', .* and 'hf:NAME'.*; did you mean 'digits'\?"),
        ("./nowhere", "there is no data folder './nowhere': correct the path, or use a name"),
        (Path("nowhere/else"), "there is no data folder 'nowhere/else'"),
        (__file__, "cannot be read as a data set: supported are 'digits', a folder of pictures"),
        ("", "data.source is '': supported are"),
    ],
)
def test_what_cannot_be_loaded_is_said(source: str | Path, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        data.load(source)


def test_impossible_resolution_is_refused() -> None:
    with pytest.raises(RequestError, match="a resolution of 0 pixels is not possible"):
        data.load("digits", resolution=0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"side": 0}, "data.side is 0: a whole number from 1 to 4096 is allowed"),
        ({"side": True}, "data.side is True"),
        ({"source": "digits", "side": 8}, "data.side does not belong to 'digits'"),
        ({"source": "a.npz", "side": 8}, "data.side does not belong to 'a.npz'"),
        ({"damaged": 1.0}, "data.damaged is 1.0: a share from 0 and below 1 is allowed"),
        ({"validation": 0}, "data.validation is 0: a share above 0 and below 1 is allowed"),
        ({"test": float("nan")}, "data.test is nan"),
        ({"validation": 0.9, "test": 0.1}, "leaves nothing to train on"),
        ({"validation": 0.8}, "data.validation is 0.8 and data.test 0.2, which leaves nothing"),
        ({"label": "fine"}, "data.label belongs to data sets of Hugging Face"),
    ],
)
def test_a_wrong_source_is_told(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        DataSource(**{"source": "pictures", **wrong})  # type: ignore[arg-type]


def test_a_class_too_small_to_be_split_is_told(tmp_path: Path) -> None:
    pixels = np.arange(14 * 16, dtype=np.uint8).reshape(14, 4, 4)
    np.savez(tmp_path / "few.npz", images=pixels[:13], labels=np.array([0] * 10 + [1] * 3))
    with pytest.raises(
        RequestError, match=r"class '1' of .* has 3 pictures .* 60% training, .*: at least 4 are needed"
    ):
        data.load(tmp_path / "few.npz")
    np.savez(tmp_path / "few.npz", images=pixels, labels=np.array([0] * 10 + [1] * 4))
    found = data.load(tmp_path / "few.npz")
    for part in (found.train, found.validation, data.test_part(found)):
        assert set(part.labels.tolist()) == {0, 1}


def test_a_source_is_written_as_short_as_it_can_be() -> None:
    assert DataSource("digits").as_data() == "digits"
    long = DataSource("pictures", side=40, test=0.1)
    assert long.as_data() == {"source": "pictures", "side": 40, "test": 0.1}
    assert DataSource.from_data(long.as_data()) == long
    assert DataSource.from_data("digits") == DataSource("digits")


def test_a_share_is_stratified_nested_and_known_by_its_digest(digits: data.DataSet) -> None:
    half, tenth = (digits.reduced(resolution=8, share=share) for share in (0.5, 0.1))
    whole = torch.bincount(digits.train.labels)
    for reduced, share in ((half, 0.5), (tenth, 0.1)):
        assert torch.bincount(reduced.train.labels).tolist() == [round(share * int(count)) for count in whole]
        assert torch.equal(reduced.validation.labels, digits.validation.labels)
        assert (reduced.mean, reduced.deviation) == (digits.mean, digits.deviation)
    rows = [set(part.train._rows.tolist()) for part in (digits, half, tenth)]
    assert rows[2] < rows[1] < rows[0]
    place = half.train._rows.tolist().index(tenth.train._rows[0])
    assert torch.equal(tenth.train.read(torch.tensor([0])), half.train.read(torch.tensor([place])))
    assert len({digits.digest, half.digest, tenth.digest}) == 3
    assert digits.reduced(resolution=16).digest == digits.digest
    assert digits.reduced(resolution=16).resolution == 16
