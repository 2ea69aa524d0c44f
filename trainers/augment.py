"""Augmentation: batches of pictures changed at random, on the device, each picture in its own way.

What is drawn is drawn on the CPU, so that it is the same on every device. Pictures are float32 (N, C, H, W) in stored
units, 0 to ``white``.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from trainers.recipe import Recipe

RATIO = (3 / 4, 4 / 3)  # of a crop's width to its height, least and largest (1409.4842 section 6)
TRIES = 10  # crops drawn per picture until one fits into it
GREY = (0.299, 0.587, 0.114)  # shares of red, green and blue in the brightness that eyes see (ITU-R BT.601)


@dataclass(frozen=True)
class Augmentation:
    """Which changes are made; the fields are those of a Recipe."""

    shift: int = 0
    flip: bool = False
    resized_crop: float | None = None
    colour: float = 0.0

    @staticmethod
    def of(recipe: Recipe) -> "Augmentation":
        """Return what a recipe asks for."""
        return Augmentation(recipe.shift, recipe.flip, recipe.resized_crop, recipe.colour)

    def __call__(self, pictures: Tensor, resolution: int, white: float, generator: Generator) -> Tensor:
        """Return the pictures changed and ``resolution`` pixels large."""
        if self.resized_crop is not None:
            pictures = cropped(pictures, draw_boxes(len(pictures), self.resized_crop, generator), resolution)
        else:
            pictures = resized(pictures, resolution)
        if self.shift:
            pictures = shifted(pictures, self.shift, generator)
        if self.flip:
            mirrored = torch.rand(len(pictures), generator=generator) < 0.5
            pictures = torch.where(mirrored.to(pictures.device)[:, None, None, None], pictures.flip(3), pictures)
        if self.colour:
            pictures = coloured(pictures, draw_factors(len(pictures), self.colour, generator), white)
        return pictures


def resized(pictures: Tensor, resolution: int) -> Tensor:
    """Return pictures (N, C, S, S) as (N, C, resolution, resolution), bilinear.

    Antialiased where the stored side is more than twice as large; nearer ones, as caches hold them (trainers/cache.py),
    lose no pixel without, and antialiasing is slow on GPUs.
    """
    side = (resolution, resolution)
    if pictures.shape[2:] == side:
        return pictures
    far = pictures.shape[2] > 2 * resolution
    return F.interpolate(pictures, side, mode="bilinear", align_corners=False, antialias=far)


def shifted(pictures: Tensor, most: int, generator: Generator) -> Tensor:
    """Shift every picture by up to ``most`` pixels down or up and right or left; its own edge pixels fill the gap."""
    count, channels, height, width = pictures.shape
    device = pictures.device
    offsets = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator).to(device)
    rows = (torch.arange(height, device=device) + offsets[0] - most).clamp_(0, height - 1)
    columns = (torch.arange(width, device=device) + offsets[1] - most).clamp_(0, width - 1)
    picture = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[:, None, None]
    return pictures[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]


# --------------------------------------------------------------------------------------------------------------- crops


def draw_boxes(count: int, least: float, generator: Generator) -> Tensor:
    """Draw a box inside the unit square for each of ``count`` pictures, float64 (N, 4): left, top, width, height.

    Its area is uniform from ``least`` to 1, the logarithm of its ratio between those of ``RATIO``, its place uniform.
    The first of ``TRIES`` that is neither wider nor higher than the picture is taken, else the whole picture.
    """
    drawn = torch.rand(2, count, TRIES, generator=generator, dtype=torch.float64)
    area = least + (1 - least) * drawn[0]
    ratio = torch.exp(math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * drawn[1])
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=2)  # (N, tries, 2)
    fits = (sides <= 1).all(2)
    first = sides[torch.arange(count), fits.to(torch.uint8).argmax(1)]
    sides = torch.where(fits.any(1)[:, None], first, 1.0)
    places = torch.rand(count, 2, generator=generator, dtype=torch.float64) * (1 - sides)
    return torch.cat([places, sides], dim=1)


def cropped(pictures: Tensor, boxes: Tensor, resolution: int) -> Tensor:
    """Return a box of every picture, (N, C, resolution, resolution): bilinear, antialiased where it is made smaller.

    Each output pixel is the mean of the input under a triangle, as in Pillow's ``resize`` with a box. The triangles are
    the same for a row of pixels whatever the column, so two batched matrix products do it: (R, H) by (H, W) by (W, R).
    That is a few per cent of what the network computes; grid_sample would look at four pixels only, and alias.
    """
    height, width = pictures.shape[2:]
    places = boxes.to(pictures.device, torch.float32)
    across = _triangles(places[:, 0] * width, places[:, 2] * width, width, resolution)
    down = _triangles(places[:, 1] * height, places[:, 3] * height, height, resolution)
    return down[:, None] @ pictures @ across[:, None].transpose(2, 3)


def _triangles(start: Tensor, length: Tensor, pixels: int, resolution: int) -> Tensor:
    """Weights of ``pixels`` input pixels in each output pixel, (N, resolution, pixels), of a stretch per picture."""
    scale = (length / resolution)[:, None, None]
    reach = scale.clamp_min(1)
    outputs = torch.arange(resolution, device=start.device)[:, None] + 0.5
    inputs = torch.arange(pixels, device=start.device) + 0.5
    weights = (1 - (inputs - start[:, None, None] - outputs * scale).abs() / reach).clamp_min_(0)
    return weights / weights.sum(2, keepdim=True)


# -------------------------------------------------------------------------------------------------------------- colour


def draw_factors(count: int, strength: float, generator: Generator) -> Tensor:
    """Draw factors of brightness, contrast and saturation for each picture, float32 (N, 3), 1 +- ``strength``."""
    return 1 + strength * (2 * torch.rand(count, 3, generator=generator) - 1)


def coloured(pictures: Tensor, factors: Tensor, white: float) -> Tensor:
    """Change brightness, then contrast, then saturation of every picture by its factors (N, 3); 1 changes nothing.

    Brightness multiplies, contrast moves away from the picture's mean grey, saturation away from each pixel's grey;
    each result is kept within 0 to ``white``. Pictures without colours have no saturation.
    """
    brightness, contrast, saturation = factors.to(pictures.device).T[:, :, None, None, None]
    pictures = (pictures * brightness).clamp(0, white)
    pictures = torch.lerp(_grey(pictures).mean((1, 2, 3), keepdim=True), pictures, contrast).clamp(0, white)
    if pictures.shape[1] == 3:
        pictures = torch.lerp(_grey(pictures), pictures, saturation).clamp(0, white)
    return pictures


def _grey(pictures: Tensor) -> Tensor:
    if pictures.shape[1] != 3:
        return pictures.mean(1, keepdim=True)
    return (pictures * pictures.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
