"""What Ray is asked for where its cluster is not there yet, grows, shrinks, or asks for a token; no Ray is started."""

import json
import logging
import os
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.candidate import Job, Report
from nas.config import ExecutorConfig
from nas.executors import ray_cluster, ray_tune
from nas.executors.ray_cluster import Machine
from nas.executors.ray_tune import RayTuneExecutor, Room, _Jobs
from results.outcome import Outcome
from search_spaces.errors import RequestError, SearchFailed

pytestmark = pytest.mark.filterwarnings("ignore")  # ray and its dependencies warn as they like


class Work:
    """Work of some jobs."""

    def __init__(self, count: int) -> None:
        self.jobs = [Job(number, {}, [], "digits", {}, 0, "/nowhere") for number in range(count)]
        self.said: list[Report] = []
        self.stopping = False

    @property
    def finished(self) -> bool:
        return not self.jobs

    def next_job(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def report(self, report: Report) -> bool:
        if report.halt:
            raise SearchFailed(report.halt)
        self.said.append(report)
        return not report.final


def numbers(jobs: _Jobs, *trials: str) -> list[int | None]:
    """The jobs that are handed out for trials."""
    found = [jobs.suggest(trial) for trial in trials]
    return [json.loads(each["job"])["number"] if isinstance(each, dict) else None for each in found]


# ------------------------------------------------------------------------------------------------------ a spare trial


def test_on_a_cluster_one_trial_more_than_there_is_room_for_waits() -> None:
    """A cluster that starts machines on demand sees the demand; Ray on this machine has none to start."""
    here, cluster = _Jobs(Work(9), Room(2)), _Jobs(Work(9), Room(2), lambda: Room(2))
    assert numbers(here, "a", "b", "c", "d") == [0, 1, None, None]
    assert numbers(cluster, "a", "b", "c", "d") == [0, 1, 2, None]
    said = {"report": json.dumps(Report(0, 1, 1, outcome=Outcome.COMPLETE).as_data())}
    cluster.on_trial_complete("a", said)
    assert numbers(cluster, "d", "e") == [3, None]
    assert [report.number for report in cluster.work.said] == [0]  # type: ignore[attr-defined]


def test_the_spare_trial_may_ask_for_a_gpu_that_is_taken() -> None:
    whole = Room(4, 1.0, gpus_per_trial=1.0)
    assert numbers(_Jobs(Work(9), whole), "a", "b") == [0, None]
    cluster = _Jobs(Work(9), whole, lambda: whole)
    assert numbers(cluster, "a", "b", "c") == [0, 1, None]  # one beyond what there is, and no more
    assert [job.number for job in cluster.waiting] == [2]


def test_what_a_cluster_has_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rooms = [0.0], [Room(1), Room(3)]
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now[0])
    jobs = _Jobs(Work(9), rooms[0], lambda: rooms[1])
    assert numbers(jobs, "a", "b", "c") == [0, 1, None]
    now[0] = ray_tune.LOOK_SECONDS
    assert numbers(jobs, "c", "d", "e") == [2, 3, None]


def test_machines_that_go_stay_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now[0])

    def gone() -> Room:
        raise RequestError("no machines")

    jobs = _Jobs(Work(9), Room(1), gone)
    now[0] = 100.0
    assert numbers(jobs, "a", "b", "c") == [0, 1, None]
    assert jobs.room == Room(1)


def test_a_worker_that_can_write_nothing_ends_all() -> None:
    jobs = _Jobs(Work(9), Room(2))
    assert numbers(jobs, "a") == [0]
    assert not jobs.take(Report(0, 0, 0, halt="the disk is full"))
    assert numbers(jobs, "b") == [None]
    with pytest.raises(SearchFailed, match="the disk is full"):
        jobs.raise_mistake()


# --------------------------------------------------------------------------------------------------- clusters that boot


def booting(monkeypatch: pytest.MonkeyPatch, after: float) -> list[float]:
    """A cluster whose first machine with CPUs comes after so many seconds; the list holds the time."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_tune.time, "sleep", sleep)
    monkeypatch.setattr(ray_tune, "machines", lambda: [Machine(0, 0), *([Machine(8, 0)] if now[0] >= after else [])])
    return now


def test_a_cluster_that_boots_is_waited_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = booting(monkeypatch, after=45.0)
    executor = RayTuneExecutor(ExecutorConfig(), "there:6379")
    with caplog.at_level(logging.WARNING, "nas.executors.ray_tune"):
        assert executor._room(executor._machines()) == Room(8)
    assert now == [50.0]
    assert [record.getMessage() for record in caplog.records] == [
        "the cluster at there:6379 has no machine with CPUs yet: waiting for one"
    ]


def test_it_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = booting(monkeypatch, after=1e9)
    executor = RayTuneExecutor(ExecutorConfig(), "there:6379")
    with pytest.raises(RequestError, match=r"asks for 1 CPUs and 0 GPUs of one machine, but Ray's have 0 CPUs and 0"):
        executor._room(executor._machines())
    assert ray_tune.BOOT_SECONDS < now[0] < ray_tune.BOOT_SECONDS + 2 * ray_tune.LOOK_SECONDS


def test_ray_on_this_machine_is_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = booting(monkeypatch, after=45.0)
    assert RayTuneExecutor(ExecutorConfig())._machines() == [Machine(0, 0)]
    assert now == [0.0]


def test_a_job_says_once_what_it_gets() -> None:
    jobs = _Jobs(Work(1), Room(2, 2.0, gpus_per_trial=0.5, limit_s=60.0))
    handed = jobs.suggest("a")
    assert isinstance(handed, dict)
    job = Job(**json.loads(handed["job"]))
    assert (job.gpu_share, handed["gpu_share"], job.limit_s) == (0.5, 0.5, 60.0)
    assert len(job.token) == 16
    assert replace(job, gpu_share=0.0, limit_s=0.0, token="") == Job(0, {}, [], "digits", {}, 0, "/nowhere")


# ---------------------------------------------------------------------------------------------------------------- token


@pytest.mark.parametrize(
    ("given", "file", "mode"),
    [
        ({}, False, None),
        ({}, True, "token"),
        ({"RAY_AUTH_TOKEN": "t"}, False, "token"),
        ({"RAY_AUTH_TOKEN_PATH": "/somewhere"}, False, "token"),
        ({"RAY_AUTH_TOKEN": "t", "RAY_AUTH_MODE": "disabled"}, True, "disabled"),
    ],
)
def test_a_machine_with_a_token_sends_it(
    given: dict[str, str], file: bool, mode: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("t")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment: dict[str, Any] = {**kept, "HOME": str(tmp_path), **given}
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", environment)
        runpy.run_path(str(ray_cluster.__file__))
    assert environment.get("RAY_AUTH_MODE") == mode
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
