"""The errors that a user can cause: each is one sentence that says what was found, what is allowed and what to do."""

import difflib
from collections.abc import Iterable

CLOSE = 0.75  # of difflib's ratio: two letters of four exchanged come to that, 'stage' for 'share' to 0.6
STEM = 4  # letters that make a beginning


class RequestError(ValueError):
    """The request was wrong: the command line answers with the sentence alone and exit status 2.

    ``at``: the entry of a file that is wrong, where one is: who read the file adds its name and the line.
    """

    def __init__(self, sentence: str = "", at: tuple[str | int, ...] = ()) -> None:
        super().__init__(sentence)
        self.at = at


class NotWritten(RequestError):
    """Files cannot be written where they belong: the disk is full or read only, or a storage does not answer."""


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


class ExportFailed(RunFailed):
    """An exported file cannot be used, or does not compute what its network computes."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest allowed word, or an empty text where nothing is close.

    Close is a typing error or two (``cots`` for ``cost``), or one word that begins as the other (``batch_size``). Of
    words that are equally close it is the first in the order in which they are given.
    """
    words = list(allowed)
    found = difflib.get_close_matches(word, words, n=max(1, len(words)), cutoff=CLOSE)
    # Of equals difflib has the last one of the alphabet first.
    close = sorted(found, key=lambda each: (-difflib.SequenceMatcher(a=each, b=word).ratio(), words.index(each)))
    if not close and len(word) >= STEM:
        close = [each for each in words if each.startswith(word) or (len(each) >= STEM and word.startswith(each))]
    return f"; did you mean {close[0]!r}?" if close else ""
