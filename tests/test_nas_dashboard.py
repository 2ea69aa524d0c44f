"""`nas dashboard`: who must bring a token."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

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
