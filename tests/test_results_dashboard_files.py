"""The tables that are taken away from the page as CSV, cell by cell."""

import csv
import io
from collections.abc import Iterator

import pytest
from dashboards import COUNT, EPOCHS, opened, records, write

from benchmarks.large_study import STUDY
from results.dashboard.app import Dashboard
from results.dashboard.scene import Choice, scene
from results.outcome import TrialRecord

BASE = "http://127.0.0.1:8050"


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    found = opened(write(tmp_path_factory.mktemp("runs")))
    yield found
    found.watch.close()


def table(dashboard: Dashboard, path: str) -> dict[int, dict[str, str]]:
    """The rows of a table by the trials' numbers."""
    answer = dashboard.app.server.test_client().get(f"/files/{path}", base_url=BASE)
    assert answer.status_code == 200
    rows = csv.DictReader(io.StringIO(answer.get_data(as_text=True)), strict=True)
    return {int(row["number"]): row for row in rows}


def by_hand(trial: TrialRecord, rung: int | None) -> dict[str, float]:
    """What a trial comes to at the end of a rung, without its costs."""
    if rung is None:
        return {"error": trial.values["error"]} if trial.values else {}
    end = {(m.rung, m.epoch): m.values for m in trial.measurements}.get((rung, EPOCHS[rung]))
    return {"error": end["error"]} if end else {}


@pytest.mark.parametrize("rung", [None, 0, 1])
def test_all_trials_have_the_values_of_the_rung_their_costs_and_genes(dashboard: Dashboard, rung: int | None) -> None:
    found = table(dashboard, f"trials.csv?study={STUDY}" + ("" if rung is None else f"&rung={rung}"))
    assert sorted(found) == list(range(COUNT))
    for trial in records():
        row, values = found[trial.number], by_hand(trial, rung)
        assert row["error"] == (str(values["error"]) if values else "")
        assert float(row["macs"]) == trial.costs["macs"]  # of no rung: known of a trial that has not come there, too
        assert row["peak_memory_bytes"] == str(trial.costs["peak_memory_bytes"])
        assert row.get("rung") == (None if rung is None else str(rung) if values else "")
        own = {f"gene {name}": str(value) for name, value in (trial.genes or {}).items()}
        assert {head: cell for head, cell in row.items() if head.startswith("gene ") and cell} == own
    assert any(head.startswith("gene ") for head in found[0])


@pytest.mark.parametrize("rung", [None, 0, 1])
def test_the_front_of_a_rung_is_written_with_the_values_that_it_was_found_by(
    dashboard: Dashboard, rung: int | None
) -> None:
    at = "" if rung is None else f"&rung={rung}"
    found = table(dashboard, f"front.csv?study={STUDY}&axes=macs,error{at}")
    wanted = scene(dashboard.watch.look(STUDY), Choice("macs", "error", rung=rung)).front_numbers
    assert sorted(found) == sorted(wanted)
    outcomes = {row["outcome"] for row in found.values()}
    assert outcomes == ({"complete", "stopped"} if rung == 0 else {"complete"})
    every = table(dashboard, f"trials.csv?study={STUDY}{at}")
    for number, row in found.items():
        assert row["error"] == str(by_hand(records()[number], rung)["error"])
        assert row.items() <= every[number].items()  # the genes' columns are those of its members


def test_a_front_of_one_quantity_is_its_best_trial(dashboard: Dashboard) -> None:
    found = table(dashboard, f"front.csv?study={STUDY}&axes=error")
    best = min((trial for trial in records() if trial.values), key=lambda trial: trial.values["error"])
    assert list(found) == [best.number]


@pytest.mark.parametrize("rung", ["x", "-1", "2", ""])
@pytest.mark.parametrize("name", ["trials", "front"])
def test_a_rung_that_the_study_does_not_have_is_refused(dashboard: Dashboard, name: str, rung: str) -> None:
    client = dashboard.app.server.test_client()
    assert client.get(f"/files/{name}.csv?study={STUDY}&rung={rung}", base_url=BASE).status_code == 400
