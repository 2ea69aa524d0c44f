"""What ``nas audit`` and ``nas show`` print and draw."""

import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from nas.config import SPACE_DIGEST, SearchConfig
from nas.study import Found, Study, load_architecture
from nas.views import after_search, architecture_text, audit_found, audit_text, front_blocks
from results.outcome import Outcome, StudyRecord, TrialRecord
from search_spaces.architecture_file import from_data
from search_spaces.cost import cost
from search_spaces.errors import RequestError, SearchFailed
from search_spaces.principles import Thresholds, audit
from search_spaces.seeds import seed
from search_spaces.space import space

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


STRICT = """\
base: inception
name: strict
resolution: 315
thresholds: {bottleneck: 0.6, off: [balance]}
"""


def test_the_audit_goes_by_a_space_and_says_whether_the_architecture_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "strict.yaml").write_text(STRICT, encoding="utf-8")
    own = audit_found(Found(seed("inception-v3")), None, None)
    assert (own.resolution, own.audit, own.space) == (299, audit(seed("inception-v3")), None)
    assert own.text(200) == f"inception-v3 at 299 px, by the project's own thresholds\n\n{audit_text(own.audit, 200)}"
    by = audit_found(Found(seed("inception-v3")), None, str(tmp_path / "strict.yaml"))
    searched = space(str(tmp_path / "strict.yaml"))
    assert (by.resolution, by.audit, by.audit.off) == (315, searched.audit(seed("inception-v3")), ("balance",))
    assert by.profile.share == by.audit.principles[0].threshold == 0.6
    assert by.text(200).startswith("inception-v3 at 315 px, by the thresholds of the space 'strict'\n\nFAIL bottleneck")
    assert by.outside is not None
    assert "\nviolated: bottleneck\n\noutside the space 'strict': stage3.reduction.short.output" in by.text(200)
    assert " ".join(by.text(200).split()).endswith(by.outside)
    inside = audit_found(Found(searched.sample(random_seed=1)), None, str(tmp_path / "strict.yaml"))
    assert inside.text(200).endswith("\npassed\n\ninside the space 'strict'")
    other = audit_found(Found(seed("inception-v3")), 299, str(tmp_path / "strict.yaml"))
    assert (other.resolution, other.audit) == (299, audit(seed("inception-v3"), 299, searched.thresholds))


def test_a_trial_goes_by_the_space_of_its_study(tmp_path: Path) -> None:
    (tmp_path / "strict.yaml").write_text(STRICT, encoding="utf-8")
    searched = space(str(tmp_path / "strict.yaml"), 331)
    search = {"space": str(tmp_path / "strict.yaml"), "target": {"resolution": 331}, SPACE_DIGEST: searched.digest}
    record = StudyRecord("tried", "", search, "", {"error": "minimize"}, "complete", {})
    found = Found(seed("inception-v3"), Study(record, (), tmp_path))
    audited = audit_found(found, None, None)
    assert (audited.audit, audited.resolution) == (searched.audit(seed("inception-v3")), 331)
    assert "by the thresholds of the space 'strict' of study 'tried'\n" in audited.text(200)
    assert "space" not in audited.as_data()
    assert audit_found(found, None, "inception").audit == space("inception").audit(seed("inception-v3"))
    shown = architecture_text(found, 331, 10, 110)
    assert shown.endswith(audit_text(searched.audit(seed("inception-v3")), 110))

    (tmp_path / "strict.yaml").write_text(STRICT.replace("0.6", "0.4"), encoding="utf-8")
    changed = audit_found(found, None, None)
    assert changed.audit.principles[0].threshold == 0.4
    assert "of the space 'strict' of study 'tried', which has changed since\n" in changed.text(200)

    (tmp_path / "strict.yaml").unlink()
    with pytest.raises(RequestError, match=r"the space '.*strict\.yaml' of study 'tried' cannot be read: there is no"):
        audit_found(found, None, None)
    assert "\n\nnot audited: the space '" in architecture_text(found, 331, 10, 110)


def test_the_audit_for_programs_carries_the_picture(tmp_path: Path) -> None:
    done = _nas("audit", "inception-v3", "--json", "--svg", "new/folder/v3.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    v3 = seed("inception-v3")
    assert (found["architecture"], found["digest"], found["resolution"]) == ("inception-v3", v3.digest, 299)
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


BAD = """\
base: inception
name: bad
thresholds: {bottleneck: 0.6}
"""


@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_a_check_fails_if_what_counts_is_violated(tmp_path: Path, json_too: tuple[str, ...]) -> None:
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "off.yaml").write_text(BAD.replace("0.6", "0.6, off: [bottleneck]"), encoding="utf-8")
    for arguments, status in (
        (["inception-v3", "--check"], 0),
        (["inception-v3", "--space", "bad.yaml"], 0),
        (["inception-v3", "--space", "bad.yaml", "--check"], 1),
        (["inception-v3", "--space", "off.yaml", "--check"], 0),
    ):
        done = _nas("audit", *arguments, *json_too, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (status, ""), arguments
        assert "bottleneck" in done.stdout
    told = " ".join(_nas("audit", "--help", cwd=tmp_path).stdout.split())
    assert "nas audit my.yaml --check in CI" in told


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("command", [("seeds",), ("spaces",), ("cost", "inception-v3")])
def test_lists_keep_to_the_width(tmp_path: Path, command: tuple[str, ...], columns: int) -> None:
    done = _nas(*command, cwd=tmp_path, COLUMNS=str(columns))
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= columns
    wide = _nas(*command, cwd=tmp_path, COLUMNS="200")
    assert done.stdout.split() == wide.stdout.split()  # the same words, in the same order
    assert max(map(len, wide.stdout.splitlines())) <= 110


def test_a_stem_for_small_pictures_is_part_of_the_name(tmp_path: Path) -> None:
    """Table 2 of 1512.00567: 151 and 79 px at the cost of 299, up to the borders of the grids."""
    found = load_architecture("inception-v3@151", tmp_path)
    assert (found.name, found.resolution) == ("inception-v3-151px", 151)
    assert cost(found).macs == cost(seed("inception-v3")).macs
    assert [step.text() for step in load_architecture("inception-v3@79", tmp_path).stem[:3]] == [
        "conv 3x3 32 valid",
        "conv 3x3 32 valid",
        "conv 3x3 64",
    ]
    for wrong, sentence in (
        ("inception-v3@300", "from 1 to the 299 px of inception-v3 is allowed"),
        ("inception-v3@0", "from 1 to the 299 px"),
        ("incepton-v3@79", "did you mean 'inception-v3'"),
    ):
        with pytest.raises(RequestError, match=sentence):
            load_architecture(wrong, tmp_path)


def test_a_study_all_of_whose_trials_break_a_limit_has_no_best(tmp_path: Path) -> None:
    search = {"study": "s", "data": "digits", "seeds": ["inception-v3"], "trials": 1, "limits": {"macs": 1e9}}
    config = SearchConfig.from_data(search)
    objectives = {"error": "minimize", "macs": "minimize"}
    record = StudyRecord("s", "", config.model_dump(mode="json"), "", objectives, "complete", {})  # type: ignore[arg-type]
    dear = TrialRecord(
        study="s",
        number=0,
        digest="d" * 64,
        origin="seed",
        seed="inception-v3",
        architecture=seed("inception-v3").as_data(),
        costs={"macs": 5_713_216_096, "params": 23_834_568},
        outcome=Outcome.COMPLETE,
        values={"error": 0.1, "macs": 5_713_216_096.0},
        violations={"limit:macs": 4.7},
    )
    study = Study(record, (dear,), tmp_path)
    with pytest.raises(RequestError, match="no complete trial that keeps its limits yet"):
        study.best()
    with pytest.raises(SearchFailed, match="every complete trial of study 's' breaks a limit"):
        list(after_search(study, Console(file=io.StringIO())))
    assert "no complete trial keeps all limits" in (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    table, *_ = front_blocks(study, 80, "utf-8")
    console = Console(width=80)
    with console.capture() as said:
        console.print(table)
    assert "No complete trial keeps all limits." in said.get()
    assert "breaks a limit" in " ".join(said.get().replace("│", " ").split())


def test_a_name_cannot_steer_the_terminal() -> None:
    found = Found(seed("inception-v3").named("\x1b[2J\u202e"))
    for said in (architecture_text(found, None, 1000, 80), audit_found(found, None, None).text(80)):
        assert all(char.isprintable() or char == "\n" for char in said)
        assert "\\x1b[2J\\u202e at 299 px" in said
