"""How well a trained network does: top-1 error and loss with a single crop."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.data import DataSet, test_part
from trainers.feed import Feed
from trainers.network import Network
from trainers.precision import Precision
from trainers.world import World

BATCH = 256  # pictures at once: small proxies are quickest so, and Inception-v3 at 299 px still fits


@dataclass(frozen=True)
class Score:
    """``error``: top-1, 0 to 1. ``loss``: mean cross-entropy in nats without smoothing; may be infinite or NaN."""

    error: float
    loss: float
    pictures: int


@torch.inference_mode()
def score(
    network: Network, batches: Iterable[tuple[Tensor, Tensor]], precision: Precision, world: World | None = None
) -> Score:
    """Score a network on batches of pictures, float32 (N, C, H, W), and labels, in evaluation mode.

    Its mode is put back afterwards. In a ``world`` of processes the batches are this one's share, and all return the
    score of the whole.
    """
    training = network.training
    network.eval()
    wrong, loss, count = (torch.zeros((), dtype=torch.float64, device=_device(network)) for _ in range(3))
    try:
        for pictures, truth in batches:
            with precision.context():
                logits = network(precision.layout(pictures))
            wrong += (logits.argmax(1) != truth).sum()
            loss += F.cross_entropy(logits.float(), truth, reduction="sum")
            count += len(truth)
    finally:
        network.train(training)
    wrong, loss, count = (world or World()).total(torch.stack([wrong, loss, count]))
    return Score((wrong / count).item(), (loss / count).item(), int(count))


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device


def final(network: Network, data: DataSet, precision: Precision) -> Score:
    """Score a network on the test part, single crop: once, after a search, for the networks of its front."""
    return score(network, Feed(data, test_part(data), _device(network)).ordered(BATCH), precision)
