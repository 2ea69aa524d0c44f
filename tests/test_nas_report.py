"""The command ``nas report``: what of a study reaches the page, and that it is written whatever is damaged."""

import json
import platform
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from reports import Page

from nas import doctor
from nas.cli import nas as commands
from nas.conclude import conclude, write_study_report
from nas.config import COMMAND, SearchConfig, read_search
from nas.driver import run
from nas.executors.inline import InlineExecutor
from nas.runs import LEDGER
from nas.study import Study
from results.ledger import Ledger
from results.outcome import Outcome, TrialRecord
from search_spaces.errors import RequestError
from search_spaces.seeds import seed

V3 = seed("inception-v3")
SEARCH = {"data": "digits", "proxy": {"resolution": 8}, "executor": {"name": "inline"}, "recipe": {"epochs": 1}}
OBJECTIVES = {"error": "minimize", "macs": "minimize"}


def _written(folder: Path, *, search: dict[str, Any] | None = None) -> None:
    """A study of two complete trials, as a driver would have left it."""
    config = SearchConfig.from_data({"study": "s", "trials": 2, "seeds": ["inception-v3"], **SEARCH, **(search or {})})
    stored = config.with_classes(1000).as_data()
    with Ledger.open(folder / LEDGER, create=True) as ledger, ledger.hold("s"):
        ledger.create_study("s", stored, OBJECTIVES, {"torch": "2.13.0"}, "cd" * 32)
        for number, error in enumerate((0.1, 0.2)):
            macs = 5_000_000_000 - number
            ledger.start_trial(
                TrialRecord(
                    study="s",
                    number=number,
                    digest=V3.digest,
                    seed=None if number else "inception-v3",
                    origin="sampler" if number else "seed",
                    architecture=V3.as_data(),
                    genes={"depth": number} if number else None,
                    costs={"macs": macs, "params": 20_000_000},
                )
            )
            ledger.finish_trial("s", number, Outcome.COMPLETE, values={"error": error, "macs": macs}, seconds=1.0)
        ledger.set_state("s", "complete")


def _report(folder: Path, *options: str) -> Result:
    target = folder / "r.html"
    return CliRunner().invoke(commands, ["report", "s", "-o", str(target), "--runs", str(folder), *options])


def _page(folder: Path, *options: str) -> Page:
    done = _report(folder, *options)
    assert done.exit_code == 0, (done.output, done.exception)
    return Page((folder / "r.html").read_text(encoding="utf-8"))


def _sql(folder: Path, text: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / LEDGER)) as connection, connection:
        connection.execute(text, values)


def test_the_page_has_what_repeats_the_study(tmp_path: Path) -> None:
    _written(tmp_path)
    page = _page(tmp_path)
    assert "hardware not recorded" in page.text
    assert "The command was not recorded" in page.text
    assert "Audited by the thresholds of the space 'inception'." in page.text
    assert "2 complete trials have genes" not in page.text
    assert "1 complete trials have genes and error; 20 are needed" in page.text
    texts = (tmp_path / "r.html").read_text(encoding="utf-8")
    (search,) = re.findall(r'aria-label="Search file">(.*?)</pre>', texts, re.DOTALL)
    (tmp_path / "search.yaml").write_text(search.replace("&#x27;", "'").replace("&quot;", '"'), encoding="utf-8")
    assert read_search(tmp_path / "search.yaml") == SearchConfig.from_data(Study.open("s", tmp_path).record.search)


def _executed(folder: Path, command: str | None, trials: int) -> Study:
    from test_nas_older_studies import Fake

    config = SearchConfig.from_data({"study": "s", "trials": trials, "sampler": "random", **SEARCH})
    return run(config, folder, executor=InlineExecutor(), make=Fake, command=command)


def test_command_hardware_and_versions_are_recorded_and_another_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _executed(tmp_path, "nas search 's.yaml' --set trials=1", 1)
    hardware = first.record.versions["hardware"]
    assert hardware == doctor.hardware_text()
    assert first.record.versions["python"] == platform.python_version()
    monkeypatch.setattr("nas.study_record.hardware_text", lambda: "another machine")
    second = _executed(tmp_path, "nas search s.yaml --set trials=2", 2)
    assert (second.record.state, second.record.versions["hardware"]) == ("complete", hardware)
    assert second.record.search[COMMAND] == "nas search s.yaml --set trials=2"
    page = _page(tmp_path)
    assert "nas search s.yaml --set trials=2" in page.text
    assert f"hardware {hardware}" in page.text
    assert "pictures for training" in page.text
    assert "space digest" in page.text
    assert _executed(tmp_path, None, 2).record.state == "complete"


def test_the_command_is_recorded_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str | None] = []

    def stop(*arguments: Any, command: str | None = None, **options: Any) -> None:
        heard.append(command)
        raise RequestError("enough")

    monkeypatch.setattr("nas.driver.run", stop)
    (tmp_path / "a b.yaml").write_text("study: s\ndata: digits\nproxy: {resolution: 8}\n", encoding="utf-8")
    typed = ["search", str(tmp_path / "a b.yaml"), "--set", "trials=3", "--set", "sampler={name: nsga2}"]
    CliRunner().invoke(commands, [*typed, "--runs", str(tmp_path), "--ledger", "postgresql://u:secret@h/d"])
    assert heard == [f"nas search '{tmp_path}/a b.yaml' --set trials=3 --set 'sampler={{name: nsga2}}'"]


def test_gpus_are_part_of_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "gpus", lambda: [{"name": "NVIDIA H100", "memory_bytes": 1}] * 2)
    assert doctor.hardware_text().endswith(", 2 x NVIDIA H100")
    monkeypatch.setattr(doctor, "gpus", list)
    assert doctor.hardware_text().endswith(", no GPU")


def test_published_results_are_asked_for_or_refused(tmp_path: Path) -> None:
    _written(tmp_path)
    assert "Published results" not in _page(tmp_path).text
    assert "Published results" in _page(tmp_path, "--published").text
    _sql(tmp_path, "UPDATE studies SET search = replace(search, '1000', '10')")
    done = _report(tmp_path, "--published")
    assert done.exit_code != 0
    assert "this study's target has 10" in str(done.exception or done.output)


# ----------------------------------------------------------------------------------------------------------- bad input


def _no_architecture(folder: Path) -> None:
    _sql(folder, "UPDATE trials SET architecture = '{\"format\": 9}' WHERE number = 1")


def _no_json(folder: Path) -> None:
    _sql(folder, "UPDATE trials SET architecture = substr(architecture, 1, 40) WHERE number = 1")


@pytest.mark.parametrize("damage", [_no_architecture, _no_json])
def test_a_damaged_trial_is_said_in_its_place(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    _written(tmp_path)
    damage(tmp_path)
    page = _page(tmp_path)
    assert "2 trials: 2 complete." in page.text
    assert "Not audited: architecture: " in page.text
    assert "trial 1 cannot be drawn: architecture: " in page.text
    assert "Drawing of Inception-v3" in [svg["aria-label"] for svg in page.named("svg")]
    assert "inception-v3 (trial 0) seed yes 10.00 %" in page.text


def test_genes_that_are_none_leave_the_rest(tmp_path: Path) -> None:
    _written(tmp_path)
    _sql(tmp_path, "UPDATE trials SET genes = '{\"depth\": [1, {}]}' WHERE number = 1")
    assert "inception-v3 (trial 0) seed yes 10.00 %" in _page(tmp_path).text


def test_a_space_whose_file_is_gone_is_said(tmp_path: Path) -> None:
    _written(tmp_path)
    _sql(tmp_path, "UPDATE studies SET search = json_set(search, '$.space', 'gone.yaml')")
    page = _page(tmp_path)
    assert "Audited by the project's own thresholds: the space 'gone.yaml' of study 's' cannot be read" in page.text
    assert "inception-v3 (trial 0) ok " in page.text


def test_a_newer_ledger_is_refused_in_a_sentence_and_the_old_report_stays(tmp_path: Path) -> None:
    _written(tmp_path)
    (tmp_path / "r.html").write_text("old")
    _sql(tmp_path, "UPDATE inception_nas_ledger SET version = 99")
    done = _report(tmp_path)
    assert done.exit_code != 0
    assert "version 99, and this program reads versions up to" in str(done.exception or done.output)
    assert (tmp_path / "r.html").read_text() == "old"


def test_a_ledger_that_is_being_written_is_told_as_it_is(tmp_path: Path) -> None:
    _written(tmp_path)
    with Ledger.open(tmp_path / LEDGER) as ledger, ledger.hold("s"), ledger.together("s"):
        ledger.start_trial(TrialRecord(
            study="s", number=2, digest="d", origin="sampler", architecture=V3.as_data(), costs={}))  # fmt: skip
        page = _page(tmp_path)  # the transaction is open still
        assert "2 trials: 2 complete." in page.text
    with Ledger.open(tmp_path / LEDGER) as ledger, ledger.hold("s"):
        ledger.set_state("s", "running")
        page = _page(tmp_path)
        assert "s running (" in page.text
        assert "3 trials: 1 running, 2 complete." in page.text
    page = _page(tmp_path)
    assert "s interrupted Started" in page.text
    assert "3 trials: 1 interrupted, 2 complete." in page.text
    assert "interrupted 1 The search ended meanwhile" in page.text


def test_damaged_weights_of_the_best_leave_the_report(tmp_path: Path) -> None:
    _written(tmp_path)
    artifact = tmp_path / "s" / "trials" / "0"
    artifact.mkdir(parents=True)
    (artifact / "weights.safetensors").write_bytes(b"damaged")
    _sql(tmp_path, "UPDATE trials SET artifact = 's/trials/0' WHERE number = 0")
    with pytest.raises(RequestError):
        conclude(Study.open("s", tmp_path))
    assert "inception-v3 (trial 0) seed yes" in Page((tmp_path / "s" / "report.html").read_text(encoding="utf-8")).text


def test_an_empty_study_has_a_report(tmp_path: Path) -> None:
    config = SearchConfig.from_data({"study": "s", "trials": 2, **SEARCH}).as_data()
    with Ledger.open(tmp_path / LEDGER, create=True) as ledger:
        ledger.create_study("s", config, OBJECTIVES, {})
    write_study_report(Study.open("s", tmp_path), tmp_path / "r.html")
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "No trials yet." in page.text
    assert "0 complete trials have genes and error; 20 are needed" in page.text
    assert json.dumps(config["data"]).strip('"') in page.text
