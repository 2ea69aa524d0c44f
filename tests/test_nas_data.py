"""A search over a folder of pictures: the test part is left alone, the split is recorded, changed data are refused."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import write_folder
from rich.console import Console

from nas.candidate import Candidate
from nas.conclude import conclude
from nas.config import DATA_SPLIT, MAY_DIFFER, SPACE_DIGEST, SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import Job
from nas.progress import Shown
from nas.rungs import Rung
from nas.runs import LEDGER
from nas.study import Study
from results.ledger import Ledger
from results.outcome import Outcome
from search_spaces.errors import RequestError
from search_spaces.space import space
from trainers import data
from trainers.cache import PICTURES, cache_folder


def config(root: Path, **changes: Any) -> SearchConfig:
    least = {"study": "s", "data": str(root), "trials": 1, "executor": {"name": "inline"}, "sampler": "random"}
    proxy = {"resolution": 12, "width": 0.0625}
    recipe = {"epochs": 6, "batch_size": 32, "learning_rate": 0.1, "momentum": 0.8, "dropout": 0.0, "flip": True}
    return SearchConfig.from_data({**least, "proxy": proxy, "recipe": recipe, **changes})


def searched(root: Path, runs: Path, **changes: Any) -> Study:
    return run(config(root, **changes), runs, executor=InlineExecutor())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("p") / "colours", {"red": 60, "green": 60, "blue": 60})


@pytest.fixture(scope="module")
def clean(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return searched(root, tmp_path_factory.mktemp("runs"))


def test_a_search_never_reads_the_test_part(
    root: Path, clean: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by what it asks for, nor by what comes of it when those pictures are other ones."""
    loaded = data.load(root, resolution=12)
    test = data.test_part(loaded)
    (path,) = cache_folder().glob(f"colours-*/12px/{PICTURES}")
    written = path.stat()
    pixels = np.memmap(path, np.uint8, "r+", shape=(180, 12, 12, 3))
    before = pixels[test._rows].copy()
    pixels[test._rows] = np.roll(before, len(before) // 3, axis=0)  # each class looks like another
    pixels.flush()
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))  # or the cache would be checked, and made anew
    asked: list[np.ndarray] = []
    read = data.Part.read

    def spied(part: data.Part, indices: Any, **options: Any) -> Any:
        asked.append(part._rows[indices.numpy()])
        return read(part, indices, **options)

    monkeypatch.setattr(data.Part, "read", spied)
    try:
        poisoned = searched(root, tmp_path)
        rows = set(np.concatenate(asked).tolist())
        assert rows == set(range(180)) - set(test._rows.tolist())
        assert poisoned.record.data_digest == clean.record.data_digest
        assert poisoned.trials[0].values == clean.trials[0].values
        assert [m.values for m in poisoned.trials[0].measurements] == [m.values for m in clean.trials[0].measurements]
        assert conclude(poisoned).test_error > 0.6  # each class was taken for another
        assert set(np.concatenate(asked).tolist()) == set(range(180))  # now it is
    finally:
        pixels[test._rows] = before
        pixels.flush()
        os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert conclude(clean).test_error < 0.5


def test_the_split_is_recorded_and_shown(root: Path, clean: Study, capsys: pytest.CaptureFixture[str]) -> None:
    from nas.cli import nas

    loaded = data.load(root, resolution=12)
    assert clean.record.search[DATA_SPLIT] == loaded.split_facts()
    assert clean.record.search[DATA_SPLIT] | {"digest": ""} == {
        "classes": 3, "training": 108, "validation": 36, "test": 36, "damaged": 0, "repeated": 0, "leaked": 0,
        "random_seed": 0, "digest": "",
    }  # fmt: skip
    nas(["status", "s", "--runs", str(clean.runs)], standalone_mode=False)
    assert (
        f"data {root}: 108 pictures for training, 36 for validation, 36 for the test, 3 classes; "
        f"split {loaded.split_digest[:12]} by random seed 0\n"
    ) in capsys.readouterr().out


def test_a_ledger_from_before_splits_were_recorded_is_read_and_goes_on(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas.cli import nas

    loaded = data.load(root, resolution=12)
    resolved = config(root).with_classes(3)
    old = {**resolved.as_data(), SPACE_DIGEST: space("inception", 299).digest}
    objectives: Any = dict.fromkeys(resolved.objectives, "minimize")
    with Ledger.open(tmp_path / LEDGER, create=True) as ledger:
        ledger.create_study("s", old, objectives, {}, loaded.digest, may_differ=MAY_DIFFER)
    nas(["status", "s", "--runs", str(tmp_path)], standalone_mode=False)
    assert capsys.readouterr().out == "s: interrupted, 0 trials\n"
    study = searched(root, tmp_path)
    assert study.outcomes()["complete"] == 1
    assert study.record.search[DATA_SPLIT] == loaded.split_facts()


def test_other_data_are_refused(root: Path, clean: Study, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "colours", {"red": 60, "green": 60, "blue": 60})
    study = searched(other, tmp_path / "runs")
    assert study.record.data_digest == clean.record.data_digest  # the same pictures in another place
    (other / "red" / "000.png").unlink()
    with pytest.raises(RequestError, match="was started with data_digest"):
        searched(other, tmp_path / "runs", trials=2)
    with pytest.raises(RequestError, match=r"the data '.*' are not those that the study began with: bring"):
        conclude(study)
    with pytest.raises(RequestError, match=r"was started with data .*, and now data is"):
        searched(other, tmp_path / "runs", data={"source": str(other), "validation": 0.3})


def test_a_worker_refuses_data_that_changed_meanwhile(root: Path, tmp_path: Path) -> None:
    from dataclasses import asdict

    from search_spaces.seeds import seed

    recipe = asdict(config(root).recipe)
    architecture = seed("inception-v3").as_data()
    source = {"source": str(root), "validation": 0.1}
    job = Job(
        0,
        architecture,
        [asdict(Rung(12, 0.0625, 1.0, recipe["epochs"], recipe["epochs"], 0))],
        source,
        recipe,
        0,
        str(tmp_path / "0"),
        data_digest="another",
    )
    report = Candidate(job).step()
    assert report.outcome is Outcome.BROKEN
    assert "are not those that the study began with" in report.reason


def test_jobs_carry_an_absolute_path(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may have another current folder."""
    monkeypatch.chdir(root.parent)
    jobs: list[Job] = []

    class Kept(Candidate):
        def __init__(self, job: Job) -> None:
            jobs.append(job)
            monkeypatch.chdir(tmp_path)
            super().__init__(job)

    study = run(config(Path("colours")), tmp_path, executor=InlineExecutor(), make=Kept)
    assert study.outcomes()["complete"] == 1
    assert jobs[0].data == str(root)
    assert study.record.search["data"] == "colours"


@pytest.mark.parametrize("terminal", [True, False])
def test_decoding_is_shown(tmp_path: Path, terminal: bool) -> None:
    root = write_folder(tmp_path / "new", {"red": 150, "blue": 150}, size=(6, 6))
    said = io.StringIO()
    shown = Shown(Console(file=said, force_terminal=terminal, width=100))
    with shown.decoding("new") as progress:
        data.load(root, resolution=6, progress=progress)
    first = said.getvalue()
    if terminal:
        assert "pictures decoded" in first
        assert "300/300" in first
    else:
        assert first.splitlines()[-1] == "new: 300 of 300 pictures decoded"
        assert len(first.splitlines()) == 4
    with shown.decoding("new") as progress:
        data.load(root, resolution=6, progress=progress)
    assert said.getvalue() == first  # there is a cache


def test_ctrl_c_while_decoding_leaves_no_study(root: Path, tmp_path: Path) -> None:
    fresh = write_folder(tmp_path / "fresh", {"red": 10, "blue": 10}, size=(7, 7))

    class Interrupted(Shown):
        def begin(self, *arguments: Any) -> None:
            raise AssertionError("it went on")

    shown = Interrupted(Console(file=io.StringIO()))

    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    shown.console.print = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(config(fresh), tmp_path / "runs", progress=shown)
    assert not (tmp_path / "runs").exists()
    assert not list(cache_folder().glob("fresh-*/*px"))
