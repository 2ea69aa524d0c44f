"""Texts from outside in Markdown: whatever they hold, they are shown as they are and end nothing around them."""

import re
from collections.abc import Iterable, Sequence

from results.plain_text import plain

MOST_LETTERS = 300  # of one text
_SPECIAL = re.compile(
    r"[&<>\\$@#`*\[\]|~!{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
    r"|(?<=[A-Za-z]):(?=//)|(?<=www)\.",  # renderers make links of addresses
    re.IGNORECASE,
)
_ESCAPED = "`*[]|~!{}_"  # by a backslash; of the others formulas, mentions and HTML are made before that counts


def text(value: object) -> str:
    """Return a text on one line, of at most 300 letters, without any meaning in Markdown, HTML or a table."""
    return _SPECIAL.sub(lambda mark: f"\\{mark[0]}" if mark[0] in _ESCAPED else f"&#{ord(mark[0])};", one_line(value))


def one_line(value: object) -> str:
    """Return a text on one line with what cannot be printed written as its escape, cut at 300 letters."""
    line = plain(" ".join(str(value).split()))
    return line if len(line) <= MOST_LETTERS else f"{line[: MOST_LETTERS - 3]}..."


def code(value: object) -> str:
    """Return a text in a code span; inside of it nothing is escaped, so that a long enough fence ends it."""
    line = one_line(value).replace("|", "¦")  # a table's cells end even within code
    if not line:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{room}{line}{room}{fence}"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> list[str]:
    """Return the lines of a table of finished cells; ``numbers``: the columns that are set to the right."""
    right = set(numbers)
    rule = ["---:" if column in right else "---" for column in range(len(heading))]
    return [f"| {' | '.join(cells)} |" for cells in (heading, rule, *rows)]


def fenced(language: str, source: str) -> list[str]:
    """Return the lines of a block of our own source."""
    return [f"```{language}", *source.rstrip("\n").split("\n"), "```"]
