"""What an exported file says of its weights, read back: the texts of results/export/facts.py as ``About`` has them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from search_spaces.errors import RequestError
from trainers.about import About, read_about

_REMEDY = "export these weights anew, or write them into a file without what stands beside the tensors"


def about_of(notes: Mapping[str, str], file: str) -> About:
    """Return what the texts beside the tensors of a safetensors file say; those that only others write are left alone.

    ``notes`` may be of a file of ``nas train`` or of a trial, too. Raises RequestError, with what is wrong, where they
    cannot be read.
    """
    from trainers.checkpoint import FORMAT

    if notes.get("format") == FORMAT:
        return read_about(_parsed("data", notes, file), file)
    known: dict[str, Any] = {name: notes[name] for name in ("digest", "stands_for", "caution") if name in notes}
    if sides := re.fullmatch(r"(\d{1,4})x\1", notes.get("resolution", "")):
        known["resolution"] = int(sides[1])
    known |= {name: _parsed(name, notes, file) for name in ("provenance",) if name in notes}
    trained: dict[str, Any] = {name: notes[name] for name in ("data_digest",) if name in notes}
    trained |= {name: _parsed(name, notes, file) for name in ("class_names", "white") if name in notes}
    trained |= {name: _parsed(name, notes, file, "[{}]") for name in ("mean", "deviation") if name in notes}
    return read_about({**known, "trained": trained}, file, _REMEDY)


def _parsed(name: str, notes: Mapping[str, str], file: str, form: str = "{}") -> Any:
    """Return what a text stands for as JSON, once it is put into ``form``."""
    try:
        return json.loads(form.format(notes[name]))
    except (KeyError, ValueError, RecursionError):
        raise RequestError(f"{file}: {name} beside the tensors cannot be read; {_REMEDY}") from None
