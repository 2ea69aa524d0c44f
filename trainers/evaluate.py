"""How well trained networks do: a score on pictures as they are stored; predictions over crops and ensembles."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from trainers.crops import Crops, views
from trainers.data import DataSet, Part, test_part
from trainers.feed import Feed
from trainers.network import Network, build
from trainers.precision import Precision
from trainers.scores import Scores, score_probabilities
from trainers.world import World

BATCH = 256  # pictures at once: small proxies are quickest so, and Inception-v3 at 299 px still fits
CROPS_AT_ONCE = 32  # of photographs, whose sizes differ, so that each is a batch of its own
PIXELS_AT_ONCE = 64 * 299**2  # that the network is given, whatever the resolution


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


class PixelScale(NamedTuple):
    """How pictures were standardised: ``mean`` and ``deviation`` per channel, with ``white`` the brightest value."""

    mean: Sequence[float]
    deviation: Sequence[float]
    white: float


@dataclass(frozen=True)
class Member:
    """One network of an ensemble: its tensors, and the scale of the pictures that it was trained on."""

    state: Mapping[str, Tensor]
    scale: PixelScale


class _Placed:
    """A member on the device."""

    def __init__(self, graph: Graph, member: Member, precision: Precision) -> None:
        self.precision = precision
        self.network = build(graph, initialise=0).eval()
        state = {key: value for key, value in member.state.items() if not key.startswith("aux")}
        self.network.load_state_dict(state)
        precision.place(self.network)
        self.mean, self.deviation = (
            torch.tensor(value, device=precision.device)[:, None, None] / member.scale.white
            for value in member.scale[:2]
        )

    def probabilities(self, view: Tensor) -> Tensor:
        """Predict for pictures from 0, black, to 1, white."""
        with self.precision.context():
            logits = self.network(self.precision.layout((view - self.mean) / self.deviation))
        assert isinstance(logits, Tensor)
        return logits.float().softmax(1)


@torch.inference_mode()
def predict(
    graph: Graph,
    members: Sequence[Member],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    resolution: int,
    crops: Crops,
    whole: bool = False,
    precision: Precision,
) -> tuple[Tensor, Tensor]:
    """Predict probabilities, float32 (N, classes), with the labels (N,), both on the CPU, in the batches' order.

    Softmax is averaged over the crops and the members (arXiv 1409.4842, section 7). ``graph``: without auxiliary heads,
    whose tensors are left out. ``batches``: pictures of any size, float32 (n, C, H, W) from 0 to 1, and labels.
    ``whole``: whether the single crop is the whole centre square.
    """
    placed = [_Placed(graph, member, precision) for member in members]
    most = max(1, PIXELS_AT_ONCE // resolution**2)
    found, labels = [], []
    for pictures, truth in _pieces(batches, most):
        count, each = len(truth), []
        crops_of_all = views(pictures, resolution, crops, whole=whole)
        while some := list(itertools.islice(crops_of_all, max(1, min(CROPS_AT_ONCE, most) // count))):
            together = torch.cat(some)
            each += [member.probabilities(together).view(len(some), count, -1) for member in placed]
        found.append(torch.cat(each).mean(0).cpu())
        labels.append(truth.cpu())
    return torch.cat(found), torch.cat(labels)


def _pieces(batches: Iterable[tuple[Tensor, Tensor]], most: int) -> Iterator[tuple[Tensor, Tensor]]:
    for pictures, truth in batches:
        yield from zip(torch.split(pictures, most), torch.split(truth, most), strict=True)


def evaluate(
    graph: Graph,
    members: Sequence[Member],
    data: DataSet,
    part: Part,
    *,
    resolution: int,
    crops: Crops,
    whole: bool = False,
    precision: Precision,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Scores:
    """Score a network, or the ensemble of several, on the pictures of a part as they were before they were stored.

    ``tell`` hears how many pictures of how many are done, none at first. Float32 is float32 on a GPU too, without the
    shorter factors (TF32) that its convolutions take otherwise. RequestError where what comes out is not finite.
    """
    batches = _from_black_to_white(part, data.white, precision.device, tell)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        probabilities, labels = predict(
            graph, members, batches, resolution=resolution, crops=crops, whole=whole, precision=precision
        )
    if not torch.isfinite(probabilities).all():
        raise RequestError(
            f"the network gives no finite probabilities for pictures of {data.name!r}: weights, or the scale of the "
            "pictures beside them, are too large for it; give others"
        )
    return score_probabilities(probabilities, labels, data.classes)


def _from_black_to_white(
    part: Part, white: int, device: torch.device, tell: Callable[[int, int], None]
) -> Iterator[tuple[Tensor, Tensor]]:
    done = 0
    tell(done, len(part))
    for pictures, labels in part.originals():
        yield pictures.to(device).permute(0, 3, 1, 2).float().div_(white), labels
        done += len(labels)
        tell(done, len(part))
