"""The processes of one training: each takes its share of every batch, and they agree on gradients and scores."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

from torch import Tensor, distributed

from search_spaces.errors import RequestError

T = TypeVar("T")


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

    def together(self, work: Callable[[], T]) -> T:
        """Do something that may be refused in any process; all of them raise the first refusal, so that none waits."""
        refusal: str | None = None
        result: T | None = None
        try:
            result = work()
        except RequestError as error:
            if self.size == 1:
                raise
            refusal = str(error)
        if (said := next((each for each in self.all(refusal) if each is not None), None)) is not None:
            raise RequestError(said)
        return cast(T, result)

    def all(self, value: T) -> list[T]:
        """Return what every process says, by rank."""
        if self.size == 1:
            return [value]
        found: list[T | None] = [None] * self.size
        distributed.all_gather_object(found, value)
        return cast(list[T], found)
