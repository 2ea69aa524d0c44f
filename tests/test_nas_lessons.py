"""Samplers learn from one rung at a time."""

from collections.abc import Mapping

from nas.lessons import ENOUGH, Lesson, Lessons
from search_spaces.genes import Genes


class Listener:
    """A sampler that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Mapping[str, float]]] = []

    def propose(self, number: int) -> Genes:
        return {"g": number}

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        self.told.append((number, values))


def _lesson(number: int, rung: int | None, error: float | None = None) -> Lesson:
    values = {} if error is None else {"error": error}
    return Lesson(number, {"g": number}, rung, values, {})


def test_values_of_two_rungs_are_never_told_to_one_sampler() -> None:
    lessons = Lessons(Listener, 2)
    for number in range(ENOUGH + 3):
        lessons.learn(_lesson(number, 0, 0.5))
    lessons.learn(_lesson(100, None))
    first = lessons.sampler
    for number in range(ENOUGH - 1):
        lessons.learn(_lesson(number, 1, 0.2))
        assert lessons.sampler is first  # not enough of them yet
    assert {values.get("error", 0.5) for _, values in first.told} == {0.5}
    lessons.learn(_lesson(ENOUGH - 1, 1, 0.2))
    assert lessons.rung == 1
    assert lessons.sampler.told == [(100, {}), *((number, {"error": 0.2}) for number in range(ENOUGH))]
    lessons.learn(_lesson(200, 0, 0.4))  # cheap results go on coming, and say nothing here
    assert lessons.sampler.told[-1] == (200, {})


def test_failures_do_not_count_as_results() -> None:
    lessons = Lessons(Listener, 2)
    for number in range(3 * ENOUGH):
        lessons.learn(_lesson(number, 1))
    assert lessons.rung == 0


def test_it_proposes_what_its_sampler_does() -> None:
    assert Lessons(Listener, 1).propose(7) == {"g": 7}
