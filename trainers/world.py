"""The processes of one training: each takes its share of every batch, and they agree on gradients and scores."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class World:
    """This process is number ``rank`` of ``size``; with more than one, torch's process group must be open."""

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls) -> "World":
        """Return the world of the process group that is open, or of this process alone."""
        if not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes what all of them know."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)
                tensor /= self.size

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        if self.size > 1:
            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def agree(self, wish: bool, device: torch.device) -> bool:
        """Return whether any process wishes so."""
        return bool(self.total(torch.tensor([float(wish)], device=device)).item())
