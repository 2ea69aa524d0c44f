"""Options of an export, from a trial of a study: what leaves, what is measured of it, and what is refused."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exports import logits_of
from PIL import Image
from trained_trial import trained_trial

from nas.export_card import _of_folded
from nas.export_content import content_of
from nas.export_networks import reference
from nas.export_pictures import pictures_for
from nas.export_request import Asked, export_asked
from nas.study import Found
from nas.trial_weights import trained_weights
from results.export import int8, onnx_graph, to_onnx
from results.export.card_background import Result
from results.export.comparison import deviation, deviations, onnx_run
from results.export.content import Content
from results.export.deployment import Deployment
from search_spaces.errors import ExportFailed, RequestError
from search_spaces.seeds import seed
from trainers import data
from trainers.source import DataSource


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return trained_trial(tmp_path_factory.mktemp("home"), resolution=32)


def exported(trial: Found, folder: Path, form: str | None, **asked: Any) -> tuple[Content, Path, list[str]]:
    told: list[str] = []
    wanted = Asked(form, **asked)
    wanted.check()
    content, done = export_asked("tiny:0", trial, wanted, folder, told.append)
    return content, done.files[0], told


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_weights_of_a_trial_know_how_pictures_were_scaled(trial: Found, tmp_path: Path) -> None:
    assert trial.study is not None
    assert trial.trial is not None
    about = trained_weights(trial.study, trial.trial).about
    assert (about.classes, about.channels, about.resolution) == (10, 1, 32)
    pictures = data.load("digits", random_seed=0, resolution=32)
    assert about.trained.data_digest == pictures.digest == trial.study.record.data_digest
    assert (about.trained.mean, about.trained.deviation) == (pictures.mean, pictures.deviation)
    assert about.trained.class_names == pictures.classes
    content, source, told = exported(trial, tmp_path, "python")
    assert content.scaling is not None
    assert content.scaling.white == pictures.white
    assert "pictures: a pixel p from 0 (black) to" in source.read_text(encoding="utf-8")
    assert len(told) == 1  # the proof: a plain export is compared with nothing


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, True),
        ({"deployment": Deployment("float16")}, False),
        ({"fold_bn": True}, False),
        ({"fold_bn": True, "deployment": Deployment("int8-dynamic")}, False),
    ],
)
def test_the_error_of_the_plain_weights_is_told_of_them_alone(
    trial: Found, tmp_path: Path, options: dict[str, Any], told: bool
) -> None:
    _, path, _ = exported(trial, tmp_path, "onnx", **options)
    provenance = json.loads(metadata(path)["provenance"])
    assert provenance["study"] == "tiny, trial 0"
    assert ("validation error" in provenance) is told


def test_static_int8_on_pixels(trial: Found, tmp_path: Path) -> None:
    deployment = Deployment("int8-static", pixels=True)
    content, path, told = exported(trial, tmp_path, "onnx", fold_bn=True, deployment=deployment)
    assert path.name == "inception_v3_proxy_folded_int8_static_pixels.onnx"
    assert [path] == list(tmp_path.iterdir())
    facts = metadata(path)
    assert (facts["precision"], facts["input"]) == ("int8-static", "pixels")
    assert facts["calibration_pictures"] == "256"
    folded, proved, compared = told
    assert "logits within" in folded
    assert proved.startswith(f"{path.name}: proved, reloaded in a fresh process")
    assert proved.endswith("; as many convolutions, parameters and multiply-adds")
    assert "of the plain onnx file's on 256 pictures of digits, the same first answer for" in compared
    assert "logits typically within " in compared
    assert "(0.25 is allowed) and always within " in compared
    assert "a clear one changed for 0.0% (2% is allowed)" in compared
    assert " MB against " in compared
    assert "times as fast, on" in compared
    # The file itself, on pixels, beside the network on pictures that were scaled for it.
    pictures = pictures_for(trial, content, None, None, needed=True)
    assert pictures is not None
    assert content.scaling is not None
    batch = pictures.batches[0]
    found = onnx_run(path.read_bytes(), threads=1)(content.scaling.to_pixels(batch))
    plain = reference(replace(content, deployment=Deployment()))
    assert 0 < deviation(found, logits_of(plain, batch)) < 0.5


def test_int8_of_wrong_scales_is_refused(trial: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each logit at seven tenths of its size is within half of the largest: the proof takes that for range."""
    whole = int8.static_int8

    def wrecked(file: bytes, batches: Any) -> bytes:
        model = onnx.load_model_from_string(whole(file, batches))
        for tensor in model.graph.initializer:
            if tensor.name.startswith("head.") and tensor.name.endswith("_scale"):
                array = onnx.numpy_helper.to_array(tensor) * np.float32(0.7)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
        return bytes(model.SerializeToString())

    monkeypatch.setattr(int8, "static_int8", wrecked)
    told: list[str] = []
    asked = Asked("onnx", fold_bn=True, deployment=Deployment("int8-static"))
    said = r"int8-static is too coarse for the weights in .*: its logits typically deviate by .*, 0\.25 is allowed"
    with pytest.raises(ExportFailed, match=said):
        export_asked("tiny:0", trial, asked, tmp_path / "out", told.append)
    assert "proved, reloaded in a fresh process" in told[-1]
    assert not (tmp_path / "out").exists()


def test_pictures_are_those_of_the_validation_part_as_the_network_saw_them(trial: Found, tmp_path: Path) -> None:
    content, _, _ = exported(trial, tmp_path, "python")
    pictures = pictures_for(trial, content, None, None, needed=False)
    assert pictures is not None
    whole = data.load("digits", random_seed=0, resolution=32)
    assert sum(map(len, pictures.batches)) == sum(map(len, pictures.labels)) == 256
    assert np.unique(np.concatenate(pictures.labels)).size == 10
    assert sum(map(len, pictures.calibration)) == 256
    assert np.concatenate(pictures.calibration).mean() == pytest.approx(0, abs=0.1)  # scaled for the training part
    assert 0.8 < np.concatenate(pictures.calibration).std() < 1  # drawn larger they vary less
    assert len(whole.validation) > 256
    assert pictures.first(300).shape == (300, 1, 32, 32)


def test_colours_become_grey_for_a_network_that_takes_grey(trial: Found, tmp_path: Path) -> None:
    draw, names = np.random.default_rng(0), [str(name) for name in range(10)]
    for place, name in enumerate(names * 4):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / name / f"{place}.png")
    content = content_of(trial)
    assert content.scaling is not None
    source = DataSource(str(tmp_path), validation=0.5, test=0.25)
    pictures = pictures_for(trial, content, None, source, needed=True)
    assert pictures is not None
    shown = np.concatenate(pictures.batches)
    assert shown.shape[1:] == (1, 32, 32)
    pixels = content.scaling.to_pixels(shown)[:, 0] * (255 / content.scaling.white)
    files = [np.asarray(Image.open(path).convert("L"), np.float32) for path in sorted(tmp_path.glob("*/*.png"))]
    for picture in pixels:
        assert min(float(np.abs(picture - file).max()) for file in files) < 1.5  # Pillow rounds


@pytest.mark.parametrize(
    ("form", "options", "said"),
    [
        ("python", {"fold_bn": True}, "those of the network as it was"),
        ("onnx", {"deployment": Deployment("float16")}, "the plain onnx file's"),
        ("pt2", {"deployment": Deployment("bfloat16", channels_last=True)}, "the plain pt2 file's"),
    ],
)
def test_every_option_is_measured(trial: Found, tmp_path: Path, form: str, options: dict[str, Any], said: str) -> None:
    _, path, told = exported(trial, tmp_path, form, **options)
    assert f"of {said} on 256 pictures of digits" in told[-1]
    assert "(error " in told[-1]
    assert path.is_file()


def test_without_pictures_noise_is_what_is_compared_on(tmp_path: Path) -> None:
    told: list[str] = []
    said: list[str] = []
    small = Found(replace(seed("googlenet"), name="small", resolution=64))
    asked = Asked("pt2", deployment=Deployment(channels_last=True), classes=5)
    asked.check()
    _, done = export_asked("googlenet", small, asked, tmp_path, told.append, said.append)
    assert said == [
        "writing small_channels_last as pt2",
        "proving small_channels_last as pt2, reloaded in a fresh process",
        "comparing small_channels_last as pt2 with the plain export",
    ]
    assert [path.name for path in done.files] == ["small_channels_last.pt2"]
    assert "on 64 pictures of noise" in told[-1]
    assert "(error" not in told[-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("onnx", deployment=Deployment("int8-static")), "export it with --fold-bn"),
        (Asked("onnx", deployment=Deployment("int8-dynamic")), "export it with --fold-bn"),
        (Asked("yaml", fold_bn=True), "an architecture file holds none"),
        (Asked(None, deployment=Deployment("int8-static", channels_last=True)), "go together in no form"),
        (Asked("python", data=DataSource("digits")), "--data is for comparing an option"),
        (Asked("python", deployment=Deployment(pixels=True)), "--pixels is of files that run by themselves"),
        (
            Asked("onnx", fold_bn=True, deployment=Deployment("int8-static"), full=True, data=DataSource("digits")),
            "--fold-bn folds weights, and inception-v3 has none: name weights",
        ),
        (Asked("pt2", fold_bn=True, data=DataSource("nowhere")), "nowhere"),
    ],
)
def test_what_cannot_be_had_is_a_sentence_and_leaves_nothing(
    trial: Found, tmp_path: Path, asked: Asked, said: str
) -> None:
    def ask() -> None:
        asked.check()
        export_asked("tiny:0", trial, asked, tmp_path / "out", lambda sentence: None)

    with pytest.raises(RequestError, match=said):
        ask()
    assert not (tmp_path / "out").exists()


def test_a_bundle_holds_what_can_be_had_with_the_options_beside_the_plain_forms(trial: Found, tmp_path: Path) -> None:
    content, _, told = exported(trial, tmp_path / "out", None, deployment=Deployment("float16"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"{content.architecture.name.replace('-', '_')}{end}" for end in (".py", ".onnx", ".pt2")} <= names
    assert {"inception_v3_proxy_float16.onnx", "inception_v3_proxy_float16.pt2"} <= names
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert {entry["name"] for entry in manifest["files"]} == names - {"manifest.json"}
    assert [entry["file"] for entry in manifest["proofs"]][-2:] == [entry["file"] for entry in manifest["compared"]]
    for entry in manifest["compared"]:
        assert entry["bytes"] == (tmp_path / "out" / entry["file"]).stat().st_size
        assert entry["plain_bytes"] == (tmp_path / "out" / entry["file"].replace("_float16", "")).stat().st_size
        assert 0 < entry["found"]["deviation"] < 0.2
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for entry in manifest["compared"]:
        typical, largest = (entry["found"][name] for name in ("typical_deviation", "deviation"))
        assert f"| {entry['file']} | {typical:.1e} (0.02 is allowed) | {largest:.1e} |" in card
    assert 'onnxruntime.InferenceSession("inception_v3_proxy.onnx")' in card  # the plain one: it takes what is shown
    assert "`inception_v3_proxy_float16.onnx`" in card.partition("## Provenance")[2]
    assert len(told) == 7  # five proofs, two comparisons


def test_a_card_of_folded_norms_tells_what_was_measured_of_them(trial: Found, tmp_path: Path) -> None:
    done = export_asked("tiny:0", trial, Asked("card", fold_bn=True), tmp_path, print)[1]
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    [compared] = done.compared
    [row] = [line for line in card.splitlines() if line.startswith("| error |")]
    folded = "batch norms folded, 256 pictures of digits"
    assert row == f"| error | {100 * (compared.found.error or 0):.2f} % | validation | proxy training | {folded} |"


def test_what_was_measured_before_folding_says_so_where_nothing_was_measured_after() -> None:
    known = Result("error", 0.1, "validation", "proxy", "3 epochs")
    assert _of_folded([known], []) == (replace(known, conditions="3 epochs, before batch norms were folded"),)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("onnx", data=DataSource("nowhere"), fold_bn=True), "'nowhere'"),
        (Asked("onnx", fold_bn=True, full=True), "--fold-bn folds weights"),
        (Asked("onnx", deployment=Deployment("int8-dynamic")), "int8 wants batch norms folded"),
        (Asked("onnx", classes=7), "are for 10 classes, not 7"),
        (Asked(None), "is not empty: a bundle is all that lies in its folder"),
        (Asked("onnx"), "needs the package onnxruntime"),
    ],
    ids=["data", "no weights", "norms", "classes", "folder", "package"],
)
def test_what_is_wrong_with_a_request_is_told_before_a_missing_package(
    trial: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Asked, said: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as where it is not installed
    (tmp_path / "mine").touch()

    def ask() -> None:
        asked.check()
        export_asked("tiny:0", trial, asked, tmp_path, print)

    with pytest.raises(RequestError, match=said):
        ask()


def test_figures_of_a_comparison_are_those_of_the_two_files(trial: Found, tmp_path: Path) -> None:
    told: list[str] = []
    asked = Asked("onnx", fold_bn=True, deployment=Deployment("int8-static", pixels=True))
    content, done = export_asked("tiny:0", trial, asked, tmp_path, told.append)
    _, plain, _ = exported(trial, tmp_path / "plain", "onnx")
    pictures = pictures_for(trial, content, None, None, needed=True)
    assert pictures is not None
    assert content.scaling is not None
    batch, truth = np.concatenate(pictures.batches), np.concatenate(pictures.labels)
    found = onnx_run(done.files[0].read_bytes(), threads=1)(content.scaling.to_pixels(batch))
    expected = onnx_run(plain.read_bytes(), threads=1)(batch)
    [compared] = done.compared
    assert compared.found.deviation == pytest.approx(deviation(found, expected), rel=1e-3)
    assert compared.found.typical_deviation == pytest.approx(np.median(deviations(found, expected)), rel=1e-3)
    assert compared.found.same_top1 == pytest.approx(np.mean(found.argmax(1) == expected.argmax(1)), abs=0.005)
    assert compared.found.error == pytest.approx(np.mean(found.argmax(1) != truth), abs=0.005)
    assert compared.found.plain_error == pytest.approx(np.mean(expected.argmax(1) != truth), abs=0.005)
    assert compared.found.latency_ms != compared.found.plain_latency_ms  # two runs, each with times of its own
    assert (compared.bytes, compared.plain_bytes) == (done.files[0].stat().st_size, plain.stat().st_size)
    assert done.as_data()["compared"] == [compared.as_data()]
    assert compared.as_data()["allowed"] == {"typical_deviation": 0.25, "changed": 0.02}
    assert told[-1] == compared.sentence


def test_a_file_that_is_of_no_use_is_refused(trial: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(files: dict[str, bytes]) -> dict[str, bytes]:
        [(name, file)] = files.items()
        model = onnx.load_model_from_string(file)
        for tensor in model.graph.initializer:
            if tensor.name.endswith("linear.weight"):
                array = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(array), tensor.name))
        return {name: model.SerializeToString()}

    whole = to_onnx.to_onnx
    monkeypatch.setattr(to_onnx, "to_onnx", lambda *given: useless(whole(*given)))
    with pytest.raises(ExportFailed, match=r"float16 is too coarse for the weights in .*: its logits differ by"):
        exported(trial, tmp_path / "out", "onnx", deployment=Deployment("float16"))
    with pytest.raises(ExportFailed, match=r"proxy.onnx does not compute what its network computes"):
        exported(trial, tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()


def test_an_onnx_file_with_other_counts_is_refused(
    trial: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "onnx_counts", lambda file: onnx_graph.OnnxCounts(1, 2, 3))
    with pytest.raises(ExportFailed, match=r"proxy.onnx has OnnxCounts\(convolutions=1, params=2, macs=3\), and its"):
        exported(trial, tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()


def test_whole_networks_without_weights_have_options_too(tmp_path: Path) -> None:
    """Random weights stay within the range of half precision, and layouts change roundings alone."""
    told: list[str] = []
    whole = Found(seed("inception-v3"))
    asked = Asked("pt2", deployment=Deployment("float16", channels_last=True))
    _, done = export_asked("inception-v3", whole, asked, tmp_path, told.append)
    assert done.compared[0].found.deviation < 0.1
    assert "of the same in float16, channels last in batches of" in told[0]


def test_other_classes_and_channels_are_refused(trial: Found, tmp_path: Path) -> None:
    content, _, _ = exported(trial, tmp_path, "python")
    digits = DataSource("digits")
    with pytest.raises(RequestError, match="has 10 classes, and the network tells 10 others apart"):
        pictures_for(trial, replace(content, class_names=tuple("abcdefghij")), None, digits, needed=False)
    with pytest.raises(RequestError, match="have 1 channels, and the network takes 3"):
        pictures_for(trial, replace(content, channels=3), None, digits, needed=False)
    with pytest.raises(RequestError, match="this network is exported for 32 x 40: leave --data out"):
        pictures_for(trial, replace(content, sides=(32, 40)), None, digits, needed=False)
    with pytest.raises(RequestError, match="has other pictures by now, or another split than that of the training"):
        pictures_for(trial, content, None, DataSource("digits", validation=0.1), needed=False)
    told: list[str] = []
    changed = replace(content, data_digest="0" * 64)
    assert pictures_for(trial, changed, None, None, needed=False, tell=told.append) is None
    assert told[0].startswith("compared on noise: 'digits' has other pictures by now")
    with pytest.raises(RequestError, match="do not say how pictures were scaled for them"):
        pictures_for(trial, replace(content, scaling=None), None, digits, needed=False)
    with pytest.raises(RequestError, match="static int8 is calibrated on pictures"):
        pictures_for(trial, replace(content, state=None), None, None, needed=True)
