"""`nas dashboard`: who must bring a token, and what it tells of a study whose record is not whole."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dashboards import asked, records, write

from benchmarks.large_study import STUDY
from nas.cli import nas
from results.dashboard import app

MADE_UP = "?token="


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], False),
        (["--name", "localhost"], False),
        (["--name", "LOCALHOST:8050", "--name", "[::1]"], False),
        (["--host", "::1"], False),
        (["--name", "nas.example.org"], True),  # a proxy that anybody can ask may stand before it
        (["--name", "localhost", "--name", "nas.example.org:443"], True),
        (["--host", "192.0.2.7"], True),
        (["--host", "192.0.2.7", "--name", "localhost"], True),
    ],
)
def test_a_token_is_made_up_where_others_can_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: bool
) -> None:
    refused: list[bool] = []

    def serve(dashboard: app.Dashboard, host: str, port: int, started: Any) -> None:
        answer = dashboard.app.server.test_client().get("/", base_url=f"http://{host if ':' not in host else '[::1]'}")
        refused.append(answer.status_code == 401)
        started(f"http://{host}:{port}/")

    monkeypatch.setattr(app, "serve", serve)
    monkeypatch.delenv("INCEPTION_NAS_TOKEN", raising=False)
    done = CliRunner().invoke(nas, ["dashboard", *arguments, "--runs", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert (refused, MADE_UP in done.output) == ([wanted], wanted)


def test_a_search_that_is_recorded_without_its_space_is_shown_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def serve(dashboard: app.Dashboard, host: str, port: int, started: Any) -> None:
        output = next(name for name in dashboard.app.callback_map if "details-title.children" in name)
        at = dashboard.watch.look(STUDY).at
        given = {"selected.data": number, "beside.value": None, "rung.value": -1, "revision.data": at}
        answer = asked(dashboard, output, given, {})
        told.append(str(answer["architecture"]["children"]))
        dashboard.watch.close()

    number = next(trial.number for trial in records() if trial.genes and trial.values)
    with closing(sqlite3.connect(write(tmp_path))) as ledger, ledger:
        ledger.execute("UPDATE studies SET search = json_remove(search, '$.space')")
    monkeypatch.setattr(app, "serve", serve)
    monkeypatch.delenv("INCEPTION_NAS_LEDGER", raising=False)
    done = CliRunner().invoke(nas, ["dashboard", "--runs", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "the project's own thresholds: the search file that is recorded of study 'large' names no space" in told[0]
    assert "local processing" in told[0]  # the audit itself
    assert "stage1.depth" in told[0]  # the genes
    report = tmp_path / "report.html"
    done = CliRunner().invoke(
        nas, ["report", STUDY, "--runs", str(tmp_path), "-o", str(report)], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "names no space" in report.read_text(encoding="utf-8")
