"""Weights and pictures from a formula that depends on shapes alone, so that any implementation can be compared."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


def uniform(shape: Sequence[int]) -> Tensor:
    """splitmix64 of the flat C-order index, as float64 in [-0.5, 0.5)."""
    with np.errstate(over="ignore"):
        z = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy((z >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5).reshape(tuple(shape))


@torch.no_grad()
def fingerprint_fill(network: nn.Module) -> None:
    """Fill every convolution, linear layer and batch norm of a float64 network."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.copy_(uniform(module.weight.shape) * math.sqrt(24 / fan_in))
            if module.bias is not None:
                module.bias.copy_(0.1 * uniform(module.bias.shape))
        elif isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            u = uniform(module.weight.shape)
            module.weight.copy_(1 + 0.2 * u)
            module.bias.copy_(0.1 * u)
            module.running_mean.copy_(0.1 * u)
            module.running_var.copy_(1.25 + u)


def fingerprint_picture(height: int, width: int) -> Tensor:
    """One picture, (1, 3, height, width), float64 in [-1, 1)."""
    return 2 * uniform((1, 3, height, width))
