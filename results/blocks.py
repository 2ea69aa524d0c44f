"""How a graph falls into the parts that people draw: stem, modules of parallel towers, reductions, heads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Input, Linear, Operation, Shape, Window

BlockKind = Literal["stem", "module", "reduction", "head", "aux"]


@dataclass(frozen=True)
class Block:
    """One unit of the graph, or a run of modules that look the same (several ``units``)."""

    units: tuple[str, ...]
    kind: BlockKind
    nodes: tuple[Node, ...]
    source: str

    @property
    def label(self) -> str:
        """``stage2.module1``, or ``stage2.module2-3`` for a run."""
        first, last = self.units[0], self.units[-1]
        if first == last:
            return first
        return f"{first}-{last.removeprefix(first.rstrip('0123456789'))}"

    @property
    def end(self) -> str:
        """The node whose output leaves the block."""
        return self.nodes[-1].name

    @property
    def shape(self) -> Shape:
        """What leaves the block."""
        return self.nodes[-1].shape

    @cached_property
    def input_shape(self) -> Shape:
        """What enters the block."""
        return next(
            node.input_shapes[node.inputs.index(self.source)] for node in self.nodes if self.source in node.inputs
        )

    @property
    def macs(self) -> int:
        """Multiply-adds of all units of the block."""
        return sum(node.macs for node in self.nodes)

    @property
    def params(self) -> int:
        """Learned numbers of all units of the block."""
        return sum(node.params for node in self.nodes)

    @property
    def appearance(self) -> tuple[object, ...]:
        """What a drawing shows of it: the operations in their places, and what leaves it."""
        unit = self.units[0]
        inside = ((n.name.removeprefix(unit), n.operation.text()) for n in self.nodes if n.unit == unit)
        return self.kind, tuple(inside), self.shape


def blocks(graph: Graph) -> list[Block]:
    """Return the blocks in execution order; the input is none of them, auxiliary heads come last."""
    units: dict[str, list[Node]] = {}
    for node in graph:
        if not isinstance(node.operation, Input):
            units.setdefault(node.unit, []).append(node)
    return [Block((unit,), _kind(unit), tuple(nodes), nodes[0].inputs[0]) for unit, nodes in units.items()]


def folded(every: Iterable[Block], apart: Callable[[Block], object] = lambda block: None) -> list[Block]:
    """Join runs of modules that look the same. A module with an auxiliary head ends its run, so that it can be seen.

    ``apart``: what else must be equal of modules of a run.
    """
    every = list(every)
    looks = {block.units: (block.appearance, apart(block)) for block in every}
    watched = {block.source for block in every if block.kind == "aux"}
    runs: list[Block] = []
    for block in every:
        last = runs[-1] if runs else None
        same = last is not None and block.kind == "module" and looks[last.units[:1]] == looks[block.units]
        if (
            last is not None
            and same
            and last.end not in watched
            and last.units[0].split(".")[0] == block.units[0].split(".")[0]
        ):
            runs[-1] = replace(last, units=last.units + block.units, nodes=last.nodes + block.nodes)
        else:
            runs.append(block)
    return runs


def strided(operation: Operation) -> bool:
    """Whether the operation thins the grid out by a stride."""
    return isinstance(operation, Window) and operation.stride > 1


def short_text(operation: Operation) -> str:
    """The operation as drawings write it: ``3x3/2 384`` for a convolution, ``avg 3x3`` for a pool, ``lrn 5``."""
    if isinstance(operation, Conv):
        return f"{operation.window_text} {operation.width}"
    if isinstance(operation, Linear):
        return f"linear {operation.width}"
    if isinstance(operation, Window):
        return f"{operation.text().split()[0]} {operation.window_text}"
    return operation.text()


def grid_text(shape: Shape) -> str:
    """``35 x 35``: height and width."""
    return f"{shape.height} x {shape.width}"


def quantity(number: float) -> str:
    """Three digits and a unit: ``5.71 G``, ``23.8 M``, ``640``."""
    for factor, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= 0.9995 * factor:
            return f"{number / factor:#.3g}".rstrip(".") + unit
    return f"{number:g}"


def _kind(unit: str) -> BlockKind:
    kinds: dict[str, BlockKind] = {"stem": "stem", "head": "head"}
    return kinds.get(unit) or (
        "aux" if unit.startswith("aux") else "reduction" if unit.endswith("reduction") else "module"
    )
