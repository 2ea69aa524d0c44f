"""One process at a time in a folder: a second one is refused with the first one's host and process."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces.errors import RequestError


@contextmanager
def sole_process(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder's lock; ``what``: that which lies in it, in words ("study 'digits' is being searched")."""
    path = folder / "driver.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"the folder {str(folder)!r} cannot be used ({error.strerror}): move what is in its place, "
            "or choose another name or --runs"
        ) from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RequestError(
                f"{what} by {lock.read().strip() or 'another process'}: wait for it, or stop it"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
