"""The optional packages of the ONNX form: asked for before any work begins."""

from importlib import import_module

from search_spaces.errors import RequestError

WRITE = ("onnx", "onnxscript")
RUN = ("onnx", "onnxruntime")


def need(*packages: str) -> None:
    """Import packages; RequestError, with what to install, where one is missing or does not work."""
    for name in packages:
        try:
            import_module(name)
        except ImportError:
            raise RequestError(f"the ONNX form needs the package {name}: pip install 'inception-nas[onnx]'") from None
