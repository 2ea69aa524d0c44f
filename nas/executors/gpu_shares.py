"""How much of a GPU a trial asks for: the smallest of a few shares that its predicted memory fits in."""

from collections.abc import Sequence

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
# On a CPU the prediction was off by 1.1 % at most for trainings and by 13 % for inference
# (benchmarks/training_memory.json); on GPUs it has not been compared yet. A trial that needs more is tried again.
MARGIN = 1.15
CONTEXT_BYTES = 700 * 1024**2  # of each process on a GPU: torch's context and kernels, beside what it allocates


def share_for(needed_bytes: float, gpu_bytes: float, shares: Sequence[float] = SHARES) -> float:
    """Return the smallest share of a GPU that holds a training, all of it where none does."""
    wanted = needed_bytes * MARGIN + CONTEXT_BYTES
    return next((share for share in shares if wanted <= share * gpu_bytes), 1.0)


def larger(share: float, shares: Sequence[float] = SHARES) -> float | None:
    """Return the next larger share; None after a whole GPU."""
    return next((each for each in shares if each > share), None)
