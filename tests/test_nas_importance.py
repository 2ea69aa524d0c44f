"""The importance of genes: what the values depend on comes first, whatever the genes look like."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from nas.samplers.importance import LEAST, importances
from results.importance import METHODS, method_named
from results.outcome import Outcome, TrialRecord
from search_spaces.errors import RequestError

ERROR = {"error": "minimize"}


def trial(number: int, source: random.Random) -> TrialRecord:
    genes: dict[str, float | int | str] = {"width": source.random(), "depth": source.choice([3, 4, 5])}
    genes |= {"pool": source.choice(["avg", "max"]), "idle": source.random(), "fixed": 7}
    error = 0.6 * (genes["pool"] == "max") + 0.1 * source.random()
    return TrialRecord(
        study="s",
        number=number,
        digest=f"{number}",
        origin=source.choice(["sampler", "random"]),
        architecture={},
        costs={"macs": int(1e9 * float(genes["width"]))},
        outcome=Outcome.COMPLETE,
        values={"error": error},
        genes=genes,
    )


@pytest.fixture
def trials() -> list[TrialRecord]:
    source = random.Random(0)
    return [trial(number, source) for number in range(120)]


@pytest.mark.parametrize("method", METHODS)
def test_what_the_values_depend_on_comes_first(trials: list[TrialRecord], method: str) -> None:
    error, macs = importances(trials, ERROR | {"macs": "minimize"}, method_named(method))
    assert next(iter(error.shares)) == "pool"
    assert next(iter(macs.shares)) == "width"
    for found in (error, macs):
        assert sum(found.shares.values()) == pytest.approx(1)
        assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
        assert found.shares["fixed"] == 0
        assert (found.trials, found.missing, found.left_out) == (120, "", ())
    assert importances(reversed(trials), ERROR, method_named(method)) == [error]


@pytest.mark.parametrize("method", METHODS)
def test_a_trial_whose_genes_are_damaged_costs_itself_alone(trials: list[TrialRecord], method: str) -> None:
    whole = importances(trials, ERROR, method_named(method))
    values: list[Any] = [[1, 2], None, {"a": 1}, math.inf]  # what a damaged row may hold in the place of a gene
    copies = [replace(trials[0], number=200 + at, genes={"width": value}) for at, value in enumerate(values)]
    lost = replace(trials[0], number=300, genes=None)  # as the ledger gives what is no JSON
    (found,) = importances([*trials, *copies, lost], ERROR, method_named(method))
    assert replace(found, damaged=0) == whole[0]
    assert found.damaged == len(values) + 1
    assert "Left out, as their genes cannot be read: 5 trials." in found.reservations
    (few,) = importances([*trials[:3], *copies[:1]], ERROR, method_named(method))
    assert few.missing.startswith("3 complete trials")
    assert few.reservations == "Left out, as its genes cannot be read: 1 trial."


def test_the_direction_says_which_end_counts(trials: list[TrialRecord]) -> None:
    """The lowest tenth is decided by one gene, the highest by another."""
    shaped = []
    for each in trials:
        genes = each.genes or {}
        value = -1.0 if float(genes["width"]) < 0.15 else 1.0 if float(genes["idle"]) < 0.15 else 0.0
        shaped.append(replace(each, values={"score": value + 0.01 * each.number / 120}))
    low, high = (importances(shaped, {"score": goal})[0] for goal in ("minimize", "maximize"))  # type: ignore[dict-item]
    assert next(iter(low.shares)) == "width"
    assert next(iter(high.shares)) == "idle"


def test_genes_that_not_every_trial_has(trials: list[TrialRecord]) -> None:
    some = [
        replace(each, genes={k: v for k, v in (each.genes or {}).items() if k != "idle" or each.number % 2})
        for each in trials
    ]
    assert "idle" in importances(some, ERROR)[0].shares
    forest = importances(some, ERROR, "fanova")[0]
    assert "idle" not in forest.shares
    assert forest.left_out == ("idle",)


def test_only_complete_trials_with_genes_and_values_take_part(trials: list[TrialRecord]) -> None:
    others = [
        replace(trials[0], number=200, outcome=Outcome.STOPPED, values={}),
        replace(trials[0], number=201, genes=None, origin="seed", seed="googlenet"),
        replace(trials[0], number=202, values={"error": float("nan")}),
    ]
    assert importances(trials + others, ERROR) == importances(trials, ERROR)


def test_where_nothing_can_be_said_a_sentence_says_why(trials: list[TrialRecord]) -> None:
    few = importances(trials[: LEAST - 1], ERROR)[0]
    assert few.missing == "19 complete trials have genes and error; 20 are needed"
    assert importances([], ERROR)[0].missing.startswith("0 complete trials")
    many = [replace(each, genes={**(each.genes or {}), **{f"g{n}": n for n in range(20)}}) for each in trials[:LEAST]]
    assert importances(many, ERROR)[0].caution == "few trials for 25 genes"
    assert importances(trials, ERROR)[0].caution == ""
    constant = [replace(each, values={"error": 0.5}) for each in trials]
    assert importances(constant, ERROR)[0].missing == "error is the same in all 120 complete trials"
    same = [replace(each, genes={"fixed": 7}) for each in trials]
    assert importances(same, ERROR)[0].missing == "no gene has to do with error"
    assert importances(same, ERROR, "fanova")[0].shares == {}


def test_an_unknown_method_is_told_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match="ped-anova or fanova is allowed; did you mean 'fanova'"):
        method_named("fanov")
