"""The statistics of a study together: tables, figures and text, of studies of every kind."""

import json
import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from rich.console import Console

from results.agreement import Agreement
from results.control import compare
from results.importance import Importance
from results.markup import asset
from results.outcome import Outcome, StudyRecord, TrialRecord
from results.statistics import Statistics, statistics
from results.statistics_table import statistics_blocks
from search_spaces.errors import RequestError

STUDY = StudyRecord(
    name="digits",
    created_at="2026-11-22T03:04:05.678+00:00",
    search={},
    search_digest="ab" * 32,
    objectives={"error": "minimize", "macs": "minimize"},
    state="complete",
    versions={},
)
SHARES = {f"stage{n}.kind": (20 - n) / 190 for n in range(20)}
IMPORTANCES = (Importance("error", "ped-anova", 40, SHARES), Importance("macs", "ped-anova", 40, missing="too few"))
AGREEMENTS = (Agreement("rung 0", 0.6, (0.1, 0.9), 12), Agreement("params", 0.2, None, 12))
HOSTILE = "\x1b[2J[bold]<script>\u202e=1\0"


def trial(number: int, error: float | None, macs: int, **fields: Any) -> TrialRecord:
    record = TrialRecord(
        study="digits",
        number=number,
        digest=f"{number:064x}",
        origin="random" if number % 4 == 3 else "sampler",
        architecture={},
        costs={"macs": macs, "params": macs // 100},
        outcome=Outcome.DIVERGED if error is None else Outcome.COMPLETE,
        values={} if error is None else {"error": error, "macs": float(macs)},
        genes={"depth": number % 3, "kind": "avg"},
        seconds=3.0,
    )
    return replace(record, **fields)


def usual() -> list[TrialRecord]:
    source = random.Random(0)
    found = [trial(0, 0.1, 5_700_000_000, seed="inception-v3", origin="seed", genes=None)]
    found.append(trial(1, 0.01, 9_000_000_000, seed="googlenet", origin="seed", violations={"limit:macs": 0.5}))
    found += [trial(n, 0.05 + 0.5 * source.random() ** 2, source.randint(10, 60) * 10**8) for n in range(2, 40)]
    return [*found, trial(40, None, 10**9, reason="the loss was nan")]


STUDIES = {
    "usual": usual(),
    "empty": [],
    "failed": [trial(n, None, 10**9) for n in range(3)],
    "one": [trial(0, 0.3, 10**9)],
    "constant": [trial(n, 0.9, 10**9) for n in range(30)],
    "beyond the limits": [trial(0, 0.3, 10**9, seed="googlenet", origin="seed", violations={"limit:macs": 0.1})],
    "hostile": [
        replace(each, seed=HOSTILE if each.seed else None, reason=HOSTILE, digest=HOSTILE, genes={HOSTILE: 0.5})
        for each in usual()
    ],
}


def of(name: str, **options: Any) -> Statistics:
    study = replace(STUDY, name=HOSTILE) if name == "hostile" else STUDY
    return statistics(study, STUDIES[name], **options)


def text(found: Statistics, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        for block in statistics_blocks(found, width):
            console.print(block)
    return captured.get()


def test_the_tables_hold_what_the_parts_say() -> None:
    found = of("usual", importances=IMPORTANCES, agreements=AGREEMENTS)
    tables = {table.name: table for table in found.tables()}
    assert [row[0] for row in tables["front"].rows] == [member.number for member in found.front.members]
    assert 1 not in [row[0] for row in tables["front"].rows]  # beyond the limits
    assert [row[3] for row in tables["hypervolume"].rows if row[0] == "all"] == list(found.growth.sizes["all"])
    assert [row[2] for row in tables["hypervolume"].rows if row[0] == "random"] == [3.0 * n for n in range(1, 11)]
    assert sum(row[2] == "random" for row in tables["distributions"].rows) == sum(
        t.origin == "random" and t.outcome is Outcome.COMPLETE for t in found.trials
    )
    trials = tables["trials"]
    assert len(trials.rows) == 41
    first = dict(zip(trials.columns, trials.rows[2], strict=True))
    assert (first["number"], first["macs"], first["gene depth"]) == (2, found.trials[2].values["macs"], 2)
    assert dict(tables["outcomes"].rows[n][:2] for n in range(10)) == {  # type: ignore[misc]
        str(outcome): {"complete": 40, "diverged": 1}.get(str(outcome), 0) for outcome in Outcome
    }
    assert len(tables["importance"].rows) == 21
    assert tables["agreement"].rows[1] == ("params", 0.2, None, None, 12)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_all_tables_as_csv_and_json_and_figures_that_plotly_takes(name: str) -> None:
    found = of(name, importances=IMPORTANCES)
    assert len({table.name for table in found.tables()}) == 10
    for table in found.tables():
        lines = table.as_csv().splitlines()
        assert len(lines) == 1 + len(table.rows)
        assert all(line.isprintable() for line in lines)
        json.dumps(table.as_data(), allow_nan=False)
    json.dumps(found.as_data(), allow_nan=False)
    light, dark = asset("palette.css").split("prefers-color-scheme: dark")
    for figures in found.figures().values():
        for figure in figures.values():
            go.Figure(figure)  # type: ignore[arg-type]
            assert figure["data"]
            json.dumps(figure, allow_nan=False)
            for trace in figure["data"]:
                assert f"--{trace['meta']}:" in light
                assert f"--{trace['meta']}:" in dark
                assert "<script" not in json.dumps({k: v for k, v in trace.items() if k != "hovertext"})


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("width", [30, 80, 200])
def test_every_study_is_told_and_nothing_in_it_steers_the_terminal(name: str, width: int) -> None:
    said = text(of(name, importances=IMPORTANCES, agreements=AGREEMENTS), width)
    assert all(char.isprintable() or char == "\n" for char in said)
    assert max(map(len, said.splitlines())) <= width


def test_what_is_missing_is_said_and_the_rest_is_shown() -> None:
    assert "Hypervolume of digits: the study has no trials." in text(of("empty"))
    assert "The study has no trials." in text(of("empty"))
    assert "Hypervolume of digits: no trial is complete." in text(of("failed"))
    assert "Outcomes of 3 trials: 3 diverged." in text(of("failed"))
    beyond = text(of("beyond the limits"))
    assert "no complete trial keeps all limits" in beyond
    assert "1 of the complete ones break a limit" in beyond
    constant = text(of("constant", importances=IMPORTANCES))
    assert "Knee of the front: no member of the front (30 trials) bulges" in constant
    assert "Genes that matter for MACs: too few." in constant
    assert "the cheapest" in constant


def test_whether_searching_helped_is_told_in_every_form() -> None:
    found = of("usual")
    control = compare(STUDIES["usual"], STUDY.objectives)
    assert control is not None
    assert found.as_data()["control"] == control.as_data()
    assert control.sentence in " ".join(text(found, 80).split())
    (table,) = (table for table in found.tables() if table.name == "control")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["what"], row["trials"], row["all_trials"]) for row in rows] == [
        ("sampler", 10, 29),
        ("random", 10, 10),
        ("difference", 10, None),
    ]
    assert [row["hypervolume"] for row in rows] == [control.sampler, control.random, control.difference]
    assert (rows[2]["low"], rows[2]["high"], rows[2]["verdict"]) == (*control.interval, control.verdict)
    far = of("usual", reference_point={"error": 1.0}).control
    assert far is not None
    assert far.reference_point["error"] == 1.0
    alone = of("beyond the limits")
    assert alone.control is None
    assert alone.as_data()["control"] is None
    assert "The study has no random arm" in text(alone)


def test_figures_show_what_their_tables_hold() -> None:
    found = of("usual", importances=IMPORTANCES)
    figures = found.figures()
    assert list(figures["importance"]) == ["error"]
    bars = figures["importance"]["error"]["data"][0]
    assert bars["y"] == list(SHARES)[:15]
    assert bars["x"] == pytest.approx([100 * share for share in list(SHARES.values())[:15]], rel=1e-3)
    for trace in figures["hypervolume"]["hypervolume"]["data"]:
        sizes = found.growth.sizes["all" if trace["meta"] == "trials" else trace["meta"]]
        stairs = np.interp(range(1, len(sizes) + 1), trace["x"], range(len(trace["x"])))
        assert [trace["y"][math.floor(at)] for at in stairs] == list(sizes)
    curves = figures["distributions"]["distributions"]["data"]
    lines = [trace for trace in curves if trace["mode"] == "lines"]
    assert len(lines) == sum(len(band.arms) for band in found.distributions.bands)
    assert all((trace["y"][0], trace["y"][-1]) == (0, 1) for trace in lines)
    assert {trace["meta"] for trace in curves} == {"sampler", "random", "seeds", "reference"}


def test_a_reference_point_of_ones_own() -> None:
    found = of("usual", reference_point={"error": 1.0})
    assert found.growth.reference_point["error"] == 1.0
    assert found.growth.reference_point["macs"] == of("usual").growth.reference_point["macs"]
    assert found.front.hypervolume == pytest.approx(found.growth.sizes["all"][-1])
    assert of("empty", reference_point={"error": 1.0}).growth.reference_point == {}
    whole = of("empty", reference_point={"error": 1.0, "macs": 1e9})
    assert whole.growth.reference_point == {"error": 1.0, "macs": 1e9}
    with pytest.raises(RequestError, match="names 'eror', which is no objective of the study: error, macs"):
        of("usual", reference_point={"eror": 1.0})
    with pytest.raises(RequestError, match="has inf for error: give a finite number"):
        of("usual", reference_point={"error": math.inf})
