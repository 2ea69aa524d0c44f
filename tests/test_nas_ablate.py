"""The command and its arms: alike in all but the principle, resumed, refused, stopped."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.ablate import LEAST_TRIALS, PROBE, SPACE_FILE, Plan, ablate, answer, plan
from nas.config import SPACE_DIGEST, SearchConfig
from nas.job import Job, Report
from nas.progress import Progress
from nas.runs import LEDGER
from nas.study import Study
from results.outcome import LedgerError, Outcome
from search_spaces.errors import RequestError
from search_spaces.space import space
from search_spaces.yaml_files import read_file, write_text

SHIPPED = Path(__file__).resolve().parent.parent / "search_spaces" / "spaces" / "inception.yaml"


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 8, "executor": "inline"}
    return SearchConfig.from_data({**least, "proxy": {"resolution": 8}, "recipe": {"epochs": 1}, **changes})


class Fake:
    """A worker that trains nothing: its error depends on the architecture alone. ``log`` keeps every trial."""

    log: list[str]

    def __init__(self, job: Job) -> None:
        self.job = job

    def step(self) -> Report:
        """One epoch."""
        type(self).log.append(self.job.folder)
        error = len(str(self.job.architecture)) % 97 / 100
        return Report(self.job.number, 1, 1, {"error": error}, 1.0, (({"error": error}, 1.0),), Outcome.COMPLETE)


@pytest.fixture
def worker() -> type[Fake]:
    return type("Worker", (Fake,), {"log": []})


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(_config(sampler="nsga2"), "local_processing")


def test_the_arms_differ_in_nothing_but_the_principle(tmp_path: Path, planned: Plan, worker: type[Fake]) -> None:
    told: list[str] = []
    found = ablate(planned, tmp_path, tell=told.append, make=worker)
    assert found is not None
    assert [line.split(":")[0] for line in told] == ["arm 1 of 2", "arm 2 of 2"]
    on, off = (Study.open(f"s-local_processing-{word}", tmp_path) for word in ("on", "off"))
    assert found.on.studies == (on.name,)
    assert {key for key in on.record.search if on.record.search[key] != off.record.search[key]} == {
        "study",
        "space",
        SPACE_DIGEST,
    }
    assert on.record.search["sampler"]["name"] == "random"
    assert on.record.search["seeds"] == []
    assert on.record.data_digest == off.record.data_digest
    assert len(found.on.points) == len(found.off.points) == 8
    assert found.on.breaking == 0
    assert found.off.breaking >= 4
    assert {p.number: p.error for p in found.on.points} == {t.number: t.values["error"] for t in on.trials if t.values}
    assert found.epochs == 1


def test_off_means_the_same_space_with_the_principle_switched_off(
    tmp_path: Path, planned: Plan, worker: type[Fake]
) -> None:
    ablate(planned, tmp_path, make=worker)
    path = tmp_path / "s-local_processing-off" / SPACE_FILE
    written, shipped = read_file(path).data, read_file(SHIPPED).data
    assert written["thresholds"] == {**shipped["thresholds"], "off": ["local_processing"]}
    assert {key for key in shipped if written[key] != shipped[key]} == {"name", "thresholds"}
    assert space(str(path)).thresholds.off == ("local_processing",)
    assert not (tmp_path / "s-local_processing-on" / SPACE_FILE).exists()


def test_what_is_off_already_stays_off(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    data = read_file(SHIPPED).data
    own.write_text(write_text({**data, "thresholds": {"off": ["balance"], "shrink": 0.9}}), encoding="utf-8")
    found = plan(_config(space=str(own)), "parallel_reduction")
    (tmp_path / "off.yaml").write_text(found.off, encoding="utf-8")
    thresholds = space(str(tmp_path / "off.yaml")).thresholds
    assert thresholds.off == ("balance", "parallel_reduction")
    assert thresholds.shrink == 0.9
    assert 0 < found.breaking <= PROBE
    with pytest.raises(RequestError, match="has balance switched off already"):
        plan(_config(space=str(own)), "balance")


def test_what_a_base_says_holds_in_both_arms(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "base: inception\nname: below\nthresholds: {off: [balance], bottleneck: 0.4}", encoding="utf-8"
    )
    own = tmp_path / "own.yaml"
    own.write_text("base: below.yaml\nname: own\ntied: false", encoding="utf-8")
    found = plan(_config(space=str(own)), "parallel_reduction")
    (tmp_path / "off.yaml").write_text(found.off, encoding="utf-8")
    off = space(str(tmp_path / "off.yaml"))
    assert off.thresholds == replace(space(str(own)).thresholds, off=("balance", "parallel_reduction"))
    assert not off.file.tied


def test_a_complete_ablation_trains_nothing_again(tmp_path: Path, planned: Plan, worker: type[Fake]) -> None:
    first = ablate(planned, tmp_path, make=worker)
    assert len(worker.log) == len(set(worker.log)) == 16
    assert ablate(planned, tmp_path, make=worker) == first
    assert len(worker.log) == 16
    more = ablate(plan(_config(trials=10), "local_processing"), tmp_path, make=worker)
    assert more is not None
    assert len(worker.log) == 20
    assert first is not None
    assert more.on.points[:8] == first.on.points


class Impatient(Progress):
    """Asks for a stop when a trial has ended, as Ctrl-C does; ``left``: how many may end before."""

    left = 0

    def reported(self, trial: Any, report: Report) -> None:
        type(self).left -= 1
        if type(self).left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("after", [3, 8, 11])
def test_stopped_and_resumed_is_as_never_stopped(tmp_path: Path, planned: Plan, worker: type[Fake], after: int) -> None:
    whole = ablate(planned, tmp_path / "whole", make=worker)
    worker.log.clear()
    impatient = type("ImpatientOnce", (Impatient,), {"left": after})
    told: list[str] = []
    part = ablate(planned, tmp_path / "part", progress=impatient, tell=told.append, make=worker)
    if after != 8:  # the last trial of an arm completes it, and the next one goes on
        assert part is None
        assert told[-1].endswith(f"stopped with {after % 8} trials done; the same command goes on")
        assert len(worker.log) == after
    assert ablate(planned, tmp_path / "part", make=worker) == whole
    assert len(worker.log) == len(set(worker.log)) == 16


def test_repeats_have_their_own_random_seeds(tmp_path: Path, worker: type[Fake]) -> None:
    planned = plan(_config(trials=5, random_seed=7), "local_processing", 2)
    found = ablate(planned, tmp_path, make=worker)
    assert found is not None
    assert found.on.studies == ("s-local_processing-on", "s-local_processing-on-2")
    seeds = [Study.open(name, tmp_path).record.search["random_seed"] for name in found.on.studies]
    assert seeds == [7, 8]
    assert [point.repeat for point in found.off.points] == [0] * 5 + [1] * 5
    assert found.repeats == 2
    assert found.raw is not None
    assert found.raw.pairs == 50  # and not 100: pairs are of one repeat


@pytest.mark.parametrize(
    ("changes", "principle", "repeats", "sentence"),
    [
        ({}, "botleneck", 1, "there is no principle 'botleneck': .*did you mean 'bottleneck'"),
        ({"trials": 7}, "balance", 1, "an arm of 7 trials is too small .*at least 8"),
        ({"trials": 3}, "balance", 2, "an arm of 6 trials is too small"),
        ({"study": "s" * 60}, "balance", 1, "has 72 letters and 64 are allowed"),
        ({"space": "incepton"}, "balance", 1, "there is no space 'incepton'"),
        ({}, "nonlinear_factors", 1, "switching nonlinear_factors off changes nothing"),
    ],
)
def test_requests_that_cannot_be_answered_are_refused(
    changes: dict[str, Any], principle: str, repeats: int, sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence) as caught:
        plan(_config(**changes), principle, repeats)
    assert "\n" not in str(caught.value)


def test_a_wrong_request_of_the_search_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no data folder"):
        ablate(plan(_config(data="/no/such/folder"), "local_processing"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_another_search_under_the_same_names_is_refused(tmp_path: Path, planned: Plan, worker: type[Fake]) -> None:
    before = ablate(planned, tmp_path, make=worker)
    with pytest.raises(LedgerError, match="epochs"):
        ablate(plan(_config(recipe={"epochs": 2}), "local_processing"), tmp_path, make=worker)
    assert ablate(planned, tmp_path, make=worker) == before


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path, planned: Plan, worker: type[Fake]) -> None:
    ablate(planned, tmp_path, make=worker)
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RequestError, match="cannot be written"):
        answer(planned, tmp_path, tmp_path / "taken" / "p.html", progress=Progress, tell=lambda text: None)


# ---------------------------------------------------------------------------------------------------- the command line

SEARCH = """\
study: tiny
data: digits
trials: 8
proxy: {resolution: 8, width: 0.0625}
recipe: {epochs: 1, batch_size: 256}
executor: inline
"""


UNTRAINED = """\
import sys, time
from nas.candidate import Candidate
from nas.job import Report
from results.outcome import Outcome
def step(self):
    time.sleep(0.1)
    error = len(str(self.job.architecture)) % 97 / 100
    return Report(self.job.number, 1, 1, {"error": error}, 1.0, (({"error": error}, 1.0),), Outcome.COMPLETE)
Candidate.step = step
from nas.cli import main
sys.argv[0] = "nas"
main()
"""


def _command(*arguments: str) -> list[str]:
    """The command line with workers that train nothing."""
    return [sys.executable, "-c", UNTRAINED, "ablate", "tiny.yaml", "--principle", *arguments]


def _nas(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*arguments), capture_output=True, text=True, cwd=cwd, check=False, timeout=200)


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SEARCH, encoding="utf-8")
    with subprocess.Popen(_command("local_processing"), stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "2 of 8 done" in line:
                process.send_signal(signal.SIGINT)
                break
        stopped = r"study tiny-local_processing-on stopped with \d trials done; the same command goes on"
        assert re.search(stopped, process.stderr.read())
    assert process.returncode == 130

    done = _nas("local_processing", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["random_seeds"] == [0]
    assert found["arms"]["on"]["compared"] == found["arms"]["off"]["compared"] == 8
    assert found["differences"]["at_equal_macs"].keys() >= {"value", "low", "high", "pairs"}
    assert "arm 2 of 2: local_processing off, study tiny-local_processing-off" in done.stderr
    assert "8 of 8 done" in done.stderr
    page = tmp_path / "runs" / "tiny-local_processing.html"
    assert found["page"] == str(page.relative_to(tmp_path))
    assert found["verdict"].split(":")[0] in page.read_text(encoding="utf-8")

    done = _nas("local_processing", "-o", "own.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert found["verdict"] in done.stdout
    assert "error, equal MACs (within 25%)" in done.stdout
    assert max(map(len, done.stdout.split("\nNo ")[0].splitlines()[:-4])) <= 80
    assert (tmp_path / "own.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["embeding"], "did you mean 'embedding'?"),
        (["embedding", "--set", "trails=9"], "did you mean 'trials'?"),
        (["embedding", "--set", "trials=5"], "at least 8 are needed"),
    ],
)
def test_a_mistake_costs_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "tiny.yaml").write_text(SEARCH, encoding="utf-8")
    done = _nas(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs" / LEDGER).exists()


def test_help_names_the_least_number_of_trials(tmp_path: Path) -> None:
    told = " ".join(_nas("local_processing", "--help", cwd=tmp_path).stdout.split())
    assert f"at least {LEAST_TRIALS} with all its repeats" in told
