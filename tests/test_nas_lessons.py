"""Samplers learn from one rung at a time."""

import random
from collections.abc import Mapping

from boxes import MIXED

from nas.lessons import ENOUGH, Lesson, Lessons
from nas.samplers.nsga import Nsga
from nas.samplers.options import DEFAULT, Nsga2Options
from search_spaces.genes import Genes


class Listener:
    """A sampler that keeps what it is told."""

    startup = 0

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


def _default() -> Nsga:
    assert isinstance(DEFAULT, Nsga2Options)
    return Nsga(DEFAULT, MIXED, ("error",), 0)


def _result(number: int, rung: int) -> Lesson:
    source = random.Random(number)
    genes = {gene.name: gene.sample(source) for gene in MIXED}
    return Lesson(number, genes, rung, {"error": float(genes["x"]) + rung}, {})


def test_a_change_of_rung_does_not_throw_the_default_sampler_back_to_random_points() -> None:
    """A generation at the higher rung is waited for; until then the lower rung's sampler goes on."""
    lessons, low, high = Lessons(_default, 2), _default(), _default()
    for number in range(96):
        lessons.learn(result := _result(number, 0))
        low.tell(number, result.genes, result.values, {})
    for number in range(lessons.sampler.startup):
        assert lessons.rung == 0
        assert lessons.propose(1000 + number) == low.propose(1000 + number) != low.box.drawn(1000 + number)
        lessons.learn(result := _result(number, 1))
        low.tell(number, {}, {}, {})
        high.tell(number, result.genes, result.values, {})
    assert lessons.rung == 1
    assert lessons.propose(2000) == high.propose(2000) != high.box.drawn(2000)


def test_a_point_that_is_told_again_is_no_further_result() -> None:
    lessons = Lessons(_default, 2)
    for number in range(2 * lessons.sampler.startup - 1):
        lessons.learn(_result(number // 2, 1))
        lessons.learn(_result(number // 2, 1))
        assert lessons.rung == (number // 2 >= lessons.sampler.startup - 1)
