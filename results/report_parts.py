"""Small pieces of the report's page, and what a section of it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.markup import Markup, element, join

Figure = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading. ``figures``: those of its charts, by the chart's name, in plotly's form."""

    name: str
    title: str
    content: Markup
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def markup(self) -> Markup:
        """The section as it stands on the page."""
        heading = element("h2", self.title, id=self.name)
        return element("section", heading, self.content, aria_labelledby=self.name)


def muted(*parts: object) -> Markup:
    """A remark."""
    return element("p", *parts, class_="muted")


def missing(sentence: str) -> Markup:
    """Say what is not there, where it would stand."""
    return element("p", sentence, class_="missing")


def scroll(label: str, wide: Markup) -> Markup:
    """Put something that may be wider than the page into a box of its own that the keyboard reaches."""
    return element("div", wide, class_="scroll", tabindex=0, role="region", aria_label=label)


def table(heads: Sequence[Markup], rows: Sequence[Markup]) -> Markup:
    """A table of rows that are written already."""
    return element("table", element("thead", element("tr", *heads)), element("tbody", *rows))


def figures_table(label: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    """A table whose first column names the row and whose others are figures."""
    written = [element("th", head, scope="col", class_="number" if n else None) for n, head in enumerate(heads)]
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell, class_="number") for cell in row[1:]))
        for row in rows
    ]
    return scroll(label, table(written, body))


def chart(name: str, label: str, *notes: object, low: bool = False) -> Markup:
    """An empty chart that report.js draws from the figure ``name`` of its section; ``label``: what it shows, in words.

    ``notes`` stand below it. ``low``: two thirds as high.
    """
    keys = "With the chart in focus, the arrow keys walk along its points."
    frame = element(
        "div",
        id=f"chart-{name}",
        class_="chart low" if low else "chart",
        data_figure=name,
        tabindex=0,
        role="group",
        aria_label=label,
        aria_describedby=f"chart-{name}-help",
    )
    return join(
        frame,
        element("p", *notes, " " if notes else "", keys, id=f"chart-{name}-help", class_="muted"),
        element("p", id=f"chart-{name}-reader", class_="reader", aria_live="polite"),
        element("noscript", missing("The chart needs JavaScript, which is off here; the table has the same figures.")),
    )
