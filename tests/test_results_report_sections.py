"""What each part of the report says, and that one damaged trial costs nothing but its own place."""

import copy
import dataclasses
import json
import re
from typing import Any

from reports import STUDY, TRIALS, V3_DATA, Page, trial, v3

from results.control import compare
from results.importance import Importance
from results.outcome import Outcome, TrialRecord
from results.report import Background, report_html
from results.report_audit import AuditedBy
from search_spaces.architecture_file import from_data
from search_spaces.principles import Thresholds, audit
from search_spaces.seeds import seed

DAMAGED = {"format": "architecture/9"}


def _page(trials: list[TrialRecord], background: Background | None = None) -> Page:
    return Page(report_html(STUDY, trials, background or Background()))


def _row(page: Page, heading: str, who: str) -> str:
    """The text of the row of a table below a heading."""
    return page.text[page.text.rindex(heading) :].split(f" {who} ", 1)[1][:300]


def _drawn(page: Page) -> list[str]:
    return [(svg["aria-label"] or "").removeprefix("Drawing of ") for svg in page.named("svg")]


# ----------------------------------------------------------------------------------------------------------- statistics


def test_growth_says_how_far_each_arm_came() -> None:
    trials = [trial(1, 0.05, 0.5), trial(2, 0.04, 0.4, origin="random"), trial(3, 0.03, 0.9), trial(4, 0.06, 0.9)]
    page = _page(trials)
    assert "all trials 4 " in page.text
    assert "random points (control) 1 " in page.text
    assert re.search(r"all trials 4 40\.0 s [\d.e+]+ \d trials? trial 3 of them", page.text)


def test_the_two_arms_stand_beside_each_other_at_equal_budget_and_whole() -> None:
    drawn = [
        trial(n, 0.05 + n % 5 / 50, 0.3 + n % 7 / 10, origin="random" if n % 4 == 3 else "sampler") for n in range(24)
    ]
    page = _page(drawn)
    found = compare(drawn, STUDY.objectives)
    assert found is not None
    assert found.sentence in page.text
    assert f"sampler 6 {found.sampler:.4g} 18 {found.whole[0]:.4g}" in page.text
    assert f"random points (control) 6 {found.random:.4g} 6 {found.whole[1]:.4g}" in page.text


def test_importance_is_drawn_or_said_to_be_missing() -> None:
    known = Importance("error", "ped-anova", 40, {f"gene{n}": 2.0 ** -(n + 1) for n in range(20)})
    unknown = Importance("macs", "ped-anova", 3, missing="3 complete trials have genes and macs; 20 are needed")
    page = _page(TRIALS, Background(importances=(known, unknown)))
    assert "gene0 50.0 %" in page.text
    assert "and 5 genes more that matter less" in page.text
    assert "Nothing can be said: 3 complete trials have genes and macs; 20 are needed." in page.text
    assert [s["id"] for s in page.named("script") if "importance" in (s.get("id") or "")] == ["figure-importance-0"]
    assert "The importance of genes was not computed." in _page(TRIALS).text


def test_what_a_percent_costs_and_where_the_knee_is() -> None:
    trials = [trial(1, 0.06, 0.25), trial(2, 0.04, 0.3), trial(3, 0.035, 0.9)]
    page = _page(trials)
    macs = trials[1].costs["macs"] - trials[0].costs["macs"]
    assert f"trial 2 4.00 % 1.71 G 7.15 M {macs / 2 / 1e6:.0f} M" in page.text
    assert page.text[page.text.rindex("Bulge") :].startswith("Bulge error MACs trial 2 0.")
    assert "The front has no knee" in _page(TRIALS).text


# ---------------------------------------------------------------------------------------------------------------- audit


def test_audit_has_a_row_for_each_member_and_each_published_network() -> None:
    thresholds = Thresholds(bottleneck=0.9, off=("balance",))
    page = _page(TRIALS, Background(audited_by=AuditedBy(thresholds, "the thresholds of the space 'mine'")))
    assert "Audited by the thresholds of the space 'mine'." in page.text
    assert "Switched off, so that a violation does not count: balance." in page.text
    for number, architecture in ((1, from_data(TRIALS[1].architecture)), (0, seed("inception-v3"))):
        found = audit(architecture, None, thresholds).principles[0]
        who = "trial 1" if number else "inception-v3 (trial 0)"
        row = _row(page, "factorisation rules", who)
        assert row.startswith(f"violated by {found.violation:.2g} {found.value:.2f}, at least 0.90 is asked for")
    assert "trial 3" not in page.text[page.text.rindex("factorisation rules") :].split("Architectures of")[0]


def test_a_damaged_architecture_costs_its_own_places_alone() -> None:
    trials = [v3(), trial(1, 0.035, 0.5, architecture=DAMAGED), trial(2, 0.06, 0.25)]
    page = _page(trials)
    assert _row(page, "factorisation rules", "trial 1").startswith("Not audited: architecture: ")
    assert _row(page, "factorisation rules", "trial 2").startswith("ok ")
    assert "trial 1 cannot be drawn: architecture: " in page.text
    assert "The differences cannot be told, as one of the two cannot be drawn." in page.text
    assert _drawn(page) == ["Inception-v3", "trial 2", "Inception-v3"]
    assert "trial 1 sampler yes 3.50 %" in page.text
    assert [s["id"] for s in page.named("script")[:3]] == ["figure-scatter", "figure-growth", "figure-distributions"]


# ------------------------------------------------------------------------------------------------------------- drawings


def _other(number: int) -> dict[str, Any]:
    data = copy.deepcopy(V3_DATA)
    data["stages"][1]["modules"][2][1][1] = f"conv 1x7 {8 * number + 8}"
    return data


def test_differences_are_marked_in_both_and_told() -> None:
    page = _page([v3(), trial(1, 0.035, 0.5, architecture=_other(3))])
    marked = [g.get("data-node") for g in page.named("g") if "differs" in (g.get("class") or "") and g.get("data-node")]
    assert marked == ["stage2.module3.tower2.1"] * 2
    assert "Stage 2, module 3: tower 2 has 1x7 32 where Inception-v3 has 1x7 160." in page.text


def test_the_same_architecture_is_said_to_be_it_and_nothing_is_marked() -> None:
    page = _page([v3(0.05), trial(1, 0.035, 0.5, architecture=V3_DATA)])
    assert "It is the same architecture as Inception-v3." in page.text
    assert not [g for g in page.named("g") if "differs" in (g.get("class") or "")]


def test_of_a_long_front_a_dozen_are_drawn_and_the_command_for_the_rest_is_named() -> None:
    trials = [trial(n, 0.1 - n / 1000, 0.3 + n / 50, architecture=_other(n)) for n in range(1, 30)]
    page = _page(trials)
    drawn = _drawn(page)
    assert len(drawn) <= 12
    assert drawn[:2] == ["trial 29", "Inception-v3"]
    assert "trial 1" in drawn
    others = drawn[drawn.index("trial 1") + 2 :]
    assert len(others) == len(set(others)) == 6
    left = 29 - len({name for name in drawn if name != "Inception-v3"})
    assert (
        f"{left} other members of the front not drawn here; nas show digits:N --svg FILE.svg draws trial N."
        in page.text
    )
    assert page.text.count("trial 1 cannot be drawn") == 0


def test_a_front_of_published_networks_is_compared_as_well() -> None:
    data = seed("inception-v2").as_data()
    page = _page([v3(0.05), trial(1, 0.04, 1.2, seed="inception-v2", origin="seed", architecture=data)])
    assert _drawn(page) == ["inception-v2 (trial 1)", "Inception-v3"]
    assert "Added: stage 2, module 5" in page.text


# ------------------------------------------------------------------------------------------------------- bad studies


def test_every_section_of_an_empty_or_failed_study_says_what_is_missing() -> None:
    for trials in ([], TRIALS[4:]):
        page = _page(trials)
        for told in (
            "so there is nothing to draw",
            "There is no front yet",
            "No complete trial keeps all limits yet, so there is no hypervolume.",
            "The study has no random arm",
            "No complete trial has error and MACs recorded",
            "No complete trial within all limits has its MACs recorded.",
            "The importance of genes was not computed.",
            "There is no front to audit yet",
            "There is no best architecture yet",
        ):
            assert told in page.text, (told, len(trials))
        assert "How to repeat it" in page.text


def test_a_constant_objective_still_has_every_section() -> None:
    page = _page([v3(0.1), trial(1, 0.1, 0.5), trial(2, 0.1, 0.7, origin="random")])
    assert "All complete trials have the same value, error 10.00 %" in page.text
    assert "The front has no knee" in page.text
    assert len(page.named("svg")) == 2
    low, high = json.loads(page.inside["script"][0])["layout"]["yaxis"]["range"]
    assert low < 10 < high


def test_a_study_that_is_searched_at_this_moment_says_so() -> None:
    study = dataclasses.replace(STUDY, state="running")
    running = trial(9, outcome=Outcome.RUNNING, finished_at=None, seconds=None)
    page = Page(report_html(study, [*TRIALS, running], Background(driver="process 7 on here")))
    assert "digits running (process 7 on here) Started" in page.text
    assert "8 trials: 1 running, 4 complete" in page.text
    assert "trial 1 sampler yes 3.50 %" in page.text


def test_a_study_without_objectives_is_told_without_statistics() -> None:
    page = Page(report_html(dataclasses.replace(STUDY, objectives={}), TRIALS))
    assert "Objectives: none." in page.text
    assert "there is nothing to reckon with" in page.text


def test_what_was_not_recorded_is_said() -> None:
    page = _page(TRIALS)
    told = "The command was not recorded; with the search file below saved as search.yaml it is: nas search search.yaml"
    assert told in page.text
    assert "hardware not recorded" in page.text
    known = dataclasses.replace(STUDY, versions={"torch": "2.13.0", "hardware": "a CPU, 2 CPUs", "python": "3.11.9"})
    page = Page(report_html(known, TRIALS, Background(facts={"space digest": "ef01"})))
    assert "space digest ef01 hardware a CPU, 2 CPUs torch version 2.13.0 python version 3.11.9" in page.text
    assert "hardware version" not in page.text


def test_importance_tells_of_few_trials_and_of_genes_left_out() -> None:
    found = Importance("error", "ped-anova", 1, {"a": 0.6, "b": 0.4}, left_out=("depth",))
    told = _page(TRIALS, Background(importances=(found,))).text
    assert "With caution: few trials for 2 genes. Left out, as not every trial has them: depth." in told
