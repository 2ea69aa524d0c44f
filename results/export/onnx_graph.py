"""Reads an ONNX file back, and counts in it what an architecture costs: an account that owes nothing to this project.

Shapes are inferred anew by the onnx package, for one picture, and not taken from what the exporter noted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from results.export.content import Content
from results.export.onnx_packages import need
from search_spaces.cost import cost
from search_spaces.errors import ExportFailed, RequestError
from search_spaces.operations import Conv

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Sides = tuple[int, ...]
SAME = ("Identity", "Cast", "DequantizeLinear", "Transpose")  # give what they read, in another form
LAYERS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class OnnxCounts:
    """What is found in a file, for one picture.

    ``params``: learned numbers: weights and biases of convolutions and fully connected layers, and scale and shift of
    batch norms. A norm's running mean and variance, which are measured and not learned, do not count, nor do numbers
    of the scaling or of a quantisation. Of a file without batch norms, folded say, the biases count.
    ``macs``: multiply-adds of convolutions and fully connected layers.
    """

    convolutions: int
    params: int
    macs: int


def onnx_counts(file: bytes) -> OnnxCounts:
    """Count what an ONNX file of ``to_onnx`` holds, also one quantised with its calibration (QDQ).

    RequestError where the bytes are no such file.
    """
    need("onnx")
    graph = _Read.of(_parsed(file))
    nodes = graph.graph.node
    return OnnxCounts(
        convolutions=sum(node.op_type == "Conv" for node in nodes),
        params=sum(math.prod(graph.sides[name]) for name in set(graph.learned())),
        macs=sum(graph.macs(node) for node in nodes),
    )


def _parsed(file: bytes) -> "ModelProto":
    """Read a file, and infer the shapes of all values for one picture."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(file)
        if not (model.graph.node and model.graph.input and model.graph.output):
            raise DecodeError("it has no graph")
        del model.graph.value_info[:]
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (DecodeError, IndexError, onnx.shape_inference.InferenceError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise RequestError(f"this is not an ONNX file of an exported network: {reason}; export it anew") from None
    unknown = {node.op_type for node in inferred.graph.node if node.op_type in ("ConvInteger", "MatMulInteger")}
    if unknown:
        raise RequestError(
            f"weights of {' and '.join(sorted(unknown))} are not counted: count the file before its quantisation"
        )
    return inferred


@dataclass(frozen=True)
class _Read:
    """A graph, the sides of every value, and the stored tensor that a value repeats, if it does."""

    graph: "GraphProto"
    sides: dict[str, Sides]
    stored: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: "ModelProto") -> "_Read":
        graph = model.graph
        stored = {tensor.name: tensor.name for tensor in graph.initializer}
        sides: dict[str, Sides] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        for value in (*graph.input, *graph.output, *graph.value_info):
            sides[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for node in graph.node:
            if node.op_type in SAME and node.input[0] in stored:
                stored[node.output[0]] = stored[node.input[0]]
        return cls(graph, sides, stored)

    def learned(self) -> Iterator[str]:
        """Yield the names of the stored tensors that were learned."""
        products = {node.output[0] for node in self.graph.node if node.op_type == "MatMul"}
        for node in self.graph.node:
            if node.op_type in LAYERS:
                names = node.input[1:3]
            elif node.op_type == "BatchNormalization":
                names = node.input[1:3]  # scale and shift; mean and variance follow
            elif node.op_type == "Add" and products.intersection(node.input):
                names = node.input
            else:
                continue
            yield from (self.stored[name] for name in names if name in self.stored)

    def macs(self, node: "NodeProto") -> int:
        """Multiply-adds of a node: of each output, as many as one filter has weights."""
        if node.op_type not in LAYERS or node.input[1] not in self.stored:
            return 0
        weight, output = self.sides[self.stored[node.input[1]]], self.sides.get(node.output[0], (0,))
        if not all(output):
            raise RequestError(f"the shape that {node.name!r} gives cannot be inferred: export the file anew")
        if node.op_type == "Conv":  # (C_out, C_in, kh, kw)
            return math.prod(weight[1:]) * math.prod(output)
        return math.prod(weight) * math.prod(output[:-1])  # (in, out) or (out, in)


def check_counts(content: Content, file: bytes, name: str) -> None:
    """Raise ExportFailed where an ONNX file, called ``name``, does not hold what its architecture counts and costs."""
    architecture, sides, classes, channels = content.architecture, content.sides, content.classes, content.channels
    costs = cost(architecture, sides, classes=classes, channels=channels)
    graph = architecture.graph(sides, classes=classes, channels=channels)
    convolutions = sum(isinstance(node.operation, Conv) for node in graph)
    found, wanted = onnx_counts(file), OnnxCounts(convolutions, costs.params, costs.macs)
    if found != wanted:
        raise ExportFailed(
            f"{name} has {found}, and its architecture {wanted}; nothing was exported, please report this"
        )
