"""Keeps what foreign exporters print, log and warn of away from the user's terminal."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

LOUD = ("torch", "onnxscript", "onnx_ir", "onnxruntime", "root")  # loggers


@contextmanager
def quiet() -> Iterator[None]:
    """Drop prints and warnings, and logs below errors, for a while; the process's own settings come back after it."""
    loggers = [logging.getLogger(None if name == "root" else name) for name in LOUD]
    levels = [logger.level for logger in loggers]
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
