"""Which genes matter, by Optuna's evaluators: PED-ANOVA (Watanabe et al., arXiv 2304.10255) or fANOVA (Hutter, 2014).

PED-ANOVA asks how differently a gene is distributed among the best tenth of the trials and among all of them; it takes
genes that not every trial has (conditional ones; arXiv 2601.20800). fANOVA asks how much of the variance of a random
forest a gene alone explains; it looks only at genes that all trials have, and is slow: 13 s for 500 trials of 40 genes,
where PED-ANOVA takes 2 s for 10,000 (``benchmarks/front_rate.py``).

Points of a space have a value for every gene, also for one that plays no part in an architecture (the last width of a
stage of one module): the trials that have it without use make it look less important than it is where it is used.
"""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from nas.samplers.optuna_box import LONG_AGO, Told
from results.importance import Importance, Method
from results.outcome import Direction, Outcome, TrialRecord

LEAST = 20  # trials with genes, below which nothing is said
BEST = 0.1  # share of the trials that PED-ANOVA takes for the good ones,
BEST_TRIALS = 5  # or so many of few
FOREST = 500  # trials that a forest is grown of at most, evenly spread over all: 13 s for 40 genes


class _Float(FloatDistribution):
    """Hashed by itself: optuna asks for it once a trial and gene, and a hash of all that is in it takes a third of the
    time. Only distributions of one gene are ever looked up together, and a gene has one.
    """

    __hash__ = object.__hash__


class _Int(IntDistribution):
    """The same of whole numbers."""

    __hash__ = object.__hash__


class _Categorical(CategoricalDistribution):
    """The same of categories."""

    __hash__ = object.__hash__


def importances(
    trials: Iterable[TrialRecord], of: Mapping[str, Direction], method: Method = "ped-anova", *, random_seed: int = 0
) -> list[Importance]:
    """Return the importance of the genes for each of some objectives or costs, by name, with their directions.

    Only COMPLETE trials take part, whose values are those of the top rung, and of these the ones that have genes (a
    published network outside of the space has none) and a finite value: that of an objective, else that of a cost of
    the target. Those of the random arm and those that break a limit are among them. What the genes may be is read from
    the trials: a gene that is the same in all of them has no importance. Where nothing can be said, a sentence stands
    in the figures' place. fANOVA is grown of 500 trials at most, evenly spread over all. Trials whose genes are damaged
    are left out and counted; a published network may have none.
    """
    complete = sorted((t for t in trials if t.outcome is Outcome.COMPLETE), key=lambda trial: trial.number)
    readable = [trial for trial in complete if trial.genes and _readable(trial.genes)]
    damaged = len(complete) - len(readable) - sum(trial.origin == "seed" and not trial.genes for trial in complete)
    genes = _distributions(readable)
    found = [_importance(readable, genes, name, direction, method, random_seed) for name, direction in of.items()]
    return [replace(each, damaged=damaged) for each in found]


def _readable(genes: Mapping[str, object]) -> bool:
    """Whether all values are texts or finite numbers, as genes are."""
    return all(isinstance(v, str) or (isinstance(v, int | float) and math.isfinite(v)) for v in genes.values())


def _importance(
    trials: Sequence[TrialRecord],
    genes: Mapping[str, BaseDistribution],
    name: str,
    direction: Direction,
    method: Method,
    random_seed: int,
) -> Importance:
    known = [(trial, value) for trial in trials if math.isfinite(value := _value(trial, name))]
    if len(known) < LEAST:
        return Importance(
            name, method, len(known), missing=f"{len(known)} complete trials have genes and {name}; {LEAST} are needed"
        )
    if len({value for _, value in known}) == 1:
        return Importance(name, method, len(known), missing=f"{name} is the same in all {len(known)} complete trials")
    if method == "fanova" and len(known) > FOREST:
        known = [known[place * len(known) // FOREST] for place in range(FOREST)]
    left_out = _not_everywhere(known, genes) if method == "fanova" else ()
    sign = 1.0 if direction == "minimize" else -1.0
    told = Told()
    told.trials = [_frozen(place, trial, sign * value, genes) for place, (trial, value) in enumerate(known)]
    with warnings.catch_warnings():  # what they warn of (few trials of a kind) is in the sentence, or no news
        warnings.simplefilter("ignore")
        found = _evaluator(method, len(known), random_seed).evaluate(optuna.create_study(storage=told))
    total = math.fsum(found.values())
    if not total > 0:
        return Importance(name, method, len(known), left_out=left_out, missing=f"no gene has to do with {name}")
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Importance(name, method, len(known), {gene: float(share / total) for gene, share in ranked}, left_out)


def _not_everywhere(known: Sequence[tuple[TrialRecord, float]], genes: Iterable[str]) -> tuple[str, ...]:
    """The genes that some trial has not, by name."""
    return tuple(sorted(gene for gene in genes if any(gene not in (trial.genes or {}) for trial, _ in known)))


def _evaluator(method: Method, trials: int, random_seed: int) -> BaseImportanceEvaluator:
    if method == "fanova":
        return FanovaImportanceEvaluator(seed=random_seed)
    return PedAnovaImportanceEvaluator(target_quantile=max(BEST, BEST_TRIALS / trials))


def _value(trial: TrialRecord, name: str) -> float:
    """An objective's value, else a cost; NaN where neither is known."""
    return float(trial.values.get(name, trial.costs.get(name, math.nan)))


def _distributions(trials: Iterable[TrialRecord]) -> dict[str, BaseDistribution]:
    """By gene what the trials' values can have been drawn from, by their type; in the order of the names."""
    seen: dict[str, set[float | int | str]] = {}
    for trial in trials:
        for gene, value in (trial.genes or {}).items():
            seen.setdefault(gene, set()).add(value)
    return {gene: _distribution(values) for gene, values in sorted(seen.items())}


def _distribution(values: set[float | int | str]) -> BaseDistribution:
    if any(isinstance(value, str) for value in values):
        return _Categorical(sorted(values, key=str))
    numbers = [value for value in values if not isinstance(value, str)]
    if all(isinstance(value, int) for value in numbers):
        return _Int(int(min(numbers)), int(max(numbers)))
    return _Float(min(0.0, *numbers), max(1.0, *numbers))  # a position in [0, 1]


def _frozen(place: int, trial: TrialRecord, value: float, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    genes = trial.genes or {}
    return FrozenTrial(
        number=place,
        trial_id=place,
        state=TrialState.COMPLETE,
        value=value,
        datetime_start=LONG_AGO,
        datetime_complete=LONG_AGO,
        params=dict(genes),
        distributions={gene: distributions[gene] for gene in genes},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
