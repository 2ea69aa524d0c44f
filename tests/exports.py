"""What the tests of the exporters share: contents with lively weights, and pictures."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from results.export.comparison import Logits, onnx_run
from results.export.content import Content
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from trainers.network import Network, build

SMALL = from_data(
    {
        "format": "architecture/1",
        "name": "small",
        "resolution": 24,
        "stem": ["conv 3x3/2 8", "max 3x3/2 ceil", "lrn 5"],
        "stages": [
            {"modules": [[["conv 1x1 8"], ["avg 3x3 uncounted", "conv 1x1 4 norm bias"], ["conv 1x1 6"]]]},
            {
                "reduction": [["max 3x3/2", "conv 1x1 12 linear"]],
                "modules": [[["conv 3x3 8 bias"], ["conv 1x1 8", ["conv 1x7 8", "conv 7x1 5"]]]],
            },
        ],
        "aux": [{"after": "stage1.module1", "steps": ["conv 3x3 6", "linear 9 relu"]}],
    }
)


def lively(network: Network, random_seed: int = 0) -> Network:
    """Give the norms running statistics and scales, and all biases values, that differ from channel to channel."""
    source = torch.Generator().manual_seed(random_seed)
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        if name.rpartition(".")[0].endswith("norm") and values.is_floating_point():
            values.data.uniform_(0.5, 1.5, generator=source)
        elif name.endswith("bias"):
            values.data.uniform_(-0.5, 0.5, generator=source)
    return network


def content_of(architecture: Architecture, side: int, **known: Any) -> tuple[Content, Network]:
    """A content with lively weights for 7 classes, auxiliary heads among them, and its network without them."""
    known = {"classes": 7, "channels": 3, **known}
    sides, sizes = (side, side), {key: known[key] for key in ("classes", "channels")}
    full = lively(build(architecture.graph(sides, aux=True, **sizes), initialise=0))
    network = build(architecture.graph(sides, **sizes), initialise=0)
    network.load_state_dict({key: value for key, value in full.state_dict().items() if not key.startswith("aux")})
    return Content(architecture, sides=sides, state=full.state_dict(), **known), network.eval()


def pictures(count: int, side: int, channels: int = 3, random_seed: int = 1) -> NDArray[np.float32]:
    """Random pictures (N, C, H, W), as they go into a network."""
    return np.random.default_rng(random_seed).normal(size=(count, channels, side, side)).astype(np.float32)


def logits_of(network: torch.nn.Module, batch: NDArray[np.float32]) -> Logits:
    """What a torch network says of pictures."""
    with torch.inference_mode():
        logits: Logits = network(torch.from_numpy(batch)).numpy()
    return logits


def run_onnx(files: dict[str, bytes], batch: NDArray[np.float32]) -> Logits:
    """What onnxruntime says of pictures, by the one file."""
    [file] = files.values()
    return onnx_run(file, threads=1)(batch)
