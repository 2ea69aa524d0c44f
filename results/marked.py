"""What a drawing sets off from the rest: some nodes, and some blocks as a whole."""

from dataclasses import dataclass

from results.blocks import Block


@dataclass(frozen=True)
class Marked:
    """``nodes``: names of nodes. ``blocks``: names of units that are marked as a whole, their nodes are not named."""

    nodes: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything is marked."""
        return bool(self.nodes or self.blocks)

    def __contains__(self, node: str) -> bool:
        """Whether a node is marked, by itself or with its block."""
        return node in self.nodes or any(node.startswith(f"{unit}.") for unit in self.blocks)

    def within(self, block: Block) -> tuple[object, ...]:
        """What is marked of a block of one unit, by the places inside it: equal for blocks that are marked alike."""
        unit = block.units[0]
        places = frozenset(node.name.removeprefix(unit) for node in block.nodes if node.name in self.nodes)
        return unit in self.blocks, places
