"""What Ray is asked for where its cluster is not there yet, grows, shrinks, or asks for a token; no Ray is started."""

import json
import logging
import os
import runpy
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.config import ExecutorConfig
from nas.executors import ray_cluster, ray_tune
from nas.executors.ray_cluster import Machine
from nas.executors.ray_tune import RayTuneExecutor, Room, _Jobs, _Scheduler
from nas.job import Job, Report
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
    here, cluster = _Jobs(Work(9), Room(2)), _Jobs(Work(9), Room(2, spare=1))
    assert numbers(here, "a", "b", "c", "d") == [0, 1, None, None]
    assert numbers(cluster, "a", "b", "c", "d") == [0, 1, 2, None]
    said = {"report": json.dumps(Report(0, 1, 1, outcome=Outcome.COMPLETE).as_data())}
    cluster.on_trial_complete("a", said)
    assert numbers(cluster, "d", "e") == [3, None]
    assert [report.number for report in cluster.work.said] == [0]  # type: ignore[attr-defined]


def test_the_spare_trial_may_ask_for_a_gpu_that_is_taken() -> None:
    whole = Room(4, 1.0, gpus_per_trial=1.0)
    assert numbers(_Jobs(Work(9), whole), "a", "b") == [0, None]
    cluster = _Jobs(Work(9), replace(whole, spare=1))
    assert numbers(cluster, "a", "b", "c") == [0, 1, None]  # one beyond what there is, and no more
    assert [job.number for job in cluster.waiting] == [2]


def test_what_a_cluster_has_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now[0])
    jobs = _Jobs(Work(9), Room(1, spare=1), lambda room: replace(room, workers=3))
    assert numbers(jobs, "a", "b", "c") == [0, 1, None]
    now[0] = ray_tune.LOOK_SECONDS
    assert numbers(jobs, "c", "d", "e") == [2, 3, None]


def test_a_cluster_that_cannot_be_looked_at_ends_the_search_with_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now[0])

    def gone(room: Room) -> Room:
        raise ConnectionError("no head node")

    jobs = _Jobs(Work(9), Room(1), gone)
    now[0] = 100.0
    assert jobs.suggest("a") == "FINISHED"
    with pytest.raises(ConnectionError, match="no head node"):
        jobs.raise_mistake()


def test_only_who_leaves_the_number_of_workers_to_the_cluster_has_a_spare_trial() -> None:
    machines = [Machine(8, 0)]
    assert RayTuneExecutor(ExecutorConfig(), "there:6379")._room(machines, Work(1)) == Room(8, spare=1)
    assert RayTuneExecutor(ExecutorConfig(workers=2), "there:6379")._room(machines, Work(1)) == Room(2)
    assert RayTuneExecutor(ExecutorConfig())._room(machines, Work(1)) == Room(8)


def test_machines_are_counted_anew_and_no_gpu_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would answer once a trial has left it, and no trial ends while Ray Tune waits for the answer."""
    monkeypatch.setattr(ray_tune, "ask_gpu_bytes", None)
    executor = RayTuneExecutor(ExecutorConfig(), "there:6379")
    room = Room(2, 1.0, None, 80, spare=1)
    more = [Machine(8, 1), Machine(8, 1), Machine(4, 0)]
    assert executor._recounted(room, more) == replace(room, workers=16, gpus=2.0)
    assert executor._recounted(room, [Machine(0, 0)]) == room  # those that went may come again
    on_cpus = Room(2, gpus_per_trial=0.0, spare=1)
    kept = RayTuneExecutor(ExecutorConfig(gpus_per_trial=0), "there:6379")
    assert kept._recounted(on_cpus, [Machine(4, 1)]) == replace(on_cpus, workers=4, gpus=1.0)


class Gpus:
    """GPUs that come late: what they say when they are asked, None for nothing yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: int | RequestError | None) -> None:
        self.asked, self.waited, self.answers = 0, list[float](), list(answers)
        monkeypatch.setattr(ray_tune, "ask_gpu_bytes", self._ask)
        monkeypatch.setattr(ray_tune, "answered", self._answered)

    def _ask(self) -> list[str]:
        self.asked += 1
        return ["asked"]

    def _answered(self, asked: list[str], seconds: float) -> int | None:
        assert asked == ["asked"]
        self.waited.append(seconds)
        said = self.answers.pop(0)
        if isinstance(said, RequestError):
            raise said
        return said


def test_gpus_that_come_are_taken_up_once_they_have_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Trials do not wait for the answer; those that began on CPUs end there."""
    executor, gpus = RayTuneExecutor(ExecutorConfig(), "there:6379"), Gpus(monkeypatch, None, 80)
    with caplog.at_level(logging.WARNING, "nas.executors.ray_tune"):
        room = executor._room([Machine(8, 0)], Work(1))
    assert [record.getMessage() for record in caplog.records] == [
        "the cluster at there:6379 has no GPU: trials train on its CPUs until one comes (executor.gpus_per_trial: 1 "
        "waits for one, 0 keeps to CPUs)"
    ]
    more = [Machine(8, 0), Machine(4, 1)]
    waiting = executor._recounted(room, more)
    assert waiting == Room(12, 1.0, 0.0, spare=1)
    assert executor._recounted(waiting, more) == Room(4, 1.0, None, 80, spare=1)
    assert (gpus.asked, gpus.waited) == (1, [0.0, 0.0])


def test_gpus_that_are_of_no_use_do_not_end_a_search_that_gets_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    executor, gpus = RayTuneExecutor(ExecutorConfig(), "there:6379"), Gpus(monkeypatch, RequestError("no CUDA"), 80)
    on_cpus, more = Room(8, spare=1), [Machine(8, 0), Machine(4, 1)]
    for _ in range(3):
        assert executor._recounted(on_cpus, more) == Room(12, 1.0, 0.0, spare=1)
    assert gpus.asked == 1
    assert [record.getMessage() for record in caplog.records] == ["trials go on on CPUs: no CUDA"]
    assert executor._recounted(on_cpus, [*more, Machine(4, 1)]) == Room(8, 2.0, None, 80, spare=1)


def test_without_a_cluster_nobody_is_told_of_cpus(caplog: pytest.LogCaptureFixture) -> None:
    RayTuneExecutor(ExecutorConfig())._room([Machine(8, 0)], Work(1))
    RayTuneExecutor(ExecutorConfig(gpus_per_trial=0), "there:6379")._room([Machine(8, 0)], Work(1))
    assert not caplog.records


# ------------------------------------------------------------------------------------------------ GPUs that others hold


def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes whenever the time is asked for."""
    now = iter(range(1000))
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: float(next(now)))


def test_gpus_that_others_hold_are_waited_for_with_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _clock(monkeypatch)
    gpus = Gpus(monkeypatch, *[None] * 20, 80)
    assert RayTuneExecutor(ExecutorConfig(), "there:6379")._room([Machine(8, 1)], Work(1)).gpu_bytes == 80
    assert gpus.asked == 1
    assert len(caplog.records) == 1
    assert "waiting for Ray's GPUs, to ask for their memory" in caplog.text


def test_gpus_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch)
    Gpus(monkeypatch, *[None] * 200)
    with pytest.raises(RequestError, match=r"not all of Ray's GPUs could be asked for their memory within 120 s: run"):
        RayTuneExecutor(ExecutorConfig(), "there:6379")._room([Machine(8, 1)], Work(1))


def test_who_asks_for_an_end_does_not_wait_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus, work = Gpus(monkeypatch, None, None), Work(1)
    work.stopping = True
    with pytest.raises(KeyboardInterrupt):
        RayTuneExecutor(ExecutorConfig(), "there:6379")._room([Machine(8, 1)], work)
    assert len(gpus.waited) == 1


def test_what_waits_is_let_go_at_the_end() -> None:
    class Controller:
        def __init__(self) -> None:
            self.live = [SimpleNamespace(trial_id=name, status=name) for name in ("RUNNING", "PENDING")]
            self.stopped: list[str] = []

        def get_live_trials(self) -> list[SimpleNamespace]:
            return self.live

        def get_trials(self) -> list[SimpleNamespace]:
            return []

        def stop_trial(self, trial: SimpleNamespace) -> None:
            self.stopped.append(trial.status)

    work, controller = Work(9), Controller()
    scheduler = _Scheduler(_Jobs(work, Room(2, spare=1)))
    scheduler.choose_trial_to_run(controller)
    assert controller.stopped == []
    work.stopping = True
    assert scheduler.choose_trial_to_run(controller) is None
    assert controller.stopped == ["PENDING"]


def test_a_worker_that_can_write_nothing_ends_all() -> None:
    jobs = _Jobs(Work(9), Room(2))
    assert numbers(jobs, "a") == [0]
    assert not jobs.take(Report(0, 0, 0, halt="the disk is full"))
    assert numbers(jobs, "b") == [None]
    with pytest.raises(SearchFailed, match="the disk is full"):
        jobs.raise_mistake()


# --------------------------------------------------------------------------------------------------- clusters that boot


asked: list[dict[str, float]] = []  # resources that an autoscaler was asked for


def booting(monkeypatch: pytest.MonkeyPatch, after: float, first: Machine | None = None) -> list[float]:
    """A cluster whose second machine, with 8 CPUs and a GPU if ``first`` has CPUs, comes after so many seconds.

    The list holds the time.
    """
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_tune.time, "sleep", sleep)
    second = [Machine(8, 0 if first is None else 1)]
    monkeypatch.setattr(ray_tune, "machines", lambda: [first or Machine(0, 0), *(second if now[0] >= after else [])])
    monkeypatch.setattr(ray_tune, "asking_for", lambda resources: nullcontext(asked.append(resources)))
    asked.clear()
    return now


def test_a_cluster_that_boots_is_waited_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = booting(monkeypatch, after=45.0)
    executor = RayTuneExecutor(ExecutorConfig(gpus_per_trial=0), "there:6379")
    with caplog.at_level(logging.WARNING, "nas.executors.ray_tune"):
        assert executor._room(executor._machines(Work(1)), Work(1)) == Room(8, spare=1)
    assert now == [45.0]
    assert asked == [{"CPU": 1.0}]
    assert [record.getMessage() for record in caplog.records] == [
        "the cluster at there:6379 has no machine with CPUs yet: waiting for one"
    ]


def test_gpus_that_are_asked_for_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = booting(monkeypatch, after=45.0, first=Machine(8, 0))
    executor = RayTuneExecutor(ExecutorConfig(gpus_per_trial=1), "there:6379")
    assert executor._room(executor._machines(Work(1)), Work(1)) == Room(1, 1.0, 1.0, spare=1)
    assert now == [45.0]
    assert asked == [{"CPU": 1.0, "GPU": 1.0}]
    assert "has no machine with CPUs and GPUs yet: waiting for one" in caplog.text
    now[0] = 0.0
    for config, address in ((ExecutorConfig(), "there:6379"), (ExecutorConfig(gpus_per_trial=1), None)):
        assert RayTuneExecutor(config, address)._machines(Work(1)) == [Machine(8, 0)]  # at once
    assert now == [0.0]


def test_it_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = booting(monkeypatch, after=1e9)
    executor = RayTuneExecutor(ExecutorConfig(), "there:6379")
    with pytest.raises(RequestError, match=r"asks for 1 CPUs and 0 GPUs of one machine, but Ray's have 0 CPUs and 0"):
        executor._room(executor._machines(Work(1)), Work(1))
    assert now[0] == ray_tune.BOOT_SECONDS


def test_who_asks_for_an_end_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now, work = booting(monkeypatch, after=1e9), Work(1)
    work.stopping = True
    with pytest.raises(KeyboardInterrupt):
        RayTuneExecutor(ExecutorConfig(), "there:6379")._machines(work)
    assert now == [1.0]


def test_ray_on_this_machine_is_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = booting(monkeypatch, after=45.0)
    assert RayTuneExecutor(ExecutorConfig())._machines(Work(1)) == [Machine(0, 0)]
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


def test_where_ray_cannot_start_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError("AF_UNIX path length cannot exceed 107 bytes")

    monkeypatch.setattr(ray_cluster.ray, "init", fail)
    with pytest.raises(RequestError, match=r"Ray cannot start \(AF_UNIX .* name another folder .* with \$RAY_TMPDIR"):
        ray_cluster.connect(None, 1)
