"""What a card tells of the files beside it is what these hold, whatever their names are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from exported_networks import DEVIATION, MEAN, NAMES, SIDE, TINY, WHITE

from nas.export import written
from nas.export_networks import reference
from results.export.card_background import CardBackground, CardFile, Result
from results.export.card_files import card_files
from results.export.content import Content, Scaling
from results.export.deployment import Deployment
from results.export.to_card import to_card
from results.export.to_python import network_class
from search_spaces.seeds import seed
from trainers.network import build

TRAINED = Content(
    TINY,
    classes=len(NAMES),
    channels=3,
    sides=(SIDE, SIDE),
    state=build(TINY.graph(SIDE, classes=len(NAMES), aux=True), initialise=1).state_dict(),
    scaling=Scaling(MEAN, DEVIATION, WHITE),
    class_names=NAMES,
)
RANDOM = replace(TRAINED, state=None)
PIXELS = Deployment(pixels=True)
MEASURED = (Result("error", 0.125, "validation", "full"),)


def file_of(content: Content, form: str) -> bytes:
    return next(iter(written(content, form, reference(content)).values()))


def card(content: Content, folder: Path) -> tuple[dict[str, object], str, tuple[CardFile, ...]]:
    """Metadata and text of a card that is written alone into a folder, and what it found there."""
    files = card_files(content, {}, folder)
    background = CardBackground(
        results=MEASURED,
        data_name="flowers",
        data_on_hub="someone/flowers",
        files=files,
        network_class=network_class(content),
    )
    _, front, text = to_card(content, background)["README.md"].decode().split("---\n", 2)
    return yaml.safe_load(front), text, files


def test_a_card_alone_says_that_its_weights_lie_elsewhere(tmp_path: Path) -> None:
    _, text, files = card(TRAINED, tmp_path)
    assert files == ()
    assert "Its weights do not lie beside this card." in text
    assert "Weights are included." not in text
    (tmp_path / "tiny.py").write_bytes(file_of(TRAINED, "python"))
    assert "Its weights do not lie beside this card." in card(TRAINED, tmp_path)[1]
    (tmp_path / "mine.safetensors").write_bytes(file_of(TRAINED, "safetensors"))
    assert "Weights are included." in card(TRAINED, tmp_path)[1]


@pytest.mark.parametrize("form", ["onnx", "pt2"])
def test_what_takes_pixels_is_known_by_itself_and_not_by_its_name(tmp_path: Path, form: str) -> None:
    (tmp_path / f"plain_pixels.{form}").write_bytes(file_of(TRAINED, form))
    _, text, [file] = card(TRAINED, tmp_path)
    assert (file.pixels, file.own) == (False, True)
    assert "by itself" not in text
    (tmp_path / f"plain_pixels.{form}").unlink()
    (tmp_path / f"any.{form}").write_bytes(file_of(replace(TRAINED, deployment=PIXELS), form))
    _, text, [file] = card(TRAINED, tmp_path)
    assert (file.pixels, file.own) == (True, True)
    assert f"`any.{form}` takes pixels and scales them by itself" in text
    loading = text.partition(f'"any.{form}"')[2].partition("```")[0]
    assert "pixels" in loading
    (tmp_path / f"zz.{form}").write_bytes(file_of(TRAINED, form))  # what is plain is shown first
    assert f'"zz.{form}"' in card(TRAINED, tmp_path)[1]


@pytest.mark.parametrize("form", ["onnx", "pt2"])
def test_random_weights_beside_a_card_are_never_those_that_were_measured(tmp_path: Path, form: str) -> None:
    (tmp_path / f"tiny.{form}").write_bytes(file_of(RANDOM, form))
    data, text, _ = card(TRAINED, tmp_path)
    assert f"> **Caution:** `tiny.{form}` holds random weights: what this card tells of weights is not of it." in text
    assert "Its weights do not lie beside this card." in text
    assert "model-index" not in data
    assert f'"tiny.{form}"' not in text  # no code that loads it as if it were what is told of
    _, text, _ = card(RANDOM, tmp_path)
    assert f"It comes without weights: train it before use. Those in `tiny.{form}` are random." in text
    assert f'"tiny.{form}"' in text


def other_weights() -> Content:
    return replace(TRAINED, state=build(TINY.graph(SIDE, classes=len(NAMES)), initialise=2).state_dict())


@pytest.mark.parametrize(
    "changed",
    [other_weights, lambda: replace(TRAINED, sides=(40, 40)), lambda: replace(TRAINED, scaling=None)],
    ids=["weights", "size", "scaling"],
)
def test_files_that_were_exported_otherwise_are_told_apart(tmp_path: Path, changed: Callable[[], Content]) -> None:
    (tmp_path / "tiny.pt2").write_bytes(file_of(changed(), "pt2"))
    data, text, _ = card(TRAINED, tmp_path)
    assert "`tiny.pt2` was exported otherwise, with other weights, sizes or scaling of pictures" in text
    assert "Weights are included." not in text
    assert "model-index" not in data


def test_the_same_weights_are_the_same_with_and_without_auxiliary_heads(tmp_path: Path) -> None:
    assert TRAINED.state is not None
    trunk = {key: value for key, value in TRAINED.state.items() if not key.startswith("aux")}
    (tmp_path / "tiny.safetensors").write_bytes(file_of(replace(TRAINED, state=trunk), "safetensors"))
    data, text, _ = card(TRAINED, tmp_path)
    assert "Weights are included." in text
    assert "model-index" in data


def test_what_is_made_is_told_of_rather_than_what_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "tiny.pt2").write_bytes(file_of(RANDOM, "pt2"))
    [file] = card_files(TRAINED, {"tiny.pt2": file_of(TRAINED, "pt2")}, tmp_path)
    assert file.own
    assert file.trained


def test_weights_under_names_of_torchvision_are_weights_that_the_source_does_not_load() -> None:
    whole = seed("inception-v3")
    state = build(whole.graph(classes=5), initialise=1).state_dict()
    content = Content(whole, 5, 3, (299, 299), state)
    files = card_files(content, written(content, "safetensors"), Path("nowhere"))
    assert [(file.name, file.names) for file in files] == [
        ("inception_v3.safetensors", ""),
        ("inception_v3_torchvision.safetensors", "torchvision"),
    ]
    background = CardBackground(files=files[1:])
    assert background.file("safetensors") == ""
    assert "Weights are included." in to_card(content, background)["README.md"].decode()


def test_what_is_of_others_is_no_file_of_the_card(tmp_path: Path) -> None:
    other = replace(TINY, stages=TINY.stages[:1])
    stranger = replace(TRAINED, architecture=other, state=None)
    for form, name in (("python", "tiny.py"), ("pt2", "tiny.pt2"), ("yaml", "tiny.yaml")):
        (tmp_path / name).write_bytes(file_of(stranger, form))
    (tmp_path / 'x").evil(.pt2').write_bytes(file_of(TRAINED, "pt2"))
    (tmp_path / "a.yaml").write_text("services: {}\n", encoding="utf-8")
    (tmp_path / "b.py").write_text("def (", encoding="utf-8")
    (tmp_path / "c.onnx").write_bytes(b"\xff" * 9)
    (tmp_path / "d.pt2").write_bytes(b"PK")
    (tmp_path / "e.safetensors").write_bytes(b"\xff" * 9)
    (tmp_path / "f.safetensors").mkdir()
    assert card_files(TRAINED, {}, tmp_path) == ()
