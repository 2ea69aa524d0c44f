"""Weights of a proxy that are given for the architecture for which it stands: how they are told, and what is said."""

from collections.abc import Mapping

from search_spaces.architecture import Architecture
from search_spaces.operations import Conv
from search_spaces.proxy import CHANNEL_STEP, scaled
from trainers.about import About

Shapes = Mapping[str, tuple[int, ...]]

_ROUND = tuple(part / 16 for part in range(1, 16)) + tuple(part / 20 for part in range(1, 20)) + (1 / 3, 2 / 3)


def proxy_sentence(architecture: Architecture, shapes: Shapes, file: str, about: About) -> str | None:
    """Say of which proxy of the architecture the weights of a file are, and what to do; None if they are of none.

    ``shapes``: of all tensors by name. ``about``: what the file says of them; where it does not say for which
    architecture they stand, as in files of earlier releases, the shapes tell.
    """
    if about.digest == architecture.digest:
        return None
    width = proxy_width(architecture, shapes)
    if about.stands_for != architecture.digest and (about.stands_for is not None or width is None):
        return None
    facts = [f"width {width:.3g}"] if width is not None else []
    facts += [f"at {about.resolution} px"] if about.resolution is not None else []
    which = f" ({' '.join(facts)})" if facts else ""
    return (
        f"{file} holds weights of a proxy of {architecture.name}{which}, as a trial trains it, and not of "
        f"{architecture.name} itself: name the trial (STUDY:NUMBER) without these weights, which it has, or train the "
        "architecture in full first ('nas train') and give the best.safetensors that comes of it"
    )


def proxy_width(architecture: Architecture, shapes: Shapes) -> float | None:
    """Return the width multiplier of the proxy that weights are of; None where they are of no proxy.

    ``shapes``: of the tensors, as a built network or an exported file names them. Several multipliers round to the same
    weights: of these a plain one. 1 where only the stem is another, for smaller pictures: with all of its convolutions
    and fewer pools between them, so that some have another number.
    """
    full, given = _stages(_shapes(architecture)), _stages(shapes)
    if full.keys() != given.keys() or not all(given.values()):  # a single number has no shape
        return None
    if full == given:
        own, its = _stem(_shapes(architecture)), _stem(shapes)
        return 1.0 if own.keys() != its.keys() and sorted(own.values()) == sorted(its.values()) else None
    if all(given[key][0] == full[key][0] for key in full):
        return None
    widest = max(full, key=lambda key: full[key][0])
    middle, half = given[widest][0] / full[widest][0], CHANNEL_STEP / 2 / full[widest][0]
    likely = [width for width in sorted(_ROUND, key=lambda width: abs(width - middle)) if abs(width - middle) <= half]
    fine = (middle + half * step / 8 for step in range(-8, 9))
    found = (
        width for width in (*likely, *fine) if 0 < width < 1 and _stages(_shapes(scaled(architecture, width))) == given
    )
    return next(found, None)


def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of all convolutions."""
    return {
        f"{node.name}.conv.weight": (node.operation.width, node.input_shapes[0].channels, *node.operation.kernel)
        for node in architecture.graph()
        if isinstance(node.operation, Conv)
    }


def _stages(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Those of the convolutions in the stages: low resolution changes the stem alone."""
    return {key: tuple(shapes[key]) for key in shapes if key.startswith("stage") and key.endswith(".conv.weight")}


def _stem(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Filters and kernels of the convolutions in the stem; the channels that they take depend on the pictures."""
    ours = (key for key in shapes if key.startswith("stem.") and key.endswith(".conv.weight"))
    return {key: (*shapes[key][:1], *shapes[key][2:]) for key in ours}
