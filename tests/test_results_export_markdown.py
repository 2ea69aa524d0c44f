"""Texts from outside in Markdown: shown as they are, by a renderer that knows everything they might mean."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from results.export.markdown import MOST_LETTERS, code, one_line, table, text

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
HOSTILE = [
    "a | b",
    "`code` ``more``",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[link](javascript:alert(1)) ![picture](https://example.org/x.png)",
    "**bold** _slanted_ ~~gone~~ snake_case_stays __init__",
    "two\nlines\r\nand\u2028three # not a heading",
    "ends with a backslash \\",
    "\\| \\` \\<b>",
    "&amp; &lt;b&gt; &#124;",
    "$$x^2$$ \\(y\\) \\\\(z\\\\)",
    "---",
    "1. one",
    "@somebody http://example.org www.example.org",
    "\x1b[31mred\x00",
    "{{template}} {% raw %}",
]


def shown(markdown: str) -> str:
    """What a reader sees of a line."""
    rendered = MARKDOWN.render(markdown)
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).strip()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_is_shown_as_it_is(hostile: str) -> None:
    rendered = MARKDOWN.render(f"Name: {text(hostile)}.")
    assert re.findall(r"<[^>]*>", rendered) == ["<p>", "</p>"]
    assert shown(f"Name: {text(hostile)}.") == f"Name: {one_line(hostile)}."


@given(st.text(max_size=60))
def test_any_text_stays_in_its_cell(any_text: str) -> None:
    rows = table(("name", "value"), [(text(any_text), "1")])
    rendered = MARKDOWN.render("\n".join(rows))
    assert set(re.findall(r"</?(\w+)", rendered)) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert rendered.count("<td") == 2
    cell = re.findall(r"<td[^>]*>(.*?)</td>", rendered, re.DOTALL)[0]
    assert html.unescape(cell).split() == one_line(any_text).split()


@pytest.mark.parametrize("hostile", ["`", "a``b", "``` x", "<b>", "plain.py", "a|b"])
def test_code_holds_anything(hostile: str) -> None:
    rendered = MARKDOWN.render(f"See {code(hostile)}.")
    [inside] = re.findall(r"<code>(.*?)</code>", rendered)
    assert html.unescape(inside) == hostile.replace("|", "¦")


def test_formulas_and_addresses_are_broken_before_they_are_looked_for() -> None:
    written = text("$$x$$ \\(y\\) http://example.org www.example.org @name")
    assert not re.search(r"\$|\\\(|://|www\.|@", written)


def test_long_texts_are_cut() -> None:
    assert len(one_line("x" * 1000)) == MOST_LETTERS
    assert one_line("x" * 1000).endswith("...")
