"""HTML and SVG from code in which text is escaped unless it is markup already: nothing has to remember to escape."""

import html
import re
from importlib import resources

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 has no way to write these
_VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})


class Markup(str):
    """Text that is HTML or SVG already and goes out as it is. Made by `element`, `join` and `asset` only."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Return the text safe for element content and attribute values; characters that XML forbids become U+FFFD."""
    return text if isinstance(text, Markup) else Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(text))))


def join(*parts: object) -> Markup:
    """Return all parts in a row, escaped unless they are markup."""
    return Markup("".join(escape(part) for part in parts))


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return one element. ``class_`` writes ``class``, ``data_x`` ``data-x``; None and False leave a name out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>") if children else Markup(f"<{name}{written}></{name}>")


def asset(name: str) -> Markup:
    """Return a style sheet or script that lies beside this file, for embedding."""
    return Markup(resources.files("results").joinpath(name).read_text(encoding="utf-8"))


def with_literals(css: Markup) -> Markup:
    """Write the colour itself before each declaration that takes it from a variable (``var(--ink)``).

    Programs that know no variables, librsvg and most editors of drawings, take that one; browsers the one after it,
    which changes in dark mode. Values are those that the variables have where they are first set.
    """
    values: dict[str, str] = {}
    for name, value in re.findall(r"(--[a-z0-9-]+):\s*([^;}]+)", css):
        values.setdefault(name, value.strip())

    def doubled(match: re.Match[str]) -> str:
        literal = re.sub(r"var\((--[a-z0-9-]+)\)", lambda name: values[name[1]], match[0])
        return f"{literal}; {match[0]}"

    return Markup(re.sub(r"(?<![\w-])[a-z-]+:[^;{}]*var\([^;{}]*", doubled, css))
