"""Scores of a network that was not trained; higher is taken for better.

None of them is to be believed without a look: ``nas calibrate`` gives their rank correlation with trained errors beside
that of params and MACs alone, which as controls are often as good (White et al., 2021).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from search_spaces.graph import Graph
from trainers.data import DataSet
from trainers.feed import Feed
from trainers.network import build

PICTURES = 64  # that the scores look at


def synflow(network: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """Synaptic flow: log of the sum of ``|weight * gradient|`` (2006.05467, equation 2) with no data.

    The gradient is that of the summed output for a picture of ones, all weights being made positive. The weights are
    left as they were. Raises ValueError where it is not finite.
    """
    network.double().eval()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    signs = [parameter.detach().sign() for parameter in parameters]
    try:
        with torch.no_grad():
            for parameter in parameters:
                parameter.abs_()
        network.zero_grad()
        ones = torch.ones_like(pictures[:1], dtype=torch.float64)
        network(ones).sum().backward()
        flow = sum(float((p.detach() * p.grad).abs().sum()) for p in parameters if p.grad is not None)
    finally:
        with torch.no_grad():
            for parameter, sign in zip(parameters, signs, strict=True):
                parameter.mul_(sign)
        network.zero_grad()
        network.float()
    return _finite("synflow", math.log(flow) if flow > 0 else -math.inf)


def naswot(network: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """Log determinant of how far apart the ReLUs of a network tell pictures (2006.04647, section 3).

    Each picture's code says which rectified units are active; the kernel of two pictures is the number of units on
    which their codes agree.
    """
    _as_in_training(network)
    with torch.no_grad(), _Active() as active:
        network(pictures)
    kernel = torch.zeros(len(pictures), len(pictures), dtype=torch.float64)
    for code in active.codes:
        kernel += (code @ code.T + (1 - code) @ (1 - code).T).double().cpu()
    return _finite("naswot", float(torch.linalg.slogdet(kernel).logabsdet))


def gradient_norm(network: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """Norm of the gradient of the loss on one batch (as a score: 2101.08134, section 3)."""
    _as_in_training(network)
    network.zero_grad()
    F.cross_entropy(_logits(network(pictures)), labels).backward()  # type: ignore[no-untyped-call]
    squares = sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None)
    network.zero_grad()
    return _finite("gradient_norm", math.sqrt(squares))


Score = Callable[[nn.Module, Tensor, Tensor], float]
SCORES: Mapping[str, Score] = {"synflow": synflow, "naswot": naswot, "gradient_norm": gradient_norm}


def score_untrained(name: str, graph: Graph, data: DataSet, *, random_seed: int) -> float:
    """Return a score of a graph's network with fresh weights, on one batch from all over the training pictures."""
    network = build(graph, initialise=random_seed)
    feed = Feed(data, data.train, "cpu", resident=False)
    places = torch.linspace(0, len(data.train) - 1, min(PICTURES, len(data.train))).long()
    pictures, labels = next(iter(feed.ordered(PICTURES, places)))
    return SCORES[name](network, pictures, labels)


class _Active(TorchFunctionMode):
    """Keeps which units are active after every ReLU, as float (pictures, units)."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in (torch.relu_, torch.relu, F.relu):
            self.codes.append((found > 0).flatten(1).float())
        return found


def _as_in_training(network: nn.Module) -> None:
    """Normalise by the batch's own statistics, those of a network that was not trained being no one's; drop nothing."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()


def _logits(output: Any) -> Tensor:
    """The main head's logits, where auxiliary heads come with them."""
    found = output[0] if isinstance(output, tuple) else output
    assert isinstance(found, Tensor)
    return found


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(
            f"{name} is {value}: the network's activations or gradients are not finite before any training"
        )
    return value
