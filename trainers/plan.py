"""A network's modules as calls in execution order, those that run as one (trainers/grouping.py) in one call."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from search_spaces.graph import Graph
from trainers.conv_unit import ConvUnit, convolve, layout
from trainers.grouping import Group, grouped


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
    groups = grouped(graph, kept, joined=joined)
    names = (graph.input.name, *(node.name for group in groups for node in group.nodes))
    slot = {name: i for i, name in enumerate(names)}
    last_reader = {name: i for i, group in enumerate(groups) for name in group.reads}
    steps = []
    for i, group in enumerate(groups):
        dead = {name for name in group.reads if last_reader[name] == i and name not in kept}
        reads = tuple(slot[name] for name in group.reads)
        writes = tuple(slot[node.name] for node in group.nodes)
        steps.append(_Step(_call(group, modules), reads, writes, tuple(slot[name] for name in sorted(dead))))
    return Plan(tuple(steps), tuple(slot[name] for name in kept), len(slot))


def _call(group: Group, modules: Mapping[str, nn.Module]) -> Callable[..., tuple[Tensor, ...]]:
    if group.alone:
        return _Alone(modules[group.nodes[0].name])
    units = tuple(cast(ConvUnit, modules[node.name]) for node in group.nodes)
    return _Together(units, tuple(None if pool is None else modules[pool.name] for pool in group.pools))


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
