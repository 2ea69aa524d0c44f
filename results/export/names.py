"""Names and texts that come from outside, made safe for source files: identifiers, file names and docstring lines."""

import builtins
import keyword
import re
import sys
import textwrap
from collections.abc import Collection

MAX_NAME = 64
_OURS = {"nas", "results", "search_spaces", "trainers"}
_TAKEN_MODULES = sys.stdlib_module_names | {"torch", "safetensors", "numpy", "torchvision", "timm"} | _OURS


def class_name(name: str, taken: Collection[str]) -> str:
    """``InceptionV3`` for ``inception-v3``: letters and digits only, never a word of Python's or one in ``taken``."""
    words = re.findall(r"[A-Za-z0-9]+", name[:MAX_NAME])
    joined = "".join(word[0].upper() + word[1:] for word in words)
    if not joined or joined[0].isdigit():
        joined = f"Network{joined}"
    while joined in taken or keyword.iskeyword(joined) or joined in dir(builtins):
        joined += "Network"
    return joined


def module_name(name: str) -> str:
    """``inception_v3`` for ``inception-v3``: a file of this name can be imported, and hides no other module."""
    joined = "_".join(re.findall(r"[a-z0-9]+", name[:MAX_NAME].lower()))
    if not joined or joined[0].isdigit():
        joined = f"network_{joined}".rstrip("_")
    return f"{joined}_network" if keyword.iskeyword(joined) or joined in _TAKEN_MODULES else joined


def file_stem(name: str) -> str:
    """Return the name with letters, digits, ``.``, ``_`` and ``-`` only: it stays inside its folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name[:MAX_NAME]).strip(".-") or "architecture"


def docstring_text(text: str) -> str:
    """Return a text on one line that ends no docstring, escapes nothing and shows what it is.

    Quotes become apostrophes, backslashes are doubled, and what cannot be printed, controls of the writing direction
    among it, becomes a question mark.
    """
    line = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line.replace("\\", "\\\\").replace('"', "'")


def docstring_entry(key: str, value: str, width: int) -> list[str]:
    """Return ``key: value`` as indented docstring lines, broken at ``width`` between words."""
    return docstring_lines_of(f"{key}: {value}", width, " " * 8)


def docstring_lines_of(text: str, width: int, then: str = " " * 4) -> list[str]:
    """Return a text as indented docstring lines, broken at ``width`` between words; ``then``: before the others."""
    return textwrap.wrap(
        docstring_text(text),
        width,
        initial_indent=" " * 4,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
