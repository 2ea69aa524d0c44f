"""What a deployment option costs and brings: its error and its speed beside the plain export, in one run."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from results.plain_text import count
from search_spaces.errors import RequestError

if TYPE_CHECKING:
    from torch import nn

Pictures = NDArray[np.float32]  # (N, C, H, W)
Logits = NDArray[np.float32]  # (N, classes)
Run = Callable[[Pictures], Logits]
TINY = float(np.finfo(np.float32).tiny)
WARM = 3  # runs before the clock counts
LEAST = 5  # rounds of the clock
MOST_SECONDS = 20.0  # for which rounds begin: on a busy machine each can take seconds
CLEAR = 0.25  # a first answer that leads by more, as a share of the largest logit, is rarely changed by rounding


@dataclass(frozen=True)
class Compared:
    """One option beside the plain export.

    ``latency_ms`` and ``plain_latency_ms``: medians for one picture; ``speed``: how many times as fast as the plain
    export, the median over pairs of runs that followed one another.
    ``deviation``: of each picture's logits the largest difference as a share of the plain export's largest logit; the
    largest of all pictures; infinite where a logit is no number. ``typical_deviation``: the median over the pictures.
    ``same_top1``: share of pictures whose first answers are the same. ``changed``: share of all pictures whose first
    answer is another although the plain export's is clear (``CLEAR``).
    ``error`` and ``plain_error``: shares of pictures whose first answer is wrong; None without labels.
    """

    latency_ms: float
    plain_latency_ms: float
    speed: float
    deviation: float
    typical_deviation: float
    same_top1: float
    changed: float
    error: float | None = None
    plain_error: float | None = None

    def as_data(self) -> dict[str, float | None]:
        """Return the fields by name; None for what is no number, which JSON does not have."""
        return {name: value if value is None or math.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Comparison:
    """One file beside the plain export, and under which conditions.

    ``plain``: what it is compared with, as words. ``pictures``: the name of their data, ``noise`` without; ``count``:
    how many. ``allowed``: the most that figures of ``found`` may be, by name. ``bytes`` and ``plain_bytes``: of the
    files; None where a network in torch stands for weights or source.
    """

    file: str
    plain: str
    found: Compared
    pictures: str
    count: int
    threads: int
    allowed: Mapping[str, float]
    bytes: int | None = None
    plain_bytes: int | None = None

    @property
    def sentence(self) -> str:
        """What is printed."""
        size = ""
        if self.bytes is not None and self.plain_bytes is not None:
            size = f" ({self.bytes / 1e6:.1f} MB against {self.plain_bytes / 1e6:.1f} MB)"
        found = self.found
        error = "" if found.error is None else f" (error {found.error:.2%} against {found.plain_error:.2%})"
        typical = f"typically within {found.typical_deviation:.1e}{self.limit('typical_deviation')} and always "
        return (
            f"{self.file}{size}: logits {typical * ('typical_deviation' in self.allowed)}within {found.deviation:.1e}"
            f"{self.limit('deviation')} of {self.plain} on {self.count} pictures of {self.pictures}, the same first "
            f"answer for {found.same_top1:.1%} of them, a clear one changed for {found.changed:.1%}"
            f"{self.limit('changed', '.0%')}{error}; {found.latency_ms:.3g} ms a picture against "
            f"{found.plain_latency_ms:.3g} ms (medians), turn by turn {found.speed:.2f} times as fast, on "
            f"{count(self.threads, 'thread')} of this CPU"
        )

    def limit(self, name: str, form: str = "g") -> str:
        """What is allowed of a figure, in brackets; "" where nothing is said of it."""
        return f" ({self.allowed[name]:{form}} is allowed)" if name in self.allowed else ""

    @property
    def exceeded(self) -> str:
        """Which figure is more than is allowed, by name; "" where all are within."""
        return next((name for name, most in self.allowed.items() if not getattr(self.found, name) <= most), "")

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "found": self.found.as_data()}


def compare(
    plain: Run,
    options: Mapping[str, Run],
    batches: Sequence[Pictures],
    *,
    labels: Sequence[NDArray[np.int64]] | None = None,
    repeats: int = 30,
) -> dict[str, Compared]:
    """Compare options with the plain export on pictures, and time all of them on the first picture, turn by turn.

    ``labels``: class indices of each batch. RequestError where there are no pictures, or labels do not fit them.
    """
    if not batches or not all(len(batch) for batch in batches):
        raise RequestError("a comparison needs pictures, and there are none: name data that has some")
    if labels is not None and [len(batch) for batch in batches] != [len(batch) for batch in labels]:
        raise RequestError("a comparison needs one label for each picture: give as many labels as pictures")
    if "" in options:
        raise ValueError("an option needs a name: the plain export has none")
    times = latencies({"": plain, **options}, batches[0][:1], repeats=repeats)
    expected = np.concatenate([plain(batch) for batch in batches])
    wanted = None if labels is None else np.concatenate(list(labels))
    compared = {}
    for name, run in options.items():
        found = np.concatenate([run(batch) for batch in batches])
        apart, same = deviations(found, expected), found.argmax(1) == expected.argmax(1)
        compared[name] = Compared(
            latency_ms=1e3 * median(times[name]),
            plain_latency_ms=1e3 * median(times[""]),
            speed=median(before / after for before, after in zip(times[""], times[name], strict=True)),
            deviation=float(apart.max()),
            typical_deviation=float(np.median(apart)),
            same_top1=float(np.mean(same)),
            changed=float(np.mean(~same & (leads(expected) > CLEAR))),
            error=None if wanted is None else float(np.mean(found.argmax(1) != wanted)),
            plain_error=None if wanted is None else float(np.mean(expected.argmax(1) != wanted)),
        )
    return compared


def deviation(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference of a picture's logits relative to its largest expected one, of all pictures."""
    return float(deviations(found, expected).max())


def deviations(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.float64]:
    """Return each picture's largest difference of logits relative to its largest expected one.

    All are infinite where they cannot be compared: other shapes, or what is no number or infinite.
    """
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return np.full(len(expected), math.inf)
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    difference = np.abs(found - expected).max(1)
    relative: NDArray[np.float64] = difference / np.maximum(np.abs(expected).max(1), TINY)
    return relative


def leads(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return by how much each picture's first answer leads its second, as a share of its largest logit."""
    first = np.sort(logits.astype(np.float64), axis=1)
    relative: NDArray[np.float64] = (first[:, -1] - first[:, -2]) / np.maximum(np.abs(first).max(1), TINY)
    return relative


def latencies(runs: Mapping[str, Run], picture: Pictures, *, repeats: int) -> dict[str, list[float]]:
    """Time each run on one picture (1, C, H, W), in seconds: ``repeats`` rounds in which all take a turn.

    There are fewer, but ``LEAST`` at least, where they take longer than ``MOST_SECONDS``. Every other round goes the
    other way around, so that none always runs on the caches of the same other.
    """
    for run in runs.values():
        for _ in range(WARM):
            run(picture)
    times: dict[str, list[float]] = {name: [] for name in runs}
    since = time.perf_counter()
    for repeat in range(repeats):
        if repeat >= LEAST and time.perf_counter() - since > MOST_SECONDS:
            break
        for name in list(runs)[:: -1 if repeat % 2 else 1]:
            began = time.perf_counter()
            runs[name](picture)
            times[name].append(time.perf_counter() - began)
    return times


def onnx_run(file: bytes, *, threads: int) -> Run:
    """Return what runs an ONNX file of ``to_onnx`` by onnxruntime on so many threads of this CPU.

    RequestError where the runtime has no code for an operation of the file in its number format.
    """
    from results.export.onnx_packages import need

    need("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors alone
    # Threads that wait for the next picture at full speed would take the CPU from what has its turn in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
        raise RequestError(f"onnxruntime cannot run this file on a CPU: {str(error).splitlines()[0]}") from None
    [name] = [each.name for each in session.get_inputs()]

    def run(pictures: Pictures) -> Logits:
        [logits] = session.run(None, {name: pictures})
        return np.asarray(logits, np.float32)

    return run


def torch_run(network: "nn.Module") -> Run:
    """Return what runs a torch network in evaluation mode, float32 in and out, on as many threads as torch has."""
    import torch

    def run(pictures: Pictures) -> Logits:
        with torch.inference_mode():
            logits: Logits = network(torch.from_numpy(pictures)).numpy()
        return logits

    return run
