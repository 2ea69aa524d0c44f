"""A convolution with what belongs to it, and the cheapest of the equal ways to compute it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.operations import Conv
from trainers.grouping import unseen


class ConvUnit(nn.Module):
    """A convolution with bias, batch norm and ReLU as far as it has them: (N, C_in, H, W) -> (N, width, H', W').

    ``whole``: convolve as written, not the cheapest way, whose sums have another order.
    """

    whole = False

    def __init__(self, operation: Conv, channels: int, norm_eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels, operation.width, operation.kernel, operation.stride, operation.padding, bias=operation.bias
        )
        self.norm = nn.BatchNorm2d(operation.width, eps=norm_eps) if operation.norm else None
        self.activation = operation.activation
        self.stride, self.padding = operation.stride, operation.padding

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, rectify."""
        if self.whole:
            return self.finish(self.conv(x))
        return self.finish(convolve(x, self.conv.weight, self.conv.bias, self.stride, self.padding))

    def finish(self, x: Tensor) -> Tensor:
        """Normalise and rectify, on what the convolution gave."""
        if self.norm is not None:
            x = self.norm(x)
        # In place: neither the norm nor the convolution needs its own output again in the backward pass.
        return F.relu_(x) if self.activation else x


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int]) -> Tensor:
    """Return ``F.conv2d(x, weight, bias, stride, padding)``, (N, C_in, H, W) -> (N, C_out, H', W'), sooner.

    Padding is that of a ``same`` convolution (kernel // 2) or none.
    """
    if stride == 1 and padding != (0, 0):
        rows, columns = unseen(padding, (x.shape[2], x.shape[3]))
        if rows or columns:
            weight = weight[:, :, rows : weight.shape[2] - rows, columns : weight.shape[3] - columns]
            padding = (padding[0] - rows, padding[1] - columns)
    if stride == 1 and weight.shape[2:] == (1, 1) and not x.is_cuda and layout(x) is torch.channels_last:
        # On CPUs a matrix product does a 1x1 convolution of a channels-last tensor sooner than the convolution does:
        # 2x to 3x on small grids. The result has the same layout.
        return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, bias, stride, padding)


def layout(x: Tensor) -> torch.memory_format:
    """channels_last or contiguous."""
    return torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
