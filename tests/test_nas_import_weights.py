"""Which files ``nas export --weights`` takes, which have to be imported first, and what they bring along."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exported_networks import DEVIATION, MEAN, NAMES, SIDE, TINY, WHITE
from safetensors.torch import load as parse
from safetensors.torch import save_file
from torch import Tensor

from nas.cli import main
from nas.cli_export import import_weights as command
from nas.export_card import card_background
from nas.export_content import content_of
from nas.import_weights import SCALINGS, import_weights, read_weights
from nas.study import Found
from results.export.content import Content, Scaling
from results.export.facts import metadata
from results.export.to_card import to_card
from results.export.to_safetensors import to_safetensors
from search_spaces.errors import RequestError
from search_spaces.seeds import seed
from trainers import checkpoint
from trainers.about import About
from trainers.foreign_weights import OURS, foreign_lineages, whose
from trainers.network import build
from trainers.source import DataSource

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


# ------------------------------------------------------------------------------------------- exported, and back again

PROVENANCE = {"architecture": "b" * 64, "study": "s, trial 3", "validation error": "0.2000"}
KNOWN = Content(
    TINY,
    len(NAMES),
    3,
    (SIDE + 8, SIDE + 8),
    state=build(TINY.graph(SIDE, classes=len(NAMES), aux=True), initialise=0).state_dict(),
    provenance=PROVENANCE,
    scaling=Scaling(MEAN, DEVIATION, WHITE),
    class_names=NAMES,
    data_digest="a" * 64,
    caution="trained briefly",
)


def _imported(content: Content, folder: Path, notes: dict[str, str | None] | None = None) -> Content:
    """Export weights, with other ``notes`` beside them (None: none of that name), and import them."""
    [file] = to_safetensors(content).values()
    told = {**metadata(content), **(notes or {})}
    save_file(parse(file), folder / "out.safetensors", {key: text for key, text in told.items() if text is not None})
    (folder / "tiny.yaml").write_text(TINY.to_yaml(), encoding="utf-8")
    import_weights(str(folder / "tiny.yaml"), folder / "out.safetensors", folder / "in.safetensors", folder)
    tensors, about = read_weights("tiny.yaml", TINY, folder / "in.safetensors")
    return content_of(Found(TINY), tensors, about=about)


def test_weights_that_were_exported_come_back_with_what_was_known(tmp_path: Path) -> None:
    again = _imported(KNOWN, tmp_path)
    assert again.state is not None
    assert KNOWN.state is not None
    assert all(torch.equal(again.state[key], tensor) for key, tensor in KNOWN.state.items())
    assert (again.scaling, again.class_names, again.data_digest) == (KNOWN.scaling, NAMES, "a" * 64)
    assert (again.sides, again.caution, again.provenance) == (KNOWN.sides, "trained briefly", PROVENANCE)
    assert metadata(again) == metadata(KNOWN)


def test_our_own_weights_that_say_nothing_have_no_scaling(tmp_path: Path) -> None:
    again = _imported(KNOWN, tmp_path, dict.fromkeys(metadata(KNOWN)))
    assert (again.scaling, again.class_names, again.sides) == (None, (), (SIDE, SIDE))


def test_weights_of_a_training_come_through_with_what_is_known(tmp_path: Path) -> None:
    assert KNOWN.state is not None
    trained = {"on": {"source": "digits", "side": None}, "mean": [1.0], "deviation": [2.0], "white": 16.0}
    path = tmp_path / "best.safetensors"
    checkpoint.write(path, KNOWN.state, {"digest": TINY.digest, "epoch": 3, "trained": trained})
    (tmp_path / "tiny.yaml").write_text(TINY.to_yaml(), encoding="utf-8")
    import_weights(str(tmp_path / "tiny.yaml"), path, tmp_path / "in.safetensors", tmp_path)
    about = read_weights("tiny", TINY, tmp_path / "in.safetensors").about
    assert (about.epoch, about.trained.on, about.trained.mean) == (3, DataSource("digits"), (1.0,))


def test_our_weights_under_the_names_of_torchvision_keep_their_scaling(tmp_path: Path) -> None:
    """127.5 stands for files of others, which say nothing."""
    whole, file = seed("googlenet-torchvision"), tmp_path / "theirs.safetensors"
    state = build(whole.graph(classes=3), initialise=0).state_dict()
    content = replace(KNOWN, architecture=whole, state=state, sides=whole.sides(None))
    ((_, keys),) = foreign_lineages(whole)
    file.write_bytes(to_safetensors(content, keys)["googlenet_torchvision_torchvision.safetensors"])
    for notes, mean in (
        (metadata(content), MEAN),
        (metadata(replace(content, scaling=None)), None),
        ({}, (127.5,) * 3),
    ):
        save_file(parse(file.read_bytes()), file, notes)
        import_weights(whole.name, file, tmp_path / "in.safetensors", tmp_path)
        assert read_weights(whole.name, whole, tmp_path / "in.safetensors").about.trained.mean == mean
    for file in tmp_path.iterdir():
        file.unlink()


def test_a_scaling_that_is_not_known_is_assumed_aloud_or_stated(tmp_path: Path) -> None:
    whole, file, output = seed("googlenet-torchvision"), tmp_path / "theirs.safetensors", tmp_path / "in.safetensors"
    state = build(whole.graph(classes=3), initialise=0).state_dict()
    content = replace(KNOWN, architecture=whole, state=state, sides=whole.sides(None))
    ((_, keys),) = foreign_lineages(whole)
    told = to_safetensors(content, keys)["googlenet_torchvision_torchvision.safetensors"]
    save_file(parse(told), file)
    for scaling, mean, said in (
        (None, (127.5,) * 3, "inception, -1 for black and 1 for white (assumed; 'nas import-weights --scaling' states"),
        ("inception", (127.5,) * 3, "inception, -1 for black and 1 for white"),
        ("imagenet", (123.675, 116.28, 103.53), "imagenet, by mean and deviation of each channel in ImageNet"),
    ):
        assert f"; scaling of pictures: {said}" in import_weights(whole.name, file, output, tmp_path, scaling).sentence
        tensors, about = read_weights(whole.name, whole, output)
        assert about.trained.mean == mean
        found = Found(whole)
        taken = content_of(found, tensors, about=about)
        card = to_card(taken, card_background(found, taken, ()))["README.md"].decode()
        assert f"| scaling | {said}" in card
        assert ("assumed" in card) == (scaling is None)
    file.write_bytes(told)
    assert "scaling of pictures" not in import_weights(whole.name, file, output, tmp_path).sentence
    output.unlink()
    with pytest.raises(RequestError, match="says itself how pictures were scaled for its weights: leave --scaling out"):
        import_weights(whole.name, file, output, tmp_path, "imagenet")
    assert not output.exists()


def test_a_scaling_by_channel_is_for_as_many(tmp_path: Path) -> None:
    state = build(TINY.graph(SIDE, classes=3, channels=1), initialise=0).state_dict()
    save_file(dict(state), tmp_path / "bare.safetensors")
    (tmp_path / "tiny.yaml").write_text(TINY.to_yaml(), encoding="utf-8")
    given = str(tmp_path / "tiny.yaml"), tmp_path / "bare.safetensors", tmp_path / "in.safetensors", tmp_path
    with pytest.raises(RequestError, match="--scaling imagenet is of pictures with 3 channels, and these weights take"):
        import_weights(*given, "imagenet")
    import_weights(*given, "inception")
    assert read_weights("tiny", TINY, tmp_path / "in.safetensors").about.trained.mean == (127.5,)


def test_the_command_knows_every_scaling() -> None:
    [option] = [option for option in command.params if option.name == "scaling"]
    assert tuple(option.type.to_info_dict()["choices"]) == tuple(SCALINGS)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({"mean": "a,b,c"}, "mean beside the tensors cannot be read; export these weights anew"),
        ({"mean": "1,2", "deviation": "1,2"}, "scales pictures of 2 channels, and they take 3"),
        ({"mean": "1e999,2,3"}, "trained.mean.0 is inf"),
        ({"white": None}, "mean, deviation and white belong together"),
        ({"class_names": '["a", "b"]'}, "names 2 classes, and they are for 3"),
        ({"class_names": "[" * 100_000}, "class_names beside the tensors cannot be read"),
        ({"digest": "c" * 64}, "the weights are of another architecture"),
        ({"digest": "c"}, "64 digits from 0 to f are allowed; export these weights anew"),
        ({"provenance": '{"study": 3}'}, "provenance.study is 3: text is allowed"),
        ({"caution": "x" * 3_000}, "caution is"),
    ],
)
def test_what_a_file_says_wrongly_is_refused(notes: dict[str, str | None], said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        _imported(KNOWN, tmp_path, notes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "in.safetensors").exists()


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
