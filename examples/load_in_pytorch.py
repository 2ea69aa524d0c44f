"""Classify pictures with an exported network in plain PyTorch.

Needs torch, safetensors, numpy and Pillow. The two files are those of an export to python, with weights:

    python load_in_pytorch.py inception_v3.py cat.jpg dog.jpg --top 3

The weights, inception_v3.safetensors, are looked for beside the source. Their metadata says how large pictures are, how
they are scaled and what the classes are called; what is missing there is assumed, and told.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

MODES = {1: "L", 3: "RGB"}  # what Pillow calls pictures of so many channels


def main() -> None:
    """Print the most probable classes of each picture."""
    asked = arguments()
    weights = asked.weights or asked.network.with_suffix(".safetensors")
    facts = metadata(weights)
    network = load_network(asked.network, weights, facts).to(asked.device).eval()
    scale = Scale(facts, weights.name)
    names = class_names(facts, weights.name)
    for path in asked.pictures:
        pixels = read_picture(path, scale.sides, scale.channels)
        with torch.inference_mode():
            scores = network(scale(pixels)[None].to(asked.device)).softmax(dim=1)[0].cpu()
        best = scores.topk(min(asked.top, len(scores)))
        print(path)
        for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            print(f"  {100 * share:6.2f} %  {names[index] if index < len(names) else f'class {index}'}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Classify pictures with an exported network in plain PyTorch.",
        epilog="example: python load_in_pytorch.py inception_v3.py cat.jpg dog.jpg --top 3",
    )
    parser.add_argument("network", type=Path, help="the exported source, a .py file (it is run)")
    parser.add_argument("pictures", type=Path, nargs="+", help="pictures in any format that Pillow reads")
    parser.add_argument("--weights", type=Path, help="a .safetensors file; by default the one beside the source")
    parser.add_argument("--top", type=positive, default=5, help="how many classes are shown (5)")
    parser.add_argument("--device", type=device, default="cpu", help="where it runs: cpu, cuda, mps (cpu)")
    return parser.parse_args()


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def device(text: str) -> torch.device:
    """A device that computes here."""
    try:
        torch.zeros(1, device=text).item()
    except (RuntimeError, AssertionError, ImportError):  # the latter two where torch was built without it
        raise argparse.ArgumentTypeError(f"{text!r} is no device that torch has here: name cpu, cuda or mps") from None
    return torch.device(text)


def stop(sentence: str) -> SystemExit:
    """What ends the program with a sentence."""
    return SystemExit(f"{Path(sys.argv[0]).name}: {sentence}")


def metadata(weights: Path) -> dict[str, str]:
    """Return what stands beside the weights."""
    if not weights.is_file():
        raise stop(
            f"there is no file {weights}: an export without weights writes none; export with them, or name --weights"
        )
    try:
        with safe_open(weights, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        raise stop(f"{weights} is not a .safetensors file that can be read: name the weights with --weights") from None


def load_network(source: Path, weights: Path, facts: dict[str, str]) -> nn.Module:
    """Run the source, build the network for as many classes as the weights have, and load them."""
    spec = importlib.util.spec_from_file_location(source.stem, source)
    if spec is None or spec.loader is None or not source.is_file():
        raise stop(f"{source} is not a Python file: name the source of an export")
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.stem] = module
    spec.loader.exec_module(module)
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == source.stem]
    networks = [value for value in own if issubclass(value, nn.Module)]
    if not networks or not hasattr(module, "load_weights"):
        raise stop(f"{source} has no network and no load_weights: name the source of an export")
    sizes = {"num_classes": "classes", "in_channels": "channels"}
    network: nn.Module = networks[-1](**{name: int(facts[key]) for name, key in sizes.items() if key in facts})
    try:
        module.load_weights(network, str(weights))
    except ValueError as error:
        raise stop(str(error)) from None
    return network


class Scale:
    """What makes an input of a picture: size and channels, and (pixel - mean) / deviation, pixels from 0 to white."""

    def __init__(self, facts: dict[str, str], file: str) -> None:
        self.channels = int(facts.get("channels", 3))
        height, _, width = facts.get("resolution", "299x299").partition("x")
        self.sides = int(height), int(width)
        if "resolution" not in facts:
            tell(f"{file} has no resolution: pictures are made 299 x 299")
        self.white, self.mean, self.deviation = 1.0, torch.zeros(1), torch.ones(1)
        if {"mean", "deviation", "white"} <= facts.keys():
            self.white = float(facts["white"])
            self.mean, self.deviation = (by_channel(facts[key]) for key in ("mean", "deviation"))
        else:
            tell(f"{file} does not say how pictures are scaled: pixels go in from 0 to 1")

    def __call__(self, pixels: Tensor) -> Tensor:
        """Scale pixels, uint8 (C, H, W); return float32 of the same shape."""
        return (pixels * (self.white / 255) - self.mean) / self.deviation


def by_channel(text: str) -> Tensor:
    """Read numbers between commas, as float32 (C, 1, 1)."""
    return torch.tensor([float(number) for number in text.split(",")])[:, None, None]


def read_picture(path: Path, sides: tuple[int, int], channels: int) -> Tensor:
    """Return the middle of a picture in the right shape and size, upright, on white: uint8 (C, H, W)."""
    if channels not in MODES:
        raise stop(f"the network takes pictures of {channels} channels, and files have 1 or 3: give it tensors")
    try:
        with Image.open(path) as file:
            whole = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError) as error:
        raise stop(f"{path} is not a picture that can be read: {error}") from None
    flat = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert(MODES[channels])
    fitted = ImageOps.fit(flat, (sides[1], sides[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(fitted)).reshape(*sides, channels).permute(2, 0, 1)


def class_names(facts: dict[str, str], file: str) -> list[str]:
    """Return the names of the classes in order; none where the weights do not say."""
    if "class_names" not in facts:
        tell(f"{file} does not name its classes: they are numbered from 0")
    return [str(name) for name in json.loads(facts.get("class_names", "[]"))]


def tell(sentence: str) -> None:
    """Say what is assumed."""
    print(f"note: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
