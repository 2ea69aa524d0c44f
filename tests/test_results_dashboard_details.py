"""What is told of a trial beside another: at which rung a value was measured, and what can be compared."""

from dataclasses import replace

from dashboards import EPOCHS, records, snapshot_of

from results.dashboard.details import of_trial, values_panel
from results.dashboard.selected import curve
from results.figures import shown
from results.outcome import Measurement, Outcome, TrialRecord


def words(cells: list[str]) -> list[str]:
    """Texts, whatever keeps a figure and its unit in one line."""
    return [" ".join(cell.split()) for cell in cells]


def figures_of(own: TrialRecord, other: TrialRecord, rung: int | None, epochs: tuple[int, ...] = EPOCHS) -> list[str]:
    """What the details tell of the error: of a trial, of another one beside it, and their difference."""
    told = values_panel(snapshot_of([]).record, of_trial(own, epochs, rung), of_trial(other, epochs, rung))
    body = told[1].children.children[1].children
    row = next(row for row in body if row.children[0].children == "error")
    return words([cell.children for cell in row.children[1:]])


def test_the_details_say_where_a_value_was_measured_and_compare_none_of_different_rungs() -> None:
    one, two = [trial for trial in records() if trial.outcome is Outcome.COMPLETE][:2]
    stopped = next(trial for trial in records() if trial.outcome is Outcome.STOPPED)
    running = replace(one, outcome=Outcome.RUNNING, values={}, measurements=one.measurements[:3])

    def percent(trial: TrialRecord, place: int) -> str:
        return shown("error", trial.measurements[place].values["error"])

    def apart(own: TrialRecord, other: TrialRecord, place: int) -> str:
        by = own.measurements[place].values["error"] - other.measurements[place].values["error"]
        return f"{'+' if by >= 0 else chr(0x2212)}{abs(100 * by):.2f} points"

    low = "(rung 0, epoch 1)"
    assert figures_of(one, two, None) == [percent(one, -1), percent(two, -1), apart(one, two, -1)]
    assert figures_of(one, stopped, None) == [percent(one, -1), f"{percent(stopped, 0)} {low}", "other rung"]
    assert figures_of(one, stopped, 0) == [
        f"{percent(one, 0)} {low}", f"{percent(stopped, 0)} {low}", apart(one, stopped, 0)
    ]  # fmt: skip
    way = f"{percent(running, 2)} (rung 1, epoch 3)"
    assert figures_of(running, stopped, 1) == [way, f"{percent(stopped, 0)} {low}", "other rung"]
    assert figures_of(running, two, None) == [way, percent(two, -1), "other epoch"]
    assert figures_of(running, two, 0)[2] == apart(running, two, 0)
    assert figures_of(running, two, None, (4,))[0] == f"{percent(running, 2)} (epoch 3)"  # where there are no rungs


def test_costs_are_compared_whatever_the_rung() -> None:
    one = next(trial for trial in records() if trial.outcome is Outcome.COMPLETE)
    stopped = next(trial for trial in records() if trial.outcome is Outcome.STOPPED)
    fast = replace(stopped, measurements=(Measurement(0, 0, {"latency_ms": 2.0}, 0.0), *stopped.measurements))
    record = snapshot_of([], objectives={"error": "minimize", "latency_ms": "minimize"}).record
    slow = replace(one, measurements=(Measurement(0, 0, {"latency_ms": 8.0}, 0.0), *one.measurements))
    told = values_panel(record, of_trial(fast, EPOCHS), of_trial(slow, EPOCHS))
    body = told[1].children.children[1].children
    written = {row.children[0].children: words([cell.children for cell in row.children[1:]]) for row in body}
    assert written["latency"] == ["2 ms", "8 ms", "\N{MINUS SIGN}6 ms"]
    assert written["MACs"][2] == f"{stopped.costs['macs'] / one.costs['macs']:.2f} x"
    course = curve(of_trial(fast, EPOCHS), None)
    assert course is not None
    assert [trace["y"] for trace in course["data"]] == [[100 * stopped.measurements[0].values["error"]]]
    untrained = replace(fast, outcome=Outcome.RUNNING, measurements=fast.measurements[:1])
    assert of_trial(untrained, EPOCHS).at is None
