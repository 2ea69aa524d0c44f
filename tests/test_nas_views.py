"""What ``nas audit`` and ``nas show`` print and draw."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nas.views import audit_text
from search_spaces.architecture import from_data
from search_spaces.principles import Thresholds, audit
from search_spaces.seeds import seed

SVG = "{http://www.w3.org/2000/svg}"


def _nas(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, timeout=60, env=os.environ | environment
    )


def _drawn(path: Path) -> set[str]:
    groups = ET.parse(path).getroot().iter(SVG + "g")
    return {group.get("data-node", "") for group in groups} - {""}


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_audit_keeps_to_the_width_and_says_everything(width: int) -> None:
    found = audit(seed("inception-v3"))
    text = audit_text(found, width)
    assert (
        max(map(len, text.splitlines())) <= max(40, min(width, 110)) + 20
    )  # a heading of verdict and place is one line
    assert text.endswith("\npassed")
    words = " ".join(text.split())
    for finding in (*found.principles, *found.rules):
        assert finding.name in words
        assert " ".join(finding.sentence.split()) in words
        assert finding.where in words


def test_the_audit_tells_ok_off_and_fail_apart() -> None:
    data = seed("inception-v3").as_data()
    data["stages"][1]["reduction"] = [["max 3x3/2 valid", "conv 1x1 768"]]
    found = audit(from_data(data), thresholds=Thresholds(off=("parallel_reduction",)))
    lines = audit_text(found, 80).splitlines()
    assert re.fullmatch(r"FAIL bottleneck +0\.39 at least 0\.50 stage2\.reduction", lines[0])
    assert any(re.fullmatch(r"off +parallel_reduction +1 at most 0 +stage2\.reduction", line) for line in lines)
    assert any(line.startswith("ok   embedding") for line in lines)
    assert lines[-1] == "violated: bottleneck"


def test_the_audit_for_programs_carries_the_picture(tmp_path: Path) -> None:
    done = _nas("audit", "inception-v3", "--json", "--svg", "new/folder/v3.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    bottleneck = found["principles"][0]
    worst = min(found["representation"], key=lambda segment: segment["ratio"])
    assert worst.keys() == {"segment", "unit", "start", "depth", "elements", "line", "ratio"}
    assert (worst["ratio"], worst["unit"]) == (bottleneck["value"], bottleneck["where"])
    assert worst["elements"] == 81_920
    assert found["line"] == {"from": 268_203, "to": 131_072.0, "share": bottleneck["threshold"]}
    assert [region["name"] for region in found["regions"]][:3] == ["stem", "stage1", "stage2.reduction"]
    root = ET.parse(tmp_path / "new" / "folder" / "v3.svg").getroot()
    assert len([dot for dot in root.iter(SVG + "circle") if dot.get("data-segment")]) == len(found["representation"])


@pytest.mark.parametrize("columns", [40, 80])
def test_the_audit_without_a_terminal(tmp_path: Path, columns: int) -> None:
    done = _nas("audit", "inception-v3", cwd=tmp_path, COLUMNS=str(columns), PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    picture = done.stdout[done.stdout.index("representation size") :]
    assert max(map(len, picture.splitlines())) <= columns
    assert "stage3.reduction" in picture


def test_the_audit_where_unicode_cannot_be_written(tmp_path: Path) -> None:
    done = _nas("audit", "inception-v3", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "X worst: stage3.reduction" in done.stdout


def test_a_drawing_has_the_auxiliary_heads_where_they_fit(tmp_path: Path) -> None:
    done = _nas("show", "inception-v3", "--svg", "v3.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n\ndrawing: v3.svg\n")
    assert "auxiliary heads, for training only: 3.33 M parameters" in done.stdout
    assert "aux1.linear" in _drawn(tmp_path / "v3.svg")
    small = _nas("show", "inception-v3", "--resolution", "75", "--svg", "small.svg", cwd=tmp_path)
    assert small.returncode == 0, small.stderr
    assert "auxiliary" not in small.stdout
    assert "aux1.linear" not in _drawn(tmp_path / "small.svg") >= {"head.linear"}


@pytest.mark.parametrize("command", ["show", "audit"])
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("folder", "'folder' is a folder: name a file in it, such as 'folder/drawing.svg'"),
        ("folder.svg", "'folder.svg' is a folder"),
        ("picture.png", "'picture.png' does not end in .svg"),
        ("picture", "'picture' does not end in .svg"),
        ("", "name a file"),
        ("file/picture.svg", "picture.svg cannot be written to 'file'"),
    ],
)
def test_where_a_drawing_cannot_go(tmp_path: Path, command: str, file: str, sentence: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.svg").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    done = _nas(command, "inception-v3", "--svg", file, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before
