"""A study of the ledger as one of Optuna's own storage, for Optuna's tools (its dashboard, plots, importances).

What Optuna has a place for goes there: objectives, genes as parameters, violations as constraints, errors as
intermediate values. The rest stands in user attributes. States, which Optuna has fewer of than the ledger has outcomes:

- complete: COMPLETE, with the values of all objectives.
- stopped at a rung, screened or known already: PRUNED. Optuna never ranks the values of those with complete ones.
- diverged, out of memory or time, worker lost, broken: FAIL.
- running or interrupted: RUNNING.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from nas.samplers.distributions import distribution_of
from nas.study import Study
from results.outcome import Measurement, Outcome, TrialRecord
from search_spaces.errors import RequestError, RunFailed

optuna.logging.set_verbosity(optuna.logging.ERROR)  # its log says again what the command says

_PRUNED = (Outcome.STOPPED, Outcome.SCREENED, Outcome.DUPLICATE)


@dataclass(frozen=True)
class Written:
    """What was written: the study's name there, and how many trials by Optuna's states."""

    name: str
    states: dict[str, int]


def write_to_optuna(
    study: Study, url: str, name: str | None = None, *, progress: Callable[[int, int], None] = lambda done, of: None
) -> Written:
    """Write a study into the database of a URL as SQLAlchemy has it, such as ``sqlite:///optuna.db``.

    ``name``: that of the study there, its own by default. Tables are made where there are none; nothing else in the
    database is touched. A study of the name there, and genes that the space has no place for any more, are a
    RequestError. Where anything goes wrong on the way, nothing of the study is left there.
    """
    name = name or study.name
    distributions = _distributions(study)
    trials = [_trial(study, trial, distributions) for trial in sorted(study.trials, key=lambda trial: trial.number)]
    try:
        storage = _storage(url)
        try:
            directions = list(study.record.objectives.values())
            there = optuna.create_study(storage=storage, study_name=name, directions=directions)
        except optuna.exceptions.DuplicatedStudyError:
            raise RequestError(
                f"there is a study {name!r} in that database already: delete it there ('optuna delete-study'), or name "
                "another with --as"
            ) from None
        try:
            _fill(there, study, trials, progress)
        except BaseException:
            optuna.delete_study(study_name=name, storage=storage)
            raise
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (sa.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise RunFailed(f"study {name!r} could not be written to that database: {_said(error)}") from error
    return Written(name, dict(Counter(trial.state.name for trial in trials)))


def _fill(
    there: optuna.Study, study: Study, trials: Sequence[FrozenTrial], progress: Callable[[int, int], None]
) -> None:
    with warnings.catch_warnings():  # Optuna may change this call; its release is pinned
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        there.set_metric_names(list(study.record.objectives))
    for key, value in _study_attributes(study).items():
        there.set_user_attr(key, value)
    for done, trial in enumerate(trials, 1):
        there.add_trial(trial)
        progress(done, len(trials))


def _storage(url: str) -> RDBStorage:
    """Optuna's storage at a URL; RequestError where there can be none. Its words may hold a password: not repeated."""
    try:
        place = sa.make_url(url)
        if place.drivername in ("postgresql", "postgres"):  # the driver that this project has
            place = place.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(place)
    except sa.exc.ArgumentError:
        raise RequestError(
            "the URL cannot be read: sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE is allowed"
        ) from None
    except ImportError as error:
        raise RequestError(f"the package {error.name} is missing for that URL: pip install {error.name}") from None
    try:
        if sa.inspect(engine).has_table("inception_nas_ledger"):
            raise RequestError("that database is a ledger of this program: choose another one for Optuna")
    except sa.exc.OperationalError as error:
        raise RequestError(f"that database cannot be opened: {_said(error)}") from None
    finally:
        engine.dispose()
    return RDBStorage(place.render_as_string(hide_password=False))


def _said(error: Exception) -> str:
    """What a database said, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error.__cause__ or error).split())[:200]


def _distributions(study: Study) -> dict[str, BaseDistribution]:
    """The parameters of a study; RequestError where its trials have genes that its space has not."""
    genes = {gene.name: gene for gene in study.space().genes}
    for trial in study.trials:
        for name, value in (trial.genes or {}).items():
            gene = genes.get(name)
            if gene is None or not (gene.is_width or value in gene.choices):
                raise RequestError(
                    f"trial {trial.number} has the gene {name} = {value!r}, which the space "
                    f"{study.record.search['space']!r} no longer allows: restore its file as it was for this study"
                )
    return {name: distribution_of(gene) for name, gene in genes.items()}


def _study_attributes(study: Study) -> dict[str, Any]:
    record = study.record
    return {
        "search": record.search,
        "versions": record.versions,
        "state": record.state,
        "created_at": record.created_at,
        "fidelities": list(record.fidelities),
    }


def _trial(study: Study, trial: TrialRecord, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    state, genes = _state(trial.outcome), trial.genes or {}  # a seed outside of the space has none
    began = _local(trial.started_at)
    found = FrozenTrial(
        number=trial.number,
        trial_id=-1,
        state=state,
        value=None,
        values=[trial.values[name] for name in study.record.objectives] if state is TrialState.COMPLETE else None,
        datetime_start=began,
        datetime_complete=_local(trial.finished_at or trial.started_at) if state.is_finished() else None,
        params=dict(genes),
        distributions={name: distributions[name] for name in genes},
        user_attrs=_attributes(study, trial),
        system_attrs={},
        intermediate_values={m.epoch: m.values["error"] for m in _last_training(trial) if "error" in m.values},
    )
    for name, size in trial.violations.items():
        found.set_constraint(name, size)
    return found


def _state(outcome: Outcome) -> TrialState:
    if outcome is Outcome.COMPLETE:
        return TrialState.COMPLETE
    if outcome in _PRUNED:
        return TrialState.PRUNED
    return TrialState.FAIL if outcome.final else TrialState.RUNNING


def _attributes(study: Study, trial: TrialRecord) -> dict[str, Any]:
    """What Optuna has no place for. ``arch`` names the architecture for the commands of this program."""
    found = {
        "arch": f"{study.name}:{trial.number}",
        "outcome": trial.outcome.value,
        "reason": trial.reason,
        "origin": trial.origin,
        "seed": trial.seed,
        "digest": trial.digest,
        "costs": trial.costs,
        "seconds": trial.seconds,
        "reused": trial.reused,
        "artifact": trial.artifact,
        "measurements": [[m.rung, m.epoch, m.values] for m in trial.measurements],
    }
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _last_training(trial: TrialRecord) -> list[Measurement]:
    """The epochs of a trial's last training: those of one before it, at a cheaper rung, cannot stand in its curve."""
    found: list[Measurement] = []
    for measurement in trial.measurements:
        if found and measurement.epoch <= found[-1].epoch:  # it was trained anew
            found = []
        if measurement.epoch > 0:
            found.append(measurement)
    return found


def _local(moment: str) -> datetime:
    """A moment of the ledger as Optuna keeps them: local time without its zone."""
    return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None)
