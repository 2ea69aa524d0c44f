import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboards import COUNT, asked, opened, records, snapshot_of, write

from benchmarks.large_study import STUDY
from results.dashboard import tabs as tabs_of
from results.dashboard.controls import offers, options, rungs_with_values, summary
from results.dashboard.scene import Choice, figure, scene
from results.dashboard.sliders import ends, sliders
from results.dashboard.tabs import Tabs
from results.dashboard.watch import Watch
from results.importance import Importance
from results.ledger import Ledger
from results.outcome import LedgerError, Measurement, NoLedger, Outcome, now
from results.pace import pace_of
from search_spaces.architecture_file import from_yaml

BASE = "http://127.0.0.1:8050"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs"))


def dominated(points: list[tuple[float, ...]]) -> list[bool]:
    """By hand: whether another point is as good in all and better in one (smaller is better)."""
    return [
        any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in points)
        for point in points
    ]


# ---------------------------------------------------------------------------------------------------------- the watch


def test_only_what_changed_is_read_again_and_counts_as_changed(place: Path, tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite", create=True)
    source = Ledger.open(place, read_only=True)
    study = source.study(STUDY)
    ledger.create_study(STUDY, study.search, study.objectives, {}, None)
    started = replace(records()[4], outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
    ledger.start_trials([replace(started, number=n) for n in range(3)])
    asked_for: list[object] = []

    class Counting(Ledger):
        def summaries(self, study, numbers=None):  # type: ignore[no-untyped-def]
            asked_for.append(None if numbers is None else sorted(numbers))
            return super().summaries(study, numbers)

    watch = Watch(lambda: Counting.open(tmp_path / "ledger.sqlite", read_only=True), again=0.0)
    first = watch.look(STUDY)
    assert (first.revision, asked_for) == (1, [None])
    assert watch.look(STUDY) is first
    ledger.finish_trial(STUDY, 0, Outcome.DIVERGED, reason="loss is nan")
    ledger.finish_trial(STUDY, 2, Outcome.DIVERGED, reason="loss is nan")
    second = watch.look(STUDY)
    assert asked_for[-1] == [0, 2]
    assert [int(at) for at in second.changed] == [2, 1, 2]
    ledger.record_measurement(STUDY, 1, Measurement(0, 1, {"error": 0.5}, 1.0))
    third = watch.look(STUDY)
    assert asked_for[-1] == [1]
    assert third.trials[1].measurements[0].values == {"error": 0.5}
    assert third.trials == tuple(ledger.summaries(STUDY))
    watch.close()
    ledger.close()
    source.close()


def test_summaries_are_the_trials_without_their_long_parts(place: Path) -> None:
    with Ledger.open(place, read_only=True) as ledger:
        whole, short = ledger.trials(STUDY), ledger.summaries(STUDY)
        some = ledger.summaries(STUDY, [3, 1, 999])
    assert [replace(trial, architecture={}, genes=None, traceback=None) for trial in whole] == short
    assert [trial.number for trial in some] == [1, 3]


def test_a_watch_finds_a_ledger_that_comes_later_and_tells_of_unknown_studies(tmp_path: Path) -> None:
    def none_yet() -> Ledger:
        if not (tmp_path / "ledger.sqlite").exists():
            raise NoLedger("there is none yet")
        return Ledger.open(tmp_path / "ledger.sqlite", read_only=True)

    watch = Watch(none_yet)
    assert watch.studies() == []
    write(tmp_path)
    assert watch.studies() == [STUDY]
    with pytest.raises(LedgerError, match="there is no study 'othr'"):
        watch.look("othr")
    assert len(watch.look(STUDY).trials) == COUNT
    watch.close()


# ---------------------------------------------------------------------------------------------------------- the scene


def test_the_front_of_a_scene_is_that_by_hand() -> None:
    snapshot = snapshot_of(records())
    complete = [trial for trial in records() if trial.outcome is Outcome.COMPLETE and trial.feasible]
    for names in (("macs", "error"), ("macs", "error", "params")):
        points = [tuple(trial.values[name] for name in names) for trial in complete]
        by_hand = {t.number for t, worse in zip(complete, dominated(points), strict=True) if not worse}
        found = scene(snapshot, Choice(*names))
        assert set(found.front_numbers) == by_hand
        assert len(by_hand) > 2
        xs = [snapshot.values("macs", None)[snapshot.place[n]] for n in found.front_numbers]
        assert xs == sorted(xs)


def test_limits_leave_out_what_is_worse_and_the_front_follows() -> None:
    snapshot = snapshot_of(records())
    free = scene(snapshot, Choice("macs", "error"))
    limit = sorted(snapshot.values("macs", None)[free.wanted])[len(free.front) + 3]
    bound = scene(snapshot, Choice("macs", "error", limits={"macs": limit}))
    assert bound.wanted.sum() == (snapshot.values("macs", None)[free.wanted] <= limit).sum()
    assert bound.drawn.sum() == free.drawn.sum()
    assert set(bound.front_numbers) <= set(free.front_numbers)
    assert bound.reference_point == free.reference_point  # hypervolumes within limits can be compared
    assert bound.hypervolume < free.hypervolume
    none = scene(snapshot, Choice("macs", "error", limits={"macs": 1.0}))
    assert (len(none.front), none.hypervolume) == (0, 0.0)


def test_rungs_never_mix() -> None:
    snapshot = snapshot_of(records())
    low, final = snapshot.values("error", 0), snapshot.values("error", None)
    stopped = [i for i, trial in enumerate(records()) if trial.outcome is Outcome.STOPPED]
    complete = [i for i, trial in enumerate(records()) if trial.outcome is Outcome.COMPLETE]
    assert stopped
    assert np.isnan(final[stopped]).all()
    assert np.isfinite(low[stopped + complete]).all()
    assert all(low[i] == records()[i].measurements[0].values["error"] for i in stopped + complete)
    assert all(final[i] == records()[i].values["error"] for i in complete)


def test_what_is_under_way_at_a_rung_has_no_value_there_yet() -> None:
    trial = next(trial for trial in records() if trial.outcome is Outcome.COMPLETE)
    running = replace(trial, outcome=Outcome.RUNNING, values={}, measurements=trial.measurements[:2])
    snapshot = snapshot_of([running])
    assert snapshot.values("error", 0)[0] == trial.measurements[0].values["error"]  # has gone on to the next rung
    assert np.isnan(snapshot.values("error", 1)[0])
    diverged = snapshot_of([replace(running, outcome=Outcome.DIVERGED, measurements=trial.measurements[:1])])
    assert np.isfinite(diverged.values("error", 0)[0])  # it had come to the end of that rung before


def test_what_was_measured_before_the_training_is_drawn_at_every_rung() -> None:
    every = [
        replace(t, measurements=(Measurement(0, 0, {"latency_ms": 1.0 + t.number}, 0.0), *t.measurements))
        for t in records()
        if t.outcome is Outcome.STOPPED
    ]
    snapshot = snapshot_of(every, objectives={"error": "minimize", "latency_ms": "minimize"})
    found = scene(snapshot, Choice("latency_ms", "error", rung=0))
    assert found.drawn.all()
    assert snapshot.values("latency_ms", 0).tolist() == [1.0 + trial.number for trial in every]
    assert every[0].number in found.front_numbers  # the fastest
    assert not scene(snapshot, Choice("latency_ms", "error")).drawn.any()


@pytest.mark.parametrize("axes", [("error", "error"), ("macs", "error", "macs"), ("error", "error", "error")])
def test_the_same_quantity_twice_is_one(axes: tuple[str, ...]) -> None:
    found = scene(snapshot_of(records()), Choice(*axes))
    assert json.dumps(figure(found), allow_nan=False)
    assert len(found.front) >= 1
    if set(axes) == {"error"}:
        errors = found.snapshot.values("error", None)
        assert (errors[found.front] == errors[found.wanted].min()).all()


def test_more_is_better_where_an_objective_is_maximised() -> None:
    every = [replace(t, values=t.values | {"accuracy": 1 - t.values["error"]}) if t.values else t for t in records()]
    objectives = {"error": "minimize", "accuracy": "maximize", "macs": "minimize"}
    snapshot = snapshot_of(every, objectives=objectives)
    low, high = scene(snapshot, Choice("macs", "error")), scene(snapshot, Choice("macs", "accuracy"))
    assert low.front_numbers == high.front_numbers
    least = sorted(snapshot.values("accuracy", None)[low.wanted])[10]
    bound = scene(snapshot, Choice("macs", "accuracy", limits={"accuracy": least}))
    assert bound.wanted.sum() == (snapshot.values("accuracy", None)[low.wanted] >= least).sum()


def test_each_point_is_drawn_once_and_carries_its_number() -> None:
    found = scene(snapshot_of(records()), Choice("macs", "error"))
    drawn = figure(found)
    json.dumps(drawn, allow_nan=False)
    numbers: dict[str, list[int]] = {}
    for trace in drawn["data"]:
        numbers.setdefault(trace["meta"], []).extend(decode(trace["customdata"]) if "customdata" in trace else [])
    seeds = [trial.number for trial in records() if trial.seed]
    assert sorted([*numbers["seeds"], *numbers["reference"]]) == seeds
    others = [n for meta in ("trials", "random", "front", "infeasible") for n in numbers.get(meta, [])]
    assert len(set(others)) == len(others)
    assert set(others) | set(seeds) == {int(n) for n in found.snapshot.numbers[found.drawn]}
    assert set(numbers["random"]) <= {trial.number for trial in records() if trial.origin == "random"}
    left_out = figure(scene(found.snapshot, Choice("macs", "error", shown=frozenset({"seed"}))))
    assert {trace["meta"] for trace in left_out["data"]} == {"front", "seeds", "reference"}


def test_the_legend_tells_the_origin_of_the_front() -> None:
    found = scene(snapshot_of(records()), Choice("macs", "error"))
    origins = [records()[number].origin for number in found.front_numbers]
    assert set(origins) == {"seed", "sampler", "random"}
    traces = [trace for trace in figure(found)["data"] if trace["meta"] == "front" and "customdata" in trace]
    told = {trace["name"]: {records()[number].origin for number in decode(trace["customdata"])} for trace in traces}
    counts = Counter(origins)
    assert told == {
        f"front, sampler ({counts['sampler']})": {"sampler"},
        f"front, random arm ({counts['random']})": {"random"},
        f"front, seeds ({counts['seed']})": {"seed"},
    }
    assert len({trace["uid"] for trace in traces}) == 3
    assert [trace["marker"]["symbol"] for trace in traces] == ["diamond", "diamond-open", "diamond"]


def decode(packed: dict[str, str]) -> list[int]:
    import base64

    return np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"]).tolist()


# ------------------------------------------------------------------------------------------------- studies with little


@pytest.mark.parametrize("tab", ["growth", "distributions", "importance", "outcomes"])
@pytest.mark.parametrize("which", ["none", "failed", "constant", "one"])
def test_a_study_with_little_in_it_shows_what_there_is_and_says_what_is_missing(tab: str, which: str) -> None:
    failed = [replace(t, outcome=Outcome.DIVERGED, values={}, measurements=()) for t in records()[:6]]
    complete = [trial for trial in records() if trial.values]
    constant = [replace(trial, values=trial.values | {"error": 0.5}) for trial in complete]
    every = {"none": [], "failed": failed, "constant": constant, "one": complete[:1]}[which]
    snapshot = snapshot_of(every)
    told = Tabs(lambda record: [Importance("error", "ped-anova", 0, missing="too few")]).of(tab, snapshot, "error")
    assert told is not None
    assert told.sentence or told.figure
    assert told.figure is None or told.figure["data"]
    settings = offers(snapshot, {})
    assert settings["x_value"] == "macs"
    found = scene(snapshot, Choice.first(snapshot))
    assert json.dumps(figure(found), allow_nan=False)
    assert (len(found.front) > 0) is (which in ("constant", "one"))


def test_a_figure_is_found_once_and_rests_while_a_search_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, clock = itertools.count(), itertools.count()
    monkeypatch.setattr(tabs_of.time, "monotonic", lambda: float(next(clock)))

    def importances(record: object) -> list[Importance]:
        next(calls)
        return [Importance("error", "ped-anova", 20, {"stem": 1.0})]

    tabs, quiet = Tabs(importances), snapshot_of(records())
    for _ in range(3):
        tabs.of("importance", quiet, "error")
    assert next(calls) == 1
    running = replace_revision(quiet, 2, "host 1")
    tabs.of("importance", running, "error")
    assert next(calls) == 2  # it rests: nothing was found anew
    tabs.of("importance", replace_revision(quiet, 3, None), "error")
    assert next(calls) == 4  # the search has ended


def test_what_was_known_before_is_told_under_the_stamp_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    shares = iter([0.25, 0.75])

    def importances(record: object) -> list[Importance]:
        share = next(shares)
        if share == 0.75:
            begun.set()
            assert go_on.wait(60)
        return [Importance("error", "ped-anova", 20, {"stem": share})]

    tabs, quiet = Tabs(importances), snapshot_of(records())
    first, fresh = tabs.of("importance", quiet, "error"), replace_revision(quiet, 2, None)
    finder = threading.Thread(target=tabs.of, args=("importance", fresh, "error"))
    finder.start()
    assert begun.wait(60)

    def draw(found: Importance) -> dict[str, Any]:
        if threading.current_thread() is not finder:
            go_on.set()  # the other one finds the new figure while this one is told the old
            finder.join(60)
        return {"data": [found.shares["stem"]], "layout": {}}

    monkeypatch.setattr(tabs_of, "importances_figure", draw)
    told = tabs.of("importance", fresh, "error")
    assert first is not None
    assert told is not None
    assert told.figure is not None
    assert (told.figure["data"], told.stamp) == ([0.25], first.stamp)
    again = tabs.of("importance", fresh, "error")
    assert again is not None
    assert again.figure is not None
    assert again.figure["data"] == [0.75]
    assert again.stamp != first.stamp


def replace_revision(snapshot, revision, driver):  # type: ignore[no-untyped-def]
    return replace(snapshot, revision=revision, driver=driver)


# --------------------------------------------------------------------------------------------------------- the address


def test_an_address_sets_the_view_and_nonsense_in_it_is_left_out() -> None:
    snapshot = snapshot_of(records())
    first = next(trial.number for trial in records() if trial.values)
    asked_for = {
        "x": "params",
        "y": "error",
        "rung": "0",
        "shown": "seed,random",
        "trial": str(first),
        "beside": "seed:googlenet",
        "tab": "growth",
    }
    settings = offers(snapshot, asked_for)
    assert (settings["x_value"], settings["rung_value"], settings["shown"]) == ("params", 0, ["random", "seed"])
    assert (settings["selected"], settings["beside_value"], settings["tab"]) == (first, "seed:googlenet", "growth")
    odd = {"x": "<b>", "rung": "--5", "trial": "-1", "beside": "9999", "tab": "secret", "limit.macs": "nan"}
    settings = offers(snapshot, odd)
    assert (settings["x_value"], settings["rung_value"], settings["selected"]) == ("macs", -1, None)
    assert (settings["beside_value"], settings["tab"]) == (None, "trials")


def test_polling_with_nothing_new_answers_nothing(place: Path) -> None:
    dashboard = opened(place)
    output = next(name for name in dashboard.app.callback_map if "standing.children" in name)
    at_first = asked(dashboard, output, {"place.search": "?trial=4", "tick.n_intervals": 0}, {})
    assert at_first["study"]["value"] == STUDY
    assert at_first["selected"]["data"] == 4
    inputs = {"tick.n_intervals": 1, "place.search": "?trial=4", "study.value": STUDY}
    assert asked(dashboard, output, inputs, remembered(at_first)) is None
    again = opened(place)  # the dashboard was started anew: what the page knows is of another one
    told = asked(again, output, inputs, remembered(at_first))
    assert told["revision"]["data"]["generation"] != at_first["revision"]["data"]["generation"]
    dashboard.watch.close()
    again.watch.close()


def remembered(first: dict[str, Any]) -> dict[str, Any]:
    """What a page knows after its first question."""
    return {
        "asked.data": first["asked"]["data"],
        "study.options": first["study"]["options"],
        "revision.data": first["revision"]["data"],
        "standing.children": first["standing"]["children"],
        "offered.data": first["offered"]["data"],
    }


def test_the_header_of_a_running_search_tells_how_far_it_is(tmp_path: Path) -> None:
    ledger = Ledger.open(write(tmp_path))
    dashboard = opened(tmp_path / "ledger.sqlite")
    dashboard.watch._again = 0.0
    output = next(name for name in dashboard.app.callback_map if "standing.children" in name)
    inputs: dict[str, Any] = {"tick.n_intervals": 1, "place.search": "", "study.value": STUDY}
    asked_for, done = ledger.study(STUDY).search["trials"], sum(trial.outcome.trained for trial in records())
    at_rest = asked(dashboard, output, inputs, {})["standing"]["children"]
    with ledger.hold(STUDY):
        first = asked(dashboard, output, inputs, {})
        pace = pace_of(records(), 0).told(asked_for - done)
        assert first["standing"]["children"].endswith(f". {done} of {asked_for} done, {pace}")
        assert asked(dashboard, output, inputs, remembered(first)) is None  # though time has passed
        fresh = replace(records()[5], number=COUNT, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
        ledger.start_trial(replace(fresh, started_at=now()))
        ledger.finish_trial(STUDY, COUNT, Outcome.COMPLETE, values=records()[0].values, seconds=1.0)
        later = asked(dashboard, output, inputs, remembered(first))["standing"]["children"]
        assert f". {done + 1} of {asked_for} done, " in later
    assert " done" not in at_rest
    assert " done" not in asked(dashboard, output, inputs, {})["standing"]["children"]
    dashboard.watch.close()
    ledger.close()


def test_a_page_that_watches_a_young_study_keeps_what_its_reader_chose(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite", create=True)
    ledger.create_study(STUDY, {}, {"error": "minimize"}, {}, None)
    dashboard = opened(tmp_path / "ledger.sqlite")
    output = next(name for name in dashboard.app.callback_map if "standing.children" in name)
    first = asked(dashboard, output, {"place.search": "?tab=growth", "tick.n_intervals": 0}, {})
    assert first["x"]["value"] == "macs"  # there is no trial yet, and what is drawn is known all the same
    ledger.start_trial(replace(records()[4], outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None))
    ledger.finish_trial(STUDY, 4, Outcome.COMPLETE, values={"error": 0.25}, seconds=1.0)
    dashboard.watch._again = 0.0
    inputs = {"tick.n_intervals": 1, "place.search": "?tab=growth", "study.value": STUDY}
    told = asked(dashboard, output, inputs, remembered(first))
    assert "options" in told["x"]
    set_anew = [name for name, parts in told.items() if "value" in parts or name in ("selected", "tab", "shown")]
    assert set_anew == []
    dashboard.watch.close()
    ledger.close()


def test_what_a_trial_is_compared_with_is_kept_while_the_options_follow() -> None:
    complete = [trial for trial in records() if trial.values]
    first, pinned = complete[0], next(trial for trial in complete if not trial.seed)
    before, after = (options(snapshot_of(trials), str(pinned.number)) for trials in (complete[1:], complete))
    assert before["offered"] != after["offered"]
    assert {before["beside_value"], after["beside_value"]} == {str(pinned.number)}
    assert {"label": f"trial {pinned.number}", "value": str(pinned.number)} in after["beside_options"]
    for trials, value in ((complete[1:], f"seed:{first.seed}"), (complete, str(first.number))):
        found = options(snapshot_of(trials), f"seed:{first.seed}")
        named = [option["value"] for option in found["beside_options"] if str(first.seed) in option["label"].split()]
        assert (found["beside_value"], named) == (value, [value])


def test_sliders_follow_what_there_is_and_keep_what_is_set() -> None:
    complete = [trial for trial in records() if trial.values]
    few, all_of_them = snapshot_of(complete[:2]), snapshot_of(complete)
    low, high = ends(few, None)["error"]
    errors = 100 * few.values("error", None)
    assert low <= errors.min() < errors.max() <= high
    wider = ends(all_of_them, None)["error"]
    assert wider[0] <= low < high <= wider[1]
    made = sliders(all_of_them, {"error": wider}, {"error": high})
    slider = made[0].children[1]  # type: ignore[union-attr]
    assert (slider.value, slider.min, slider.max) == (high, *wider)
    beyond = sliders(all_of_them, {"error": wider}, {"error": wider[1] + 5})[0].children[1]  # type: ignore[union-attr]
    assert beyond.value == wider[1]
    assert ends(snapshot_of(complete[:1]), None) == {}


def test_an_empty_chart_says_at_which_rung_there_are_values() -> None:
    stopped = snapshot_of([trial for trial in records() if trial.outcome is Outcome.STOPPED])
    nothing = scene(stopped, Choice("macs", "error"))
    assert rungs_with_values(stopped, ("macs", "error")) == [0]
    assert summary(nothing, [0]).endswith("so there is nothing to draw. Rung 0 has some: 'Values of' shows them.")
    assert summary(nothing).endswith("so there is nothing to draw.")
    assert rungs_with_values(snapshot_of([]), ("macs", "error")) == []


def test_a_limit_without_a_slider_is_kept_and_told(place: Path) -> None:
    one = snapshot_of([next(trial for trial in records() if trial.values)])  # whose values differ from no other's
    settings = offers(one, {"limit.error": "12.5", "limit.macs": "many"})
    assert settings["wanted"] == {"error": 12.5}
    assert "error, at most 12.50 %" in json.dumps(settings["limits"], default=lambda part: part.to_plotly_json())
    dashboard = opened(place)
    output = next(name for name in dashboard.app.callback_map if "scene.data" in name)
    at = dashboard.watch.look(STUDY).at
    given = {"offered.data": at, "revision.data": at, "x.value": "macs", "y.value": "error", "rung.value": -1}
    given |= {"shown.value": [], "wanted.data": {"error": 12.5, "params": 2e7, "latency_ms": 3}}
    told = asked(dashboard, output, given, {})
    assert told["front-csv"]["href"].endswith("limit.error=12.5&limit.params=20000000")  # it has no latencies
    dashboard.watch.close()


def test_a_trial_that_nobody_trains_is_told_as_interrupted_everywhere(tmp_path: Path) -> None:
    ledger = Ledger.open(write(tmp_path))
    fresh = replace(records()[5], number=COUNT, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None)
    ledger.start_trial(fresh)
    dashboard = opened(tmp_path / "ledger.sqlite")
    dashboard.watch._again = 0.0
    outputs = {part: next(name for name in dashboard.app.callback_map if part in name) for part in _TELLING}
    tabs, known = Tabs(lambda record: []), dict[str, Any]()

    def told() -> dict[str, str]:
        first = asked(dashboard, outputs["standing.children"], {"place.search": "", "tick.n_intervals": 0}, {})
        drawn = first["revision"]["data"] | {"rung": None}
        rows = asked(dashboard, outputs["rows.data"], {"drawn.data": drawn}, {"rows-at.data": known.get("rows-at")})
        given = {"selected.data": COUNT, "beside.value": None, "revision.data": first["revision"]["data"]}
        details = asked(dashboard, outputs["details-title.children"], given, {"told.data": known.get("told")})
        known.update({"rows-at": rows["rows-at"]["data"], "told": details["told"]["data"]})
        tab = tabs.of("outcomes", dashboard.watch.look(STUDY), "error")
        assert tab is not None
        assert tab.figure is not None
        return {
            "page": first["standing"]["children"],
            "table": rows["rows"]["data"]["texts"]["outcome"][-1],
            "details": details["values"]["children"][0]["props"]["children"].split(":")[0].lower(),
            "tab": " ".join(tab.figure["data"][0]["y"]),
        }

    with ledger.hold(STUDY):
        while_searched = told()
    assert [("running" in text, "interrupted" in text) for text in while_searched.values()] == [(True, False)] * 4
    afterwards = told()  # nothing else has changed since
    assert [("running" in text, "interrupted" in text) for text in afterwards.values()] == [(False, True)] * 4
    dashboard.watch.close()
    ledger.close()


_TELLING = ("standing.children", "rows.data", "details-title.children")


def test_a_study_that_took_the_place_of_another_is_read_from_its_start(tmp_path: Path) -> None:
    def begin(count: int, reason: str) -> None:
        for file in tmp_path.glob("ledger.sqlite*"):
            file.unlink()
        with Ledger.open(tmp_path / "ledger.sqlite", create=True) as ledger:
            ledger.create_study(STUDY, {}, {"error": "minimize"}, {}, None)
            fresh = replace(records()[4], outcome=Outcome.SCREENED, reason=reason, values={}, measurements=())
            ledger.start_trials([replace(fresh, number=n) for n in range(count)])

    begin(5, "old")
    watch = Watch(lambda: Ledger.open(tmp_path / "ledger.sqlite", read_only=True), again=0.0)
    first = watch.look(STUDY)
    time.sleep(0.005)  # studies are told apart by the moment of their making, to the millisecond
    begin(3, "new")
    second = watch.look(STUDY)
    assert [trial.reason for trial in second.trials] == ["new"] * 3
    assert second.generation != first.generation
    assert second.since(first.at) == 0
    watch.close()


def test_one_study_alone_is_served_where_it_is_named(tmp_path: Path) -> None:
    place = write(tmp_path)
    with Ledger.open(place) as ledger:
        ledger.create_study("other", {}, {"error": "minimize"}, {}, None)
    dashboard = opened(place, study="other")
    client = dashboard.app.server.test_client()
    assert client.get(f"/files/trials.csv?study={STUDY}", base_url=BASE).status_code == 404
    assert client.get(f"/files/trial.yaml?study={STUDY}&number=5", base_url=BASE).status_code == 404
    assert client.get("/files/trials.csv?study=other", base_url=BASE).status_code == 200
    assert dashboard.watch.studies() == ["other"]
    dashboard.watch.close()


def test_a_ledger_that_cannot_be_read_is_told_on_the_page(tmp_path: Path) -> None:
    place = write(tmp_path)
    import sqlite3

    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE inception_nas_ledger SET version = 99")
    connection.close()
    dashboard = opened(place)
    output = next(name for name in dashboard.app.callback_map if "standing.children" in name)
    told = asked(dashboard, output, {"place.search": "", "tick.n_intervals": 0}, {})
    assert "is of version 99" in told["standing"]["children"]
    dashboard.watch.close()


# --------------------------------------------------------------------------------------------------------------- files


def test_files_are_those_of_the_trial(place: Path) -> None:
    dashboard = opened(place)
    client = dashboard.app.server.test_client()
    trial = records()[5]
    text = client.get(f"/files/trial.yaml?study={STUDY}&number=5", base_url=BASE)
    assert from_yaml(text.get_data(as_text=True)).digest == trial.digest
    assert text.headers["Content-Disposition"].startswith("attachment; filename=large-5.yaml")
    source = client.get(f"/files/trial.py?study={STUDY}&number=5", base_url=BASE).get_data(as_text=True)
    compile(source, "large_5.py", "exec")
    assert trial.digest in source
    drawing = client.get(f"/files/trial.svg?study={STUDY}&number=5", base_url=BASE)
    assert drawing.mimetype == "image/svg+xml"
    assert "<script" not in drawing.get_data(as_text=True)
    table = client.get(f"/files/trials.csv?study={STUDY}", base_url=BASE).get_data(as_text=True)
    assert len(table.splitlines()) == COUNT + 1
    front = client.get(f"/files/front.csv?study={STUDY}&axes=macs,error&limit.macs=4e9&limit.error=20", base_url=BASE)
    wanted = scene(
        dashboard.watch.look(STUDY), Choice("macs", "error", limits={"macs": 4e9, "error": 0.2})
    ).front_numbers
    assert len(front.get_data(as_text=True).splitlines()) == len(wanted) + 1
    dashboard.watch.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files/trial.exe?study=large&number=5", 404),
        ("/files/trial.yaml?study=large&number=-5", 404),
        ("/files/trial.yaml?study=large&number=99999", 404),
        ("/files/trial.yaml?study=other&number=5", 404),
        ("/files/trial.yaml", 404),
        ("/files/secrets.csv?study=large", 404),
        ("/files/front.csv?study=large&limit.macs=many&rung=x", 400),
        ("/shared/report.py", 404),
        ("/shared/..%2foutcome.py", 404),
    ],
)
def test_what_is_not_there_is_not_served(place: Path, path: str, status: int) -> None:
    dashboard = opened(place)
    response = dashboard.app.server.test_client().get(path, base_url=BASE)
    assert response.status_code == status
    assert "Traceback" not in response.get_data(as_text=True)
    dashboard.watch.close()


def test_a_damaged_architecture_costs_its_own_trial_alone(tmp_path: Path) -> None:
    place = write(tmp_path)
    import sqlite3

    with sqlite3.connect(place) as connection:
        connection.execute("""UPDATE trials SET architecture = '{"stem": [1, 2]}' WHERE number = 5""")
    connection.close()
    dashboard = opened(place)
    client = dashboard.app.server.test_client()
    broken = client.get(f"/files/trial.svg?study={STUDY}&number=5", base_url=BASE)
    assert broken.status_code == 422
    assert "cannot be read" in broken.get_data(as_text=True)
    assert client.get(f"/files/trial.svg?study={STUDY}&number=6", base_url=BASE).status_code == 200
    output = next(name for name in dashboard.app.callback_map if "details-title.children" in name)
    at = {"study": STUDY, "revision": 1}
    told = asked(dashboard, output, {"selected.data": 5, "beside.value": None, "revision.data": at}, {})
    written = json.dumps([told[part]["children"] for part in ("values", "architecture")])
    assert "cannot be drawn" in written
    assert "Not audited" in written
    assert "error" in written  # its values are there
    dashboard.watch.close()


def test_the_panel_follows_the_trial_beside_as_well(place: Path) -> None:
    dashboard = opened(place)
    output = next(name for name in dashboard.app.callback_map if "details-title.children" in name)
    given = {"selected.data": 5, "beside.value": "6", "revision.data": {"study": STUDY, "revision": 1}}
    told = asked(dashboard, output, given, {})["told"]["data"]
    snapshot = dashboard.watch.look(STUDY)
    assert told[-2:] == [int(snapshot.changed[snapshot.place[number]]) for number in (5, 6)]
    dashboard.watch.close()


def test_a_damaged_study_is_listed_and_tells_of_itself_alone(tmp_path: Path) -> None:
    import sqlite3

    place = write(tmp_path)
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE studies SET objectives = '{'")
    connection.close()
    watch = Watch(lambda: Ledger.open(place, read_only=True))
    assert watch.studies() == [STUDY]
    with pytest.raises(LedgerError):
        watch.look(STUDY)
    watch.close()


@pytest.mark.parametrize("missing", ["", "3 complete trials have genes and error; 20 are needed"])
def test_trials_without_readable_genes_are_told_with_importance(missing: str) -> None:
    found = Importance("error", "ped-anova", 30, {} if missing else {"a": 1.0}, missing=missing, damaged=2)
    told = Tabs(lambda record: [found]).of("importance", snapshot_of(records()), "error")
    assert told is not None
    assert told.sentence.endswith("Left out, as their genes cannot be read: 2 trials.")


def test_few_trials_for_many_genes_are_told_with_importance() -> None:
    found = Importance("error", "ped-anova", 1, {"a": 0.6, "b": 0.4})
    told = Tabs(lambda record: [found]).of("importance", snapshot_of(records()), "error")
    assert told is not None
    assert "With caution: few trials for 2 genes." in told.sentence
