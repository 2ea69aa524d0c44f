"""What torch's exporter gives, made fit to leave: nothing superfluous, names that say what a node is.

The exporter's own optimisation is not asked for: it folds batch norms, whose numbers are part of what leaves.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import onnx_ir
from onnxscript import optimizer

if TYPE_CHECKING:
    from onnx import ModelProto


def tidied(model: onnx_ir.Model, name: str) -> "ModelProto":
    """Return an exported model, which is changed, as a file's content; the graph gets a ``name``."""
    for node in model.graph:
        if node.op_type == "Conv" and not _is_weight(node.inputs[2]):
            node.resize_inputs(2)  # zeros that the exporter adds where a convolution has no bias
    optimizer.fold_constants(model)
    optimizer.remove_unused_nodes(model)
    model.graph.name = name
    proto: ModelProto = onnx_ir.serde.serialize_model(model)
    for part in _parts(proto):
        part.ClearField("metadata_props")  # notes of where in whose folders each node was made
        part.ClearField("doc_string")
    for node in proto.graph.node:
        owner, _, part = node.input[1].rpartition(".") if len(node.input) > 1 else ("", "", "")
        if part == "weight":
            node.name = owner
    return proto


def _is_weight(value: onnx_ir.Value | None) -> bool:
    return value is not None and value.is_initializer()


def _parts(model: "ModelProto") -> Iterator[Any]:
    """Yield everything that can carry notes."""
    graph = model.graph
    yield from (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output)
