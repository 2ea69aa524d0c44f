"""``nas statistics``: for people, for programs, and as files."""

import csv
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nas.cli import nas
from nas.runs import LEDGER
from nas.statistics_view import parse_reference
from nas.study import Study
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, TrialRecord
from search_spaces.errors import NotWritten, RequestError

OBJECTIVES = {"error": "minimize", "macs": "minimize"}
HOSTILE = "=1+1\x1b[31m<script>\u202e"


def record(study: str, number: int, source: random.Random) -> TrialRecord:
    width = source.random()
    return TrialRecord(
        study=study,
        number=number,
        digest=f"{number:064x}",
        origin="random" if number % 4 == 3 else "sampler",
        architecture={},
        costs={"macs": 10**9 + int(4e9 * width), "params": 10**6},
        genes={"width": width, "depth": source.choice([2, 3])},
    )


def add(ledger: Ledger, study: str, outcomes: list[Outcome], error: float | None = None) -> None:
    search = {"study": study, "data": "digits", "trials": 30, "recipe": {"epochs": 2}, "rungs": [{"epochs": 1}]}
    ledger.create_study(study, search, OBJECTIVES, {})
    source = random.Random(0)
    for number, outcome in enumerate(outcomes):
        trial = ledger_trial = record(study, number, source)
        if outcome is Outcome.SCREENED:
            ledger_trial = replace(trial, outcome=outcome, reason=HOSTILE, violations={"limit:macs": 0.1})
        ledger.start_trial(ledger_trial)
        if outcome in (Outcome.SCREENED, Outcome.RUNNING):
            continue
        value = source.random() if error is None else error
        if outcome is Outcome.COMPLETE:
            for rung in (0, 1):
                measured = Measurement(rung, rung + 1, {"error": value}, 1.0)
                ledger.record_measurement(study, number, measured)
        values = {"error": value, "macs": float(trial.costs["macs"])} if outcome is Outcome.COMPLETE else None
        ledger.finish_trial(study, number, outcome, values=values, reason=HOSTILE)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    usual = [Outcome.COMPLETE] * 30 + [Outcome.DIVERGED, Outcome.SCREENED, Outcome.RUNNING, Outcome.STOPPED]
    with Ledger.open(folder / LEDGER, create=True) as ledger:
        add(ledger, "usual", usual)
        add(ledger, "empty", [])
        add(ledger, "failed", [Outcome.DIVERGED, Outcome.OUT_OF_MEMORY])
        add(ledger, "constant", [Outcome.COMPLETE] * 25, error=0.9)
    return folder


def invoke(runs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(nas, ["statistics", *arguments, "--runs", str(runs)], catch_exceptions=False)


def test_people_are_told_every_part(runs: Path) -> None:
    done = invoke(runs, "usual")
    assert done.exit_code == 0
    for part in (
        "Hypervolume of usual: ",
        "hypervolume against trials",
        "Knee of the front: ",
        "What a percent point of error costs",
        "Genes that matter for error (ped-anova, 30 trials):",
        "Genes that matter for MACs",
        "Error at equal MACs: the best",
        "Order of the 30 trials that reached the top rung",
        "Outcomes of 34 trials: 30 complete",
    ):
        assert part in done.stdout, part


@pytest.mark.parametrize(
    ("study", "missing"),
    [
        ("empty", "the study has no trials"),
        ("failed", "no trial is complete"),
        ("constant", "error is the same in all 25 complete trials"),
    ],
)
def test_what_is_missing_is_said_with_exit_status_0(runs: Path, study: str, missing: str) -> None:
    done = invoke(runs, study)
    assert done.exit_code == 0
    assert missing in done.stdout
    document = json.loads(invoke(runs, study, "--json").stdout)
    assert document["study"] == study
    assert all(each["missing"] for each in document["importances"][:1])


def test_programs_get_one_document(runs: Path) -> None:
    document = json.loads(invoke(runs, "usual", "--json", "--reference", "error=2").stdout)
    assert document["reference_point"]["error"] == 2
    study = Study.open("usual", runs)
    assert document["hypervolume"] == study.statistics({"error": 2}).front.hypervolume
    assert document["hypervolume_by_trial"]["all"][-1] == pytest.approx(document["hypervolume"])
    assert document["seconds_by_trial"]["all"][-1] == sum(trial.seconds or 0 for trial in study.trials)
    assert document["front"] == [trial.number for trial in study.front().members]
    assert document["outcomes"]["diverged"] == 1
    assert [each["of"] for each in document["importances"]] == ["error", "macs"]
    assert next(iter(document["importances"][1]["shares"])) == "width"
    fanova = json.loads(invoke(runs, "usual", "--json", "--importance", "fanova").stdout)
    assert {each["method"] for each in fanova["importances"]} == {"fanova"}


def test_files_are_tables_and_figures(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "figures"
    done = invoke(runs, "usual", "-o", str(folder))
    names = (
        "front",
        "hypervolume",
        "control",
        "knees",
        "prices",
        "importance",
        "distributions",
        "agreement",
        "outcomes",
        "trials",
    )
    written = [folder / f"{name}.{kind}" for name in names for kind in ("csv", "json")]
    assert done.stdout.split() == [str(path) for path in written]
    assert sorted(folder.iterdir()) == sorted(written)
    for path in written[::2]:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file, strict=True)
        data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert (data["study"], data["name"], data["columns"]) == ("usual", path.stem, head)
        assert len(data["rows"]) == len(rows)
        assert bool(data["figures"]) == (path.stem in ("front", "hypervolume", "importance", "distributions"))
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        reasons = {row["reason"] for row in csv.DictReader(file)}
    assert reasons == {"'=1+1\\x1b[31m<script>\\u202e", ""}
    again = invoke(runs, "usual", "-o", str(folder))
    assert again.stderr.startswith(f"replaced: {written[0]}, ")


def test_files_are_written_whole_or_not_at_all(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "trials.json").mkdir(parents=True)
    with pytest.raises(NotWritten, match=r"trials\.json is a folder"):
        invoke(runs, "usual", "-o", str(folder))
    assert [path.name for path in folder.iterdir()] == ["trials.json"]


@pytest.mark.parametrize("text", ["error", "error=", "=1", "error=low", "error=0.1=2"])
def test_a_wrong_reference_is_told(text: str) -> None:
    with pytest.raises(RequestError, match="is no NAME=VALUE with a number"):
        parse_reference([text])


def test_wrong_requests_say_what_is_allowed(runs: Path) -> None:
    with pytest.raises(RequestError, match="names error twice"):
        parse_reference(["error=1", "error=2"])
    with pytest.raises(RequestError, match="'latency_ms', which is no objective"):
        invoke(runs, "usual", "--reference", "latency_ms=3")
    with pytest.raises(RequestError, match="there is no importance 'shap'"):
        invoke(runs, "usual", "--importance", "shap")


def test_it_starts_without_what_only_searches_and_pages_need(runs: Path) -> None:
    code = f"""
import sys
from nas.cli import nas
nas(["statistics", "usual", "--runs", {str(runs)!r}], standalone_mode=False)
found = {{"torch", "ray", "dash"}} & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_reference_point_that_no_trial_reaches_is_told(runs: Path) -> None:
    told = "No trial is better than that in every objective"
    assert told in invoke(runs, "usual", "--reference", "error=0.0001").stdout
    assert told not in invoke(runs, "usual").stdout


def test_what_nobody_searches_is_not_running(runs: Path) -> None:
    assert "1 interrupted" in invoke(runs, "usual").stdout
    with Ledger.open(runs / LEDGER) as ledger, ledger.hold("usual"):
        done = invoke(runs, "usual").stdout
    assert "1 running" in done
    assert "interrupted" not in done


def test_a_file_in_the_place_of_the_folder_is_refused_before_any_work(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(RequestError, match=r"there' is a file: name a folder, which is made if need be"):
        invoke(runs, "usual", "-o", str(tmp_path / "there"))
