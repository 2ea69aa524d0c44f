"""What ended a training that several processes share, as data: told in its folder, so that all of them end by it."""

import json
import logging
import socket
import time
import traceback as tracebacks
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from search_spaces.errors import NotWritten, RequestError, RunFailed, TrainingFailed
from search_spaces.files import write_files

FAILURE = "failure.json"
_POLL_SECONDS = 0.1

logger = logging.getLogger("nas.trainers")


@dataclass(frozen=True)
class Failure:
    """Why a process failed: its ``request`` was wrong, the training ``failed``, or a mistake in the code ``broke`` it.

    ``rank`` and ``host``: which process it was; ``traceback``: of one that broke.
    """

    kind: Literal["request", "failed", "broke"]
    sentence: str
    rank: int = 0
    host: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: Exception, rank: int = 0) -> "Failure":
        """Return what an error says."""
        host = socket.gethostname()
        if isinstance(error, NotWritten):  # what was asked for was right: the disk is full, say
            return cls("failed", f"{error}; the same command goes on", rank, host)
        if isinstance(error, RequestError):
            return cls("request", str(error), rank, host)
        if isinstance(error, RunFailed):
            return cls("failed", str(error), rank, host)
        if isinstance(error, OSError):
            return cls("failed", f"the system refused: {error}; mend that, and the same command goes on", rank, host)
        said = next(iter(str(error).strip().splitlines()), "")[:200]
        sentence = (
            f"process {rank} of the training broke ({type(error).__name__}: {said}): the traceback is in {FAILURE} in "
            "the training's folder"
        )
        return cls("broke", sentence, rank, host, "".join(tracebacks.format_exception(error)))

    @property
    def error(self) -> RequestError | TrainingFailed:
        """The error that tells it."""
        return RequestError(self.sentence) if self.kind == "request" else TrainingFailed(self.sentence)

    @property
    def status(self) -> int:
        """The exit status that goes with it."""
        return 2 if self.kind == "request" else 1


@dataclass(frozen=True)
class Notice:
    """The file in a training's folder in which its processes tell what failed.

    ``attempt``: a word that no other start of the training has, so that what an earlier one left is not taken for this
    one's.
    """

    folder: Path
    attempt: str

    @property
    def _path(self) -> Path:
        return self.folder / FAILURE

    def found(self) -> Failure | None:
        """Return what failed in this attempt, if anything has."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return Failure(**data["failure"]) if data["attempt"] == self.attempt else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not there, or nothing of ours

    def awaited(self, seconds: float) -> Failure | None:
        """Return what failed once it is told; None where nothing is within so many seconds."""
        deadline = time.monotonic() + seconds
        while (found := self.found()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return found

    def tell(self, failure: Failure) -> Failure:
        """Write a failure, whole or not at all, unless another was first; return the one that stands."""
        if (first := self.found()) is not None:
            return first
        content = {"attempt": self.attempt, "failure": asdict(failure)}
        try:
            write_files(self.folder, {FAILURE: json.dumps(content, indent=1).encode()})
        except RequestError as error:  # the disk is full, say: what failed counts more
            logger.warning("the other processes are not told that this one failed: %s", error)
        return failure

    def clear(self) -> None:
        """Remove what an earlier attempt told."""
        if self.found() is None:
            self._path.unlink(missing_ok=True)
