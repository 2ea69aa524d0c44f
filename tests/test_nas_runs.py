"""A study whose ledger is not in its runs folder: searched, read by every command, without its password anywhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.config import SearchConfig
from nas.doctor import examine, warn_of_emulation
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.job import Job, Report
from nas.runs import LEDGER, LEDGER_VARIABLE, Runs
from nas.study import Study
from results.ledger import Ledger
from results.outcome import LedgerError, NoLedger, Outcome
from results.process import Process
from trainers.recipe import Recipe

SECRETS = ("pass/word", "pass%2Fword")


def _config(**changes: Any) -> SearchConfig:
    least = {"study": "s", "data": "digits", "trials": 3, "proxy": {"resolution": 8}, "executor": {"name": "inline"}}
    return SearchConfig.from_data({**least, "sampler": "random", "recipe": {"epochs": 1}, **changes})


class Fake:
    """A worker that trains nothing: its error depends on the architecture alone."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def step(self) -> Report:
        """One epoch is all."""
        values = {"error": len(str(self.job.architecture)) % 97 / 100}
        return Report(self.job.number, 1, 1, values, 1.0, ((values, 1.0),), Outcome.COMPLETE)


@pytest.fixture
def url(place: str | Path) -> str:
    """The URL of a ledger outside of the runs folder."""
    return place if isinstance(place, str) else f"sqlite:///{place}"


def _nas(*arguments: str, cwd: Path, url: str = "", status: int = 0) -> str:
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    environment = {**os.environ, LEDGER_VARIABLE: url}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, env=environment, timeout=200)
    assert done.returncode == status, done.stderr
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_a_study_in_a_ledger_elsewhere(tmp_path: Path, url: str) -> None:
    runs = tmp_path / "runs"
    study = run(_config(), Runs(runs, url), executor=InlineExecutor(), make=Fake)
    assert (study.record.state, study.runs, study.folder) == ("complete", runs, runs / "s")
    assert not (runs / LEDGER).exists()
    longer = run(_config(trials=5), Runs(runs, url), executor=InlineExecutor(), make=Fake)
    assert longer.trials[: len(study.trials)] == study.trials
    assert Study.open("s", runs, ledger=url) == longer
    number = study.best().number
    assert nas.load(f"s:{number}", runs=runs, ledger=url).digest == study.best().digest
    with pytest.raises(NoLedger, match="there is no ledger in"):
        Study.open("s", runs)
    kept = [path.read_bytes() for path in runs.rglob("*") if path.is_file()]
    assert not [secret for secret in SECRETS for content in kept if secret.encode() in content]


def test_every_command_reads_a_ledger_elsewhere(tmp_path: Path, url: str) -> None:
    study = run(_config(), Runs(tmp_path / "runs", url), executor=InlineExecutor(), make=Fake)
    rows = json.loads(_nas("studies", "--json", "--ledger", url, cwd=tmp_path))
    assert [(row["name"], row["trials"], row["state"]) for row in rows] == [("s", len(study.trials), "complete")]
    assert json.loads(_nas("status", "s", "--json", cwd=tmp_path, url=url))["complete"] == 3  # by the variable
    assert json.loads(_nas("pareto", "s", "--json", cwd=tmp_path, url=url))["study"] == "s"
    assert _nas("report", "s", cwd=tmp_path, url=url).strip() == "runs/s/report.html"
    assert "s:0" not in _nas("cost", "s:0", "--ledger", url, cwd=tmp_path, url="mysql://not-this-one")
    sentence = _nas("status", "s", cwd=tmp_path, status=2)
    assert "there is no ledger in 'runs'" in sentence
    sentence = _nas("status", "other", cwd=tmp_path, url=url, status=2)
    assert "there is no study 'other': the ledger has s" in sentence


def test_a_ledger_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    for command in (["studies"], ["status", "s"], ["cost", "s:0"]):
        said = _nas(*command, cwd=tmp_path, url="postgresql://nas:pass%2Fword@127.0.0.1:9/db", status=2)
        assert re.fullmatch(r"nas: the ledger postgresql://nas@127.0.0.1:9/db cannot be reached: .*\n", said)


def test_doctor_tells_of_the_ledger(tmp_path: Path, url: str) -> None:
    runs = Runs(tmp_path, url)
    if url.startswith("postgresql"):  # a file is missing, a schema is empty
        assert examine(runs)["ledger"] == {"place": "postgresql://...", "state": "none yet"}
    Ledger.open(url, create=True).close()
    found = examine(runs)
    assert found["ledger"]["state"] == "0 studies"
    assert found["problems"] == examine(Runs(tmp_path))["problems"]
    away = examine(Runs(tmp_path, "postgresql://nas:pass%2Fword@127.0.0.1:9/db"))
    assert away["ledger"] == {"place": "postgresql://...", "state": "cannot be read"}
    assert "cannot be reached" in away["problems"][-1]
    assert not [secret for secret in SECRETS if secret in str(away)]


def test_a_ledger_is_named_by_argument_then_variable_then_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LEDGER_VARIABLE, raising=False)
    assert Runs.of(tmp_path) == Runs(tmp_path, None)
    monkeypatch.setenv(LEDGER_VARIABLE, "sqlite:///a")
    assert Runs.of(str(tmp_path)) == Runs(tmp_path, "sqlite:///a")
    assert Runs.of(tmp_path, "sqlite:///b") == Runs(tmp_path, "sqlite:///b")
    assert Runs.of(Runs(tmp_path)) == Runs(tmp_path)
    assert "pass" not in repr(Runs(tmp_path, "postgresql://nas:pass@h/db"))


def test_a_driver_that_lost_its_study_ends_and_changes_nothing(tmp_path: Path, place: str | Path) -> None:
    """As after a long sleep: meanwhile another machine's driver has taken the study over."""
    elsewhere = Process("elsewhere", "another", "another", "another", 1, "1")
    seen = []

    class Sleeper(Fake):
        def step(self) -> Report:
            if self.job.number == 1:
                with Ledger.open(place) as ledger, ledger.hold("s", elsewhere, stale_seconds=0.2):
                    seen.append((ledger.study("s"), ledger.trials("s")))
            return super().step()

    with pytest.raises(LedgerError, match="this process lost the study 's' to another process while it did not"):
        run(_config(), Runs(tmp_path, str(place)), executor=InlineExecutor(), make=Sleeper)
    with Ledger.open(place, read_only=True) as reader:
        assert [(reader.study("s"), reader.trials("s"))] == seen


@pytest.mark.parametrize(
    ("precision", "emulated", "told"), [("bfloat16", True, 1), ("bfloat16", False, 0), ("auto", True, 0)]
)
def test_emulated_bfloat16_is_told(
    precision: Any, emulated: bool, told: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nas.doctor.has_bfloat16", lambda: not emulated)
    monkeypatch.setattr("nas.doctor.gpus", list)
    warn_of_emulation(Recipe(precision=precision))
    assert len(caplog.messages) == told
