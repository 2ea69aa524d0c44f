"""`nas measure`: what it prints, what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from nas.cli import nas
from nas.measure_view import Asked, examine
from nas.study import find
from search_spaces.errors import RequestError


def small(**changes: object) -> Asked:
    plain = {"resolution": 75, "batch": 2, "device": "cpu", "threads": 1, "seconds": 0.1}
    return Asked(**{**plain, **changes})  # type: ignore[arg-type]


def test_figures_stand_beside_predictions(tmp_path: Path) -> None:
    told: list[str] = []
    found = examine(find("inception-v3@75", tmp_path), small(training=True, classes=10), told.append)
    assert [(row.work, row.batch) for row in found.rows] == [("inference", 1), ("inference", 2), ("training", 2)]
    for row in found.rows:
        assert row.memory_bytes == pytest.approx(row.predicted_memory_bytes, rel=0.05)
        assert row.latency is not None
        assert row.latency.runs >= 3
    assert told == ["inference, batch 1", "inference, batch 2", "training step, batch 2"]
    terminal = Console(width=80, record=True)
    terminal.print(found.table())
    text = terminal.export_text()
    for part in (
        "inception-v3-75px at 75 px, 10 classes",
        "21.81 M params",
        "cpu, 1 thread",
        " ms ",
        "MiB",
        "inference",
    ):
        assert part in text
    assert "…" not in text
    narrow = Console(width=40, record=True)
    narrow.print(found.table(40))
    listed = narrow.export_text()
    assert "…" not in listed
    cells = [cell for cell in text.split() if any(letter.isdigit() for letter in cell)]
    assert all(cell in listed for cell in cells)
    assert not any("predicted only" in note for note in found.notes)


def test_one_json_document_and_nothing_else(tmp_path: Path) -> None:
    arguments = ["measure", "googlenet", "--resolution", "64", "--batch", "1", "--seconds", "0.1", "--threads", "1"]
    result = CliRunner().invoke(nas, [*arguments, "--json", "--runs", str(tmp_path)])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["name"], found["resolution"], found["aux"]) == ("googlenet", 64, False)  # heads do not fit
    one, training = found["rows"]
    assert one["latency_low_ms"] <= one["latency_ms"] <= one["latency_high_ms"]
    assert training["measured_memory_bytes"] is None
    assert training["predicted_memory_bytes"] > one["predicted_memory_bytes"]
    assert "inference, batch 1" in result.stderr


def test_help_has_examples() -> None:
    text = CliRunner().invoke(nas, ["measure", "--help"]).output
    assert "nas measure inception-v3@79 --batch 64 --training" in text


def test_what_cannot_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"and cpu has .* lower --batch or --resolution, or leave --training out"):
        examine(find("inception-v3", tmp_path), small(resolution=299, batch=60_000, training=True), print)
