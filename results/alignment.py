"""Two sequences beside each other so that as little as possible differs (Needleman and Wunsch, 1970)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Pair = tuple[Item | None, Item | None]


def aligned(
    first: Sequence[Item], second: Sequence[Item], cost: Callable[[Item, Item], int], alone: Callable[[Item], int]
) -> list[Pair[Item]]:
    """Return both sequences beside each other, in order, None for no partner, at the least sum of costs.

    ``cost`` is that of a pair, ``alone`` that of an item without a partner. Of equal alignments the one that pairs
    earlier items.
    """
    rows, columns = len(first), len(second)
    costs = [[cost(mine, theirs) for theirs in second] for mine in first]
    rests, others = [alone(item) for item in first], [alone(item) for item in second]
    least = [[0] * (columns + 1) for _ in range(rows + 1)]  # of what comes after so many of each
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            ways = []
            if i < rows and j < columns:
                ways.append(costs[i][j] + least[i + 1][j + 1])
            if i < rows:
                ways.append(rests[i] + least[i + 1][j])
            if j < columns:
                ways.append(others[j] + least[i][j + 1])
            least[i][j] = min(ways, default=0)
    found: list[Pair[Item]] = []
    i = j = 0
    while i < rows or j < columns:
        if i < rows and j < columns and least[i][j] == costs[i][j] + least[i + 1][j + 1]:
            found.append((first[i], second[j]))
            i, j = i + 1, j + 1
        elif i < rows and least[i][j] == rests[i] + least[i + 1][j]:
            found.append((first[i], None))
            i += 1
        else:
            found.append((None, second[j]))
            j += 1
    return found
