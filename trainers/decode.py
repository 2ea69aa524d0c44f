"""A picture file as a square of pixels, and a process that makes such squares. The only file that imports Pillow.

Run as a program with a side in pixels and ``1`` or ``0`` (whether all pictures must have that side already), it answers
one request after another on standard input until that ends. A request is a line of JSON, ``{"lengths": [...]}``, and
the bytes of the files; the answer a line ``{"reasons": {"3": "truncated"}, "other": false}`` and the squares of the
files that could be read, uint8 (S, S, 3) each. ``other``: a picture had another side, and nothing was decoded.

A process of its own, because most of the time of a small picture is spent inside Python, where threads wait for each
other; and a decoder that a hostile file crashes takes nothing else with it. Nothing of this project is imported here,
and no torch.
"""

import io
import json
import sys
import warnings
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

_TURNS = {  # by the value of EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GAP = 2  # a JPEG is decoded at the smallest of its scales that is at least twice what is asked for, as Pillow advises


class OtherSize(Exception):
    """A picture that was promised to be a square of some side is not."""


def size(content: bytes) -> tuple[int, int]:
    """Width and height by a file's head, as stored; OSError where it is no picture."""
    with Image.open(io.BytesIO(content)) as picture:
        return picture.size


def square(content: bytes, side: int, *, exact: bool = False) -> npt.NDArray[np.uint8]:
    """Return the centre square of a picture, uint8 (side, side, 3), RGB, upright.

    Its shorter side becomes ``side``: bilinear, antialiased. Greyscale, palettes, CMYK and 16 bits are converted; what
    is transparent lies on white. With ``exact`` a picture that is not side x side already raises OtherSize. Raises
    whatever Pillow does for a file that it cannot read: most errors there are.
    """
    with Image.open(io.BytesIO(content)) as picture:
        if exact and picture.size != (side, side):
            raise OtherSize
        short = min(picture.size)
        picture.draft(None, tuple(max(1, _GAP * side * length // short) for length in picture.size))  # type: ignore[arg-type]
        turn, rgb = _turn(picture), _rgb(picture)
    width, height = rgb.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    box = (left, top, left + short, top + short)
    rgb = rgb.crop(box) if short == side else rgb.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.asarray(rgb if turn is None else rgb.transpose(turn))


def whole(content: bytes) -> npt.NDArray[np.uint8]:
    """Return a picture as it is, uint8 (H, W, 3), RGB, upright; converted and refused as by ``square``."""
    with Image.open(io.BytesIO(content)) as picture:
        turn, rgb = _turn(picture), _rgb(picture)
    return np.asarray(rgb if turn is None else rgb.transpose(turn))


def _turn(picture: Image.Image) -> Image.Transpose | None:
    return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if picture.mode.startswith("I"):  # 16 bits, whatever the byte order; Pillow's own conversion would cut them off
        deep = np.asarray(picture).astype(np.int64)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError("its pixels have more than 16 bits")
        picture = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def reason(error: BaseException) -> str:
    """Say in a few words why a file could not be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return (str(error) or type(error).__name__)[:200]


def answer(requests: BinaryIO, answers: BinaryIO, side: int, *, exact: bool) -> None:
    """Answer requests until there are no more."""
    while line := requests.readline():
        squares: list[npt.NDArray[np.uint8]] = []
        reasons: dict[int, str] = {}
        other = False
        for index, content in enumerate([requests.read(length) for length in json.loads(line)["lengths"]]):
            try:
                squares.append(square(content, side, exact=exact))
            except OtherSize:
                other, squares = True, []
                break
            except Exception as error:  # noqa: BLE001 - a file may make a decoder raise anything; it is listed
                reasons[index] = reason(error)
        answers.write(json.dumps({"reasons": reasons, "other": other}).encode() + b"\n")
        for pixels in squares:
            answers.write(pixels.tobytes())
        answers.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # on odd metadata: the pixels decide
    answer(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]), exact=sys.argv[2] == "1")
