"""Data sets: a fixed, stratified split, a test part out of reach, batches that a generator decides."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from search_spaces.errors import RequestError
from trainers import data


@pytest.fixture(scope="module")
def digits() -> data.DataSet:
    return data.load("digits", random_seed=0, resolution=16)


def rows(part: data.Part) -> set[bytes]:
    return {picture.numpy().tobytes() for picture in part.pictures}


def test_split_is_stratified_disjoint_and_whole(digits: data.DataSet) -> None:
    test = data.test_part(digits)
    assert len(digits.train) + len(digits.validation) + len(test) == 1797
    counts = torch.stack([part.labels.bincount() for part in (digits.train, digits.validation, test)])
    shares = counts / counts.sum(0)
    torch.testing.assert_close(shares, torch.tensor([[0.6], [0.2], [0.2]]).expand(3, 10), rtol=0, atol=0.01)
    # All scans differ, so equal pictures would be shared ones.
    assert not rows(digits.train) & rows(digits.validation)
    assert not rows(test) & (rows(digits.train) | rows(digits.validation))


def test_split_depends_on_the_random_seed_alone(digits: data.DataSet) -> None:
    again, other = data.load("digits", random_seed=0), data.load("digits", random_seed=1)
    assert torch.equal(digits.train.pictures, again.train.pictures)
    assert digits.digest == again.digest  # whatever the resolution
    assert digits.digest != other.digest
    assert not torch.equal(digits.train.labels, other.train.labels)


def test_the_test_part_is_no_attribute(digits: data.DataSet) -> None:
    assert {field.name for field in fields(digits)} == {
        "name", "classes", "channels", "resolution", "random_seed", "train", "validation",
        "mean", "deviation", "digest",
    }  # fmt: skip


def test_pictures_on_the_device_are_resized_and_standardised(digits: data.DataSet) -> None:
    pictures, labels = digits.on("cpu", digits.train)
    assert pictures.shape == (len(digits.train), 1, 16, 16)
    assert pictures.dtype == torch.float32
    assert torch.equal(labels, digits.train.labels)
    native, _ = data.load("digits").on("cpu", digits.train)
    assert native.shape[2:] == (8, 8)
    assert native.mean().item() == pytest.approx(0, abs=1e-5)
    assert native.std().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("digit", r"there is no data set 'digit': supported is 'digits'; did you mean 'digits'\?"),
        ("./nowhere", "there is no data folder './nowhere': correct the path, or use a name"),
        (Path("nowhere"), "there is no data folder 'nowhere'"),
        ("/", "'/' cannot be read as a data set: supported is 'digits'"),
    ],
)
def test_what_cannot_be_loaded_is_said(source: str | Path, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        data.load(source)


def test_impossible_resolution_is_refused() -> None:
    with pytest.raises(RequestError, match="a resolution of 0 pixels is not possible"):
        data.load("digits", resolution=0)


def numbered(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count)
    return labels.float()[:, None, None, None].expand(count, 1, 4, 4).contiguous(), labels


def test_batches_are_equal_shuffled_and_repeatable() -> None:
    pictures, labels = numbered(50)

    def epoch(random_seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(random_seed)
        found = list(data.batches(pictures, labels, batch_size=16, generator=generator))
        for batch, truth in found:
            assert torch.equal(batch[:, 0, 0, 0], truth.float())
        return [truth.tolist() for _, truth in found]

    first = epoch(0)
    assert [len(batch) for batch in first] == [16, 16, 16]
    assert len({label for batch in first for label in batch}) == 48
    assert first == epoch(0)
    assert first != epoch(1)
    assert data.steps_per_epoch(data.Part(pictures, labels), 16) == 3


def test_data_smaller_than_a_batch_is_one_batch() -> None:
    found = list(data.batches(*numbered(5), batch_size=16, generator=torch.Generator().manual_seed(0)))
    assert [len(truth) for _, truth in found] == [5]


def test_shift_moves_whole_pictures_and_repeats_edges() -> None:
    picture = torch.arange(20.0).reshape(1, 1, 4, 5)
    moved = data.shifted(picture.expand(200, 1, 4, 5), 1, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")[0, 0]
    allowed = {tuple(padded[y : y + 4, x : x + 5].flatten().tolist()) for y in range(3) for x in range(3)}
    assert {tuple(one.flatten().tolist()) for one in moved} == allowed
