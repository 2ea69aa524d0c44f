"""What a full training tells while it runs, and whether it is asked to end. Imports no torch."""

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("nas.trainers")


class Watch:
    """This one shows nothing and lets the training run to its end: for programs and tests."""

    stopping = False  # whether the training is to end after the running epoch

    def warn(self, sentence: str) -> None:
        """Learn of something that may go wrong; this one logs it."""
        logger.warning("%s", sentence)

    def begin(self, done: int, epochs: int) -> None:
        """Learn how many of how many epochs are done."""

    def step(self, done: int, steps: int) -> None:
        """A step of the running epoch is done."""

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """An epoch is done and saved; ``metrics``: the fields of its EpochResult."""
