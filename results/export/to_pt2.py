"""Export as a program of torch.export: graph and weights in one file, which torch runs without any source."""

import io
import json
import warnings

import torch
from torch import nn

from results.export.content import Content
from results.export.facts import metadata_of_program
from results.export.plain_network import deployed

ARCHITECTURE, FACTS = "architecture.yaml", "facts.json"  # the files inside


def to_pt2(content: Content, network: nn.Module) -> dict[str, bytes]:
    """Return ``inception_v3.pt2``: logits for any number of pictures of the content's size, in evaluation mode.

    ``network``: the built network, whose weights are taken; their names inside are those of every exported file.
    ``torch.export.load(FILE).module()`` is the network; ``extra_files`` gives the architecture file and what is known
    of the weights as JSON.
    """
    module = deployed(content, network.state_dict())
    example = torch.zeros(2, content.channels, *content.sides)  # torch would take a batch of 1 for a constant
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about torch
        program = torch.export.export(
            module, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), strict=False
        )
        _forget_source(program)
        facts = metadata_of_program(content)
        inside = {ARCHITECTURE: facts.pop("architecture"), FACTS: json.dumps(facts, indent=1)}
        file = io.BytesIO()
        torch.export.save(program, file, extra_files=inside)
    return {f"{content.name}.pt2": file.getvalue()}


def _forget_source(program: torch.export.ExportedProgram) -> None:
    """Drop where in our source each operation was called: paths of this machine, which say nothing elsewhere."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
