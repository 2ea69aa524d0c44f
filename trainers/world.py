"""The processes of one training: each takes its share of every batch, and they agree on gradients and scores."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

from torch import Tensor, distributed

from search_spaces.errors import RequestError, RunFailed, TrainingFailed
from trainers.failure import Failure
from trainers.memory import is_out_of_memory

T = TypeVar("T")


class Lost(TrainingFailed):
    """This process and the others could not exchange what each has: another one has gone, as far as that can be told.

    What made it go may be told elsewhere (trainers/one_end.py).
    """


# Of a broken connection, which gloo raises as a plain RuntimeError, as it does all else. See its tcp/pair.cc.
_GONE = ("Connection closed", "Connection reset", "Broken pipe")


@dataclass(frozen=True)
class World:
    """This process is number ``rank`` of ``size``; with more than one, torch's process group must be open.

    ``attempt``: a word for this start of the training, the same in all processes, where what starts them gives one.
    """

    rank: int = 0
    size: int = 1
    attempt: str = ""

    @classmethod
    def joined(cls, attempt: str = "") -> "World":
        """Return the world of the process group that is open, or of this process alone."""
        if not distributed.is_initialized():
            return cls(attempt=attempt)
        return cls(distributed.get_rank(), distributed.get_world_size(), attempt)

    @property
    def leads(self) -> bool:
        """Whether this process writes what all of them know."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in place."""
        if self.size > 1:
            with _others():
                for tensor in tensors:
                    distributed.all_reduce(tensor)
                    tensor /= self.size

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        if self.size > 1:
            tensor = tensor.clone()
            with _others():
                distributed.all_reduce(tensor)
        return tensor

    def together(self, work: Callable[[], T]) -> T:
        """Do something that may be refused in any process; all of them raise the first refusal, so that none waits.

        A refusal is an error of ours (RequestError, RunFailed) or of the system (OSError).
        """
        refusal: Failure | None = None
        result: T | None = None
        try:
            result = work()
        except (RequestError, RunFailed, OSError) as error:
            if self.size == 1:
                raise
            refusal = Failure.of(error, self.rank)
        if (said := next((each for each in self.all(refusal) if each is not None), None)) is not None:
            raise said.error
        return cast(T, result)

    def all(self, value: T) -> list[T]:
        """Return what every process says, by rank."""
        if self.size == 1:
            return [value]
        found: list[T | None] = [None] * self.size
        with _others():
            distributed.all_gather_object(found, value)
        return cast(list[T], found)


@contextmanager
def _others() -> Iterator[None]:
    """Raise errors of an exchange as Lost, but for a lack of memory; the sentence claims no more than torch says."""
    try:
        yield
    except (RuntimeError, ValueError) as error:  # ValueError: the group was closed meanwhile
        if is_out_of_memory(error):
            raise
        said = next(iter(str(error).strip().splitlines()), "")[:200]
        if any(words in said for words in _GONE):
            what = f"another process of the training has gone without a word ({said}): look at its machine"
        else:
            what = f"an exchange between the processes of the training failed ({said}): look at the log of each of them"
        raise Lost(f"{what}; the same command goes on from the last epoch") from error
