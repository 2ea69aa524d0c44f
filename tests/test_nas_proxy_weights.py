"""Weights of a proxy that are given for the whole architecture: by their shapes, and with what to do instead."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nas.export import export_found
from nas.import_weights import import_weights, read_weights
from nas.proxy_weights import proxy_width
from nas.study import Found
from results.export.content import Content
from results.export.to_python import to_python
from results.export.to_safetensors import to_safetensors
from results.export.weights import key_shapes
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.files import write_files
from search_spaces.proxy import proxy, scaled
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space
from trainers import checkpoint
from trainers.network import build

WHOLE = seed("inception-v3")


def shapes(architecture: Architecture, resolution: int) -> dict[str, tuple[int, ...]]:
    return key_shapes(architecture.graph(resolution, classes=10, channels=1))


def state(resolution: int, width: float) -> dict[str, torch.Tensor]:
    return {key: torch.zeros(shape) for key, shape in shapes(proxy(WHOLE, resolution, width), resolution).items()}


@pytest.mark.parametrize(("resolution", "width"), [(8, 0.125), (32, 0.25), (299, 0.5), (8, 1.0), (16, 0.37), (8, 0.01)])
def test_the_width_is_one_that_gives_these_weights(resolution: int, width: float) -> None:
    given = shapes(proxy(WHOLE, resolution, width), resolution)
    found = proxy_width(WHOLE, given)
    assert found is not None
    assert shapes(proxy(WHOLE, resolution, found), resolution) == given
    if width in (0.125, 0.25, 0.5, 1.0):
        assert found == width


def test_other_weights_are_of_no_proxy() -> None:
    assert proxy_width(WHOLE, shapes(WHOLE, 299)) is None
    assert proxy_width(WHOLE, shapes(seed("googlenet"), 224)) is None
    assert proxy_width(scaled(WHOLE, 0.5), shapes(WHOLE, 299)) is None  # wider
    assert proxy_width(WHOLE, {}) is None
    for part in ("stage", "stem"):
        numbers = {key: () if key.startswith(part) else shape for key, shape in shapes(WHOLE, 299).items()}
        assert proxy_width(WHOLE, numbers) is None
    other = space("inception").sample(random_seed=0)
    assert proxy_width(WHOLE, shapes(proxy(other, 8, 0.125), 8)) is None


@pytest.mark.parametrize("key", ["stem.0.conv.weight", "stem.5.conv.weight", "stage1.module1.tower1.0.conv.weight"])
def test_weights_that_lack_a_convolution_are_of_no_proxy_and_told_which_one(key: str, tmp_path: Path) -> None:
    tensors = state(299, 1.0)
    del tensors[key]
    assert proxy_width(WHOLE, {name: tuple(tensor.shape) for name, tensor in tensors.items()}) is None
    file, bare = tmp_path / "w.safetensors", tmp_path / "bare.safetensors"
    checkpoint.write(file, tensors, {})
    with pytest.raises(RequestError, match=f"'{key}' is missing"):
        export_found(Found(WHOLE), "python", tmp_path, read_weights("inception-v3", WHOLE, file).tensors)
    save_file(tensors, bare)
    with pytest.raises(RequestError, match=rf"'{key}' \(.* is missing"):
        import_weights("inception-v3", bare, tmp_path / "out.safetensors", tmp_path)


@pytest.mark.parametrize("name", [name for name in seed_names() if name != "inception-v4"])
def test_only_another_stem_is_width_one(name: str) -> None:
    of = seed(name)
    assert proxy_width(of, shapes(proxy(of, 32, 1.0), 32)) == 1.0


def test_weights_of_a_proxy_that_are_those_of_the_whole_fit_it() -> None:
    """Inception-v4 has no pool in its stem that only reduces."""
    of = seed("inception-v4")
    given, own = shapes(proxy(of, 32, 1.0), 32), shapes(of, of.resolution)
    assert proxy_width(of, given) is None
    assert {key: given[key] for key in given if key.startswith("stem")} == {
        key: own[key] for key in own if key.startswith("stem")
    }


def test_every_command_says_so_and_what_to_do(tmp_path: Path) -> None:
    tensors, small = state(8, 0.125), proxy(WHOLE, 8, 0.125).named("small")
    write_files(tmp_path, to_python(Content(small, 10, 1, (8, 8), tensors)))  # as earlier releases exported it
    of_now, earlier = tmp_path / "weights.safetensors", tmp_path / "earlier.safetensors"
    told = {"digest": small.digest, "stands_for": WHOLE.digest, "resolution": 8}
    checkpoint.write(of_now, tensors, {"epochs": 3, **told})
    checkpoint.write(earlier, tensors, {"epochs": 3})
    for file, at in ((tmp_path / "small.safetensors", " at 8 px"), (of_now, " at 8 px"), (earlier, "")):
        said = rf"a proxy of inception-v3 \(width 0\.125{at}\).* name the trial \(STUDY:NUMBER\).*'nas train'"
        with pytest.raises(RequestError, match=said):
            read_weights("inception-v3", WHOLE, file)
    with pytest.raises(RequestError, match="a proxy of inception-v3"):
        import_weights("inception-v3", tmp_path / "small.safetensors", tmp_path / "out.safetensors", tmp_path)
    assert not (tmp_path / "out.safetensors").exists()


def test_a_proxy_whose_weights_have_the_shapes_of_the_whole_is_told_by_what_the_file_says(tmp_path: Path) -> None:
    of = seed("inception-v4")
    small = proxy(of, 32, 1.0).named("small")
    tensors = build(small.graph(32, classes=10, channels=1), initialise=0).state_dict()
    content = Content(small, 10, 1, (32, 32), tensors, stands_for=(of, of.sides(None)))
    trial, [exported] = tmp_path / "weights.safetensors", write_files(tmp_path, to_safetensors(content))
    checkpoint.write(trial, tensors, {"digest": small.digest, "stands_for": of.digest, "resolution": 32})
    with pytest.raises(RequestError, match=r"a proxy of inception-v4 \(at 32 px\)"):
        read_weights("inception-v4", of, trial)
    with pytest.raises(RequestError, match=r"a proxy of inception-v4 \(at 32 px\)"):
        import_weights("inception-v4", exported, tmp_path / "out.safetensors", tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()  # 160 MB each


def test_weights_that_say_of_what_they_are_come_through(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    checkpoint.write(file, state(8, 0.125), {"digest": "a" * 64})  # the caller compares digests
    assert read_weights("inception-v3", WHOLE, file).about.digest == "a" * 64
    checkpoint.write(file, state(299, 1.0), {})
    assert export_found(Found(WHOLE), "python", tmp_path, read_weights("inception-v3", WHOLE, file).tensors)
