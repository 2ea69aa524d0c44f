"""What the sampler is taught: results of one rung at a time, the highest that enough trials have reached.

Values of different rungs cannot be compared, so a sampler never sees two of them side by side. As in BOHB (Falkner et
al., 1807.01774) it learns from the highest rung with enough results; once a higher one has them, a new sampler is
taught the results of that rung alone, in the order in which they came. Enough is what the sampler needs to propose by
what it learned: with fewer it would go back to random points after all that was learned of the lower rung.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nas.samplers.contract import Sampler
from search_spaces.genes import Genes

ENOUGH = 16  # results at a rung, at least, from which the sampler learns from that rung

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Lesson:
    """What a trial came to. ``rung`` is None where nothing was trained: it was screened, and is told at every rung."""

    number: int
    genes: Genes
    rung: int | None
    values: Numbers
    violations: Numbers


class Lessons:
    """Teaches a sampler. ``rungs``: how many there are."""

    def __init__(self, make: Callable[[], Sampler], rungs: int) -> None:
        self._make = make
        self._told: list[Lesson] = []
        self._points = [set[frozenset[tuple[str, float | int | str]]]() for _ in range(rungs)]  # that have results
        self.rung = 0
        self.sampler = make()

    def propose(self, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        return self.sampler.propose(number)

    def learn(self, lesson: Lesson) -> None:
        """Take what a trial came to; without values and violations (it failed) nothing is learned of it."""
        self._told.append(lesson)
        if lesson.rung is not None and lesson.values:
            points = self._points[lesson.rung]
            points.add(frozenset(lesson.genes.items()))
            if lesson.rung > self.rung and len(points) >= max(ENOUGH, self.sampler.startup):
                self._begin_anew(lesson.rung)
                return
        self._tell(lesson)

    def _begin_anew(self, rung: int) -> None:
        self.rung, self.sampler = rung, self._make()
        for lesson in self._told:
            if lesson.rung in (rung, None):
                self._tell(lesson)

    def _tell(self, lesson: Lesson) -> None:
        if lesson.rung is None or lesson.rung == self.rung:
            self.sampler.tell(lesson.number, lesson.genes, lesson.values, lesson.violations)
        elif lesson.rung < self.rung:  # its values say nothing here: it is no longer waited for
            self.sampler.tell(lesson.number, lesson.genes, {}, {})
