"""Why a worker was lost, in a few words, from what Ray says of it, which fills pages."""

import re

MOST_SAID = 200  # characters of what is told in Ray's own words

_CAUSES = {
    r"running low on memory.* was ([\d.]+)GB used / ([\d.]+)GB": "its machine was short of memory ({} of {} GB in use)",
    r"node has died|actor is temporarily unavailable": "its machine has gone, or does not answer",
    r"exits with an exit code (-?\d+)": "its process ended with exit status {}",
    r"connection error": "its process was killed, as systems do where memory is short, or crashed",
}


def cause(said: str) -> str:
    """Return what follows "because": what ended the worker, and on which machine, where Ray says that.

    Where it is nothing known, that is the last line of what Ray says: of an exception its kind and message.
    """
    at = re.search(r"\bip: ([\w.:]+)", said, re.IGNORECASE)
    place = f" (machine {at[1]})" if at else ""
    for pattern, words in _CAUSES.items():
        if found := re.search(pattern, said):
            return words.format(*found.groups()) + place
    lines = said.strip().splitlines()
    return f"of {lines[-1].strip()[:MOST_SAID]!r}{place}" if lines else "of something that Ray does not say"
