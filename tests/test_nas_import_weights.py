"""Which files ``nas export --weights`` takes, and what it says of weights that have to be imported first."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nas.cli import main
from nas.import_weights import read_weights
from search_spaces.errors import RequestError
from search_spaces.seeds import seed
from trainers import checkpoint
from trainers.about import About
from trainers.foreign_weights import OURS, foreign_lineages, whose

V3, GOOGLENET = "torchvision's or timm's inception_v3", "torchvision's googlenet"
RESNET = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight", "fc.weight", "fc.bias")


def _named(*keys: str) -> dict[str, Tensor]:
    return {key: torch.zeros(1) for key in keys}


def _of(name: str) -> dict[str, Tensor]:
    """Tensors under the names of another library's network; what is in them does not count here."""
    ((_, keys),) = foreign_lineages(seed(name))
    return _named(*keys)


def _write(tensors: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("file", ["theirs.pth", "theirs.safetensors", "own.safetensors"])
@pytest.mark.parametrize(("name", "names"), [("inception-v3", V3), ("googlenet-torchvision", GOOGLENET)])
def test_weights_of_another_library_are_imported_first(tmp_path: Path, name: str, names: str, file: str) -> None:
    path = _write(_of(name), tmp_path / file)
    with pytest.raises(RequestError, match="holds weights of another library's network") as caught:
        read_weights(name, seed(name), path)
    sentence = str(caught.value)
    assert names in sentence
    assert "\n" not in sentence
    (command,) = re.findall(r"\((nas import-weights .*)\)", sentence)
    *_, output = words = shlex.split(command)
    assert words == ["nas", "import-weights", name, "--from", str(path), "-o", output]
    assert output.endswith(".safetensors")
    assert sentence.endswith(f"export with {output!r}")


def test_the_file_is_never_its_own_source(tmp_path: Path) -> None:
    path = _write(_of("inception-v3"), tmp_path / "inception-v3.safetensors")
    with pytest.raises(RequestError, match=r"-o inception-v3-imported\.safetensors\)"):
        read_weights("inception-v3", seed("inception-v3"), path)


@pytest.mark.parametrize(
    ("tensors", "found"),
    [(_of("inception-v3"), V3), (_named(*RESNET), "with 'conv1.weight' in it")],
    ids=["another lineage", "nobody's"],
)
def test_weights_that_cannot_be_taken_say_which_can(tmp_path: Path, tensors: dict[str, Tensor], found: str) -> None:
    path = _write(tensors, tmp_path / "x.pth")
    with pytest.raises(
        RequestError, match=f"another library's network, {found}, which googlenet cannot take"
    ) as caught:
        read_weights("googlenet", seed("googlenet"), path)
    assert f"googlenet-torchvision from {GOOGLENET}, inception-v3 from {V3}" in str(caught.value)


def test_weights_of_an_exported_file_are_imported_first(tmp_path: Path) -> None:
    path = _write(_named("stem.0.conv.weight", "head.linear.weight"), tmp_path / "inception_v3.safetensors")
    with pytest.raises(RequestError, match=r"as an exported file .* first \(nas import-weights my\.yaml --from"):
        read_weights("my.yaml", seed("inception-v3"), path)


def test_names_tell_whose_weights_these_are() -> None:
    assert whose(_of("inception-v3")) == V3
    assert whose(_of("googlenet-torchvision")) == GOOGLENET
    assert whose(["stem.0.conv.weight", "stage1.module1.tower1.0.norm.bias", "aux1.linear.linear.bias"]) == OURS
    assert whose(RESNET) is None
    assert whose(["fc.weight"] * 2 + ["layer.weight"] * 2) is None


def test_a_wrong_file_of_our_own_keeps_its_message(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    checkpoint.write(path, _of("inception-v3"), {"epochs": 1})  # even with the names of others
    content = path.read_bytes()
    assert read_weights("inception-v3", seed("inception-v3"), path).about == About()
    for damaged, sentence in (
        (content[:-1], "does not match its SHA-256"),
        (content[:-1] + bytes([content[-1] ^ 1]), "does not match its SHA-256"),
        (content.replace(b"training/1", b"training/2"), "has format 'training/2'"),
        (content[:100], "it is cut off or not a checkpoint"),
        (b"", "it is cut off or not a checkpoint"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(checkpoint.CheckpointError, match=sentence):
            read_weights("inception-v3", seed("inception-v3"), path)
    with pytest.raises(RequestError, match="cannot be read"):
        read_weights("inception-v3", seed("inception-v3"), tmp_path / "none.pth")


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(_of("inception-v3"), Path("v3.pth"))
    arguments = ["export", "inception-v3", "--weights", "v3.pth", "-o", "out", "--to"]
    for form, sentence in (
        ("python", "nas import-weights inception-v3 --from v3.pth -o inception-v3.safetensors"),
        ("yaml", "nas import-weights"),
    ):
        monkeypatch.setattr("sys.argv", ["nas", *arguments, form])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err
    assert not Path("out").exists()
    checkpoint.write(Path("own.safetensors"), _named("x"), {})
    monkeypatch.setattr(
        "sys.argv", ["nas", "export", "inception-v3", "--weights", "own.safetensors", *arguments[4:], "yaml"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "an architecture file holds no weights" in capsys.readouterr().err
