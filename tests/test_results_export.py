"""Exports: the files compute what the network computes, read well, and nothing from outside reaches their code."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import architectures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor, nn

from results.export.content import Content
from results.export.names import class_name, module_name
from results.export.to_python import python_source, to_python
from results.export.to_yaml import to_yaml
from results.export.weights import key_map, key_shapes
from search_spaces.architecture import Architecture, Aux, Module, Split, Stage
from search_spaces.architecture_file import from_data, from_file, from_yaml
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.files import write_files
from search_spaces.operations import Conv
from search_spaces.principles import Thresholds
from search_spaces.proxy import proxy, scaled
from search_spaces.seeds import seed, seed_names
from trainers.network import Network, build

ROOT = Path(__file__).parent.parent
INCEPTION_V3 = from_file(ROOT / "search_spaces" / "seeds" / "inception-v3.yaml")
SMALL = from_data(
    {
        "format": "architecture/1",
        "name": "small",
        "resolution": 32,
        "stem": ["conv 3x3/2 8"],
        "stages": [
            {"modules": [[["conv 1x1 8"], ["avg 3x3 uncounted", "conv 1x1 4"]]]},
            {"reduction": [["max 3x3/2", "conv 1x1 12 linear"]], "modules": [[["conv 3x3 8 bias"], ["conv 1x1 8"]]]},
        ],
        "aux": [{"after": "stage1.module1", "steps": ["conv 3x3 6 valid"]}],
    }
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# -------------------------------------------------------------------------------------------------------- comparisons


def content_of(
    architecture: Architecture,
    classes: int = 7,
    channels: int = 3,
    resolution: int | None = None,
    **options: Any,
) -> Content:
    return Content(architecture, classes, channels, architecture.sides(resolution), **options)


def source_of(architecture: Architecture, **options: Any) -> str:
    return python_source(content_of(architecture, **{"provenance": {"study": "digits", "trial": "12"}, **options}))


def export_python(architecture: Architecture, folder: Path, **options: Any) -> list[Path]:
    return write_files(folder, to_python(content_of(architecture, **options)))


def export_yaml(architecture: Architecture, folder: Path) -> Path:
    [path] = write_files(folder, to_yaml(content_of(architecture)))
    return path


def load(source: str) -> dict[str, Any]:
    """Run an exported file in a namespace of its own."""
    namespace: dict[str, Any] = {"__name__": "exported"}
    exec(compile(source, "exported.py", "exec"), namespace)
    return namespace


def network_class(namespace: dict[str, Any]) -> Callable[..., nn.Module]:
    """The whole network is the last class of the file."""
    classes: list[Callable[..., nn.Module]] = [value for value in namespace.values() if isinstance(value, type)]
    return classes[-1]


def lively(network: Network) -> Network:
    """Give the norms running statistics and scales that differ from channel to channel."""
    torch.manual_seed(3)
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        if name.rpartition(".")[0].endswith("norm") and values.is_floating_point():
            values.data.uniform_(0.5, 1.5)
        elif name.endswith("bias"):
            values.data.uniform_(-0.5, 0.5)
    return network


def tensors(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [tensor for part in output for tensor in tensors(part)]


def assert_close(found: Any, expected: Any, relative: float) -> None:
    assert len(tensors(found)) == len(tensors(expected))
    for mine, theirs in zip(tensors(found), tensors(expected), strict=True):
        assert mine.shape == theirs.shape
        mine, theirs = mine.detach(), theirs.detach()
        assert float((mine - theirs).abs().max()) <= relative * max(float(theirs.abs().max()), 1e-9)


def without_dropout(network: nn.Module) -> list[float]:
    """Turn dropout off; return the probabilities that were there."""
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    found = sorted(module.p for module in dropouts)
    for module in dropouts:
        module.p = 0.0
    return found


def pair(architecture: Architecture, side: int, *, aux: bool, channels: int = 3) -> tuple[Network, nn.Module]:
    """The built network and the exported one, with the same weights, in float64."""
    graph = architecture.graph(side, classes=7, channels=channels, aux=aux)
    network = lively(build(graph, initialise=1)).double()
    made = network_class(load(source_of(architecture, resolution=side)))
    exported = made(in_channels=channels, **({"aux": True} if aux else {})).double()
    names = key_map(graph)
    exported.load_state_dict({names[key]: value for key, value in network.state_dict().items()})
    return network, exported


def ruff(*arguments: str, source: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False)


def assert_well_formed(source: str) -> None:
    checked = ruff("check", source=source)
    assert checked.returncode == 0, checked.stdout
    formatted = ruff("format", "--diff", source=source)
    assert formatted.returncode == 0, formatted.stdout


# --------------------------------------------------------------------------------------------------------------- laws


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(architectures(), st.integers(1, 4))
def test_an_exported_file_computes_what_the_network_computes(architecture: Architecture, channels: int) -> None:
    aux = bool(architecture.aux)
    side = architecture.smallest_resolution(aux=True) + 9
    network, exported = pair(architecture, side, aux=aux, channels=channels)
    assert sum(p.numel() for p in exported.parameters()) == network.graph.params
    pictures = torch.rand(3, channels, side, side, dtype=torch.float64)

    with torch.inference_mode():
        assert_close(exported.eval()(pictures), network.eval()(pictures), 1e-12)

    # The two draw their masks in different orders, so they are compared without any.
    assert without_dropout(network) == without_dropout(exported)
    results = []
    for module in (network.train(), exported.train()):
        output = module(pictures)
        sum(tensor.square().sum() for tensor in tensors(output)).backward()  # type: ignore[union-attr]
        results.append(output)
    assert_close(results[1], results[0], 1e-9)
    names = key_map(network.graph)
    state, gradients = exported.state_dict(), dict(exported.named_parameters())
    for key, value in network.state_dict().items():
        torch.testing.assert_close(state[names[key]], value, rtol=1e-9, atol=1e-9)
    norm = max(float(value.grad.norm()) for value in network.parameters() if value.grad is not None)
    for key, parameter in network.named_parameters():
        torch.testing.assert_close(gradients[names[key]].grad, parameter.grad, rtol=1e-6, atol=1e-9 * norm)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(architectures())
def test_an_exported_file_is_formatted_and_clean(architecture: Architecture) -> None:
    assert_well_formed(source_of(architecture, resolution=architecture.smallest_resolution(aux=True)))


def test_wide_and_deep_modules_are_formatted_too() -> None:
    many = tuple(Conv((3, 3), 1, True, 10_000 + i, i % 2 == 0, i % 3 == 0) for i in range(30))
    split = Split(tuple(Conv((1, 3), 1, True, 60_000, False, False) for _ in range(8)))
    wide = Module(tuple((*many, split, Conv((3, 1), 1, True, 9)) for _ in range(12)))
    heads = tuple(Aux(1, 1 + i % 3, many[: i + 1]) for i in range(8))
    architecture = replace(SMALL, stages=(Stage((wide, *SMALL.stages[0].modules, wide)),), aux=heads)
    assert_well_formed(source_of(architecture, classes=65_536, channels=65_536))


# ------------------------------------------------------------------------------------------------ published networks


@pytest.mark.parametrize("name", seed_names())
def test_a_seed_reads_well_and_holds_its_weights(name: str) -> None:
    source = source_of(seed(name), classes=1000)
    assert len(source.splitlines()) < 440
    assert_well_formed(source)
    graph = seed(name).graph(aux=True)
    with torch.device("meta"):
        exported = network_class(load(source))(**({"aux": True} if seed(name).aux else {}))
    names, shapes = key_map(graph), key_shapes(graph)
    found = {key: tuple(value.shape) for key, value in exported.state_dict().items()}
    assert found == {names[key]: shape for key, shape in shapes.items()}


@pytest.mark.parametrize("name", seed_names())
def test_a_narrow_seed_computes_what_its_network_computes(name: str, tmp_path: Path) -> None:
    """Every operation and both modes at the native size, with an eighth of the filters, weights through the file."""
    architecture = scaled(seed(name), 0.125)
    side, aux = architecture.resolution, bool(architecture.aux)
    network = lively(build(architecture.graph(classes=7, aux=aux), initialise=1)).double()
    source, weights = export_python(architecture, tmp_path, state=network.state_dict(), classes=7, provenance={})
    namespace = load(source.read_text())
    exported = network_class(namespace)(**({"aux": True} if aux else {})).double()
    namespace["load_weights"](exported, weights)
    pictures = torch.rand(2, 3, side, side, dtype=torch.float64)
    assert without_dropout(network) == without_dropout(exported)
    with torch.no_grad():
        assert_close(exported.eval()(pictures), network.eval()(pictures), 1e-12)
        assert_close(exported.train()(pictures), network.train()(pictures), 1e-9)


def test_operations_of_one_network_do_not_clutter_the_others() -> None:
    marks = {
        "ceil_mode": {"bn-inception", "googlenet", "googlenet-torchvision"},
        "LocalResponseNorm": {"googlenet"},
        "nn.AdaptiveAvgPool2d(4)": {"googlenet-torchvision"},
        "module.in_features": {"googlenet", "googlenet-torchvision"},
        "class Stem": {"inception-v4"},
        "count_include_pad=False": {"inception-v3-tf", "inception-v4"},
        "bias=not norm": {"inception-v2"},
    }
    sources = {name: source_of(seed(name)) for name in seed_names()}
    for mark, names in marks.items():
        assert {name for name, source in sources.items() if mark in source} == names, mark


def test_a_hidden_layer_is_made_for_the_size_of_the_export(tmp_path: Path) -> None:
    small = scaled(seed("googlenet"), 0.125)
    with_aux = build(small.graph(160, classes=7, aux=True), initialise=0).state_dict()
    source, weights = export_python(small, tmp_path, state=with_aux, classes=7, resolution=160, provenance={})
    assert "Its first linear layer fits pictures of 160 x 160." in source.read_text()
    namespace = load(source.read_text())
    exported = network_class(namespace)(aux=True)
    namespace["load_weights"](exported, weights)
    logits, auxiliary = exported.train()(torch.rand(2, 3, 160, 160))
    assert [tuple(tensor.shape) for tensor in (logits, *auxiliary)] == [(2, 7)] * 3
    with pytest.raises(RequestError, match=r"'aux1\.2\.linear\.weight' is 128 x \d+ instead of .* size of pictures"):
        export_python(small, tmp_path, state=with_aux, classes=7, provenance={})
    # where the heads do not fit, they are made for the smallest pictures that they accept, and the trunk runs
    trunk = {key: value for key, value in with_aux.items() if not key.startswith("aux")}
    source, weights = export_python(small, tmp_path, state=trunk, classes=7, resolution=48, provenance={})
    assert "fits pictures of 79 x 79" in source.read_text()
    namespace = load(source.read_text())
    exported = network_class(namespace)()
    namespace["load_weights"](exported, weights)
    assert exported.eval()(torch.rand(1, 3, 48, 48)).shape == (1, 7)


# ------------------------------------------------------------------------------------------------------- Inception-v3


def test_inception_v3_reads_as_one_would_write_it() -> None:
    source = source_of(INCEPTION_V3, classes=1000)
    assert len(source.splitlines()) < 400
    assert max(map(len, source.splitlines())) <= 88
    assert_well_formed(source)
    tree = ast.parse(source)
    assert {node.names[0].name for node in tree.body if isinstance(node, ast.Import)} == {
        "contextlib", "torch", "warnings",
    }  # fmt: skip
    assert {node.module for node in tree.body if isinstance(node, ast.ImportFrom)} == {"torch"}
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    modules = ["InceptionA", "ReductionA", "InceptionB", "ReductionB", "InceptionC"]
    assert classes == ["ConvNormAct", "Parallel", *modules, "AuxHead", "InceptionV3"]
    for fact in ("23,834,568", "27,161,264", "5,713,216,096", INCEPTION_V3.digest, "study: digits"):
        assert fact in source
    assert "\n    stage1.module1.tower1.0.conv.weight\n" in source


def test_inception_v3_computes_the_same_in_a_process_that_knows_torch_alone(tmp_path: Path) -> None:
    graph = INCEPTION_V3.graph(299, classes=11, aux=True)
    network = lively(build(graph, initialise=0)).double()
    written = export_python(INCEPTION_V3, tmp_path, state=network.state_dict(), classes=11, provenance={})
    assert [path.name for path in written] == ["inception_v3.py", "inception_v3.safetensors"]
    pictures = torch.rand(2, 3, 299, 299, dtype=torch.float64)
    torch.save(pictures, tmp_path / "pictures.pt")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import torch
from inception_v3 import InceptionV3, load_weights
torch.set_num_threads(1)
pictures = torch.load("pictures.pt", weights_only=True)
small = torch.nn.functional.interpolate(pictures, size=(96, 96))
plain = InceptionV3().double().eval()
load_weights(plain, "inception_v3.safetensors")
whole = InceptionV3(aux=True, dropout=0.0).double()
load_weights(whole, "inception_v3.safetensors")
results = [plain(small), plain.float()(small.float()), *whole(pictures)]
torch.save([result.detach() for result in results], "results.pt")
assert not {{"search_spaces", "trainers", "results", "nas", "torchvision", "timm"}} & set(sys.modules)
"""
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    small_result, float_result, logits, aux_logits = torch.load(tmp_path / "results.pt", weights_only=True)
    small = torch.nn.functional.interpolate(pictures, size=(96, 96))
    with torch.inference_mode():
        assert_close(small_result, network.eval()(small), 1e-12)
        # the network joins what the file computes one by one: their roundings differ
        assert_close(float_result, deepcopy(network).float()(small.float()), 1e-5)
    dropout = network.get_submodule("head.dropout")
    assert isinstance(dropout, nn.Dropout)
    dropout.p = 0.0
    with torch.no_grad():
        assert_close([logits, aux_logits], network.train()(pictures), 1e-12)


@pytest.mark.parametrize("hidden", [[], ["linear 200 relu"]], ids=["plain", "hidden"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("", ""), (" bias", " bias"), ("", " bias"), (" norm bias", " bias"), (" norm bias", "")],
)
def test_fresh_weights_are_drawn_as_the_search_draws_them(first: str, second: str, hidden: list[str]) -> None:
    steps = [f"conv 3x3 64{first}", f"conv 1x1 96{second}"]
    data = SMALL.as_data() | {"stem": steps, "stages": [{"modules": [[[*steps, f"conv 1x7 32{second}"]]]}]}
    head = [*steps, *(["adaptive 2x2"] if hidden else []), *hidden]
    architecture = from_data(data | {"aux": [{"after": "stage1.module1", "steps": head}]})
    graph = architecture.graph(32, aux=True)
    ours = build(graph, initialise=0).state_dict()
    theirs = network_class(load(source_of(architecture, classes=1000)))(aux=True).state_dict()
    for key, name in key_map(graph).items():
        expected, found = ours[key].double(), theirs[name].double()
        if expected.ndim > 1:
            assert float(found.abs().max()) == pytest.approx(float(expected.abs().max()), rel=0.02), key
            assert float(found.std()) == pytest.approx(float(expected.std()), rel=0.05), key
        else:
            assert torch.equal(found, expected), key


# ------------------------------------------------------------------------------------------------------------ weights


def test_keys_are_the_nodes_names() -> None:
    graph = SMALL.graph(32, classes=7, aux=True)
    state = build(graph, initialise=0).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == key_shapes(graph)
    names = key_map(graph)
    assert names["stage1.module1.tower2.1.conv.weight"] == "stage1.module1.tower2.1.conv.weight"
    assert names["head.linear.linear.bias"] == "head.linear.bias"
    assert set(names.values()) == set(network_class(load(source_of(SMALL)))(aux=True).state_dict())


def test_weights_carry_what_they_are_for(tmp_path: Path) -> None:
    state = build(SMALL.graph(32, classes=7), initialise=0).state_dict()
    export_python(SMALL, tmp_path, state=state, classes=7, provenance={})
    with safe_open(tmp_path / "small.safetensors", "pt") as file:
        found = file.metadata()
    assert from_yaml(found.pop("architecture")) == SMALL
    assert re.fullmatch("[0-9a-f]{64}", found.pop("weights"))
    assert found == {
        "format": "pt", "name": "small", "digest": SMALL.digest, "classes": "7", "channels": "3",
        "resolution": "32x32", "provenance": "{}",
    }  # fmt: skip
    proxy = {"architecture": INCEPTION_V3.digest}
    export_python(SMALL, tmp_path, state=state, classes=7, provenance=proxy, stands_for=(INCEPTION_V3, (299, 299)))
    with safe_open(tmp_path / "small.safetensors", "pt") as file:
        assert file.metadata()["stands_for"] == INCEPTION_V3.digest


def test_the_docstring_says_by_whose_thresholds_the_principles_are_kept() -> None:
    own, studys = source_of(SMALL), source_of(SMALL, thresholds=Thresholds(bottleneck=0.9))
    assert "bottleneck" in own
    assert "at least 0.9" in studys
    assert "by the thresholds of its study" in " ".join(studys.split())
    assert "its study" not in own


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_an_exported_file_refuses_weights_that_do_not_fit(tmp_path: Path, suffix: str) -> None:
    state = build(SMALL.graph(32, classes=7), initialise=0).state_dict()
    [_, weights] = export_python(SMALL, tmp_path, state=state, classes=7, provenance={})
    namespace = load(source_of(SMALL))
    made = network_class(namespace)
    namespace["load_weights"](made(), weights)
    if suffix == "pt":
        network = made()
        namespace["load_weights"](network, weights)
        weights = tmp_path / "small.pt"
        torch.save(network.state_dict(), weights)
        namespace["load_weights"](made(), weights)
    with pytest.raises(ValueError, match=r"head\.linear\.bias is \(7,\) instead of \(10,\)"):
        namespace["load_weights"](made(num_classes=10), weights)
    with pytest.raises(ValueError, match=r"aux1\.0\.conv\.weight is missing"):
        namespace["load_weights"](made(aux=True), weights)


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    state = build(SMALL.graph(32, classes=7, aux=True), initialise=0).state_dict()
    folder = tmp_path / "new"
    with pytest.raises(RequestError, match=r"'head\.linear\.linear\.weight' is 7 x 16 instead of 10 x 16"):
        export_python(SMALL, folder, state=state, classes=10, provenance={})
    with pytest.raises(RequestError, match=r"'stem\.0\.conv\.weight' is missing"):
        export_python(
            SMALL, folder, state={k: v for k, v in state.items() if k != "stem.0.conv.weight"}, classes=7, provenance={}
        )
    with pytest.raises(RequestError, match="'other' is unknown"):
        export_python(SMALL, folder, state={**state, "other": torch.ones(1)}, classes=7, provenance={})
    assert not folder.exists()


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(RequestError, match="0 classes is not possible"):
        source_of(SMALL, classes=0)
    with pytest.raises(ResolutionError, match="the smallest side that works is"):
        source_of(INCEPTION_V3, resolution=20)


# -------------------------------------------------------------------------------------------------------------- names

HOSTILE = [
    '"""\nimport os\nos.abort()\n"""',
    "x\\",
    '\\"""',
    "'''",
    "a\x00b\u2028c\u202ed\ud800\x1b[31m\r\n",
    "{name}%s{0}",
    "class",
    "none",
    "true",
    "exception",
    "torch",
    "conv-norm-act",
    "inception-a",
    "tensor",
    "../../etc/passwd",
    "",
    "7",
    "\N{FULLWIDTH LATIN CAPITAL LETTER A}ux\N{GREEK SMALL LETTER ALPHA}",
    "long " * 1000,
]


def without_texts(source: str, name: str) -> str:
    """The code of a file, with its docstring gone, the network's class called X and what timm calls x."""
    tree = ast.parse(source)
    assert isinstance(tree.body[0], ast.Expr)
    del tree.body[0]
    [builder] = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("nas_")]
    assert builder.isidentifier()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in (name, builder):
            node.name = "X" if node.name == name else "x"
        elif isinstance(node, ast.Name) and node.id in (name, builder):
            node.id = "X" if node.id == name else "x"
        elif isinstance(node, ast.Constant) and node.value == name:
            node.value = "X"
        elif isinstance(node, ast.Constant) and str(node.value).startswith("format: architecture/1\nname: '"):
            node.value = from_yaml(node.value).digest
    return ast.dump(tree)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_reach_no_code(text: str, tmp_path: Path) -> None:
    plain = without_texts(source_of(SMALL), "Small")
    source = source_of(SMALL.named(text), provenance={text: text, "study": text + '"'})
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert without_texts(source, classes[-1]) == plain
    assert len(set(classes)) == len(classes)
    assert_well_formed(source)
    assert network_class(load(source))()(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    written = [*export_python(SMALL.named(text), tmp_path, state=None, classes=7, provenance={text: text})]
    assert [path.parent for path in written] == [tmp_path]
    assert written[0].stem.isidentifier()


@given(st.text(), st.text())
def test_any_text_may_be_provenance(key: str, value: str) -> None:
    source = source_of(SMALL, provenance={key: value})
    assert without_texts(source, "Small") == without_texts(source_of(SMALL), "Small")


def test_names_are_python_s() -> None:
    assert class_name("inception-v3", ()) == "InceptionV3"
    assert class_name("inception-v3-tf", ()) == "InceptionV3Tf"
    assert class_name("inception-a", {"InceptionA"}) == "InceptionANetwork"
    assert module_name("BN.inception--2") == "bn_inception_2"
    assert module_name("torch") == "torch_network"
    assert module_name("json") == "json_network"


# -------------------------------------------------------------------------------------------------------------- files


def test_yaml_gives_back_the_same_architecture(tmp_path: Path) -> None:
    path = export_yaml(INCEPTION_V3, tmp_path / "deep" / "folder")
    assert path.name == "inception-v3.yaml"
    again = from_file(path)
    assert (again, again.digest, again.name) == (INCEPTION_V3, INCEPTION_V3.digest, "inception-v3")


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(RequestError, match=r"cannot be written to .* name a folder that you may write to"):
        export_yaml(SMALL, tmp_path / "file")
    (tmp_path / "small.py").mkdir()
    with pytest.raises(RequestError, match=r"small\.py is a folder"):
        export_python(SMALL, tmp_path, state=None, classes=7, provenance={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "small.py"]


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    for classes in (7, 8):
        [path] = export_python(SMALL, tmp_path, state=None, classes=classes, provenance={})
    assert "num_classes: int = 8" in path.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["small.py"]


def test_a_failure_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RequestError, match="No space left on device"):
        write_files(tmp_path, {"a": b"1", "b": b"2"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "raised"),
    [(PermissionError(13, "Permission denied"), RequestError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["fails", "is interrupted"],
)
def test_a_rename_that_fails_takes_the_first_file_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, raised: type[BaseException]
) -> None:
    rename = os.replace

    def second_fails(source: Any, target: Path) -> None:
        if target.name == "b":
            raise error
        rename(source, target)

    monkeypatch.setattr("os.replace", second_fails)
    with pytest.raises(raised):
        write_files(tmp_path, {"a": b"1", "b": b"2"})
    assert not list(tmp_path.iterdir())


def test_writing_source_needs_no_torch() -> None:
    script = (
        f"import sys, json; sys.path.insert(0, {str(ROOT)!r}); import results.export.to_python, results.export.to_yaml;"
        "print(json.dumps(sorted({'torch', 'networkx', 'ray', 'safetensors'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_proxy_is_judged_by_what_it_stands_for() -> None:
    whole = seed("inception-v3")
    small = Content(proxy(whole, 16, 0.125), 10, 1, (16, 16))
    judged = python_source(replace(small, stands_for=(whole, (299, 299))))
    assert "section 2) of what it stands for, on 299 x 299:" in judged
    assert "broken" not in judged.partition("Provenance")[0]
    assert "section 2) on these pictures:" in python_source(small)
