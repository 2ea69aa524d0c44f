"""A network's parameters as few long tensors, so that a step's bookkeeping is a few calls and not hundreds."""

from collections.abc import Sequence

import torch
from torch import nn

_ALIGN = 16  # float32 elements in 64 bytes, where vector units like their operands to start


class Flat:
    """The weights (which decay) and the norms and biases (which do not) of a network as one long parameter each.

    The network's own parameters and gradients become views of them: an optimiser, a clip and an average that work on
    the two see every weight. A proxy has some 300 small parameters, and on a CPU the calls for each of them, even
    through torch's foreach functions, took an eighth of its step. Do not move or convert the network afterwards.
    """

    def __init__(self, network: nn.Module) -> None:
        params = list(network.parameters())
        self.weights = _joined([param for param in params if param.ndim > 1])
        self.others = _joined([param for param in params if param.ndim <= 1])

    @property
    def both(self) -> tuple[nn.Parameter, nn.Parameter]:
        """Weights, and norms and biases."""
        return self.weights, self.others


def _joined(params: Sequence[nn.Parameter]) -> nn.Parameter:
    """Return one long parameter with the values of all, which become views of it, each in its own memory layout."""
    offsets, total = [], 0
    for param in params:
        offsets.append(total)
        total += -(-param.numel() // _ALIGN) * _ALIGN
    long = nn.Parameter(params[0].new_zeros(total))
    if params[0].requires_grad:  # an average follows without
        long.grad = torch.zeros_like(long)
    for param, offset in zip(params, offsets, strict=True):
        view = long.detach().as_strided(param.shape, param.stride(), offset)
        view.copy_(param.detach())
        param.data = view
        if long.grad is not None:
            param.grad = long.grad.as_strided(param.shape, param.stride(), offset)
    return long
