"""All processes of a training end by the failure of one of them, within seconds and with the same sentence.

Whoever fails tells it in the training's folder, and ends. The others wait for its share of a batch: they find the
connection closed, and in the folder why. Some backends (NCCL) never notice that a process has gone, and one that has
not ended yet keeps its connections: a thread in each process looks into the folder too, and ends by force a process
that goes on waiting.
"""

import os
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import distributed

from search_spaces.errors import NotWritten, RequestError, RunFailed
from trainers.failure import Failure, Notice
from trainers.world import Lost, World

LOOK_SECONDS = 1.0  # between two looks into the folder
GRACE_SECONDS = 10.0  # in which a process may end by itself after a failure
PATIENCE_SECONDS = 5.0  # for the folder, which may lie on another machine, once the process group is broken


@contextmanager
def one_end(folder: Path, world: World) -> Iterator[None]:
    """Tell the other processes of an error in the block, and raise in its place what another has told.

    Raises TrainingFailed or RequestError, the same in all processes; Lost where a process has gone without a word. A
    process that is alone, with nobody to tell, raises its own errors, but for those of a disk that refuses (OSError,
    NotWritten), which become TrainingFailed.
    """
    alone = world.size == 1 and not world.attempt
    notice = Notice(folder, world.attempt or world.all(secrets.token_hex(8))[0])
    with _watched(notice, world):
        try:
            world.together(notice.clear if world.leads else lambda: None)
            yield
        except (Lost, distributed.DistError) as error:  # of another process, whose own failure says more
            failure = notice.awaited(PATIENCE_SECONDS)
            if failure is None:
                raise
            raise failure.error from error
        except Exception as error:
            refused = isinstance(error, OSError | NotWritten)
            if alone and not refused:
                raise
            own = Failure.of(error, world.rank)
            failure = own if alone else notice.tell(own)
            if failure is own and not refused and isinstance(error, RequestError | RunFailed):
                raise
            raise failure.error from error


@contextmanager
def _watched(notice: Notice, world: World) -> Iterator[None]:
    """Look into the folder until the end of the block."""
    if world.size == 1:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(notice, ended), daemon=True, name="failures of others")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(notice: Notice, ended: threading.Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        if (failure := notice.found()) is None:
            continue
        if not ended.wait(GRACE_SECONDS):
            # It waits inside of torch, where no Python error reaches it. What it writes appears whole or not at all.
            print(f"nas: {failure.sentence}", file=sys.stderr, flush=True)
            os._exit(failure.status)
        return
