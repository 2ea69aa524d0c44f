"""Crops of a picture for evaluation: one, twelve, or the 144 of GoogLeNet (arXiv 1409.4842, section 7).

The 144: the picture is resized to four scales, its shorter side 256, 288, 320 and 352 for networks that see 224; of
each the left, centre and right square is taken (top, centre and bottom of a tall one); of each square its four corners,
its centre, and the whole square resized; and each of those mirrored: 4 x 3 x 6 x 2. Other resolutions keep the ratios.
1512.00567 evaluates with "12 crops" and defines them nowhere: one scale, the centre square, 6 x 2 is the natural
reading. The single crop is the centre of that scale, 7/8 of the shorter side, as the released Inception-v3 is tested;
or, for networks that were trained on whole squares, the ``whole`` centre square resized.
"""

from collections.abc import Iterator
from itertools import groupby, product, starmap
from typing import Literal, NamedTuple, get_args

from torch import Tensor
from torch.nn import functional as F

Crops = Literal[1, 12, 144]
CROPS: tuple[Crops, ...] = get_args(Crops)

_SCALES = (256, 288, 320, 352)  # of the shorter side, for a resolution of
_PER = 224
_ENDS = (0.0, 0.5, 1.0)  # where a square lies along the longer side, or a crop within the square
_CENTRE = (0.5, 0.5)
_CORNERS = tuple(product((0.0, 1.0), repeat=2))


class Crop(NamedTuple):
    """One crop: the picture at ``scale`` (pixels of its shorter side), a square of it, a place in the square.

    ``square``: 0 to 1 along the longer side. ``place``: 0 to 1 down and to the right, of a window of the resolution;
    None: the whole square, resized. ``mirrored``: left and right exchanged.
    """

    scale: int
    square: float
    place: tuple[float, float] | None
    mirrored: bool


def enumerate_crops(resolution: int, crops: Crops, *, whole: bool = False) -> tuple[Crop, ...]:
    """Return every crop for networks that see ``resolution`` x ``resolution`` pixels; ``whole``: as the single one."""
    if crops == 1 and whole:
        return (Crop(resolution, 0.5, None, False),)
    scales = [round(scale * resolution / _PER) for scale in _SCALES]
    if crops == 1:
        return (Crop(scales[0], 0.5, _CENTRE, False),)
    used, squares = (scales, _ENDS) if crops == 144 else (scales[:1], (0.5,))
    places = (*_CORNERS, _CENTRE, None)
    return tuple(starmap(Crop, product(used, squares, places, (False, True))))


def views(pictures: Tensor, resolution: int, crops: Crops, *, whole: bool = False) -> Iterator[Tensor]:
    """Yield each crop of a batch of pictures in turn: float32 (N, C, H, W) -> (N, C, resolution, resolution).

    Pictures are resized bilinearly with antialiasing. Of square pictures the three squares are one, which comes once:
    the mean over the crops is the same.
    """
    listed = enumerate_crops(resolution, crops, whole=whole)
    if pictures.shape[2] == pictures.shape[3]:
        listed = tuple(crop for crop in listed if crop.square == _CENTRE[0])
    for scale, of_scale in groupby(listed, lambda crop: crop.scale):
        resized = _resized(pictures, scale)
        for along, of_square in groupby(of_scale, lambda crop: crop.square):
            square = _square(resized, along)
            for place, of_place in groupby(of_square, lambda crop: crop.place):
                view = _window(square, place, resolution)
                for crop in of_place:
                    yield view.flip(3) if crop.mirrored else view


def _resized(pictures: Tensor, shorter: int) -> Tensor:
    """Resize pictures so that their shorter side has so many pixels."""
    height, width = pictures.shape[2:]
    sides = (shorter, max(shorter, round(width * shorter / height)))
    if height > width:
        sides = (max(shorter, round(height * shorter / width)), shorter)
    return _to(pictures, sides)


def _to(pictures: Tensor, sides: tuple[int, int]) -> Tensor:
    if tuple(pictures.shape[2:]) == sides:
        return pictures
    return F.interpolate(pictures, sides, mode="bilinear", align_corners=False, antialias=True)


def _square(pictures: Tensor, along: float) -> Tensor:
    """Cut a square of the shorter side out of pictures."""
    height, width = pictures.shape[2:]
    side = min(height, width)
    top, left = round((height - side) * along), round((width - side) * along)
    return pictures[:, :, top : top + side, left : left + side]


def _window(square: Tensor, place: tuple[float, float] | None, side: int) -> Tensor:
    """Cut a window out of squares, or resize them whole (None)."""
    if place is None:
        return _to(square, (side, side))
    top, left = (round((square.shape[2] - side) * at) for at in place)
    return square[:, :, top : top + side, left : left + side]
