"""The looks of a drawing written onto its shapes, for places where a style sheet inside an SVG does not count.

The Hugging Face Hub and others serve files with a content security policy that takes no style sheets: a drawing that
has only one is a black page there. Attributes count everywhere. The sheet stays, and wins where it may: it knows the
dark.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from results.markup import escape

_LINES = ("stroke", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-opacity", "stroke-width")
_TEXTS = ("font-family", "font-size", "font-weight", "paint-order", "text-anchor")
_ATTRIBUTES = frozenset(("fill", "fill-opacity", "opacity", *_LINES, *_TEXTS))
_FONT = re.compile(r"(?:(\d+) )?(\d+px) (.+)")  # the shorthand: weight, size, families
_SHEET = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_AT_RULE = re.compile(r"@[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")  # of the dark: one level of rules within
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_TAG = re.compile(r"<(/?)([a-z]+)([^<>]*)>")  # in our own drawings no attribute holds a < or a >


class _Part(NamedTuple):
    """One step of a selector: ``text``, ``.op``, ``.block.differs``; ``child``: it lies directly in the step before."""

    tag: str
    classes: frozenset[str]
    child: bool

    def fits(self, tag: str, classes: frozenset[str]) -> bool:
        return self.tag in ("", tag) and self.classes <= classes


class _Rule(NamedTuple):
    """A selector with its weight (classes, tags) and what it sets."""

    weight: tuple[int, int]
    parts: tuple[_Part, ...]
    sets: dict[str, str]


_Place = tuple[str, frozenset[str]]  # an element's tag and classes


def inked(svg: str) -> str:
    """Return a drawing of ours whose shapes carry the sheet's looks, those of a bright page, as attributes."""
    sheet = _SHEET.search(svg)
    if sheet is None:
        return svg
    rules = sorted(_rules(sheet[1]), key=lambda rule: rule.weight)  # of equals the later one wins: sorting is stable
    path: list[_Place] = []

    def written(match: re.Match[str]) -> str:
        closing, tag, rest = match.groups()
        if closing:
            path.pop()
            return match[0]
        found = re.search(r' class="([^"]*)"', rest)
        path.append((tag, frozenset(found[1].split() if found else ())))
        looks: dict[str, str] = {}
        for rule in rules:
            if _selects(rule.parts, path):
                looks |= rule.sets
        added = [f' {name}="{escape(value)}"' for name, value in looks.items() if f" {name}=" not in rest]
        return f"<{tag}{rest}{''.join(added)}>"

    start = _TAG.sub(written, svg[: sheet.start()])
    return start + sheet[0] + _TAG.sub(written, svg[sheet.end() :])


def _rules(sheet: str) -> Iterator[_Rule]:
    for selectors, body in _RULE.findall(_AT_RULE.sub("", sheet)):
        sets = dict(_looks(body))
        for selector in selectors.split(",") if sets else ():
            parts = tuple(_parts(selector))
            weight = sum(len(part.classes) for part in parts), sum(bool(part.tag) for part in parts)
            yield _Rule(weight, parts, sets)


def _looks(body: str) -> Iterator[tuple[str, str]]:
    """The declarations that are attributes as well; those with a variable stand there a second time, written out."""
    for declaration in body.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        font = _FONT.fullmatch(value) if name == "font" else None
        if font is not None:
            names = ("font-weight", "font-size", "font-family")
            yield from zip(names, (font[1] or "400", font[2], font[3]), strict=True)
        elif name in _ATTRIBUTES and "var(" not in value:
            yield name, value


def _parts(selector: str) -> Iterator[_Part]:
    child = False
    for word in selector.split():
        if word == ">":
            child = True
            continue
        tag, *classes = word.split(".")
        yield _Part(tag, frozenset(classes), child)
        child = False


def _selects(parts: tuple[_Part, ...], path: list[_Place]) -> bool:
    """Whether a selector's last part is the innermost element and the others lie around it, in order."""
    if not parts[-1].fits(*path[-1]):
        return False
    if len(parts) == 1:
        return True
    ends = range(len(path) - 1, len(path) - 2, -1) if parts[-1].child else range(len(path) - 1, 0, -1)
    return any(_selects(parts[:-1], path[:end]) for end in ends if end > 0)
