"""A candidate on its way through the rungs, trained for real on digits: in one process, or in several that die."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from nas.candidate import Candidate
from nas.job import CHECKPOINTS, WEIGHTS, Job, Report
from nas.rungs import Rung
from results.outcome import Outcome
from search_spaces.seeds import seed
from trainers.checkpoint import read
from trainers.recipe import Recipe

# Two stages of a training on half of the pictures, then two of another.
RUNGS = [
    Rung(8, 0.0625, 0.5, 1, 2, 0),
    Rung(8, 0.0625, 0.5, 2, 2, 0),
    Rung(8, 0.0625, 1.0, 1, 2, 1),
    Rung(8, 0.0625, 1.0, 2, 2, 1),
]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    recipe = asdict(Recipe(epochs=2, batch_size=256))
    rungs = [asdict(rung) for rung in RUNGS]
    return Job(5, seed("inception-v3").as_data(), rungs, "digits", recipe, 0, str(tmp_path / "5"))


def _through(candidate: Candidate) -> list[Report]:
    reports = [candidate.step()]
    while not reports[-1].ends:
        reports.append(candidate.step())
    return reports


def _weights(folder: str) -> dict[str, torch.Tensor]:
    return dict(read(Path(folder) / WEIGHTS).tensors)


def _same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_trial_stops_at_every_rung_and_is_complete_at_the_last(job: Job) -> None:
    reports = _through(Candidate(job))
    assert [(r.rung, r.epoch, r.outcome) for r in reports] == [
        (0, 1, Outcome.STOPPED),
        (1, 2, Outcome.STOPPED),
        (2, 1, Outcome.STOPPED),
        (3, 2, Outcome.COMPLETE),
    ]
    assert [report.epochs for report in reports] == [1, 2, 1, 2]
    assert [len(report.history) for report in reports] == [1, 2, 1, 2]  # of its own training
    for report in reports:
        assert report.seconds == report.history[-1][1] > 0
    assert reports[3].history[0] == reports[2].history[0]


def test_the_last_training_is_as_if_there_had_been_no_other(job: Job, tmp_path: Path) -> None:
    _through(Candidate(job))
    alone = replace(job, rungs=[asdict(Rung(8, 0.0625, 1.0, 2, 2, 0))], folder=str(tmp_path / "alone"))
    _through(Candidate(alone))
    assert _same(_weights(job.folder), _weights(alone.folder))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_process_that_takes_over_finds_the_rung(job: Job, tmp_path: Path, steps: int) -> None:
    """Ray starts a lost process anew with the job of the first rung: what is behind the trial is not trained again."""
    whole = _through(Candidate(job))
    other = replace(job, folder=str(tmp_path / "other"))
    first = Candidate(other)
    behind = [first.step() for _ in range(steps)]
    rest = _through(Candidate(other))
    # It says again where it stands, and goes on from there.
    assert [(r.rung, r.epoch) for r in rest] == [(r.rung, r.epoch) for r in whole[steps - 1 :]]
    assert [r.values for r in rest] == [r.values for r in whole[steps - 1 :]]
    assert rest[0].history == behind[-1].history  # the seconds, too
    assert _same(_weights(job.folder), _weights(other.folder))


def test_a_job_may_begin_at_a_later_rung(job: Job, tmp_path: Path) -> None:
    _through(Candidate(job))
    later = replace(job, rung=2, folder=str(tmp_path / "later"))
    reports = _through(Candidate(later))
    assert [report.rung for report in reports] == [2, 3]
    assert _same(_weights(job.folder), _weights(later.folder))


def test_checkpoints_of_an_earlier_training_go(job: Job) -> None:
    candidate = Candidate(job)
    candidate.step(), candidate.step()
    assert [path.name for path in (Path(job.folder) / CHECKPOINTS).iterdir()] == ["0"]
    candidate.step()
    assert [path.name for path in (Path(job.folder) / CHECKPOINTS).iterdir()] == ["1"]
