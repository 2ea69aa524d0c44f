"""What gets evaluated: a running average of the parameters (1512.00567 section 8), with statistics that fit it."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainers.flat import Flat
from trainers.network import Network
from trainers.precision import Precision


class Average:
    """Follows a network in training with an exponential average of its parameters.

    The decay is ``min(decay, (1 + t) / (10 + t))`` at update ``t``, as in the paper's framework, so that short
    trainings are not dominated by their first weights. The statistics of batch norms are not averaged but measured anew
    (see ``measure_statistics``).

    ``torch.optim.swa_utils.AveragedModel`` computes the same, but groups and wraps all tensors anew at every step and
    reads its counter back from a GPU; on two long tensors (trainers/flat.py) an update is one call.
    """

    def __init__(self, network: Network, followed: Flat, decay: float) -> None:
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        self._mine = [long.detach() for long in Flat(self.network).both]
        self._theirs = [long.detach() for long in followed.both]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's present values."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)


@torch.no_grad()
def measure_statistics(network: Network, batches: Iterable[tuple[Tensor, Tensor]], precision: Precision) -> None:
    """Set every batch norm's running statistics to their means over batches of pictures, float32 (N, C, H, W).

    The batches (whose labels are not looked at) should be of one size, since each counts the same.

    Running averages lag behind the weights: after one to three short epochs they are another network's, and the error
    measured with them is chance while the true one is half of that. Averaging them with the weights lags still more.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    training = network.training
    network.eval()  # dropout stays off
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    for pictures, _ in batches:
        with precision.context():
            network(precision.layout(pictures))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)
