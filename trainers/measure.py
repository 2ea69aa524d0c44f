"""What a network takes on this device: latency, and the peak of memory of an inference and of a training step.

Take the device alone for it (trainers/device_turns.py). Networks run as they are (batch norms are not folded), in the
memory layout and number format that ``Precision`` says.
"""

import contextlib
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from trainers.cpus import usable_memory
from trainers.network import Network, build
from trainers.precision import Precision
from trainers.recipe import Recipe
from trainers.training_step import TrainingStep

SECONDS = 10.0  # for one latency, at most, but for LEAST runs
LEAST, ENOUGH = 3, 20  # runs that are timed at least, and before their agreement is believed
WITHIN = 0.01  # of the median: the half width of its 95 % interval at which timing ends
STEADY = 0.03  # between the medians of two windows of the warm-up
WINDOW = 5


@dataclass(frozen=True)
class Latency:
    """Time of one batch of ``batch`` pictures, in milliseconds: median, 10th and 90th percentile of ``runs``.

    ``within``: half the width of the median's 95 % interval, as a share of it. Above 0.01 the time ran out first.
    """

    batch: int
    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    within: float

    @property
    def pictures_per_second(self) -> float:
        """Throughput at this batch."""
        return 1000 * self.batch / self.median_ms

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"pictures_per_second": self.pictures_per_second}


# --------------------------------------------------------------------------------------------------------- the device


def device_named(name: str) -> torch.device:
    """Return a device by name: ``auto`` is the first GPU, or the CPU; RequestError for one that is not there."""
    gpus = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < gpus):
        return device
    there = ", ".join(["cpu", *(f"cuda:{index}" for index in range(gpus))])
    raise RequestError(f"there is no device {name!r} on this machine: it has {there}; name one of these, or auto")


def lasting_name(device: torch.device) -> str:
    """Return a name that all processes of this machine have for a device, whatever of it they see."""
    return f"cuda {torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else "cpu"


def spoken_name(device: torch.device) -> str:
    """Return what people call a device: a GPU's product name, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}"


def usual_threads() -> int:
    """Return how many CPU threads torch computes with."""
    return torch.get_num_threads()


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with so many CPU threads until the end of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def settle(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory_bytes(device: torch.device) -> int:
    """Return how much memory a device has: of a CPU, what this process may use of the machine's."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return usable_memory()


def smallest_gpu_bytes() -> int:
    """Return the memory of the smallest GPU that torch sees here, 0 without any."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return min((torch.cuda.get_device_properties(index).total_memory for index in range(count)), default=0)


def hold_to(device: torch.device, share: float) -> None:
    """Let this process allocate at most a share of a GPU's memory; 0 or a whole one: all of it. A CPU has no limit."""
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share if 0 < share < 1 else 1.0, device)


def peak_so_far(device: torch.device) -> tuple[int, str]:
    """Return the peak of this process in bytes, and what was counted.

    On a GPU what torch's allocator handed out since ``forget_peak``; on a CPU, whose allocator keeps no count, the
    resident memory of the whole process since its start.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), "allocated by torch"
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "resident in the process"


def forget_peak(device: torch.device) -> None:
    """Begin the count of ``peak_so_far`` anew where that is possible."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


# ------------------------------------------------------------------------------------------------------------ latency


def pictures_for(graph: Graph, batch: int, precision: Precision) -> Tensor:
    """Return random pictures, float32 (batch, C, H, W), as a network gets them."""
    generator = torch.Generator().manual_seed(0)
    return precision.layout(torch.randn(batch, *graph.input.shape, generator=generator).to(precision.device))


def latency(network: Network, batch: int, precision: Precision, *, seconds: float = SECONDS) -> Latency:
    """Time a network in inference on random pictures, after a warm-up, until the median is certain or time is up."""
    pictures = pictures_for(network.graph, batch, precision)
    network.eval()

    def run() -> None:
        with precision.context():
            network(pictures)

    with torch.inference_mode():
        return timed(run, batch, precision.device, seconds=seconds)


def timed(run: Callable[[], object], batch: int, device: torch.device, *, seconds: float = SECONDS) -> Latency:
    """Time ``run``, which works on ``batch`` pictures.

    Warms up until the medians of two windows of runs differ by less than 3 % or a third of the time is over. Then times
    runs one by one until the 95 % interval of their median is within 1 % of it, and at least 20 of them; ``seconds``
    end both, though not before 3 runs are timed.
    """
    clock = _event_ms if device.type == "cuda" else _wall_ms
    begun = time.perf_counter()
    warm: list[float] = []
    while not _steady(warm):
        warm.append(clock(run))
        if time.perf_counter() - begun > seconds / 3:
            break
    times: list[float] = []
    while len(times) < LEAST or time.perf_counter() - begun < seconds:
        times.append(clock(run))
        if len(times) >= ENOUGH and median_within(times) <= WITHIN:
            break
    deciles = statistics.quantiles(times, n=10, method="inclusive")
    return Latency(batch, statistics.median(times), deciles[0], deciles[-1], len(times), median_within(times))


def _steady(times: list[float]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    before, after = statistics.median(times[-2 * WINDOW : -WINDOW]), statistics.median(times[-WINDOW:])
    return abs(after - before) < STEADY * before


def median_within(times: list[float]) -> float:
    """Return half the width of the 95 % interval of the median, as a share of it: by ranks, whatever the spread is."""
    ranked, count = sorted(times), len(times)
    reach = 0.98 * math.sqrt(count)
    low, high = max(0, math.floor(count / 2 - reach)), min(count - 1, math.ceil(count / 2 + reach))
    return (ranked[high] - ranked[low]) / 2 / statistics.median(ranked)


def _wall_ms(run: Callable[[], object]) -> float:
    begun = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - begun) / 1e6


def _event_ms(run: Callable[[], object]) -> float:
    """By the GPU's own clock, from an idle device to an idle device: the launches count."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end))


# ------------------------------------------------------------------------------------------------------------- memory


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Return the most memory that ``work`` had at once of a device, above what was there before.

    On a GPU by the count of torch's allocator. On a CPU by the events that its allocator gives torch's profiler, which
    hold every tensor and oneDNN's workspace, to the byte and the same in every run: its older recording, in order of
    the calls, since the newer one (Kineto) goes by clocks and lost events in some runs. The resident memory of a fresh
    process says something else: for five trainings whose peaks were 12, 64, 299, 459 and 2,080 MB it grew by 124, 181,
    455, 609 and 2,330 MB, kernels compiled on the way and pages that the C library kept included.
    """
    gc.collect()  # what goes while it works would be counted as memory that it gave back
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    begin, end = _recorder()
    begin()
    try:
        work()
    finally:
        recorded = end()
    now = peak = 0
    for events in recorded:  # by thread; the backward pass of a CPU runs in the caller's
        for event in events:
            if str(event.kind()) == "memory_alloc":  # torch's stub says that it is a number
                now += event.cpu_memory_usage()
                peak = max(peak, now)
    return peak


def _recorder() -> tuple[Callable[[], None], Callable[[], list[list[Any]]]]:
    """Return what begins and what ends torch's recording of its CPU allocator, of which it has no public name."""
    try:
        from torch._C._autograd import _disable_profiler_legacy, _enable_profiler_legacy
        from torch._C._profiler import ProfilerConfig, ProfilerState, _ExperimentalConfig

        memory = ProfilerConfig(ProfilerState.CPU, False, True, False, False, False, _ExperimentalConfig())
    except (ImportError, AttributeError, TypeError) as error:
        raise RequestError(
            f"torch {torch.__version__} no longer records its memory on a CPU as torch 2.13 did ({error}): install a "
            "torch that does, or measure on a GPU"
        ) from None
    return lambda: _enable_profiler_legacy(memory), _disable_profiler_legacy


def inference(graph: Graph, batch: int, precision: Precision) -> tuple[Network, int]:
    """Build a network and run it once; return it with the peak memory of that in bytes, weights included."""
    built: list[Network] = []

    def work() -> None:
        network = build(graph, initialise=0).eval()
        precision.place(network)
        with torch.inference_mode(), precision.context():
            network(pictures_for(graph, batch, precision))
        built.append(network)

    peak = peak_bytes(work, precision.device)
    return built[0], peak


def training(graph: Graph, recipe: Recipe, device: torch.device) -> tuple[partial[Tensor], int]:
    """Set up a training and take two steps on random pictures; return the step, to be called again, and its peak.

    The peak of memory in bytes has all in it that stays between steps. Two, because the first step makes the
    optimiser's state.
    """
    made: list[partial[Tensor]] = []

    def work() -> None:
        step = TrainingStep(build(graph, initialise=0).train(), recipe, device)
        pictures = pictures_for(graph, recipe.batch_size, Precision(device))  # laid out as batches of a Feed are
        labels = torch.arange(recipe.batch_size, device=device) % graph[graph.output].shape.channels
        made.append(partial(step, pictures, labels, recipe.learning_rate))
        for _ in range(2):
            made[0]()

    peak = peak_bytes(work, device)
    return made[0], peak


def release(device: torch.device) -> None:
    """Give memory that nothing uses any more back to the device, for others that share it."""
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
