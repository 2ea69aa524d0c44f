"""What a full training leaves in its folder: metrics as JSON lines, TensorBoard events, the best and the last weights.

Beside them lie the checkpoints that it goes on from. Checkpoints are the truth: where a training goes on, the metrics
are written anew from their history, so that an epoch that was measured and not saved does not count twice.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX import SummaryWriter

from search_spaces.files import write_files
from trainers.checkpoint import write
from trainers.fit import EpochResult, Fit

METRICS, EVENTS, BEST, LAST = "metrics.jsonl", "events", "best.safetensors", "last.safetensors"


def best_epoch(history: Sequence[EpochResult]) -> int:
    """Return the epoch, from 1, with the lowest validation error; of equals the first."""
    return min(history, key=lambda result: (result.validation_error, result.epoch)).epoch


class Journal:
    """Keeps a folder up to date, epoch by epoch; ``about``: what is written beside the weights."""

    def __init__(self, folder: Path, history: Sequence[EpochResult], about: dict[str, Any]) -> None:
        self.folder, self.about = folder, about
        write_files(folder, {METRICS: "".join(map(_line, history)).encode()})
        self.events = SummaryWriter(str(folder / EVENTS), purge_step=len(history) + 1)

    def epoch(self, fit: Fit) -> None:
        """Take in the epoch that a training has just behind it."""
        result = fit.history[-1]
        with (self.folder / METRICS).open("a", encoding="utf-8") as lines:
            lines.write(_line(result))
        for name, value in asdict(result).items():
            if name != "epoch":
                self.events.add_scalar(name, value, result.epoch)
        self.events.flush()
        if best_epoch(fit.history) == result.epoch:
            self._weights(fit, BEST)

    def end(self, fit: Fit) -> None:
        """Take in the weights that a complete training ends with."""
        self._weights(fit, LAST)

    def _weights(self, fit: Fit, name: str) -> None:
        result = fit.history[-1]
        state = {"epoch": result.epoch, "validation_error": result.validation_error}
        write(self.folder / name, fit.result.state_dict(), {**self.about, **state})

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.events.close()


def _line(result: EpochResult) -> str:
    return json.dumps(asdict(result), allow_nan=False) + "\n"
