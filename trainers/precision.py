"""Number format and memory layout of a training on a device."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.recipe import Recipe


@dataclass(frozen=True)
class Precision:
    """What a recipe's ``precision`` and ``channels_last`` come to on one device."""

    device: torch.device
    bfloat16: bool = False
    channels_last: bool = True

    def context(self) -> AbstractContextManager[object]:
        """Return what a forward pass runs under: autocast, or nothing (which saves its overhead)."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def layout(self, pictures: Tensor) -> Tensor:
        """Return the pictures in the memory layout."""
        return pictures.contiguous(memory_format=self.memory_format)

    def place(self, network: nn.Module) -> None:
        """Move a network to the device and its weights into the memory layout, in place."""
        network.to(self.device)
        network.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last or contiguous."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def chosen(recipe: Recipe, device: torch.device) -> Precision:
    """Decide what is ``auto``, from what benchmarks/precision.py measures.

    On a CPU with bfloat16 matrix units channels-last took a proxy from 680 to 386 ms per step, and bfloat16 from there
    only to 342; other CPUs have to emulate it. So ``auto`` keeps float32 there, and a trial's error does not depend on
    the kind of CPU that it ran on. Inception-v3 at half width and 64 px gained 2.1x: ask for bfloat16 in such cases.
    """
    channels_last = True if recipe.channels_last == "auto" else recipe.channels_last
    return Precision(device, recipe.half_on(device.type), channels_last)
