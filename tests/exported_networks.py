"""A small exported network as its user gets it: a source and weights that say what they are."""

from pathlib import Path
from typing import Any

import torch

from results.export.content import Content, Scaling
from results.export.to_python import to_python
from search_spaces.architecture_file import from_data
from search_spaces.files import write_files
from trainers.network import Network, build

NAMES = ("blue", "green", "red")
SIDE = 24
MEAN, DEVIATION, WHITE = (120.0, 110.0, 100.0), (60.0, 61.0, 62.0), 255.0
TINY = from_data(
    {
        "format": "architecture/1",
        "name": "tiny",
        "resolution": SIDE,
        "stem": ["conv 3x3/2 8"],
        "stages": [
            {"modules": [[["conv 1x1 8"], ["avg 3x3 uncounted", "conv 1x1 4"]]]},
            {"reduction": [["max 3x3/2"], ["conv 3x3/2 8"]], "modules": [[["conv 3x3 8"], ["conv 1x1 8"]]]},
        ],
        "aux": [{"after": "stage1.module1", "steps": ["conv 3x3 6 valid"]}],
    }
)


def export_tiny(folder: Path, *, told: bool = True, **facts: Any) -> Network:
    """Write ``tiny.py`` and ``tiny.safetensors`` into a folder; return the network that they are of.

    ``told``: whether the weights say how pictures are scaled and what the classes are called; ``facts``: what else.
    """
    graph = TINY.graph(SIDE, classes=len(NAMES), aux=True)
    network = build(graph, initialise=0)
    known = {"scaling": Scaling(MEAN, DEVIATION, WHITE), "class_names": NAMES} if told else {}
    content = Content(TINY, len(NAMES), 3, (SIDE, SIDE), state=network.state_dict(), **known, **facts)  # type: ignore[arg-type]
    files = write_files(folder, to_python(content))
    assert [file.name for file in files] == ["tiny.py", "tiny.safetensors"]
    return network.eval()


def scaling_facts() -> dict[str, str]:
    """How pictures are scaled, as the files of an export say it."""
    mean, deviation = (",".join(map(str, each)) for each in (MEAN, DEVIATION))
    return {"mean": mean, "deviation": deviation, "white": str(WHITE)}


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels, uint8 (N, C, H, W), as the network takes them."""
    mean, deviation = (torch.tensor(each).view(1, -1, 1, 1) for each in (MEAN, DEVIATION))
    return (pixels.float() - mean) / deviation
