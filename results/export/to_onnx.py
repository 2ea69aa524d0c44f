"""Export as ONNX: one file that runtimes of other languages and devices load, and that says what it is.

The file has the operations of the architecture's graph, batch norms among them, one for one; its initial values have
the names of the exported weights. What a user must know stands in its metadata, read by
``onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map``: what stands beside weights everywhere
(``results.export.facts.metadata``), and besides ``input``, which is "scaled" pictures, or "pixels" from 0 to white that
the graph scales itself, and ``precision``, that of the weights and the arithmetic: pictures and logits are float32
whatever it is.
"""

from typing import TYPE_CHECKING, Literal

from results.export.content import Content
from results.export.facts import metadata
from results.export.onnx_packages import WRITE, need
from results.export.quiet import quiet
from search_spaces.errors import RequestError, RunFailed
from search_spaces.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

INPUT, OUTPUT, BATCH = "pictures", "logits", "batch"
OPSET = 18  # the oldest that the exporter has forms for: runtimes since 2023 read it
MOST_BYTES = 2**31 - 2**20  # of weights: protobuf's files end at 2 GiB, and the graph needs room too
Half = Literal["float16"]


def to_onnx(
    content: Content, network: "nn.Module", *, scaled: bool = False, half: Half | None = None
) -> dict[str, bytes]:
    """Return ``<name>.onnx``: ``pictures`` (batch, channels, height, width) float32 -> ``logits`` (batch, classes).

    Any batch size, pictures of ``content.sides``. ``network``: the built network, whose weights are taken. ``scaled``
    puts the scaling into the graph, which then takes pixels from 0 to white. ``half``: weights and arithmetic in that
    format. The same content and weights give the same bytes.

    RequestError where a package is missing, the scaling is not known, or the file would be larger than 2 GiB; RunFailed
    where torch cannot write it.
    """
    need(*WRITE)
    import torch

    from results.export.plain_network import PlainNetwork

    if scaled and content.scaling is None:
        raise RequestError(
            "how pictures are scaled is not known for these weights, so that it cannot go into the graph: "
            "export without it, or weights of a training that says so"
        )
    architecture = content.architecture
    graph = architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    number_format = torch.float32 if half is None else getattr(torch, half)
    _check_size(graph, number_format.itemsize, content.name)
    scaling = content.scaling if scaled else None
    module = PlainNetwork(graph, network.state_dict(), number_format=number_format, scaling=scaling)
    model = _exported(module, (2, content.channels, *content.sides), content.name)
    _describe(model, content, scaled=scaled, precision=half or "float32")
    return {f"{content.name}.onnx": model.SerializeToString(deterministic=True)}


def _check_size(graph: Graph, width: int, name: str) -> None:
    """Refuse what does not fit one file before any work; ``width`` is that of a weight in bytes."""
    size = width * graph.params
    if size > MOST_BYTES:
        raise RequestError(
            f"{name}.onnx would have {size / 2**30:.1f} GiB, and an ONNX file holds less than 2 GiB: "
            "export to pt2 or safetensors, or in half precision"
        )


def _exported(module: "nn.Module", shape: tuple[int, ...], name: str) -> "ModelProto":
    """Trace a module and check what comes out."""
    import onnx
    import torch

    from results.export.onnx_tidying import tidied

    batch = torch.export.Dim(BATCH, min=1)
    try:
        with quiet():
            program = torch.onnx.export(
                module.eval(),
                (torch.zeros(shape),),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch},),
                opset_version=OPSET,
                optimize=False,  # it folds batch norms, whose numbers are part of what leaves
            )
            assert program is not None
            model = tidied(program.model, name)
            onnx.checker.check_model(model, full_check=True)
    except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise RunFailed(f"{name} could not be written as ONNX: {reason}; export to python or pt2 instead") from None
    return model


def _describe(model: "ModelProto", content: Content, *, scaled: bool, precision: str) -> None:
    """Write what a user must know into the metadata."""
    facts = {**metadata(content), "input": "pixels" if scaled else "scaled", "precision": precision}
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
