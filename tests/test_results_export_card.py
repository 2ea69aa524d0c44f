"""The model card: the Hub's format, only what was measured, links that lead somewhere, and texts that stay texts."""

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from exported_networks import DEVIATION, MEAN, NAMES, SIDE, TINY, WHITE, export_tiny, scaled
from markdown_it import MarkdownIt
from pictures import COLOURS, noise
from PIL import ExifTags, Image
from small_studies import OBJECTIVES, study_of_eight

from results.export.card_background import CardBackground, CardFile, Place, Result
from results.export.card_metadata import metadata
from results.export.comparison import Compared, Comparison
from results.export.content import Content, Scaling
from results.export.to_card import to_card
from search_spaces.principles import Thresholds
from search_spaces.seeds import seed
from trainers import decode

DIGEST = "ab" * 32
HOSTILE = "evil | `x` <script>alert(1)</script> [a](javascript:b) $$y$$ # *b*: \"q\" 'r' {c} \\ &amp; - \n---\nkey: 1"
CONTENT = Content(
    TINY,
    classes=len(NAMES),
    channels=3,
    sides=(SIDE, SIDE),
    state={"weight": torch.zeros(1)},
    provenance={"study": "flowers, trial 3"},
    scaling=Scaling(MEAN, DEVIATION, WHITE),
    class_names=NAMES,
    data_digest=DIGEST,
    caution="These are proxy weights.",
)
CURVE = {"validation error": tuple((epoch, 0.5 / epoch) for epoch in range(1, 9))}
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


FILES = (
    CardFile("tiny.py", "python"),
    CardFile("tiny.safetensors", "safetensors", "ab"),
    CardFile("tiny.onnx", "onnx", "ab"),
    CardFile("tiny.pt2", "pt2", "ab"),
    CardFile("tiny.yaml", "yaml"),
)
BACKGROUND = CardBackground(
    results=(
        Result("error", 0.125, "validation", "proxy", "epoch 6"),
        Result("error", 0.15, "test", "proxy", "once"),
        Result("top5_error", 0.01, "test", "proxy"),
        Result("latency_ms", 3.2, "test", "proxy"),
    ),
    recipe={
        "epochs": 6,
        "dropout": 0.0,
        "average": None,
        "flip": True,
        "schedule": {"name": "cosine", "warm-up": [1, 2]},
    },
    data_name="flowers",
    split="80 / 10 / 10 by random seed 0",
    data={"pictures": "300"},
    place=Place("flowers", 3, study_of_eight(), OBJECTIVES),  # type: ignore[arg-type]
    curve=CURVE,
    files=FILES,
    network_class="Tiny",
)


def parts(content: Content = CONTENT, background: CardBackground = BACKGROUND) -> tuple[dict[str, object], str]:
    """The metadata, as everybody's YAML reads it, and the text."""
    card = to_card(content, background)["README.md"].decode()
    begin, front, text = re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)
    assert begin == ""
    return yaml.safe_load(front), text


def test_the_metadata_are_the_hubs() -> None:
    data, _ = parts(background=replace(BACKGROUND, data_on_hub="someone/flowers"))
    assert data == {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": [
            "image-classification",
            "inception",
            "neural-architecture-search",
            "pytorch",
            "onnx",
            "safetensors",
        ],
        "datasets": ["someone/flowers"],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": "tiny",
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image Classification"},
                        "dataset": {"type": "someone/flowers", "name": "flowers", "split": part},
                        "metrics": metrics,
                    }
                    for part, metrics in {
                        "validation": [
                            {"type": "accuracy", "value": 0.875, "name": "top1 accuracy, proxy training, epoch 6"}
                        ],
                        "test": [
                            {"type": "accuracy", "value": 0.85, "name": "top1 accuracy, proxy training, once"},
                            {"type": "accuracy", "value": 0.99, "name": "top5 accuracy, proxy training"},
                        ],
                    }.items()
                ],
            }
        ],
    }


def test_what_is_known_of_hub_and_licence_is_told() -> None:
    data, text = parts(background=replace(BACKGROUND, license="mit", data_on_hub="someone/flowers"))
    assert data["license"] == "mit"
    assert data["datasets"] == ["someone/flowers"]
    [index] = data["model-index"]  # type: ignore[misc]
    assert index["results"][0]["dataset"]["type"] == "someone/flowers"
    assert "someone/flowers" in text
    data, text = parts()
    assert not data.keys() & {"license", "datasets", "model-index", "metrics"}  # the schema wants an identifier there
    assert "not-on-the-hub" not in str(data)
    assert "error | 12.50 %" in text


def test_what_options_cost_and_bring_is_told() -> None:
    found = Compared(2.0, 5.0, 2.5, 0.0456, 0.0123, 0.995, 0.01, 0.12, 0.11)
    rounds, sums = {"typical_deviation": 0.125, "changed": 0.02}, {"deviation": 1e-4}
    plain = "the plain onnx file's", "those of the network as it was"
    files = Comparison("tiny_int8_static_pixels.onnx", plain[0], found, "flowers", 60, 2, rounds, 250_000, 10**6)
    network = Comparison("tiny in torch", plain[1], replace(found, error=None), "noise", 60, 2, sums)
    _, card = parts(background=replace(BACKGROUND, compared=(files, network)))
    told = card.partition("## Options")[2].partition("## Costs")[0]
    assert "on 60 pictures of flowers; times are of one picture on 2 threads" in told
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines() if line[:6] == "| tiny"]
    speed = ["2 ms (plain 5 ms)", "2.50"]
    assert rows == [
        [
            files.file,
            "1.2e-02 (0.125 is allowed)",
            "4.6e-02",
            "99.5%",
            "1.0% (2% is allowed)",
            "12.00% (plain 11.00%)",
            *speed,
            "0.2 MB (plain 1.0 MB)",
        ],
        [network.file, "1.2e-02", "4.6e-02 (0.0001 is allowed)", "99.5%", "1.0%", "-", *speed, "-"],
    ]
    assert "## Options" not in parts()[1]


def test_what_was_not_measured_is_nowhere() -> None:
    bare = replace(CONTENT, state=None, caution="", scaling=None, class_names=(), data_digest=None, provenance={})
    data, text = parts(bare, CardBackground())
    assert data == {
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "inception", "neural-architecture-search"],
    }
    assert text.count("no weights") == 1
    told = text.partition("## Not told")[2].partition("## How to load it")[0].strip().splitlines()
    assert told == [
        "- results, a recipe and data: there are no weights yet, so nothing was trained or measured",
        "- a licence: it is the owner's choice, as `license` in the metadata",
    ]
    assert "No file with the network lies beside this card: `nas export`" in text
    assert not re.findall("^## (?:Results|Training|Data)$", text, re.MULTILINE)
    without_results, text = parts(background=replace(BACKGROUND, results=()))
    assert "model-index" not in without_results
    assert "metrics" not in without_results
    assert "## Results" not in text
    assert "\n- results: nothing that was measured of these weights is known\n" in text
    results_without_weights, _ = parts(bare, BACKGROUND)
    assert "model-index" not in results_without_weights


def test_every_passage_is_there_with_its_figures() -> None:
    _, text = parts()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Results",
        "Costs",
        "Design principles",
        "Training",
        "Data",
        "Limits",
        "Not told",
        "How to load it",
        "Provenance",
        "Citation",
    ]
    plain = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", MARKDOWN.render(text))).split())
    for fact in (
        "Caution: These are proxy weights.",
        "found as trial 3 of the study flowers",
        "error 12.50 % validation proxy training epoch 6",
        "latency 3.2 ms test",
        DIGEST,
        "80 / 10 / 10 by random seed 0",
        "schedule.warm-up 1, 2",
        "Its dropout was in force in place of the network's own",
        "average none",
        "flip yes",
        "m = 120, 110, 100 and d = 60, 61, 62",
        "Classes: 0 blue, 1 green, 2 red.",
        TINY.digest,
        "its costs are those at 299 x 299",
        "bottleneck",
        "balance",
    ):
        assert fact in plain, fact


def test_inception_v3_is_compared_at_the_same_size_where_it_can_be() -> None:
    content = replace(CONTENT, architecture=seed("inception-v3"), sides=(299, 299), classes=1000)
    _, text = parts(content, replace(BACKGROUND, place=None))
    assert "| parameters | 23,834,568 |\n| multiply-adds | 5,713,216,096 |" in text  # beside no other but itself
    content = replace(content, architecture=seed("inception-v3-tf"))
    assert "| parameters | 23,834,568 | 23,834,568 | 1 |" in parts(content, replace(BACKGROUND, place=None))[1]


def test_a_fact_is_told_once() -> None:
    found = {
        "architecture": DIGEST,
        "validation error": "0.1250",
        "data": f"flowers, {DIGEST[:16]}",
        "study": "flowers",
    }
    numbered = replace(CONTENT, provenance=found, class_names=("0", "1", "2"), data_digest="cd" * 32)
    _, text = parts(numbered)
    assert text.count("cd" * 32) == text.count(numbered.caution) == text.count(BACKGROUND.split) == 1
    assert "Classes:" not in text
    told = text.partition("## Provenance")[2]
    assert f"| digest of what it stands for | `{DIGEST}` |" in told
    assert "validation error" not in told
    assert "| data |" not in told
    _, text = parts(replace(numbered, provenance={"architecture": TINY.digest}))
    assert text.count(TINY.digest) == 1


def test_a_published_network_without_files_is_built_by_its_name() -> None:
    bare = Content(seed("googlenet"), 7, 3, (224, 224))
    assert 'network = nas.build(nas.load("googlenet"), num_classes=7)' in parts(bare, CardBackground())[1]
    other = replace(bare, architecture=replace(seed("googlenet"), name="mine"))
    assert "nas.build" not in parts(other, CardBackground())[1]


def test_what_is_known_of_nothing_is_listed_in_one_place() -> None:
    bare = replace(CONTENT, data_digest=None, scaling=None, class_names=())
    _, text = parts(bare, CardBackground(license="mit"))
    listed = text.partition("## Not told")[2].partition("## How to load it")[0]
    assert [line[2:].partition(":")[0] for line in listed.strip().splitlines()] == [
        "results",
        "the recipe",
        "the data",
        "the scaling of pictures in the training",
    ]


def test_thresholds_of_the_study_are_those_of_the_audit() -> None:
    strict = Thresholds(bottleneck=0.99, off=("balance",))
    _, text = parts(replace(CONTENT, thresholds=strict))
    [row] = re.findall(r"^\| bottleneck .*$", text, re.MULTILINE)
    assert "at least 0.99 | **no**" in row
    [row] = re.findall(r"^\| balance .*$", text, re.MULTILINE)
    assert "| off |" in row
    assert "those of its study" in text


def test_every_relative_link_names_a_file() -> None:
    for background in (BACKGROUND, CardBackground(), replace(BACKGROUND, place=None)):
        files = to_card(CONTENT, background)
        targets = re.findall(r"\]\(([^)]*)\)", files["README.md"].decode())
        relative = {target for target in targets if not target.startswith("https://")}
        assert relative == files.keys() - {"README.md"}
    assert set(to_card(CONTENT, BACKGROUND)) == {"README.md", *_ALL}
    assert set(to_card(CONTENT, CardBackground())) == {"README.md", "architecture.svg", "profile.svg"}


_ALL = ("architecture.svg", "profile.svg", "front.svg", "training.svg")


@pytest.mark.parametrize("name", _ALL)
def test_the_drawings_are_whole_and_look_right_without_their_sheet(name: str) -> None:
    svg = ElementTree.fromstring(to_card(CONTENT, BACKGROUND)[name])
    assert svg.get("role") == "img"
    paper = next(shape for shape in svg.iter() if shape.get("class") == "paper")
    assert paper.get("fill") == "#ffffff"


@pytest.mark.parametrize("form", ["python", "safetensors", "onnx", "pt2", "yaml"])
def test_only_files_that_are_there_are_loaded(form: str) -> None:
    without = tuple(file for file in FILES if file.form != form)
    _, all_of_it = parts()
    _, text = parts(background=replace(BACKGROUND, files=without))
    assert BACKGROUND.file(form) in all_of_it
    assert BACKGROUND.file(form) not in text


def test_the_class_of_a_source_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"network_class is '': name the class in tiny\.py"):
        CardBackground(files=FILES[:1])


def test_hostile_texts_stay_texts() -> None:
    content = replace(
        CONTENT,
        provenance={HOSTILE: HOSTILE},
        class_names=(HOSTILE, "b", "c"),
        data_digest=HOSTILE,
        caution=HOSTILE,
    )
    background = replace(
        BACKGROUND,
        results=(Result("error", 0.125, "test", "full", HOSTILE), Result(HOSTILE, 1.0, "test", "unknown")),
        recipe={HOSTILE: HOSTILE, "a": {HOSTILE: [HOSTILE]}},
        data_name=HOSTILE,
        data_on_hub=HOSTILE,
        split=HOSTILE,
        data={HOSTILE: HOSTILE},
        license=HOSTILE,
        place=Place(HOSTILE, 3, study_of_eight(), OBJECTIVES),  # type: ignore[arg-type]
        curve={HOSTILE: CURVE["validation error"]},
    )
    data, text = parts(content, background)
    assert data == metadata(content, background)
    _, plain = parts(CONTENT, replace(BACKGROUND, data_on_hub="x", license="mit"))
    told = data["model-index"][0]["results"][0]  # type: ignore[index]
    assert told["dataset"]["name"] == " ".join(HOSTILE.split())
    assert told["metrics"][0]["name"].endswith(" ".join(HOSTILE.split()))
    rendered = MARKDOWN.render(text)
    allowed = set(re.findall(r"<(\w+)", MARKDOWN.render(plain)))
    assert set(re.findall(r"<(\w+)", rendered)) <= allowed
    assert "script" not in allowed
    headings = re.findall(r"<h[12]>(.*?)</h[12]>", rendered)
    assert headings == re.findall(r"<h[12]>(.*?)</h[12]>", MARKDOWN.render(plain))
    assert len(re.findall(r'href="(?!https://arxiv)', rendered)) == 0
    for name, file in to_card(content, background).items():
        if name.endswith(".svg"):
            tags = {shape.tag.rpartition("}")[2] for shape in ElementTree.fromstring(file).iter()}
            assert "script" not in tags


def large_picture(file: Path) -> None:
    """On its side by EXIF, transparent at its left, and larger than what the network takes."""
    pixels = np.dstack([noise(COLOURS["red"], (5 * SIDE, 3 * SIDE), 1), np.full((3 * SIDE, 5 * SIDE), 255, np.uint8)])
    pixels[:, : 2 * SIDE, 3] = 0
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels).save(file, "PNG", exif=exif)


def test_the_code_of_the_card_runs(tmp_path: Path) -> None:
    """What is shown for plain PyTorch gives what the network gives of a picture as it was read for the training."""
    network = export_tiny(tmp_path)
    large_picture(tmp_path / "picture.jpg")
    seen = decode.square((tmp_path / "picture.jpg").read_bytes(), SIDE).astype(np.float32)
    _, text = parts()
    picture, plain = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:2]
    code = f"{picture}\n{plain}".replace('"picture.jpg"', f'"{tmp_path}/picture.jpg"')
    code = code.replace('"tiny.safetensors"', f'"{tmp_path}/tiny.safetensors"')
    names: dict[str, Any] = {}
    source = (tmp_path / "tiny.py").read_text()
    exec(source, names)
    exec(code.replace("from tiny import Tiny, load_weights", ""), names)
    with torch.inference_mode():
        shown = network(scaled(torch.from_numpy(names["pixels"])))
        expected = network(scaled(torch.from_numpy(seen).permute(2, 0, 1)[None]))
    torch.testing.assert_close(names["logits"], shown, rtol=1e-4, atol=1e-5)
    assert np.abs(names["pixels"][0].transpose(1, 2, 0) - seen).max() <= 1  # one turns before it draws smaller
    torch.testing.assert_close(shown, expected, rtol=0, atol=0.02)
