"""Folders of small pictures that are made on the spot: noise around a colour of the class's own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 70), "red": (210, 50, 40)}


def noise(colour: tuple[int, int, int], size: tuple[int, int], random_seed: int) -> np.ndarray:
    """A picture, uint8 (H, W, 3), for a size of (W, H)."""
    generator = np.random.default_rng(random_seed)
    values = np.array(colour) + generator.normal(0, 25, (size[1], size[0], 3))
    return values.clip(0, 255).astype(np.uint8)


def write_folder(
    root: Path, counts: Mapping[str, int], *, size: tuple[int, int] = (12, 12), ending: str = "png", first: int = 0
) -> Path:
    """Write ``counts`` pictures per class; names are ``COLOURS`` or ``part/COLOUR``."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = noise(COLOURS[name.split("/")[-1]], size, first + number)
            Image.fromarray(pixels).save(root / name / f"{number:03}.{ending}")
    return root
