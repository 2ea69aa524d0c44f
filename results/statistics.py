"""All statistics of a study together: as one document, as data tables, and as figures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results import data_tables
from results.agreement import Agreement
from results.control import Control, compare, startup_of
from results.data_table import DataTable
from results.distribution_figure import distributions_figure
from results.distributions import Distributions, distributions
from results.figures import quality_against_cost
from results.growth import Growth, growth
from results.growth_figure import hypervolume_by_trial
from results.importance import Importance
from results.importance_figure import importances_figure
from results.knees import Knee, knees
from results.outcome import Direction, StudyRecord, TrialRecord
from results.pareto import Front, default_reference_point, front
from results.prices import Prices, prices
from search_spaces.errors import RequestError, nearest


@dataclass(frozen=True)
class Statistics:
    """What is known of a study; each part says in its own file what it is made of.

    ``trials``: all of the study, by number. ``control``: None without a random arm. ``importances`` and
    ``agreements``: () where nobody computed them.
    """

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    front: Front
    growth: Growth
    control: Control | None
    knees: tuple[Knee, ...]
    prices: Prices
    distributions: Distributions
    importances: tuple[Importance, ...]
    agreements: tuple[Agreement, ...]

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        outcomes = {row[0]: row[1] for row in data_tables.of_outcomes(self.trials).rows}
        return {
            "study": self.study.name,
            "objectives": self.study.objectives,
            "outcomes": outcomes,
            "reference_point": self.growth.reference_point,
            "hypervolume": self.front.hypervolume,
            "hypervolume_by_trial": {arm: list(sizes) for arm, sizes in self.growth.sizes.items()},
            "seconds_by_trial": {arm: list(seconds) for arm, seconds in self.growth.seconds.items()},
            "control": self.control.as_data() if self.control else None,
            "front": [trial.number for trial in self.front.members],
            "knees": [knee.as_data() for knee in self.knees],
            "prices": self.prices.as_data(),
            "importances": [each.as_data() for each in self.importances],
            "distributions": self.distributions.as_data(),
            "agreements": [each.as_data() for each in self.agreements],
        }

    def tables(self) -> list[DataTable]:
        """Return every part as a data table, and the trials that they are made of."""
        names = list(self.study.objectives)
        return [
            data_tables.of_front(self.front),
            data_tables.of_growth(self.growth),
            data_tables.of_control(self.control),
            data_tables.of_knees(self.knees, names),
            data_tables.of_prices(self.prices),
            data_tables.of_importances(self.importances),
            data_tables.of_distributions(self.distributions),
            data_tables.of_agreements(self.agreements),
            data_tables.of_outcomes(self.trials),
            data_tables.of_trials(self.trials, names),
        ]

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return the figures of a table: its name -> title -> plotly's JSON; what cannot be drawn is left out."""
        found = {
            "front": {"front": quality_against_cost(self.trials, self.front)},
            "hypervolume": {"hypervolume": hypervolume_by_trial(self.growth)},
            "importance": {each.of: importances_figure(each) for each in self.importances},
            "distributions": {"distributions": distributions_figure(self.distributions)},
        }
        return {
            name: {title: figure for title, figure in figures.items() if figure is not None}
            for name, figures in found.items()
        }


def statistics(
    study: StudyRecord,
    trials: Iterable[TrialRecord],
    *,
    reference_point: Mapping[str, float] | None = None,
    importances: Sequence[Importance] = (),
    agreements: Sequence[Agreement] = (),
) -> Statistics:
    """Return the statistics of a study.

    ``reference_point``: of some or all objectives, for all hypervolumes; the others' is the default
    (``results.pareto``). One for something that is no objective, or that is not finite, is a RequestError.
    """
    trials = tuple(sorted(trials, key=lambda trial: trial.number))
    reference = _reference(trials, study.objectives, reference_point or {})
    best = front(trials, study.objectives, reference)
    return Statistics(
        study=study,
        trials=trials,
        front=best,
        growth=growth(trials, study.objectives, reference),
        control=compare(trials, study.objectives, reference, startup=startup_of(study.search)),
        knees=tuple(knees(best)),
        prices=prices(trials, study.objectives),
        distributions=distributions(trials, study.objectives),
        importances=tuple(importances),
        agreements=tuple(agreements),
    )


def _reference(
    trials: Sequence[TrialRecord], objectives: Mapping[str, Direction], given: Mapping[str, float]
) -> dict[str, float]:
    """The default with what is given in its place; {} where one objective has neither."""
    for name, value in given.items():
        if name not in objectives:
            raise RequestError(
                f"the reference point names {name!r}, which is no objective of the study: {', '.join(objectives)} "
                f"may stand in it{nearest(name, objectives)}"
            )
        if not math.isfinite(value):
            raise RequestError(f"the reference point has {value} for {name}: give a finite number")
    known = {**default_reference_point(trials, objectives), **given}
    return {name: float(known[name]) for name in objectives} if set(known) == set(objectives) else {}
