"""Batch norms folded into the convolutions before them: the same function of a picture with fewer operations.

A folded network is an architecture of its own, whose convolutions have a bias and no norm, with weights to go with it:
so it leaves in every form, and what is counted of it is what it costs. It has another digest than the one it came from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from results.export.content import Content
from results.export.facts import without_error
from results.export.names import MAX_NAME
from results.export.weights import fitting_graph, graphs_of
from search_spaces.architecture import Architecture, Aux, Module, Split, Stage, Step
from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from search_spaces.operations import Conv, Operation

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = "-folded"
AnyStep = TypeVar("AnyStep", bound=Operation)
NORM = ("weight", "bias", "running_mean", "running_var")


def folded(content: Content) -> Content:
    """Return the same function in evaluation mode, up to rounding, without batch norms: an architecture and weights.

    Auxiliary heads in the weights are folded too. The name gets ``-folded``, and the provenance says of which digest it
    was made, and no more how good the weights are: that was measured with the norms. RequestError where there are no
    weights, no norm, or weights that do not fit.
    """
    if content.state is None:
        raise RequestError(
            "batch norms are folded into weights, and there are none: name weights to export, or leave the norms"
        )
    architecture = content.architecture
    result = folded_architecture(architecture)
    if result == architecture:
        raise RequestError(f"{architecture.name} has no batch norms: there is nothing to fold")
    graph = fitting_graph(*graphs_of(content), content.state)
    return replace(
        content,
        architecture=result,
        state=folded_state(graph, content.state),
        provenance={
            **without_error(content).provenance,
            "batch norms": f"folded into the convolutions of {architecture.digest}",
        },
    )


def folded_architecture(architecture: Architecture) -> Architecture:
    """Return an architecture in which every convolution has a bias in place of its norm."""
    stages = [
        Stage(tuple(_module(module) for module in stage.modules), stage.reduction and _module(stage.reduction))
        for stage in architecture.stages
    ]
    return replace(
        architecture,
        name=architecture.name[: MAX_NAME - len(SUFFIX)] + SUFFIX,
        stem=tuple(_module(step) if isinstance(step, Module) else _plain(step) for step in architecture.stem),
        stages=tuple(stages),
        aux=tuple(Aux(aux.stage, aux.module, tuple(_plain(step) for step in aux.steps)) for aux in architecture.aux),
    )


def _module(module: Module) -> Module:
    return Module(tuple(tuple(_step(step) for step in tower) for tower in module.towers))


def _step(step: Step) -> Step:
    return Split(tuple(_plain(conv) for conv in step.branches)) if isinstance(step, Split) else _plain(step)


def _plain(step: AnyStep) -> AnyStep:
    return cast(AnyStep, replace(step, norm=False, bias=True)) if isinstance(step, Conv) else step


def folded_state(graph: Graph, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Return the weights of a graph's network for its folded graph, in the number format that they have.

    With g and b the norm's scale and shift, m and v its running mean and variance: weights times g / sqrt(v + eps), and
    biases (bias - m) g / sqrt(v + eps) + b, computed in float64.
    """
    return dict(_entries(graph, state))


def _entries(graph: Graph, state: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Tensor]]":
    norms = {node.name for node in graph if isinstance(node.operation, Conv) and node.operation.norm}
    for key, value in state.items():
        owner = key.rsplit(".", 2)[0]  # <owner>.conv.weight, <owner>.norm.bias
        if owner not in norms:
            yield key, value
        elif key == f"{owner}.conv.weight":
            norm = {part: state[f"{owner}.norm.{part}"].double() for part in NORM}
            factor = norm["weight"] / (norm["running_var"] + graph.norm_eps).sqrt()
            shift = -norm["running_mean"]
            if f"{owner}.conv.bias" in state:
                shift = shift + state[f"{owner}.conv.bias"].double()
            yield key, (value.double() * factor[:, None, None, None]).to(value.dtype)
            yield f"{owner}.conv.bias", (shift * factor + norm["bias"]).to(value.dtype)
