"""A study for tests of the dashboard, and what its page is asked without a browser."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.large_study import STUDY, trials, write_study
from results.dashboard.app import Dashboard, make_dashboard
from results.dashboard.watch import Snapshot
from results.importance import Importance
from results.ledger import Ledger
from results.outcome import StudyRecord, TrialRecord
from results.report_audit import OWN

COUNT = 48
EPOCHS = (1, 4)  # of the rungs of `records`, after which each ends


@lru_cache(maxsize=1)
def records() -> tuple[TrialRecord, ...]:
    return tuple(trials(COUNT))


def snapshot_of(every: "list[TrialRecord] | tuple[TrialRecord, ...]", **study: Any) -> Snapshot:
    import numpy as np

    known: dict[str, Any] = {
        "name": STUDY,
        "created_at": "2026-11-01T00:00:00.000+00:00",
        "search": {
            "target": {"resolution": 299, "classes": 1000, "channels": 3},
            "recipe": {"epochs": EPOCHS[-1]},
            "rungs": {"lower": [{"epochs": EPOCHS[0]}]},
        },
        "search_digest": "ab" * 32,
        "objectives": {"error": "minimize", "macs": "minimize"},
        "state": "complete",
        "versions": {},
    }
    return Snapshot(StudyRecord(**(known | study)), tuple(every), 1, np.ones(len(every), dtype=np.int64), None)


def write(runs: Path) -> Path:
    """A ledger with the study; its place."""
    write_study(runs, COUNT)
    return runs / "ledger.sqlite"


def opened(place: Path, **options: Any) -> Dashboard:
    def importances(record: StudyRecord) -> list[Importance]:
        return [Importance("error", "ped-anova", 20, {"stem": 0.75, "stage1.depth": 0.25})]

    return make_dashboard(lambda: Ledger.open(place, read_only=True), importances, lambda record: OWN, **options)


def asked(dashboard: Dashboard, output: str, inputs: dict[str, Any], state: dict[str, Any]) -> Any:
    """What a callback answers: its response by component and property, or None for nothing new."""
    listed = dashboard.app.callback_map[output]

    def values(kind: str, given: dict[str, Any]) -> list[Any]:
        return [
            {"id": each["id"], "property": each["property"], "value": given.get(f"{each['id']}.{each['property']}")}
            for each in listed[kind]
        ]

    outputs = [
        {"id": part.rpartition(".")[0], "property": part.rpartition(".")[2]} for part in output.strip(".").split("...")
    ]
    body = {
        "output": output,
        "outputs": outputs,
        "inputs": values("inputs", inputs),
        "state": values("state", state),
        "changedPropIds": list(inputs),
    }
    response = dashboard.app.server.test_client().post(
        "/_dash-update-component", json=body, base_url="http://127.0.0.1:8050"
    )
    assert response.status_code in (200, 204), response.get_data(as_text=True)[:2000]
    return None if response.status_code == 204 else json.loads(response.get_data())["response"]
