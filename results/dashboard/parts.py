"""Small pieces of the page. Dash writes every text as text: nothing from a study can become markup."""

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component


def aria(**said: str) -> dict[str, Any]:
    """Attributes for those who hear the page: ``live`` is written ``aria-live``."""
    return {f"aria-{name}": text for name, text in said.items()}


def missing(sentence: str) -> Component:
    """Say what is not there, where it would stand."""
    return html.P(sentence, className="missing")


def scroll(label: str, wide: Component, kind: str = "") -> Component:
    """Put something that may be wider than the page, or long, into a box of its own that the keyboard reaches."""
    return html.Div(wide, className=f"scroll {kind}".strip(), tabIndex=0, role="region", **aria(label=label))


def table(heads: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Component:
    """A table whose first column names the rows."""
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in heads]))
    body = [html.Tr([html.Th(row[0], scope="row"), *(html.Td(cell) for cell in row[1:])]) for row in rows]
    return html.Table([head, html.Tbody(body)])


def labelled(text: str, control: Component, name: str) -> Component:
    """A control below its label."""
    return html.Div([html.Label(text, htmlFor=name, id=f"{name}-label"), control], className="control")


def frame(name: str, label: str, kind: str) -> Component:
    """A place for a chart, which the browser puts there, with a name for those who cannot see it."""
    said = aria(label=label)
    return html.Div(id=f"{name}-frame", className=f"chart {kind}", tabIndex=0, role="group", **said)
