"""The table of faults: a row each, written whole after every row. One that is tried again replaces the earlier one."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

MOST_NOTES = 24


@dataclass
class Row:
    """What came of one fault. ``fault``: its number in the list of faults to survive.

    ``tried``: how often it struck; ``survived``: how often all was as it should be afterwards. ``trials_lost``: those
    whose record changed or went, and such as an undisturbed search of the same random seed has and this one has not,
    or has otherwise. ``trained_twice``: trials that were trained after their result had been written.
    ``epochs_repeated``: begun again; ``epochs_unaccounted``: of them those that were not under way when a fault struck,
    or beyond as many as there can be at once (repeats.py).
    ``processes_left``: 5 s after a driver's death. ``load``: the machine's when it was over, of one minute, on
    ``system``.
    """

    id: str
    fault: str
    what: str
    tried: int = 0
    survived: int = 0
    trials_lost: int = 0
    trained_twice: int = 0
    epochs_repeated: int = 0
    epochs_unaccounted: int = 0
    processes_left: int = 0
    seconds: float = 0.0
    load: float = 0.0
    system: str = f"{platform.system()} {platform.release()}"
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def passed(self) -> bool:
        return (
            0 < self.tried == self.survived
            and self.trials_lost == self.trained_twice == self.processes_left == 0
            and self.epochs_unaccounted == 0
        )

    def enter(self, faults: int, wrong: list[str]) -> None:
        """Enter some faults and what went wrong after them: all of them were survived, or none of them."""
        self.tried += faults
        self.survived += 0 if wrong else faults
        self.note(*wrong)

    def note(self, *notes: str) -> None:
        self.notes += [note for note in notes if note not in self.notes][: max(0, MOST_NOTES - len(self.notes))]

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 1), "passed": None if self.skipped else self.passed}

    @property
    def sentence(self) -> str:
        if self.skipped:
            return f"skipped: {self.skipped}"
        return (
            f"{self.survived} of {self.tried} survived, {self.trials_lost} trials lost, {self.trained_twice} trained "
            f"twice, {self.epochs_repeated} epochs repeated ({self.epochs_unaccounted} without a fault), "
            f"{self.processes_left} processes left, {self.seconds:.0f} s"
        )


class Table:
    """The rows so far, with the conditions under which they came about."""

    def __init__(self, random_seed: int, quick: bool) -> None:
        self.rows: list[Row] = []
        self._kept: dict[str, dict[str, Any]] = {}
        self.conditions = {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "ray", "optuna")},
            "cpus": len(os.sched_getaffinity(0)),
            "random_seed": random_seed,
            "quick": quick,
        }

    def keep(self, path: Path) -> None:
        """Keep the rows of a file that came about under the same conditions, as far as they are not tried again."""
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["conditions"] == self.conditions:
                self._kept = {row["id"]: row for row in known["rows"]}

    def write(self, path: Path) -> None:
        """Write all rows; the file is whole at every moment."""
        from search_spaces.files import write_files

        rows = self._kept | {row.id: row.as_data() for row in self.rows}
        content = {"conditions": self.conditions, "rows": list(rows.values())}
        write_files(path.absolute().parent, {path.name: (json.dumps(content, indent=2) + "\n").encode()})
