"""The dashboard in a real browser, as its readers use it. Any message on the console is a failure."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from browsers import Seen, new_browser, open_page, served, settled, until_drawn
from dashboards import COUNT, records, write

from benchmarks.large_study import STUDY, trials, write_study
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, TrialRecord
from search_spaces.architecture_file import from_yaml

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FILTER = "#grid-place input[aria-label='{} Filter Input']:not([disabled])"
LAYOUT = "document.querySelector('#chart .js-plotly-plot')._fullLayout"
RANGE = "[...document.querySelector('#chart .js-plotly-plot')._fullLayout.xaxis.range]"
STATISTIC = "document.querySelector('#statistic-frame .js-plotly-plot')?.data?.length > 0"
ROWS = "document.querySelectorAll('#grid-place .ag-center-cols-container .ag-row').length"
YOUNG = """\
study: young
data: digits
trials: 4
objectives: [error, macs]
proxy: {resolution: 8, width: 0.0625}
sampler: random
recipe: {epochs: 1, batch_size: 256, learning_rate: 0.1, schedule: cosine}
executor: inline
"""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with new_browser() as found:
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with served(runs) as found:
        yield found


def front(page: "Page") -> list[int]:
    """The numbers of the front's trials as they are drawn, from left to right."""
    return page.evaluate(
        """() => document.querySelector('#chart .js-plotly-plot')._fullData
           .filter((each) => each.meta === 'front' && each.customdata)
           .flatMap((each) => Array.from(each.customdata, (number, place) => [each.x[place], number]))
           .sort((one, other) => one[0] - other[0]).map(([_, number]) => number)"""
    )


def click(page: "Page", number: int) -> None:
    """Click on the point of a trial of the front."""
    spot = page.evaluate(
        """(number) => {
          const chart = document.querySelector('#chart .js-plotly-plot'), layout = chart._fullLayout;
          for (const trace of chart._fullData) {
            const at = Array.from(trace.customdata ?? []).indexOf(number);
            if (at < 0) continue;
            const box = chart.getBoundingClientRect();
            return [box.x + layout.xaxis._offset + layout.xaxis.d2p(trace.x[at]),
                    box.y + layout.yaxis._offset + layout.yaxis.d2p(trace.y[at])];
          }
        }""",
        number,
    )
    page.mouse.move(spot[0] - 3, spot[1] - 3)
    page.mouse.move(*spot, steps=4)
    page.wait_for_timeout(300)
    page.mouse.click(*spot)


def query(page: "Page") -> dict[str, str]:
    return {key: found[-1] for key, found in parse_qs(urlsplit(page.url).query).items()}


def test_a_point_is_clicked_compared_and_taken_away(browser: "Browser", address: str, tmp_path: Path) -> None:
    page, seen = open_page(browser, address)
    until_drawn(page)
    number = front(page)[1]
    click(page, number)
    page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {number}')")
    settled(page)
    assert query(page)["trial"] == str(number)
    details = page.locator("#details")
    assert "bottleneck" in details.inner_text()
    assert (
        page.locator("#details .picture img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 300
    )
    with page.expect_download() as waiting:
        details.get_by_role("link", name="YAML").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert from_yaml(text).digest == records()[number].digest
    with page.expect_download() as waiting:
        details.get_by_role("link", name="PyTorch source").click()
    assert "import torch" in Path(waiting.value.path()).read_text(encoding="utf-8")
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<svg")):
        with page.expect_download() as waiting:
            page.locator(f"#save-{kind}").click()
        written = Path(waiting.value.path()).read_bytes()
        assert written.startswith(start)
    assert b"<image" not in written  # an SVG of shapes: no picture of WebGL's within
    page.locator("#beside").click()
    page.get_by_text("inception-v3 (trial 0)").click()
    page.wait_for_function("document.querySelector('#details').innerText.includes('difference')")
    assert query(page)["beside"] == "0"
    rings = "document.querySelector('#chart .js-plotly-plot').data.filter((each) => each.meta === 'selected')"
    assert page.evaluate(f"{rings}.map((each) => each.name)") == [f"selected: trial {number}", "compared: trial 0"]
    page.get_by_role("link", name="All trials (CSV)").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="All trials (CSV)").click()
    assert len(Path(waiting.value.path()).read_text(encoding="utf-8").splitlines()) == COUNT + 1
    settled(page)
    assert seen.wrong == []
    assert seen.hosts == {"127.0.0.1"}
    page.close()


def test_a_limit_recomputes_the_front_and_the_link_carries_the_view(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, address)
    until_drawn(page)
    settled(page)
    before, told = front(page), page.locator("#summary").inner_text()
    slider = page.locator("#limits [role=slider]").nth(1)  # MACs
    slider.focus()
    for _ in range(12):
        page.keyboard.press("PageDown")
    page.wait_for_function("(told) => document.querySelector('#summary').innerText !== told", arg=told)
    settled(page)
    limit = float(query(page)["limit.macs"])
    after = front(page)
    assert after
    assert set(after) < set(before)
    assert all(records()[number].costs["macs"] <= limit for number in after)
    page.locator("#chart-frame").focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {after[0]}')")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {after[1]}')")
    page.evaluate(
        "Plotly.relayout(document.querySelector('#chart .js-plotly-plot'), {'xaxis.range': [2e9, 5e9], "
        "'yaxis.range': [10, 25]})"
    )
    page.wait_for_function("location.search.includes('xr=')")
    settled(page)
    again, seen_again = open_page(browser, page.url)
    until_drawn(again)
    again.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {after[1]}')")
    settled(again)
    assert query(again) == query(page)
    assert front(again) == after
    assert again.evaluate(RANGE) == [2e9, 5e9]
    assert again.locator("#summary").inner_text() == page.locator("#summary").inner_text()
    assert seen.wrong + seen_again.wrong == []
    page.close()
    again.close()


def choose_rung(page: "Page", label: str, at: int | None) -> None:
    """Choose whose values are shown, and wait until the chart shows them."""
    page.locator("#rung").click()
    page.get_by_role("option", name=label).click()
    page.wait_for_function(f"{LAYOUT}.uirevision.endsWith('/{at}')")
    settled(page)


def test_a_limit_outlasts_a_rung_whose_values_do_not_reach_it(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, f"{address}?study={STUDY}&limit.error=25.3&limit.macs=4e9")
    until_drawn(page)
    settled(page)
    error = page.locator("#limits [role=slider]").nth(0)
    at_first, told, among = query(page), page.locator("#summary").inner_text(), front(page)
    assert (at_first["limit.error"], at_first["limit.macs"]) == ("25.3", "4000000000")
    assert all(records()[number].values["error"] <= 0.253 for number in among)
    choose_rung(page, "rung 0 alone", 0)
    lowest = float(error.get_attribute("aria-valuemin") or "")
    assert float(error.get_attribute("aria-valuenow") or "") == lowest > 25.3  # all errors are above it here
    assert query(page) == at_first | {"rung": "0"}
    assert "none of them keeps all limits" in page.locator("#summary").inner_text()
    choose_rung(page, "final values", None)
    assert (query(page), page.locator("#summary").inner_text(), front(page)) == (at_first, told, among)
    assert float(error.get_attribute("aria-valuenow") or "") == 25.3
    error.focus()
    page.keyboard.press("End")  # where it limits nothing
    page.wait_for_function("!location.search.includes('limit.error')")
    choose_rung(page, "rung 0 alone", 0)
    assert "limit.error" not in query(page)  # the address counted when the page was opened
    assert "limit.macs" in query(page)
    assert seen.wrong == []
    page.close()


def test_a_limit_kept_at_a_rung_without_values_is_told_and_lifted_there(browser: "Browser", tmp_path: Path) -> None:
    whole = [each for each in records() if each.values][:6]
    with Ledger.open(write(tmp_path)) as ledger, served(tmp_path) as address:
        ledger.create_study("bare", ledger.study(STUDY).search, {"error": "minimize", "macs": "minimize"}, {}, None)
        for trial in whole:  # with final values, and none of rung 0
            begun = replace(trial, study="bare", outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
            ledger.start_trial(begun)
            ledger.finish_trial("bare", trial.number, Outcome.COMPLETE, values=trial.values, seconds=1.0)
        low, high = sorted(100 * trial.values["error"] for trial in whole)[::5]
        page, seen = open_page(browser, f"{address}?study=bare&limit.error={low + 0.001:.3f}&limit.macs=9e9")
        until_drawn(page)
        settled(page)
        assert len(front(page)) == 1
        page.locator("#rung").click()
        page.get_by_role("option", name="rung 0 alone").click()
        lift = page.get_by_role("button", name=f"Lift the limit error, at most {low + 0.001:.2f} %")
        lift.wait_for()
        assert page.get_by_role("button", name="Lift the limit").count() == 2
        settled(page)
        lift.focus()
        page.keyboard.press("Enter")
        page.wait_for_function("!location.search.includes('limit.error')")
        lift.wait_for(state="hidden")
        assert "at most 9.00 G" in page.locator("#limits").inner_text()  # the other one is kept
        assert query(page)["limit.macs"] == "9000000000"
        choose_rung(page, "final values", None)
        error = page.locator("#limits [role=slider]").nth(0)
        assert float(error.get_attribute("aria-valuenow") or "") >= high
        assert len(front(page)) > 1
        assert seen.wrong == []
        page.close()


def test_a_zoom_is_of_the_quantities_at_which_it_was_made(browser: "Browser", address: str) -> None:
    view = f"{address}?study={STUDY}&x=macs&y=error&xr=2e9~5e9&yr=10~25"
    page, seen = open_page(browser, view)
    until_drawn(page)
    settled(page)
    assert query(page)["xr"] == "2e9~5e9"
    page.locator("#x").click()
    page.get_by_role("option", name="parameters").click()
    page.wait_for_function(f"{LAYOUT}.xaxis.title.text === 'parameters' && location.search.includes('x=params')")
    settled(page)
    assert page.evaluate(f"{LAYOUT}.xaxis.autorange")
    assert not query(page).keys() & {"xr", "yr"}
    page.evaluate("Plotly.relayout(document.querySelector('#chart .js-plotly-plot'), {'yaxis.range': [10, 25]})")
    page.wait_for_function("location.search.includes('yr=')")  # of one axis alone
    assert "xr" not in query(page)
    page.evaluate("Plotly.relayout(document.querySelector('#chart .js-plotly-plot'), {'xaxis.range': [1e7, 2e7]})")
    page.wait_for_function("location.search.includes('xr=')")
    page.locator("#rung").click()
    page.get_by_text("rung 0 alone").click()
    page.wait_for_function(f"{LAYOUT}.uirevision.endsWith('/0') && location.search.includes('rung=0')")
    settled(page)
    assert not query(page).keys() & {"xr", "yr"}
    assert seen.wrong == []
    page.close()


def test_the_table_sorts_filters_and_selects(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, address)
    until_drawn(page)
    rows = page.locator("#grid-place .ag-center-cols-container .ag-row")
    rows.first.wait_for()
    page.locator("#grid-place .ag-header-cell[col-id=q_error] .ag-header-cell-label").click()
    page.wait_for_timeout(500)
    finished = [trial for trial in records() if trial.outcome is Outcome.COMPLETE]
    best = min(finished, key=lambda trial: trial.values["error"])
    first = page.locator("#grid-place .ag-row[row-index='0'] [col-id=number]")
    assert first.inner_text() == str(best.number)
    page.locator(FILTER.format("outcome")).fill("diverged")
    expected = sum(trial.outcome is Outcome.DIVERGED for trial in records())
    page.wait_for_function(f"{ROWS} === {expected}")
    page.locator(FILTER.format("outcome")).fill("")
    page.locator(FILTER.format("trial")).fill(str(best.number))
    page.wait_for_function(f"{ROWS} === 1")
    first.click()
    page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {best.number}')")
    page.locator(FILTER.format("trial")).fill("")
    page.locator(FILTER.format("outcome")).fill("complete")
    page.wait_for_function("location.search.includes('complete')")
    settled(page)
    again, seen_again = open_page(browser, page.url)
    until_drawn(again)
    again.wait_for_function(f"{ROWS} > 0")
    settled(again)
    assert query(again) == query(page)
    assert query(again)["sort"] == "q_error:asc"
    told = again.evaluate(
        "[...document.querySelectorAll('#grid-place .ag-row [col-id=outcome]')].map((e) => e.innerText)"
    )
    assert set(told) == {"complete"}
    assert len(told) <= len(finished)
    assert again.locator("#grid-place .ag-row[row-index='0'] [col-id=number]").inner_text() == str(best.number)
    assert seen.wrong + seen_again.wrong == []
    page.close()
    again.close()


def test_the_table_shows_what_is_selected_elsewhere(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, address)
    until_drawn(page)
    marked = "[...document.querySelectorAll('#grid-place .ag-row-selected [col-id=number]')].map((e) => e.innerText)"
    row = page.locator("#grid-place .ag-center-cols-container .ag-row").first
    row.wait_for()
    number = page.locator("#grid-place .ag-row[row-index='0'] [col-id=number]").inner_text()
    other = next(each for each in front(page) if str(each) != number)
    for _ in range(2):
        page.locator("#grid-place .ag-row[row-index='0'] [col-id=number]").click()
        page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {number}')")
        page.wait_for_function(f"{marked}.join() === '{number}'")
        click(page, other)
        page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {other}')")
        page.wait_for_function(f"!{marked}.includes('{number}')")
    page.locator(FILTER.format("trial")).fill(str(other))
    page.wait_for_function(f"{marked}.join() === '{other}'")
    settled(page)
    assert seen.wrong == []
    page.close()


def test_the_table_and_the_details_follow_the_rung(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, f"{address}?sort=q_error:asc&study={STUDY}")
    until_drawn(page)
    first = "document.querySelector('#grid-place .ag-row[row-index=\"0\"] [col-id={}]')?.innerText"
    finished = [trial for trial in records() if trial.outcome is Outcome.COMPLETE]
    best = min(finished, key=lambda trial: trial.values["error"])
    page.wait_for_function(f"{first.format('number')} === '{best.number}'")
    assert "final ones" in page.locator("#rows-of").inner_text()
    stopped = next(trial for trial in records() if trial.outcome is Outcome.STOPPED)
    page.locator(FILTER.format("trial")).fill(str(stopped.number))
    page.wait_for_function(f"{ROWS} === 1 && {first.format('number')} === '{stopped.number}'")
    assert page.evaluate(first.format("q_error")).strip() == ""  # its value of rung 0 stands beside no final one
    page.locator("#grid-place .ag-row[row-index='0'] [col-id=number]").click()
    page.wait_for_function("document.querySelector('#details').innerText.includes('(rung 0, epoch 1)')")
    page.locator("#rung").click()
    page.get_by_text("rung 0 alone").click()
    error = f"{100 * stopped.measurements[0].values['error']:.2f} %"
    page.wait_for_function(f"{first.format('q_error')} === '{error}'")
    page.locator(FILTER.format("trial")).fill("")
    at_rung = min((t for t in records() if t.measurements), key=lambda trial: trial.measurements[0].values["error"])
    page.wait_for_function(f"{first.format('number')} === '{at_rung.number}'")
    assert "at the end of rung 0" in page.locator("#rows-of").inner_text()
    settled(page)
    assert query(page)["sort"] == "q_error:asc"
    assert seen.wrong == []
    page.close()


def draw_lasso(page: "Page") -> int:
    """Draw one around the left half of the chart; how many trials are within it, as the page says."""
    page.evaluate("Plotly.relayout(document.querySelector('#chart .js-plotly-plot'), {dragmode: 'lasso'})")
    box = page.locator("#chart .nsewdrag").bounding_box()
    assert box is not None
    left, top, right, bottom = box["x"] + 2, box["y"] + 2, box["x"] + box["width"] * 0.5, box["y"] + box["height"] - 2
    page.mouse.move(left, top)
    page.mouse.down()
    for spot in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(*spot, steps=8)
    page.mouse.up()
    page.locator("#clear").wait_for(state="visible")
    told = page.locator("#rows-told").inner_text()
    return int(re.search(r"the (\d+) trials", told)[1])  # type: ignore[index]


def test_a_trial_that_comes_within_the_lasso_is_in_the_table(browser: "Browser", tmp_path: Path) -> None:
    write(tmp_path)
    new = list(trials(COUNT + 1))[COUNT]
    with served(tmp_path) as address, Ledger.open(tmp_path / "ledger.sqlite") as ledger, ledger.hold(STUDY):
        page, seen = open_page(browser, address)
        until_drawn(page)
        page.locator("#grid-place .ag-center-cols-container .ag-row").first.wait_for()
        count = draw_lasso(page)
        like = records()[front(page)[1]]  # which is within it
        started = replace(new, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None, reason="")
        ledger.start_trial(replace(started, costs=like.costs, violations={}))
        ledger.finish_trial(STUDY, new.number, Outcome.COMPLETE, values=like.values, seconds=1.0)
        page.wait_for_function(f"document.querySelector('#rows-told').innerText.includes('the {count + 1} trials')")
        first = "document.querySelector('#grid-place .ag-row[row-index=\"0\"] [col-id=number]')"
        page.wait_for_function(f"{first}?.innerText === '{new.number}'")
        settled(page)
        assert seen.wrong == []
        page.close()


def test_a_lasso_filters_the_table(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, address)
    until_drawn(page)
    page.locator("#grid-place .ag-center-cols-container .ag-row").first.wait_for()
    count = draw_lasso(page)
    assert 0 < count < COUNT
    inside = page.evaluate(
        """() => document.querySelector('#chart .js-plotly-plot').data.flatMap(
           (each) => each.customdata ? (each.selectedpoints ?? []).map((place) => each.customdata[place]) : [])"""
    )
    assert len(set(inside)) == count  # a seed on the front is drawn twice
    outside = next(trial.number for trial in records() if trial.number not in inside)
    for number, expected in ((outside, 0), (inside[0], 1), (outside, 0)):
        page.locator(FILTER.format("trial")).fill(str(number))
        page.wait_for_function(f"{ROWS} === {expected}")
    page.locator("#clear").click()
    page.locator("#clear").wait_for(state="hidden")
    page.wait_for_function(f"{ROWS} === 1")
    settled(page)
    assert seen.wrong == []
    page.close()


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a study with enough complete trials for every figure."""
    folder = tmp_path_factory.mktemp("rich")
    write_study(folder, 120)
    with served(folder) as found:
        yield found


@pytest.mark.parametrize("tab", ["growth", "distributions", "importance", "outcomes"])
def test_every_tab_has_its_figure(browser: "Browser", rich: str, tab: str) -> None:
    page, seen = open_page(browser, f"{rich}?tab={tab}")
    until_drawn(page)
    page.wait_for_function("document.querySelector('#statistic-frame .js-plotly-plot')?.data?.length > 0")
    page.wait_for_function("document.querySelector('#figure-told').innerText.length > 5")
    settled(page)
    assert page.locator("#statistic-frame .js-plotly-plot").count() == 1
    assert seen.wrong == []
    page.close()


def test_what_is_done_to_the_small_charts_outlasts_their_updates(browser: "Browser", rich: str) -> None:
    number = next(t.number for t in trials(120) if len(t.measurements) > 1)
    page, seen = open_page(browser, f"{rich}?tab=growth&trial={number}")
    until_drawn(page)
    plots = {"curve": ("#curve-frame", "curve-data"), "statistic": ("#statistic-frame", "figure")}
    for frame, _ in plots.values():
        page.wait_for_function(f"document.querySelector('{frame} .js-plotly-plot')?._fullLayout?.xaxis")
    settled(page)
    for frame, store in plots.values():
        there = f"document.querySelector('{frame} .js-plotly-plot')"
        page.evaluate(f"{there}.once = true")
        page.evaluate(f"Plotly.relayout({there}, {{'xaxis.range': [1.5, 3.5]}})")
        page.evaluate(f"Plotly.restyle({there}, {{visible: 'legendonly'}}, [0])")
        for update in range(3):
            page.evaluate(
                """([store, label]) => {
                  const { getState } = window.dash_stores[0], { paths, layout } = getState();
                  const found = paths.strs[store].reduce((at, step) => at[step], layout).props.data;
                  const xaxis = { ...found.layout.xaxis, title: { text: label } };
                  const data = { ...found, layout: { ...found.layout, xaxis } };
                  window.dash_clientside.set_props(store, { data });
                }""",
                [store, f"update {update}"],
            )
            page.wait_for_function(f"{there}?._fullLayout?.xaxis?.title?.text === 'update {update}'")
            assert page.evaluate(f"[...{there}._fullLayout.xaxis.range]") == [1.5, 3.5]
            assert page.evaluate(f"{there}._fullData[0].visible") == "legendonly"
            assert page.evaluate(f"{there}.once")  # the same chart, not another in its place
    page.locator("#tab").get_by_text("Distributions").click()
    page.wait_for_function(f"{there}._fullLayout.xaxis.title.text !== 'update 2'")
    assert page.evaluate(f"[...{there}._fullLayout.xaxis.range]") != [1.5, 3.5]  # the zoom was of the other tab
    assert seen.wrong == []
    page.close()


def open_growth(browser: "Browser", address: str) -> "tuple[Page, Seen]":
    """A page whose tab shows the hypervolume."""
    page, seen = open_page(browser, f"{address}?tab=growth")
    until_drawn(page)
    page.wait_for_function(STATISTIC)
    settled(page)
    return page, seen


def test_a_figure_that_is_behind_is_asked_for_again(browser: "Browser", rich: str) -> None:
    page, seen = open_growth(browser, rich)
    page.evaluate(
        """() => { for (const [id, data] of [['figure', null], ['figure-at', 'large/growth//another/1']])
           window.dash_clientside.set_props(id, { data }); }"""
    )
    page.wait_for_function(f"!({STATISTIC})")
    page.wait_for_function(STATISTIC)  # though nothing has changed
    assert seen.wrong == []
    page.close()


def test_a_tab_is_shown_again_after_another_that_was_left_before_it_came(browser: "Browser", rich: str) -> None:
    page, seen = open_growth(browser, rich)
    # the answers of the tab between, and those to the clock, never come
    page.route(
        "**/_dash-update-component*",
        lambda route: None if '"value":"outcomes"' in (route.request.post_data or "") else route.continue_(),
    )
    page.evaluate("window.dash_clientside.set_props('tick', { disabled: true })")
    page.locator("#tab").get_by_text("Outcomes").click()
    page.wait_for_function("document.querySelector('#figure-told').innerText === ''")
    page.locator("#tab").get_by_text("Hypervolume by trial").click()
    page.wait_for_function("document.querySelector('#figure-told').innerText.includes('objectives of the study')")
    page.wait_for_function(STATISTIC)
    assert seen.wrong == []
    page.close()


def test_a_tab_without_a_figure_says_why(browser: "Browser", tmp_path: Path) -> None:
    write_study(tmp_path, 8)
    with served(tmp_path) as address:
        page, seen = open_page(browser, f"{address}?tab=importance")
        until_drawn(page)
        page.wait_for_function("document.querySelector('#figure-told').innerText.includes('20 are needed')")
        settled(page)
        assert page.locator("#statistic-frame .js-plotly-plot").count() == 0
        assert seen.wrong == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_shows_everything_without_scrolling_sideways(
    browser: "Browser", address: str, scheme: str
) -> None:
    narrow = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    page, seen = open_page(browser, f"{address}?trial={records()[5].number}", **narrow)
    until_drawn(page)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    light = sum(map(int, re.findall(r"\d+", paper)[:3])) > sum(map(int, re.findall(r"\d+", ink)[:3]))
    assert light == (scheme == "light")
    assert seen.wrong == []
    page.close()


@pytest.mark.parametrize("width", [1500, 1190, 390])
def test_two_trials_stand_side_by_side_at_a_lower_rung(browser: "Browser", address: str, width: int) -> None:
    number = next(trial.number for trial in records() if trial.measurements and trial.number)
    view = f"{address}?trial={number}&beside=0&rung=0"
    page, seen = open_page(browser, view, viewport={"width": width, "height": 900})
    until_drawn(page)
    settled(page)
    values = page.get_by_role("region", name="Values and costs")
    assert values.inner_text().count("(rung 0, epoch 1)") == 2
    boxes = """(every) => every.filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.ariaLabel)"""
    assert page.locator(".details, .details .scroll").evaluate_all(boxes) == []
    last = values.get_by_role("columnheader", name="difference").bounding_box()
    assert last is not None
    assert last["x"] + last["width"] <= width
    assert seen.wrong == []
    page.close()


def test_everything_can_be_reached_by_the_keyboard(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, address)
    until_drawn(page)
    settled(page)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => { const at = document.activeElement;
                  return at.closest('[id]')?.id ?? at.tagName; }"""
            )
        )
    assert {"link", "study", "x", "y", "z", "rung", "chart-frame", "save-png", "csv", "beside"} <= reached
    assert any("limit" in each for each in reached)
    assert seen.wrong == []
    page.close()


def test_three_quantities_are_drawn_in_depth_and_rungs_apart(browser: "Browser", address: str) -> None:
    page, seen = open_page(browser, f"{address}?z=params&rung=0")
    until_drawn(page)
    settled(page)
    kinds = page.evaluate("document.querySelector('#chart .js-plotly-plot').data.map((each) => each.type)")
    assert set(kinds) == {"scatter3d"}
    assert "at rung 0" in page.locator("#summary").inner_text()
    camera = "{eye: {x: 2, y: 0.5, z: 0.25}, center: {x: 0, y: 0, z: 0}, up: {x: 0, y: 0, z: 1}}"
    page.evaluate(f"Plotly.relayout(document.querySelector('#chart .js-plotly-plot'), {{'scene.camera': {camera}}})")
    page.wait_for_function("location.search.includes('camera=2')")
    again, seen_again = open_page(browser, page.url)
    until_drawn(again)
    settled(again)
    assert query(again) == query(page)
    eye = again.evaluate("document.querySelector('#chart .js-plotly-plot')._fullLayout.scene.camera.eye")
    assert eye == {"x": 2, "y": 0.5, "z": 0.25}
    assert seen.wrong + seen_again.wrong == []
    page.close()
    again.close()


def test_text_of_a_study_is_shown_as_text(browser: "Browser", tmp_path: Path) -> None:
    hostile = (
        "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>\u202e\x1b[31m=1+1"
    )
    place = write(tmp_path)
    import sqlite3

    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE trials SET reason = ?, seed = ? WHERE number IN (0, 5, 6, 7)", (hostile, hostile))
        connection.execute("UPDATE studies SET name = ?", (hostile,))
    connection.close()
    with served(tmp_path) as address:
        page, seen = open_page(browser, f"{address}?trial=5&tab=distributions")
        until_drawn(page)
        page.wait_for_function("document.querySelector('#details').innerText.includes('onerror')")
        settled(page)
        assert page.title() != "hacked"
        assert page.locator("img[src=x]").count() == 0
        assert seen.wrong == []
        page.close()


def test_it_follows_a_search_and_keeps_selection_and_zoom(browser: "Browser", tmp_path: Path) -> None:
    write(tmp_path)
    more = list(trials(COUNT + 4))[COUNT:]
    with served(tmp_path) as address, Ledger.open(tmp_path / "ledger.sqlite") as ledger, ledger.hold(STUDY):
        page, seen = open_page(browser, address)
        until_drawn(page)
        settled(page)
        page.wait_for_function("document.querySelector('#standing')?.innerText?.startsWith('running')")
        number = front(page)[0]
        click(page, number)
        page.wait_for_function(f"document.querySelector('#details-title').textContent.startsWith('Trial {number}')")
        settled(page)
        box = page.locator("#chart .nsewdrag").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 300, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 220, box["y"] + 160, steps=5)  # pans
        page.mouse.up()
        page.wait_for_function("location.search.includes('xr=')")
        settled(page)
        zoom = page.evaluate(RANGE)
        page.evaluate("window.sameDocument = true")
        first = "document.querySelector('#grid-place .ag-row[row-index=\"0\"] [col-id=number]')"
        for trial in more:  # each is drawn by itself
            started = replace(trial, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None, reason="")
            best = {"error": 0.001, "macs": float(trial.costs["macs"]), "params": float(trial.costs["params"])}
            ledger.start_trial(replace(started, violations={}))
            ledger.finish_trial(STUDY, trial.number, Outcome.COMPLETE, values=best, seconds=1.0)
            page.wait_for_function(f"{first}?.innerText === '{trial.number}'")
            settled(page)
            assert page.evaluate(RANGE) == zoom
        assert page.locator("#standing").inner_text().find(f"{COUNT + 4} trials") > 0
        cheapest = min(more, key=lambda trial: trial.costs["macs"]).number
        assert cheapest in front(page)
        assert page.evaluate("window.sameDocument")
        assert query(page)["trial"] == str(number)
        page.mouse.dblclick(box["x"] + 300, box["y"] + 200)
        page.wait_for_function("!location.search.includes('xr=')")  # the whole again
        assert seen.wrong == []
        page.close()


def test_a_published_network_is_compared_with_as_a_trial_once_it_is_one(browser: "Browser", tmp_path: Path) -> None:
    small, (trial, other) = "small", [each for each in records() if each.values][:2]

    def add(each: TrialRecord) -> None:
        ledger.start_trial(
            replace(each, study=small, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
        )
        ledger.finish_trial(small, each.number, Outcome.COMPLETE, values=each.values, seconds=1.0)

    with Ledger.open(write(tmp_path)) as ledger, served(tmp_path) as address:
        ledger.create_study(small, ledger.study(STUDY).search, {"error": "minimize", "macs": "minimize"}, {}, None)
        add(replace(other, seed=None))
        page, seen = open_page(browser, f"{address}?study={small}&trial={other.number}&beside=seed:{trial.seed}")
        until_drawn(page)
        settled(page)
        assert f"{trial.seed} (not trained here)" in page.locator("#beside").inner_text()
        page.locator("#pin").click()
        page.wait_for_function(f"location.search.includes('beside={other.number}')")
        page.evaluate(f"window.dash_clientside.set_props('beside', {{ value: 'seed:{trial.seed}' }})")
        page.wait_for_function("location.search.includes('beside=seed')")
        add(trial)
        page.wait_for_function(f"location.search.includes('beside={trial.number}')")
        page.wait_for_function(
            f"document.querySelector('#beside').innerText.includes('{trial.seed} (trial {trial.number})')"
        )
        settled(page)
        page.locator("#beside").click()
        listed = page.get_by_role("option").all_inner_texts()
        assert [each for each in listed if each.startswith(f"{trial.seed} (")] == [
            f"{trial.seed} (trial {trial.number})"
        ]
        assert seen.wrong == []
        page.close()


def test_an_epoch_of_the_selected_trial_leaves_what_is_read_of_it(browser: "Browser", tmp_path: Path) -> None:
    trial = replace(records()[5], number=COUNT, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
    genes = "document.querySelector('#details [aria-label=Genes]')"
    kept = f"""() => [document.querySelector('#details .picture img').once, {genes}.scrollTop,
                      document.getSelection().toString(), document.querySelector('#details details').open]"""
    with Ledger.open(write(tmp_path)) as ledger, served(tmp_path) as address, ledger.hold(STUDY):
        ledger.start_trial(replace(trial, reason="", traceback=None, violations={}))
        page, seen = open_page(browser, f"{address}?trial={COUNT}&beside=0")
        until_drawn(page)
        page.wait_for_function(f"{genes}?.querySelector('td') && document.querySelector('#details details')")
        settled(page)
        page.evaluate(
            f"""() => {{
              document.querySelector('#details .picture img').once = true;
              document.querySelector('#details details').open = true;
              {genes}.scrollTop = 40;
              document.getSelection().selectAllChildren({genes}.querySelector('td'));
            }}"""
        )
        before = page.evaluate(kept)
        assert before[0] is True
        assert before[1] == 40
        assert before[2]
        for epoch in (1, 2):
            ledger.record_measurement(STUDY, COUNT, Measurement(epoch - 1, epoch, {"error": 0.5 / epoch}, 1.0 * epoch))
            page.wait_for_function(f"document.querySelector('#details').innerText.includes('epoch {epoch})')")
            settled(page)
            assert page.evaluate(kept) == before
        assert seen.wrong == []
        page.close()


def test_another_study_is_opened_in_the_same_page(browser: "Browser", tmp_path: Path) -> None:
    write(tmp_path)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.create_study("small", {}, {"error": "minimize", "macs": "minimize"}, {}, None)
        for trial in [trial for trial in records() if trial.values][:6]:
            fresh = replace(trial, study="small", outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
            ledger.start_trial(replace(fresh, reason=""))
            values = {"error": trial.values["error"], "macs": trial.values["macs"]}
            ledger.finish_trial("small", trial.number, Outcome.COMPLETE, values=values, seconds=1.0)
    with served(tmp_path) as address:
        page, seen = open_page(browser, f"{address}?study={STUDY}&trial=5&xr=2e9~5e9&yr=10~25")
        until_drawn(page)
        page.locator("#grid-place .ag-row").first.wait_for()
        page.locator(FILTER.format("trial")).fill("5")
        page.locator("#grid-place .ag-row-selected").first.wait_for()
        page.locator(FILTER.format("trial")).fill("")
        settled(page)
        assert page.evaluate(RANGE) == [2e9, 5e9]
        page.locator("#study").click()
        page.get_by_text("small", exact=True).click()
        page.wait_for_function("document.querySelector('#standing')?.innerText?.includes('6 trials')")
        page.wait_for_function(f"{ROWS} === 6")
        settled(page)
        assert page.evaluate(RANGE) != [2e9, 5e9]  # the zoom was of the other one
        assert "trial" not in query(page)
        assert "No trial selected" in page.locator("#details-title").inner_text()
        page.go_back()  # there is nothing of ours to go back to, and nothing breaks
        assert seen.wrong == []
        page.close()


def test_a_search_that_begins_while_the_page_is_open_appears_on_it(browser: "Browser", tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    file = tmp_path / "search.yaml"
    file.write_text(YOUNG, encoding="utf-8")
    with served(runs) as address:
        page, seen = open_page(browser, address)
        page.wait_for_function("document.querySelector('#standing')?.innerText?.includes('no study')")
        search = subprocess.run(
            [sys.executable, "-m", "nas", "search", str(file), "--runs", str(runs)], capture_output=True, text=True
        )
        assert search.returncode == 0, search.stderr
        page.wait_for_function("document.querySelector('#standing')?.innerText?.startsWith('complete')")
        until_drawn(page)
        settled(page)
        assert "4 complete" in page.locator("#standing").inner_text()
        assert page.evaluate("document.title") == "young - inception-nas"
        assert seen.wrong == []
        page.close()
