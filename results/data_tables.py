"""The statistics of a study as data tables: errors are fractions, costs those of the target, times seconds."""

from collections.abc import Mapping, Sequence

from results.agreement import Agreement
from results.control import ARMS, Control
from results.data_table import Cell, DataTable
from results.distributions import Distributions
from results.growth import Growth
from results.importance import Importance
from results.knees import Knee
from results.outcome import Outcome, TrialRecord
from results.pareto import Front
from results.prices import Prices
from results.rung_values import costs_of, values_at


def of_front(front: Front) -> DataTable:
    """The members, best first: trial, who it is, objectives, then those costs that are none."""
    costs = _costs(front.members, front.objectives)
    rows = [(t.number, t.seed, t.digest, *_values(t, front.objectives, costs)) for t in front.members]
    return DataTable("front", ("number", "seed", "digest", *front.objectives, *costs), tuple(rows))


def of_knees(knees: Sequence[Knee], objectives: Sequence[str]) -> DataTable:
    """The knees, the one with the largest bulge first."""
    rows = [(k.trial.number, k.trial.seed, k.bulge, *_values(k.trial, objectives, ())) for k in knees]
    return DataTable("knees", ("number", "seed", "bulge", *objectives), tuple(rows))


def of_trials(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    *,
    rung: int | None = None,
    epochs: Sequence[int | None] = (),
) -> DataTable:
    """All trials by number, with the genes' columns last.

    Objectives are final values. With a ``rung`` they are those at its end, after a column that names it; where a trial
    has not come there, both are empty, but for objectives that are costs, which are of no rung.
    ``epochs``: the last one of each rung (`results.rung_values`).
    """
    costs = _costs(trials, objectives)
    genes = sorted({gene for trial in trials for gene in trial.genes or {}})
    heads = ("number", "outcome", "origin", "seed", "digest", "feasible", *(() if rung is None else ("rung",)))
    heads += (*objectives, *costs, "seconds", "started_at", "finished_at", "reused", "reason")
    rows: list[tuple[Cell, ...]] = []
    for trial in sorted(trials, key=lambda trial: trial.number):
        found = values_at(trial, rung, epochs)
        who: list[Cell] = [trial.number, trial.outcome.value, trial.origin, trial.seed, trial.digest, trial.feasible]
        who += [] if rung is None else [None if found is None else rung]
        known = costs_of(trial) if found is None else found
        values = [known.get(name) for name in objectives]
        when = (trial.seconds, trial.started_at, trial.finished_at, trial.reused, trial.reason)
        own = trial.genes or {}
        counted = (trial.costs.get(name) for name in costs)
        rows.append((*who, *values, *counted, *when, *(own.get(gene) for gene in genes)))
    return DataTable("trials", (*heads, *(f"gene {gene}" for gene in genes)), tuple(rows))


def of_growth(growth: Growth) -> DataTable:
    """The hypervolume of each arm after its first, second, ... trial, and the seconds that these were trained."""
    rows = [
        (arm, count, seconds, size)
        for arm, sizes in growth.sizes.items()
        for count, (seconds, size) in enumerate(zip(growth.seconds[arm], sizes, strict=True), 1)
    ]
    return DataTable("hypervolume", ("arm", "trials", "seconds", "hypervolume"), tuple(rows))


def of_control(found: Control | None) -> DataTable:
    """A row for each arm at equal budget, then for the difference with its interval, which the verdict rests on."""
    heads = ("what", "trials", "hypervolume", "low", "high", "all_trials", "hypervolume_of_all", "verdict")
    rows: list[tuple[Cell, ...]] = []
    if found:
        for arm, size, count, whole in zip(ARMS, (found.sampler, found.random), found.trials, found.whole, strict=True):
            rows.append((arm, found.budget, size, None, None, count, whole, ""))
        rows.append(("difference", found.budget, found.difference, *found.interval, None, None, found.verdict))
    return DataTable("control", heads, tuple(rows))


def of_distributions(found: Distributions) -> DataTable:
    """A row a trial: the share of its arm in its band that is at most as large. Seeds are marks without a share."""
    rows: list[tuple[Cell, ...]] = []
    for band in found.bands:
        for arm, values in band.arms.items():
            rows += [(band.low, band.high, arm, value, n / len(values)) for n, value in enumerate(values, 1)]
        rows += [(band.low, band.high, mark.name, mark.value, None) for mark in band.seeds]
    return DataTable("distributions", ("macs_from", "macs_to", "arm", found.objective, "share"), tuple(rows))


def of_importances(found: Sequence[Importance]) -> DataTable:
    """A row for each gene and what it matters for; where nothing can be said, a row that says why."""
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        rows += [(each.of, each.method, each.trials, gene, share, "") for gene, share in each.shares.items()]
        rows += [(each.of, each.method, each.trials, None, None, each.missing)] if each.missing else []
    return DataTable("importance", ("of", "method", "trials", "gene", "share", "missing"), tuple(rows))


def of_prices(found: Prices) -> DataTable:
    """The steps from the cheapest to the best."""
    price = f"macs_per_{found.unit.replace(' ', '_')}"
    rows = [(step.number, step.value, step.macs, step.params, step.price) for step in found.steps]
    return DataTable("prices", ("number", found.objective, "macs", "params", price), tuple(rows))


def of_outcomes(trials: Sequence[TrialRecord]) -> DataTable:
    """How many trials of each outcome there are, and what it means."""
    counted = [(outcome, sum(trial.outcome is outcome for trial in trials)) for outcome in Outcome]
    rows = [(outcome.value, count, outcome.sentence) for outcome, count in counted]
    return DataTable("outcomes", ("outcome", "trials", "meaning"), tuple(rows))


def of_agreements(found: Sequence[Agreement]) -> DataTable:
    """Kendall's tau of each rung, and of params and MACs, with the top rung."""
    rows = [(each.what, each.tau, *(each.interval or (None, None)), each.trials) for each in found]
    return DataTable("agreement", ("what", "tau", "low", "high", "trials"), tuple(rows))


def _costs(trials: Sequence[TrialRecord], objectives: Sequence[str] | Mapping[str, object]) -> tuple[str, ...]:
    """The costs that some trial has and that are no objectives, in the order in which they are recorded."""
    return tuple(dict.fromkeys(name for trial in trials for name in trial.costs if name not in objectives))


def _values(trial: TrialRecord, objectives: Sequence[str] | Mapping[str, object], costs: Sequence[str]) -> list[Cell]:
    own: list[Cell] = [trial.values.get(name) for name in objectives]
    return own + [trial.costs.get(name) for name in costs]
