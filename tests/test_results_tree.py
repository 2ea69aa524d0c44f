import re

import pytest

from results.tree import draw_text
from search_spaces.architecture_file import from_data
from search_spaces.seeds import seed


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


def test_towers_inside_a_stem_stand_in_brackets() -> None:
    data = seed("inception-v3").as_data()
    data["stem"][3] = [["max 3x3/2 valid"], ["conv 1x1 64", "conv 3x3/2 96 valid"]]
    stem = draw_text(from_data(data).graph()).splitlines()[1]
    assert "3x3 64 - (max 3x3/2, 1x1 64 - 3x3/2 96) - 1x1 80" in stem


@pytest.mark.parametrize("width", [40, 80, 90, 120])
def test_text_keeps_to_the_width_and_loses_nothing(width: int) -> None:
    graph = seed("inception-v3").graph(299, aux=True)
    lines = draw_text(graph, width=width).splitlines()
    fixed = draw_text(graph).splitlines()[1].index("3x3/2")  # unit and figures are never cut
    assert max(map(len, lines)) <= max(
        width, fixed, len("auxiliary heads, for training only: 3.33 M parameters, 5.69 M MACs")
    )
    assert "".join("".join(lines).split()) == "".join(draw_text(graph).split())
    assert not any(line.strip().startswith(("-", "|", ",")) for line in lines)


def test_in_a_narrow_terminal_towers_get_lines_of_their_own() -> None:
    lines = draw_text(seed("inception-v3").graph(299), width=80).splitlines()
    assert re.fullmatch(r"stage1.module1 +35 x 35 +256 +312 M +5.5 %", lines[3])
    assert lines[4] == "    1x1 64 | 1x1 48 - 5x5 64 | 1x1 64 - 3x3 96 - 3x3 96 | avg 3x3 - 1x1 32"
