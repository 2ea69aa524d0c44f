"""A network's parameters as few long tensors, so that a step's bookkeeping is a few calls and not hundreds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainers.sizes import ALIGN


class Flat:
    """The weights (which decay) and the norms and biases (which do not) of a network as one long parameter each.

    The network's own parameters and gradients become views of them: an optimiser, a clip and an average that work on
    the two see every weight. A proxy has some 300 small parameters, and on a CPU the calls for each of them, even
    through torch's foreach functions, took an eighth of its step. Do not move or convert the network afterwards.
    """

    def __init__(self, network: nn.Module) -> None:
        places = _places(network)
        self._weights = _Long([place for place in places if place.parameter.ndim > 1], cast=True)
        self._others = _Long([place for place in places if place.parameter.ndim <= 1], cast=False)

    @property
    def weights(self) -> nn.Parameter:
        """What decays."""
        return self._weights.parameter

    @property
    def others(self) -> nn.Parameter:
        """What does not."""
        return self._others.parameter

    @property
    def both(self) -> tuple[nn.Parameter, nn.Parameter]:
        """Weights, and norms and biases."""
        return self.weights, self.others

    @property
    def gradients(self) -> tuple[Tensor, Tensor]:
        """Those of both."""
        assert self.weights.grad is not None
        assert self.others.grad is not None
        return self.weights.grad, self.others.grad

    @contextmanager
    def lent(self) -> Iterator[None]:
        """In this block a forward pass of the network reads the long tensors themselves, and its gradients go there.

        The result is the same. But the hundreds of casts of an autocast become one, and the gradients are written once
        instead of cast, set to zero and added: an eighth of a step of Inception-v3 on small pictures. One forward pass
        per block; open it inside the autocast.
        """
        longs = (self._weights, self._others)
        for long in longs:
            long.lend()
        try:
            yield
        finally:
            for long in longs:
                long.take_back()

    def zero_grad(self) -> None:
        """Let the next backward pass set the gradients instead of adding to them; until then they are stale."""
        self._weights.stale = self._others.stale = True


@dataclass(frozen=True)
class _Place:
    """Where a parameter hangs in a network."""

    module: nn.Module
    name: str
    parameter: nn.Parameter


def _places(network: nn.Module) -> list[_Place]:
    named = ((module, name, param) for module in network.modules() for name, param in module._parameters.items())
    return [_Place(module, name, param) for module, name, param in named if param is not None]


class _Long:
    """One long parameter with the values of many, which become views of it, each in its own memory layout.

    ``cast``: whether an autocast wants it in its own number format; norms stay in float32.
    """

    def __init__(self, places: Sequence[_Place], cast: bool) -> None:
        self.places, self.cast = places, cast
        self.offsets, total = [], 0
        for place in places:
            self.offsets.append(total)
            total += -(-place.parameter.numel() // ALIGN) * ALIGN
        self.parameter = nn.Parameter(places[0].parameter.new_zeros(total))
        trained = all(place.parameter.requires_grad for place in places)  # an average follows without gradients
        self.parameter.grad = torch.zeros_like(self.parameter) if trained else None
        self.gradients = [] if self.parameter.grad is None else self.views(self.parameter.grad)
        self.buffer: Tensor | None = None
        self.stale = False  # whether the gradient is of no more use
        for place, value in zip(places, self.views(self.parameter), strict=True):
            value.copy_(place.parameter.detach())
            place.parameter.data = value
        for place, gradient in zip(places, self.gradients, strict=False):
            place.parameter.grad = gradient

    def views(self, long: Tensor) -> list[Tensor]:
        """Return the pieces of a long tensor in the shapes and layouts of the parameters."""
        long = long.detach()
        placed = zip(self.places, self.offsets, strict=True)
        return [long.as_strided(place.parameter.shape, place.parameter.stride(), offset) for place, offset in placed]

    def lend(self) -> None:
        """Hang the pieces of the long parameter into the network."""
        pieces: tuple[Tensor, ...] = _Pieces.apply(self.parameter, self)  # type: ignore[no-untyped-call]
        for place, piece in zip(self.places, pieces, strict=True):
            place.module._parameters[place.name] = piece  # type: ignore[assignment]

    def converted(self, dtype: torch.dtype) -> Tensor:
        """Return the values in another number format.

        In a buffer that stays: memory that is new at every step cost four times as much as the conversion.
        """
        if self.buffer is None or self.buffer.dtype != dtype:
            self.buffer = torch.empty_like(self.parameter, dtype=dtype, requires_grad=False)
        return self.buffer.copy_(self.parameter.detach())

    def take_back(self) -> None:
        """Hang the network's own parameters into it again."""
        for place in self.places:
            place.module._parameters[place.name] = place.parameter

    def collect(self, gradients: Sequence[Tensor | None]) -> None:
        """Take the pieces' gradients into the long one."""
        known = [(mine, new) for mine, new in zip(self.gradients, gradients, strict=True) if new is not None]
        if self.stale and len(known) < len(gradients):
            torch._foreach_zero_(self.gradients)
        mine, new = [mine for mine, _ in known], [new for _, new in known]
        (torch._foreach_copy_ if self.stale else torch._foreach_add_)(mine, new)
        self.stale = False


class _Pieces(torch.autograd.Function):
    """The pieces of a long parameter as tensors of their own, whose gradients it collects."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, long: _Long) -> tuple[Tensor, ...]:
        ctx.long = long
        ctx.set_materialize_grads(False)
        kind = parameter.device.type
        if long.cast and torch.is_autocast_enabled(kind):
            parameter = long.converted(torch.get_autocast_dtype(kind))
        return tuple(long.views(parameter))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[None, None]:
        ctx.long.collect(gradients)
        return None, None
