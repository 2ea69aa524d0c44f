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

BATCH = 256  # pictures at once: small proxies are quickest so, and Inception-v3 at 299 px still fits


@dataclass(frozen=True)
class Score:
    """``error``: top-1, 0 to 1. ``loss``: mean cross-entropy in nats without smoothing; may be infinite or NaN."""

    error: float
    loss: float
    pictures: int


@torch.inference_mode()
def score(network: Network, batches: Iterable[tuple[Tensor, Tensor]], precision: Precision) -> Score:
    """Score a network on batches of pictures, float32 (N, C, H, W), and labels, in evaluation mode.

    Its mode is put back afterwards.
    """
    training = network.training
    network.eval()
    wrong = loss = torch.zeros(())
    count = 0
    try:
        for pictures, truth in batches:
            with precision.context():
                logits = network(precision.layout(pictures))
            wrong = wrong.to(truth.device) + (logits.argmax(1) != truth).sum()
            loss = loss.to(truth.device) + F.cross_entropy(logits.float(), truth, reduction="sum")
            count += len(truth)
    finally:
        network.train(training)
    return Score(wrong.item() / count, loss.item() / count, count)


def final(network: Network, data: DataSet, precision: Precision) -> Score:
    """Score a network on the test part, single crop: once, after a search, for the networks of its front."""
    device = next(network.parameters()).device
    return score(network, Feed(data, test_part(data), device).ordered(BATCH), precision)
