import copy
import random
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from architectures import architectures
from hypothesis import given
from hypothesis import strategies as st

from results.blocks import blocks, folded, quantity, short_text
from results.drawing import draw_svg
from results.marked import Marked
from results.markup import asset
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.graph import Graph
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


def _stem_with_modules() -> Architecture:
    """Inception-v3 with towers in its stem, a normalisation, and an auxiliary head with a hidden layer."""
    data = seed("inception-v3").as_data()
    bank = ["conv 1x3 32", "conv 3x1 32"]
    data["stem"][3] = [["max 3x3/2 valid"], ["conv 1x1 64", bank, "conv 3x3/2 96 valid"]]
    data["stem"].insert(4, "lrn 5")
    data["aux"][0]["steps"] = ["adaptive 4x4", "conv 1x1 128", "linear 1024 relu", "dropout 0.7"]
    return from_data(data)


def _graphs() -> list[Graph]:
    v3 = seed("inception-v3")
    return [
        v3.graph(299),
        v3.graph(299, aux=True),
        v3.graph((320, 256), classes=10),
        v3.graph(79, classes=2),
        _stem_with_modules().graph(299, aux=True),
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


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _shape_box(group: ET.Element) -> Box:
    """Where the rectangle or polygon of an operation lies."""
    rect = group.find(f"{SVG}rect")
    if rect is not None:
        return _rect_box(rect)
    polygon = group.find(f"{SVG}polygon")
    assert polygon is not None
    corners = _points(polygon)
    (xs, ys) = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _rect_box(rect: ET.Element) -> Box:
    x, y, width, height = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def _points(line: ET.Element) -> list[tuple[float, float]]:
    pairs = (point.split(",") for point in line.get("points", "").split())
    return [(float(x), float(y)) for x, y in pairs]


def _operations(root: ET.Element) -> dict[str, ET.Element]:
    found = [group for group in root.iter(SVG + "g") if group.get("data-node") is not None]
    drawn = {group.get("data-node", ""): group for group in found}
    assert len(drawn) == len(found), "a node is drawn twice"
    return drawn


def _apart(boxes: Iterable[Box]) -> bool:
    ordered = sorted(boxes)
    for i, (_, top, right, bottom) in enumerate(ordered):
        for x, y, _, end in ordered[i + 1 :]:
            if x >= right:
                break
            if y < bottom and top < end:
                return False
    return True


def _check_drawing(graph: Graph, svg: str) -> None:
    """Every node is drawn once, nothing overlaps or leaves the page, words fit their boxes, lines avoid the frames."""
    root = ET.fromstring(svg)
    drawn, runs = _operations(root), folded(blocks(graph))
    own = {node.name for block in runs for node in block.nodes if node.unit == block.units[0]}
    assert drawn.keys() == own | {"input"}
    assert {unit for block in runs for unit in block.units} == {node.unit for node in graph} - {"input"}
    _, _, width, height = (float(size) for size in root.get("viewBox", "").split())
    operations = {name: _shape_box(group) for name, group in drawn.items()}
    assert _apart(operations.values())
    for name, (left, _, right, _) in operations.items():
        words = _texts(drawn[name])
        assert all(len(text) * 7.3 <= right - left - 8 for text in words), words
        assert words == [short_text(graph[name].operation)] or graph[name].operation.text() == "concat"
    groups = [group for group in root.iter(SVG + "g") if (group.get("class") or "").startswith("block ")]
    frames = [_rect_box(group.findall(f"{SVG}rect[@class='frame']")[-1]) for group in groups]
    assert _apart(frames)
    for group, (left, top, right, bottom) in zip(groups, frames, strict=True):
        inside = [_shape_box(op) for op in group.iter(SVG + "g") if op.get("data-node") is not None]
        assert all(left < x and top < y and end < right and low < bottom for x, y, end, low in inside)
    for rect in root.iter(SVG + "rect"):
        x, y, right, bottom = _rect_box(rect)
        assert 0 <= x <= right <= width
        assert 0 <= y <= bottom <= height
    for line in (*root.iter(SVG + "polyline"), *root.iter(SVG + "polygon")):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in _points(line))
    for line in root.findall(SVG + "polyline"):  # between the blocks
        for (x, y), (to_x, to_y) in pairwise(_points(line)):
            for left, top, right, bottom in frames:
                across = (min(x, to_x) < right and left < max(x, to_x)) or (x == to_x and left < x < right)
                down = (min(y, to_y) < bottom and top < max(y, to_y)) or (y == to_y and top < y < bottom)
                assert not (across and down), "a line runs through a block"


@pytest.mark.parametrize("columns", [1, 2, None])
@pytest.mark.parametrize("graph", _graphs())
def test_published_and_varied_architectures(graph: Graph, columns: int | None) -> None:
    _check_drawing(graph, draw_svg(graph, title="x", columns=columns))


@given(architectures(), st.sampled_from([1, 2, 3, None]), st.booleans())
def test_any_architecture(architecture: Architecture, columns: int | None, aux: bool) -> None:
    graph = architecture.graph(299, aux=aux)
    _check_drawing(graph, draw_svg(graph, columns=columns))


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


def test_a_page_is_not_much_higher_than_wide_and_columns_are_about_as_high() -> None:
    for graph in _graphs():
        root = ET.fromstring(draw_svg(graph, columns=None))
        _, _, width, height = (float(size) for size in root.get("viewBox", "").split())
        assert height <= 1.4 * width
        bottoms: dict[str, float] = {}
        for rect in root.iter(SVG + "rect"):
            if (rect.get("class") or "").startswith("band"):
                bottoms[rect.get("x", "")] = max(bottoms.get(rect.get("x", ""), 0.0), _rect_box(rect)[3])
        assert len(bottoms) > 1
        assert min(bottoms.values()) > 0.6 * max(bottoms.values())


def test_columns_read_from_left_to_right_and_each_tells_what_enters_it() -> None:
    graph = _varied(1).graph(299)
    root = ET.fromstring(draw_svg(graph, columns=3))
    boxes = {name: _shape_box(group) for name, group in _operations(root).items()}
    runs = folded(blocks(graph))
    ends = [boxes[[node.name for node in block.nodes if node.unit == block.units[0]][-1]] for block in runs]
    turns = [i for i, (one, other) in enumerate(pairwise(ends)) if other[1] < one[1]]
    assert len(turns) == 2
    assert all(ends[turn + 1][0] > ends[turn][2] for turn in turns)
    channels = [text for text in _texts(root) if text.isdigit()]
    assert len(channels) == len(ends) - 1 + len(turns)
    bands = {rect.get("x") for rect in root.iter(SVG + "rect") if (rect.get("class") or "").startswith("band")}
    assert len(bands) == 3


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


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (640, "640"), (999_600, "1.00 M"), (23_834_568, "23.8 M"), (5_713_216_096, "5.71 G"), (312e6, "312 M")],
)
def test_quantity(number: float, text: str) -> None:
    assert quantity(number) == text


def test_colours_stand_in_words_too_for_programs_that_know_no_variables() -> None:
    drawn = draw_svg(seed("inception-v3").graph(299), title="v3", columns=None)
    used = re.findall(r"([a-z-]+): ([^;{}]*); \1: [^;{}]*var\(", drawn)
    assert len(used) > 10
    assert not any("var(" in value for _, value in used)
    assert len(re.findall(r"[a-z-]+:[^;{}]*var\([^;{}]*", drawn)) == len(used)
    assert "fill: #1b1f24; fill: var(--ink)" in drawn


# ------------------------------------------------------------------------------------------------------- what is marked


def _differing(root: ET.Element) -> list[str]:
    return [group.get("data-node") or group.get("class", "") for group in root.iter(SVG + "g")
            if "differs" in group.get("class", "").split()]  # fmt: skip


def test_what_is_marked_has_an_outline_of_its_own_and_a_legend_and_leaves_its_run() -> None:
    graph = seed("inception-v3").graph(299)
    assert _differing(ET.fromstring(draw_svg(graph, marked=Marked()))) == []
    node = "stage2.module3.tower2.1"
    root = ET.fromstring(draw_svg(graph, marked=Marked(frozenset({node}), frozenset({"stage1.module2"}))))
    assert _differing(root) == ["block module differs", node, "key differs"]
    labels = [_texts(group)[0] for group in root.iter(SVG + "g") if "block" in group.get("class", "").split()]
    assert [label for label in labels if label.startswith("stage1")] == [
        "stage1.module1", "stage1.module2", "stage1.module3"]  # fmt: skip
    assert "stage2.module3" in labels  # which is drawn with module 2 where neither is marked
    both = Marked(frozenset({f"stage2.module{number}.tower2.1" for number in (2, 3)}))
    assert "stage2.module2-3 x 2" in _texts(ET.fromstring(draw_svg(graph, marked=both)))
    legend = _group_of(root, "key differs")
    (box,) = (_rect_box(rect) for rect in legend.iter(SVG + "rect"))
    assert box[2] + 60 < float(root.get("width", ""))


def _group_of(root: ET.Element, kind: str) -> ET.Element:
    return next(group for group in root.iter(SVG + "g") if group.get("class") == kind)


def test_the_mark_is_no_matter_of_colour_alone() -> None:
    style = asset("drawing.css")
    (rule,) = re.findall(r"\.op\.differs \.shape[^{]*\{([^}]*)\}", style)
    assert "stroke-width: 4" in rule
    others = [float(width) for width in re.findall(r"\.shape \{[^}]*stroke-width: ([\d.]+)", style)]
    assert max(width for width in others if width < 4) <= 2.5
    assert style.count("--differs:") == 2  # light and dark
