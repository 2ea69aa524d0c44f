"""The table of trials: values of one rung alone, the one that is chosen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dashboards import COUNT, EPOCHS, asked, opened, records, write

from benchmarks.large_study import STUDY
from results.dashboard.rows import columns, rows, values_told
from results.outcome import Outcome


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs"))


def put_together(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows as the page puts them together."""
    fields, data, texts = told["fields"], told["data"], told["texts"]
    return [
        {field: texts[field][data[at][place]] if field in texts else data[at][place] for at, field in enumerate(fields)}
        for place in range(len(data[0]))
    ]


@pytest.mark.parametrize("rung", [None, 0, 1])
def test_rows_hold_the_values_of_one_rung_and_nothing_in_their_place(rung: int | None) -> None:
    told = rows(records(), ["error", "macs"], rung, EPOCHS)
    for row, trial in zip(put_together(told), records(), strict=True):
        assert (row["number"], row["outcome"], row["reason"]) == (trial.number, trial.outcome, trial.reason)
        end = {(m.rung, m.epoch): m.values["error"] for m in trial.measurements}
        error = trial.values.get("error") if rung is None else end.get((rung, EPOCHS[rung]))
        assert row["q_error"] == (None if error is None else pytest.approx(100 * error, rel=1e-5))
        assert row["q_macs"] == pytest.approx(trial.costs["macs"], rel=1e-5)  # of every trial: it is of no rung
        assert row["rung"] == (trial.measurements[-1].rung if trial.measurements else None)
    assert {column["field"] for column in columns(["error", "macs"])} == set(told["fields"])
    assert rows([], ["error"], rung, EPOCHS) == {"fields": [], "data": [], "texts": {}}


def test_a_trial_on_its_way_has_no_value_to_be_sorted_by() -> None:
    trial = next(trial for trial in records() if trial.outcome is Outcome.COMPLETE)
    running = replace(trial, outcome=Outcome.RUNNING, values={}, measurements=trial.measurements[:2])
    (row,) = put_together(rows([running], ["error", "macs"], None, EPOCHS))
    assert (row["q_error"], row["rung"]) == (None, 1)
    (row,) = put_together(rows([running], ["error", "macs"], None, (4,)))  # nor in a study without rungs
    assert (row["q_error"], row["q_macs"]) == (None, pytest.approx(trial.costs["macs"], rel=1e-5))


def test_the_table_says_whose_values_it_holds() -> None:
    assert values_told(None, 1) == ""
    assert values_told(None, 2).startswith("Values are final ones, of complete trials alone:")
    assert values_told(0, 2).startswith("Values are those at the end of rung 0:")


def test_the_table_follows_the_chart_to_another_rung(place: Path) -> None:
    dashboard = opened(place)
    output = next(name for name in dashboard.app.callback_map if "rows.data" in name)
    at = dashboard.watch.look(STUDY).at
    first = asked(dashboard, output, {"drawn.data": at | {"rung": None}}, {})
    known = {"rows-at.data": first["rows-at"]["data"]}
    assert "grid-place" in first
    assert asked(dashboard, output, {"drawn.data": at | {"rung": None}}, known) is None
    told = asked(dashboard, output, {"drawn.data": at | {"rung": 0}}, known)
    assert "grid-place" not in told  # the table stays, as it is sorted and filtered
    assert "at the end of rung 0" in told["rows-of"]["children"]
    every = put_together(told["rows"]["data"])
    assert len(every) == COUNT
    by_hand = [None if not t.measurements else t.measurements[0].values["error"] for t in records()]
    assert [row["q_error"] for row in every] == [x if x is None else pytest.approx(100 * x, rel=1e-5) for x in by_hand]
    dashboard.watch.close()
