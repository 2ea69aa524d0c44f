"""Weights of others: torchvision's networks are the oracle, for their names and for what their weights compute."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from published import torchvision_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas.cli import main
from nas.import_weights import import_weights
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.seeds import seed
from trainers import checkpoint
from trainers.foreign_weights import convert, foreign_lineages
from trainers.network import Network, build, endpoints

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = {"inception-v3": "inception_v3", "googlenet-torchvision": "googlenet"}
State = dict[str, Tensor]


def oracle(name: str, **arguments: Any) -> nn.Module:
    """A network of torchvision whose batch norms have statistics of their own, so that none can be mixed up."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = torchvision_model(name, **arguments).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low in ((module.weight, 0.8), (module.bias, -0.2), (module.running_mean, -0.2)):
                assert value is not None
                value.data.copy_(low + 0.4 * torch.rand(value.shape, generator=generator))
            assert module.running_var is not None
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
            module.num_batches_tracked = torch.tensor(7)
    return network


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On busy cores the threads of hundreds of small operations wait for each other: ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return {name: oracle(theirs) for name, theirs in NETWORKS.items()}


@pytest.fixture(scope="module")
def v3(networks: dict[str, nn.Module]) -> State:
    return dict(networks["inception-v3"].state_dict())


def loaded(architecture: Architecture, tensors: Mapping[str, Tensor], classes: int = 1000, **kind: Any) -> Network:
    network = build(architecture.graph(299, classes=classes, **kind), initialise=1)
    network.load_state_dict(tensors)
    return network.eval()


def picture(side: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


# ------------------------------------------------------------------------------------------------- the same network


@pytest.mark.parametrize("name", NETWORKS)
def test_tables_are_whole(networks: dict[str, nn.Module], name: str) -> None:
    ((_, key_map),) = foreign_lineages(seed(name))
    ours = build(seed(name).graph(299, aux=True), initialise=0).state_dict()
    assert key_map.keys() == networks[name].state_dict().keys()
    assert set(key_map.values()) == ours.keys()
    assert len(set(key_map.values())) == len(key_map)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_torchvisions(networks: dict[str, nn.Module], name: str) -> None:
    theirs, x = networks[name], picture(96)
    imported = convert(seed(name), theirs.state_dict(), "f")
    ours = loaded(seed(name), imported.tensors, aux=True)
    assert (imported.classes, imported.channels, imported.aux) == (1000, 3, True)
    assert imported.tensors["stem.0.norm.num_batches_tracked"].item() == 7
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
        wanted, found = theirs.double()(x.double()), ours.double()(x.double())
        assert wanted.std() > 0.01
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    theirs.float()


@pytest.mark.parametrize("name", NETWORKS)
def test_auxiliary_logits_are_torchvisions(networks: dict[str, nn.Module], name: str) -> None:
    """In float64 and evaluation mode, where each head is called with what it reads."""
    theirs = networks[name].double()
    ours = loaded(seed(name), convert(seed(name), theirs.state_dict(), "f").tensors, aux=True).double()
    heads = {"AuxLogits": "Mixed_6e"} if name == "inception-v3" else {"aux1": "inception4a", "aux2": "inception4d"}
    read: dict[str, Tensor] = {}
    hooks = [
        getattr(theirs, layer).register_forward_hook(lambda *call, layer=layer: read.__setitem__(layer, call[-1]))
        for layer in heads.values()
    ]
    x = picture(299 if name == "inception-v3" else 96).double()
    with torch.inference_mode():
        theirs(x)
        found = endpoints(ours, x)
        for number, (head, layer) in enumerate(heads.items(), 1):
            torch.testing.assert_close(found[f"aux{number}"], getattr(theirs, head)(read[layer]), rtol=0, atol=1e-12)
    for hook in hooks:
        hook.remove()
    theirs.float()


def test_fewer_classes_one_channel_and_no_heads() -> None:
    """As timm writes an inception_v3 of 10 classes for grey pictures: the same names, without heads."""
    theirs = oracle("inception_v3", num_classes=10, aux_logits=False)
    theirs.Conv2d_1a_3x3.conv = nn.Conv2d(1, 32, 3, 2, bias=False)  # type: ignore[union-attr]
    imported = convert(seed("inception-v3"), theirs.state_dict(), "f")
    assert (imported.classes, imported.channels, imported.aux) == (10, 1, False)
    assert imported.sentence.endswith("10 classes, 1 channels, without auxiliary heads")
    ours = loaded(seed("inception-v3"), imported.tensors, classes=10, channels=1)
    x = picture(80, channels=1)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)


def test_heads_for_other_classes_are_left_out_and_said(v3: State) -> None:
    changed = v3 | {"fc.weight": torch.zeros(7, 2048), "fc.bias": torch.zeros(7)}
    imported = convert(seed("inception-v3"), changed, "f")
    assert (imported.classes, imported.aux, imported.aux_left_out) == (7, False, 1000)
    assert "without auxiliary heads, which are for 1000 classes in the file" in imported.sentence
    loaded(seed("inception-v3"), imported.tensors, classes=7)


def test_the_other_pooling_convention_is_said(v3: State) -> None:
    imported = convert(seed("inception-v3-tf"), v3, "f")
    assert "average pools do not count their padding here" in imported.sentence
    assert "padding" not in convert(seed("inception-v3"), v3, "f").sentence


def test_own_names_and_those_of_an_export_come_back(v3: State) -> None:
    architecture = seed("inception-v3")
    ours = convert(architecture, v3, "f").tensors
    exported = {key.replace(".linear.linear.", ".linear."): tensor for key, tensor in ours.items()}
    for state in (ours, exported):
        back = convert(architecture, state, "f")
        assert back.names == "inception-nas"
        assert back.tensors.keys() == ours.keys()
        assert all(back.tensors[key] is not None and torch.equal(back.tensors[key], ours[key]) for key in ours)
    plain = build(seed("bn-inception").graph(classes=5), initialise=0).state_dict()
    assert convert(seed("bn-inception"), plain, "f").classes == 5


# --------------------------------------------------------------------------------------------------- one weight wrong


def test_kinds_of_numbers(v3: State) -> None:
    counter, weight = "Mixed_5b.branch_pool.bn.num_batches_tracked", "Mixed_5b.branch_pool.conv.weight"
    state = {key: tensor for key, tensor in v3.items() if key != counter}
    state["Conv2d_1a_3x3.bn.num_batches_tracked"] = torch.tensor(3.0)
    for kind, kept in (
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
    ):
        found = convert(seed("inception-v3"), state | {weight: v3[weight].to(kind)}, "f").tensors
        assert found["stage1.module1.tower4.1.conv.weight"].dtype == kept
        torch.testing.assert_close(
            found["stage1.module1.tower4.1.conv.weight"], v3[weight].to(kind).to(kept), rtol=0, atol=0
        )
        assert found["stage1.module1.tower4.1.norm.num_batches_tracked"].dtype == torch.int64
        assert found["stem.0.norm.num_batches_tracked"].item() == 3


def sparse(tensor: Tensor) -> Tensor:
    return tensor.to_sparse()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.int(), "is int32: weights must be float32"),
        (lambda t: t.bool(), "is bool: weights must be"),
        (lambda t: t.to(torch.complex64), "is complex64: weights must be"),
        (lambda t: t.to(torch.float8_e5m2), "is float8_e5m2: weights must be"),
        (lambda t: t.index_fill(0, torch.tensor([1]), float("nan")), "holds NaN or infinity"),
        (lambda t: t.index_fill(0, torch.tensor([1]), float("-inf")), "holds NaN or infinity"),
        (sparse, "is sparse, quantised or without content"),
        (lambda t: t.to("meta"), "is sparse, quantised or without content"),
        (lambda t: t[:, :-1], "is 64 x 191 x 1 x 1 instead of 64 x 192 x 1 x 1"),
        (lambda t: t.flatten(1), "is 64 x 192 instead of 64 x 192 x 1 x 1"),
        (lambda t: torch.zeros(1).expand(10**6, 10**6), "is 1000000 x 1000000 instead of"),
    ],
)
def test_a_wrong_weight_is_named(v3: State, change: Any, sentence: str) -> None:
    key = "Mixed_5b.branch1x1.conv.weight"
    with pytest.raises(RequestError) as caught:
        convert(seed("inception-v3"), v3 | {key: change(v3[key])}, "'f.pth'")
    assert f"{key!r} in 'f.pth' " in str(caught.value)
    assert sentence in str(caught.value)


def test_missing_and_unexpected_names(v3: State, networks: dict[str, nn.Module]) -> None:
    architecture = seed("inception-v3")
    without = {key: tensor for key, tensor in v3.items() if key != "Mixed_6c.branch7x7_2.bn.bias"}
    with pytest.raises(RequestError, match=r"'Mixed_6c.branch7x7_2.bn.bias' \(160\) is missing; give"):
        convert(architecture, without, "f")
    with pytest.raises(RequestError, match=r"names them: 'extra' \(2 x 3\) is unexpected; give"):
        convert(architecture, v3 | {"extra": torch.zeros(2, 3)}, "f")
    part = {key: tensor for key, tensor in v3.items() if key != "AuxLogits.fc.bias"}
    with pytest.raises(RequestError, match=r"'AuxLogits.fc.bias' \(1000\) is missing"):
        convert(architecture, part, "f")
    with pytest.raises(
        RequestError,
        match=r"1a_3x3.conv.weight' \(32 x 3 x 3 x 3\) is missing and 'conv1.conv.weight' \(64 x 3 x 7 x 7\) is unexp",
    ):
        convert(architecture, networks["googlenet-torchvision"].state_dict(), "f")


def test_architectures_without_a_lineage_say_which_have_one(v3: State) -> None:
    for name in ("bn-inception", "googlenet"):
        with pytest.raises(RequestError) as caught:
            convert(seed(name), v3, "f")
        assert "inception-v3 from torchvision's or timm's inception_v3" in str(caught.value)
        assert "googlenet-torchvision from torchvision's googlenet" in str(caught.value)


def test_an_architecture_file_of_the_same_layout_is_enough(v3: State) -> None:
    bare = replace(seed("inception-v3"), name="mine", aux=())
    plain = {key: tensor for key, tensor in v3.items() if not key.startswith("AuxLogits")}
    assert convert(bare, plain, "f").names == "torchvision's or timm's inception_v3"
    with pytest.raises(RequestError, match=r"'AuxLogits\.conv0\.conv\.weight' \(128 x 768 x 1 x 1\) is unexpected"):
        convert(bare, v3, "f")


# --------------------------------------------------------------------------------------------------- the command line


def nas(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, check=False, timeout=100
    )


def test_from_a_file_to_plain_pytorch(networks: dict[str, nn.Module], tmp_path: Path) -> None:
    theirs = networks["googlenet-torchvision"]
    save_file(dict(theirs.state_dict()), tmp_path / "theirs.safetensors")
    (tmp_path / "ours.safetensors").write_bytes(b"an earlier file is replaced")
    arguments = ["import-weights", "googlenet-torchvision", "--from", "theirs.safetensors", "-o", "ours.safetensors"]
    done = nas(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ours.safetensors\n"
    assert done.stderr.startswith("reading and checking theirs.safetensors ...\n")
    assert "1000 classes, 3 channels, with auxiliary heads" in done.stderr
    assert done.stderr.endswith("\nreplaced: ours.safetensors\n")
    found = checkpoint.read(tmp_path / "ours.safetensors")
    assert found.data["digest"] == seed("googlenet-torchvision").digest
    assert (found.data["classes"], found.data["channels"], found.data["resolution"]) == (1000, 3, 224)
    assert found.data["aux"] is True
    assert found.data["source"]["file"] == "theirs.safetensors"
    assert len(found.data["source"]["sha256"]) == 64
    ours = loaded(seed("googlenet-torchvision"), load_file(tmp_path / "ours.safetensors"), aux=True)
    arguments = ["export", "googlenet-torchvision", "--to", "python", "--weights", "ours.safetensors", "-o", "out"]
    done = nas(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location("exported_googlenet", tmp_path / "out" / "googlenet_torchvision.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plain = module.GooglenetTorchvision()
    module.load_weights(plain, tmp_path / "out" / "googlenet_torchvision.safetensors")
    x = picture(75)
    with torch.inference_mode():
        torch.testing.assert_close(plain.eval()(x), theirs(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()  # 50 MB each, which pytest would keep for three runs


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inception-v3", "--from", "resnet.pth", "-o", "out.safetensors"], "'conv1.weight' (64 x 3 x 7 x 7) is"),
        (["bn-inception", "--from", "resnet.pth", "-o", "out.safetensors"], "you can import googlenet-torchvision"),
        (["inception-v3", "--from", "resnet.pth", "-o", "out.pth"], "'out.pth' must end in .safetensors"),
        (["inception-v3", "--from", "none.pth", "-o", "out.safetensors"], "there is no file 'none.pth'"),
        (["inception-v5", "--from", "resnet.pth", "-o", "out.safetensors"], "did you mean 'inception-v"),
        (["inception-v3", "--from", ".", "-o", "out.safetensors"], "there is no file '.'"),
    ],
)
def test_a_wrong_request_costs_one_sentence_and_writes_nothing(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["nas", "import-weights", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert len([line for line in told.err.splitlines() if line.startswith("nas: ")]) == 1
    assert told.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["resnet.pth"]


def test_the_file_that_is_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    before = path.read_bytes()
    with pytest.raises(RequestError, match="is the file that is read"):
        import_weights("inception-v3", path, tmp_path / "." / "x.safetensors", tmp_path)
    assert path.read_bytes() == before
    assert json.loads(before[8 : 8 + before[0]])["a"]["shape"] == [1]
