"""What ``nas space`` prints."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nas.space_view import MEANINGS, Explained, explain
from search_spaces import counting
from search_spaces.counting import Count
from search_spaces.principles import Thresholds
from search_spaces.seeds import seed_names
from search_spaces.space import SearchSpace, space

COUNTED = Count(12 * 10**44, False, 6 * 10**44, 10**46, "Knuth's estimator, 8 populations of 291 random walks")


def _nas(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, timeout=60, env=os.environ | environment
    )


def _changed(name: str, **changes: Any) -> SearchSpace:
    return SearchSpace(space(name).file.model_copy(update=changes))


def test_the_command_for_people(tmp_path: Path) -> None:
    done = _nas("space", "inception", cwd=tmp_path, COLUMNS="80", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "counting architectures ...\n"
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = " ".join(done.stdout.split())
    assert words.startswith("inception, for pictures of 299 px The Inception-v3 family")
    assert re.search(
        r"about \d\.\de4[45] \(95 % interval \d\.\de4[45] to \d\.\de4[56]; Knuth's estimator, 8 pop", words
    )
    assert "genes 81: 36 choices and 45 widths tied: modules of a stage share" in words
    assert "thresholds bottleneck 0.5, shrink 0.95" in words
    assert "off no principle is switched off" in words
    assert re.search(r"seeds inside [^:]*inception-v3\b", words)
    assert re.search(r"seeds outside [^:]*\bgooglenet\b[^:]*: the stem is not one of released, printed, seven", words)
    assert " short.embedding.first/last 16 to 96 by 16 filters of its 1x1 " in words
    assert " short.factorisation none, stacked, expanded of each n x n " in words
    assert " depth 1 to 5 modules " in words


def test_the_command_for_programs(tmp_path: Path) -> None:
    done = _nas("space", "inception", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["name"], found["resolution"], found["tied"], found["fixed"]) == ("inception", 299, True, {})
    assert found["notes"].startswith("The Inception-v3 family")
    assert [gene["name"] for gene in found["genes"]] == [gene.name for gene in space("inception").genes]
    genes = {gene.pop("name"): gene for gene in found["genes"]}
    assert genes["stage1.depth"] == {"choices": [1, 2, 3, 4, 5]}
    assert genes["stage1.long.output.last"] == {"range": {"low": 32, "high": 160, "step": 16}}
    assert genes["final"] == {"range": None}
    distinct = found["distinct"]
    assert distinct.keys() == {"value", "log10", "exact", "low", "high", "method"}
    assert (distinct["value"], distinct["exact"]) == (None, False)
    assert 44 < distinct["low"] < distinct["log10"] < distinct["high"] < 47
    assert found["thresholds"]["bottleneck"] == 0.5
    assert found["thresholds"]["off"] == []
    assert tuple(found["seeds"]) == seed_names()
    assert found["seeds"]["inception-v3"] is None
    assert found["seeds"]["googlenet"] == "the stem is not one of released, printed, seven"


def test_a_file_that_holds_a_few_architectures(tmp_path: Path) -> None:
    small = _small(tmp_path)
    done = _nas("space", small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "architectures 32, exactly: each of them was built" in words
    assert "off bottleneck, local_processing" in words
    assert "seeds inside none" in words
    found = json.loads(_nas("space", small, "--json", cwd=tmp_path).stdout)
    assert (found["distinct"]["value"], found["distinct"]["exact"]) == (32, True)
    assert found["distinct"]["low"] == found["distinct"]["high"] == found["distinct"]["log10"]


def _small(folder: Path) -> str:
    tower = "{kernel: [3], factorisation: [none], embedding: [16, 16, 16], output: [32, 32, 16]}"
    stage = f"pointwise: [32, 32, 16], short: {tower}, long: {tower}, pool: {{projection: [32, 32, 16]}}"
    short = "{direct: [true], embedding: [32, 32, 16], output: [64, 64, 16]}"
    path = folder / "small.yaml"
    path.write_text(
        "format: space/1\nname: small\nresolution: 75\nstems: {only: [conv 3x3/2 64 valid, max 3x3/2 valid]}\n"
        f"stages:\n  - {{depth: [1, 4], {stage}}}\n"
        f"  - {{depth: [1, 2], reduction: {{short: {short}, long: {tower}}}, {stage}}}\n"
        "thresholds: {off: [bottleneck, local_processing]}\n",
        encoding="utf-8",
    )
    return str(path)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize("name", ["inception", "inception-free"])
def test_every_gene_is_shown_within_the_width(name: str, width: int) -> None:
    seeds = dict.fromkeys(seed_names(), "it is something else")
    text = Explained(space(name), COUNTED, seeds).text(width)
    assert max(map(len, text.splitlines())) <= max(80, width)
    assert "about 1.2e45 (95 % interval 6.0e44 to 1.0e46;" in " ".join(text.split())
    shown = sum(len(_named(line)) for line in text.splitlines() if line.startswith("  ") and not line.startswith("   "))
    notes = len(text.split("\n\n")[1].splitlines())
    assert shown - notes == len(space(name).genes)


def _named(line: str) -> list[str]:
    """The genes that a row of the table stands for; a line of the notes counts as one."""
    name = line.split()[0]
    if found := re.match(r"module([\d,-]+)\.", name):
        runs = [run.split("-") for run in found[1].split(",")]
        return [f"{name}{module}" for run in runs for module in range(int(run[0]), int(run[-1]) + 1)]
    return [name, name] if name.endswith("first/last") else [name]


def test_what_is_fixed_is_shown_and_is_no_gene() -> None:
    fixed = _changed("inception-free", fixed={"stem": "released", "stage1.module2.widen": "late", "stage2.depth": 5})
    text = Explained(fixed, COUNTED, {}).text(80)
    assert "fixed          stem released, stage1.module2.widen late, stage2.depth 5\n" in text
    assert re.search(r"  module1,3-5\.widen +early, late +where towers widen\n", text)
    assert not re.search(r"^  stem ", text, re.MULTILINE)
    assert Explained(fixed, COUNTED, {}).as_data()["fixed"]["stage2.depth"] == 5


def test_every_meaning_is_used() -> None:
    off = Thresholds(off=("bottleneck", "parallel_reduction"))  # else there is one kind of reduction
    text = Explained(_changed("inception", thresholds=off), COUNTED, {}).text(110)
    for meaning in MEANINGS.values():
        assert f"  {meaning}\n" in text + "\n", meaning


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_for_terminals(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "WALKS", 200)
    shown = io.StringIO()
    found = explain(space("inception"), Console(file=shown, force_terminal=terminal, width=80))
    assert not found.distinct.exact
    assert ("counting architectures" in shown.getvalue()) == terminal


def test_wrong_spaces_are_told(tmp_path: Path) -> None:
    wrong = _nas("space", "incepton", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr == (
        "nas: there is no space 'incepton': allowed are inception, inception-free or a YAML file; "
        "did you mean 'inception'?\n"
    )
    (tmp_path / "own.yaml").write_text("base: inception\nname: own\ntide: true\n", encoding="utf-8")
    broken = _nas("space", "own.yaml", cwd=tmp_path)
    assert broken.returncode == 2
    assert re.match(r"nas: own\.yaml:3: unknown key 'tide' .*did you mean 'tied'", broken.stderr)
    assert len(broken.stderr.splitlines()) == 1
    assert broken.stdout == ""


def test_the_commands_point_to_each_other(tmp_path: Path) -> None:
    assert "'nas space NAME' explains one" in _nas("spaces", cwd=tmp_path).stdout
    shown = _nas("space", "--help", cwd=tmp_path).stdout
    assert "nas space inception\n" in shown
    assert "'nas spaces'" in shown


def test_it_loads_no_heavy_package(tmp_path: Path) -> None:
    heavy = "{'torch', 'ray', 'optuna', 'plotly', 'sklearn'}"
    code = f"import sys, nas.cli; nas.cli.nas(['space', {_small(tmp_path)!r}], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; assert not {heavy} & set(sys.modules)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
