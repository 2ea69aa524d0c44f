"""What people are told about a study: its front, its best architecture, and how both compare with Inception-v3."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from results.figures import COSTS, REFERENCE, is_fraction, quality, quality_against_cost, shown, thrift
from results.importance import Importance
from results.outcome import Outcome, StudyRecord, TrialRecord
from results.pareto import Front
from results.statistics import Statistics, statistics
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.seeds import seed


@dataclass(frozen=True)
class Target:
    """The setting in which costs are counted: pixels (None: each architecture's own), outputs and channels."""

    resolution: int | tuple[int, int] | None
    classes: int
    channels: int

    @staticmethod
    def of(search: Mapping[str, Any]) -> "Target":
        """Return the target of a study's search file; what the file does not name is left to the architecture."""
        named = search.get("target") or {}
        return Target(named.get("resolution"), named.get("classes") or 1000, named.get("channels") or 3)


@dataclass(frozen=True)
class StudyView:
    """A study, all of its trials by number, and what follows from them.

    ``importances``: of its genes, as whoever computed them handed them over. ``driver``: who searches the study.
    """

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    target: Target
    importances: tuple[Importance, ...] = ()
    driver: str | None = None

    @cached_property
    def statistics(self) -> Statistics | None:
        """What the trials amount to; None of a study without objectives."""
        if not self.study.objectives:
            return None
        return statistics(self.study, self.trials, importances=self.importances)

    @cached_property
    def front(self) -> Front:
        """The front of the complete trials that keep all limits."""
        return self.statistics.front if self.statistics else Front({}, (), {}, 0.0)

    @cached_property
    def shown(self) -> list[TrialRecord]:
        """What is told one by one: the members of the front, then complete published networks that are not on it."""
        members = self.front.members
        numbers = {trial.number for trial in members}
        return [*members, *(trial for trial in self.complete if trial.seed and trial.number not in numbers)]

    @cached_property
    def figure(self) -> dict[str, Any] | None:
        """The scatter; None where there is no point to draw."""
        return quality_against_cost(self.trials, self.front)

    @property
    def objective(self) -> str:
        """The objective that is drawn upwards."""
        return quality(self.study.objectives) if self.study.objectives else "error"

    @property
    def cost(self) -> str:
        """The cost that is drawn to the right."""
        return thrift(self.study.objectives)

    @cached_property
    def complete(self) -> list[TrialRecord]:
        """Complete trials with a value of that objective, within the limits or not."""
        return [t for t in self.trials if t.outcome is Outcome.COMPLETE and self.objective in t.values]

    @cached_property
    def reference(self) -> TrialRecord | None:
        """The trial of the reference seed: a complete one where there is one."""
        found = [trial for trial in self.trials if trial.seed == REFERENCE]
        return next((trial for trial in found if self.objective in trial.values), found[0] if found else None)

    @cached_property
    def reference_value(self) -> float | None:
        """What the reference seed reached, where it was measured."""
        return self.reference.values.get(self.objective) if self.reference else None

    @cached_property
    def reference_costs(self) -> Mapping[str, int | None]:
        """Costs of the reference seed: as recorded, else counted for the target."""
        if self.reference is not None and self.reference.costs:
            return self.reference.costs
        try:
            target = self.target
            counted = cost(seed(REFERENCE), target.resolution, classes=target.classes, channels=target.channels)
        except RequestError:
            return {}
        return counted.as_data()

    @cached_property
    def best(self) -> TrialRecord | None:
        """The member of the front that is best in the objective drawn upwards; of equals the first on the front."""
        if not self.front.members:
            return None
        sign = 1 if self.study.objectives[self.objective] == "minimize" else -1
        return min(self.front.members, key=lambda trial: sign * trial.values[self.objective])

    @cached_property
    def cheapest_as_good(self) -> TrialRecord | None:
        """The trial within all limits with the fewest MACs that is at least as good as the reference seed; no seed."""
        goal = self.reference_value
        if goal is None or not self.reference_costs.get("macs"):
            return None
        sign = 1 if self.study.objectives[self.objective] == "minimize" else -1
        able = [t for t in self.complete if sign * t.values[self.objective] <= sign * goal and "macs" in t.costs]
        return min((t for t in able if not t.seed and t.feasible), key=lambda trial: trial.costs["macs"], default=None)


def ratio(trial: TrialRecord, view: StudyView, name: str) -> str:
    """`0.53 x`: a cost of the trial relative to the reference seed; "" where one of them is not known."""
    own, other = trial.costs.get(name), view.reference_costs.get(name)
    return f"{own / other:.2f} x" if own is not None and other else ""


def difference(trial: TrialRecord, view: StudyView, name: str) -> str:
    """`+0.42 points`, `-3.1 ms`: an objective of the trial less that of the reference seed; "" where one is missing."""
    reference = view.reference
    if reference is None or name not in reference.values:
        return ""
    change = trial.values[name] - reference.values[name]
    if is_fraction(name):
        text = f"{100 * change:+.2f} points"
    elif name in COSTS:
        text = f"{'-' if change < 0 else '+'}{shown(name, abs(change))}"
    else:
        text = f"{change:+.4g}"
    return text.replace("-", "\u2212")


def who(trial: TrialRecord) -> str:
    """`trial 12`, or a seed's name with the number of its trial."""
    return f"{trial.seed} (trial {trial.number})" if trial.seed else f"trial {trial.number}"


def moment(iso: str | None) -> str:
    """Write `2026-11-22T03:04:05.678+00:00` as `2026-11-22 03:04 UTC`; anything else as it is."""
    if not iso or len(iso) < 16 or iso[10] != "T":
        return iso or "an unknown time"
    return f"{iso[:10]} {iso[11:16]}" + (" UTC" if iso.endswith(("+00:00", "Z")) else "")


def duration(seconds: float) -> str:
    """`12.3 s`, `48 min`, `3 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
