import dataclasses
import json
from pathlib import Path

import pytest
from reports import STUDY, TRIALS, V3_COSTS, Page

from nas.ladder import read_ladder, rungs
from results.figures import quality_against_cost
from results.pareto import front
from results.published import POINTS, Published, comparable_with
from results.published_figure import with_published
from results.report import Background, report_html
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.seeds import seed

IMAGENET = {"data": {"source": "/pictures/ImageNet-2012"}, "target": {"classes": 1000}}
ON_IMAGENET = dataclasses.replace(STUDY, search=IMAGENET)


def test_the_rows_of_table_3_are_those_of_the_ladder_that_climbs_it(tmp_path: Path) -> None:
    (tmp_path / "steps.yaml").write_text("data: digits\nresolution: 8\nwidth: 0.125\nrecipe: {epochs: 2}\n")
    single = [point.top1 for point in POINTS if point.tested == "single crop"]
    assert single[3:] == [rung.paper_error for rung in rungs(read_ladder(tmp_path / "steps.yaml"))]


def test_ways_of_testing_are_kept_apart_and_errors_are_fractions() -> None:
    tables = {(point.tested, point.table) for point in POINTS}
    assert tables == {("single crop", "Table 3"), ("multi-crop", "Table 4"), ("ensemble", "Table 5")}
    for point in POINTS:
        assert all(0.01 < error < 0.5 for error in (point.top1, point.top5) if error is not None)
        assert point.top1 is None or point.top5 is None or point.top5 < point.top1
    best = min((point for point in POINTS if point.top1 is not None), key=lambda point: point.top1 or 1)
    assert (best.tested, best.top1, best.top5) == ("ensemble", 0.172, 0.0358)


def test_costs_are_counted_of_seeds_and_else_as_printed_or_unknown() -> None:
    costs = {(point.name, point.tested): point.cost("macs") for point in POINTS}
    assert costs["Inception-v3", "ensemble"] == V3_COSTS["macs"] == 5_713_216_096
    assert costs["GoogLeNet", "single crop"] == cost(seed("googlenet"), 224).macs
    assert costs["BN-GoogLeNet", "single crop"] == 1.5e9
    assert costs["VGG", "multi-crop"] is None
    printed = next(point for point in POINTS if point.macs)
    assert printed.cost("params") is None


def test_points_lie_over_the_scatter_in_traces_of_their_own() -> None:
    found = front(TRIALS, STUDY.objectives)
    plain = quality_against_cost(TRIALS, found)
    assert plain is not None
    figure = with_published(plain, POINTS, "macs", "error")
    assert figure["data"][: len(plain["data"])] == plain["data"]
    traces = figure["data"][len(plain["data"]) :]
    assert [trace["meta"] for trace in traces] == ["published"] * 3
    assert [len(trace["x"]) for trace in traces] == [8, 3, 1]  # Table 4 has three with top-1 errors and known costs
    assert len({trace["marker"]["symbol"] for trace in traces}) == 3
    assert all(trace["marker"]["symbol"].endswith("-open") for trace in traces)
    assert traces[0]["name"] == "published, single crop (arXiv 1512.00567, Table 3)"
    assert "published: top-1 error 29.00 %, top-5 error 9.20 %" in traces[0]["hovertext"][0]
    for axis in "xy":
        low, high = figure["layout"][f"{axis}axis"]["range"]
        assert all(low < value < high for trace in traces for value in trace[axis])
        assert all(low < value < high for trace in plain["data"] for value in trace[axis])


def test_a_cost_or_an_objective_that_papers_do_not_give_draws_nothing() -> None:
    plain = {"data": [], "layout": {"xaxis": {"range": [0, 1]}, "yaxis": {"range": [0, 1]}}}
    assert with_published(plain, POINTS, "latency_ms", "error") is plain
    assert with_published(plain, POINTS, "macs", "loss") is plain


def test_they_are_shown_where_the_target_is_imagenet_or_where_they_are_asked_for() -> None:
    assert comparable_with(IMAGENET, 1000) == POINTS
    assert comparable_with({"data": "imagenet"}, 1000) == POINTS
    assert comparable_with(IMAGENET, 1000, asked=False) == ()
    assert comparable_with(IMAGENET, 100) == ()
    assert comparable_with({"data": "pictures"}, 1000) == ()
    assert comparable_with({"data": "pictures"}, 1000, asked=True) == POINTS
    assert comparable_with({}, 1000) == ()
    with pytest.raises(
        RequestError, match="ImageNet's 1,000 classes, and this study's target has 10: leave --published"
    ):
        comparable_with({"data": "imagenet"}, 10, asked=True)


def test_the_report_marks_them_as_published_and_its_front_is_the_same() -> None:
    plain, over = (Page(report_html(ON_IMAGENET, TRIALS, Background(published=asked))) for asked in (False, None))
    assert "Published results" not in plain.text
    assert "nothing of it was measured here" in over.text
    assert "VGG crops not given 24.40 % 6.80 % not known Table 4" in over.text
    assert "Inception-v3 4 networks, 144 crops each 17.20 % 3.58 % 5.71 G Table 5" in over.text
    assert "Open squares, triangles and hexagons are what the paper printed" in over.text
    figures = [json.loads(page.inside["script"][0]) for page in (plain, over)]
    measured = [[trace for trace in figure["data"] if trace["meta"] != "published"] for figure in figures]
    assert measured[0] == measured[1]
    for name in ("growth", "distributions"):
        islands = [page.inside["script"][["scatter", "growth", "distributions"].index(name)] for page in (plain, over)]
        assert islands[0] == islands[1]
    tiles = [page.text[page.text.index("On the front") :][:60] for page in (plain, over)]
    assert tiles[0] == tiles[1]


def test_a_published_point_knows_its_objective() -> None:
    point = Published("x", "single crop", "1 crop", 0.2, 0.05, "Table 3")
    assert [point.error(name) for name in ("error", "top1_error", "top5_error", "loss")] == [0.2, 0.2, 0.05, None]
