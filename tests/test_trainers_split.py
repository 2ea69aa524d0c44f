"""Splits: pictures that are there more than once stay in one part, are counted, and are told of."""

import logging
from pathlib import Path

import numpy as np
import pytest
from pictures import write_folder

from nas.study import data_sentence
from search_spaces.errors import RequestError
from trainers import data
from trainers.collection import Collection, in_memory
from trainers.source import DataSource
from trainers.split import repeats, split

HERE = DataSource("here.npz")


def collection(first: list[int], labels: list[int] | None = None, held_out: list[bool] | None = None) -> Collection:
    """Pictures of noise; ``first``: of each the row that it is a copy of."""
    noise = np.random.default_rng(0).integers(0, 255, (len(first), 4, 4, 1), dtype=np.uint8)
    truth = np.array([0] * len(first) if labels is None else labels)
    classes = tuple(map(str, range(int(truth.max()) + 1)))
    return in_memory(noise[first], truth, classes, held_out=None if held_out is None else np.array(held_out))


@pytest.mark.parametrize("random_seed", range(20))
def test_copies_stay_in_one_part_and_shares_are_kept(random_seed: int) -> None:
    generator = np.random.default_rng(random_seed)
    first = np.minimum(generator.integers(0, 200, 200), np.arange(200)).tolist()
    for row in range(200):  # of a copy of a copy: the first one
        first[row] = first[first[row]]
    whole = collection(first, (np.arange(200) % 2).tolist())
    assert whole.first.tolist() == first
    parts = split(whole, HERE, random_seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    where = {row: part for part, rows in enumerate(parts) for row in rows.tolist()}
    assert all(where[row] == where[first[row]] for row in range(200))
    assert [len(rows) for rows in parts] == pytest.approx([120, 40, 40], abs=25)
    assert repeats(whole).count == 200 - len(set(first))


def test_without_copies_a_split_is_what_it_was() -> None:
    whole = collection(list(range(50)), [0] * 30 + [1] * 20)
    generator = np.random.Generator(np.random.PCG64(3))
    chunks = [np.split(generator.permutation(rows), ends) for rows, ends in (
        (np.arange(30), [18, 24]), (np.arange(30, 50), [12, 16])
    )]  # fmt: skip
    for part, rows in enumerate(split(whole, HERE, 3)):
        assert rows.tolist() == sorted(np.concatenate([chunk[part] for chunk in chunks]).tolist())
    assert repeats(whole).sentence("here", str) is None


def test_pictures_whose_sums_agree_are_looked_at() -> None:
    pixels = np.zeros((3, 2, 2, 1), np.uint8)
    pixels[0, 0, 0], pixels[1, 1, 1], pixels[2, 0, 0] = 9, 9, 9
    assert in_memory(pixels, np.zeros(3, np.int64), ("a",)).first.tolist() == [0, 1, 0]


def test_a_class_with_too_few_different_pictures_is_told() -> None:
    with pytest.raises(RequestError, match=r"class '0' of 'here.npz' has 10 pictures, 2 of them distinct"):
        split(collection([0] * 5 + [5] * 5), HERE, 0)
    three = split(collection([0] * 8 + [8, 9]), HERE, 0)  # one picture for each part
    assert sorted(map(len, three)) == [1, 1, 8]


def test_a_test_part_of_its_own_that_was_trained_on_is_told() -> None:
    whole = collection([*range(20), 3, *range(21, 30), 3, 21], held_out=[False] * 20 + [True] * 12)
    found = repeats(whole)
    assert (found.count, found.leaked) == (3, ((20, 3), (30, 3)))
    said = found.sentence("here", "row {}".format)
    assert said is not None
    assert "2 pictures of its test part are also among those to train and validate on (row 20 is row 3)" in said
    assert split(whole, HERE, 0)[2].tolist() == list(range(20, 32))


def test_a_folder_with_copies_is_told_of_once_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_folder(tmp_path / "p", {"red": 20, "blue": 20})
    for number in (3, 4):
        (root / "red" / f"copy{number}.png").write_bytes((root / "red" / f"{number:03}.png").read_bytes())
    with caplog.at_level(logging.WARNING, "nas.trainers"):
        found = data.load(root, resolution=12)
        data.load(root, resolution=12, random_seed=1)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "2 pictures are the same as another one (red/copy3.png is red/003.png)" in said
    facts = found.split_facts()
    assert (facts["repeated"], facts["leaked"]) == (2, 0)
    assert "repeated pictures, each in the part of the other: 2" in data_sentence({"data": "p", "data_split": facts})
    parts = (found.train, found.validation, data.test_part(found))
    seen = [{found.train._all[row].tobytes() for row in part._rows} for part in parts]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 40
