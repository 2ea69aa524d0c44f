"""The faults that are tried, in the order in which they are."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults import disks, driver_kills, page, ray_kills, sessions
from benchmarks.faults.table import Row
from benchmarks.faults.toy import Bench


@dataclass(frozen=True)
class Attempt:
    """A row to be: ``whole`` and ``quick`` are what its function is given as a count."""

    id: str
    fault: str
    what: str
    function: Callable[[Row, Bench, int], None]
    whole: int
    quick: int


ROWS = (
    Attempt("driver-random", "F02", "kill -9 of the driver at random moments", driver_kills.at_random, 200, 3),
    Attempt("driver-points", "F03", "kill -9 of the driver at each named point", driver_kills.at_points, 64, 3),
    Attempt("driver-calls", "F04", "kill -9 of the driver at system calls", driver_kills.at_system_calls, 30, 1),
    Attempt(
        "ray-driver", "F02, F14, F24", "kill -9 of the driver, trials with children on Ray", ray_kills.driver, 10, 1
    ),
    Attempt("ray-worker", "F01", "kill -9 of a worker in the middle of an epoch", ray_kills.worker, 30, 2),
    Attempt("ray-worker-points", "F03", "kill -9 of a worker at each named point", ray_kills.worker_points, 7, 1),
    Attempt("ray-node", "F24", "kill -9 of a node with all that runs there", ray_kills.node, 3, 1),
    Attempt("hung", "F13", "a trial that hangs in native code, all signals blocked", ray_kills.hung, 2, 1),
    Attempt("power-cut", "F05", "the power is cut: what was not synced is lost", disks.power_cut, 1, 1),
    Attempt("disk-full", "F06", "the disk is full (a small tmpfs), and then has room again", disks.full, 9, 1),
    Attempt("read-only", "F07", "the disk is read-only when a killed driver is to go on", disks.read_only, 4, 1),
    Attempt("checkpoint-cut", "F08", "the newest checkpoint is cut off", disks.cut_off, 17, 1),
    Attempt("checkpoint-bit", "F08", "a bit of the newest checkpoint is flipped", disks.flipped, 64, 1),
    Attempt("checkpoints", "F08", "both checkpoints of a trial are cut off", disks.all_damaged, 2, 1),
    Attempt("odd-values", "F11, F12", "NaN, infinities, and lack of memory in a trial", disks.odd_values, 12, 2),
    Attempt("two-drivers", "F16", "two drivers of a study at once", sessions.two_drivers, 50, 1),
    Attempt("sleeping", "F16", "a driver sleeps while another one comes", sessions.sleeping, 5, 1),
    Attempt("ends", "F25", "Ctrl-C once and twice, SIGTERM, and a terminal that closes", sessions.asked_to_end, 12, 3),
    Attempt("ends-all", "F25", "SIGTERM to a driver and to all that runs on Ray", sessions.all_asked_to_end, 3, 1),
    Attempt("page-large", "F18", "a study whose every complete trial is on the front", page.large, 10_000, 60),
    Attempt("page-viewers", "F19", "many viewers and slow connections while a search writes", page.viewers, 100, 4),
    Attempt("page-garbage", "F20", "requests that no page makes", page.garbage, 2, 1),
    Attempt("page-hostile", "F21", "texts of a study that mean something elsewhere", page.hostile, 300, 40),
)
