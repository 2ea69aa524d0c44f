"""What is shown on standard error while something runs."""

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from nas.candidate import Report
from nas.config import SearchConfig
from nas.progress import Shown
from nas.waiting import working
from results.outcome import Measurement, Outcome, TrialRecord


def test_what_takes_seconds_is_said_once_and_ends_early() -> None:
    for terminal, shown in ((False, "counting [all] ...\n"), (True, "counting [all]")):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=60)
        with working(console, "counting [all]") as end:
            end()
            console.print("after")
        assert out.getvalue().count("counting [all]") == 1
        assert shown in out.getvalue()
        assert "after" in out.getvalue().split("counting [all]")[1]
        with working(console, "never said", slow=False):
            pass
        assert "never" not in out.getvalue()


def _trial(number: int, outcome: Outcome) -> TrialRecord:
    return TrialRecord(
        study="s", number=number, digest=f"{number:064}", origin="sampler", architecture={}, costs={}, outcome=outcome
    )


def test_a_search_ends_what_was_shown_before_it() -> None:
    told: list[Any] = []
    out = io.StringIO()
    shown = Shown(Console(file=out, width=60), lambda: told.append(out.getvalue()))
    shown.begin(SearchConfig.from_data({"study": "s", "data": "digits", "trials": 3}), [])
    assert told == []
    with shown:
        assert told == [""]  # before the first of its own lines
    assert out.getvalue() == "study s: 0 of 3 trials done, starting workers\n"


def test_a_search_with_nothing_to_do_says_how_many_are_done() -> None:
    out = io.StringIO()
    shown = Shown(Console(file=out, width=60))
    outcomes = (Outcome.COMPLETE, Outcome.DIVERGED, Outcome.COMPLETE, Outcome.SCREENED, Outcome.BROKEN)
    config = SearchConfig.from_data({"study": "s", "data": "digits", "trials": 2})
    shown.begin(config, [_trial(number, outcome) for number, outcome in enumerate(outcomes)])
    shown.nothing_to_do()
    assert out.getvalue() == "study s: 3 trials are done and 2 asked for: nothing is to do\n"


def test_a_search_with_rungs_tells_how_they_agree_as_trials_reach_the_top() -> None:
    out = io.StringIO()
    shown = Shown(Console(file=out, width=60))
    search = {"study": "s", "data": "digits", "trials": 9, "recipe": {"epochs": 2}, "rungs": [{"epochs": 1}]}
    shown.begin(SearchConfig.from_data(search), [])
    for number in range(8):
        errors = (number / 10, (number + (-1) ** number) / 10)
        measured = tuple(Measurement(rung, rung + 1, {"error": error}, 1.0) for rung, error in enumerate(errors))
        trial = replace(
            _trial(number, Outcome.COMPLETE),
            measurements=measured,
            costs={"macs": number, "params": 7},
            values={"error": 0.5},
        )
        shown.reported(trial, Report(number, 2, 2, {"error": 0.5}, 1.0, outcome=Outcome.COMPLETE, rung=1))
    told = [line for line in out.getvalue().splitlines() if line.startswith("Order of the")]
    assert [line[:25] for line in told] == ["Order of the 5 trials tha", "Order of the 7 trials tha"]  # a quarter more
    assert "Kendall's tau with it (90 % intervals): rung 0 +0.6" in told[0]
