"""The ONNX form: computes what the network computes, says what it is, and tells nothing else to anybody."""

import json
import logging
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from architectures import architectures
from exports import SMALL, content_of, logits_of, pictures, run_onnx
from hypothesis import HealthCheck, given, settings

from nas.export_networks import reference
from results.export import to_onnx as module
from results.export.comparison import deviation
from results.export.content import Content, Scaling
from results.export.deployment import Deployment, Precision
from results.export.folding import folded
from results.export.to_onnx import INPUT, OUTPUT, to_onnx
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_yaml
from search_spaces.errors import RequestError, RunFailed
from trainers.network import Network

SCALING = Scaling(mean=(120.0, 110.0, 100.0), deviation=(60.0, 50.0, 40.0), white=255.0)


@pytest.fixture(scope="module")
def small() -> tuple[Content, Network]:
    return content_of(
        SMALL,
        24,
        scaling=SCALING,
        class_names=("ant", "bée", "c", "d", "e", "f", "g"),
        data_digest="d" * 64,
        provenance={"study": 'di"gits', "trial": "12"},
        caution="proxy weights",
    )


@pytest.fixture(scope="module")
def files(small: tuple[Content, Network]) -> dict[str, bytes]:
    return to_onnx(*small)


def deployed(content: Content, **options: Any) -> Content:
    return replace(content, deployment=Deployment(**options))


def facts(files: dict[str, bytes]) -> dict[str, str]:
    [file] = files.values()
    return {entry.key: entry.value for entry in onnx.load_model_from_string(file).metadata_props}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_batch_gives_the_logits_of_the_network(
    small: tuple[Content, Network], files: dict[str, bytes], count: int
) -> None:
    batch = pictures(count, 24)
    found = run_onnx(files, batch)
    assert found.shape == (count, 7)
    assert deviation(found, logits_of(small[1], batch)) < 1e-4


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(architecture=architectures())
def test_random_architectures_compute_the_same(architecture: Architecture) -> None:
    content, network = content_of(architecture, 16)
    files = to_onnx(content, network)
    for count in (1, 3):
        batch = pictures(count, 16)
        assert deviation(run_onnx(files, batch), logits_of(network, batch)) < 1e-4


def test_it_is_one_file_that_says_what_it_is(small: tuple[Content, Network], files: dict[str, bytes]) -> None:
    assert list(files) == ["small.onnx"]
    told = facts(files)
    assert told["digest"] == SMALL.digest
    assert told["classes"] == "7"
    assert json.loads(told["class_names"]) == list(small[0].class_names)
    assert (told["mean"], told["deviation"], told["white"]) == ("120.0,110.0,100.0", "60.0,50.0,40.0", "255.0")
    assert json.loads(told["provenance"]) == {"study": 'di"gits', "trial": "12"}
    assert (told["data_digest"], told["caution"]) == ("d" * 64, "proxy weights")
    assert (told["input"], told["precision"]) == ("scaled", "float32")


@pytest.mark.parametrize("precision", ["float32", "float16", "int8-dynamic", "int8-static"])
def test_runtimes_since_2023_read_it(small: tuple[Content, Network], precision: Precision) -> None:
    folds = precision.startswith("int8")
    content = folded(small[0]) if folds else small[0]
    network = reference(content) if folds else small[1]
    [file] = to_onnx(deployed(content, precision=precision), network, [pictures(8, 24)]).values()
    model = onnx.load_model_from_string(file)
    assert model.ir_version == 8
    opsets = {each.domain or "ai.onnx": each.version for each in model.opset_import}
    assert opsets["ai.onnx"] == 18
    onnx.checker.check_model(model, full_check=True)
    assert np.isfinite(run_onnx({"": file}, pictures(2, 24))).all()


def test_the_architecture_inside_has_the_same_digest(files: dict[str, bytes]) -> None:
    assert from_yaml(facts(files)["architecture"]).digest == SMALL.digest


def test_weights_have_the_names_of_exported_files(files: dict[str, bytes]) -> None:
    graph = onnx.load_model_from_string(files["small.onnx"]).graph
    names = {tensor.name for tensor in graph.initializer}
    assert {"stem.0.conv.weight", "stage1.module1.tower2.1.conv.bias", "head.linear.weight"} <= names
    assert not any(name.startswith("aux") for name in names)
    assert "stage1.module1.tower1.0.conv" in {node.name for node in graph.node}
    assert [value.name for value in (*graph.input, *graph.output)] == [INPUT, OUTPUT]
    dims = graph.input[0].type.tensor_type.shape.dim
    assert (dims[0].dim_param, [dim.dim_value for dim in dims[1:]]) == ("batch", [3, 24, 24])


def test_the_same_content_gives_the_same_bytes_and_no_word_of_this_machine(
    small: tuple[Content, Network], files: dict[str, bytes]
) -> None:
    assert to_onnx(*small) == files
    assert b".py" not in files["small.onnx"]


def test_nothing_reaches_the_terminal(
    small: tuple[Content, Network], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    to_onnx(*small)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]  # below is torch's own trace


def test_the_scaling_goes_into_the_graph(small: tuple[Content, Network]) -> None:
    files = to_onnx(deployed(small[0], pixels=True), small[1])
    assert list(files) == ["small_pixels.onnx"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 24)).astype(np.float32)
    mean, spread = (np.array(part, np.float32)[:, None, None] for part in (SCALING.mean, SCALING.deviation))
    assert deviation(run_onnx(files, pixels), logits_of(small[1], (pixels - mean) / spread)) < 1e-4
    assert facts(files)["input"] == "pixels"


def test_half_precision_takes_and_gives_float32(small: tuple[Content, Network]) -> None:
    files = to_onnx(deployed(small[0], precision="float16"), small[1])
    assert list(files) == ["small_float16.onnx"]
    batch = pictures(3, 24)
    assert 0 < deviation(run_onnx(files, batch), logits_of(small[1], batch)) < 2e-2
    assert facts(files)["precision"] == "float16"


def test_a_scaling_that_is_not_known_cannot_go_into_the_graph(small: tuple[Content, Network]) -> None:
    with pytest.raises(RequestError, match="how pictures are scaled is not known"):
        to_onnx(deployed(replace(small[0], scaling=None), pixels=True), small[1])


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_its_extra(
    small: tuple[Content, Network], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RequestError, match=rf"needs the package {package}: pip install 'inception-nas\[onnx\]'$"):
        to_onnx(*small)


def test_what_does_not_fit_one_file_is_refused_before_any_work(
    small: tuple[Content, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(RequestError, match="an ONNX file holds less than 2 GiB: export to pt2 or safetensors"):
        to_onnx(*small)


def test_weights_of_another_network_are_refused(small: tuple[Content, Network]) -> None:
    with pytest.raises(RequestError, match="the weights do not fit the architecture"):
        to_onnx(replace(small[0], classes=8), small[1])


def test_a_failure_of_the_exporter_is_a_sentence(
    small: tuple[Content, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise torch.onnx.OnnxExporterError("no form for it\nand much more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(RunFailed, match=r"^small could not be written as ONNX: no form for it; export to python"):
        to_onnx(*small)
