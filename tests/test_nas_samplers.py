"""The conformance suite that every sampler passes, on the contract of nas/samplers/contract.py."""

import random
from collections.abc import Callable

import pytest

from nas.config import SamplerConfig
from nas.samplers.contract import Sampler
from nas.samplers.optuna_samplers import OptunaSampler
from search_spaces.genes import Gene, Genes

GENES = (Gene("x"), Gene("y"), Gene("n", (1, 2, 3, 4)), Gene("kind", ("avg", "max")), Gene("odd", (3, 5, 9)))
OBJECTIVES = ("error", "macs")
Make = Callable[[int], Sampler]


@pytest.fixture(params=["random", "tpe", "nsga2"])
def make(request: pytest.FixtureRequest) -> Make:
    config = SamplerConfig(name=request.param, population=4, startup=4)
    return lambda random_seed: OptunaSampler(config, GENES, OBJECTIVES, random_seed)


def _score(genes: Genes) -> dict[str, float]:
    x, y = float(genes["x"]), float(genes["y"])
    return {"error": (x - 0.2) ** 2 + (0.0 if genes["kind"] == "avg" else 0.5), "macs": y * 1e9}


def _run(sampler: Sampler, numbers: range, told: list[tuple[int, Genes]] | None = None) -> list[tuple[int, Genes]]:
    """Propose and tell, after telling what an earlier run had."""
    for number, genes in told or []:
        sampler.tell(number, genes, _score(genes), {"limit:macs": -1.0})
    found = []
    for number in numbers:
        genes = sampler.propose(number)
        sampler.tell(number, genes, _score(genes), {"limit:macs": -1.0})
        found.append((number, genes))
    return found


def test_proposals_lie_in_the_box(make: Make) -> None:
    for _, genes in _run(make(0), range(20)):
        assert set(genes) == {gene.name for gene in GENES}
        for gene in GENES:
            value = genes[gene.name]
            assert value in gene.choices if gene.choices else 0 <= float(value) <= 1


def test_same_random_seed_same_proposals(make: Make) -> None:
    first, again, other = (_run(make(seed), range(12)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_a_resumed_search_goes_on_as_one_that_was_not_interrupted(make: Make, stop: int) -> None:
    whole = _run(make(0), range(16))
    head = _run(make(0), range(stop))
    tail = _run(make(0), range(stop, 16), told=head)
    assert head + tail == whole


def test_failed_and_screened_trials_do_not_stop_it(make: Make) -> None:
    sampler = make(0)
    for number in range(12):
        genes = sampler.propose(number)
        if number % 3 == 0:
            sampler.tell(number, genes, {}, {"limit:macs": -1.0})  # it failed
        elif number % 3 == 1:
            sampler.tell(number, genes, {"macs": 2e9}, {"limit:macs": 1.0})  # it was screened
        else:
            sampler.tell(number, genes, _score(genes), {"limit:macs": -1.0})
    assert sampler.propose(12)


def test_trials_that_nobody_proposed_are_learned_from(make: Make) -> None:
    sampler, source = make(0), random.Random(0)
    for number in range(6):
        genes = {gene.name: gene.sample(source) for gene in GENES}
        sampler.tell(number, genes, _score(genes), {})
    assert sampler.propose(6)


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_models_learn_and_random_does_not(name: str) -> None:
    """After 60 trials, the mean error of the next 20 proposals lies well below that of random ones."""

    def late(which: str) -> float:
        config = SamplerConfig.model_validate({"name": which, "population": 8, "startup": 8})
        found = _run(OptunaSampler(config, GENES, OBJECTIVES, 0), range(80))
        return sum(_score(genes)["error"] for _, genes in found[60:]) / 20

    assert late(name) < 0.6 * late("random")


def test_screened_regions_are_avoided() -> None:
    """A limit on y teaches NSGA-II by its violations alone."""
    sampler = OptunaSampler(SamplerConfig(name="nsga2", population=8), GENES, OBJECTIVES, 0)
    kept = []
    for number in range(80):
        genes = sampler.propose(number)
        size = float(genes["y"]) - 0.3
        kept.append(size <= 0)
        sampler.tell(number, genes, _score(genes) if size <= 0 else {}, {"limit:y": size})
    assert sum(kept[60:]) > 1.5 * sum(kept[:20])


@pytest.mark.parametrize("random_seed", range(8))
def test_several_proposals_may_be_open_at_once(make: Make, random_seed: int) -> None:
    """Answers come in any order, as from several workers, and the next proposal knows all of them."""
    sampler, source = make(random_seed), random.Random(random_seed)
    waiting: dict[int, Genes] = {}
    for number in range(40):
        waiting[number] = sampler.propose(number)
        while len(waiting) > 2:
            ended = source.choice(list(waiting))
            genes = waiting.pop(ended)
            sampler.tell(ended, genes, _score(genes), {"limit:macs": -1.0})
    assert len(waiting) == 2
