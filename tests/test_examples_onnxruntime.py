"""The example for exported files in ONNX Runtime: run as its users run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exported_networks import DEVIATION, MEAN, NAMES, SIDE, TINY, WHITE, scaling_facts
from exports import content_of, logits_of
from pictures import COLOURS, noise, write_folder
from PIL import Image

from results.export.content import Scaling
from results.export.deployment import Deployment
from results.export.to_onnx import to_onnx
from trainers.decode import square

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SCALING = Scaling(MEAN, DEVIATION, WHITE)
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "load_in_onnxruntime.py"


def write_network(path: Path, facts: dict[str, str]) -> None:
    """A network whose logits are the means of a picture's channels: blue, green, red are its classes."""
    from onnx import TensorProto, helper

    picture = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    order = helper.make_tensor("order", TensorProto.INT64, [3], [2, 1, 0])
    nodes = [
        helper.make_node("GlobalAveragePool", ["pictures"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gather", ["flat", "order"], ["logits"], axis=1),
    ]
    graph = helper.make_graph(nodes, "means", [picture], [logits], [order])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, facts)
    onnx.save(model, path)


def run(*arguments: object, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def expected(pixels: np.ndarray, *, scaled: bool = True) -> list[str]:
    """What it says of a picture, uint8 (H, W, 3)."""
    facts = {key: np.array([float(each) for each in value.split(",")]) for key, value in scaling_facts().items()}
    values = (pixels - facts["mean"]) / facts["deviation"] if scaled else pixels / 255
    logits = values.mean(axis=(0, 1))[::-1]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    return [f"  {100 * shares[index]:6.2f} %  {NAMES[index]}" for index in np.argsort(-shares)]


def test_it_classifies_by_what_the_file_says(tmp_path: Path) -> None:
    write_network(tmp_path / "means.onnx", {"class_names": json.dumps(NAMES), **scaling_facts()})
    write_folder(tmp_path, {"red": 1, "blue": 1}, size=(SIDE, SIDE))
    done = run("means.onnx", "red/000.png", "blue/000.png", folder=tmp_path)
    pixels = [np.asarray(Image.open(tmp_path / name / "000.png")) for name in ("red", "blue")]
    assert done.stdout.splitlines() == ["red/000.png", *expected(pixels[0]), "blue/000.png", *expected(pixels[1])]
    assert done.stderr == ""


def test_a_file_that_scales_pictures_itself_is_given_pixels(tmp_path: Path) -> None:
    facts = {"class_names": json.dumps(NAMES), **scaling_facts(), "white": "1.0", "input": "pixels"}
    write_network(tmp_path / "means.onnx", facts)
    write_folder(tmp_path, {"green": 1}, size=(SIDE, SIDE))
    done = run("means.onnx", "green/000.png", folder=tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "green" / "000.png"))
    assert done.stdout.splitlines()[1:] == expected(pixels, scaled=False)


@pytest.mark.parametrize("pixels", [False, True])
def test_it_takes_exported_files(tmp_path: Path, pixels: bool) -> None:
    """A picture larger than the network's, as the network sees it; the file scales its pixels itself, or does not."""
    content, network = content_of(
        TINY, SIDE, classes=3, class_names=NAMES, scaling=SCALING, deployment=Deployment(pixels=pixels)
    )
    [(name, file)] = to_onnx(content, network).items()
    (tmp_path / name).write_bytes(file)
    pixels_of = noise(COLOURS["red"], (3 * SIDE, 2 * SIDE), 1)
    Image.fromarray(pixels_of).save(tmp_path / "a.png")
    done = run(name, "a.png", folder=tmp_path)
    seen = square((tmp_path / "a.png").read_bytes(), SIDE).transpose(2, 0, 1)[None].astype(np.float32)
    logits = logits_of(network, SCALING.of_pixels(seen))[0]
    said = {line[12:]: float(line[:8]) for line in done.stdout.splitlines()[1:]}
    shares = 100 * np.exp(logits) / np.exp(logits).sum()
    assert said == pytest.approx(dict(zip(NAMES, shares.tolist(), strict=True)), abs=0.02)
    assert [*said] == [NAMES[index] for index in np.argsort(-shares)]
    assert done.stderr == ""


def test_what_the_file_does_not_say_is_assumed_and_told(tmp_path: Path) -> None:
    write_network(tmp_path / "means.onnx", {})
    Image.new("RGB", (50, 40), COLOURS["red"]).save(tmp_path / "a.png")
    done = run("means.onnx", "a.png", "--top", 1, folder=tmp_path)
    names, scaling = done.stderr.splitlines()
    assert "does not name its classes" in names
    assert "does not say how pictures are scaled" in scaling
    assert done.stdout.splitlines()[1].endswith("class 2")


def test_a_wrong_request_costs_a_sentence(tmp_path: Path) -> None:
    write_network(tmp_path / "means.onnx", scaling_facts())
    (tmp_path / "notes.onnx").write_text("x")
    write_folder(tmp_path, {"red": 1})
    cases = {
        ("none.onnx", "red/000.png"): "there is no file none.onnx",
        ("notes.onnx", "red/000.png"): "notes.onnx is not a network that ONNX Runtime can load",
        ("means.onnx", "none.png"): "none.png is not a picture that can be read",
    }
    for arguments, sentence in cases.items():
        assert sentence in run(*arguments, folder=tmp_path, status=1).stderr.splitlines()[-1]
