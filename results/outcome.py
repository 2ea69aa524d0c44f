"""What is known of a study and its trials: outcomes and records as frozen data, and what may stand in them.

No database here: whoever only reads records need not import one.
"""

from __future__ import annotations

import enum
import hashlib
import json
import math
import numbers
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from search_spaces.errors import RequestError

_MOST_TOLD = 100_000  # characters: a program that goes wrong can say a lot

Direction = Literal["minimize", "maximize"]
StudyState = Literal["running", "stopped", "complete"]
Origin = Literal["seed", "sampler", "random"]  # random: the random arm's, uniform points that teach no sampler


class Outcome(enum.StrEnum):
    """How a trial stands. Every outcome but `RUNNING` is final: only a `STOPPED` trial can be resumed."""

    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    SCREENED = "screened"
    DUPLICATE = "duplicate"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out-of-memory"
    LOST_WORKER = "lost-worker"
    TIMED_OUT = "timed-out"
    BROKEN = "broken"

    @property
    def sentence(self) -> str:
        """One sentence for the user that says what this outcome means."""
        return _SENTENCES[self]

    def called(self, driver: str | None) -> str:
        """What people are told; ``driver``: who searches the study at this moment. Without one no trial is running."""
        return "interrupted" if self is Outcome.RUNNING and driver is None else self.value

    def meaning(self, driver: str | None) -> str:
        """The sentence that goes with `called`."""
        return self.sentence if self.called(driver) == self.value else _INTERRUPTED

    @property
    def final(self) -> bool:
        """Whether the trial has ended; a running or interrupted trial has not."""
        return self is not Outcome.RUNNING

    @property
    def trained(self) -> bool:
        """Whether the trial used up a part of the budget, with whatever result."""
        return self in _TRAINED

    @property
    def failed(self) -> bool:
        """Whether the trial used up a part of the budget and came to no result."""
        return self.trained and self not in (Outcome.COMPLETE, Outcome.STOPPED)

    @property
    def set_aside(self) -> bool:
        """Whether the trial cost no training: it was screened, or known already."""
        return self in (Outcome.SCREENED, Outcome.DUPLICATE)


_TRAINED = frozenset(
    (
        Outcome.COMPLETE,
        Outcome.STOPPED,
        Outcome.DIVERGED,
        Outcome.OUT_OF_MEMORY,
        Outcome.LOST_WORKER,
        Outcome.TIMED_OUT,
    )
)
_INTERRUPTED = "The search ended meanwhile; 'nas search' goes on with the trial."
_SENTENCES = {
    Outcome.RUNNING: "The trial is training, or was interrupted and goes on from its checkpoint.",
    Outcome.COMPLETE: "The trial was trained to its end and all of its objectives were measured.",
    Outcome.STOPPED: "The trial was trained to the end of a rung and is not, or not yet, among those that go on.",
    Outcome.SCREENED: "The architecture breaks a limit or principle, or 'screen' chose others, so it was not trained.",
    Outcome.DUPLICATE: "The study had trained the same architecture, or found it beyond a limit: nothing was trained.",
    Outcome.DIVERGED: "The loss or a measured value stopped being a finite number, so the training was ended.",
    Outcome.OUT_OF_MEMORY: "The training needed more memory than its device had.",
    Outcome.LOST_WORKER: "The worker was lost during the training, as often as it was tried: the machine ended it.",
    Outcome.TIMED_OUT: "The training took longer than a trial may, so it was ended.",
    Outcome.BROKEN: "The trial ended with an error in the program; the traceback is kept with the trial.",
}


def origin_called(origin: str) -> str:
    """What people are told of who proposed a trial."""
    return "random arm" if origin == "random" else origin


def state_called(state: str, driver: str | None) -> str:
    """What people are told of a study's state; ``driver``: who searches it at this moment."""
    if driver is not None:
        return f"running ({driver})"
    return "interrupted" if state == "running" else state


class LedgerError(RequestError):
    """The ledger cannot do what was asked; the message is one sentence for the user. Nothing was recorded."""


class NoLedger(LedgerError):
    """There is no ledger at a place yet, and nothing else either."""


class StudyMismatch(LedgerError):
    """A study of this name exists and was started with a different search file, or on different data."""


def now() -> str:
    """This moment as the records write it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Measurement:
    """What was measured after one epoch at one rung; values of different rungs are never compared.

    Attributes:
        rung: index of the fidelity, from 0.
        epoch: epochs of training behind the measurement, counted over the whole trial; 0: taken before any.
        values: measured quantity -> finite number.
        seconds: training time of the trial so far, from a monotonic clock.
        order: place among all that was recorded of the study; 0 where that was not kept.
    """

    rung: int
    epoch: int
    values: dict[str, float]
    seconds: float
    order: int = 0


@dataclass(frozen=True)
class StudyRecord:
    """One study as the ledger holds it.

    Attributes:
        name: unique in its ledger.
        created_at: ISO 8601, UTC.
        search: the resolved search file as plain JSON data.
        search_digest: sha256 (hex) of the canonical JSON of `search`.
        objectives: name -> direction, in the order in which they are shown.
        state: running, stopped or complete.
        versions: package -> version at the time of creation; beside them ``hardware``, in words, and ``python``.
        data_digest: identity of the data the study trains on, or None where it is not known.
        fidelities: per rung, sha256 (hex) of all that two trainings must share to come to the same values; () where
            that is not known.
    """

    name: str
    created_at: str
    search: dict[str, Any]
    search_digest: str
    objectives: dict[str, Direction]
    state: StudyState
    versions: dict[str, str]
    data_digest: str | None = None
    fidelities: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial as the ledger holds it; fields are given by name.

    Attributes:
        study: name of the study.
        number: place in the study, from 0.
        digest: identity of the architecture's graph.
        seed: name of the published architecture, or None for one that a sampler proposed.
        origin: who proposed it.
        architecture: plain data of the architecture.
        genes: the sampler's point, or None for an architecture that was not decoded from genes.
        costs: params, macs and the like, of the target setting.
        outcome: how the trial stands.
        reason: why it ended as it did; "" if there is nothing to say.
        violations: broken constraint -> size of the violation (0 or less: kept).
        values: final value per objective; {} unless the outcome is `COMPLETE`.
        measurements: by rung, then epoch.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC, or None while the trial runs.
        seconds: seconds of training from monotonic clocks, or None where nothing was trained.
        artifact: the weights' path relative to the runs folder, or None.
        traceback: of a broken trial, or None.
        reused: "STUDY:NUMBER" whose training these values are, or None for a trial that was trained itself.
        order: place among all that was recorded of the study; 0 where that was not kept.
        unreadable: fields of the ledger's row that are damaged, without which it is not known how good the trial is.
    """

    study: str
    number: int
    digest: str
    origin: Origin
    architecture: dict[str, Any]
    costs: dict[str, int]
    outcome: Outcome = Outcome.RUNNING
    started_at: str = field(default_factory=now)
    seed: str | None = None
    genes: dict[str, float | int | str] | None = None
    reason: str = ""
    violations: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    finished_at: str | None = None
    seconds: float | None = None
    artifact: str | None = None
    traceback: str | None = None
    reused: str | None = None
    order: int = 0
    unreadable: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether all limits and principles that count are known to be kept. Of trained trials only seeds break one."""
        return not self.unreadable and all(size <= 0 for size in self.violations.values())


@dataclass(frozen=True)
class Known:
    """A trial of an architecture in a study with a certain fidelity. `rung`: the fidelity's index in that study."""

    trial: TrialRecord
    rung: int


# Rows of records: mappings stand in a row as JSON text; `results.ledger_records` reads them


def trial_columns(trial: TrialRecord) -> dict[str, object]:
    """The row of a trial that starts, without its study; LedgerError where something in it cannot be recorded."""
    what = f"trial {trial.number} of study {trial.study!r}"
    return {
        "number": trial.number,
        "digest": trial.digest,
        "seed": trial.seed,
        "origin": trial.origin,
        "architecture": to_json(trial.architecture, f"the architecture of {what}"),
        "genes": None if trial.genes is None else to_json(trial.genes, f"the genes of {what}"),
        "costs": to_json(trial.costs, f"the costs of {what}"),
        "outcome": trial.outcome.value,
        "reason": told(trial.reason),
        "violations": to_json(finite(trial.violations, f"the violations of {what}"), what),
        "values": "{}",
        "started_at": trial.started_at,
        "finished_at": trial.started_at if trial.outcome.final else None,
        "reused": trial.reused,
        "order": trial.order,
    }


def measurement_columns(measurement: Measurement, what: str) -> dict[str, Any]:
    """The row of a measurement, without its trial; LedgerError (about `what`) where it cannot be recorded."""
    return {
        "rung": measurement.rung,
        "epoch": measurement.epoch,
        "values": to_json(finite(measurement.values, what), what),
        "seconds": finite({"seconds": measurement.seconds}, what)["seconds"],
        "order": measurement.order,
    }


# What may stand in a record


def to_json(data: object, what: str) -> str:
    """`data` as JSON text, keys in their order; LedgerError (about `what`) where it is not plain or not finite.

    Numbers of numpy and the like become plain ones.
    """
    try:
        return json.dumps(data, allow_nan=False, default=_plain_number)
    except (TypeError, ValueError) as error:
        raise LedgerError(f"{what} cannot be recorded: {error}; give plain data with finite numbers") from error


def _plain_number(value: object) -> int | float:
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{value!r} is no text, number, list or mapping")


def json_digest(text: str) -> str:
    """sha256 (hex) of the canonical form of a JSON text: sorted keys, no spaces. The order of keys does not count."""
    return hashlib.sha256(_canonical(json.loads(text)).encode()).hexdigest()


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def finite(values: Mapping[str, float], what: str) -> dict[str, float]:
    """`values` as plain floats, sorted by name; LedgerError (about `what`) if one is NaN or infinite."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise LedgerError(
                f"{what}: {name} is {value}, but only finite numbers are recorded; finish the trial as diverged"
            )
    return {name: float(values[name]) for name in sorted(values)}


def storable(text: str) -> str:
    r"""`text` with what databases do not take (NUL, parts of undecodable file names) written as escapes (\x00)."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def told(text: str) -> str:
    """`text` of a reason or a traceback, storable; of one that is very long, its beginning and its end."""
    left_out = len(text) - _MOST_TOLD
    if left_out > 0:
        half = _MOST_TOLD // 2
        text = f"{text[:half]}\n[{left_out:,} characters left out]\n{text[-half:]}"
    return storable(text)


def check_objectives(study: str, objectives: Mapping[str, Direction]) -> None:
    """LedgerError unless the study has a name and each of its objectives, at least one, a direction."""
    if not study:
        raise LedgerError("a study needs a name, and this one is empty: name it in the search file")
    if not objectives:
        raise LedgerError(f"study {study!r} has no objective: name at least one quantity to minimize or maximize")
    for name, direction in objectives.items():
        if direction not in get_args(Direction):
            allowed = " or ".join(get_args(Direction))
            raise LedgerError(f"objective {name!r} of study {study!r} has direction {direction!r}: make it {allowed}")


def check_start(trial: TrialRecord) -> None:
    """LedgerError unless the record is one of a trial that starts now, or that is never trained."""
    what = f"trial {trial.number} of study {trial.study!r}"
    if trial.outcome not in (Outcome.RUNNING, Outcome.SCREENED, Outcome.DUPLICATE):
        raise LedgerError(f"{what} cannot start as {trial.outcome}: start it as running, then finish it")
    if trial.number < 0:
        raise LedgerError(f"{what} has a negative number: trials are numbered from 0")
    if trial.values or trial.measurements or trial.reused:
        raise LedgerError(f"{what} starts with results: record them with `record_measurement` and `finish_trial`")


def check_end(what: str, outcome: Outcome, values: Mapping[str, float], objectives: Collection[str]) -> None:
    """LedgerError unless a trial may end so: COMPLETE with every objective's value, otherwise without values."""
    if not outcome.final:
        raise LedgerError(f"{what} cannot be finished as running: a trial that goes on later stays as it is")
    if outcome is not Outcome.COMPLETE and values:
        raise LedgerError(f"{what} ended as {outcome} and has final values: only a complete trial has them")
    missing = [name for name in objectives if name not in values]
    if outcome is Outcome.COMPLETE and missing:
        raise LedgerError(f"{what} is complete without a value of {missing[0]!r}: give every objective of the study")


def check_same_study(
    known: StudyRecord,
    search: Mapping[str, Any],
    objectives: Mapping[str, Direction],
    data_digest: str | None,
    may_differ: Collection[str],
) -> None:
    """StudyMismatch at the first key (dotted) that differs from the known study and is not in `may_differ`."""
    found = [*differences(known.search, search), *differences(known.objectives, objectives, "objectives")]
    if known.data_digest is not None and data_digest is not None:
        found += differences(known.data_digest, data_digest, "data_digest")
    for key, before, after in found:
        if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in may_differ):
            raise StudyMismatch(
                f"study {known.name!r} was started with {key} {shown(before)}, and now {key} is {shown(after)}: "
                f"choose another study name, or restore {key}"
            )


_ABSENT = object()


def differences(old: object, new: object, key: str = "") -> Iterator[tuple[str, object, object]]:
    """Each dotted key whose values differ, in the order of the old data; an absent mapping counts as an empty one."""
    mappings = [side for side in (old, new) if isinstance(side, dict)]
    if mappings and all(isinstance(side, dict) or side is _ABSENT for side in (old, new)):
        before, after = (side if isinstance(side, dict) else {} for side in (old, new))
        for name in dict.fromkeys([*before, *after]):
            inner = f"{key}.{name}" if key else str(name)
            yield from differences(before.get(name, _ABSENT), after.get(name, _ABSENT), inner)
    elif old is _ABSENT or new is _ABSENT or _canonical(old) != _canonical(new):
        yield key, old, new


def shown(value: object) -> str:
    """Return a value of a file as sentences quote it."""
    if value is _ABSENT:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
