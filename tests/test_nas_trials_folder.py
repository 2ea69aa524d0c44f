"""Whose a folder of trials is: another ledger is refused, an older copy of the ledger loses no files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import WEIGHTS, Job, Report
from nas.runs import LEDGER, Runs
from nas.storage import folder_at
from nas.study import Study
from nas.trials_folder import OWNER, set_aside
from results.outcome import Outcome
from search_spaces.errors import NotWritten, RequestError


class Fake:
    """A worker that trains nothing, and leaves weights that say of which run they are."""

    mark = b""

    def __init__(self, job: Job) -> None:
        self.job, self.store = job, folder_at(job.folder)

    def step(self) -> Report:
        """One epoch is all."""
        self.store.write(WEIGHTS, type(self).mark)
        values = {"error": len(str(self.job.architecture)) % 97 / 100}
        return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE)


Search = Callable[..., Study]


@pytest.fixture(params=["path", "url"])
def search(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Run a search whose trials lie in ``there``, at a path or a URL."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    storage = f"file://{tmp_path}/there" if request.param == "url" else str(tmp_path / "there")

    def run_it(runs: Path | Runs, mark: bytes = b"", **changes: Any) -> Study:
        least = {"study": "s", "data": "digits", "trials": 3, "proxy": {"resolution": 8}, "recipe": {"epochs": 1}}
        config = {**least, "seeds": [], "sampler": "random", "executor": "inline", "storage": storage, **changes}
        worker = type("Worker", (Fake,), {"mark": mark})
        (tmp_path / "there").mkdir(exist_ok=True)
        return run(SearchConfig.from_data(config), runs, executor=InlineExecutor(), make=worker)

    return run_it


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_another_ledger_is_refused_and_deletes_nothing(search: Search, tmp_path: Path) -> None:
    """As where the variable that names a ledger was forgotten."""
    trials = tmp_path / "there" / "s" / "trials"
    first = search(tmp_path / "runs", b"first")
    before = _files(trials)
    assert set(before) == {OWNER, *(f"{trial.number}/{WEIGHTS}" for trial in first.trials if trial.values)}
    sentence = (
        rf"the ledger .*empty.* has no study 's', and the trials in '.*there/s/trials' are those of the one that was "
        rf"begun at {first.record.created_at[:19]}.* in the ledger .*runs/{LEDGER}: name their ledger \(--ledger or"
    )
    with pytest.raises(RequestError, match=sentence):
        search(tmp_path / "empty", random_seed=5)
    assert not (tmp_path / "empty").exists()
    with pytest.raises(RequestError, match=r"the ledger sqlite://\.\.\. has no study 's'"):
        search(Runs(tmp_path / "runs", f"sqlite:///{tmp_path}/other.sqlite"))
    search(tmp_path / "other", storage=str(tmp_path / "other"))
    with pytest.raises(RequestError, match="has another study 's', and the trials in"):
        search(tmp_path / "other")
    assert _files(trials) == before
    again = search(tmp_path / "runs", b"again", trials=4)
    assert again.trials[: len(first.trials)] == first.trials
    assert before.items() <= _files(trials).items()


def test_a_folder_of_an_earlier_release_is_taken_where_the_ledger_has_the_study(search: Search, tmp_path: Path) -> None:
    owner = tmp_path / "there" / "s" / "trials" / OWNER
    study = search(tmp_path / "runs", b"first")
    known = json.loads(owner.read_text())
    assert known == {"study": "s", "begun": study.record.created_at, "ledger": str(tmp_path / "runs" / LEDGER)}
    owner.unlink()
    before = _files(tmp_path / "there")
    with pytest.raises(RequestError, match="has no study 's', and there are files of its trials in"):
        search(tmp_path / "empty")
    assert _files(tmp_path / "there") == before
    search(tmp_path / "runs", trials=4)
    assert json.loads(owner.read_text()) == known
    owner.write_text("{")  # damaged: as one that is not there
    search(tmp_path / "runs", trials=5)
    assert json.loads(owner.read_text()) == known
    assert before.items() <= _files(tmp_path / "there").items()


def test_what_an_older_copy_of_the_ledger_does_not_know_is_set_aside(
    search: Search, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs, trials = tmp_path / "runs", tmp_path / "there" / "s" / "trials"
    known = {trial.number for trial in search(runs, b"first").trials}
    shutil.copyfile(runs / LEDGER, tmp_path / "copy")
    lost = {trial.number for trial in search(runs, b"first", trials=6).trials if trial.values} - known
    (runs / LEDGER).unlink()
    (tmp_path / "copy").rename(runs / LEDGER)
    caplog.clear()
    study = search(runs, b"second", trials=6)
    assert study.outcomes()["complete"] == 6
    for trial in study.trials:
        if trial.values:
            mark = b"first" if trial.number in known else b"second"
            assert (trials / str(trial.number) / WEIGHTS).read_bytes() == mark
    (aside,) = (path for path in trials.iterdir() if path.name.startswith("forgotten-"))
    assert _files(aside) == {f"{number}/{WEIGHTS}": b"first" for number in lost}
    told = ", ".join(map(str, sorted(lost)))
    assert f"the ledger does not know the trials {told} (is it an older copy?): their files are in" in caplog.text
    caplog.clear()
    search(runs, trials=7)  # once is enough
    assert "does not know" not in caplog.text


def test_only_trials_to_come_are_set_aside(tmp_path: Path) -> None:
    names = [OWNER, ".seen", *map(str, range(20))]
    for name in names:
        (tmp_path / name).mkdir()
    set_aside(str(tmp_path), names, 20)
    assert len(list(tmp_path.iterdir())) == 22
    set_aside(str(tmp_path), names, 9)
    (aside,) = tmp_path.glob("forgotten-*")
    assert {int(path.name) for path in aside.iterdir()} == set(range(9, 20))


def test_files_that_cannot_be_deleted_are_told_and_end_nothing(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(folder: Any) -> None:
        raise NotWritten("it cannot be removed")

    monkeypatch.setattr("nas.storage.Folder.remove", refused)
    monkeypatch.setattr("nas.storage.Remote.remove", refused)
    study = search(tmp_path / "runs", b"x" * 10, trials=6, quota_gb=0.0)
    assert study.outcomes()["complete"] == 6
    assert "stay, beyond the quota: it cannot be removed" in caplog.text
