"""ONNX files in 8-bit integers: weights alone before the run and activations as it goes, or both from calibration."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any

from results.export.onnx_packages import RUN, need
from results.export.quiet import quiet
from results.export.to_onnx import INPUT
from search_spaces.errors import NotWritten, RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    Batches = Iterable[NDArray[np.float32]]

# Without instructions for the purpose (VNNI), x86 CPUs add two products of 8 bits in 16, which may not hold them;
# weights of 7 bits keep a file right on all of them.
SEVEN_BITS = True
NORMS = "int8 wants batch norms folded into the convolutions, and this network has some: export it with --fold-bn"


def dynamic_int8(file: bytes) -> bytes:
    """Return an ONNX file of ``to_onnx`` with weights in 8 bits; each activation's range is taken as it runs.

    Needs no pictures. Runtimes compute convolutions in this form slower than in float32 on most CPUs: it makes files
    small. RequestError where the file has batch norms or a package is missing.
    """
    need(*RUN)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def work(model: "ModelProto", target: Path) -> None:
        # Of integer convolutions onnxruntime has the one of unsigned weights alone.
        quantize_dynamic(model, target, weight_type=QuantType.QUInt8, op_types_to_quantize=["Conv", "MatMul", "Gemm"])

    return _quantised(file, work, lambda: {"precision": "int8-dynamic"})


def static_int8(file: bytes, batches: "Batches") -> bytes:
    """Return an ONNX file of ``to_onnx`` with weights and activations in 8 bits, as QDQ pairs, weights by channel.

    ``batches``: calibration pictures (N, C, H, W), float32 as the file takes them: some hundred of the training data,
    augmented not at all. They are read once. RequestError where there are none or they do not suit the file, where
    the file has batch norms, or a package is missing.
    """
    need(*RUN)
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out one batch after the other, and counts the pictures."""

        def __init__(self, batches: Iterator["NDArray[np.float32]"]) -> None:
            self.batches, self.pictures = batches, 0

        def get_next(self) -> dict[str, "NDArray[np.float32]"] | None:
            """Return the next batch by the input's name, None after the last."""
            batch = next(self.batches, None)
            if batch is None:
                return None
            self.pictures += len(batch)
            return {INPUT: batch}

    def work(model: "ModelProto", target: Path) -> None:
        quantize_static(
            model,
            target,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=SEVEN_BITS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )

    reader = Reader(_checked(batches, _picture(file)))
    return _quantised(file, work, lambda: {"precision": "int8-static", "calibration_pictures": str(reader.pictures)})


def _picture(file: bytes) -> tuple[int, ...]:
    """Return channels, height and width of the pictures that a file takes."""
    import onnx

    dims = onnx.load_model_from_string(file).graph.input[0].type.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims[1:])


def _checked(batches: "Batches", wanted: tuple[int, ...]) -> Iterator["NDArray[np.float32]"]:
    """Yield the batches; RequestError where one does not hold pictures of ``wanted`` sides, or where there is none."""
    found = False
    for batch in batches:
        if batch.ndim != 4 or batch.dtype.name != "float32" or not len(batch):
            raise RequestError(
                f"a calibration batch of {batch.dtype.name} {' x '.join(map(str, batch.shape))} cannot be used: "
                "give float32 pictures x channels x height x width"
            )
        if batch.shape[1:] != wanted:
            raise RequestError(
                f"calibration pictures of {' x '.join(map(str, batch.shape))} do not fit the file, which takes "
                f"{' x '.join(map(str, wanted))}: give pictures of that size"
            )
        found = True
        yield batch
    if not found:
        raise RequestError("static int8 needs calibration pictures, and there are none: name a data set that has some")


def _quantised(file: bytes, work: Callable[[Any, Path], None], told: Callable[[], dict[str, str]]) -> bytes:
    """Run a quantisation on a file, without batch norms, and note in the metadata what was done."""
    import onnx

    model = onnx.load_model_from_string(file)
    if any(node.op_type == "BatchNormalization" for node in model.graph.node):
        raise RequestError(NORMS)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    try:
        with TemporaryDirectory() as folder, quiet():
            target = Path(folder) / "int8.onnx"
            work(model, target)
            result = onnx.load_model(target)
    except OSError as error:
        raise NotWritten(
            f"int8 needs space for temporary files, and {gettempdir()!r} has none: {error.strerror}; free some, or "
            "name another folder for them in TMPDIR"
        ) from None
    del result.metadata_props[:]
    facts |= told()
    for key, value in facts.items():
        result.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(result)
    content: bytes = result.SerializeToString(deterministic=True)
    return content
