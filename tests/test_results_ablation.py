"""Two arms with known answers: the same, shifted, confounded by cost, tied, empty, failed; and the page."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.ablation import Ablation, as_data, compare, notes, read_arm, verdict
from results.ablation_report import ablation_html, write_ablation_report
from results.ablation_table import ablation_blocks
from results.equal_cost import Difference, Point, difference, difference_of_shares, partners, quantiles, shown
from results.outcome import Measurement, Outcome, TrialRecord


def _points(
    count: int, source: np.random.Generator, *, macs: float = 4e9, trend: float = 0.0, ratio: float = 1.0
) -> list[Point]:
    """Errors as proxies have them: skewed, in steps of one picture of 360, 8 % of the networks hardly learn."""
    logs = source.normal(math.log(macs), 0.2, count)
    errors = np.exp(source.normal(np.log(0.05), 0.45, count))
    errors = np.where(source.random(count) < 0.08, source.uniform(0.2, 0.5, count), errors) * ratio
    errors = np.round((errors + trend * (logs - math.log(4e9))) * 360) / 360
    rows = zip(errors.tolist(), np.exp(logs).tolist(), strict=True)
    return [Point(i, 0, error, int(cost), False, (0, 3)) for i, (error, cost) in enumerate(rows)]


def _found(on: Sequence[Point], off: Sequence[Point], **options: float) -> Difference:
    found = difference(on, off, **options)  # type: ignore[arg-type]
    assert found is not None
    assert found.low <= found.value <= found.high or math.isclose(found.low, found.high, abs_tol=1e-9)
    return found


@pytest.mark.parametrize(("count", "times"), [(10, 100), (24, 50)])
def test_arms_of_one_distribution_differ_in_about_one_interval_of_twenty(count: int, times: int) -> None:
    source = np.random.default_rng(1)
    drawn = [_found(_points(count, source), _points(count, source)) for _ in range(times)]
    assert 1 <= sum(shown(found) for found in drawn) <= times // 10


def test_a_shifted_arm_is_found() -> None:
    source = np.random.default_rng(2)
    drawn = [_found(_points(30, source, ratio=0.5), _points(30, source)) for _ in range(12)]
    assert sum(found.high < 0 for found in drawn) >= 10
    assert np.median([found.value for found in drawn]) == pytest.approx(-0.025, abs=0.006)
    assert np.median([found.lower for found in drawn]) > 0.65


def test_a_difference_of_cost_is_no_difference_of_principle() -> None:
    """The dearer arm has the lower errors, by the trend alone: by 3 points on the median."""
    source = np.random.default_rng(3)
    raw, equal = [], []
    for _ in range(12):
        on, off = _points(30, source, macs=5e9, trend=-0.15), _points(30, source, macs=4.1e9, trend=-0.15)
        raw.append(_found(on, off, factor=math.inf))
        equal.append(_found(on, off))
    assert sum(shown(found) for found in raw) >= 9
    assert sum(shown(found) for found in equal) <= 2
    assert np.median([found.value for found in raw]) == pytest.approx(-0.03, abs=0.006)
    assert np.median([found.value for found in equal]) == pytest.approx(0.0, abs=0.004)


def test_an_exact_trend_is_taken_out_whole() -> None:
    def line(costs: Sequence[float], shift: float) -> list[Point]:
        return [Point(i, 0, 0.3 - 0.1 * math.log(m / 1e9) + shift, int(m), False, (0, 3)) for i, m in enumerate(costs)]

    on, off = line(np.linspace(1e9, 1.5e9, 10).tolist(), -0.01), line(np.linspace(1.1e9, 2e9, 12).tolist(), 0.0)
    found = _found(on, off)
    assert (found.value, found.low, found.high) == pytest.approx((-0.01,) * 3, abs=1e-9)
    assert found.lower == 1.0
    assert found.pairs < 120
    assert _found(on, off, factor=math.inf).value > -0.005


def test_swapped_arms_give_the_opposite() -> None:
    source = np.random.default_rng(4)
    on, off = _points(12, source), _points(9, source, ratio=0.8)
    one, other = _found(on, off), _found(off, on)
    assert (one.value, one.lower) == pytest.approx((-other.value, 1 - other.lower))
    assert (one.pairs, one.on, one.off) == (other.pairs, other.off, other.on)
    assert one.low == pytest.approx(-other.high, abs=0.015)  # of other draws


def test_the_same_question_has_the_same_answer() -> None:
    source = np.random.default_rng(5)
    on, off = _points(10, source), _points(10, source)
    assert difference(on, off) == difference(on, off)
    assert difference(on, off, random_seed=1) != difference(on, off)


def test_ties_are_no_difference() -> None:
    tied = [Point(i, 0, 0.1, 10**9, False, (0, 3)) for i in range(8)]
    found = _found(tied, tied)
    assert (found.value, found.low, found.high, found.lower) == (0.0, 0.0, 0.0, 0.5)
    assert not shown(found)


def test_too_few_partners_give_no_interval() -> None:
    source = np.random.default_rng(6)
    arm = _points(8, source)
    assert difference(arm, []) is None
    assert difference([], []) is None
    assert difference(arm, arm[:4]) is None
    far = [dataclasses.replace(point, macs=100 * point.macs) for point in arm]
    assert difference(arm, far) is None
    assert difference(arm, far, factor=math.inf) is not None
    assert partners(arm, far) == ([0] * 8, [0] * 8)
    assert quantiles(far, [0] * 8) == []


def test_repeats_are_compared_within_themselves() -> None:
    """The second split is harder by 30 points and only the off arm was lucky to have more of the first."""
    source = np.random.default_rng(7)

    def arm(easy: int, hard: int) -> list[Point]:
        second = [dataclasses.replace(p, repeat=1, error=p.error + 0.3) for p in _points(hard, source)]
        return _points(easy, source) + second

    on, off = arm(10, 30), arm(30, 10)
    apart = _found(on, off)
    assert abs(apart.value) < 0.02
    assert not shown(apart)
    as_one = [[dataclasses.replace(point, repeat=0) for point in points] for points in (on, off)]
    assert _found(*as_one).value > 0.1


def test_intervals_of_shares() -> None:
    """Newcombe's example (his table II, a): 56 of 70 and 48 of 80, method 10: 0.0524 to 0.3339."""
    found = difference_of_shares((56, 70), (48, 80))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    none = difference_of_shares((0, 24), (0, 24))
    assert none is not None
    assert none.low < 0 < none.high
    assert difference_of_shares((0, 0), (1, 2)) is None


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_intervals_of_shares_hold_the_difference(k: int, n: int, m: int, o: int) -> None:
    found = difference_of_shares((min(k, n), n), (min(m, o), o))
    assert found is not None
    assert -1 - 1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9


def test_weighted_quantiles() -> None:
    points = [Point(i, 0, error, 10**9, False, (0, 1)) for i, error in enumerate((0.4, 0.1, 0.3, 0.2))]
    assert quantiles(points) == [0.1, 0.1, 0.2, 0.3, 0.4]
    assert quantiles(points, [9, 1, 0, 1]) == [0.1, 0.4, 0.4, 0.4, 0.4]


# ------------------------------------------------------------------------------------------------------------- the arms


def _trial(number: int, outcome: Outcome = Outcome.COMPLETE, error: float = 0.1, **fields: object) -> TrialRecord:
    record = TrialRecord(
        study="s",
        number=number,
        digest=str(number),
        origin="sampler",
        architecture={"breaks": number % 2 == 1},
        costs={"macs": 10**9 + number},
        outcome=outcome,
        values={"error": error} if outcome is Outcome.COMPLETE else {},
        measurements=(Measurement(0, 3, {"error": error}, 1.0),),
    )
    return dataclasses.replace(record, **fields)  # type: ignore[arg-type]


def _ablation(on: Sequence[TrialRecord], off: Sequence[TrialRecord]) -> Ablation:
    one = read_arm([("s-on", on)], lambda trial: False, on=True)
    return compare("balance", one, read_arm([("s-off", off)], lambda trial: trial.architecture["breaks"], on=False))


def _shifted(shift: float, count: int = 24) -> list[TrialRecord]:
    source = np.random.default_rng(8)
    return [_trial(i, error=float(error) + shift) for i, error in enumerate(source.uniform(0.05, 0.08, count))]


def test_every_trial_is_accounted_for() -> None:
    off = [
        *_shifted(0.0, 10),
        _trial(10, Outcome.DIVERGED),
        _trial(11, Outcome.OUT_OF_MEMORY),
        _trial(12, Outcome.SCREENED),
        _trial(13, Outcome.BROKEN),
        _trial(14, seed="inception-v3", error=0.0),
        _trial(15, measurements=(Measurement(1, 9, {"error": 0.01}, 9.0),), error=0.01),
    ]
    found = _ablation(_shifted(0.0, 10), off)
    assert found.off.outcomes == {"complete": 11, "diverged": 1, "out-of-memory": 1, "screened": 1, "broken": 1}
    assert (found.off.trained, found.off.failed, found.off.breaking) == (13, 2, 7)
    assert len(found.off.points) == 10  # neither the seed nor what was measured at another rung
    assert found.elsewhere == 1
    assert found.epochs == 3
    assert found.failures is not None
    assert found.failures.value == pytest.approx(-2 / 13)
    told = " ".join(notes(found))
    assert "0 of 10 with balance on and 2 of 13 with balance off" in told
    assert "not compared: 1 complete" in told


@pytest.mark.parametrize(
    ("on", "off", "sentence"),
    [
        (
            _shifted(-0.02),
            _shifted(0.0),
            "With balance on, error is lower by 2.00 points at equal MACs (95 % interval ",
        ),
        (_shifted(0.02), _shifted(0.0), "With balance on, error is higher by 2.00 points"),
        (_shifted(0.0), _shifted(0.0), "No difference could be shown: "),
        ([], _shifted(0.0), "Nothing can be said about balance: no trial with balance on is complete"),
        ([], [_trial(0, Outcome.DIVERGED)], "no trial with balance on or off is complete"),
        (_shifted(0.0, 4), _shifted(0.0, 4), "Nothing can be said about balance: 4 and 4 complete trials"),
        (_shifted(0.0), [dataclasses.replace(t, architecture={"breaks": False}) for t in _shifted(0.3)], "not one of"),
    ],
)
def test_the_verdict_says_what_was_found(on: list[TrialRecord], off: list[TrialRecord], sentence: str) -> None:
    found = _ablation(on, off)
    assert sentence in verdict(found)
    data = as_data(found)
    assert data["verdict"] == verdict(found)
    assert data["arms"]["off"]["compared"] == len(found.off.points)
    page = ablation_html(found, facts={"study": "<s>"}, search={"study": "<s>"})
    assert "&lt;s&gt;" in page
    assert "<s>" not in page
    assert len(list(ablation_blocks(found, 80))) >= 5


def test_the_interval_reads_in_the_direction_of_its_sentence() -> None:
    found = _ablation(_shifted(-0.02), _shifted(0.0))
    assert found.equal is not None
    span = f"{-100 * found.equal.high:.2f} to {-100 * found.equal.low:.2f}"
    assert f"(95 % interval {span})" in verdict(found)
    assert 0 < -found.equal.high < -found.equal.low


def test_few_that_break_it_say_nothing() -> None:
    off = [dataclasses.replace(t, architecture={"breaks": t.number < 3}) for t in _shifted(0.02)]
    found = _ablation(_shifted(0.0), off)
    assert found.equal is not None
    assert shown(found.equal)
    assert found.broken is None
    assert verdict(found).startswith("Nothing can be said about balance: only 3 of 24 complete trials")


def test_those_that_break_it_are_compared_alone() -> None:
    """A few bad ones hardly move the median of the whole arm."""
    off = [dataclasses.replace(t, architecture={"breaks": t.number < 6}) for t in _shifted(0.0)]
    off = [dataclasses.replace(t, values={"error": 0.5}) if t.number < 6 else t for t in off]
    found = _ablation(_shifted(0.0), off)
    assert found.equal is not None
    assert found.broken is not None
    assert abs(found.equal.value) < 0.05
    assert found.broken.value < -0.4
    assert any("Against these alone" in note for note in notes(found))


def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    found = _ablation(_shifted(-0.02), _shifted(0.0))
    path = tmp_path / "new" / "page.html"
    write_ablation_report(found, path, facts={"study": "s", "space": "inception"}, search={"study": "s", "trials": 24})
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "default-src &#x27;none&#x27;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert page.count("<circle") == 48
    assert page.count('class="cross"') == 12
    assert "lower by 2.00 points" in page
    assert "NaN" not in page
