"""The faults that are tried, in the order in which they are."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults import driver_kills
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
)
