"""`nas status` and `nas studies`: a trial that nobody trains is interrupted, not running."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nas.cli import nas
from nas.runs import LEDGER
from nas.study import Found, Study
from results.ledger import Ledger
from results.outcome import Outcome, TrialRecord
from results.process import Process
from search_spaces.seeds import seed


def _said(runs: Path, *arguments: str) -> str:
    done = CliRunner().invoke(nas, [*arguments, "--runs", str(runs)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    with Ledger.open(tmp_path / LEDGER, create=True) as ledger:
        ledger.create_study("s", {"trials": 4}, {"error": "minimize"}, {})
        for number in range(3):
            digest = f"{number:064}"
            ledger.start_trial(
                TrialRecord(study="s", number=number, digest=digest, origin="random", architecture={}, costs={})
            )
        ledger.finish_trial("s", 0, Outcome.DIVERGED)
    return tmp_path


def test_without_a_driver_trials_are_interrupted(runs: Path) -> None:
    lines = _said(runs, "status", "s").splitlines()
    assert lines[0] == "s: interrupted, 3 trials"
    assert lines[1] == "     2  interrupted: The search ended meanwhile; 'nas search' goes on with the trial."
    assert lines[2].startswith("     1  diverged: ")
    assert _said(runs, "studies") == "s  interrupted, 3 trials, 0 on the front\n"


def test_with_a_driver_they_are_running(runs: Path) -> None:
    with Ledger.open(runs / LEDGER) as ledger, ledger.hold("s"):
        lines = _said(runs, "status", "s").splitlines()
        (row,) = json.loads(_said(runs, "studies", "--json"))
        studies = _said(runs, "studies")
    who = str(Process.this())
    assert lines[0] == f"s: running ({who}), 3 trials"
    assert lines[1].startswith("     2  running: The trial is training")
    assert (row["state"], row["searched_by"]) == ("running", who)
    assert studies == f"s  running ({who}), 3 trials, 0 on the front\n"


def test_the_keys_for_programs_stay(runs: Path) -> None:
    counts = json.loads(_said(runs, "status", "s", "--json"))
    assert {outcome: count for outcome, count in counts.items() if count} == {"running": 2, "diverged": 1}


def test_a_study_that_was_stopped_is_called_so(runs: Path) -> None:
    with Ledger.open(runs / LEDGER) as ledger:
        ledger.set_state("s", "stopped")
    assert _said(runs, "status", "s").startswith("s: stopped, 3 trials\n     2  interrupted: ")


def test_nothing_in_a_ledger_steers_the_terminal(tmp_path: Path) -> None:
    """Names in a ledger that another program wrote, and words in a sentence that quotes them."""
    name = "\x1b]0;title\x07[bold]\u202e"
    with Ledger.open(tmp_path / LEDGER, create=True) as ledger:
        ledger.create_study(name, {"trials": 4}, {"error": "minimize"}, {})
    for command in (["studies"], ["status", name], ["pareto", name]):
        done = CliRunner().invoke(nas, [*command, "--runs", str(tmp_path)])
        assert all(char.isprintable() or char == "\n" for char in done.output), command
        if command != ["pareto", name]:
            assert "\\x1b]0;title\\x07[bold]\\u202e" in done.stdout
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    wrong = [sys.executable, "-c", code, "status", "x\x1b[2J", "--runs", str(tmp_path)]
    said = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert all(char.isprintable() or char == "\n" for char in said.stderr)


def test_a_recorded_search_that_lacks_its_keys_is_shown(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / LEDGER, create=True) as ledger:
        ledger.create_study("s", {}, {"error": "minimize"}, {})
        ledger.set_state("s", "complete")
    assert _said(tmp_path, "status", "s").splitlines()[0] == "s: complete, 0 trials"
    study = Study.open("s", tmp_path)
    assert (study.exhausted, Found(seed("googlenet"), study, None).classes) == ("", 1000)
