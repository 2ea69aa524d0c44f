"""What is shown on standard error while something runs."""

import io
from dataclasses import replace
from typing import Any

from rich.console import Console
from steps import steps

from nas.config import SearchConfig
from nas.job import Report
from nas.live_view import error_curve
from nas.progress import Shown
from nas.waiting import working
from results.outcome import Measurement, Outcome, TrialRecord


def test_what_takes_seconds_is_said_once_and_ends_early() -> None:
    for terminal, shown in ((False, "counting [all] ...\n"), (True, "counting [all]")):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=60)
        with working(console, "counting [all]") as work:
            work.end()
            console.print("after")
            work.say("drawing [one]")
        assert out.getvalue().index("after") < out.getvalue().index("drawing [one]")
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


HOSTILE = "\x1b[2J[bold]\u202e\0"


def _drawn(shown: Shown, width: int = 100) -> str:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(shown._view())
    return captured.get()


def _searched(trials: list[TrialRecord], **search: Any) -> Shown:
    shown = Shown(Console(file=io.StringIO(), width=100))
    data = {"study": "s", "data": "digits", "trials": 9, "recipe": {"epochs": 3}} | search
    shown.begin(SearchConfig.from_data(data), trials)
    return shown


def _complete(number: int, error: float, **fields: Any) -> TrialRecord:
    values, costs = {"error": error, "macs": 1e9 * number}, {"macs": 10**9 * number, "params": 7}
    return replace(_trial(number, Outcome.COMPLETE), values=values, costs=costs, **fields)


def test_the_view_shows_running_curves_outcomes_and_the_hypervolume() -> None:
    trials = [_complete(1, 0.4), _complete(2, 0.2), _trial(3, Outcome.SCREENED), _trial(4, Outcome.DIVERGED)]
    shown = _searched(trials)
    measured = tuple(Measurement(0, epoch, {"error": error}, 1.0) for epoch, error in ((1, 0.9), (2, 0.1)))
    running = replace(_trial(5, Outcome.RUNNING), costs={"macs": 10**9, "params": 7}, measurements=measured)
    shown.started(running)
    shown.reported(running, Report(5, 2, 3, {"error": 0.1}, 1.0))
    said = _drawn(shown)
    assert "3 of 9 done, 1 running, 1 set aside" in said
    assert "# 2 complete 40%  > 1 running 20%  . 1 screened 20%  d 1 diverged 20%" in said
    assert f"{'#' * 16}{'>' * 8}{'.' * 8}{'d' * 8}" in said
    row = next(line for line in said.splitlines() if " 2/3 " in line)
    assert "10.00%" in row
    assert "█▁" in row
    # the worst values and a tenth of the range: 0.02 x 1.1e9 of one point, 0.2 x 0.1e9 of the other
    assert "front: hypervolume 4.2e+07 up to error 42.00 %, MACs 2.10 G" in said


def test_the_view_tells_starting_workers_and_the_epochs_of_a_rung() -> None:
    shown = _searched([_complete(1, 0.4)], rungs=[{"epochs": 1}])
    assert "starting workers" in _drawn(shown)
    running = replace(_trial(5, Outcome.RUNNING), costs={"macs": 10**9, "params": 7})
    shown.started(running)
    said = _drawn(shown)
    assert "starting workers" not in said
    assert " 0/1 " in said
    shown.reported(running, Report(5, 1, 1, {"error": 0.1}, 1.0, outcome=Outcome.STOPPED))
    assert " 1/1 " in _drawn(shown)
    shown.started(replace(running, measurements=(Measurement(0, 1, {"error": 0.1}, 1.0),)))
    assert " 1/3 " in _drawn(shown)  # the same training goes on at the next rung
    shown = _searched([], rungs=[{"epochs": 1, "resolution": 16}])
    shown.started(replace(running, measurements=(Measurement(0, 1, {"error": 0.1}, 1.0),)))
    assert " 0/3 " in _drawn(shown)  # another one
    assert "left" in _drawn(shown)
    shown.stopping()
    assert "left" not in _drawn(shown)


def test_a_trial_that_goes_on_says_so_in_lines() -> None:
    out = io.StringIO()
    shown = Shown(Console(file=out, width=60))
    shown.begin(SearchConfig.from_data({"study": "s", "data": "digits", "trials": 2}), [])
    measured = (Measurement(0, 1, {"error": 0.5}, 1.0), Measurement(0, 2, {"error": 0.4}, 1.0))
    shown.started(_trial(0, Outcome.RUNNING))
    shown.started(replace(_trial(1, Outcome.RUNNING), seed="googlenet", measurements=measured))
    assert out.getvalue() == "trial   1 googlenet      going on  after 2 epochs\n"


def test_a_look_without_news_costs_the_same_however_many_trials_there_are() -> None:
    def looked_at(count: int) -> tuple[Shown, int]:
        trials = [_complete(n, 0.1 + 0.8 / n) for n in range(1, count)] + [_trial(0, Outcome.SCREENED)]
        shown = _searched(trials)
        shown.started(replace(_trial(count, Outcome.RUNNING), costs={"macs": 10**9, "params": 7}))
        first = steps(lambda: _drawn(shown))
        again = steps(lambda: _drawn(shown))
        assert again < first
        return shown, again

    (_, few), (shown, many) = looked_at(40), looked_at(4000)
    assert abs(many - few) < 0.1 * few
    running = replace(_trial(4000, Outcome.RUNNING), costs={"macs": 10**9, "params": 7})
    shown.reported(running, Report(4000, 2, 3, {"error": 0.07}, 1.0))
    shown.set_aside(_trial(4001, Outcome.DUPLICATE))
    assert abs(steps(lambda: _drawn(shown)) - many) < 0.2 * many  # no news for the front


def test_a_trial_that_ends_is_news() -> None:
    shown = _searched([_complete(1, 0.4), _complete(2, 0.3)])
    before = _drawn(shown)
    assert _drawn(shown) == before
    running = replace(_trial(3, Outcome.RUNNING), costs={"macs": 10**9, "params": 7})
    shown.started(running)
    assert "> 1 running 33%" in _drawn(shown)
    shown.reported(_complete(3, 0.01), Report(3, 3, 3, {"error": 0.01}, 1.0, outcome=Outcome.COMPLETE))
    said = _drawn(shown)
    assert "3 of 9 done, 0 running" in said
    assert "# 3 complete 100%" in said
    assert "error 1.00%" in said
    fresh = _drawn(_searched([_complete(1, 0.4), _complete(2, 0.3), _complete(3, 0.01)]))
    assert said[said.index("front:") :] == fresh[fresh.index("front:") :]
    assert max(map(len, _drawn(shown, 40).splitlines())) <= 40


def test_a_trial_that_goes_on_is_counted_once() -> None:
    shown = _searched([_trial(1, Outcome.STOPPED), _trial(2, Outcome.SCREENED)])
    assert (shown.tally.done, shown.tally.set_aside) == (1, 1)
    shown.started(replace(_trial(1, Outcome.RUNNING)))
    assert (shown.tally.done, shown.tally.counts[Outcome.RUNNING], shown.tally.counts[Outcome.STOPPED]) == (0, 1, 0)
    shown.tally.take(_complete(1, 0.5))
    assert (shown.tally.done, shown.tally.completed) == (1, 1)
    assert shown.tally.complete() == [_complete(1, 0.5)]


def test_the_rate_is_told_from_the_second_trial_on() -> None:
    shown = _searched([])
    shown._at_once, shown.seconds = 1, [3.0]
    assert "trials/" not in shown._summary()
    shown.seconds = [3.0] * 6
    shown._since -= 120
    assert ", 3.0 trials/min, " in shown._summary()
    shown._since -= 120 * 59
    assert ", 3.0 trials/h, " in shown._summary()


def test_the_view_of_a_search_without_a_result() -> None:
    assert "no trial within the limits is complete yet" in _drawn(_searched([]))
    beyond = _complete(1, 0.1, seed="googlenet", violations={"limit:macs": 0.5})
    assert "no trial within the limits is complete yet" in _drawn(_searched([beyond]))


def test_nothing_in_a_study_steers_the_terminal() -> None:
    trials = [_complete(n, 0.1 * n, seed=HOSTILE, digest=HOSTILE) for n in (1, 2)]
    shown = _searched(trials)
    shown.started(replace(_trial(3, Outcome.RUNNING), seed=HOSTILE, costs={"macs": 1, "params": 1}))
    assert all(char.isprintable() or char == "\n" for char in _drawn(shown))
    broken = replace(_trial(4, Outcome.BROKEN), seed=HOSTILE, reason=f"no\n{HOSTILE}", costs={"macs": 1, "params": 1})
    shown.reported(broken, Report(4, 1, 3, {}, 1.0, outcome=Outcome.BROKEN))
    (line,) = shown.console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert line.isprintable()
    assert "[bold]" in line


def test_a_curve_is_that_of_the_last_training() -> None:
    steps = ((0, 0, {"latency_ms": 3.0}), (0, 1, {"error": 0.9}), (0, 2, {"error": 0.8}), (1, 1, {"error": 0.7}))
    measured = tuple(Measurement(rung, epoch, dict(values), 1.0) for rung, epoch, values in steps)
    assert error_curve(replace(_trial(0, Outcome.RUNNING), measurements=measured[:3])) == [0.9, 0.8]
    assert error_curve(replace(_trial(0, Outcome.RUNNING), measurements=measured)) == [0.7]
