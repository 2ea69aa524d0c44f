"""How well trained networks do: a score on pictures as they are stored; predictions over crops and ensembles."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from search_spaces.graph import Graph
from trainers.crops import Crops, views
from trainers.data import DataSet, Part, test_part
from trainers.feed import Feed
from trainers.network import Network, build
from trainers.precision import Precision
from trainers.scores import Scores, score_probabilities
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


class PixelScale(NamedTuple):
    """How pictures were standardised: ``mean`` and ``deviation`` per channel, with ``white`` the brightest value."""

    mean: Sequence[float]
    deviation: Sequence[float]
    white: float


def evaluate(
    graph: Graph,
    states: Sequence[Mapping[str, Tensor]],
    data: DataSet,
    part: Part,
    *,
    resolution: int,
    crops: Crops,
    scale: PixelScale | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Scores:
    """Score a network, or the ensemble of several, on the pictures of a part as they were before they were stored.

    ``states``: the tensors of each member, of which those of auxiliary heads are left out; ``graph``: without such
    heads. ``scale``: that of the pictures that they were trained on, by default the data's own. ``tell`` hears how many
    pictures of how many are done. On a GPU, in bfloat16, where there is one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = Precision(device, bfloat16=device.type == "cuda")
    networks = []
    for state in states:
        network = build(graph, initialise=0)
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith("aux")})
        precision.place(network)
        networks.append(network)
    scale = scale or PixelScale(data.mean, data.deviation, data.white)
    batches = _standardised(part, scale, scale.white / data.white, device, tell)
    probabilities, labels = predict(networks, batches, resolution, crops, precision)
    return score_probabilities(probabilities, labels, data.classes)


def _standardised(
    part: Part, scale: PixelScale, units: float, device: torch.device, tell: Callable[[int, int], None]
) -> Iterator[tuple[Tensor, Tensor]]:
    mean, deviation = (torch.tensor(value, device=device)[:, None, None] for value in scale[:2])
    done = 0
    for pictures, labels in part.originals():
        yield (pictures.to(device).permute(0, 3, 1, 2).float() * units - mean) / deviation, labels
        done += len(labels)
        tell(done, len(part))
