"""Several processes that decode pictures (trainers/decode.py), fed and read in order."""

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainers.collection import Pixels
from trainers.cpus import usable_cpus

PROGRAM = Path(__file__).with_name("decode.py")
CHUNK = 64  # pictures of a request: large enough that nobody waits for the pipe, small enough for Ctrl-C
CHUNK_BYTES = 64 * 2**20  # of their squares, at most


class Crashed(Exception):
    """The process ended before it answered."""


class Other(Exception):
    """A picture is not of the side that all were expected to share."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """The squares of a run of pictures; ``reasons``: by place in the run, why there is none."""

    start: int
    count: int
    squares: Pixels
    reasons: dict[int, str]


def decoded(
    read: Callable[[int], bytes], count: int, side: int, *, exact: bool = False, processes: int | None = None
) -> Iterator[Decoded]:
    """Yield ``count`` pictures as squares of ``side`` pixels, in order, run by run.

    ``read`` gives the bytes of a file; it is called in threads. With ``exact`` the first picture that is not of that
    size already raises Other. However the iteration ends, no process is left.
    """
    processes = processes or usable_cpus()
    step = max(1, min(CHUNK, CHUNK_BYTES // (side * side * 3)))
    runs = deque(range(0, count, step))
    waiting: deque[Future[Decoded]] = deque()
    pool = _Pool(side, exact)
    with ThreadPoolExecutor(processes, thread_name_prefix="decoder") as threads:
        try:
            while runs or waiting:
                while runs and len(waiting) < 4 * processes:
                    start = runs.popleft()
                    waiting.append(threads.submit(pool.run, read, start, min(step, count - start)))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            pool.close()


class _Pool:
    """A process for every thread that asks for squares."""

    def __init__(self, side: int, exact: bool) -> None:
        self.side, self.exact = side, exact
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._all: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def run(self, read: Callable[[int], bytes], start: int, count: int) -> Decoded:
        contents: list[bytes] = []
        reasons: dict[int, str] = {}
        for index in range(count):
            try:
                contents.append(read(start + index))
            except OSError as error:
                contents.append(b"")
                reasons[index] = error.strerror or type(error).__name__
        try:
            squares, more = self._ask(contents)
        except Crashed:  # once more, one by one, to find the file that does it
            parts, more = [], {}
            for index, content in enumerate(contents):
                try:
                    part, why = self._ask([content])
                    parts.append(part)
                    more |= dict.fromkeys([index] if why else [], why.get(0, ""))
                except Crashed:
                    more[index] = "the decoder crashed"
            squares = np.concatenate(parts) if parts else np.empty((0, self.side, self.side, 3), np.uint8)
        return Decoded(start, count, squares, {**more, **reasons})

    def _ask(self, contents: Sequence[bytes]) -> tuple[Pixels, dict[int, str]]:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"lengths": [len(content) for content in contents]}).encode() + b"\n")
            for content in contents:
                process.stdin.write(content)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        if not line:
            self._drop(process)
            raise Crashed
        said = json.loads(line)
        if said["other"]:
            raise Other
        reasons = {int(index): why for index, why in said["reasons"].items()}
        squares = np.empty((len(contents) - len(reasons), self.side, self.side, 3), np.uint8)
        if squares.size and process.stdout.readinto(squares.data.cast("B")) != squares.nbytes:  # type: ignore[attr-defined]
            self._drop(process)
            raise Crashed
        return squares, reasons

    def _process(self) -> "subprocess.Popen[bytes]":
        process: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if process is not None and process.poll() is None:
            return process
        with self._lock:
            if self._closed:
                raise Crashed
            # -P: its own folder is no place to import from. A group of its own: Ctrl-C is for this process.
            command = [sys.executable, "-P", str(PROGRAM), str(self.side), str(int(self.exact))]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
            self._all.append(process)
        self._mine.process = process
        return process

    def _drop(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        self._mine.process = None

    def close(self) -> None:
        """End all processes, those at work too: whoever closes does not want their answers."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
        for process in self._all:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # a flush into a process that is gone
                        pipe.close()
