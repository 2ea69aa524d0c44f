"""Names that become those of files and folders: of architectures, spaces, studies and trainings."""

import re

NAME_RULE = "use 1 to 64 letters, digits, '.', '_' or '-', a letter or a digit first"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_name(text: str) -> bool:
    """Whether a text may be a name."""
    return _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """Return the text; ValueError, with what is allowed, if it is no name."""
    if not is_name(text):
        raise ValueError(f"{text[:80]!r} is not a name: {NAME_RULE}")
    return text
