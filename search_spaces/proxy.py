"""The same architecture for smaller pictures and fewer filters: what a search trains in place of the full network.

The paper's Table 2 gives smaller pictures to a network whose first layers keep more of the grid: 299 px with stride 2
and a pool after the first layers, 151 px with stride 1 and the pool, 79 px with neither. ``low_resolution`` is that
operation on any architecture, continued to pictures so small that the borders matter.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from search_spaces.architecture import Architecture, Aux, HeadStep, Module, Split, Stage, StemStep, Step, lay_out
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import AdaptivePool, Conv, Dropout, Linear, LocalNorm, Pool, Shape

CHANNEL_STEP = 4  # scaled widths stay multiples of this, so that no tower of a proxy dies out
LEAST_WIDTH = 8


def scaled(architecture: Architecture, width: float) -> Architecture:
    """Return the architecture with all widths times ``width`` in (0, 1], rounded to a multiple of 4, at least 8.

    Hidden linear layers of auxiliary heads become narrower like convolutions. Widths that were equal stay equal, and no
    width that was larger becomes smaller than another.
    """
    if not 0 < width <= 1:
        raise RequestError(f"a width multiplier of {width:g} is not possible: more than 0 and at most 1 is allowed")
    if width == 1:
        return architecture

    def narrow(full: int) -> int:
        step = math.floor(full * width / CHANNEL_STEP + 0.5) * CHANNEL_STEP
        return min(full, max(LEAST_WIDTH, step))

    def in_head(step: HeadStep) -> HeadStep:
        return replace(step, width=narrow(step.width)) if isinstance(step, Linear) else step

    narrowed = _map(
        architecture, lambda step: replace(step, width=narrow(step.width)) if isinstance(step, Conv) else step
    )
    return replace(narrowed, aux=tuple(replace(head, steps=tuple(map(in_head, head.steps))) for head in narrowed.aux))


def low_resolution(architecture: Architecture, resolution: int) -> Architecture:
    """Return the architecture with a stem for pictures of ``resolution`` px whose stages see the target's grids.

    The stem gives up strides and pools from the front, as many as bring the grids of the stages closest to those at
    the architecture's own resolution; a module in the stem gives up those of all its towers together, and keeps its
    pools. Where even that leaves the grids small, or parallel towers on different ones, windows outside the auxiliary
    heads are padded so that borders are not lost. Kernels, strides and fixed grids of the auxiliary heads shrink to the
    grid that they find. At 151 and 79 px Inception-v3 becomes the paper's Table 2. At the own resolution nothing
    changes.
    """
    if resolution == architecture.resolution:
        return architecture
    target = _grids(architecture, architecture.resolution)
    best: tuple[float, int, Architecture] | None = None
    strided = sum(map(_reduces, architecture.stem))
    for padded in (False, True):
        for given_up in range(strided + 1):
            candidate = _relaxed(architecture, given_up, padded)
            try:
                grids = _grids(candidate, resolution)
            except ResolutionError:
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
    graph = lay_out(architecture, Shape(3, resolution, resolution))
    return [
        graph[f"stage{s}.module1.concat"].shape.height
        if f"stage{s}.module1.concat" in graph.nodes
        else next(node.shape.height for node in reversed(list(graph)) if node.unit == f"stage{s}.module1")
        for s in range(1, len(architecture.stages) + 1)
    ]


def _reduces(step: StemStep) -> bool:
    """Whether a step of the stem has a stride."""
    if isinstance(step, Module):
        return any(_reduces(inner) for tower in step.towers for inner in tower if not isinstance(inner, Split))
    return not isinstance(step, LocalNorm) and step.stride > 1


def _relaxed(architecture: Architecture, given_up: int, padded: bool) -> Architecture:
    """Give up the first strides of the stem (a pool that only reduced goes altogether); pad every window if wanted."""
    stem: list[StemStep] = []
    for step in architecture.stem:
        if _reduces(step) and given_up:
            given_up -= 1
            if isinstance(step, Pool):
                continue
            step = _in_stem(step, lambda window: replace(window, stride=1))
        stem.append(step)
    relaxed = replace(architecture, stem=tuple(stem))
    return _map(relaxed, _pad) if padded else relaxed


def _pad(step: Conv | Pool) -> Conv | Pool:
    if not all(side % 2 for side in step.kernel):
        return step
    # Padded and rounded up, a pool would end on a larger grid than the convolution beside it.
    return replace(step, same=True, ceil=False) if isinstance(step, Pool) else replace(step, same=True)


def _fit_aux(architecture: Architecture, head: Aux, resolution: int) -> Aux:
    """Shrink windows and fixed grids of an auxiliary head to the grid that they find."""
    graph = lay_out(architecture, Shape(3, resolution, resolution))
    unit = f"stage{head.stage}.module{head.module}"
    shape = next(node.shape for node in reversed(list(graph)) if node.unit == unit)
    steps: list[HeadStep] = []
    for step in head.steps:
        steps.append(_fitted(step, shape))
        shape = steps[-1].output([shape])
    return replace(head, steps=tuple(steps))


def _fitted(step: HeadStep, shape: Shape) -> HeadStep:
    if isinstance(step, AdaptivePool):
        return AdaptivePool((min(step.grid[0], shape.height), min(step.grid[1], shape.width)))
    if isinstance(step, Linear | Dropout) or step.same:
        return step
    kernel = (min(step.kernel[0], shape.height), min(step.kernel[1], shape.width))
    # A pool whose window covers the whole grid would leave nothing to the layers after it.
    if isinstance(step, Pool) and min(shape.height, shape.width) < sum(step.kernel):
        kernel = (min(kernel[0], max(1, shape.height // 2)), min(kernel[1], max(1, shape.width // 2)))
    return replace(step, kernel=kernel, stride=min(step.stride, *kernel))


Change = Callable[[Conv | Pool], Conv | Pool]


def _in_step(step: Step, change: Change) -> Step:
    if isinstance(step, Split):
        return Split(tuple(branch for branch in map(change, step.branches) if isinstance(branch, Conv)))
    return change(step)


def _in_module(module: Module, change: Change) -> Module:
    return Module(tuple(tuple(_in_step(step, change) for step in tower) for tower in module.towers))


def _in_stem(step: StemStep, change: Change) -> StemStep:
    if isinstance(step, Module):
        return _in_module(step, change)
    return step if isinstance(step, LocalNorm) else change(step)


def _map(architecture: Architecture, change: Change) -> Architecture:
    """Apply a change to every convolution and pool of the stem, the stages and the heads."""

    def in_stage(stage: Stage) -> Stage:
        modules = tuple(_in_module(module, change) for module in stage.modules)
        return Stage(modules, _in_module(stage.reduction, change) if stage.reduction else None)

    def in_head(step: HeadStep) -> HeadStep:
        return change(step) if isinstance(step, Conv | Pool) else step

    return replace(
        architecture,
        stem=tuple(_in_stem(step, change) for step in architecture.stem),
        stages=tuple(map(in_stage, architecture.stages)),
        aux=tuple(replace(head, steps=tuple(map(in_head, head.steps))) for head in architecture.aux),
    )
