"""A worker whose disk refuses or was damaged: the search halts, checkpoints that are lost cost their epochs alone."""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas import candidate
from nas.candidate import Candidate
from nas.config import SearchConfig
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import CHECKPOINTS, RESULT, WEIGHTS, Job, Report, left_behind
from nas.rungs import Rung
from nas.study import Study
from results.outcome import Outcome
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import NotWritten, RequestError, SearchFailed
from search_spaces.operations import Conv
from trainers.checkpoint import read
from trainers.fit import Fit
from trainers.recipe import Recipe

STEP = Conv((3, 3), width=8)
TINY = Architecture("tiny", (STEP,), (Stage((Module(((STEP,),)),)),), dropout=0.0, resolution=8)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    recipe = asdict(Recipe(epochs=2, batch_size=256))
    rungs = [asdict(Rung(8, 1.0, 1.0, 2, 2, 0))]
    return Job(5, TINY.as_data(), rungs, "digits", recipe, 0, str(tmp_path / "5"))


def weights(of: Job) -> dict[str, torch.Tensor]:
    return dict(read(Path(of.folder) / WEIGHTS).tensors)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# ------------------------------------------------------------------------------------------------------------ refused


def fails_with(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [NotWritten("no space"), *(OSError(number, "no space") for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))],
)
@pytest.mark.parametrize("place", ["checkpoint", "result"])
def test_where_nothing_can_be_written_the_search_halts(
    place: str, error: Exception, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no mistake of the trial's, which is not ended, and goes on later as if nothing had been."""
    whole = replace(job, folder=f"{job.folder}-whole")
    for worker in (one := Candidate(whole),) * 2:
        worker.step()
    assert one.fit is not None
    with monkeypatch.context() as patch:
        worker = Candidate(job)
        if place == "checkpoint":
            patch.setattr(Fit, "save", fails_with(error))
        else:
            assert worker.step().outcome is Outcome.RUNNING
            patch.setattr(candidate, "write_files", fails_with(error))
        report = worker.step()
    assert "no space" in report.halt
    assert report.outcome is Outcome.RUNNING
    assert not report.final
    assert left_behind(Path(job.folder), 5, job.identity) is None
    assert Report.from_data(report.as_data()) == report
    resumed = Candidate(job)
    while not (report := resumed.step()).final:
        assert not report.halt
    assert report.outcome is Outcome.COMPLETE
    assert same(weights(job), weights(whole))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, "no such file"), RequestError("wrong"), ZeroDivisionError("x")]
)
def test_other_errors_are_the_trial_s(error: Exception, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fit, "save", fails_with(error))
    report = Candidate(job).step()
    assert (report.outcome, report.halt) == (Outcome.BROKEN, "")
    assert type(error).__name__ in report.reason or "FileNotFoundError" in report.reason


def test_a_full_disk_at_the_end_of_a_broken_trial_halts(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that cannot be kept of a trial that ran out of memory."""
    monkeypatch.setattr(Candidate, "_step", fails_with(torch.OutOfMemoryError("CUDA out of memory")))
    monkeypatch.setattr(candidate, "write_files", fails_with(NotWritten("full")))
    assert Candidate(job).step().halt == "full"


def test_a_search_whose_worker_halts_ends_and_goes_on(tmp_path: Path) -> None:
    full = [True]

    class Worker:
        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            if full[0] and self.job.number == 1:
                return Report(self.job.number, 0, 0, halt="the disk is full")
            values = {"error": 0.5}
            return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE)

    config = SearchConfig.from_data(
        {
            "study": "s",
            "data": "digits",
            "trials": 3,
            "proxy": {"resolution": 8},
            "recipe": {"epochs": 1},
            "executor": {"name": "inline"},
            "sampler": {"name": "random"},
        }
    )
    with pytest.raises(SearchFailed, match=r"study 's' stopped at trial 1, where the same command goes on: the disk"):
        run(config, tmp_path, executor=InlineExecutor(), make=Worker)
    stopped = Study.open("s", tmp_path)
    assert stopped.record.state == "stopped"
    assert stopped.trials[1].outcome is Outcome.RUNNING
    assert stopped.trials[1].reason == ""
    full[0] = False
    ended = run(config, tmp_path, executor=InlineExecutor(), make=Worker)
    assert [trial.outcome for trial in ended.trials] == [Outcome.COMPLETE] * 3
    assert [trial.digest for trial in ended.trials[:2]] == [trial.digest for trial in stopped.trials[:2]]


# ------------------------------------------------------------------------------------------------------------ damaged


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_trial_none_of_whose_checkpoints_is_whole_is_trained_anew(
    content: bytes | None, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    whole = replace(job, folder=f"{job.folder}-whole")
    for of in (job, whole):
        Candidate(of).step()
    for path in (Path(job.folder) / CHECKPOINTS).rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    with caplog.at_level(logging.WARNING, "nas.candidate"):
        reports = [(again := Candidate(job)).step(), again.step()]
    assert [report.epoch for report in reports] == [1, 2]
    assert "trial 5 is trained anew: " in caplog.text
    assert Candidate(whole).step().outcome is Outcome.COMPLETE
    assert same(weights(job), weights(whole))


def test_what_a_killed_process_had_half_written_goes(job: Job) -> None:
    Candidate(job).step()
    checkpoints = next((Path(job.folder) / CHECKPOINTS).rglob("*.safetensors")).parent
    drafts = [checkpoints / ".draft-00.partial", Path(job.folder) / ".draft-01.partial"]
    for draft in drafts:
        draft.write_bytes(b"half")
    keep = Path(job.folder) / "notes.partial"
    keep.write_bytes(b"mine")
    assert Candidate(job).step().outcome is Outcome.COMPLETE
    assert not any(draft.exists() for draft in drafts)
    assert keep.exists()


@pytest.mark.parametrize(
    ("gpu_share", "tried_again", "kept"),
    [(0.0, False, False), (0.25, False, True), (0.25, True, False), (1.0, False, False)],
)
def test_checkpoints_are_kept_for_another_try_with_more_of_a_gpu(
    gpu_share: float, tried_again: bool, kept: bool, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = replace(job, gpu_share=gpu_share, tried_again=tried_again)
    assert again.may_try_again == kept
    Candidate(job).step()
    monkeypatch.setattr(Candidate, "_step", fails_with(torch.OutOfMemoryError("CUDA out of memory")))
    report = Candidate(again).step()
    assert (report.outcome, report.gpu_share) == (Outcome.OUT_OF_MEMORY, gpu_share)
    assert (Path(job.folder) / RESULT).exists()
    assert any((Path(job.folder) / CHECKPOINTS).rglob("*.safetensors")) == kept


def test_a_second_try_goes_on_from_the_checkpoint(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    first = replace(job, gpu_share=0.25)
    Candidate(first).step()
    with monkeypatch.context() as patch:
        patch.setattr(Fit, "epoch", fails_with(torch.OutOfMemoryError("CUDA out of memory")))
        assert Candidate(first).step().lacked_memory
    second = Candidate(replace(job, gpu_share=0.5, tried_again=True)).step()
    assert (second.epoch, second.outcome) == (2, Outcome.COMPLETE)
    assert os.listdir(job.folder)
