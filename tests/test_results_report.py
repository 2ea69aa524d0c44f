import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest
from reports import HOSTILE, STUDY, TRIALS, V3_DATA, Page, trial, v3
from steps import steps

from results.figures import quality_against_cost, script_json
from results.importance import Importance
from results.markup import asset
from results.outcome import Outcome
from results.pareto import front
from results.report import Background, report_html, write_report
from results.report_audit import AuditedBy
from search_spaces.errors import RequestError
from search_spaces.principles import Thresholds


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(report_html(STUDY, TRIALS, Background(command="nas search examples/digits.yaml")))


def _rows(page: Page, text: str) -> list[str]:
    return re.findall(r"<tr.*?</tr>", text, re.DOTALL)


def test_heading_counts_outcomes_and_says_how_to_repeat_it(page: Page) -> None:
    assert "digits complete Started 2026-11-22 03:04 UTC; last trial ended 2026-11-22 03:06 UTC" in page.text
    assert "7 trials: 4 complete, 2 diverged, 1 broken." in page.text
    assert "the loss was nan in epoch 2 (trials 4, 5)" in page.text
    assert "KeyError: 'x' (trial 6) traceback of trial 6" in page.text
    for fact in ("nas search examples/digits.yaml", "random_seed: 7", "torch version 2.13.0", "cd" * 32, "ab" * 32):
        assert fact in page.text


def test_front_is_told_relative_to_inception_v3(page: Page) -> None:
    assert "trial 1 sampler yes 3.50 % \u22120.50 points 2.86 G 0.50 x 11.9 M 0.50 x 10.0 s" in page.text
    assert "trial 2 sampler yes 6.00 % +2.00 points 1.43 G 0.25 x" in page.text
    assert "inception-v3 (trial 0) seed no 4.00 % 5.71 G 1.00 x 23.8 M 1.00 x" in page.text
    assert "trial 3 sampler yes" not in page.text
    assert "MACs to match Inception-v3 0.50 x trial 1" in page.text


def test_best_architecture_is_drawn_beside_inception_v3(page: Page) -> None:
    labels = [attributes["aria-label"] for attributes in page.named("svg")]
    assert labels == ["Drawing of trial 1", "Drawing of Inception-v3", "Drawing of trial 2", "Drawing of Inception-v3"]
    assert "stage2.module2-3 x 2" in page.text
    assert "Trial 1: best error on the front" in page.text
    assert "Trial 2: fewest MACs" in page.text
    assert "Left out: stage 3, module 2 of Inception-v3 (1x1 320 | 1x1 384 - (1x3 384, 3x1 384) | " in page.text


def test_figure_is_what_plotly_accepts_and_shows_all_complete_trials() -> None:
    from plotly.graph_objects import Figure

    spec = quality_against_cost(TRIALS, front(TRIALS, STUDY.objectives))
    assert spec is not None
    Figure(spec)  # raises for a property that plotly does not know
    traces = {(trace["meta"], trace["mode"]): trace for trace in spec["data"]}
    drawn = [x for (_, mode), trace in traces.items() if mode != "lines" for x in trace["x"]]
    assert sorted(drawn) == sorted(each.costs["macs"] for each in TRIALS if each.values)
    assert traces["front", "lines"]["y"] == [6.0, 3.5]
    assert traces["reference", "markers+text"]["text"] == ["inception-v3"]
    hover = traces["front", "markers"]["hovertext"][0]
    for told in ("trial 1", "error 3.50 %", "MACs 2.86 G", "parameters 11.9 M", TRIALS[1].digest[:12]):
        assert told in hover


def test_front_of_three_objectives_is_joined_in_the_plane_that_is_drawn() -> None:
    trials = [trial(i, e, s) for i, (e, s) in enumerate([(0.03, 0.9), (0.05, 0.5), (0.06, 0.6)])]
    trials = [dataclasses.replace(t, values=t.values | {"latency_ms": 9.0 - t.number}) for t in trials]
    goals = {"error": "minimize", "macs": "minimize", "latency_ms": "minimize"}
    spec = quality_against_cost(trials, front(trials, goals))
    line, points = (next(t for t in spec["data"] if t["mode"] == mode) for mode in ("lines", "markers"))
    assert line["y"] == [5.0, 3.0]
    assert sorted(points["y"]) == [3.0, 5.0, 6.0]


def test_front_of_a_maximized_objective() -> None:
    trials = [trial(i, None, s, outcome=Outcome.COMPLETE, values={"accuracy": a, "macs": s})
              for i, (a, s) in enumerate([(0.9, 0.5), (0.8, 0.4), (0.7, 0.6)])]  # fmt: skip
    study = dataclasses.replace(STUDY, objectives={"accuracy": "maximize", "macs": "minimize"})
    spec = quality_against_cost(trials, front(trials, study.objectives))
    assert next(trace for trace in spec["data"] if trace["mode"] == "lines")["y"] == [80.0, 90.0]
    assert "Best accuracy 90.00 % trial 0" in Page(report_html(study, trials)).text


# ------------------------------------------------------------------------------------------------- safe, self-contained


def test_page_asks_for_nothing_from_anywhere(page: Page) -> None:
    loading = {"src", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href", "ping"}
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form", "image", "use", "video", "audio")
        assert not loading & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
        addresses = [v for n, v in attributes.items() if v and n != "xmlns" and re.search(r"https?:|//", v)]
        assert addresses == [] or (tag == "meta" and attributes.get("http-equiv"))
    for style in page.inside["style"]:
        assert not re.search(r"url\(|@import|https?:|//", style)
    *islands, _plotly, charts, own = page.inside["script"]
    assert not re.search(r"https?:", "".join([*islands, charts, own]))
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\b", own)


def test_policy_forbids_the_network_and_names_exactly_the_scripts_on_the_page(page: Page) -> None:
    (policy,) = [m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert rules["img-src"] == "data: blob:"
    scripts = page.inside["script"][-3:]
    assert all(json.loads(island) for island in page.inside["script"][:-3])
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts]
    assert rules["script-src"].split() == hashes
    metas = [tag for tag, _ in page.elements]
    assert metas.index("meta") < metas.index("script")


def test_plotly_is_embedded_once(page: Page) -> None:
    sizes = sorted(len(script) for script in page.inside["script"])
    assert sizes[-1] > 1e6 > sizes[-2]
    assert [s.get("id") for s in page.named("script")][:-3] == [
        "figure-scatter", "figure-growth", "figure-distributions"]  # fmt: skip
    charts = [attributes["data-figure"] for attributes in page.named("div") if attributes.get("data-figure")]
    assert charts == ["scatter", "growth", "distributions"]


def _hostile() -> Background:
    importance = Importance(HOSTILE, "ped-anova", 30, {HOSTILE: 0.7, "depth": 0.3}), Importance(
        "macs", "ped-anova", 3, missing=HOSTILE)  # fmt: skip
    return Background(
        command=HOSTILE,
        search={HOSTILE: HOSTILE},
        facts={HOSTILE: HOSTILE},
        driver=HOSTILE,
        importances=importance,
        audited_by=AuditedBy(Thresholds(), HOSTILE),
    )


def test_hostile_text_stays_text_everywhere() -> None:
    study = dataclasses.replace(
        STUDY,
        name=HOSTILE,
        created_at=HOSTILE,
        search={HOSTILE: [HOSTILE, {"a": HOSTILE}]},
        search_digest=HOSTILE,
        data_digest=HOSTILE,
        versions={HOSTILE: HOSTILE, "hardware": HOSTILE},
        objectives={HOSTILE: "minimize", "macs": "minimize"},
    )
    values = {HOSTILE: 0.1, "macs": 1.0}
    trials = [
        trial(0, 0.1, seed=HOSTILE, digest=HOSTILE, values=values, architecture=V3_DATA | {"name": HOSTILE}),
        trial(1, 0.1, 0.5, digest=HOSTILE, values=values),
        trial(2, reason=HOSTILE, traceback=HOSTILE, started_at=HOSTILE, finished_at=HOSTILE),
        trial(3, 0.1, 2.0, seed=HOSTILE, values=values | {HOSTILE: 0.3}),
    ]
    text = report_html(study, trials, _hostile())
    found = Page(text)
    assert not found.named("img")
    assert len(found.named("script")) == 7  # four charts, three scripts
    assert found.inside["title"][0].startswith("</script></title></style><script>")
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    islands = found.inside["script"][:-3]
    assert "<" not in "".join(islands)
    traces = [trace for island in islands for trace in json.loads(island)["data"]]
    island = islands[0]
    labels = [label for trace in traces for label in (*trace.get("text", ()), *trace.get("hovertext", ()))]
    assert labels
    assert not any("<" in label.replace("<br>", "") for label in labels)  # plotly reads tags in labels
    assert "<" not in json.loads(island)["layout"]["yaxis"]["title"]["text"]
    assert found.text.count("<script>window.hacked=1</script>") > 10
    assert text.encode()  # no lone surrogate is left
    assert "\x00" not in text


def test_json_cannot_end_its_script_element() -> None:
    data = {"a": "</script><!--<script>&\u2028"}
    text = script_json(data)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == data


# --------------------------------------------------------------------------------------------------- degenerate studies


def test_empty_study_says_what_is_missing_and_shows_the_rest() -> None:
    found = Page(report_html(STUDY, []))
    for told in (
        "No trials yet.",
        "The study has no trials yet, so there is nothing to draw.",
        "There is no front yet",
    ):
        assert told in found.text
    assert [svg["aria-label"] for svg in found.named("svg")] == ["Drawing of Inception-v3"]
    assert "random_seed: 7" in found.text
    assert not found.named("script")


def test_study_of_failed_trials_says_how_they_ended() -> None:
    found = Page(report_html(STUDY, TRIALS[4:]))
    assert "No trial is complete yet" in found.text
    assert "the loss was nan in epoch 2 (trials 4, 5)" in found.text
    assert len(found.named("svg")) == 1


def test_one_trial() -> None:
    found = Page(report_html(STUDY, [v3()]))
    assert "1 trial: 1 complete." in found.text
    assert "The only complete trial has error 4.00 %" in found.text
    assert "The best architecture so far is Inception-v3 itself." in found.text
    assert len(found.named("svg")) == 1
    figure = json.loads(found.inside["script"][0])
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < 4.0 < high


@pytest.mark.parametrize("value", [0.1, 0.0])
def test_constant_objective(value: float) -> None:
    trials = [v3(value), trial(1, value, 0.5), trial(2, value, 0.7)]
    found = Page(report_html(STUDY, trials))
    assert f"All complete trials have the same value, error {100 * value:.2f} %" in found.text
    low, high = json.loads(found.inside["script"][0])["layout"]["yaxis"]["range"]
    assert low < 100 * value < high
    assert "trial 1 sampler yes" in found.text


def test_study_without_inception_v3_compares_costs_only() -> None:
    found = Page(report_html(STUDY, TRIALS[1:4]))
    assert "Inception-v3 is not drawn: it has not been measured in this study." in found.text
    assert "trial 1 sampler yes 3.50 % 2.86 G 0.50 x" in found.text
    assert len(found.named("svg")) == 4


def test_seed_that_failed_is_compared_by_costs_only() -> None:
    found = Page(report_html(STUDY, [v3(None), *TRIALS[1:4]]))
    assert "Inception-v3 is not measured in this study" in found.text
    assert not re.search(r"\d points", found.text)


def test_damaged_architecture_and_missing_costs_leave_the_rest() -> None:
    trials = [v3(), trial(1, 0.03, 0.5, architecture={"format": "architecture/9"}), trial(2, 0.02, costs={})]
    study = dataclasses.replace(STUDY, objectives={"error": "minimize"})
    found = Page(report_html(study, trials))
    assert "cannot be drawn" not in found.text
    assert "Not drawn, because no MACs are recorded: 1 complete trial." in found.text
    found = Page(report_html(study, trials[:2]))
    assert "trial 1 cannot be drawn" in found.text
    assert [svg["aria-label"] for svg in found.named("svg")] == ["Drawing of Inception-v3"]


def test_too_small_a_target_is_said_in_place_of_the_drawing() -> None:
    small = dataclasses.replace(STUDY, search={"target": {"resolution": 32}})
    found = Page(report_html(small, TRIALS))
    assert "trial 1 cannot be drawn" in found.text
    assert "the smallest side that works is" in found.text
    assert "trial 1 sampler yes 3.50 %" in found.text


# ----------------------------------------------------------------------------------------------------------------- file


def test_ten_thousand_trials_are_written_in_few_steps_and_bytes(tmp_path: Path) -> None:
    trials = [v3(), *(trial(i, 0.03 + (i * 7919 % 10007) / 1e5, 0.2 + (i % 997) / 1000) for i in range(1, 10_000))]
    assert steps(lambda: write_report(STUDY, trials, tmp_path / "report.html")) < 400 * len(trials)
    assert (tmp_path / "report.html").stat().st_size < 8e6


def test_report_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", refuse)
        with pytest.raises(RequestError, match=r"cannot be written to .*Permission denied; name a folder"):
            write_report(STUDY, [], path)
    assert path.read_text() == "old"
    write_report(STUDY, [], path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_folder_is_made_and_one_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    write_report(STUDY, [], tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").is_file()
    with pytest.raises(RequestError, match=r"cannot be written to .*; name a folder that you may write to"):
        write_report(STUDY, [], tmp_path / "new" / "report.html" / "report.html")


def test_the_control_arm_and_what_breaks_a_limit_have_marks_of_their_own() -> None:
    trials = [
        v3(),
        trial(1, 0.02, 2.0, seed="googlenet", origin="seed", violations={"limit:macs": 1.0, "principle:balance": -1.0}),
        trial(2, 0.06, 1.5, origin="random"),
        trial(3, 0.07, 1.5),
    ]
    figure = quality_against_cost(trials, front(trials, STUDY.objectives))
    assert figure is not None
    drawn = {trace["meta"]: trace for trace in figure["data"] if trace["meta"] != "front"}
    assert [drawn[name]["y"] for name in ("infeasible", "random", "trials", "reference")] == [[2], [6], [7], [4]]
    assert "<br>breaks macs<br>" in drawn["infeasible"]["hovertext"][0]
    assert drawn["random"]["marker"]["symbol"] != drawn["trials"]["marker"]["symbol"]
    page = Page(report_html(STUDY, trials))
    assert "because a limit is broken: 1 trial." in page.text
    assert "rings are the random arm" in page.text
    on_the_front = Page(report_html(STUDY, [v3(), trial(2, 0.001, 0.5, origin="random")]))
    assert "rings are" not in on_the_front.text
    light, dark = asset("palette.css").split("prefers-color-scheme: dark")
    for trace in drawn:
        assert f"--{trace}:" in light
        assert f"--{trace}:" in dark
