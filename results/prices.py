"""What a percent costs: the cheapest architecture at each error, and the MACs from one to the next better one."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from results.figures import is_fraction, quality
from results.outcome import Direction, TrialRecord
from results.pareto import measured


@dataclass(frozen=True)
class Step:
    """The cheapest complete trial within all limits that is at least as good as ``value``.

    ``value``: of the objective, in its own unit (an error is a fraction). ``macs`` and ``params``: of the target;
    ``params`` is None where they are not recorded. ``price``: MACs from the step before, which is cheaper and worse,
    for each percent point by which this one is better (for each unit, where the objective is no fraction); None for the
    first step.
    """

    number: int
    value: float
    macs: int
    params: int | None
    price: float | None


@dataclass(frozen=True)
class Prices:
    """Steps from the cheapest to the best; ``objective``: what is paid for. () where no trial can be one."""

    objective: str
    steps: tuple[Step, ...]

    @property
    def unit(self) -> str:
        """What a price is for."""
        return "percent point" if is_fraction(self.objective) else "unit"

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {"objective": self.objective, "price_of": self.unit, "steps": [asdict(step) for step in self.steps]}


def prices(trials: Iterable[TrialRecord], objectives: Mapping[str, Direction]) -> Prices:
    """Return the steps of the front of MACs and the first objective that is not a cost, whatever else is an objective.

    COMPLETE trials take part that keep all limits, have a finite value and whose MACs are known. Of trials of equal
    value the cheapest counts, and of equal MACs too the one with the lowest number; of trials with equal MACs the best.
    """
    name = quality(objectives)
    sign = 1 if objectives[name] == "minimize" else -1
    able = [trial for trial in measured(trials, [name]) if trial.feasible and "macs" in trial.costs]
    scale = 100 if is_fraction(name) else 1
    steps: list[Step] = []
    for trial in sorted(able, key=lambda trial: (trial.costs["macs"], sign * trial.values[name], trial.number)):
        value, macs = trial.values[name], trial.costs["macs"]
        if steps and sign * value >= sign * steps[-1].value:
            continue
        price = (macs - steps[-1].macs) / (scale * sign * (steps[-1].value - value)) if steps else None
        steps.append(Step(trial.number, value, macs, trial.costs.get("params"), price))
    return Prices(name, tuple(steps))
