"""How well a trained network does: top-1 error and loss with a single crop."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.data import DataSet, test_part
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
    network: Network, pictures: Tensor, labels: Tensor, precision: Precision, world: World | None = None
) -> Score:
    """Score a network on pictures, float32 (N, C, H, W), in evaluation mode; its mode is put back afterwards.

    The processes of a ``world`` share the pictures, and all return the score of the whole.
    """
    world, count = world or World(), len(labels)
    pictures, labels = pictures[world.rank :: world.size], labels[world.rank :: world.size]
    training = network.training
    network.eval()
    wrong, loss = (torch.zeros((), device=labels.device) for _ in range(2))
    try:
        for batch, truth in zip(torch.split(pictures, BATCH), torch.split(labels, BATCH), strict=True):
            with precision.context():
                logits = network(precision.layout(batch))
            wrong += (logits.argmax(1) != truth).sum()
            loss += F.cross_entropy(logits.float(), truth, reduction="sum")
    finally:
        network.train(training)
    return Score(world.total(wrong).item() / count, world.total(loss).item() / count, count)


def final(network: Network, data: DataSet, precision: Precision) -> Score:
    """Score a network on the test part, single crop: once, after a search, for the networks of its front."""
    device = next(network.parameters()).device
    return score(network, *data.on(device, test_part(data)), precision)
