"""Which sizes of pictures an architecture accepts: all sides up to the largest are tried at once.

A window maps the side of a grid to another one, whatever stands before or after it. So each distinct window is asked
once for every side, and a network is a sequence of look-ups in such tables, for heights and widths apart.
"""

from bisect import bisect
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.architecture import MAX_RESOLUTION, Architecture, HeadStep, Module, Split, StemStep, Step
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import AdaptivePool, Linear, Pool, Window, window_side

Sides = npt.NDArray[np.int32]


class Grids(NamedTuple):
    """What becomes of every square picture: at the place of its side, height and width of the grid; 0 where refused."""

    heights: Sides
    widths: Sides


def sides_that_work(architecture: Architecture, *, aux: bool = False) -> list[int]:
    """Return all sides of square pictures, in pixels and ascending, that the architecture accepts.

    ``aux``: with its auxiliary heads. What works as a square works as a side of a rectangle, too.
    """
    every = np.arange(MAX_RESOLUTION + 1, dtype=np.int32)
    at = _through(architecture.stem, Grids(every, every))
    modules: dict[tuple[int, int], Grids] = {}
    for s, stage in enumerate(architecture.stages, 1):
        if stage.reduction is not None:
            at = _through((stage.reduction,), at)
        for m, module in enumerate(stage.modules, 1):
            at = modules[s, m] = _through((module,), at)
    ends = [at]
    if aux:
        ends += [_through(head.steps, modules[head.stage, head.module]) for head in architecture.aux]
    works = np.all([grid > 0 for end in ends for grid in end], axis=0)
    return [int(side) for side in np.flatnonzero(works)]


def smallest_side(architecture: Architecture, *, aux: bool = False) -> int:
    """Return the smallest side that the architecture accepts; RequestError where there is none."""
    for side in sides_that_work(architecture, aux=aux):
        return side
    raise RequestError(
        f"{architecture.name} accepts no picture up to {MAX_RESOLUTION} pixels: it reduces too often, or its parallel "
        "towers reduce differently"
    )


def advice(architecture: Architecture, sides: Iterable[int], *, aux: bool = False) -> str:
    """Say, of the ``sides`` of a picture that was refused, which ones near by work."""
    works = sides_that_work(architecture, aux=aux)
    sentences: dict[str, int] = {}
    for side in sides:
        place = bisect(works, side)
        below, above = works[max(0, place - 1) : place], works[place : place + 1]
        if side not in below:
            sentences.setdefault(_advice(below, above), side)
    if len(sentences) == 1:
        return next(iter(sentences))
    return "; ".join(f"for {side}, {sentence}" for sentence, side in sentences.items())


def _advice(below: Sequence[int], above: Sequence[int]) -> str:
    if below and above:
        return f"the nearest sides that work are {below[0]} and {above[0]}"
    if above:
        return f"the smallest side that works is {above[0]}"
    if below:
        return f"the largest side that works is {below[0]}"
    return f"no side up to {MAX_RESOLUTION} works"


def _through(steps: Sequence[StemStep | HeadStep | Step], at: Grids) -> Grids:
    """Follow steps, one after another."""
    for step in steps:
        match step:
            case Module():
                at = _joined([_through(tower, at) for tower in step.towers])
            case Split():
                at = _joined([_through((branch,), at) for branch in step.branches])
            case Window():
                at = Grids(*(_after(step, axis, sides) for axis, sides in enumerate(at)))
            case AdaptivePool():
                at = Grids(*(np.where(sides, to, 0) for sides, to in zip(at, step.grid, strict=True)))
            case Linear():
                at = Grids(*(np.where(sides, 1, 0) for sides in at))
    return at


def _joined(ends: Sequence[Grids]) -> Grids:
    """Refuse what leaves parallel towers on different grids."""

    def one(sides: Sides, others: Sides) -> Sides:
        return np.where(sides == others, sides, 0)

    return Grids(*(reduce(one, of_all) for of_all in zip(*ends, strict=True)))


def _after(window: Window, axis: int, sides: Sides) -> Sides:
    kernel, padding, ceil = window.kernel[axis], window.padding[axis], isinstance(window, Pool) and window.ceil
    up_to = 1 << int(sides.max() - 1).bit_length()  # few tables serve many grids, and those of small grids are short
    return _table(kernel, window.stride, padding, ceil, up_to)[sides]


@lru_cache(maxsize=1024)
def _table(kernel: int, stride: int, padding: int, ceil: bool, up_to: int) -> Sides:
    """The side after a window for every side before it; 0 where it is refused."""
    found = np.zeros(up_to + 1, dtype=np.int32)
    for side in range(1, up_to + 1):
        try:
            found[side] = window_side(side, kernel, stride, padding, ceil)
        except ResolutionError:
            continue
    return found
