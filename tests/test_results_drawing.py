import copy
import random
import re
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from results.blocks import blocks, folded, quantity, short_text
from results.drawing import draw_svg, draw_text
from search_spaces.architecture import Architecture, from_data
from search_spaces.graph import Graph
from search_spaces.operations import Conv
from search_spaces.seeds import seed

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = """</text><script>alert(1)</script> "quoted" & 'single' \x00\x1b[31m \ud800 ]]>"""


def _varied(random_seed: int) -> Architecture:
    """Inception-v3 with other widths, twenty modules that differ, and what it has not: odd towers, two heads."""
    draw = random.Random(random_seed)
    data = copy.deepcopy(seed("inception-v3").as_data())
    first, second, third = data["stages"]

    def vary(module: list[list[object]]) -> list[list[object]]:
        """Embeddings of other widths: the first 1x1 of each tower of several steps."""
        width = f"conv 1x1 {draw.randrange(8, 400, 8)}"
        return [[width, *tower[1:]] if len(tower) > 1 and "conv" in str(tower[0]) else tower for tower in module]

    first["modules"] = [*(vary(first["modules"][0]) for _ in range(5)), [["conv 3x3 256 bias linear"]]]
    second["modules"] = [vary(draw.choice(second["modules"])) for _ in range(10)]
    second["modules"][3][2].insert(1, ["conv 1x15 4096", "conv 15x1 4096", "conv 3x3 64"])
    second["reduction"] = [["max 3x3/2 valid", "conv 1x1 512"]]
    third["modules"] = [vary(third["modules"][0]) for _ in range(4)]
    steps = ["avg 5x5/3 valid", "conv 1x1 128", "conv 1x1 64"]
    data["aux"] = [{"after": f"stage2.module{m}", "steps": steps} for m in (2, 3, 4)]
    return from_data(data | {"name": "varied"})


def _graphs() -> list[Graph]:
    v3 = seed("inception-v3")
    return [
        v3.graph(299),
        v3.graph(299, aux=True),
        v3.graph((320, 256), classes=10),
        v3.graph(79, classes=2),
        *(_varied(number).graph(299, aux=True) for number in range(4)),
    ]


def _texts(part: ET.Element, kind: str = "text") -> list[str]:
    """The visible words of every text element: without tooltips."""
    found = []
    for text in part.iter(SVG + kind):
        tip = text.find(SVG + "title")
        found.append("".join(text.itertext()).removeprefix((tip.text or "") if tip is not None else ""))
    return found


def _group(root: ET.Element, unit: str) -> ET.Element:
    def named(group: ET.Element) -> bool:
        return "block" in group.get("class", "").split() and any(re.match(rf"{unit}\b", text) for text in _texts(group))

    return next(group for group in root.iter(SVG + "g") if named(group))


@pytest.mark.parametrize("graph", _graphs())
def test_svg_is_valid_xml_and_shows_every_operation(graph: Graph) -> None:
    root = ET.fromstring(draw_svg(graph, title="x"))
    drawn: Counter[str] = Counter()
    for block in folded(blocks(graph)):
        for text in _texts(_group(root, re.escape(block.label))):
            drawn[text] += len(block.units)
    wanted = Counter(short_text(node.operation) for node in graph if isinstance(node.operation, Conv))
    assert {text: drawn[text] for text in wanted} == wanted
    pools = Counter(short_text(n.operation) for n in graph if n.operation.text().split()[0] in ("max", "avg", "global"))
    assert {text: drawn[text] for text in pools} == pools


@pytest.mark.parametrize("graph", _graphs())
def test_svg_shows_every_grid_and_the_channels_between_blocks(graph: Graph) -> None:
    root = ET.fromstring(draw_svg(graph))
    bands = [text.text for text in root.iter(SVG + "text") if text.get("class") == "grid"]
    main = [node for node in graph if not node.name.startswith("aux")]
    ends = {f"{block.shape.height} x {block.shape.width}" for block in blocks(graph) if block.kind != "aux"}
    assert ends | {f"{graph.input.shape.height} x {graph.input.shape.width}"} <= set(bands)
    assert set(bands) <= {f"{node.shape.height} x {node.shape.width}" for node in main}
    channels = [text.split()[-1] for text in _texts(root) if text.isdigit()]
    assert channels == [
        str(block.shape.channels) for block in folded(blocks(graph)) if block.kind not in ("aux", "head")
    ]


@pytest.mark.parametrize("graph", _graphs())
def test_no_box_leaves_the_page_or_lies_on_another(graph: Graph) -> None:
    root = ET.fromstring(draw_svg(graph))
    width, height = (float(size) for size in root.get("viewBox", "").split()[2:])
    boxes = []
    for group in root.iter(SVG + "g"):
        if group.get("data-node") is None:
            continue
        shape = group.find(f"{SVG}rect[@class='shape']")
        if shape is not None:
            x, y, w, h = (float(shape.get(key, "")) for key in ("x", "y", "width", "height"))
        else:
            corners = [
                [float(c) for c in point.split(",")] for point in group.find(f"{SVG}polygon").get("points").split()
            ]
            (x, y), (w, h) = corners[0], (corners[1][0] - corners[0][0], corners[2][1] - corners[0][1])
        label = "".join(group.find(f"{SVG}text").itertext())
        assert len(label) * 7.3 <= w - 4, f"{label!r} is cut"
        assert x >= 0 <= y
        assert x + w <= width
        assert y + h <= height
        boxes.append((x, y, x + w, y + h))
    boxes.sort()
    for i, (_, top, right, bottom) in enumerate(boxes):
        for x, y, _, end in boxes[i + 1 :]:
            assert x >= right or y >= bottom or end <= top
            if x >= right:
                break


def test_title_is_escaped_and_what_xml_forbids_is_replaced() -> None:
    svg = draw_svg(seed("inception-v3").graph(299), title=HOSTILE)
    root = ET.fromstring(svg.encode())
    assert not list(root.iter(SVG + "script"))
    assert "<script" not in svg
    assert "alert(1)" in root.get("aria-label", "")


def test_svg_stands_alone_in_both_colour_schemes() -> None:
    svg = draw_svg(seed("inception-v3").graph(299))
    assert "prefers-color-scheme: dark" in svg
    assert re.findall(r"https?://[^\"' ]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in svg
    assert "@import" not in svg


def test_reductions_strides_and_auxiliary_heads_look_different() -> None:
    graph = seed("inception-v3").graph(299, aux=True)
    root = ET.fromstring(draw_svg(graph))
    kinds = Counter(group.get("class") for group in root.iter(SVG + "g") if "block" in group.get("class", ""))
    assert kinds == {"block stem": 1, "block module": 6, "block reduction": 2, "block head": 1, "block aux": 1}
    strided = {group.get("data-node") for group in root.iter(SVG + "g") if "strided" in group.get("class", "").split()}
    assert strided - {None} == {node.name for node in graph if "/" in node.operation.text()}
    right_of_main = max(float(rect.get("x", "0")) for rect in _group(root, "stem").iter(SVG + "rect"))
    assert min(float(rect.get("x", "0")) for rect in _group(root, "aux1").iter(SVG + "rect")) > right_of_main


def test_runs_of_like_modules_are_drawn_once_unless_a_head_hangs_between_them() -> None:
    data = seed("inception-v3").as_data()
    data["stages"][1]["modules"] = [data["stages"][1]["modules"][0]] * 5
    data["aux"][0]["after"] = "stage2.module2"
    graph = from_data(data).graph(299, aux=True)
    labels = [block.label for block in folded(blocks(graph)) if block.label.startswith("stage2.module")]
    assert labels == ["stage2.module1-2", "stage2.module3-5"]
    texts = _texts(ET.fromstring(draw_svg(graph)))
    assert "stage2.module1-2 x 2" in texts
    assert "stage2.module3-5 x 3" in texts


def test_text_of_inception_v3() -> None:
    lines = draw_text(seed("inception-v3").graph(299, aux=True)).splitlines()
    assert re.split(" {2,}", lines[5]) == [
        "stage2.module1", "17 x 17", "768", "374 M", "6.5 %",
        "1x1 192 | 1x1 128 - 1x7 128 - 7x1 192 | 1x1 128 - 7x1 128 - 1x7 128 - 7x1 128 - 1x7 192 | avg 3x3 - 1x1 192",
    ]  # fmt: skip
    columns = [line.index(" %") for line in lines[1:-2]]
    assert len(set(columns)) == 1  # shares and what stands before them end in one column
    assert lines[9].startswith("stage3.module1-2 x 2")
    assert "1x1 384 - (1x3 384, 3x1 384) | 1x1 448 - 3x3 384 - (1x3 384, 3x1 384) |" in lines[9]
    assert [line.split()[0] for line in lines] == [
        "unit", "stem", "stage1.module1", "stage1.module2-3", "stage2.reduction", "stage2.module1", "stage2.module2-3",
        "stage2.module4", "stage3.reduction", "stage3.module1-2", "head", "aux1", "network:", "auxiliary",
    ]  # fmt: skip
    assert lines[-2] == "network: 23.8 M parameters, 5.71 G MACs"
    shares = [float(line.split(" %")[0].split()[-1]) for line in lines[1:-3]]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_text_keeps_to_the_width_and_loses_nothing() -> None:
    graph = seed("inception-v3").graph(299, aux=True)
    narrow = draw_text(graph, width=90).splitlines()
    assert max(map(len, narrow)) <= 90
    assert "".join("".join(narrow).split()) == "".join(draw_text(graph).split())
    assert not any(line.strip().startswith(("-", "|", ",")) for line in narrow)
    assert draw_text(graph, width=40) == draw_text(graph)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (640, "640"), (999_600, "1.00 M"), (23_834_568, "23.8 M"), (5_713_216_096, "5.71 G"), (312e6, "312 M")],
)
def test_quantity(number: float, text: str) -> None:
    assert quantity(number) == text
