"""Options of files that run: what can be had in which form, and that it stays near to the network."""

import io
from dataclasses import replace

import pytest
import torch
from exports import SMALL, content_of, logits_of, pictures

from results.export.comparison import deviation
from results.export.content import Content, Scaling
from results.export.deployment import PLAIN, PRECISIONS, Deployment, Precision
from results.export.to_pt2 import to_pt2
from search_spaces.errors import RequestError
from trainers.network import Network


@pytest.fixture(scope="module")
def small() -> tuple[Content, Network]:
    return content_of(SMALL, 24, scaling=Scaling((120.0, 110.0, 100.0), (60.0, 50.0, 40.0), 255.0))


def program(small: tuple[Content, Network], deployment: Deployment) -> torch.nn.Module:
    [file] = to_pt2(replace(small[0], deployment=deployment), small[1]).values()
    found: torch.nn.Module = torch.export.load(io.BytesIO(file)).module()
    return found


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_half_precision_takes_and_gives_float32(
    small: tuple[Content, Network], precision: Precision, channels_last: bool
) -> None:
    batch = pictures(4, 24)
    other = program(small, Deployment(precision, channels_last))
    found = logits_of(other, batch)
    assert found.dtype == "float32"
    assert 0 < deviation(found, logits_of(small[1], batch)) < 0.1
    floating = {value.dtype for value in other.state_dict().values() if value.is_floating_point()}
    assert floating == {getattr(torch, precision)}


def test_channels_last(small: tuple[Content, Network]) -> None:
    batch = pictures(4, 24)
    other = program(small, Deployment(channels_last=True))
    assert deviation(logits_of(other, batch), logits_of(small[1], batch)) < 1e-5
    assert other.state_dict()["stem.0.conv.weight"].is_contiguous(memory_format=torch.channels_last)
    assert program(small, PLAIN).state_dict()["stem.0.conv.weight"].is_contiguous()


def test_pixels_are_scaled_inside(small: tuple[Content, Network]) -> None:
    scaling = small[0].scaling
    assert scaling is not None
    pixels = scaling.to_pixels(pictures(3, 24))
    found = logits_of(program(small, Deployment(pixels=True)), pixels)
    assert deviation(found, logits_of(small[1], scaling.of_pixels(pixels))) < 1e-6


def test_weights_of_a_program_have_the_names_of_exported_files(small: tuple[Content, Network]) -> None:
    names = program(small, PLAIN).state_dict().keys()
    assert {"stem.0.conv.weight", "stage1.module1.tower2.1.norm.running_mean", "head.linear.weight"} <= names
    assert not any(".linear.linear." in name for name in names)


def test_names_of_files_tell_options_apart() -> None:
    options = [Deployment(p, last, pixels) for p in PRECISIONS["pt2"] for last in (0, 1) for pixels in (0, 1)]
    assert len({option.suffix for option in options}) == len(options)
    assert PLAIN.suffix == ""
    assert Deployment("int8-static", pixels=True).suffix == "_int8_static_pixels"


@pytest.mark.parametrize(
    ("form", "deployment", "said"),
    [
        ("onnx", Deployment("bfloat16"), "--to onnx can be had in float32, float16, int8-dynamic, int8-static, not in"),
        ("pt2", Deployment("int8-static"), "--to pt2 can be had in float32, float16, bfloat16, not in int8-static"),
        ("onnx", Deployment(channels_last=True), "--channels-last is of torch"),
        ("python", Deployment("float16"), "--precision float16 is of files that run by themselves"),
        ("card", Deployment(pixels=True), "--pixels is of files that run by themselves"),
        ("safetensors", Deployment(channels_last=True), "it goes with --to onnx or pt2, not with safetensors"),
    ],
)
def test_what_cannot_be_had_is_refused(form: str, deployment: Deployment, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        deployment.check(form)


def test_the_plain_export_can_be_had_of_every_form() -> None:
    for form in ("python", "safetensors", "onnx", "pt2", "yaml", "card"):
        PLAIN.check(form)
