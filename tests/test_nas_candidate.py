"""A candidate's life in a worker: trained for real on digits, killed, resumed, and ended in every way."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from nas.candidate import Candidate
from nas.job import CHECKPOINTS, RESULT, WEIGHTS, Job, left_behind
from nas.rungs import Rung
from nas.storage import folder_at
from results.outcome import Outcome
from search_spaces.seeds import seed
from trainers.checkpoint import read
from trainers.recipe import Recipe


@pytest.fixture
def job(tmp_path: Path) -> Job:
    recipe = asdict(Recipe(epochs=2, batch_size=256))
    return Job(
        5,
        seed("inception-v3").as_data(),
        [asdict(Rung(8, 0.0625, 1.0, 2, 2, 0))],
        "digits",
        recipe,
        0,
        str(tmp_path / "5"),
        identity="a",
    )


def test_a_worker_that_does_not_see_the_drivers_folder_halts_the_search(job: Job) -> None:
    """It would train where nobody looks, and begin anew what another machine began."""
    sign = folder_at(str(Path(job.folder).parent)).leave_sign()
    Path(job.folder).parent.joinpath(sign).unlink()
    report = Candidate(replace(job, sign=sign)).step()
    assert "set storage to a folder that all machines share" in report.halt
    assert not Path(job.folder).exists()


def test_a_trial_is_trained_to_its_end(job: Job) -> None:
    candidate = Candidate(job)
    first, last = candidate.step(), candidate.step()
    assert (first.epoch, first.outcome) == (1, Outcome.RUNNING)
    assert (last.epoch, last.outcome) == (2, Outcome.COMPLETE)
    assert 0 <= last.values["error"] < 0.9  # worse than chance would be 0.9
    assert last.seconds > first.seconds > 0
    folder = Path(job.folder)
    assert left_behind(folder, 5, "a") == last
    assert left_behind(folder, 6, "a") is None  # another trial's
    assert left_behind(folder, 5, "b") is None  # of the same number in another study, or at another fidelity
    (folder / CHECKPOINTS / "0").mkdir(parents=True)  # as if it had been killed before it removed them
    log = Candidate(job)
    assert log.step() == last  # a process that takes over a finished trial does not train it again
    assert log.fit is None
    assert not (folder / CHECKPOINTS).exists()
    weights = read(folder / WEIGHTS).tensors
    assert weights["stem.0.conv.weight"].shape == (8, 1, 3, 3)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values() if tensor.is_floating_point())


def test_killed_and_resumed_gives_the_same_weights(job: Job, tmp_path: Path) -> None:
    whole = Candidate(job)
    whole.step(), whole.step()
    other = replace(job, folder=str(tmp_path / "other"))
    Candidate(other).step()
    resumed = Candidate(other).step()  # another worker takes over after the first epoch
    assert (resumed.epoch, resumed.outcome) == (2, Outcome.COMPLETE)
    one, two = (read(Path(folder) / WEIGHTS).tensors for folder in (job.folder, other.folder))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(job: Job) -> None:
    wild = replace(job, recipe={**job.recipe, "optimizer": "sgd", "learning_rate": 1000.0, "gradient_clip": None})
    candidate = Candidate(wild)
    reports = [candidate.step()]
    while not reports[-1].final:
        reports.append(candidate.step())
    assert reports[-1].outcome is Outcome.DIVERGED
    assert "diverged" in reports[-1].reason
    assert not (Path(job.folder) / WEIGHTS).exists()


def test_a_mistake_ends_the_trial_with_its_traceback(job: Job) -> None:
    report = Candidate(replace(job, architecture={"format": "nonsense"})).step()
    assert report.outcome is Outcome.BROKEN
    assert "RequestError" in report.reason
    assert "Traceback" in (report.traceback or "")
    assert left_behind(Path(job.folder), 5, "a") is None  # a mended program tries again


def test_out_of_memory_is_an_outcome(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = Candidate(job)

    def full(self: Candidate) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB.")

    monkeypatch.setattr(Candidate, "_step", full)
    assert candidate.step().outcome is Outcome.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"number": 1}', b'{"outcome": "nonsense"}', b'{"report": "{}", "sha256": "00"}']
)
def test_a_damaged_result_is_not_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RESULT).write_bytes(content)
    assert left_behind(tmp_path, 1, "a") is None


def test_checkpoints_lie_in_the_trials_folder(job: Job) -> None:
    Candidate(job).step()
    assert list((Path(job.folder) / CHECKPOINTS).iterdir())
    assert json.dumps(asdict(job))
