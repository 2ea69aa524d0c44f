"""How well trained networks do: a score on pictures as they are stored; predictions over crops and ensembles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.crops import Crops, views
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


@torch.inference_mode()
def predict(
    networks: Sequence[Network],
    batches: Iterable[tuple[Tensor, Tensor]],
    resolution: int,
    crops: Crops,
    precision: Precision,
) -> tuple[Tensor, Tensor]:
    """Predict probabilities, float32 (N, classes), with the labels (N,), both on the CPU, in the batches' order.

    Softmax is averaged over the crops and the networks (arXiv 1409.4842, section 7). ``batches``: pictures of any size,
    float32 (n, C, H, W), standardised, and labels.
    """
    for network in networks:
        network.eval()
    found, labels = [], []
    for pictures, truth in batches:
        total, count = None, 0
        for view in views(pictures, resolution, crops):
            placed = precision.layout(view)
            for network in networks:
                with precision.context():
                    logits = network(placed)
                assert isinstance(logits, Tensor)
                probabilities = logits.float().softmax(1)
                total, count = probabilities if total is None else total + probabilities, count + 1
        assert total is not None
        found.append((total / count).cpu())
        labels.append(truth.cpu())
    return torch.cat(found), torch.cat(labels)
