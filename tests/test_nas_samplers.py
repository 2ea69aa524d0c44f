"""The conformance suite that every sampler passes, on the contract of nas/samplers/contract.py."""

import gc
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boxes import MIXED, Box

from nas.samplers.contract import Sampler
from nas.samplers.named import named_sampler
from nas.samplers.options import SAMPLERS
from search_spaces.genes import Gene, Genes
from search_spaces.space import space
from trainers import measure

# Of gp's: a minute each where nothing else runs, and several beside other work.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tests run side by side: more threads than cores wait for one another."""
    with measure.threads(1):
        yield


OBJECTIVES = ("error", "macs", "params")
SMALL: dict[str, dict[str, int]] = {  # so that models, generations and walks come after a few trials
    "random": {},
    "tpe": {"startup": 4, "learns_from": 16},
    "nsga2": {"population": 4},
    "nsga3": {"population": 4},
    "gp": {"startup": 4, "learns_from": 8},
    "evolution": {"startup": 4, "population": 8, "tournament": 4},
    "local": {"startup": 4, "patience": 4},
}
LEARN = tuple(name for name in SMALL if name != "random")
Numbers = dict[str, float]
Told = tuple[int, Genes, Numbers, Numbers]
Objective = Callable[[int, Genes], tuple[Numbers, Numbers]]  # values and violations of a trial


def make(name: str, searched: Any = None, random_seed: int = 0, objectives: int = 2, **options: Any) -> Sampler:
    chosen = SAMPLERS[name](**{**SMALL[name], **options})
    return named_sampler(chosen, searched or Box(*MIXED), OBJECTIVES[:objectives], random_seed)


@pytest.fixture(params=list(SMALL))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def some(name: str, numbers: int) -> range:
    """So many trials; fewer of gp, whose proposals take a third of a second."""
    return range(min(numbers, 8) if name == "gp" else numbers)


def position(gene: Gene, value: float | int | str) -> float:
    return float(value) if gene.is_width else gene.choices.index(value) / max(1, len(gene.choices) - 1)


def mean(genes: Genes, every: tuple[Gene, ...], target: float) -> float:
    return sum((position(gene, genes[gene.name]) - target) ** 2 for gene in every) / len(every)


def usual(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
    """Objectives that disagree, and every limit is kept."""
    values = {"error": mean(genes, MIXED, 0.2), "macs": mean(genes, MIXED, 0.7), "params": mean(genes, MIXED, 0.4)}
    return values, {"limit:macs": -1.0, "principle:balance": -0.1}


def life(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
    """What becomes of trials in a search: some fail, some are screened, some break a limit though they were trained."""
    values, violations = usual(number, genes)
    if number % 5 == 3:
        return {}, {}
    if number % 5 == 4:
        return {"macs": values["macs"]}, {**violations, "limit:macs": 0.5 + values["macs"]}
    return values, {**violations, "principle:balance": 0.2 if number % 7 == 6 else -0.1}


def search(sampler: Sampler, numbers: range, objective: Objective, told: list[Told] | None = None) -> list[Told]:
    """Propose and tell, after telling what an earlier run had."""
    found = []
    for before in told or ():
        sampler.tell(*before)
    for number in numbers:
        genes = sampler.propose(number)
        found.append((number, genes, *objective(number, genes)))
        sampler.tell(*found[-1])
    return found


# --------------------------------------------------------------------------------------------------------- the box

BOXES = {
    "mixed": MIXED,
    "one width": (Gene("x"),),
    "one number": (Gene("n", (1, 2, 3)),),
    "one category": (Gene("kind", ("avg", "max")),),
    "categories": (Gene("kind", ("avg", "max")), Gene("odd", (3, 5, 9)), Gene("n", (1, 2, 3, 4))),
}


def check_in(genes: Genes, every: tuple[Gene, ...]) -> None:
    assert list(genes) == [gene.name for gene in every]
    for gene in every:
        value = genes[gene.name]
        if gene.is_width:
            assert isinstance(value, float)
            assert 0 <= value <= 1
        else:
            assert value in gene.choices
            assert type(value) is type(gene.choices[0])  # a ledger keeps it as JSON


@pytest.mark.parametrize("box", list(BOXES))
def test_proposals_lie_in_the_box(name: str, box: str) -> None:
    every = BOXES[box]

    def objective(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
        return {"error": mean(genes, every, 0.2), "macs": mean(genes, every, 0.9)}, {}

    for _, genes, *_ in search(make(name, Box(*every)), some(name, 14), objective):
        check_in(genes, every)


@pytest.mark.parametrize("shipped", ["inception", "inception-free"])
def test_proposals_are_architectures_of_the_shipped_spaces(name: str, shipped: str) -> None:
    searched = space(shipped)

    def objective(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
        widths = [float(genes[gene.name]) for gene in searched.genes if gene.is_width]
        return {"error": sum(widths), "macs": sum(map(abs, widths))}, {"limit:macs": widths[0] - 0.9}

    for _, genes, *_ in search(make(name, searched), range(6), objective):
        check_in(genes, searched.genes)
        assert searched.decode(genes) in searched


@pytest.mark.parametrize("objectives", [1, 3])
def test_one_objective_and_three(name: str, objectives: int) -> None:
    for _, genes, *_ in search(make(name, objectives=objectives), some(name, 12), life):
        check_in(genes, MIXED)


# ----------------------------------------------------------------------------- what a proposal depends on, and what not


def test_same_random_seed_same_proposals(name: str) -> None:
    first, again, other = (search(make(name, random_seed=seed), some(name, 10), usual) for seed in (3, 3, 4))
    assert first == again
    assert not any(one[1] == two[1] for one, two in zip(first, other, strict=True))


def test_trials_differ_in_what_they_are_proposed(name: str) -> None:
    """Even where nothing was told in between, as with many workers."""
    sampler = make(name)
    search(sampler, some(name, 12), usual)
    found = [tuple(sampler.propose(number).values()) for number in range(12, 18)]
    assert len(set(found)) >= 3  # a box of few points has few neighbours


@pytest.mark.parametrize("stop", [1, 4, 13])
def test_a_resumed_search_goes_on_as_one_that_was_not_interrupted(name: str, stop: int) -> None:
    last = stop + 3
    whole = search(make(name), range(last), life)
    head = search(make(name), range(stop), life)
    tail = search(make(name), range(stop, last), life, told=head)
    assert head + tail == whole


@pytest.mark.parametrize("random_seed", range(2))
def test_a_search_with_several_workers_is_resumed_as_well(name: str, random_seed: int) -> None:
    """Answers come in any order; a resumed sampler is told what had ended, and not what had not."""
    workers, source = 3, random.Random(random_seed)
    sampler, told, waiting = make(name, random_seed=random_seed), list[Told](), dict[int, Genes]()
    for number in range(11 if name == "gp" else 31):
        waiting[number] = sampler.propose(number)
        if number % 5 == 0:
            resumed = make(name, random_seed=random_seed)
            for each in told:
                resumed.tell(*each)
            assert resumed.propose(number) == waiting[number]
            sampler = resumed if number == 10 else sampler
        while len(waiting) >= workers:
            ended = source.choice(list(waiting))
            genes = waiting.pop(ended)
            told.append((ended, genes, *life(ended, genes)))
            sampler.tell(*told[-1])


def test_asking_changes_nothing(name: str) -> None:
    asked, other = make(name), make(name)
    for number in some(name, 12):
        for elsewhere in (number, number + 7):
            asked.propose(elsewhere)
        genes = other.propose(number)
        assert asked.propose(number) == genes
        for sampler in (asked, other):
            sampler.tell(number, genes, *life(number, genes))


def test_what_is_told_is_taken_at_once(name: str) -> None:
    """Who told it may do with it what they like."""
    kept, spoilt = make(name), make(name)
    for number in range(8):
        genes = kept.propose(number)
        kept.tell(number, genes, *life(number, genes))
        values, violations = life(number, genes)
        spoilt.tell(number, genes, values, violations)
        genes.clear()
        values.clear()
        violations.clear()
    assert spoilt.propose(8) == kept.propose(8)


# ---------------------------------------------------------------------------------------------------- what is told


def test_with_as_many_results_as_it_needs_a_sampler_draws_no_longer(name: str) -> None:
    sampler, uniform, source = make(name), make("random"), random.Random(0)
    for number in range(sampler.startup + 1):
        assert (sampler.propose(number) == uniform.propose(number)) == (name == "random" or number < sampler.startup)
        genes = {gene.name: gene.sample(source) for gene in MIXED}
        sampler.tell(number, genes, *usual(number, genes))


def test_failed_trials_teach_nothing(name: str) -> None:
    with_failures, without = make(name), make(name)
    for number in range(0, len(some(name, 12)) * 2, 2):
        genes = without.propose(number)
        assert with_failures.propose(number) == genes
        for sampler in (with_failures, without):
            sampler.tell(number, genes, *usual(number, genes))
        failed = with_failures.propose(number + 1)
        with_failures.tell(number + 1, failed, {}, {"limit:macs": -1.0} if number % 4 else {})
        with_failures.tell(number + 1, failed, {"macs": 1.0}, {})  # one that a score left out has its costs


def test_trials_that_nobody_proposed_are_learned_from(name: str) -> None:
    sampler, source = make(name), random.Random(0)
    for number in range(9):
        genes = {gene.name: gene.sample(source) for gene in MIXED}
        sampler.tell(number, genes, *usual(number, genes))
    check_in(sampler.propose(9), MIXED)


def test_a_point_that_is_told_again_teaches_nothing(name: str) -> None:
    """As its architecture is proposed a second time: a copy is no result, of those at the start neither."""
    once, again, told = make(name), make(name), list[Told]()
    for number in range(0, len(some(name, 24)) * 2, 2):
        genes = once.propose(number)
        assert again.propose(number) == genes
        told.append((number, genes, *life(number, genes)))
        for sampler in (once, again):
            sampler.tell(*told[-1])
        for before in told:
            again.tell(*before)
            again.tell(number + 1, *before[1:])
    assert again.propose(99) == once.propose(99)


def test_a_point_without_values_may_be_told_again_with_them(name: str) -> None:
    """It failed, was interrupted or stopped at first: all that is known of it is what it came to later."""
    at_last, at_once = make(name), make(name)
    for number in some(name, 12):
        genes = at_once.propose(number)
        values, violations = usual(number, genes)
        at_last.tell(number, genes, {}, {})
        at_last.tell(number, genes, {"macs": values["macs"]}, violations)
        assert at_last.propose(number) == genes  # without values it is none of those at the start
        for sampler in (at_last, at_once):
            sampler.tell(number, genes, values, violations)
    assert at_last.propose(99) == at_once.propose(99)


ODD: dict[str, Objective] = {
    "all equal": lambda number, genes: ({"error": 0.5, "macs": 0.5}, {}),
    "one objective equal": lambda number, genes: ({"error": 0.5, "macs": float(number)}, {"limit:macs": -0.5}),
    "all zero": lambda number, genes: ({"error": 0.0, "macs": 0.0}, {"limit:macs": 0.0}),
    "huge": lambda number, genes: ({"error": 0.1, "macs": 1e15 * number}, {"limit:macs": 1e15 * (number - 5)}),
    "all break a limit alike": lambda number, genes: ({}, {"limit:macs": 0.5}),
    "all break a limit": lambda number, genes: ({"macs": 1.0}, {"limit:macs": 0.1 + number}),
    "limits that come and go": lambda number, genes: (usual(0, genes)[0], {f"limit:{number % 3}": number % 2 - 0.5}),
    "one that keeps the limits": lambda number, genes: (
        usual(0, genes)[0] if number == 3 else {},
        {"limit:macs": -0.1 if number == 3 else 0.4},
    ),
}


@pytest.mark.parametrize("odd", list(ODD))
def test_odd_results_break_nothing(name: str, odd: str) -> None:
    for _, genes, *_ in search(make(name), some(name, 14), ODD[odd]):
        check_in(genes, MIXED)


# --------------------------------------------------------------------------------------------------------- learning


def error_of(genes: Genes) -> float:
    return (float(genes["x"]) - 0.2) ** 2 + (float(genes["n"]) - 3) ** 2 / 9 + (0.0 if genes["kind"] == "avg" else 0.5)


def late(which: str, objective: Objective, judge: Callable[[Genes], float]) -> float:
    """The mean of a judgement over the proposals after 40 trials (gp: after 16, which costs as much)."""
    trials, last = (24, 8) if which == "gp" else (60, 20)
    options = {"patience": 64} if which == "local" else {"learns_from": 100} if which in ("tpe", "gp") else {}
    found = [search(make(which, random_seed=seed, **options), range(trials), objective) for seed in (0, 1)]
    judged = [judge(genes) for each in found for _, genes, *_ in each[-last:]]
    return sum(judged) / len(judged)


@pytest.mark.parametrize("learner", LEARN)
def test_models_learn_and_random_does_not(learner: str) -> None:
    def objective(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
        return {"error": error_of(genes), "macs": error_of(genes)}, {}

    assert late(learner, objective, error_of) < 0.6 * late("random", objective, error_of)


@pytest.mark.parametrize("learner", LEARN)
def test_what_breaks_limits_is_avoided(learner: str) -> None:
    """What is over the limit has no values: the violations alone teach to keep it."""

    def objective(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
        over = float(genes["y"]) - 0.3
        return (usual(number, genes)[0] if over <= 0 else {}), {"limit:y": over, "principle:balance": -0.2}

    assert late(learner, objective, lambda genes: float(genes["y"]) <= 0.3) >= 0.5  # of random ones 0.3


@pytest.mark.parametrize("learner", LEARN)
def test_what_keeps_the_limits_is_better_than_any_value(learner: str) -> None:
    """The best values lie where a limit is broken; trials there were trained, and are not followed."""

    def objective(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
        y = float(genes["y"])
        value = -10.0 if y > 0.5 else (y - 0.2) ** 2
        return {"error": value, "macs": value}, {"limit:y": y - 0.5}

    assert late(learner, objective, lambda genes: float(genes["y"]) <= 0.5) >= 0.7  # of random ones 0.5


@pytest.mark.parametrize("learner", LEARN)
def test_points_beyond_a_limit_lead_towards_those_that_keep_it(learner: str) -> None:
    """No point has values yet: a sampler that waited for them would draw at random for ever."""

    def over(genes: Genes) -> float:
        return 0.1 + float(genes["x"]) + float(genes["y"])

    def objective(number: int, genes: Genes) -> tuple[Numbers, Numbers]:
        return {}, {"limit:sum": over(genes)}

    assert late(learner, objective, over) < 0.8 * late("random", objective, over)


# ------------------------------------------------------------------------------------------------------- no growth


def test_proposals_leave_nothing_behind(name: str) -> None:
    sampler = make(name)
    search(sampler, some(name, 10), life)

    def objects_after(numbers: range) -> int:
        for number in numbers:
            sampler.propose(number)
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(range(10, 13))
    assert objects_after(range(13, 21)) - before < 8


def test_copies_leave_nothing_behind(name: str) -> None:
    sampler = make(name)
    found = search(sampler, some(name, 10), life)

    def objects_after(copies: int) -> int:
        for number in range(copies):
            _, genes, values, violations = found[number % len(found)]
            sampler.tell(100 + number, genes, values, violations)
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(20)
    assert objects_after(200) - before < 8
