"""What each sampler does of its own, beside the contract."""

import random

import pytest
from boxes import MIXED, Box

from nas.samplers.evolution import Evolution
from nas.samplers.finished import Finished, best_first, finished, most_telling
from nas.samplers.gp import Gp
from nas.samplers.local import Local
from nas.samplers.nsga import Nsga, divisions_for
from nas.samplers.options import EvolutionOptions, GpOptions, LocalOptions, Nsga2Options, Nsga3Options, TpeOptions
from nas.samplers.tpe import Tpe
from nas.samplers.uniform import Uniform
from search_spaces.genes import Gene, Genes
from search_spaces.space import space

X = Gene("x")
BOTH = ("error", "macs")


def told(number: int, values: tuple[float, ...] | None, violation: float = 0.0) -> Finished:
    return Finished(number, {"x": 0.0}, values, violation)


# ---------------------------------------------------------------------------------------------- what there is to learn


@pytest.mark.parametrize(
    ("values", "violations", "found"),
    [
        ({"macs": 2.0, "error": 1.0, "params": 9.0}, {}, ((1.0, 2.0), 0.0)),
        ({"macs": 2.0, "error": 1.0}, {"a": -0.5, "b": -0.25}, ((1.0, 2.0), -0.25)),
        ({"macs": 2.0, "error": 1.0}, {"a": 0.5, "b": -9.0, "c": 0.25}, ((1.0, 2.0), 0.75)),
        ({"macs": 2.0}, {"a": 0.5}, (None, 0.5)),
        ({}, {"a": 0.5}, (None, 0.5)),
        ({"macs": 2.0}, {"a": 0.0}, None),
        ({}, {}, None),
    ],
)
def test_what_is_learned_of_a_trial(
    values: dict[str, float], violations: dict[str, float], found: tuple[tuple[float, ...] | None, float] | None
) -> None:
    learned = finished(BOTH, 3, {"x": 0.5}, values, violations)
    assert (learned and (learned.values, learned.violation)) == found


def test_the_best_come_first() -> None:
    trials = [
        told(0, (2.0, 2.0)),
        told(1, None, 0.5),
        told(2, (1.0, 1.0)),
        told(3, (0.0, 0.0), 0.1),
        told(4, (0.5, 3.0)),
    ]
    order = best_first(trials)
    assert set(order[:2]) == {2, 4}
    assert order[2:] == [0, 3, 1]
    assert best_first([told(0, None, 0.5), told(1, None, 0.1)]) == [1, 0]


def test_the_most_telling_are_the_best_and_the_newest() -> None:
    trials = [told(number, (float(number), float(number))) for number in range(10)]
    assert most_telling(trials, 10) == list(range(10))
    assert most_telling(trials, 4) == [0, 1, 8, 9]
    assert most_telling(trials[::-1], 5) == [5, 6, 7, 8, 9]
    assert most_telling([], 4) == []


# ---------------------------------------------------------------------------------------------------------- optuna's


@pytest.mark.parametrize("learner", ["tpe", "gp"])
def test_models_see_a_bounded_number_of_trials(learner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"startup": 2, "learns_from": 8}
    sampler = (
        Tpe(TpeOptions(**options), MIXED, BOTH, 0) if learner == "tpe" else Gp(GpOptions(**options), MIXED, BOTH, 0)
    )
    seen, inner = [], sampler.box.study
    monkeypatch.setattr(
        sampler.box, "study", lambda trials: seen.append([t.values[0] for t in trials]) or inner(trials)
    )
    source = random.Random(0)
    for number in range(30):
        sampler.tell(number, {gene.name: gene.sample(source) for gene in MIXED}, {"error": number, "macs": number}, {})
    sampler.propose(30)
    assert seen == [[0, 1, 2, 3, 26, 27, 28, 29]]


@pytest.mark.parametrize(("objectives", "points"), [(1, 1), (2, 32), (3, 28), (4, 20)])
def test_as_many_reference_points_as_a_generation_has_trials(objectives: int, points: int) -> None:
    from math import comb

    parts = divisions_for(objectives, 32)
    assert comb(objectives + parts - 1, parts) == points


@pytest.mark.parametrize("options", [Nsga2Options(population=4), Nsga3Options(population=4, divisions=6)])
def test_parents_are_the_best_of_a_generation_and_its_parents(options: Nsga2Options | Nsga3Options) -> None:
    sampler = Nsga(options, (X,), BOTH, 0)
    for number, value in enumerate([5.0, 1.0, 6.0, 7.0, 2.0, 8.0, 0.0, 9.0, 3.0]):
        sampler.tell(number, {"x": value / 10}, {"error": value, "macs": value}, {})
    assert {trial.params["x"] for trial in sampler._parents} == {0.0, 0.1, 0.2, 0.5}


@pytest.mark.parametrize("options", [Nsga2Options(population=4), Nsga3Options(population=4, divisions=6)])
def test_copies_fill_no_generation(options: Nsga2Options | Nsga3Options) -> None:
    sampler = Nsga(options, (X,), BOTH, 0)
    for number in range(12):  # three points again and again
        sampler.tell(number, {"x": number % 3 / 10}, {"error": 1.0, "macs": 1.0}, {})
    assert not sampler._parents
    sampler.tell(12, {"x": 0.9}, {"error": 2.0, "macs": 2.0}, {})
    assert sorted(trial.params["x"] for trial in sampler._parents) == [0.0, 0.1, 0.2, 0.9]


# --------------------------------------------------------------------------------------------------------- evolution


def _tell(
    sampler: Evolution | Local, number: int, x: float, values: tuple[float, ...] = (), violation: float = 0
) -> None:
    sampler.tell(number, {"x": x}, dict(zip(("error",), values, strict=False)), {"limit:a": violation})


def test_a_parent_that_has_grown_old_has_no_children() -> None:
    """The best trial of all is too old; the best of the newest is the parent of every child."""
    options = EvolutionOptions(startup=2, population=3, tournament=50, crossover=1.0)
    box = Box(X, *(Gene(f"still{index}") for index in range(40)))
    sampler = Evolution(options, box, ("error",), 0)
    for number, value in enumerate([0.0, 0.9, 0.5, 0.7]):
        genes: Genes = {gene.name: value for gene in box.genes}
        sampler.tell(number, genes, {"error": value}, {})
    for number in range(4, 14):
        child = sampler.propose(number)
        assert sum(value == 0.5 for value in child.values()) >= len(child) - 1


def test_parents_keep_the_limits_even_if_they_are_old() -> None:
    options = EvolutionOptions(startup=2, population=2, tournament=50, crossover=0.0)
    box = Box(*(Gene(f"gene{index}") for index in range(40)))
    sampler = Evolution(options, box, ("error",), 0)
    for number in range(9):
        value = number / 10
        genes: Genes = {gene.name: value for gene in box.genes}
        sampler.tell(
            number, genes, {"error": value} if number in (1, 2) else {}, {"a": -0.1 if number in (1, 2) else 0.9}
        )
    child = sampler.propose(9)
    assert sum(value == 0.1 for value in child.values()) >= len(child) - 1


def test_children_have_genes_of_two_parents() -> None:
    box = Box(*(Gene(f"gene{index}") for index in range(40)))
    sampler = Evolution(EvolutionOptions(startup=2, population=2, tournament=1, crossover=1.0), box, ("error",), 0)
    for number, value in enumerate([0.25, 0.75]):
        genes: Genes = {gene.name: value for gene in box.genes}
        sampler.tell(number, genes, {"error": 0.5}, {})
    mixed = 0
    for number in range(2, 10):
        values = list(sampler.propose(number).values())
        mixed += min(values.count(0.25), values.count(0.75)) > 5
    assert mixed >= 2  # half of the pairs are a trial with itself


KINDS = Gene("kind", tuple("abcdefgh"))


@pytest.mark.parametrize(
    "sampler",
    [
        Evolution(EvolutionOptions(startup=1, population=4), Box(KINDS), ("error",), 0),
        Nsga(Nsga2Options(population=2), (KINDS,), ("error",), 0),
        Nsga(Nsga3Options(population=2), (KINDS,), ("error",), 0),
    ],
)
def test_what_was_told_is_not_bred_again(sampler: Evolution | Nsga) -> None:
    found = []
    for number in range(8):
        genes = sampler.propose(number)
        found.append(genes["kind"])
        sampler.tell(number, genes, {"error": 1.0}, {})
    assert len(set(found)) == 8


@pytest.mark.parametrize("kind", ["evolution", "local"])
@pytest.mark.parametrize("shipped", ["inception", "inception-free"])
def test_children_differ_from_a_parent_as_architectures_in_few_places(kind: str, shipped: str) -> None:
    searched, objective = space(shipped), ("error",)
    sampler: Evolution | Local
    if kind == "evolution":
        sampler = Evolution(EvolutionOptions(startup=1, crossover=0, mutations=1), searched, objective, 0)
    else:
        sampler = Local(LocalOptions(startup=1), searched, objective, 0)
    parent = searched.encode(searched.sample(1))
    sampler.tell(0, parent, {"error": 0.5}, {})
    for number in range(1, 6):
        child = sampler.propose(number)
        assert searched.decode(child) != searched.decode(parent)


# ------------------------------------------------------------------------------------------------------------- local


def _walk(patience: int = 3) -> Local:
    """A search that stands at 0.5 and has looked around in vain, so that a new walk begins with trial 10."""
    sampler = Local(LocalOptions(startup=1, patience=patience), Box(X), ("error",), 0)
    _tell(sampler, 0, 0.5, (0.0,))
    for number in range(1, patience + 1):
        _tell(sampler, number, 0.5 + number / 100, (1.0,))
    return sampler


def test_a_walk_that_is_stuck_ends_and_another_begins_at_a_random_point() -> None:
    sampler = _walk()
    assert sampler.walks == 2
    start = Uniform((X,), 0).propose(10)
    assert sampler.propose(10) == start
    sampler.tell(10, start, {"error": 5.0}, {})
    assert [best.genes for best in sampler._best] == [start]


def test_what_was_still_open_of_an_earlier_walk_is_no_part_of_the_next() -> None:
    sampler = _walk()
    _tell(sampler, 6, 0.51, (0.5,))  # a neighbour of 0.5, told late
    assert not sampler._best
    sampler.tell(10, start := sampler.propose(10), {"error": 5.0}, {})
    _tell(sampler, 7, 0.52, (0.4,))
    assert [best.genes for best in sampler._best] == [start]
    _tell(sampler, 11, 0.9, (4.0,))
    assert sampler._best[0].genes == {"x": 0.9}


def test_a_walk_goes_on_as_long_as_it_improves() -> None:
    sampler = Local(LocalOptions(startup=1, patience=3), Box(X), ("error",), 0)
    for number in range(20):
        _tell(sampler, number, number / 20, (1.0 - number / 20 if number % 3 == 0 else 2.0,))
    assert sampler.walks == 1


def test_the_best_of_a_walk_dominate_each_other_never() -> None:
    sampler = Local(LocalOptions(startup=2), Box(X), BOTH, 0)
    for number, (error, macs, over) in enumerate(
        [(0.0, 0.0, 0.3), (0.0, 0.0, 0.2), (0.5, 0.5, 0.0), (0.4, 0.6, -1.0), (0.6, 0.6, -1.0), (0.4, 0.6, 0.0)]
    ):
        sampler.tell(number, {"x": number / 10}, {"error": error, "macs": macs}, {"limit": over})
        if number == 1:
            assert [best.number for best in sampler._best] == [1]  # the one that breaks least
    assert [best.number for best in sampler._best] == [2, 3]
