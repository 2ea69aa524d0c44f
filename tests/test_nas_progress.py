"""What is shown on standard error while something runs."""

import io
from typing import Any

from rich.console import Console

from nas.config import SearchConfig
from nas.progress import Shown
from nas.waiting import working
from results.outcome import Outcome, TrialRecord


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
