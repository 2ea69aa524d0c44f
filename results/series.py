"""The nodes of a block as series and parallels: what stands below each other, and what stands side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from results.blocks import Block
from search_spaces.graph import Node


@dataclass(frozen=True)
class Parallel:
    """Towers that read the same tensor, and the node that joins them. An empty tower hands the tensor on."""

    towers: "tuple[Series, ...]"
    join: Node


Series = tuple[Node | Parallel, ...]


def block_series(block: Block) -> Series:
    """Return what a block consists of, by its first unit."""
    own = [node for node in block.nodes if node.unit == block.units[0]] if len(block.units) > 1 else block.nodes
    return series(own, block.source)


def series(nodes: Sequence[Node], source: str) -> Series:
    """Return what leads from the tensor ``source`` to the last of ``nodes``, which are in execution order.

    Modules, expanded filter banks inside their towers and modules inside a stem all come out of the same rule: a node
    that reads several others joins towers, and these begin at the last tensor that all of them have passed.
    """
    by_name = {node.name: node for node in nodes}
    gates: dict[str, str] = {}

    def passed(name: str) -> Iterator[str]:
        yield name
        while name != source:
            name = gates[name]
            yield name

    for node in nodes:
        others = [set(passed(parent)) for parent in node.inputs[1:]]
        gates[node.name] = next(name for name in passed(node.inputs[0]) if all(name in trail for trail in others))

    def between(start: str, end: str) -> Series:
        parts: list[Node | Parallel] = []
        while end != start:
            node = by_name[end]
            if len(node.inputs) > 1:
                parts.append(Parallel(tuple(between(gates[end], parent) for parent in node.inputs), node))
            else:
                parts.append(node)
            end = gates[end]
        return tuple(reversed(parts))

    return between(source, nodes[-1].name)
