"""A torch network as it is deployed: in half precision or channels-last, with float32 pictures in and logits out."""

from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn

HALVES = ("float16", "bfloat16")
HalfOfTorch = Literal["float16", "bfloat16"]


class Deployed(nn.Module):
    """Converts float32 pictures (N, C, H, W) for a network inside, and its logits back to float32."""

    def __init__(self, network: nn.Module, number_format: torch.dtype, memory: torch.memory_format) -> None:
        super().__init__()
        self.network = network
        self.number_format, self.memory = number_format, memory

    def forward(self, x: Tensor) -> Tensor:
        """Convert, run, convert back."""
        logits: Tensor = self.network(x.to(self.number_format).contiguous(memory_format=self.memory))
        return logits.to(torch.float32)


def deployed(network: nn.Module, *, half: HalfOfTorch | None = None, channels_last: bool = False) -> nn.Module:
    """Return a copy of a network in evaluation mode whose weights and arithmetic are in another format or layout.

    Whatever is asked for, it takes float32 pictures in either layout and gives float32 logits; ``torch.export`` takes
    it as it takes the network. The network itself stays what it is.
    """
    number_format = torch.float32 if half is None else getattr(torch, half)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    copy: nn.Module = deepcopy(network).to(number_format).to(memory_format=memory)  # type: ignore[call-overload]
    for module in copy.modules():
        if isinstance(module, nn.LocalResponseNorm):
            # Its sums of squares have no code for bfloat16 on CPUs, and leave the range of float16 soon.
            module.register_forward_pre_hook(lambda _, inputs: tuple(x.float() for x in inputs))
            module.register_forward_hook(lambda _, inputs, output: output.to(number_format))
    return Deployed(copy, number_format, memory).eval()
