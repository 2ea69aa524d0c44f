"""Export of weights alone: safetensors under the names of the exported source, and under torchvision's where it can."""

from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor

from results.export.content import Content
from results.export.facts import metadata
from results.export.weights import exported_state, fitting_graph, graphs_of
from search_spaces.errors import RequestError


def to_safetensors(content: Content, theirs: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return ``inception_v3.safetensors``, and with ``theirs`` also ``inception_v3_torchvision.safetensors``.

    ``theirs``: the keys of torchvision's network, each with that of a built network for the same tensor; for
    architectures that compute what that one computes. Without weights of auxiliary heads, those keys are left out.
    Raises RequestError where there are no weights, or they do not fit.
    """
    if content.state is None:
        raise RequestError(
            f"there are no weights of {content.architecture.name} to export: give some (--weights FILE), name a "
            "complete trial (STUDY:NUMBER without --full), or export --to python"
        )
    files = {f"{content.name}.safetensors": weights_file(content)}
    if theirs:
        fitting_graph(*graphs_of(content), content.state)
        renamed = {key: _plain(content.state[ours]) for key, ours in theirs.items() if ours in content.state}
        files[f"{content.name}_torchvision.safetensors"] = _file(renamed, content)
    return files


def weights_file(content: Content) -> bytes:
    """Return the weights, under the names of ``results.export.weights.key_map``, with what must be known of them."""
    assert content.state is not None
    return _file(
        {key: _plain(tensor) for key, tensor in exported_state(*graphs_of(content), content.state).items()}, content
    )


def _file(tensors: dict[str, Tensor], content: Content) -> bytes:
    # "pt" is what readers of the format expect for torch's layout.
    return safetensors.torch.save(tensors, {"format": "pt", **metadata(content)})


def _plain(tensor: Tensor) -> Tensor:
    """On its own, as the format wants it: weights in training may be views of one long tensor."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
