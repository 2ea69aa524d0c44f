"""Tables that do not fit: their cells go below each other, whole."""

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from results.narrow import narrowed, needed_width


def table() -> Table:
    made = Table(title="Title", caption="Caption")
    made.add_column("name", overflow="fold", min_width=8)
    made.add_column("the\nfigure", no_wrap=True, justify="right")
    made.add_row(Text("a-rather-long-name"), "1,234,567.89 ms", style="bold")
    made.add_row(Text("[b]"), "2 ms")
    return made


def printed(what: Table, width: int) -> list[str]:
    terminal = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    terminal.print(what)
    assert isinstance(terminal.file, io.StringIO)
    return [line.rstrip() for line in terminal.file.getvalue().splitlines()]


def test_a_table_takes_what_its_figures_and_the_narrowest_names_take() -> None:
    assert needed_width(table()) == 8 + 15 + 7  # and the lines with a space on each side


@pytest.mark.parametrize("width", [30, 31, 100])
def test_a_table_that_fits_is_left_alone(width: int) -> None:
    made = table()
    assert narrowed(made, width) is made
    assert any("1,234,567.89 ms" in line for line in printed(made, width))


def test_one_that_does_not_is_listed() -> None:
    assert printed(narrowed(table(), 29), 29) == [
        "Title",
        "name        a-rather-long-nam",
        "            e",
        "the figure  1,234,567.89 ms",
        "",
        "name        [b]",
        "the figure  2 ms",
        "Caption",
    ]
