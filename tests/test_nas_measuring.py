"""Latency and measured memory of the target as objectives and limits: in the worker, the driver and the ledger."""

import json
import logging
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas import measuring
from nas.candidate import Candidate
from nas.config import SearchConfig
from nas.driver import Driver, run
from nas.executors.contract import Work
from nas.executors.inline import InlineExecutor
from nas.job import CHECKPOINTS, RESULT, WEIGHTS, Job, Report
from nas.measuring import FILE, Measured, Measuring, Wanted, measure_target
from nas.progress import Progress
from nas.rungs import Rung
from nas.runs import LEDGER
from nas.study import Study
from results.ledger import Ledger
from results.outcome import Outcome
from search_spaces.errors import RequestError, SearchFailed
from search_spaces.seeds import seed
from search_spaces.space import space
from trainers.data import load
from trainers.recipe import Recipe

WANTED = Wanted(1, "worker", 1, "auto", 75, 10, 3, {})
VALUES = {"latency_ms": 8.0, "latency_low_ms": 7.0, "latency_high_ms": 9.0, "measured_memory_bytes": 1e8}


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 6, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    sampler = {"name": "nsga2", "population": 4}
    return SearchConfig.from_data({**least, "sampler": sampler, "recipe": {"epochs": 1}, **changes})


class Fake:
    """A worker whose candidates take a millisecond for every hundred letters of their description."""

    device = "a chip"
    jobs: list[Job]

    def __init__(self, job: Job) -> None:
        self.job = job
        type(self).jobs.append(job)

    def step(self) -> Report:
        assert self.job.measure is not None
        wanted = Wanted(**self.job.measure)
        measured = Measured({**VALUES, "latency_ms": latency(self.job.architecture)}, type(self).device)
        told = {"measured": measured.values, "device": measured.device}
        if beyond := measured.beyond(wanted.limits):
            return Report(self.job.number, 0, 1, outcome=Outcome.SCREENED, reason=beyond, **told)  # type: ignore[arg-type]
        values = {"error": 0.5}
        return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE, **told)  # type: ignore[arg-type]


def latency(architecture: dict[str, Any]) -> float:
    return len(str(architecture)) / 100


@pytest.fixture
def worker() -> type[Fake]:
    class Worker(Fake):
        jobs: list[Job] = []  # noqa: RUF012 - one list per test

    return Worker


# --------------------------------------------------------------------------------------------------------- the worker


def test_a_target_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = seed("inception-v3").named("small")
    first = measure_target(small, WANTED, tmp_path)
    assert first.values["latency_low_ms"] <= first.values["latency_ms"] <= first.values["latency_high_ms"]
    assert first.values["measured_memory_bytes"] > 4 * 21e6  # the weights at full width
    assert "1 thread" in first.device
    monkeypatch.setattr(measuring, "_measure", None)
    assert measure_target(small, WANTED, tmp_path) == first  # another process goes on with the trial
    for content in (
        "",
        "{",
        "[]",
        '{"wanted": {}}',
        json.dumps({"wanted": asdict(WANTED), "values": {}, "device": ""}),
    ):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(TypeError):
            measure_target(small, WANTED, tmp_path)


def test_what_is_beyond_a_limit_is_said() -> None:
    found = Measured(VALUES, "a chip")
    assert found.beyond({}) == ""
    assert found.beyond({"latency_ms": 8.0}) == ""
    assert found.beyond({"latency_ms": 5.0, "measured_memory_bytes": 2e8}) == (
        "latency_ms is 8 and limited to 5 (measured before training, on a chip)"
    )


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(measuring, "_measure", lambda architecture, wanted, tell: Measured(VALUES, "a chip"))
    recipe = asdict(Recipe(epochs=2, batch_size=256))
    wanted = asdict(WANTED)
    architecture, folder = seed("inception-v3").as_data(), str(tmp_path / "5")
    return Job(
        5,
        architecture,
        [asdict(Rung(8, 0.0625, 1.0, 2, 2, 0))],
        "digits",
        recipe,
        0,
        folder,
        measure=wanted,
    )


def test_a_candidate_beyond_a_limit_is_set_aside_without_training(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Candidate, "_begin", None)
    limited = replace(job, measure={**asdict(WANTED), "limits": {"latency_ms": 5.0}})
    report = Candidate(limited).step()
    assert (report.outcome, report.epoch, report.values) == (Outcome.SCREENED, 0, {})
    assert report.measured == VALUES
    assert "limited to 5" in report.reason
    assert Candidate(limited).step() == report  # kept, as every end is


def test_a_candidate_within_its_limits_is_trained(job: Job) -> None:
    candidate = Candidate(replace(job, measure={**asdict(WANTED), "limits": {"latency_ms": 8.5}}))
    first, last = candidate.step(), candidate.step()
    assert (first.outcome, last.outcome) == (Outcome.RUNNING, Outcome.COMPLETE)
    assert first.measured == last.measured == VALUES
    assert Report.from_data(last.as_data()) == last


def test_a_training_gives_way_between_steps(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.device_turns import DeviceTurns

    asked: list[str] = []
    monkeypatch.setattr(DeviceTurns, "give_way", lambda turn, settle: (asked.append(turn.device), settle()))
    Candidate(replace(job, measure=None, recipe={**job.recipe, "batch_size": 100})).step()
    assert asked == ["cpu"] * 16  # ten steps of 1,078 pictures, four batches of statistics and two of the validation


# --------------------------------------------------------------------------------------------------------- the driver


def test_latency_is_an_objective(tmp_path: Path, worker: type[Fake]) -> None:
    config = _config(objectives=["error", "latency_ms", "peak_memory_bytes"], measure={"batch": 2, "threads": 3})
    study = run(config, tmp_path, executor=InlineExecutor(), make=worker)
    assert study.outcomes()["complete"] == 6
    for trial in study.trials:
        if trial.outcome is Outcome.COMPLETE:
            assert trial.values["latency_ms"] == latency(trial.architecture)
            assert trial.values["peak_memory_bytes"] == trial.costs["peak_memory_bytes"]
            before = trial.measurements[0]
            assert (before.epoch, before.values["latency_low_ms"]) == (0, 7.0)
    assert {tuple(job.measure[name] for name in ("batch", "threads", "classes")) for job in worker.jobs} == {(2, 3, 10)}
    assert [trial.values["latency_ms"] for trial in study.front().members] == [
        min(t.values["latency_ms"] for t in study.trials if t.values)
    ] or len(study.front().members) > 1


def test_a_limit_on_latency_sets_aside_before_training(tmp_path: Path, worker: type[Fake]) -> None:
    plain = run(_config(trials=12), tmp_path / "plain", executor=InlineExecutor(), make=_unmeasured(worker))
    most = sorted(latency(t.architecture) for t in plain.trials if not t.seed)[5]
    config = _config(limits={"latency_ms": most})
    study = run(config, tmp_path, executor=InlineExecutor(), make=worker)
    beyond = [t for t in study.trials if t.outcome is Outcome.SCREENED and "latency_ms" in t.reason]
    assert beyond
    for trial in study.trials:
        if trial.outcome is Outcome.COMPLETE and trial.seed is None:
            assert latency(trial.architecture) <= most
            assert trial.violations["limit:latency_ms"] <= 0
    for trial in beyond:
        assert trial.violations["limit:latency_ms"] == pytest.approx(latency(trial.architecture) / most - 1)
        assert not trial.values
        assert trial.measurements[0].values["latency_ms"] == latency(trial.architecture)
    assert study.outcomes()["complete"] == 6  # those set aside use up no budget
    assert next(t for t in study.trials if t.seed).outcome is Outcome.COMPLETE  # seeds are trained whatever they take
    again = run(config, tmp_path, executor=InlineExecutor(), make=worker)
    assert again.trials == study.trials

    with Ledger.open(tmp_path / LEDGER) as ledger:  # a duplicate inherits what was measured, and is told so
        driver = Driver(config, ledger, tmp_path, space("inception", 299), load("digits"), [], Progress())
        driver.known.lessons.sampler.propose = lambda number: beyond[0].genes  # type: ignore[method-assign, return-value]
        (same,) = driver.proposals.next()
    assert same.outcome is Outcome.DUPLICATE
    assert same.violations == beyond[0].violations


def _unmeasured(worker: type[Fake]) -> Any:
    class Plain(worker):  # type: ignore[misc, valid-type]
        def step(self) -> Report:
            values = {"error": 0.5}
            return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE)

    return Plain


def test_a_limit_that_nothing_meets_ends_with_a_sentence(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "GIVE_UP", 3)
    config = _config(limits={"latency_ms": 0.001})
    with pytest.raises(
        SearchFailed, match="3 candidates in a row were measured and set aside, the last because latency"
    ):
        run(config, tmp_path, executor=InlineExecutor(), make=worker)
    assert Study.open("s", tmp_path).record.state == "stopped"


def test_a_worker_that_measured_nothing_has_no_complete_trial(tmp_path: Path, worker: type[Fake]) -> None:
    config = _config(objectives=["error", "latency_ms"])
    with pytest.raises(SearchFailed, match="the worker measured no latency_ms"):
        run(config, tmp_path, executor=InlineExecutor(), make=_unmeasured(worker))


def test_a_measurement_is_recorded_once_when_a_search_goes_on(tmp_path: Path, worker: type[Fake]) -> None:
    class Twice(InlineExecutor):
        def run(self, work: Work, make: Any) -> None:
            inner = work.report
            work.report = lambda said: (inner(replace(said, outcome=Outcome.RUNNING)), inner(said))[0]  # type: ignore[method-assign]
            super().run(work, make)

    study = run(_config(objectives=["error", "latency_ms"]), tmp_path, executor=Twice(), make=worker)
    assert all([m.epoch for m in t.measurements] == [0, 1] for t in study.trials if t.values)


def test_values_of_several_devices_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    found = Measuring(_config(objectives=["error", "latency_ms"]), 10)
    with caplog.at_level(logging.WARNING):
        for number, device in enumerate(["", "a chip", "a chip", "another", "another", "a chip"]):
            found.check_device(number, device)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "trial 3 was measured on another, others on a chip"
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"measure": {"batch": 4}}, "measure is set, but nothing is measured"),
        ({"measure": {"bach": 4}, "objectives": ["error", "latency_ms"]}, "did you mean 'batch'"),
        ({"measure": {"device": "tpu"}, "limits": {"latency_ms": 5.0}}, "'worker' or 'cpu'"),
        ({"objectives": ["error", "latency"]}, "latency_ms"),
        ({"limits": {"latency_ms": 0.0}}, "limits.latency_ms is 0.0: more than 0 is allowed"),
    ],
)
def test_a_wrong_file_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        _config(**changes)


# ------------------------------------------------------------------------------------------------------ out of memory


def test_running_out_of_memory_is_an_outcome_with_its_figures(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.fit import Fit

    plain = replace(job, measure=None)
    candidate = Candidate(plain)
    assert candidate.step().outcome is Outcome.RUNNING

    def full(fit: Fit, *told: Any, **rest: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.\nmore")

    monkeypatch.setattr(Fit, "epoch", full)
    report = candidate.step()
    assert report.outcome is Outcome.OUT_OF_MEMORY
    for told in (
        "in epoch 2",
        "predicted were",
        "the actual peak was",
        "recipe.batch_size",
        "Tried to allocate 3.00 GiB",
    ):
        assert told in report.reason
    assert "more" not in report.reason
    assert [values for values, _ in report.history] == [report.values]  # the first epoch is not forgotten
    assert candidate.fit is None
    folder = Path(job.folder)
    assert {path.name for path in folder.iterdir()} == {RESULT}


def test_running_out_before_the_network_is_known(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(architecture: Any, wanted: Any, tell: Any) -> Measured:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(measuring, "_measure", full)
    report = Candidate(job).step()
    assert report.outcome is Outcome.OUT_OF_MEMORY
    assert "before the training" in report.reason
    assert "measure.batch" in report.reason


REAL = """
import json, resource, sys
from dataclasses import asdict
from nas.candidate import Candidate
from nas.job import Job
from nas.rungs import Rung
from nas.rungs import Rung
from search_spaces.seeds import seed
from trainers.recipe import Recipe

import trainers.fit, trainers.measure
from trainers.data import load
load("digits")
recipe = asdict(Recipe(epochs=1, batch_size=1024))
rungs = [asdict(Rung(64, 0.25, 1.0, 1, 1, 0))]
job = Job(1, seed("inception-v3").as_data(), rungs, "digits", recipe, 0, sys.argv[1])
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30, taken + 2**30))
report = Candidate(job).step()
print(json.dumps(report.as_data()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit and the size of a process are Linux's")
def test_running_out_of_memory_for_real(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    report = Report.from_data(json.loads(done.stdout.splitlines()[-1]))
    assert report.outcome is Outcome.OUT_OF_MEMORY, report.traceback or report.reason
    assert "GiB besides the data" in report.reason
    assert {path.name for path in folder.iterdir()} == {RESULT}
    assert not (folder / CHECKPOINTS).exists()
    assert not (folder / WEIGHTS).exists()
