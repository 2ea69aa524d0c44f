"""Comparisons: errors are those of the logits, and every run takes its turn."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from results.export import comparison
from results.export.comparison import WARM, Compared, Logits, Pictures, Run, compare, deviation, latencies
from search_spaces.errors import RequestError

PLAIN = np.array([[1.0, 2.0, -4.0], [3.0, 1.0, 0.0]], np.float32)
OTHER = np.array([[1.0, 0.9, -4.0], [3.0, 1.3, 0.0]], np.float32)
BATCH = np.arange(2, dtype=np.float32).reshape(2, 1, 1, 1)


def rows(table: Logits) -> Run:
    """A network that knows each picture's logits by its only pixel."""
    return lambda batch: table[batch[:, 0, 0, 0].astype(int)]


def test_each_figure() -> None:
    labels = [np.array([1, 1])]
    found = compare(rows(PLAIN), {"other": rows(OTHER)}, [BATCH], labels=labels, repeats=3)["other"]
    assert found.deviation == pytest.approx(1.1 / 4)
    assert found.typical_deviation == pytest.approx((1.1 / 4 + 0.3 / 3) / 2)
    assert (found.same_top1, found.changed) == (0.5, 0)  # the answer that changed led by a quarter, no more
    assert (found.error, found.plain_error) == (1.0, 0.5)
    assert min(found.latency_ms, found.plain_latency_ms, found.speed) > 0
    assert set(found.as_data()) == {
        "latency_ms",
        "plain_latency_ms",
        "speed",
        "deviation",
        "typical_deviation",
        "same_top1",
        "changed",
        "error",
        "plain_error",
    }


def test_a_clear_answer_that_changed_is_counted() -> None:
    plain = np.array([[1.0, 2.0, -4.0], [3.0, 1.0, 0.0], [3.0, 2.9, 0.0], [0.0, 0.0, 1.0]], np.float32)
    batch = np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1)
    found = compare(rows(plain), {"other": rows(plain[:, [2, 0, 1]])}, [batch], repeats=1)["other"]
    assert (found.same_top1, found.changed) == (0, 0.5)  # the first leads by a quarter and the third by less
    assert compare(rows(plain), {"same": rows(2 * plain)}, [batch], repeats=1)["same"].changed == 0


def test_without_labels_no_error_is_told() -> None:
    found = compare(rows(PLAIN), {"other": rows(OTHER)}, [BATCH[:1], BATCH[1:]], repeats=1)["other"]
    assert (found.error, found.plain_error) == (None, None)
    assert found.same_top1 == 0.5


def test_what_is_the_same_deviates_by_nothing() -> None:
    assert deviation(PLAIN, PLAIN) == 0
    assert deviation(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32)) == 0


def test_an_option_has_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="an option needs a name"):
        compare(rows(PLAIN), {"": rows(OTHER)}, [BATCH])


def test_what_cannot_be_compared_deviates_without_end_and_is_nothing_in_json() -> None:
    assert deviation(np.full((2, 3), np.nan, np.float32), PLAIN) == math.inf
    assert deviation(PLAIN[:1], PLAIN) == math.inf
    found = Compared(1.0, 1.0, 1.0, math.inf, math.inf, 0.5, 0.5).as_data()
    assert (found["deviation"], found["same_top1"], found["error"]) == (None, 0.5, None)


def test_runs_take_turns_on_one_picture() -> None:
    order: list[str] = []
    seen: list[int] = []

    def noted(name: str) -> Run:
        def run(batch: Pictures) -> Logits:
            order.append(name)
            seen.append(len(batch))
            return PLAIN[: len(batch)]

        return run

    times = latencies({"a": noted("a"), "b": noted("b")}, BATCH[:1], repeats=3)
    assert order == ["a"] * WARM + ["b"] * WARM + ["a", "b", "b", "a", "a", "b"]
    assert set(seen) == {1}
    assert [len(values) for values in times.values()] == [3, 3]


@pytest.mark.parametrize(
    ("batches", "labels", "words"),
    [
        ([], None, "needs pictures, and there are none"),
        ([BATCH[:0]], None, "needs pictures, and there are none"),
        ([BATCH], [np.array([1])], "as many labels as pictures"),
        ([BATCH], [], "as many labels as pictures"),
    ],
)
def test_missing_pictures_and_labels_are_refused(
    batches: list[Pictures], labels: list[NDArray[np.int64]] | None, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        compare(rows(PLAIN), {}, batches, labels=labels)


def test_on_a_busy_machine_there_are_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.zeros((1, 3, 2, 2), dtype=np.float32)
    runs = {"": lambda pictures: pictures.mean((2, 3)), "half": lambda pictures: pictures.mean((2, 3))}
    assert {len(times) for times in latencies(runs, picture, repeats=9).values()} == {9}
    monkeypatch.setattr(comparison, "MOST_SECONDS", 0.0)
    assert {len(times) for times in latencies(runs, picture, repeats=9).values()} == {comparison.LEAST}
