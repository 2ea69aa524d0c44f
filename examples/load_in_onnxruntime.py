"""Classify pictures with an exported network in ONNX Runtime.

Needs onnxruntime, numpy and Pillow, and no torch. The file is that of an export to onnx:

    python load_in_onnxruntime.py inception_v3.onnx cat.jpg dog.jpg --top 3

The file says how large pictures are, how they are scaled, unless it does that itself, and what the classes are called;
what is missing there is assumed, and told.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageOps

MODES = {1: "L", 3: "RGB"}  # what Pillow calls pictures of so many channels
Pixels = npt.NDArray[np.float32]


def main() -> None:
    """Print the most probable classes of each picture."""
    asked = arguments()
    session = open_session(asked.network, asked.provider)
    facts = dict(session.get_modelmeta().custom_metadata_map)
    entry = session.get_inputs()[0]
    channels, *sides = entry.shape[1:]
    if not all(isinstance(length, int) for length in (channels, *sides)):
        raise stop(f"{asked.network} takes pictures of any size: export it for one")
    names = class_names(facts, asked.network.name)
    scale = Scale(facts, asked.network.name)
    for path in asked.pictures:
        pixels = read_picture(path, (sides[0], sides[1]), channels)
        [logits] = session.run(None, {entry.name: scale(pixels)[None]})
        scores = softmax(logits[0])
        print(path)
        for index in np.argsort(-scores, kind="stable")[: asked.top].tolist():
            print(f"  {100 * scores[index]:6.2f} %  {names[index] if index < len(names) else f'class {index}'}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Classify pictures with an exported network in ONNX Runtime.",
        epilog="example: python load_in_onnxruntime.py inception_v3.onnx cat.jpg dog.jpg --top 3",
    )
    parser.add_argument("network", type=Path, help="the exported network, an .onnx file")
    parser.add_argument("pictures", type=Path, nargs="+", help="pictures in any format that Pillow reads")
    parser.add_argument("--top", type=positive, default=5, help="how many classes are shown (5)")
    available = onnxruntime.get_available_providers()
    parser.add_argument(
        "--provider", choices=available, default="CPUExecutionProvider", help=f"what runs it: {', '.join(available)}"
    )
    return parser.parse_args()


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def stop(sentence: str) -> SystemExit:
    """What ends the program with a sentence."""
    return SystemExit(f"{Path(sys.argv[0]).name}: {sentence}")


def open_session(network: Path, provider: str) -> onnxruntime.InferenceSession:
    """Load the file. ONNX Runtime has a class of errors for each kind of damage, with nothing above them."""
    if not network.is_file():
        raise stop(f"there is no file {network}: name the .onnx file of an export")
    try:
        return onnxruntime.InferenceSession(network, providers=[provider])
    except Exception as error:  # noqa: BLE001
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise stop(f"{network} is not a network that ONNX Runtime can load: {reason}") from None


class Scale:
    """What makes an input of pixels from 0 to 255: (pixel - mean) / deviation, with pixels from 0 to white.

    A file whose ``input`` is ``pixels`` does that itself, and is given pixels from 0 to white.
    """

    def __init__(self, facts: dict[str, str], file: str) -> None:
        self.white, self.mean, self.deviation = 1.0, np.float32(0), np.float32(1)
        known = {"mean", "deviation", "white"} <= facts.keys()
        if "white" in facts:
            self.white = float(facts["white"])
        if known and facts.get("input") != "pixels":
            self.mean, self.deviation = (by_channel(facts[key]) for key in ("mean", "deviation"))
        elif not known:
            tell(f"{file} does not say how pictures are scaled: pixels go in from 0 to {self.white:g}")

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> Pixels:
        """Scale pixels, uint8 (C, H, W); return float32 of the same shape."""
        scaled = (pixels.astype(np.float32) * np.float32(self.white / 255) - self.mean) / self.deviation
        return scaled.astype(np.float32)


def by_channel(text: str) -> Pixels:
    """Read numbers between commas, as float32 (C, 1, 1)."""
    return np.array([float(number) for number in text.split(",")], dtype=np.float32)[:, None, None]


def read_picture(path: Path, sides: tuple[int, int], channels: int) -> npt.NDArray[np.uint8]:
    """Return the middle of a picture in the right shape and size, upright, on white: uint8 (C, H, W)."""
    if channels not in MODES:
        raise stop(f"the network takes pictures of {channels} channels, and files have 1 or 3: give it arrays")
    try:
        with Image.open(path) as file:
            whole = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError) as error:
        raise stop(f"{path} is not a picture that can be read: {error}") from None
    flat = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert(MODES[channels])
    fitted = ImageOps.fit(flat, (sides[1], sides[0]), Image.Resampling.BILINEAR)
    return np.asarray(fitted).reshape(*sides, channels).transpose(2, 0, 1)


def softmax(logits: Pixels) -> Pixels:
    """Return the share of each class."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def class_names(facts: dict[str, str], file: str) -> list[str]:
    """Return the names of the classes in order; none where the file does not say."""
    if "class_names" not in facts:
        tell(f"{file} does not name its classes: they are numbered from 0")
    return [str(name) for name in json.loads(facts.get("class_names", "[]"))]


def tell(sentence: str) -> None:
    """Say what is assumed."""
    print(f"note: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
