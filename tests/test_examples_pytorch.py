"""The examples for exported files in plain PyTorch: run as their users run them."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from exported_networks import MEAN, NAMES, SIDE, TINY, export_tiny, scaled
from pictures import COLOURS, noise, write_folder
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file

from nas.import_weights import import_weights, read_weights
from search_spaces.architecture_file import from_yaml

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(script: str, *arguments: object, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run an example in a folder; the project is not on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        cwd=folder,
        env={**environment, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def refused(script: str, *arguments: object, folder: Path) -> str:
    """The sentence that a wrong request costs."""
    done = run(script, *arguments, folder=folder, status=1)
    [sentence] = done.stderr.splitlines()
    return sentence


@pytest.mark.parametrize("script", ["load_in_pytorch.py", "load_in_onnxruntime.py", "fine_tune.py"])
def test_an_example_imports_nothing_of_this_project(script: str) -> None:
    tree = ast.parse((EXAMPLES / script).read_text(encoding="utf-8"))
    found = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    packages = {module.split(".")[0] for module in found} - sys.stdlib_module_names
    theirs = {"onnxruntime"} if "onnx" in script else {"torch", "safetensors"}
    assert packages == theirs | {"numpy", "PIL"}


def test_it_classifies_as_the_network_does(tmp_path: Path) -> None:
    network = export_tiny(tmp_path)
    pixels = [noise(COLOURS[name], (SIDE, SIDE), 3) for name in ("red", "blue")]
    for name, each in zip(("a.png", "b.png"), pixels, strict=True):
        Image.fromarray(each).save(tmp_path / name)
    done = run("load_in_pytorch.py", "tiny.py", "a.png", "b.png", folder=tmp_path)
    with torch.inference_mode():
        shares = network(scaled(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2))).softmax(dim=1)
    expected = []
    for name, row in zip(("a.png", "b.png"), shares.tolist(), strict=True):
        best = sorted(zip(row, NAMES, strict=True), reverse=True)
        expected += [name, *(f"  {100 * share:6.2f} %  {label}" for share, label in best)]
    assert done.stdout.splitlines() == expected
    assert done.stderr == ""
    shorter = run("load_in_pytorch.py", "tiny.py", "a.png", "--top", 1, folder=tmp_path)
    assert shorter.stdout.splitlines() == expected[:2]


def test_pictures_of_any_kind_become_squares_on_white(tmp_path: Path) -> None:
    export_tiny(tmp_path)
    wide = np.full((20, 60, 4), 255, dtype=np.uint8)
    wide[:, 20:40, :3], wide[:, :, 3] = (210, 50, 40), 255
    wide[:, :20], wide[:, 40:] = 0, 0  # transparent, and beside the middle
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.new("RGB", (33, 33), (210, 50, 40)).save(tmp_path / "square.png")
    Image.new("RGBA", (33, 33), (0, 0, 0, 0)).save(tmp_path / "nothing.png")
    Image.new("L", (8, 8), 255).save(tmp_path / "white.png")
    said = run("load_in_pytorch.py", "tiny.py", "wide.png", "square.png", "nothing.png", "white.png", folder=tmp_path)
    wide_said, square_said, nothing_said, white_said = re.split(r"\w+\.png\n", said.stdout)[1:]
    assert wide_said == square_said
    assert nothing_said == white_said != wide_said


def test_what_the_weights_do_not_say_is_assumed_and_told(tmp_path: Path) -> None:
    network = export_tiny(tmp_path, told=False)
    weights = tmp_path / "tiny.safetensors"
    save_file(load(weights.read_bytes()), weights, {"resolution": f"{SIDE}x{SIDE}"})
    pixels = noise(COLOURS["red"], (SIDE, SIDE), 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    done = run("load_in_pytorch.py", "tiny.py", "a.png", "--top", 1, folder=tmp_path)
    scaling, names = done.stderr.splitlines()
    assert "does not say how pictures are scaled: pixels go in from 0 to 1" in scaling
    assert "does not name its classes" in names
    with torch.inference_mode():
        shares = network(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255).softmax(dim=1)[0]
    best = int(shares.argmax())
    assert done.stdout.splitlines()[1] == f"  {100 * float(shares[best]):6.2f} %  class {best}"


def test_a_wrong_request_costs_a_sentence(tmp_path: Path) -> None:
    export_tiny(tmp_path)
    write_folder(tmp_path, {"red": 1})
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty.py").write_text("x = 1\n")
    weights = ("--weights", "tiny.safetensors")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("tiny.py", "none.png"), "none.png is not a picture that can be read"),
        (("tiny.py", "notes.txt"), "notes.txt is not a picture that can be read"),
        (("tiny.py", "red/000.png", "--weights", "notes.txt"), "notes.txt is not a .safetensors file"),
        (("tiny.py", "red/000.png", "--weights", "none.safetensors"), "an export without weights writes none"),
        (("none.py", "red/000.png", *weights), "none.py is not a Python file"),
        (("empty.py", "red/000.png", *weights), "empty.py has no network"),
    ]
    for arguments, expected in cases:
        assert expected in refused("load_in_pytorch.py", *arguments, folder=tmp_path)
    state = load_file(tmp_path / "tiny.safetensors")
    del state["head.linear.bias"]
    save_file(state, tmp_path / "cut.safetensors")
    cut = refused("load_in_pytorch.py", "tiny.py", "red/000.png", "--weights", "cut.safetensors", folder=tmp_path)
    assert "head.linear.bias is missing" in cut
    for device in ("nonsense", "meta", "cuda:99"):
        done = run("load_in_pytorch.py", "tiny.py", "red/000.png", "--device", device, folder=tmp_path, status=2)
        assert done.stderr.splitlines()[-1].endswith(
            f"'{device}' is no device that torch has here: name cpu, cuda or mps"
        )
    done = run("load_in_pytorch.py", "tiny.py", "red/000.png", "--top", "0", folder=tmp_path, status=2)
    assert "'0' is not a whole number from 1 on" in done.stderr


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """A folder with the export, and pictures of three classes that are told apart by their colour."""
    provenance = {"architecture": "b" * 64, "study": "s, trial 3", "validation error": "0.2000"}
    export_tiny(tmp_path, provenance=provenance, caution="trained briefly", data_digest="a" * 64)
    write_folder(tmp_path / "flowers", {"blue": 10, "green": 10, "red": 10}, size=(30, 26))
    (tmp_path / "flowers" / "red").rename(tmp_path / "flowers" / "poppy")
    return tmp_path


def test_it_learns_new_classes_and_writes_what_the_other_example_loads(flowers: Path) -> None:
    options = ("--epochs", 6, "--batch-size", 8, "--learning-rate", 0.05)
    done = run("fine_tune.py", "tiny.py", "flowers", "-o", "new.safetensors", *options, folder=flowers)
    first, *epochs, last = done.stdout.splitlines()
    assert first == "24 pictures to train on, 6 held back, 3 classes"
    told = [re.fullmatch(r"epoch +\d+  loss [\d.]+  validation error ([\d.]+) %", line) for line in epochs]
    errors = [float(each[1]) for each in told if each]
    assert len(errors) == len(epochs) == 6
    assert errors[-1] < 34
    assert last.startswith("new.safetensors written")
    with safe_open(flowers / "new.safetensors", framework="pt") as file:
        facts = file.metadata()
    assert json.loads(facts["class_names"]) == ["blue", "green", "poppy"]
    assert (facts["classes"], facts["resolution"]) == ("3", f"{SIDE}x{SIDE}")
    assert (facts["digest"], facts["caution"]) == (TINY.digest, "trained briefly")
    assert from_yaml(facts["architecture"]) == TINY
    assert "data_digest" not in facts
    assert json.loads(facts["provenance"]) == {
        "architecture": "b" * 64,
        "fine-tuned from": "tiny.safetensors (study s, trial 3; validation error 0.2000)",
        "data": "flowers",
        "validation error": f"{errors[-1] / 100:.4f}",
    }
    picture = flowers / "flowers" / "poppy" / "000.png"
    said = run("load_in_pytorch.py", "tiny.py", picture, "--weights", "new.safetensors", "--top", 1, folder=flowers)
    assert said.stdout.splitlines()[1].endswith("poppy")
    assert sorted(path.name for path in flowers.iterdir() if path.name.startswith(".")) == []
    (flowers / "tiny.yaml").write_text(TINY.to_yaml(), encoding="utf-8")
    import_weights(str(flowers / "tiny.yaml"), flowers / "new.safetensors", flowers / "again.safetensors", flowers)
    about = read_weights("tiny", TINY, flowers / "again.safetensors").about
    assert (about.trained.class_names, about.trained.mean) == (("blue", "green", "poppy"), MEAN)
    assert about.provenance == json.loads(facts["provenance"])


def test_a_frozen_trunk_stays_as_it_is(flowers: Path) -> None:
    options = ("--freeze", "trunk", "--epochs", 1, "--batch-size", 23)  # one would be left over alone
    run("fine_tune.py", "tiny.py", "flowers", "-o", "new.safetensors", *options, folder=flowers)
    before, after = (load_file(flowers / name) for name in ("tiny.safetensors", "new.safetensors"))
    changed = {key for key in after if not torch.equal(before[key], after[key])}
    assert changed == {"head.linear.weight", "head.linear.bias"}
    assert before.keys() - after.keys() == {key for key in before if key.startswith("aux")}


def test_known_classes_keep_their_layer(tmp_path: Path) -> None:
    export_tiny(tmp_path)
    write_folder(tmp_path / "more", {"blue": 3, "green": 3, "red": 3})
    options = ("--freeze", "trunk", "--epochs", 1, "--learning-rate", 0)
    run("fine_tune.py", "tiny.py", "more", "-o", "new.safetensors", *options, folder=tmp_path)
    before, after = (load_file(tmp_path / name) for name in ("tiny.safetensors", "new.safetensors"))
    assert all(torch.equal(before[key], after[key]) for key in after)


def test_fine_tuning_refuses_with_a_sentence_and_writes_nothing(flowers: Path) -> None:
    (flowers / "taken.safetensors").write_text("mine")
    (flowers / "one" / "red").mkdir(parents=True)
    (flowers / "bad" / "a").mkdir(parents=True)
    (flowers / "bad" / "b").mkdir()
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (flowers / "bad" / name).write_text("no picture")
    to = ("-o", "new.safetensors")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("tiny.py", "flowers", "-o", "taken.safetensors"), "taken.safetensors exists"),
        (("tiny.py", "nowhere", *to), "folders found in nowhere: 0"),
        (("tiny.py", "one", *to), "folders found in one: 1"),
        (("tiny.py", "bad", *to), "is not a picture that can be read"),
        (("tiny.py", "flowers", "-o", "no/folder.safetensors"), "no is not a folder"),
        (("tiny.py", "flowers", *to, "--learning-rate", 1e30), "take a smaller --learning-rate"),
    ]
    for arguments, expected in cases:
        assert expected in refused("fine_tune.py", *arguments, "--epochs", 1, folder=flowers)
    assert (flowers / "taken.safetensors").read_text() == "mine"
    assert not (flowers / "new.safetensors").exists()
    done = run("fine_tune.py", "tiny.py", "flowers", *to, "--held-back", 1, folder=flowers, status=2)
    assert "'1' is not a share from 0.01 to 0.9" in done.stderr
    for option, value, said in (
        ("--workers", -1, "'-1' is not a whole number from 0 on"),
        ("--device", "nonsense", "'nonsense' is no device that torch has here"),
    ):
        done = run("fine_tune.py", "tiny.py", "flowers", *to, option, value, folder=flowers, status=2)
        assert said in done.stderr.splitlines()[-1]
