"""Looks as attributes: what a browser draws by the sheet, it draws without it."""

import re
from xml.etree import ElementTree

import pytest

from results.drawing import draw_svg
from results.inked import inked
from search_spaces.seeds import seed

SVG = "{http://www.w3.org/2000/svg}"


def drawn(css: str, *children: str) -> ElementTree.Element:
    sheet = f"<style>{css}</style>"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" class="root">{sheet}{"".join(children)}</svg>'
    return ElementTree.fromstring(inked(svg).replace(sheet, ""))


def test_the_last_of_equals_and_the_heavier_rule_win() -> None:
    css = ".root .a { fill: red; } .root .b { fill: blue; }"
    css += ".root text { stroke: green; } .root .a text { stroke: pink; }"
    svg = drawn(css, '<g class="b a"><text>x</text></g>', "<text>y</text>")
    group, text = svg.findall(f"{SVG}g")[0], svg.findall(f"{SVG}text")[0]
    assert group.get("fill") == "blue"
    assert group[0].get("stroke") == "pink"
    assert text.get("stroke") == "green"


def test_children_classes_and_the_dark_are_told_apart() -> None:
    css = "@media (prefers-color-scheme: dark) { .root { fill: black; } }"
    css += ".root .x.y > .z { fill: red; } .root { fill: white; }"
    nested = '<g class="x y"><g class="z"></g><g><g class="z"></g></g></g>'
    svg = drawn(css, nested, '<g class="x"><g class="z"></g></g>')
    both, one = svg.findall(f"{SVG}g")
    assert svg.get("fill") == "white"
    assert both[0].get("fill") == "red"
    assert both[1][0].get("fill") is None
    assert one[0].get("fill") is None


def test_fonts_are_written_out_and_given_attributes_stay() -> None:
    css = '.root { font: 12px system-ui, "DejaVu Sans"; } .root .a { fill: red; }'
    svg = drawn(css, '<g class="a" fill="blue"></g>')
    assert (svg.get("font-size"), svg.get("font-family")) == ("12px", 'system-ui, "DejaVu Sans"')
    assert svg[0].get("fill") == "blue"


@pytest.mark.parametrize("name", ["inception-v3", "googlenet"])
def test_a_drawing_keeps_its_sheet_and_every_shape_has_a_colour(name: str) -> None:
    plain = draw_svg(seed(name).graph(aux=True), title=name, columns=None)
    svg = inked(plain)
    assert re.sub(r' (fill|stroke|font|opacity|paint|text)(-[a-z]+)?="[^"]*"', "", svg) == re.sub(
        r' (fill|stroke|font|opacity|paint|text)(-[a-z]+)?="[^"]*"', "", plain
    )
    assert "var(" not in re.sub(r"<style>.*?</style>", "", svg, flags=re.DOTALL)
    for shape in ElementTree.fromstring(svg).iter():
        if shape.tag in (f"{SVG}rect", f"{SVG}polygon", f"{SVG}polyline", f"{SVG}circle"):
            assert shape.get("fill") or shape.get("stroke"), ElementTree.tostring(shape)


def test_what_has_no_sheet_stays_as_it_is() -> None:
    assert inked("<svg><g></g></svg>") == "<svg><g></g></svg>"
