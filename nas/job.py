"""What driver and worker say to one another: a ``Job`` of plain data, a ``Report`` an epoch, and files between them.

Files of a trial: ``checkpoint/``, and in its place at the end ``weights.safetensors`` and ``result.json``, the last
report, which a driver reads that missed it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from nas.executors.gpu_shares import larger
from results.outcome import Outcome

RESULT, WEIGHTS, CHECKPOINTS = "result.json", "weights.safetensors", "checkpoint"


@dataclass(frozen=True)
class Job:
    """One trial for a worker. ``folder``: path or URL of the trial's files; ``recipe``: the fields of a Recipe.

    ``rungs``: the fields of every Rung of the search; ``rung``: the one to begin or go on with. ``data``: what
    ``DataSource.as_data`` gave, with ``classes`` and ``channels``; ``data_digest``: that of the study, which the
    worker's data must have. ``measure``: the fields of a Wanted, or None where nothing is measured of the target.
    ``gpu_share``: of a GPU that the executor gives it, 0 for none; ``tried_again``: with a larger one after it ran out
    of memory. ``limit_s``: that it may take in all, 0 without a limit; ``token``: what tells this job from another one
    of the same trial. ``sign``: of the driver's folder (Folder.leave_sign), where workers may be on other machines.
    ``identity``: of what it trains.

    The device is the worker's: a GPU where the executor gives it one (or a share), else the CPU.
    """

    number: int
    architecture: dict[str, Any]
    rungs: Sequence[dict[str, Any]]
    data: dict[str, Any] | str
    recipe: dict[str, Any]
    random_seed: int
    folder: str
    rung: int = 0
    threads: int = 1
    classes: int = 1000
    channels: int = 3
    data_digest: str | None = None
    measure: dict[str, Any] | None = None
    gpu_share: float = 0.0
    tried_again: bool = False
    limit_s: float = 0.0
    token: str = ""
    sign: str = ""
    identity: str = ""

    @property
    def may_try_again(self) -> bool:
        """Whether there is a larger share of a GPU to go to after running out of memory, for the one time."""
        return bool(self.gpu_share) and not self.tried_again and larger(self.gpu_share) is not None


@dataclass(frozen=True)
class Report:
    """What a worker says after an epoch. ``outcome`` is running until the last one.

    ``seconds``: spent on this training so far, not on those before it at lower rungs: a worker that took the place of a
    lost one knows nothing of these.
    ``rung``: the one that is being trained for, which ends after ``epochs``; at its end the outcome is stopped, or
    complete at the last. ``values``: after this epoch. ``history``: values and seconds after every epoch of this
    training, so that a driver that missed some (it died, and another took over) records them all. ``measured``: of the
    target before training, and ``device`` the device of that; empty where nothing was to be measured.
    ``gpu_share``: that it was trained with. ``halt``: why the search has to end for now, where nothing can be written.
    """

    number: int
    epoch: int
    epochs: int
    values: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    history: tuple[tuple[dict[str, float], float], ...] = ()
    outcome: Outcome = Outcome.RUNNING
    reason: str = ""
    traceback: str | None = None
    measured: dict[str, float] = field(default_factory=dict)
    device: str = ""
    rung: int = 0
    gpu_share: float = 0.0
    halt: str = ""

    @property
    def final(self) -> bool:
        """Whether the trial is over, or stands at the end of a rung."""
        return self.outcome.final

    @property
    def ends(self) -> bool:
        """Whether the worker is done; at the end of a rung the trial may go on."""
        return self.final and self.outcome is not Outcome.STOPPED

    @property
    def lacked_memory(self) -> bool:
        """Whether it ran out of the memory of a part of a GPU, so that a larger one may do."""
        return self.outcome is Outcome.OUT_OF_MEMORY and 0 < self.gpu_share < 1

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @staticmethod
    def from_data(data: dict[str, Any]) -> "Report":
        """Read what ``as_data`` gave."""
        plain = {item.name: data[item.name] for item in fields(Report) if item.name in data}
        history = tuple((dict(values), float(seconds)) for values, seconds in data.get("history", ()))
        return Report(**{**plain, "history": history, "outcome": Outcome(data["outcome"])})


class Worker(Protocol):
    """What an executor runs: made from a job, then asked for one report after another.

    That goes on until a report is final, or past the end of a rung as long as the trial goes on to the next.
    """

    def __init__(self, job: Job) -> None:
        """Take the job; heavy work belongs into ``step``."""

    def step(self) -> Report:
        """Work for one epoch."""


def identity_of(digest: str, fidelities: Iterable[str]) -> str:
    """Return what is the same for trainings of one architecture at the same fidelities, whatever their numbers are."""
    return _sha256(" ".join((digest, *fidelities)))


def result_file(report: Report, identity: str) -> bytes:
    """Return the content of the file ``RESULT``: the report, the identity of what was trained, and a SHA-256.

    By the SHA-256 the report is known to be whole, and by the identity for that of the trial: folders can be mixed up.
    """
    content = json.dumps(report.as_data(), allow_nan=False, sort_keys=True)
    return json.dumps({"report": content, "sha256": _sha256(content), "identity": identity}).encode()


def left_behind(folder: Path, number: int, identity: str) -> Report | None:
    """Return the final report of a trial that a worker wrote and no driver has recorded, if it is whole and its own."""
    try:
        data = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if data["sha256"] != _sha256(data["report"]) or data["identity"] != identity:
            return None
        report = Report.from_data(json.loads(data["report"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or not whole: the trial goes on from its checkpoint
    return report if report.final and report.number == number else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
