"""Searches of seconds, how an undisturbed one ends, and how far a disturbed one is from it.

Every toy is deterministic: on one CPU thread its trainings end with the same weights bit for bit, and with one worker
(or a sampler that draws at random, whatever it has learned) it proposes the same trials in the same order.
"""

import hashlib
import json
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from benchmarks.faults.processes import Driver, left_over
from benchmarks.faults.repeats import Strike, repeats, unaccounted
from benchmarks.faults.table import Row
from benchmarks.faults.warm import MODULES, Warm, start_cold
from nas.runs import Runs
from nas.study import Study
from results.outcome import LedgerError, TrialRecord

ROOT = Path(__file__).resolve().parents[2]
STUDY = "toy"
EPOCHS = 3
BASE: dict[str, Any] = {
    "study": STUDY,
    "space": "shallow.yaml",
    "data": {"source": "digits", "validation": 0.03, "test": 0.03},
    "seeds": [],
    "trials": 4,
    "sampler": {"name": "nsga2", "population": 2},
    "proxy": {"resolution": 8, "width": 0.0625, "share": 0.02},
    "recipe": {"epochs": EPOCHS, "batch_size": 32, "learning_rate": 0.2, "momentum": 0.8, "dropout": 0.0},
    "executor": "inline",
}
RAY = {"sampler": "random", "executor": {"name": "ray_tune", "workers": 2}}
# Name -> what differs from BASE. Those of Ray have two workers and find the same as the inline one of their sampler.
VARIANTS: dict[str, dict[str, Any]] = {
    "genetic": {},
    "rungs": {"rungs": [{"epochs": 1}, {"epochs": 2, "share": 0.015}], "trials": 5},
    "random": {"sampler": "random"},
    "ray": RAY,
    "ray, one worker": {"executor": {"name": "ray_tune", "workers": 1}},
    "ray, long": {**RAY, "trials": 24},
    "random, long": {"sampler": "random", "trials": 24},
    "pair": {"trials": 2},
}
LIKE = {"ray": "random", "ray, one worker": "genetic", "ray, long": "random, long"}  # what they are compared with


@dataclass(frozen=True)
class Toy:
    """A search file in a folder of its own, to be run there. ``like``: the undisturbed one that it must equal."""

    folder: Path
    variant: str
    random_seed: int
    changes: dict[str, Any] = field(default_factory=dict)
    log_at: Path | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        shipped = (ROOT / "search_spaces" / "spaces" / "inception.yaml").read_text(encoding="utf-8")
        for depth in ("[1, 5]", "[1, 8]", "[1, 4]"):
            shipped = shipped.replace(f"depth: {depth}", "depth: [1, 1]")
        # So shallow, nearly all would be screened.
        shipped = shipped.replace("balance: 1.0", "balance: 4.0").replace("share: [0.05, 0.65]", "share: [0.01, 0.95]")
        (self.folder / "shallow.yaml").write_text(shipped, encoding="utf-8")
        search = {**BASE, **VARIANTS[self.variant], "random_seed": self.random_seed, **self.changes}
        (self.folder / "search.yaml").write_text(yaml.safe_dump(search), encoding="utf-8")

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def log(self) -> Path:
        return self.log_at or self.folder / "log"

    def lines(self) -> list[dict[str, Any]]:
        """What the log has by now."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def plan(self, **faults: Any) -> dict[str, Any]:
        return {"log": str(self.log), **faults}

    def arguments(self, *settings: str) -> list[str]:
        return ["search", "search.yaml", *(word for setting in settings for word in ("--set", setting))]

    def start(self, warm: Warm, plan: dict[str, Any] | None = None, held: bool = False, **variables: str) -> Driver:
        return warm.start(self.folder, self.arguments(), plan or self.plan(), held, **variables)

    def start_cold(self, warm: Warm, plan: dict[str, Any] | None = None, *settings: str, **variables: str) -> Driver:
        return start_cold(warm.folder, self.folder, self.arguments(*settings), plan or self.plan(), **variables)

    def trials(self) -> list[TrialRecord]:
        """What is in the ledger by now."""
        if not (self.runs / "ledger.sqlite").exists():
            return []
        try:
            with Runs(self.runs).read() as ledger:
                return ledger.trials(STUDY)
        except LedgerError:  # it was not begun yet
            return []

    def finished(self) -> dict[int, Any]:
        """What is recorded of trials that ended, by number."""
        return {
            trial.number: (trial.outcome, trial.values, trial.finished_at)
            for trial in self.trials()
            if trial.outcome.final and trial.outcome != "stopped"  # such a one may go on
        }

    def found(self) -> list[dict[str, Any]]:
        """All that a search finds: trials, values after each epoch, weights."""
        return [
            {
                "number": trial.number,
                "digest": trial.digest,
                "origin": trial.origin,
                "outcome": trial.outcome.value,
                "values": trial.values,
                "measurements": [[m.rung, m.epoch, m.values] for m in trial.measurements],
                "weights": _hash(self.runs / STUDY / "trials" / str(trial.number) / "weights.safetensors"),
            }
            for trial in self.trials()
        ]

    def state(self) -> str:
        return Study.open(STUDY, self.runs).record.state

    def litter(self) -> list[str]:
        """Files that a complete study should not have: of writing, and checkpoints of complete trials."""
        trials = self.runs / STUDY / "trials"
        complete = {str(trial.number) for trial in self.trials() if trial.outcome == "complete"}
        found = [path for number in complete for path in (trials / number).glob("checkpoint/**/*") if path.is_file()]
        return [str(path.relative_to(self.runs)) for path in (*found, *self.runs.rglob(".draft-*"))]


def _hash(path: Path) -> str | None:
    """Of the tensors of a safetensors file: the order of what stands in its header is drawn at random."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    found = hashlib.sha256()
    for name, tensor in sorted(json.loads(content[8:end]).items()):
        if name != "__metadata__":
            first, last = tensor["data_offsets"]
            found.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
            found.update(content[end + first : end + last])
    return found.hexdigest()


class Bench:
    """Where rows work: a folder, warm drivers, undisturbed searches to compare with."""

    def __init__(self, folder: Path, warm: Warm, random_seed: int) -> None:
        self.folder, self.warm, self.random_seed = folder, warm, random_seed
        self._count = 0
        self._undisturbed: dict[tuple[str, int], tuple[list[dict[str, Any]], float]] = {}

    def toy(self, variant: str, random_seed: int = 0, folder: Path | None = None, **changes: Any) -> Toy:
        """Return a new one; ``random_seed``: on from the bench's. ``folder``: in which it lies, its log excepted."""
        self._count += 1
        log = None if folder is None else self.folder / f"log-{self._count}"
        return Toy(
            (folder or self.folder) / f"toy-{self._count}", variant, self.random_seed + random_seed, changes, log
        )

    def warm_up(self) -> None:
        """Let a driver say what it imports, so that all others have it already."""
        toy = self.toy("rungs")
        toy.start(self.warm, **{MODULES: str(self.warm.modules)}).wait()
        shutil.rmtree(toy.folder)
        self.warm.again()

    def undisturbed(self, variant: str, random_seed: int = 0) -> tuple[list[dict[str, Any]], float]:
        """What the same search finds when nothing happens to it, and how many seconds it takes."""
        key = LIKE.get(variant, variant), random_seed
        if key not in self._undisturbed:
            toy, since = self.toy(*key), time.monotonic()
            driver = toy.start(self.warm)
            if (status := driver.wait()) != 0:
                raise RuntimeError(f"an undisturbed search ended with {status}: {driver.output[-3000:]}")
            self._undisturbed[key] = toy.found(), time.monotonic() - since
            assert not toy.litter(), toy.litter()
            shutil.rmtree(toy.folder)
        return self._undisturbed[key]


@dataclass
class Judge:
    """Follows one search through its faults, and enters into the row what became of it.

    ``at_once``: how many epochs may be under way when a fault strikes. ``faults``: how many struck; given are those of
    which it is not told by ``struck``.
    """

    row: Row
    bench: Bench
    toy: Toy
    at_once: int = 1
    faults: int = 0
    wrong: list[str] = field(default_factory=list)
    _finished: dict[int, Any] = field(default_factory=dict)
    _strikes: list[Strike] = field(default_factory=list)

    @cached_property
    def expected(self) -> list[dict[str, Any]]:
        return self.bench.undisturbed(self.toy.variant, self.toy.random_seed - self.bench.random_seed)[0]

    def struck(self, driver: Driver | None = None, since: int | None = None) -> None:
        """A fault has struck; ``driver``: that was killed, of whose processes none may be left.

        ``since``: lines that the log had before it, where more may have come meanwhile.
        """
        self.faults += 1
        before = len(self.toy.lines()) if since is None else since
        if driver is not None and (left := left_over(driver.before)):
            self.row.processes_left += len(left)
            self.wrong.append(f"left after 5 s: {', '.join(left)}")
        self._strikes.append((before, len(self.toy.lines())))
        self.look()

    def resumed(self, where: str, killed: Driver | None = None) -> None:
        """A fault has struck ``where``: go on to the end, enter what it came to, and remove the toy."""
        self.struck(killed)
        again = self.toy.start(self.bench.warm)
        self.ended(again, again.wait())
        if self.wrong:
            self.row.note(f"({where})")
        shutil.rmtree(self.toy.folder)

    def look(self) -> None:
        """What was recorded must be there, unchanged."""
        now = self.toy.finished()
        if lost := [number for number, known in self._finished.items() if now.get(number) != known]:
            self.row.trials_lost += len(lost)
            self.wrong.append(f"recorded and gone or changed: trials {lost}")
        self._finished = now

    def ended(
        self, driver: Driver, status: int | None, expected: list[dict[str, Any]] | None = None, more: int = 0
    ) -> None:
        """The search is over: enter all that it came to. ``more``: trials that it has besides the expected ones."""
        self.look()
        if status != 0:
            self.wrong.append(f"exit status {status}: {driver.output.strip()[-300:]}")
        if self.toy.state() != "complete":
            self.wrong.append(f"the study is {self.toy.state()}")
        found, wanted = self.toy.found(), self.expected if expected is None else expected
        if differing := [trial["number"] for trial in wanted if trial not in found]:
            self.row.trials_lost += len(differing)
            outcomes = {trial["number"]: trial["outcome"] for trial in found}
            told = ", ".join(f"{number} ({outcomes.get(number, 'not there')})" for number in differing)
            self.wrong.append(f"not as in an undisturbed search: trials {told}")
        if len(found) > len(wanted) + more:
            self.wrong.append(f"{len(found)} trials instead of {len(wanted)}")
        if litter := self.toy.litter():
            self.wrong.append(f"files left: {', '.join(litter[:3])}")
        self._epochs()
        self.row.enter(self.faults, self.wrong)

    def _epochs(self) -> None:
        """Enter from the log what was trained again."""
        results: set[int] = set()
        twice: set[int] = set()
        lines = self.toy.lines()
        for line in lines:
            if line["what"] == "begin" and line["trial"] in results:
                twice.add(line["trial"])
            elif line["what"] == "result":
                results.add(line["trial"])
        repeated = repeats(lines)
        anywhere = [(0, len(lines))] * (self.faults - len(self._strikes))
        left = unaccounted(repeated, [*self._strikes, *anywhere], self.at_once)
        self.row.epochs_repeated += len(repeated)
        self.row.epochs_unaccounted += len(left)
        self.row.trained_twice += len(twice)
        if twice:
            self.wrong.append(f"trained again after their results: trials {sorted(twice)}")
        if left:
            epochs = (f"{lines[place]['epoch']} of trial {lines[place]['trial']}" for _, place in left)
            self.wrong.append(f"epochs repeated without a fault: {', '.join(epochs)}")
