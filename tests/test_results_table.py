import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from results.outcome import Outcome, StudyRecord, TrialRecord
from results.pareto import front
from results.plain_text import plain
from results.table import front_plot, front_table

OBJECTIVES = {"error": "minimize", "macs": "minimize"}


def study(name="digits", objectives=OBJECTIVES):
    return StudyRecord(
        name=name,
        created_at="2025-01-01T00:00:00.000+00:00",
        search={},
        search_digest="0" * 64,
        objectives=objectives,
        state="running",
        versions={},
    )


def trial(number, error, macs, params=20_000_000, seed=None, outcome=Outcome.COMPLETE):
    return TrialRecord(
        study="digits",
        number=number,
        digest=f"{number:02d}abcdef0123456789",
        origin="sampler" if seed is None else "seed",
        seed=seed,
        architecture={},
        costs={"params": params, "macs": macs},
        outcome=outcome,
        values={"error": error, "macs": float(macs)} if outcome is Outcome.COMPLETE else {},
    )


V3 = trial(0, 0.05, 5_713_216_096, 23_834_568, seed="inception-v3")
SMALL = trial(1, 0.06, 2_285_286_438, 11_917_284)
BEST = trial(2, 0.0375, 5_000_000_000)


def printed(table, width=160):
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(table)
    return console.file.getvalue()


def cells(text):
    """The rows of a printed table by their first cell."""
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in text.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in rows}


def test_rows_are_relative_to_the_reference_seed_which_is_listed_off_the_front():
    trials = [V3, replace(SMALL, origin="random"), BEST]
    rows = cells(printed(front_table(study(), front(trials, OBJECTIVES), [V3], width=120)))
    assert list(rows) == ["2", "1", "0"]  # the front by error, then the seed
    assert rows["1"] == ["01abcdef01", "random arm", "6.00 %  +1.00 pt", "2.29 G  0.40x", "11.92 M  0.50x"]
    assert rows["2"] == ["02abcdef01", "sampler", "3.75 %  -1.25 pt", "5.00 G  0.88x", "20.00 M  0.84x"]
    assert rows["0"] == ["inception-v3 (reference, off the front)", "seed", "5.00 %", "5.71 G  1.00x", "23.83 M  1.00x"]


def test_a_seed_on_the_front_is_listed_once_and_others_follow():
    running = trial(3, 0, 1_600_000_000, seed="googlenet", outcome=Outcome.RUNNING)
    found = front([V3, SMALL], OBJECTIVES)
    rows = cells(printed(front_table(study(), found, [V3, running], width=120, driver="process 7")))
    assert list(rows) == ["0", "1", "3"]
    assert rows["0"][0] == "inception-v3 (reference)"
    assert rows["3"] == ["googlenet (running)", "seed", "-", "1.60 G  0.28x", "20.00 M  0.84x"]


def test_each_objective_has_a_column_with_its_direction_and_unit():
    objectives = {
        "latency_ms": "minimize",
        "accuracy": "maximize",
        "params": "minimize",
        "peak_memory_bytes": "minimize",
    }
    values = {"latency_ms": 1.234, "accuracy": 0.91234, "params": 2e7, "peak_memory_bytes": 123_400_000.0}
    one = replace(SMALL, values=values)
    text = printed(front_table(study(objectives=objectives), front([one], objectives), [], width=90))
    heads = text.split("01abcdef01")[0]
    for heading in ("latency", "accuracy", "peak_memory", "params", "MACs"):
        assert heads.count(f" {heading} ") == 1
    assert (text.count("(min)"), text.count("(max)")) == (3, 1)
    assert cells(text)["1"] == ["01abcdef01", "sampler", "1.23 ms", "0.9123", "123.40 MB", "2.29 G", "11.92 M"]
    assert "The study has no seed inception-v3" in text


def test_an_empty_front_is_said_to_be_empty():
    text = printed(front_table(study(), front([], OBJECTIVES), []))
    assert "No trial is complete yet." in text
    assert front_plot(front([], OBJECTIVES), [], 60, 12).plain == "no trial is complete yet"


def test_texts_of_a_study_are_neither_markup_nor_control_characters():
    bad = "[red]x[/red]\x1b[2J\u202e:boom:"
    objectives = {bad: "minimize", "error": "minimize"}
    record = replace(V3, seed=bad, values={bad: 1.0, "error": 0.5})
    result = front([record], objectives)
    text = printed(front_table(study(bad, objectives), result, [record], reference_seed=bad), width=400)
    assert "\x1b" not in text
    assert "\u202e" not in text
    shown = "[red]x[/red]\\x1b[2J\\u202e:boom:"
    assert text.count(shown) >= 4  # title, heading, name, caption
    plot = front_plot(result, [record], 100, 12).plain
    assert "\x1b" not in plot
    assert shown in plot


@given(st.text())
def test_plain_text_is_printable_and_printable_text_is_left_alone(text):
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)
    if text.isprintable():
        assert plain(text) == text


def test_the_plot_puts_good_trials_low_and_left():
    trials = [V3, SMALL, BEST]
    lines = front_plot(front(trials, OBJECTIVES), [V3], 60, 14).plain.splitlines()
    assert lines[0] == "error against macs: * front, S seed"
    body = [line.split("|")[1].ljust(60) for line in lines if "|" in line]
    marks = {
        mark: [(row, match.start()) for row, line in enumerate(body) for match in re.finditer(re.escape(mark), line)]
        for mark in "*S"
    }
    (small, best), (seed,) = sorted(marks["*"]), marks["S"]
    assert small == (0, 0)  # the highest error, the fewest MACs
    assert best[0] == len(body) - 1
    assert best[0] > seed[0] > small[0]
    assert seed[1] > best[1] > small[1]
    assert lines[1].startswith("6.00 % |")
    assert lines[-1].endswith("5.71 G")


values = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.tuples(values, values), min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 30), st.booleans()
)
def test_the_plot_keeps_to_its_size(points, width, height, one_objective):
    objectives = {"error": "minimize"} if one_objective else OBJECTIVES
    trials = [replace(SMALL, number=n, values={"error": e, "macs": m}) for n, (e, m) in enumerate(points)]
    with_seed = [replace(trials[0], seed="inception-v3"), *trials[1:]]
    found = front(with_seed, objectives, dict.fromkeys(objectives, 1e6))
    lines = front_plot(found, with_seed[:1], width, height, trials=with_seed).plain.splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert bool(lines) == (width >= 36 and height >= 6)
    shown = [tuple(trial.values[name] for name in objectives) for trial in with_seed]
    if lines and len(set(shown)) == 1 and not one_objective:
        assert "".join(lines).startswith(("The only complete trial is at", "All complete trials are at"))
    elif lines and (len(shown) > 1 or not one_objective):
        assert any("S" in line.split("|")[1] for line in lines if "|" in line)


def test_a_study_of_one_objective_is_drawn_by_number():
    objectives = {"error": "minimize"}
    text = front_plot(front([V3, BEST], objectives), [V3], 50, 10)
    assert text.plain.startswith("error against number")
    assert printed(front_table(study(objectives=objectives), front([V3, BEST], objectives), [V3])).count("MACs") == 1


@pytest.mark.parametrize("size", [(35, 20), (80, 5), (0, 0), (-1, -1)])
def test_too_small_a_plot_is_empty(size):
    assert not front_plot(front([V3], OBJECTIVES), [V3], *size)


def test_the_plot_shows_the_other_trials_faintly():
    dot, complete = "\N{MIDDLE DOT}", [V3, SMALL, BEST]
    complete += [trial(n, 0.06 + n / 100, 5_000_000_000 + n * 10**8) for n in range(3, 8)]
    trials = [*complete, trial(9, 0.2, 10**9, outcome=Outcome.DIVERGED)]
    drawn = front_plot(front(trials, OBJECTIVES), [V3], 60, 14, trials=complete, faint=dot)
    head, *lines = drawn.plain.splitlines()
    assert head == f"error against macs: * front, S seed, {dot} other trial"
    body = "".join(line.split("|")[1] for line in lines if "|" in line)
    assert {mark: body.count(mark) for mark in f"*S{dot}"} == {"*": 2, "S": 1, dot: 5}
    assert "".join(drawn.plain[span.start : span.end] for span in drawn.spans if span.style == "dim") == dot * 5
    assert lines[0].startswith("13.00 % |")  # the axes hold all of them
    assert front_plot(front(trials, OBJECTIVES), [V3], 60, 14).plain.splitlines()[0].endswith("* front, S seed")


@pytest.mark.parametrize("width", [36, 40, 50, 60, 80, 160])
@pytest.mark.parametrize("extra", [(), ("latency_ms", "measured_memory_bytes")])
def test_no_figure_is_cut_on_narrow_terminals(width, extra):
    objectives = OBJECTIVES | dict.fromkeys(extra, "minimize")
    more = {"latency_ms": 1234.5, "measured_memory_bytes": 123_456_789.0}
    trials = [replace(one, values=one.values | more) for one in (V3, SMALL, BEST)]
    text = printed(front_table(study(objectives=objectives), front(trials, objectives), trials[:1], width=width), width)
    figures = ["3.75 %", "-1.25 pt", "5.00 G", "0.88x", "20.00 M", "0.84x", "02abcdef01", "5.71 G"]
    for figure in figures + (["1234.50 ms", "123.46 MB"] if extra else []):
        assert figure in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(map(len, text.splitlines())) <= width
