"""Export as plain PyTorch: one file of readable classes that imports torch alone, and its weights beside it.

The file is put together from the architecture's operations; shapes and costs are those of its graph.
"""

from results.export import blocks
from results.export.compact_yaml import compact_yaml
from results.export.content import Content
from results.export.docstring import docstring_lines
from results.export.kinds import aux_class_lines, aux_kinds, class_lines, kinds
from results.export.names import class_name
from results.export.network_source import Plan, network_lines
from results.export.source import LINE, Block, convs
from results.export.timm_source import timm_lines
from results.export.weights import head_sides, key_map
from search_spaces.architecture import Architecture, Split, modules, stem_modules
from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from search_spaces.operations import MAX_WIDTH


def to_python(content: Content) -> dict[str, bytes]:
    """Return ``inception_v3.py`` and, with weights, ``inception_v3.safetensors`` for an architecture ``inception-v3``.

    Raises RequestError where the weights do not fit, ResolutionError where pictures are too small.
    """
    if content.state is None:
        return {f"{content.name}.py": python_source(content).encode()}
    from results.export.to_safetensors import weights_file  # imports torch: only those who have weights pay

    weights = f"{content.name}.safetensors"
    return {f"{content.name}.py": python_source(content, weights).encode(), weights: weights_file(content)}


def python_source(content: Content, weights: str | None = None) -> str:
    """Return the source of one Python file that builds the architecture with torch alone.

    The content's classes and channels become the defaults of its arguments; costs, grids and the audit are those of its
    pictures. Its ``ARCHITECTURE`` is the text of an architecture file. ``weights``, the name of a file, is loaded in
    the docstring's example. Raises ResolutionError where pictures are too small.
    """
    plan, architecture = _plan(content), content.architecture
    begin = docstring_lines(plan, content, weights)
    passages = ["\n".join((*begin, "", blocks.IMPORTS, *_public(plan.name), "", *_architecture(architecture)))]
    if plan.block.used:
        passages.append("\n".join(blocks.block_lines(plan.block, architecture.norm_eps)))
    if _joins(architecture):
        passages.append(blocks.PARALLEL)
    passages.append(blocks.CHAIN)
    passages += ["\n".join(class_lines(kind, plan.block)) for kind in plan.kinds]
    passages += ["\n".join(aux_class_lines(kind, plan.block, plan.aux_sides)) for kind in plan.aux_kinds]
    passages.append("\n".join(network_lines(plan)))
    passages.append(blocks.load_weights_text(bool(architecture.aux)))
    sizes = content.classes, content.channels
    passages.append("\n".join(timm_lines(content.name, plan.name, *sizes, dropout=architecture.dropout)))
    return "\n\n\n".join(passage.rstrip("\n") for passage in passages) + "\n"


def network_class(content: Content) -> str:
    """Return the name of the class that is the whole network."""
    return _plan(content).name


def _plan(content: Content) -> Plan:
    for what, number in (("classes", content.classes), ("channels", content.channels)):
        if not 1 <= number <= MAX_WIDTH:
            raise RequestError(f"an export for {number} {what} is not possible: allowed are 1 to {MAX_WIDTH}")
    architecture, sides = content.architecture, content.sides
    graph = architecture.graph(sides, classes=content.classes, channels=content.channels)
    aux_sides = head_sides(architecture, sides)
    found, found_aux = kinds(architecture), aux_kinds(architecture, architecture.graph(aux_sides, aux=True))
    towers = [tower for _, module in modules(architecture) for tower in module.towers]
    heads = [aux.steps for aux in architecture.aux]
    block = Block.of(conv for steps in (architecture.stem, *towers, *heads) for conv in convs(steps))
    taken = {block.name, "Parallel", "Tensor", "ARCHITECTURE"}
    taken |= {kind.name for kind in found} | {kind.name for kind in found_aux}
    return Plan(
        architecture=architecture,
        classes=content.classes,
        channels=content.channels,
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


def _joins(architecture: Architecture) -> bool:
    """Whether anything runs side by side."""
    return any(
        len(module.towers) > 1 or any(isinstance(step, Split) for tower in module.towers for step in tower)
        for _, module in (*stem_modules(architecture), *modules(architecture))
    )


def _public(name: str) -> list[str]:
    """Write what a star import gives; without it timm's registration would leave its own entry alone there."""
    flat = f'__all__ = ["{name}", "load_weights"]'
    return [flat] if len(flat) <= LINE else ["__all__ = [", f'    "{name}",', '    "load_weights",', "]"]


def _architecture(architecture: Architecture) -> list[str]:
    """Write the architecture as text, which is of letters that need no escape."""
    return ["# The architecture as inception-nas reads it.", 'ARCHITECTURE = """\\', f'{compact_yaml(architecture)}"""']
