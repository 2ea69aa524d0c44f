"""What a network computes, decided from the graph alone: which nodes run as one, and what of a kernel counts.

1x1 convolutions that read the same tensor run as one matrix product over all of their channels; each keeps its own
weight, norm and ReLU. An average pool before such a convolution moves behind it: both are linear, so the result is
the same but for rounding, and the pool has a quarter of the channels to average. trainers/plan.py runs what is grouped
here, trainers/memory.py counts it without torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Input, Pool


@dataclass(frozen=True)
class Group:
    """Nodes that run as one, and the names of what they read: one node, or 1x1 convolutions of one tensor.

    ``pools``: for each node the average pool that stood before it and runs behind it, or None.
    """

    nodes: tuple[Node, ...]
    reads: tuple[str, ...]
    pools: tuple[Node | None, ...] = (None,)

    @property
    def alone(self) -> bool:
        """Whether it is one node as it is."""
        return self.pools == (None,)


def grouped(graph: Graph, outputs: Iterable[str], *, joined: bool = True) -> list[Group]:
    """Return what the outputs need, without the picture, in execution order; ``joined`` False groups nothing."""
    kept = tuple(outputs)
    needed = set(kept)
    for node in reversed(list(graph)):
        if node.name in needed:
            needed.update(node.inputs)
    nodes = [node for node in graph if node.name in needed and not isinstance(node.operation, Input)]
    return _joined(nodes, kept) if joined else [_alone(node) for node in nodes]


def unseen(padding: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns at each side of a kernel, at stride 1, see nothing but padding.

    On a small grid there are such: a 3x3 on a grid of 1 is its middle, a 1x7 on a grid of 3 the five in the middle.
    Padding is that of a ``same`` convolution (kernel // 2) or none.
    """
    return max(0, padding[0] - grid[0] + 1), max(0, padding[1] - grid[1] + 1)


def _alone(node: Node) -> Group:
    return Group((node,), node.inputs)


def _joined(nodes: list[Node], kept: tuple[str, ...]) -> list[Group]:
    """Group 1x1 convolutions of one tensor where the first of them stood."""
    pools = _movable(nodes, kept)
    together: dict[tuple[str, bool], list[Node]] = {}
    for node in nodes:
        if _pointwise(node):
            parent = node.inputs[0]
            source = pools[parent].inputs[0] if parent in pools else parent
            together.setdefault((source, _conv(node).bias), []).append(node)
    by_first = {members[0].name: (source, members) for (source, _), members in together.items()}
    later = {node.name for members in together.values() for node in members[1:]}
    groups = []
    for node in nodes:
        if node.name in by_first:
            source, members = by_first[node.name]
            groups.append(Group(tuple(members), (source,), tuple(pools.get(each.inputs[0]) for each in members)))
        elif node.name not in later and node.name not in pools:
            groups.append(_alone(node))
    return groups


def _conv(node: Node) -> Conv:
    assert isinstance(node.operation, Conv)
    return node.operation


def _pointwise(node: Node) -> bool:
    operation = node.operation
    return isinstance(operation, Conv) and not operation.spatial and operation.stride == 1


def _movable(nodes: list[Node], kept: tuple[str, ...]) -> dict[str, Node]:
    """Return the average pools, by name, that one 1x1 convolution without bias reads and nobody else.

    A pool that shrinks the grid stays where it is: behind it the convolution has less to do.
    """
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for parent in node.inputs:
            readers.setdefault(parent, []).append(node)
    found = {}
    for node in nodes:
        pool, grid = node.operation, node.shape[1:]
        if isinstance(pool, Pool) and pool.kind == "avg" and node.name not in kept and grid == node.input_shapes[0][1:]:
            (first, *others) = readers[node.name]
            if not others and _pointwise(first) and not _conv(first).bias:
                found[node.name] = node
    return found
