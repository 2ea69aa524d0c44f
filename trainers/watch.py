"""What a full training tells while it runs, and whether it is asked to end. Imports no torch."""

from collections.abc import Mapping
from typing import Any


class Watch:
    """This one shows nothing and lets the training run to its end: for programs and tests."""

    stopping = False  # whether the training is to end after the running epoch

    def begin(self, done: int, epochs: int) -> None:
        """Learn how many of how many epochs are done."""

    def step(self, done: int, steps: int) -> None:
        """A step of the running epoch is done."""

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """An epoch is done and saved; ``metrics``: the fields of its EpochResult."""
