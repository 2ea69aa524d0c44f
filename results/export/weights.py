"""The names of the weights in an exported file, and the check that a state fits an architecture."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from results.export.content import Content
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.graph import Graph, Node
from search_spaces.operations import Conv, Linear

if TYPE_CHECKING:
    from torch import Tensor


def key_map(graph: Graph) -> dict[str, str]:
    """Map the state-dict keys of a built network to those of the exported file.

    Both are the names of the graph's nodes with the part's name, ``stage2.module1.tower3.0.conv.weight``. Only linear
    layers differ: ``head.linear.linear.weight`` in the network is ``head.linear.weight`` in the file.
    """
    return {key: exported_key(key) for key in key_shapes(graph)}


def exported_key(key: str) -> str:
    """Return the key in exported files of one that a built network has."""
    return key.replace(".linear.linear.", ".linear.")


def key_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that a built network stores, by its state-dict key there."""
    return {f"{node.name}.{part}": shape for node in graph for part, shape in _parts(node)}


def _parts(node: Node) -> Iterator[tuple[str, tuple[int, ...]]]:
    operation = node.operation
    if isinstance(operation, Conv):
        yield "conv.weight", (operation.width, node.input_shapes[0].channels, *operation.kernel)
        if operation.bias:
            yield "conv.bias", (operation.width,)
        if not operation.norm:
            return
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"norm.{part}", (operation.width,)
        yield "norm.num_batches_tracked", ()
    elif isinstance(operation, Linear):
        yield "linear.weight", (operation.width, node.input_shapes[0].elements)
        yield "linear.bias", (operation.width,)


def fitting_graph(plain: Graph, full: Graph, state: Mapping[str, "Tensor"]) -> Graph:
    """Return the graph that a state of a built network is for: ``plain``, or ``full`` with auxiliary heads.

    RequestError, with the first difference, where it fits neither.
    """
    graph = full if any(key.startswith("aux") for key in state) else plain
    expected = key_shapes(graph)
    problems = [f"{key!r} is missing" for key in expected if key not in state]
    problems += [f"{key[:80]!r} is unknown" for key in state if key not in expected]
    for key, shape in expected.items():
        if key in state and tuple(state[key].shape) != shape:
            problems.append(f"{key!r} is {_sides(tuple(state[key].shape))} instead of {_sides(shape)}")
    if problems:
        more = f" and {len(problems) - 1} more differences" if len(problems) > 1 else ""
        raise RequestError(
            f"the weights do not fit the architecture: {problems[0]}{more}; "
            "give weights of this architecture, with its number of classes and channels, and its size of pictures "
            "where auxiliary heads have hidden layers"
        )
    return graph


def head_sides(architecture: Architecture, sides: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the pictures that the heads are made for: ``sides``, or the smallest that they accept.

    Only hidden linear layers of heads have as many weights as the picture needs.
    """
    try:
        architecture.graph(sides, aux=True)
    except ResolutionError:
        return (architecture.smallest_resolution(aux=True),) * 2
    return sides


def graphs_of(content: Content) -> tuple[Graph, Graph]:
    """Return the graphs of a content's network without and with auxiliary heads, between which its weights decide.

    Where the content's pictures are too small for the heads, both are for the smallest that suit them: the weights of
    everything but the heads are the same at every size.
    """
    architecture, classes, channels = content.architecture, content.classes, content.channels
    sides = head_sides(architecture, content.sides)
    plain, full = (architecture.graph(sides, classes=classes, channels=channels, aux=aux) for aux in (False, True))
    return plain, full


def exported_state(plain: Graph, full: Graph, state: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Rename the state of a built network for the exported file; RequestError where it does not fit."""
    names = key_map(fitting_graph(plain, full, state))
    return {name: state[key].detach().cpu().contiguous() for key, name in names.items()}


def weights_digest(state: Mapping[str, "Tensor"]) -> str:
    """Return the SHA-256 of a built network's weights without auxiliary heads: names, types, shapes and numbers."""
    import torch

    digest = hashlib.sha256()
    for key in sorted(key for key in state if not key.startswith("aux")):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
