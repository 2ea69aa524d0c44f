"""Which epochs of a search were begun again, and which of them no fault accounts for."""

from collections.abc import Iterable, Sequence
from typing import Any

Repeat = tuple[int, int]  # lines of the log: where an epoch was begun before, and where it was begun again
Strike = tuple[int, int]  # lines that the log had before and after a fault struck


def repeats(lines: Iterable[dict[str, Any]]) -> list[Repeat]:
    """Return the epochs of a log that were begun again, in that order; one that was begun three times twice."""
    begun: dict[tuple[int, int, int], int] = {}
    found = []
    for place, line in enumerate(lines):
        if line["what"] == "begin":
            epoch = line["trial"], line["training"], line["epoch"]
            if epoch in begun:
                found.append((begun[epoch], place))
            begun[epoch] = place
    return found


def unaccounted(repeated: Sequence[Repeat], strikes: Sequence[Strike], at_once: int) -> list[Repeat]:
    """Return the repeats that are left when each fault accounts for ``at_once`` of them at most.

    It accounts for an epoch that had been begun when it struck, and was begun again after that. The faults come in
    their order, and each takes those that were begun again first: no other choice leaves fewer.
    """
    left = list(repeated)
    for before, after in strikes:
        taken = [repeat for repeat in left if repeat[0] < after and repeat[1] >= before][:at_once]
        left = [repeat for repeat in left if repeat not in taken]
    return left
