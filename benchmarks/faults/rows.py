"""The faults that are tried, in the order in which they are."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults import driver_kills, ray_kills
from benchmarks.faults.table import Row
from benchmarks.faults.toy import Bench


@dataclass(frozen=True)
class Trial:
    """A row to be: ``whole`` and ``quick`` are what its function is given as a count."""

    id: str
    fault: str
    what: str
    function: Callable[[Row, Bench, int], None]
    whole: int
    quick: int


ROWS = (
    Trial("driver-random", "F02", "kill -9 of the driver at random moments", driver_kills.at_random, 200, 4),
    Trial("driver-points", "F03", "kill -9 of the driver at each named point", driver_kills.at_points, 5, 1),
    Trial("driver-calls", "F04", "kill -9 of the driver at system calls", driver_kills.at_system_calls, 40, 2),
    Trial("ray-driver", "F02, F14, F24", "kill -9 of the driver, trials with children on Ray", ray_kills.driver, 10, 1),
    Trial("ray-worker", "F01", "kill -9 of a worker in the middle of an epoch", ray_kills.worker, 30, 2),
    Trial("ray-worker-points", "F03", "kill -9 of a worker at each named point", ray_kills.worker_points, 7, 1),
    Trial("ray-node", "F24", "kill -9 of a node with all that runs there", ray_kills.node, 3, 1),
    Trial("hung", "F13", "a trial that hangs in native code, all signals blocked", ray_kills.hung, 2, 1),
)
