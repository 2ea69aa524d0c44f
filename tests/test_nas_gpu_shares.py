"""Shares of a GPU: chosen by predicted memory, kept within what there is, and larger once after running out of it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nas.candidate import Candidate, predicted_bytes
from nas.config import ExecutorConfig
from nas.executors.gpu_shares import CONTEXT_BYTES, MARGIN, SHARES, larger, share_for
from nas.executors.ray_cluster import Machine
from nas.executors.ray_tune import RayTuneExecutor, Room, _fitting, _Jobs
from nas.job import Job, Report, left_behind
from nas.rungs import Rung
from results.outcome import Outcome
from search_spaces.errors import RequestError
from search_spaces.seeds import seed
from trainers.recipe import Recipe

GIB = 1024**3


@pytest.mark.parametrize("gibibytes", [8, 24, 80])
def test_a_share_holds_the_prediction_its_margin_and_the_process(gibibytes: int) -> None:
    gpu = gibibytes * GIB
    previous = 0.0
    for needed in range(0, gpu, gpu // 200):
        share = share_for(needed, gpu)
        assert share in SHARES
        assert share == 1 or needed * MARGIN + CONTEXT_BYTES <= share * gpu
        below = [other for other in SHARES if other < share]
        assert not below or needed * MARGIN + CONTEXT_BYTES > max(below) * gpu
        assert share >= previous
        previous = share


def test_the_next_larger_share() -> None:
    assert [larger(share) for share in SHARES] == [0.25, 0.5, 1.0, None]


def _job(number: int = 0, width: float = 0.125, rung: int = 0) -> Job:
    recipe = asdict(Recipe(epochs=2, batch_size=64))
    rungs = [asdict(Rung(16, 0.0625, 1.0, 2, 2, 0)), asdict(Rung(16, width, 1.0, 2, 2, 1))]
    architecture = seed("inception-v3").as_data()
    return Job(number, architecture, rungs, "digits", recipe, 0, "/nowhere", rung=rung, classes=10, channels=1)


def test_the_prediction_is_that_of_the_dearest_rung_to_come() -> None:
    assert predicted_bytes(_job(width=0.25)) > predicted_bytes(_job(width=0.125))
    assert predicted_bytes(_job(width=0.25, rung=1)) == predicted_bytes(_job(width=0.25))
    assert predicted_bytes(replace(_job(), rungs=_job().rungs[:1])) < predicted_bytes(_job())


def test_a_share_lies_on_one_gpu_of_one_machine() -> None:
    assert _fitting(Machine(16, 2), 1, 0.25) == 8
    assert _fitting(Machine(3, 2), 1, 0.25) == 3
    assert _fitting(Machine(16, 1), 1, 0.3) == 3
    assert _fitting(Machine(16, 3), 1, 2) == 1
    assert _fitting(Machine(16, 0), 1, 0.25) == 0
    assert _fitting(Machine(16, 0), 2.5, 0) == 6


def test_what_no_single_machine_has_is_refused() -> None:
    two = [Machine(4, 1), Machine(4, 1)]
    with pytest.raises(
        RequestError, match="asks for 6 CPUs and 0 GPUs of one machine, but Ray's have 4 CPUs and 1 GPUs"
    ):
        RayTuneExecutor(ExecutorConfig(cpus_per_trial=6, gpus_per_trial=0))._room(two, Work([]))
    with pytest.raises(RequestError, match="asks for 1 CPUs and 2 GPUs"):
        RayTuneExecutor(ExecutorConfig(gpus_per_trial=2))._room(two, Work([]))
    assert RayTuneExecutor(ExecutorConfig(gpus_per_trial=0.5))._room(two, Work([])) == Room(4, 2, 0.5)


class Work:
    """Work of some jobs."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs, self.said, self.stopping = jobs, list[Report](), False

    @property
    def finished(self) -> bool:
        return not self.jobs

    def next_job(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def report(self, report: Report) -> bool:
        self.said.append(report)
        return False


def _said(number: int, outcome: Outcome) -> dict[str, str]:
    return {"report": json.dumps(Report(number, 1, 2, outcome=outcome).as_data())}


def test_trials_wait_until_their_share_is_free() -> None:
    """A GPU of 8 GiB: what a small trial leaves is not enough for a large one, which waits for it to end."""
    work = Work([_job(0), _job(1, width=1.0), _job(2)])
    jobs = _Jobs(work, Room(8, 1.0, None, 8 * GIB))
    assert [jobs.room.share(_job()), jobs.room.share(_job(width=1.0))] == [0.125, 0.25]
    jobs.room = Room(8, 0.3, None, 8 * GIB)  # less than both together
    assert jobs.suggest("a") is not None
    assert jobs.suggest("b") is None
    jobs.on_trial_complete("a", _said(0, Outcome.COMPLETE))
    second = jobs.suggest("b")
    assert isinstance(second, dict)
    assert (json.loads(second["job"])["number"], second["gpu_share"]) == (1, 0.25)


def test_trials_that_began_on_cpus_hold_up_none_on_gpus_that_came_late() -> None:
    jobs = _Jobs(Work([_job(number) for number in range(5)]), Room(2))
    assert [jobs.suggest(name) is None for name in "abc"] == [False, False, True]
    jobs.room = Room(2, 1.0, None, 8 * GIB)
    handed = [jobs.suggest(name) for name in "cde"]
    assert [each["gpu_share"] if isinstance(each, dict) else None for each in handed] == [0.125, 0.125, None]


def test_out_of_memory_goes_once_to_a_larger_share() -> None:
    work = Work([_job()])
    jobs = _Jobs(work, Room(8, 1.0, None, 8 * GIB))
    jobs.suggest("a")
    jobs.on_trial_complete("a", _said(0, Outcome.OUT_OF_MEMORY))
    assert work.said == []
    again = jobs.suggest("b")
    assert isinstance(again, dict)
    assert (again["gpu_share"], json.loads(again["job"])["tried_again"]) == (0.25, True)
    jobs.on_trial_complete("b", _said(0, Outcome.OUT_OF_MEMORY))
    assert [report.outcome for report in work.said] == [Outcome.OUT_OF_MEMORY]


def test_without_a_share_out_of_memory_is_final() -> None:
    work = Work([_job()])
    jobs = _Jobs(work, Room(2))
    jobs.suggest("a")
    jobs.on_trial_complete("a", _said(0, Outcome.OUT_OF_MEMORY))
    assert [report.outcome for report in work.said] == [Outcome.OUT_OF_MEMORY]


def test_a_worker_with_a_larger_share_does_not_take_the_old_failure_for_its_own(tmp_path: Path) -> None:
    small = replace(_job(5), folder=str(tmp_path), gpu_share=0.125)
    failed = Candidate(small)._out_of_memory("CUDA out of memory")
    assert left_behind(tmp_path, 5, small.identity) == failed
    assert failed.lacked_memory
    assert Candidate(small).step() == failed
    report = Candidate(replace(small, gpu_share=0.25)).step()
    assert report.outcome is Outcome.RUNNING
    assert report.epoch == 1
