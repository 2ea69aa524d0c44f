"""The conformance suite of executors: the same work, the same reports, whatever runs it."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.config import ExecutorConfig
from nas.executors.contract import Executor
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report, Worker
from nas.rungs import Rung
from results.outcome import Outcome
from search_spaces.errors import RequestError

pytestmark = pytest.mark.filterwarnings("ignore")  # ray and its dependencies warn as they like


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One Ray for all tests of this file."""
    from nas.executors.ray_tune import RayTuneExecutor

    started = RayTuneExecutor(ExecutorConfig(workers=2)).connect()
    yield
    if started:
        from nas.executors.ray_cluster import end

        end()


@pytest.fixture(params=["inline", "ray_tune"])
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param == "inline":
        return InlineExecutor()
    request.getfixturevalue("cluster")
    from nas.executors.ray_tune import RayTuneExecutor

    return RayTuneExecutor(ExecutorConfig(workers=2))


class Jobs:
    """Work that hands out a number of jobs and keeps what is said."""

    def __init__(self, count: int, folder: Path, stop_after: int | None = None) -> None:
        self.left = list(range(count))
        self.folder, self.stop_after = folder, stop_after
        self.said: list[Report] = []

    @property
    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.said) >= self.stop_after

    @property
    def finished(self) -> bool:
        return self.stopping or not self.left

    def next_job(self) -> Job | None:
        if self.finished:
            return None
        return Job(self.left.pop(0), {"nested": {"deep": [1]}}, [], "digits", {"epochs": 3}, 0, str(self.folder))

    def report(self, report: Report) -> bool:
        self.said.append(report)
        return not report.final and not self.stopping


def _steps(kill: int | None = None) -> type[Worker]:
    """A worker of three epochs; ``kill``: the number of a job whose first process dies in its second epoch.

    Defined in a function, so that Ray carries it to its processes by value.
    """

    class Steps:
        def __init__(self, job: Job) -> None:
            self.job, self.epoch = job, 0

        def step(self) -> Report:
            self.epoch += 1
            mark = Path(self.job.folder) / f"died{self.job.number}"
            if self.job.number == kill and self.epoch == 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.job.number == 1:
                return Report(1, 1, 3, {}, 0.5, (), Outcome.DIVERGED, "it diverged")
            outcome = Outcome.COMPLETE if self.epoch == 3 else Outcome.RUNNING
            return Report(self.job.number, self.epoch, 3, {"error": self.epoch / 10}, 1.5, (), outcome)

    return Steps


def _epochs(said: list[Report], number: int) -> list[int]:
    return [report.epoch for report in said if report.number == number]


def test_all_jobs_run_and_say_everything_in_order(executor: Executor, tmp_path: Path) -> None:
    jobs = Jobs(6, tmp_path)
    executor.run(jobs, _steps())
    final = {report.number: report for report in jobs.said if report.final}
    assert sorted(final) == list(range(6))
    assert final[1].outcome is Outcome.DIVERGED
    assert final[1].reason == "it diverged"
    for number in (0, 2, 3, 4, 5):
        assert list(dict.fromkeys(_epochs(jobs.said, number))) == [1, 2, 3]
        assert final[number].values == {"error": 0.3}
        assert final[number].outcome is Outcome.COMPLETE


def test_stopping_ends_trials_after_their_epoch(executor: Executor, tmp_path: Path) -> None:
    jobs = Jobs(50, tmp_path, stop_after=4)
    executor.run(jobs, _steps())
    assert len(jobs.left) > 30
    assert len(jobs.said) < 20


def test_a_mistake_in_the_work_reaches_the_caller(executor: Executor, tmp_path: Path) -> None:
    class Broken(Jobs):
        def report(self, report: Report) -> None:
            raise RequestError("the ledger is full")

    with pytest.raises(RequestError, match="the ledger is full"):
        executor.run(Broken(3, tmp_path), _steps())


def test_a_lost_process_is_started_again(cluster: None, tmp_path: Path) -> None:
    from nas.executors.ray_tune import RayTuneExecutor

    jobs = Jobs(4, tmp_path)
    RayTuneExecutor(ExecutorConfig(workers=2)).run(jobs, _steps(kill=2))
    assert (tmp_path / "died2").exists()
    assert {report.number for report in jobs.said if report.outcome is Outcome.COMPLETE} == {0, 2, 3}


def test_the_cause_of_a_lost_worker_is_told(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from nas.executors import ray_tune

    class Leaving:
        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            raise SystemExit(4)

    monkeypatch.setattr(ray_tune, "LOST_WORKERS", 1)
    jobs = Jobs(1, tmp_path)
    ray_tune.RayTuneExecutor(ExecutorConfig(workers=1)).run(jobs, Leaving)
    (report,) = jobs.said
    assert report.outcome is Outcome.LOST_WORKER
    told = r"because its process ended with exit status 4 \(machine [\w.:]+\)"
    assert re.fullmatch(f"the worker was lost 2 times, at last {told}", report.reason)
    assert report.traceback is not None
    assert "Worker exit type: SYSTEM_ERROR" in report.traceback  # all that Ray says is kept
    warned = [record.getMessage() for record in caplog.records if record.name == "nas.executors.ray_tune"]
    assert len(warned) == 2
    assert all(re.fullmatch(f"trial 0 lost its worker {told}", each) for each in warned)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.7, ID: 56d)"
            " was 30.08GB used / 31.54GB limit (0.953)\nOOM kill reason: ...\nby a connection error\n",
            "its machine was short of memory (30.08 of 31.54 GB in use) (machine 10.0.0.7)",
        ),
        (
            "The actor died unexpectedly before finishing this task.\n\tpid: 9\n\tip: 10.0.0.7\nWorker exit detail: "
            "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: ...",
            "its process was killed, as systems do where memory is short, or crashed (machine 10.0.0.7)",
        ),
        (
            "The actor died unexpectedly before finishing.\nThe actor is dead because its node has died. Node",
            "its machine has gone, or does not answer",
        ),
        (
            "The actor e8b9a2 is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed "
            "rpc_code: 14. The task may or may not have been executed on the actor.\n",
            "its machine has gone, or does not answer",
        ),
        ("Traceback\n  File 'a'\nModuleNotFoundError: No module named 'x'\n", "No module named 'x'"),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "of 'BlockingIOError: [Errno 11] Resource"),
        ("", "of something that Ray does not say"),
    ],
    ids=["memory", "killed", "machine", "no answer", "exception", "limit", "nothing"],
)
def test_what_ray_says_of_a_lost_worker_is_a_clause(said: str, told: str) -> None:
    from nas.executors.lost_worker import cause

    assert told in cause(said)
    assert "\n" not in cause(said)


def test_processes_are_reused_and_run_side_by_side(cluster: None, tmp_path: Path) -> None:
    from nas.executors.ray_tune import RayTuneExecutor

    class Meeting:
        """Ends when two processes are at work, or never."""

        def __init__(self, job: Job) -> None:
            self.job = job

        def step(self) -> Report:
            folder = Path(self.job.folder)
            (folder / f"process{os.getpid()}").touch()
            deadline = time.monotonic() + 60
            while len(list(folder.glob("process*"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            return Report(self.job.number, 1, 1, {"error": float(os.getpid())}, 0.0, (), Outcome.COMPLETE)

    jobs = Jobs(10, tmp_path)
    RayTuneExecutor(ExecutorConfig(workers=2)).run(jobs, Meeting)
    processes = {report.values["error"] for report in jobs.said}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_a_request_that_can_never_be_met_is_refused(cluster: None, tmp_path: Path) -> None:
    from nas.executors.ray_tune import RayTuneExecutor

    for wrong in ({"cpus_per_trial": 500.0}, {"gpus_per_trial": 64.0}):
        with pytest.raises(RequestError, match=r"a trial asks for .* of one machine, but Ray's have 2 CPUs"):
            RayTuneExecutor(ExecutorConfig(**wrong)).run(Jobs(1, tmp_path), _steps())
    with pytest.raises(RequestError, match=r"a trial asks for 500 CPUs, but this machine has \d+: lower"):
        RayTuneExecutor(ExecutorConfig(workers=1, cpus_per_trial=500.0)).run(Jobs(1, tmp_path), _steps())


def test_without_ray_the_executor_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("ray_cluster", "ray_tune", "ray_train"):
        monkeypatch.delitem(sys.modules, f"nas.executors.{name}", raising=False)
    sentence = r"several workers need the package ray\[tune\].*executor=inline in a search.*workers=1 in a training"
    with pytest.raises(RequestError, match=sentence):
        import nas.executors.ray_tune
    with pytest.raises(RequestError, match=sentence):
        import nas.executors.ray_train  # noqa: F401


def test_a_job_is_plain_data() -> None:
    import json
    from dataclasses import asdict

    job = Job(3, {"a": [1]}, [], "digits", {"epochs": 1}, 0, "/x")
    assert Job(**json.loads(json.dumps(asdict(job)))) == job
    report = Report(3, 1, 2, {"error": 0.5}, 1.0, (({"error": 0.5}, 1.0),), Outcome.BROKEN, "why", "trace")
    again: Any = Report.from_data(json.loads(json.dumps(report.as_data())))
    assert again == report


@pytest.mark.skipif(not __import__("torch").cuda.is_available(), reason="needs a GPU")
def test_trials_share_a_gpu(tmp_path: Path) -> None:
    """Two real trials at once on one GPU, each with a quarter of it."""
    from dataclasses import asdict

    from nas.candidate import Candidate
    from nas.executors.ray_tune import RayTuneExecutor
    from search_spaces.seeds import seed
    from trainers.recipe import Recipe

    class Trainings(Jobs):
        def next_job(self) -> Job | None:
            if not self.left:
                return None
            number = self.left.pop(0)
            recipe = asdict(Recipe(epochs=2, batch_size=64))
            folder = str(tmp_path / str(number))
            return Job(
                number,
                seed("inception-v3").as_data(),
                [asdict(Rung(16, 0.125, 1.0, 1, 1, 0))],
                "digits",
                recipe,
                0,
                folder,
            )

    jobs = Trainings(4, tmp_path)
    RayTuneExecutor(ExecutorConfig(workers=2, gpus_per_trial=0.25)).run(jobs, Candidate)
    assert sum(report.outcome is Outcome.COMPLETE for report in jobs.said) == 4
