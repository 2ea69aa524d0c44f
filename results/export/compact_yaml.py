"""An architecture file in few lines, for the inside of other files: modules are nested lists, broken between steps."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from results.export.names import file_stem
from search_spaces.architecture import Architecture

LINE = 88
_GLUE = "\0"  # holds the words of a step together while lines are broken


def compact_yaml(architecture: Architecture) -> str:
    """Return a text that reads as the same architecture, of letters that need no escape in source.

    Its name is left with letters, digits, ``.``, ``_`` and ``-``, which is what an architecture file allows.
    """
    return "".join(f"{line}\n" for line in _lines(architecture.as_data()))


def _lines(data: dict[str, Any]) -> Iterator[str]:
    yield f"format: {data['format']}"
    yield f"name: '{allowed_name(data['name'])}'"
    yield f"resolution: {data['resolution']}"
    yield f"norm_eps: {data['norm_eps']!r}"
    for key in ("stem", "stages", "dropout", "aux"):
        if key in data:
            yield from _wrapped(key, data[key])


def allowed_name(name: str) -> str:
    """Return a name that an architecture file takes."""
    return re.sub(r"^[._-]+", "", file_stem(name)) or "architecture"


def _wrapped(key: str, value: Any) -> list[str]:
    """Return an entry in lines that end between steps."""
    text = f"{key}:{_GLUE}{_flow(value)}"
    wrapped = textwrap.wrap(text, LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [line.replace(_GLUE, " ") for line in wrapped]


def _flow(item: Any) -> str:
    if isinstance(item, list):
        return f"[{', '.join(map(_flow, item))}]"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{key}:{_GLUE}{_flow(value)}' for key, value in item.items())}}}"
    return str(item).replace(" ", _GLUE)
