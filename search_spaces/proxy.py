"""The same architecture for smaller pictures and fewer filters: what a search trains in place of the full network.

The paper's Table 2 gives smaller pictures to a network whose first layers keep more of the grid: 299 px with stride 2
and a pool after the first layers, 151 px with stride 1 and the pool, 79 px with neither. ``low_resolution`` is that
operation on any architecture, continued to pictures so small that the borders matter.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from search_spaces.architecture import Architecture, Aux, Module, Split, Stage, Step
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Conv, Pool

CHANNEL_STEP = 4  # scaled widths stay multiples of this, so that no tower of a proxy dies out
LEAST_WIDTH = 8


def scaled(architecture: Architecture, width: float) -> Architecture:
    """Return the architecture with all widths times ``width`` in (0, 1], rounded to a multiple of 4, at least 8.

    Widths that were equal stay equal, and no width that was larger becomes smaller than another.
    """
    if not 0 < width <= 1:
        raise RequestError(f"a width multiplier of {width:g} is not possible: more than 0 and at most 1 is allowed")
    if width == 1:
        return architecture

    def narrow(conv: Conv) -> Conv:
        step = math.floor(conv.width * width / CHANNEL_STEP + 0.5) * CHANNEL_STEP
        return replace(conv, width=min(conv.width, max(LEAST_WIDTH, step)))

    return _map(architecture, lambda step: narrow(step) if isinstance(step, Conv) else step)


def low_resolution(architecture: Architecture, resolution: int) -> Architecture:
    """Return the architecture with a stem for pictures of ``resolution`` px whose stages see the target's grids.

    The stem gives up strides and pools from the front, as many as bring the grids of the stages closest to those at
    the architecture's own resolution; where even that leaves them small, windows outside the auxiliary heads are
    padded so that borders are not lost. Kernels and strides of the auxiliary heads shrink to the grid that they find.
    At 151 and 79 px Inception-v3 becomes the paper's Table 2. At the own resolution nothing changes.
    """
    target = _grids(architecture, architecture.resolution)
    best: tuple[float, int, Architecture] | None = None
    strided = sum(1 for step in architecture.stem if step.stride > 1)
    for padded in (False, True):
        for given_up in range(strided + 1):
            candidate = _relaxed(architecture, given_up, padded)
            try:
                grids = _grids(candidate, resolution)
            except RequestError:  # too small, or towers that end on different grids when padded
                continue
            distance = sum(abs(math.log(grid / wanted)) for grid, wanted in zip(grids, target, strict=True))
            changes = given_up + 100 * padded
            # A hair of tolerance: of two that reach the same grids the one with fewer changes wins.
            if best is None or (round(distance, 9), changes) < best[:2]:
                best = (round(distance, 9), changes, candidate)
    if best is None:
        raise ResolutionError(
            f"{architecture.name} cannot run at {resolution} x {resolution}, even with a stem without strides"
        )
    return replace(
        best[2], aux=tuple(_fit_aux(best[2], head, resolution) for head in architecture.aux), resolution=resolution
    )


def proxy(architecture: Architecture, resolution: int, width: float) -> Architecture:
    """Return the architecture at low resolution and width: what a trial trains."""
    return scaled(low_resolution(architecture, resolution), width)


def _grids(architecture: Architecture, resolution: int) -> list[int]:
    """The side of the grid of each stage."""
    graph = architecture.graph(resolution)
    return [
        graph[f"stage{s}.module1.concat"].shape.height
        if f"stage{s}.module1.concat" in graph.nodes
        else next(node.shape.height for node in reversed(list(graph)) if node.unit == f"stage{s}.module1")
        for s in range(1, len(architecture.stages) + 1)
    ]


def _relaxed(architecture: Architecture, given_up: int, padded: bool) -> Architecture:
    """Give up the first strides of the stem (a pool that only reduced goes altogether); pad every window if wanted."""
    stem: list[Conv | Pool] = []
    for step in architecture.stem:
        if step.stride > 1 and given_up:
            given_up -= 1
            if isinstance(step, Pool):
                continue
            step = replace(step, stride=1)
        stem.append(step)
    relaxed = replace(architecture, stem=tuple(stem))
    return _map(relaxed, _pad) if padded else relaxed


def _pad(step: Conv | Pool) -> Conv | Pool:
    return replace(step, same=True) if all(side % 2 for side in step.kernel) else step


def _fit_aux(architecture: Architecture, head: Aux, resolution: int) -> Aux:
    """Shrink windows of an auxiliary head to the grid that they find."""
    graph = architecture.graph(resolution)
    unit = f"stage{head.stage}.module{head.module}"
    shape = next(node.shape for node in reversed(list(graph)) if node.unit == unit)
    steps: list[Conv | Pool] = []
    for step in head.steps:
        fitted: Conv | Pool = step
        if not step.same:
            kernel = (min(step.kernel[0], shape.height), min(step.kernel[1], shape.width))
            # A pool whose window covers the whole grid would leave nothing to the convolutions after it.
            if isinstance(step, Pool) and min(shape.height, shape.width) < sum(step.kernel):
                kernel = (min(kernel[0], max(1, shape.height // 2)), min(kernel[1], max(1, shape.width // 2)))
            fitted = replace(step, kernel=kernel, stride=min(step.stride, *kernel))
        steps.append(fitted)
        shape = fitted.output([shape])
    return replace(head, steps=tuple(steps))


def _map(architecture: Architecture, change: Callable[[Conv | Pool], Conv | Pool]) -> Architecture:
    """Apply a change to every operation of the stem, the stages and the heads."""

    def in_step(step: Step) -> Step:
        if isinstance(step, Split):
            branches = tuple(branch for branch in map(change, step.branches) if isinstance(branch, Conv))
            return Split(branches)
        return change(step)

    def in_module(module: Module) -> Module:
        return Module(tuple(tuple(map(in_step, tower)) for tower in module.towers))

    return replace(
        architecture,
        stem=tuple(map(change, architecture.stem)),
        stages=tuple(
            Stage(tuple(map(in_module, stage.modules)), in_module(stage.reduction) if stage.reduction else None)
            for stage in architecture.stages
        ),
        aux=tuple(replace(head, steps=tuple(map(change, head.steps))) for head in architecture.aux),
    )
