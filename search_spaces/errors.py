"""The errors that a user can cause: each is one sentence that says what was found, what is allowed and what to do."""

import difflib
from collections.abc import Iterable


class RequestError(ValueError):
    """The request was wrong: the command line answers with the sentence alone and exit status 2.

    ``at``: the entry of a file that is wrong, where one is: who read the file adds its name and the line.
    """

    def __init__(self, sentence: str = "", at: tuple[str | int, ...] = ()) -> None:
        super().__init__(sentence)
        self.at = at


class ResolutionError(RequestError):
    """A picture is too small for an architecture, or its size does not suit it."""


class UnevenGrids(ResolutionError):
    """Towers of one module end on different grids: larger pictures, and smaller ones, may work."""


class RunFailed(RuntimeError):
    """A run began and failed: the command line answers with the sentence alone and exit status 1."""


class SearchFailed(RunFailed):
    """A search failed."""


class TrainingFailed(RunFailed):
    """A full training failed."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest allowed word, or an empty text where nothing is close."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
