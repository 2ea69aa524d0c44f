"""Export as ONNX: one file that runtimes of other languages and devices load, and that says what it is.

The file has the operations of the architecture's graph, batch norms among them, one for one; its initial values have
the names of the exported weights. What a user must know stands in its metadata, read by
``onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map``: what stands beside weights everywhere
(``results.export.facts.metadata_of_program``).
"""

from typing import TYPE_CHECKING

from results.export.content import Content
from results.export.facts import metadata_of_program
from results.export.onnx_packages import WRITE, need
from results.export.quiet import quiet
from search_spaces.errors import RequestError, RunFailed
from search_spaces.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from results.export.int8 import Batches

INPUT, OUTPUT, BATCH = "pictures", "logits", "batch"
# The oldest opset that the exporter has forms for, and the format of files of its time: runtimes since 2023 read both.
OPSET, IR_VERSION = 18, 8
MOST_BYTES = 2**31 - 2**20  # of weights: protobuf's files end at 2 GiB, and the graph needs room too


def to_onnx(content: Content, network: "nn.Module", calibration: "Batches" = ()) -> dict[str, bytes]:
    """Return ``<name>.onnx``: ``pictures`` (batch, channels, height, width) float32 -> ``logits`` (batch, classes).

    Any batch size, pictures of ``content.sides``. ``network``: the built network, whose weights are taken.
    ``calibration``: pictures as they go into the graph, for static int8. The same content and weights give the same
    bytes.

    RequestError where a package is missing, the scaling that is wanted inside is not known, the file would be larger
    than 2 GiB, or it cannot be had in int8; RunFailed where torch cannot write it.
    """
    need(*WRITE)
    from results.export.plain_network import deployed

    module = deployed(content, network.state_dict())
    _check_size(module.graph, module.number_format.itemsize, content.name)
    model = _exported(module, (2, content.channels, *content.sides), content.name)
    _describe(model, content)
    file: bytes = model.SerializeToString(deterministic=True)
    precision = content.deployment.precision
    if precision.startswith("int8"):
        from results.export.int8 import dynamic_int8, static_int8

        file = dynamic_int8(file) if precision == "int8-dynamic" else static_int8(file, calibration)
    return {f"{content.name}.onnx": file}


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
            model.ir_version = IR_VERSION
            onnx.checker.check_model(model, full_check=True)
    except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise RunFailed(f"{name} could not be written as ONNX: {reason}; export to python or pt2 instead") from None
    return model


def _describe(model: "ModelProto", content: Content) -> None:
    """Write what a user must know into the metadata."""
    for key, value in metadata_of_program(content).items():
        model.metadata_props.add(key=key, value=value)
