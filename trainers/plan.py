"""The order in which a network's modules run, and what runs as one.

1x1 convolutions that read the same tensor run as one matrix product over all of their channels; each keeps its own
weight, norm and ReLU. An average pool before such a convolution moves behind it: both are linear, so the result is
the same but for rounding, and the pool has a quarter of the channels to average.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Input, Pool
from trainers.conv_unit import ConvUnit, convolve, layout


class _Step(NamedTuple):
    """One call in execution order; tensors live in numbered slots, and ``dead`` are those not read again."""

    call: Callable[..., tuple[Tensor, ...]]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    dead: tuple[int, ...]


class Plan(NamedTuple):
    """Steps in execution order, the slots of the outputs, and how many slots there are; slot 0 is the picture."""

    steps: tuple[_Step, ...]
    outputs: tuple[int, ...]
    slots: int


class _Call(NamedTuple):
    """A step by names."""

    call: Callable[..., tuple[Tensor, ...]]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class _Alone:
    """One module, as it is."""

    module: nn.Module

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.module(*inputs),)


@dataclass(frozen=True)
class _Together:
    """1x1 convolutions of one tensor as one, with the average pool that stood before one of them: (N, C, H, W)."""

    units: tuple[ConvUnit, ...]
    pools: tuple[nn.Module | None, ...]

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        convs = [unit.conv for unit in self.units]
        biases = [conv.bias for conv in convs if conv.bias is not None]
        joined = convolve(
            x, torch.cat([conv.weight for conv in convs]), torch.cat(biases) if biases else None, 1, (0, 0)
        )
        parts = torch.split(joined, [conv.out_channels for conv in convs], 1)
        outputs = []
        for unit, pool, part in zip(self.units, self.pools, parts, strict=True):
            # A norm of every n-th element takes a slow path. A ReLU may not change a part of a split in place, which
            # that of a single picture is, unless it is copied.
            changed = unit.norm is None and pool is None
            own = (part.clone if changed else part.contiguous)(memory_format=layout(x))
            outputs.append(unit.finish(own if pool is None else pool(own)))
        return tuple(outputs)


def plan(graph: Graph, modules: Mapping[str, nn.Module], outputs: Iterable[str], *, joined: bool = True) -> Plan:
    """Order the steps that the outputs need, and note after which step each tensor is dead.

    ``joined`` False runs every node by itself.
    """
    kept = tuple(outputs)
    needed = set(kept)
    for node in reversed(list(graph)):
        if node.name in needed:
            needed.update(node.inputs)
    nodes = [node for node in graph if node.name in needed and not isinstance(node.operation, Input)]
    calls = _joined(nodes, modules, kept) if joined else [_alone(node, modules) for node in nodes]
    names = (graph.input.name, *(name for call in calls for name in call.writes))
    slot = {name: i for i, name in enumerate(names)}
    last_reader = {name: i for i, call in enumerate(calls) for name in call.reads}
    steps = []
    for i, call in enumerate(calls):
        dead = {name for name in call.reads if last_reader[name] == i and name not in kept}
        reads, writes = (tuple(slot[name] for name in names) for names in (call.reads, call.writes))
        steps.append(_Step(call.call, reads, writes, tuple(slot[name] for name in sorted(dead))))
    return Plan(tuple(steps), tuple(slot[name] for name in kept), len(slot))


def run(plan: Plan, x: Tensor) -> list[Tensor]:
    """Run the steps on a picture; return the outputs."""
    values: list[Tensor | None] = [None] * plan.slots
    values[0] = x
    del x  # else the picture would stay alive until the end
    for call, reads, writes, dead in plan.steps:
        written = call(*(values[slot] for slot in reads))
        for slot, value in zip(writes, written, strict=True):
            values[slot] = value
        del written
        for slot in dead:
            values[slot] = None
    return [cast(Tensor, values[slot]) for slot in plan.outputs]


def _alone(node: Node, modules: Mapping[str, nn.Module]) -> _Call:
    return _Call(_Alone(modules[node.name]), node.inputs, (node.name,))


def _joined(nodes: list[Node], modules: Mapping[str, nn.Module], kept: tuple[str, ...]) -> list[_Call]:
    """Return the calls of the nodes, with 1x1 convolutions of one tensor as one where the first of them stood."""
    pools = _movable(nodes, kept)
    groups: dict[tuple[str, bool], list[Node]] = {}
    for node in nodes:
        if _pointwise(node):
            parent = node.inputs[0]
            source = pools[parent].inputs[0] if parent in pools else parent
            groups.setdefault((source, _conv(node).bias), []).append(node)
    calls = []
    by_first = {group[0].name: (source, group) for (source, _), group in groups.items()}
    later = {node.name for group in groups.values() for node in group[1:]}
    for node in nodes:
        if node.name in by_first:
            source, group = by_first[node.name]
            units = tuple(cast(ConvUnit, modules[member.name]) for member in group)
            moved = tuple(modules[member.inputs[0]] if member.inputs[0] in pools else None for member in group)
            call = _alone(node, modules) if len(group) == 1 and moved == (None,) else None
            calls.append(call or _Call(_Together(units, moved), (source,), tuple(member.name for member in group)))
        elif node.name not in later and node.name not in pools:
            calls.append(_alone(node, modules))
    return calls


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
