"""The command line as a user meets it: answers on standard output, one sentence and the right status for a mistake."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from nas.cli import main
from nas.config import ScreenConfig, SearchConfig
from nas.export import export_found
from nas.samplers.options import DEFAULT, SAMPLERS
from nas.study import Study, find
from search_spaces.architecture_file import from_file
from search_spaces.seeds import seed
from trainers.source import DataSource

SEEDS = [
    "bn-inception",
    "googlenet",
    "googlenet-torchvision",
    "inception-v2",
    "inception-v3",
    "inception-v3-tf",
    "inception-v4",
]
ROOT = Path(__file__).resolve().parent.parent


def _nas(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=200)


def _json(*arguments: str, cwd: Path) -> Any:
    done = _nas(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SEARCH = """\
study: tiny
data: digits
trials: 2
sampler: random
proxy: {resolution: 8, width: 0.0625}
recipe: {epochs: 1, batch_size: 256}
executor: inline
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search file, and the study that it made."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "tiny.yaml").write_text(SEARCH, encoding="utf-8")
    done = _nas("search", "tiny.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "study tiny is complete: 2 trials trained" in done.stdout
    assert "on the test part" in done.stdout
    assert "2 of 2 done" in done.stderr
    return folder


def test_cost(tmp_path: Path) -> None:
    found = _json("cost", "inception-v3", "--resolution", "299", cwd=tmp_path)
    assert found["params"] == 23_834_568
    assert found["params_with_aux"] == 27_161_264
    assert found["macs"] == 5_713_216_096
    assert {"macs_with_aux", "activation_bytes", "peak_memory_bytes"} <= found.keys()
    assert "23,834,568" in _nas("cost", "inception-v3", cwd=tmp_path).stdout


def test_audit_and_what_ships(tmp_path: Path) -> None:
    found = _json("audit", "inception-v3", cwd=tmp_path)
    assert found["passed"] is True
    assert [f["name"] for f in found["principles"]] == ["bottleneck", "local_processing", "embedding", "balance"]
    assert all(f.keys() >= {"name", "value", "threshold", "passed", "where"} for f in found["principles"])
    assert [entry["name"] for entry in _json("seeds", cwd=tmp_path)] == SEEDS
    assert [entry["name"] for entry in _json("spaces", cwd=tmp_path)] == ["inception", "inception-free"]


def test_audit_by_a_space(tmp_path: Path) -> None:
    found = _json("audit", "inception-v3", "--space", "inception", cwd=tmp_path)
    assert found["space"] == {"name": "inception", "inside": True, "reason": None}
    outside = _json("audit", "googlenet", "--space", "inception", cwd=tmp_path)["space"]
    assert outside == {
        "name": "inception",
        "inside": False,
        "reason": "the stem is not one of released, printed, seven",
    }
    assert "space" not in _json("audit", "inception-v3", cwd=tmp_path)


def test_sample_gives_architectures_that_can_be_read(tmp_path: Path) -> None:
    rows = _json("sample", "inception", "-n", "3", "--random-seed", "5", cwd=tmp_path)
    assert rows == _json("sample", "inception", "-n", "3", "--random-seed", "5", cwd=tmp_path)
    assert len({row["digest"] for row in rows}) == 3
    (tmp_path / "one.yaml").write_text(json.dumps(rows[0]["architecture"]), encoding="utf-8")
    assert _json("cost", "one.yaml", cwd=tmp_path)["macs"] == rows[0]["macs"]


def test_samples_are_written_as_files(tmp_path: Path) -> None:
    drawn = _json("sample", "inception", "-n", "3", cwd=tmp_path)
    assert len({row["architecture"]["name"] for row in drawn}) == 3
    assert "file" not in drawn[0]
    done = _nas("sample", "inception", "-n", "3", "-o", "new/drawn", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"inception-{row['digest'][:12]}" for row in drawn]
    assert done.stdout.splitlines() == [f"new/drawn/{name}.yaml" for name in names]
    for row, name in zip(drawn, names, strict=True):
        found = from_file(tmp_path / "new" / "drawn" / f"{name}.yaml")
        assert (found.name, found.digest, found.as_data()) == (name, row["digest"], row["architecture"])
    both = _nas("sample", "inception", "-n", "4", "-o", "new/drawn", "--json", cwd=tmp_path)
    rows = json.loads(both.stdout)
    assert [row.pop("file") for row in rows][:3] == done.stdout.splitlines()
    assert rows[:3] == drawn
    assert both.stderr == f"replaced: {', '.join(done.stdout.splitlines())}\n"


def test_samples_are_written_all_or_none(tmp_path: Path) -> None:
    (_, _, last) = _json("sample", "inception", "-n", "3", cwd=tmp_path)
    (tmp_path / "drawn" / f"inception-{last['digest'][:12]}.yaml").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    done = _nas("sample", "inception", "-n", "3", "-o", "drawn", cwd=tmp_path)
    assert done.returncode == 2
    assert "3 architectures cannot be written to 'drawn'" in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_show_writes_a_drawing(tmp_path: Path) -> None:
    done = _nas("show", "inception-v3", "--svg", "v3.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stage3.reduction" in done.stdout
    assert "passed" in done.stdout
    assert (tmp_path / "v3.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_study_is_read_back(home: Path) -> None:
    (row,) = _json("studies", cwd=home)
    assert row == {
        "name": "tiny", "trials": row["trials"], "state": "complete", "front_size": row["front_size"],
        "searched_by": None,
    }  # fmt: skip
    counts = _json("status", "tiny", cwd=home)
    assert counts["complete"] == 2
    assert sum(counts.values()) == row["trials"]
    front = _json("pareto", "tiny", cwd=home)
    assert front.keys() >= {"study", "objectives", "reference_point", "hypervolume", "front", "seeds"}
    assert front["seeds"][0]["name"] == "inception-v3"
    assert front["seeds"][0]["digest"] == seed("inception-v3").digest
    assert all(trial.keys() >= {"number", "name", "digest", "values", "costs"} for trial in front["front"])
    assert "inception-v3" in _nas("pareto", "tiny", cwd=home).stdout
    assert "complete" in _nas("status", "tiny", cwd=home).stdout


def test_a_complete_study_says_so_and_trains_nothing(home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "runs" / "tiny" / "trials").rglob("*")}
    done = _nas("search", "tiny.yaml", cwd=home)
    assert done.returncode == 0
    assert "study tiny is complete: 2 trials trained" in done.stdout
    assert "study tiny: 2 trials are done and 2 asked for: nothing is to do" in done.stderr
    fewer = _nas("search", "tiny.yaml", "--set", "trials=1", cwd=home)
    assert fewer.returncode == 0
    assert "study tiny: 2 trials are done and 1 asked for: nothing is to do" in fewer.stderr
    assert {path: path.stat().st_mtime_ns for path in (home / "runs" / "tiny" / "trials").rglob("*")} == before


def test_a_search_ends_without_a_look_through_all_that_it_made(home: Path) -> None:
    """Python would look for garbage among all that torch and Ray made, when the process is to end."""
    told = (
        "import atexit, gc, sys; atexit.register(lambda: print('at the end', gc.get_freeze_count(), file=sys.stderr))"
    )
    code = f"{told}; from nas.cli import main; sys.argv = ['nas', 'search', 'tiny.yaml']; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=False)
    assert "at the end 0" not in done.stderr
    assert "at the end " in done.stderr


def test_what_a_search_leaves_can_be_taken_away(home: Path, tmp_path: Path) -> None:
    best = home / "runs" / "tiny" / "best"
    (source,), (weights,) = best.glob("*.py"), best.glob("*.safetensors")
    code = (
        "import importlib.util, sys, torch\n"
        f"spec = importlib.util.spec_from_file_location('found', {str(source)!r})\n"
        "found = importlib.util.module_from_spec(spec); spec.loader.exec_module(found)\n"
        "network = [v for k, v in vars(found).items() if isinstance(v, type) and k.lower().endswith('proxy')][-1]()\n"
        f"found.load_weights(network, {str(weights)!r})\n"
        "print(tuple(network.eval()(torch.zeros(2, 1, 8, 8)).shape))\n"
        "assert not {'nas', 'trainers', 'search_spaces', 'results'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(2, 10)"
    (yaml,) = best.glob("*.yaml")
    assert _json("cost", str(yaml), cwd=tmp_path)["params"] > 1_000_000
    assert (home / "runs" / "tiny" / "report.html").read_text(encoding="utf-8").startswith("<!")


def _leaves(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """The keys of a search file with their defaults, those of mappings after that of the mapping."""
    for key, field in model.model_fields.items():
        yield key, field.get_default()
        if isinstance(field.get_default(), BaseModel) and key != "sampler":
            yield from _leaves(type(field.get_default()))


def test_help_of_the_search_names_every_key_of_its_file_with_its_default(tmp_path: Path) -> None:
    told = _nas("search", "--help", cwd=tmp_path).stdout
    assert max(map(len, told.splitlines())) <= 80
    keys = " ".join(told.partition("Keys of the file")[2].partition("Samplers (")[0].split())
    for key, default in [*_leaves(SearchConfig), *_leaves(ScreenConfig)]:
        assert re.search(rf"\b{key}\b", keys), key
        if isinstance(default, int | float | str):
            assert f"[{default:g}]" in keys if not isinstance(default, str) else f"[{default}]" in keys, key
    for field in fields(DataSource):
        assert re.search(rf"\b{field.name}\b", keys), field.name


def test_the_card_of_the_best_trial_tells_its_error_on_the_test_part(home: Path, tmp_path: Path) -> None:
    known = json.loads((home / "runs" / "tiny" / "best" / "result.json").read_text(encoding="utf-8"))
    assert _nas("export", f"tiny:{known['trial']}", "--to", "card", "-o", str(tmp_path), cwd=home).returncode == 0
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\| +{100 * known['test_error']:.2f} % +\| +test +\| +proxy training", card)
    assert "No result on a test part is known" not in card


@pytest.mark.parametrize(
    ("words", "reads", "sentence"),
    [
        (["search", "s.yaml"], "nas.config.read_search", "stopped; the same command goes on"),
        (["train", "googlenet", "t.yaml"], "nas.training_file.read_training", "stopped; the same command goes on"),
        (["cost", "googlenet"], "nas.study.find", "stopped"),
    ],
)
def test_ctrl_c_at_once_says_whether_the_command_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], reads: str, sentence: str
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reads, pressed)
    monkeypatch.setattr(sys, "argv", ["nas", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"nas: {sentence}"


def test_an_export_that_is_terminated_ends_as_by_ctrl_c(home: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "nas", "export", "tiny:0", "--bundle", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "exporting" in process.stderr.readline()
    while not list(tmp_path.glob("out/.export-*/process.json")) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    assert process.communicate(timeout=60)[1].splitlines()[-1] == "nas: stopped"
    # Where it came within an exec of text, as in imports, Python itself ends by the signal: 130 to shells.
    assert process.returncode in (130, -signal.SIGINT)
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*.*"))


def test_export_and_report_by_hand(home: Path, tmp_path: Path) -> None:
    done = _nas("export", "tiny:0", "--to", "python", "-o", str(tmp_path / "out"), cwd=home)
    assert done.returncode == 0, done.stderr
    assert "proxy weights" in done.stderr
    assert "nas train tiny:0 FILE.yaml" in done.stderr
    assert "inception_v3_proxy.py: proved, reloaded in a fresh process; logits within" in done.stderr
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".py", ".safetensors"]
    assert "replaced" not in done.stderr
    source, weights = (tmp_path / "out" / f"inception_v3_proxy.{ending}" for ending in ("py", "safetensors"))
    again = _nas("export", "tiny:0", "--to", "python", "-o", str(tmp_path / "out"), cwd=home)
    assert again.stdout == done.stdout == f"{source}\n{weights}\n"
    assert f"replaced: {source}, {weights}\n" in again.stderr
    assert _nas("export", "inception-v3", "--to", "yaml", "-o", str(tmp_path / "y"), cwd=home).returncode == 0
    assert _nas("report", "tiny", "-o", str(tmp_path / "r.html"), cwd=home).returncode == 0
    assert (tmp_path / "r.html").stat().st_size > 100_000


def test_a_trial_is_exported_without_its_data(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*arguments: object, **options: object) -> None:
        raise AssertionError("the data were read")

    monkeypatch.setattr("trainers.data.load", gone)
    found = find("tiny:0", home / "runs")
    assert found.study is not None
    source, _ = export_found(found, "python", tmp_path)
    digest = found.study.record.data_digest
    assert digest is not None
    assert f"data: digits, {digest[:16]}\n" in source.read_text(encoding="utf-8")
    assert "classes: int = 10" in source.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export", "inception-v3", "-o", "x"], "one form or all of them: give either --to FORM or --bundle"),
        (["export", "inception-v3", "--to", "yaml", "--bundle", "-o", "x"], "give either --to FORM or --bundle"),
        (
            ["export", "inception-v3", "--to", "safetensors", "-o", "x"],
            "there are no weights of inception-v3 to export",
        ),
        (["cots", "inception-v3"], "there is no command 'cots'; did you mean 'cost'? 'nas --help' lists them\n"),
        (["xyzzy"], "there is no command 'xyzzy'; 'nas --help' lists them\n"),
        (["cost", "incption-v3"], "did you mean 'inception-v3'?"),
        (["cost", "inception-v3", "--resolution", "40"], "the smallest side that works is 75"),
        (["cost", "inception-v3", "--resolution", "-4"], "allowed are 1 to 4096"),
        (["cost", "inception-v3", "--resolution", "many"], "not a valid integer"),
        (["show", "inception-v3", "--resolution", "0"], "allowed are 1 to 4096"),
        (["audit", "inception-v3", "--resolution", "0"], "allowed are 1 to 4096"),
        (["audit", "inception-v3", "--space", "inceptoin"], "did you mean 'inception'?"),
        (["audit", "inception-v3", "--space", "none.yaml"], "there is no file 'none.yaml'"),
        (["audit", "inception-v3", "--space", "inception", "--resolution", "40"], "too small for the space"),
        (["cost", "none.yaml"], "there is no file 'none.yaml'"),
        (["cost", "tiny:99"], "has no trial 99"),
        (["cost", "tini:0"], "tini"),
        (["status", "tini"], "tiny"),
        (["sample", "nowhere"], "there is no space 'nowhere'"),
        (["search", "none.yaml"], "there is no file 'none.yaml'"),
        (["search", "tiny.yaml", "--set", "trials"], "is not KEY=VALUE"),
        (["search", "tiny.yaml", "--set", "trails=3"], "nas: --set trails: unknown key 'trails'"),
        (["search", "tiny.yaml", "--set", "trials=no"], "nas: --set trials: trials is 'no'"),
        (["search", "tiny.yaml", "--set", "random_seed=9"], "random_seed"),
        (
            ["search", "tiny.yaml", "--set", "study=other", "--set", "data=/not/there"],
            "there is no data folder '/not/there'",
        ),
        (["search", "tiny.yaml", "--runs", "tiny.yaml"], "cannot be made"),
        (["studies", "--runs", "tiny.yaml/x", "--jsn"], "--jsn"),
        (["pareto", "tiny", "--runs", "empty"], "there is no ledger in 'empty'"),
        (["export", "inception-v3", "--to", "yaml", "--classes", "5", "-o", "x"], "which an architecture file leaves"),
        (["export", "inception-v3", "--to", "keras", "-o", "x"], "python"),
        (["export", "inception-v3", "--to", "yaml", "-o", "tiny.yaml"], "tiny.yaml"),
        (["export", "inception-v3", "--to", "python", "-o", "x", "--weights", "none.safetensors"], "none.safetensors"),
        (["export", "inception-v3", "--to", "python", "-o", "x", "--weights", "tiny.yaml"], "not a checkpoint"),
    ],
)
def test_a_mistake_costs_one_sentence(home: Path, arguments: list[str], sentence: str) -> None:
    before = Study.open("tiny", home / "runs")
    done = _nas(*arguments, cwd=home)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len([line for line in done.stderr.splitlines() if line.startswith("nas: ")]) == 1
    assert Study.open("tiny", home / "runs") == before


def test_doctor(home: Path) -> None:
    found = _json("doctor", cwd=home)
    assert found["packages"]["torch"]
    assert found["will_use"]["executor"] in ("ray_tune", "inline")
    assert found["cpus"] >= 1


@pytest.mark.parametrize("command", [[], ["search"], ["cost"], ["export"]])
def test_help_has_examples(tmp_path: Path, command: list[str]) -> None:
    done = _nas(*command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Examples:" in done.stdout


def test_help_names_every_sampler(home: Path) -> None:
    told = _nas("search", "--help", cwd=home).stdout
    assert [name for name in SAMPLERS if f"\n    {name} " not in told] == []
    assert f"  {DEFAULT.name} " in told.split("the default")[0].splitlines()[-1]
