"""Export as plain PyTorch: one file of readable classes that imports torch alone, and its weights beside it.

The file is put together from the architecture's operations; shapes and costs are those of its graph.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from results.export import blocks
from results.export.kinds import aux_class_lines, aux_kinds, class_lines, kinds
from results.export.names import MAX_NAME, class_name, docstring_entry, docstring_text, module_name
from results.export.network_source import Plan, network_lines
from results.export.source import LINE, Block, convs
from results.export.weights import exported_state, key_map
from search_spaces.architecture import Architecture, Split, modules, stem_modules
from search_spaces.cost import Cost, cost
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.files import write_files
from search_spaces.graph import Graph
from search_spaces.operations import MAX_WIDTH

if TYPE_CHECKING:
    from torch import Tensor


def to_python(
    architecture: Architecture,
    *,
    classes: int,
    channels: int = 3,
    resolution: int | tuple[int, int] | None = None,
    provenance: Mapping[str, str],
    weights: str | None = None,
) -> str:
    """Return the source of one Python file that builds the architecture with torch alone.

    ``classes`` and ``channels`` (of a picture) become the defaults of its arguments; ``resolution``, in pixels, is
    where costs and grids are counted (the architecture's own by default). ``provenance`` is listed in the docstring,
    and ``weights``, the name of a file, is loaded in its example. Raises ResolutionError where pictures are too small.
    """
    plan = _plan(architecture, classes, channels, resolution)
    passages = ["\n".join((*_docstring(plan, provenance, weights), "", blocks.IMPORTS))]
    if plan.block.used:
        passages.append("\n".join(blocks.block_lines(plan.block, architecture.norm_eps)))
    if _joins(architecture):
        passages.append(blocks.PARALLEL)
    passages.append(blocks.CHAIN)
    passages += ["\n".join(class_lines(kind, plan.block)) for kind in plan.kinds]
    picture = plan.aux_sides
    passages += ["\n".join(aux_class_lines(kind, plan.block, picture)) for kind in plan.aux_kinds]
    passages.append("\n".join(network_lines(plan)))
    passages.append(blocks.load_weights_text(bool(architecture.aux)))
    return "\n\n\n".join(passage.rstrip("\n") for passage in passages) + "\n"


def export_python(
    architecture: Architecture,
    folder: Path,
    *,
    state: Mapping[str, "Tensor"] | None,
    classes: int,
    channels: int = 3,
    resolution: int | tuple[int, int] | None = None,
    provenance: Mapping[str, str],
) -> list[Path]:
    """Write ``inception_v3.py`` and, with weights, ``inception_v3.safetensors`` for an architecture ``inception-v3``.

    ``state`` is the state dict of a built network, with or without its auxiliary heads. Returns the paths, the source
    first. Raises RequestError where the weights do not fit or the folder cannot be written to; nothing is left then.
    """
    name = module_name(architecture.name)
    weights = f"{name}.safetensors" if state is not None else None
    source = to_python(
        architecture, classes=classes, channels=channels, resolution=resolution, provenance=provenance, weights=weights
    )
    contents = {f"{name}.py": source.encode()}
    if weights is not None and state is not None:
        contents[weights] = _weights_file(architecture, state, classes, channels, resolution)
    return write_files(folder, contents)


def _weights_file(
    architecture: Architecture,
    state: Mapping[str, "Tensor"],
    classes: int,
    channels: int,
    resolution: int | tuple[int, int] | None,
) -> bytes:
    import safetensors.torch  # imports torch: only those who have weights pay

    sides = _aux_sides(architecture, _sides(architecture, resolution))
    plain, full = (architecture.graph(sides, classes=classes, channels=channels, aux=aux) for aux in (False, True))
    metadata = {
        "format": "pt",  # what readers of the format expect for torch's layout
        "digest": architecture.digest,
        "classes": str(classes),
        "channels": str(channels),
        "resolution": "x".join(map(str, _sides(architecture, resolution))),
    }
    return safetensors.torch.save(exported_state(plain, full, state), metadata)


def _plan(architecture: Architecture, classes: int, channels: int, resolution: int | tuple[int, int] | None) -> Plan:
    for what, number in (("classes", classes), ("channels", channels)):
        if not 1 <= number <= MAX_WIDTH:
            raise RequestError(f"an export for {number} {what} is not possible: allowed are 1 to {MAX_WIDTH}")
    sides = _sides(architecture, resolution)
    graph = architecture.graph(sides, classes=classes, channels=channels)
    aux_sides = _aux_sides(architecture, sides)
    found, found_aux = kinds(architecture), aux_kinds(architecture, architecture.graph(aux_sides, aux=True))
    towers = [tower for _, module in modules(architecture) for tower in module.towers]
    heads = [aux.steps for aux in architecture.aux]
    block = Block.of(conv for steps in (architecture.stem, *towers, *heads) for conv in convs(steps))
    taken = {block.name, "Parallel", "Tensor", *(kind.name for kind in found), *(kind.name for kind in found_aux)}
    return Plan(
        architecture=architecture,
        classes=classes,
        channels=channels,
        sides=sides,
        aux_sides=aux_sides,
        name=class_name(architecture.name, taken),
        block=block,
        kinds=tuple(found),
        aux_kinds=tuple(found_aux),
        shapes={node.unit: node.shape for node in graph},  # a unit's last node gives its output
        key=_example_key(graph),
    )


def _example_key(graph: Graph) -> str:
    """Return the key of the weights of a module's convolution, or of the last layer if there is none."""
    names = key_map(graph)
    return next((name for key, name in names.items() if key.startswith("stage")), names["head.linear.linear.weight"])


def _aux_sides(architecture: Architecture, sides: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the pictures that the heads are made for: ``sides``, or the smallest that they accept.

    Only hidden linear layers of heads have as many weights as the picture needs.
    """
    try:
        architecture.graph(sides, aux=True)
    except ResolutionError:
        return (architecture.smallest_resolution(aux=True),) * 2
    return sides


def _sides(architecture: Architecture, resolution: int | tuple[int, int] | None) -> tuple[int, int]:
    resolution = architecture.resolution if resolution is None else resolution
    return (resolution, resolution) if isinstance(resolution, int) else resolution


def _joins(architecture: Architecture) -> bool:
    """Whether anything runs side by side."""
    return any(
        len(module.towers) > 1 or any(isinstance(step, Split) for tower in module.towers for step in tower)
        for _, module in (*stem_modules(architecture), *modules(architecture))
    )


# ------------------------------------------------------------------------------------------------------ the docstring


def _docstring(plan: Plan, provenance: Mapping[str, str], weights: str | None) -> list[str]:
    """Write what the file is, what it costs, how it is used and where it comes from."""
    height, width = plan.sides
    module = module_name(plan.architecture.name)
    costs = cost(plan.architecture, plan.sides, classes=plan.classes, channels=plan.channels)
    facts = {"digest": plan.architecture.digest, **provenance}
    return [
        f'"""{docstring_text(plan.architecture.name[:MAX_NAME])}: a convolutional network of the Inception family.',
        "",
        f"Costs for one picture of {plan.channels} x {height} x {width} and {plan.classes:,} classes:",
        *_cost_lines(costs, len(plan.architecture.aux)),
        "",
        "Use:",
        "    import torch",
        f"    from {module} import {', '.join([plan.name] + ['load_weights'] * (weights is not None))}",
        "",
        f"    network = {plan.name}()",
        *([f'    load_weights(network, "{weights}")'] if weights else []),
        f"    logits = network.eval()(torch.rand(1, {plan.channels}, {height}, {width}))",
        "",
        "Weights are named by the attributes that lead to them:",
        f"    {plan.key}",
        "",
        "Provenance:",
        *(line for key, value in facts.items() for line in docstring_entry(key, value, LINE)),
        '"""',
    ]


def _cost_lines(costs: Cost, heads: int) -> list[str]:
    whose = "the auxiliary head" if heads == 1 else "auxiliary heads"
    rows = [("parameters", costs.params, costs.params_with_aux), ("multiply-adds", costs.macs, costs.macs_with_aux)]
    return [
        f"    {name}: {plain:,}" + (f" ({full:,} with {whose})" if heads and full is not None else "")
        for name, plain, full in rows
    ]
