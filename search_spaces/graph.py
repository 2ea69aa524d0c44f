"""The graph of an architecture: operations and shapes in execution order, a networkx DiGraph, a canonical digest.

Cost, audit, network, export and drawing all read this; nobody rebuilds structure from YAML.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from search_spaces.errors import ResolutionError
from search_spaces.operations import Conv, Input, Linear, LocalNorm, Operation, Shape

if TYPE_CHECKING:
    import networkx as nx

    DiGraph = nx.DiGraph[str]


@dataclass(frozen=True)
class Node:
    """One operation in its place.

    ``name`` is a dotted path, ``stage2.module1.tower3.0`` say, stable across builds: weights are stored under it.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape

    @property
    def params(self) -> int:
        """Learned numbers of this node."""
        return self.operation.params(self.input_shapes)

    @property
    def macs(self) -> int:
        """Multiply-adds of this node for one picture."""
        return self.operation.macs(self.input_shapes)

    @property
    def unit(self) -> str:
        """The module, stem or head that the node belongs to: ``stage2.module1``, ``stage2.reduction``, ``stem``."""
        parts = self.name.split(".")
        return ".".join(parts[:2]) if parts[0].startswith("stage") else parts[0]


@dataclass
class Graph:
    """Nodes by name in execution order. ``output`` gives the logits, ``aux_outputs`` those of the auxiliary heads."""

    norm_eps: float
    nodes: dict[str, Node] = field(default_factory=dict)
    output: str = ""
    aux_outputs: tuple[str, ...] = ()

    def add(self, name: str, operation: Operation, inputs: Sequence[str] = ()) -> str:
        """Append an operation that reads earlier nodes; return its name."""
        shapes = tuple(self.nodes[parent].shape for parent in inputs)
        try:
            shape = operation.output(shapes)
        except ResolutionError as error:
            raise type(error)(f"{name} ({operation.text()}): {error}") from None
        self.nodes[name] = Node(name, operation, tuple(inputs), shapes, shape)
        return name

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @property
    def input(self) -> Node:
        """The picture's node."""
        return next(iter(self.nodes.values()))

    @property
    def params(self) -> int:
        """Learned numbers of all nodes."""
        return sum(node.params for node in self)

    @property
    def macs(self) -> int:
        """Multiply-adds of all nodes for one picture."""
        return sum(node.macs for node in self)

    @cached_property
    def digraph(self) -> "DiGraph":
        """The same graph for networkx: node attributes ``operation`` and ``shape``, edges as the data flows."""
        import networkx as nx  # 0.2 s: only those who need its algorithms pay

        graph: DiGraph = nx.DiGraph()
        for node in self:
            graph.add_node(node.name, operation=node.operation, shape=node.shape)
            graph.add_edges_from((parent, node.name) for parent in node.inputs)
        return graph

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """For every node, the nodes that read it, in execution order."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self:
            for parent in node.inputs:
                found[parent].append(node.name)
        return {name: tuple(names) for name, names in found.items()}

    @cached_property
    def depth(self) -> dict[str, int]:
        """For every node, the convolutions and linear layers on the longest path from the input up to and with it."""
        depths: dict[str, int] = {}
        for node in self:
            own = isinstance(node.operation, Conv | Linear)
            depths[node.name] = max((depths[parent] for parent in node.inputs), default=0) + own
        return depths

    @cached_property
    def _in_order(self) -> set[str]:
        """The nodes whose channels reach a local normalisation without weights in between that could reorder them."""
        found: set[str] = set()
        for node in reversed(self.nodes.values()):
            if isinstance(node.operation, LocalNorm) or node.name in found:
                found.update(parent for parent in node.inputs if not isinstance(self[parent].operation, Conv | Linear))
        return found

    def digest(self) -> str:
        """SHA-256 of the structure: equal for graphs that differ in names, picture size or the order of towers.

        Each node is hashed from its inputs and again from its readers, both unordered, and the sorted hashes of all
        nodes are hashed: two towers that share a convolution and two that each have their own stay distinct, because
        the second graph has a node more. Inputs of every operation except a concat are single, so no order is lost
        that the output depends on beyond a permutation of channels, which the next weights absorb. Only a local
        normalisation looks at neighbouring channels: before one, towers keep their order.
        """
        above: dict[str, str] = {}
        for node in self:
            text = "input" if isinstance(node.operation, Input) else node.operation.text()
            inputs = [above[parent] for parent in node.inputs]
            above[node.name] = _hash(text, inputs if node.name in self._in_order else sorted(inputs))
        below: dict[str, str] = {}
        for node in reversed(self.nodes.values()):
            below[node.name] = _hash(above[node.name], sorted(below[reader] for reader in self.readers[node.name]))
        return _hash(f"eps {self.norm_eps:g}", sorted(below.values()))


def _hash(text: str, others: Sequence[str]) -> str:
    return hashlib.sha256("|".join((text, *others)).encode()).hexdigest()
