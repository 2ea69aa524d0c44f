"""How an n x n convolution is factorised (arXiv 1512.00567, sections 3.1, 3.2 and 5): kernels in, kernels out."""

from collections.abc import Sequence
from typing import Literal, get_args

from search_spaces.architecture import Split, Step
from search_spaces.operations import Conv

Factorisation = Literal["none", "stacked", "asymmetric", "expanded"]
FACTORISATIONS: tuple[Factorisation, ...] = get_args(Factorisation)

Kernel = tuple[int, int]
Kernels = tuple[Kernel | tuple[Kernel, ...], ...]  # a nested entry stands side by side


def kernels(n: int, factorisation: Factorisation, repeats: int = 1) -> Kernels:
    """Return the kernels, from first to last, of ``repeats`` n x n convolutions under a factorisation.

    - none: n x n, each.
    - stacked: (n - 1) / 2 convolutions of 3 x 3, each.
    - asymmetric: 1 x n then n x 1, each; repeated pairs start with n x 1, as in the released Inception-v3.
    - expanded: the last one becomes 1 x n beside n x 1; those before it stay n x n.
    """
    if factorisation == "none":
        return ((n, n),) * repeats
    if factorisation == "stacked":
        return ((3, 3),) * (repeats * (n - 1) // 2)
    if factorisation == "asymmetric":
        return ((1, n), (n, 1)) if repeats == 1 else ((n, 1), (1, n)) * repeats
    return (*((n, n),) * (repeats - 1), ((1, n), (n, 1)))


def allowed(factorisation: Factorisation, side: int, asymmetric_grids: tuple[int, int], last_grid: bool) -> bool:
    """Whether a factorisation may stand on a grid of ``side``: asymmetric on medium grids, expanded on the last one."""
    if factorisation == "asymmetric":
        return asymmetric_grids[0] <= side <= asymmetric_grids[1]
    return last_grid if factorisation == "expanded" else True


def step_kernels(steps: Sequence[Step]) -> Kernels | None:
    """Return the kernels of a chain of convolutions, or None if there is anything else in it."""
    found: list[Kernel | tuple[Kernel, ...]] = []
    for step in steps:
        if isinstance(step, Split):
            found.append(tuple(branch.kernel for branch in step.branches))
        elif isinstance(step, Conv):
            found.append(step.kernel)
        else:
            return None
    return tuple(found)
