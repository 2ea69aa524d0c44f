"""The class of the whole network in an exported file: stem, stages, head and auxiliary heads, and how they run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from results.export.blocks import initial_weights_lines
from results.export.kinds import AuxKind, Channels, Kind, argument, channels_after, module_call, structure, widths
from results.export.source import Block, Call, Source, Widths, chain, lines
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.operations import Shape


@dataclass(frozen=True)
class Plan:
    """Everything that the passages of one file need to know."""

    architecture: Architecture
    classes: int
    channels: int
    sides: tuple[int, int]
    aux_sides: tuple[int, int]  # of pictures that the auxiliary heads accept
    name: str  # of the network's class
    block: Block
    kinds: tuple[Kind, ...]
    aux_kinds: tuple[AuxKind, ...]
    shapes: Mapping[str, Shape]  # what each unit gives: stem, stage1.module1, ...
    key: str  # of one weight, as an example


def network_lines(plan: Plan) -> Iterator[str]:
    """Write the class."""
    has_aux = bool(plan.architecture.aux)
    yield f"class {plan.name}(nn.Module):"
    yield from _class_docstring(plan)
    yield ""
    yield from _constructor(plan)
    yield ""
    yield from initial_weights_lines(plan.block, has_aux, any(kind.hidden for kind in plan.aux_kinds))
    yield ""
    yield from _forward(plan)


def _class_docstring(plan: Plan) -> Iterator[str]:
    """Write shapes, and what the auxiliary heads change."""
    number = len(plan.architecture.aux)
    first = '    """The whole network: pictures, N x C x H x W, to logits, N x num_classes.'
    if not number:
        yield first + '"""'
        return
    heads = "an auxiliary head" if number == 1 else f"{number} auxiliary heads"
    gives = "(logits, aux_logits)" if number == 1 else "(logits, (aux1_logits, ...))"
    yield first
    yield ""
    yield f"    ``aux=True`` adds {heads}: in training mode the network then gives"
    yield f"    {gives}. In evaluation mode it always gives the logits alone."
    yield '    """'


def _constructor(plan: Plan) -> Iterator[str]:
    architecture = plan.architecture
    arguments = ["self", f"num_classes: int = {plan.classes}", f"in_channels: int = {plan.channels}"]
    if architecture.aux:
        arguments.append("aux: bool = False")
    if architecture.dropout:
        arguments.append(f"dropout: float = {architecture.dropout!r}")
    yield from lines(Call("def __init__", tuple(arguments)), 1, " -> None:")
    yield "        super().__init__()"
    stem, at = _stem(plan)
    yield from lines(Call("nn.Sequential", tuple(stem), "self.stem = ", spread=True), 2)
    ends: dict[tuple[int, int], Channels] = {}
    for s, stage in enumerate(architecture.stages, 1):
        calls: list[Source] = []
        for m, (label, module) in enumerate(_units(stage), 1 - (stage.reduction is not None)):
            calls.append(module_call(_kind(plan.kinds, module), module, at, f"{label}="))
            at = ends[s, m] = channels_after([module], at)
        yield from lines(Call("chain", tuple(calls), f"self.stage{s} = ", spread=True), 2)
    yield from lines(_head(at.text, architecture.dropout), 2)
    if architecture.aux:
        yield "        self.aux = aux"
        yield "        if aux:"
        for i, aux in enumerate(architecture.aux, 1):
            [kind] = [kind for kind in plan.aux_kinds if i in kind.heads]
            numbers = [argument(widths(aux.steps))] if widths(aux.steps) else []
            call = Call(kind.name, (ends[aux.stage, aux.module].text, *numbers, "num_classes"), f"self.aux{i} = ")
            yield from lines(call, 3)
    yield "        self._draw_weights()"


def _stem(plan: Plan) -> tuple[list[Source], Channels]:
    """Write the steps of the stem; return them and the channels at its end."""
    calls: list[Source] = []
    at = Channels(0, 1)
    for step in plan.architecture.stem:
        if isinstance(step, Module):
            calls.append(module_call(_kind(plan.kinds, step), step, at, ""))
        else:
            calls += chain(plan.block, [step], Widths("", widths([step])), at.text)[0]
        at = channels_after([step], at)
    return calls, at


def _units(stage: Stage) -> list[tuple[str, Module]]:
    """Return the reduction, if there is one, and the modules of a stage with their names in it."""
    reduction = [("reduction", stage.reduction)] if stage.reduction is not None else []
    return reduction + [(f"module{m}", module) for m, module in enumerate(stage.modules, 1)]


def _kind(kinds: tuple[Kind, ...], module: Module) -> Kind:
    wanted = structure(module.towers)
    return next(kind for kind in kinds if kind.structure == wanted)


def _head(channels: str, dropout: float) -> Call:
    parts = [Call("nn.AdaptiveAvgPool2d", ("1",), "pool="), Call("nn.Flatten", (), "flatten=")]
    if dropout:
        parts.append(Call("nn.Dropout", ("dropout",), "dropout="))
    parts.append(Call("nn.Linear", (channels, "num_classes"), "linear="))
    return Call("chain", tuple(parts), "self.head = ", spread=True)


# --------------------------------------------------------------------------------------------------------- the forward


def _forward(plan: Plan) -> Iterator[str]:
    """Write one line for each stage, or for each module where an auxiliary head reads in the middle of a stage."""
    architecture = plan.architecture
    number = len(architecture.aux)
    result = {0: "Tensor", 1: "Tensor | tuple[Tensor, Tensor]"}
    yield f"    def forward(self, x: Tensor) -> {result.get(number, 'Tensor | tuple[Tensor, tuple[Tensor, ...]]')}:"
    picture = Shape(plan.channels, *plan.sides)
    yield f'        """Shapes are noted for a picture of {picture}."""'
    if number:
        yield "        with_aux = self.training and self.aux"
    yield _step("self.stem", plan.shapes["stem"])
    for s, stage in enumerate(architecture.stages, 1):
        last = len(stage.modules)
        if all(aux.module == last for aux in architecture.aux if aux.stage == s):
            yield _step(f"self.stage{s}", plan.shapes[f"stage{s}.module{last}"])
            yield from _aux_steps(plan, s, last)
            continue
        for label, _ in _units(stage):
            yield _step(f"self.stage{s}.{label}", plan.shapes[f"stage{s}.{label}"])
            if label != "reduction":
                yield from _aux_steps(plan, s, int(label.removeprefix("module")))
    if not number:
        yield "        return self.head(x)"
        return
    yield "        logits = self.head(x)"
    if number == 1:
        yield "        return (logits, aux_logits) if with_aux else logits"
        return
    heads = tuple(_logits(plan, i) for i in range(1, number + 1))
    yield "        if with_aux:"
    yield from lines(Call("", heads, "aux_logits = "), 3)
    yield "            return logits, aux_logits"
    yield "        return logits"


def _step(module: str, shape: Shape) -> str:
    return f"        x = {module}(x)  # {shape}"


def _aux_steps(plan: Plan, stage: int, module: int) -> Iterator[str]:
    readers = [i for i, aux in enumerate(plan.architecture.aux, 1) if (aux.stage, aux.module) == (stage, module)]
    if readers:
        yield "        if with_aux:"
    for i in readers:
        yield f"            {_logits(plan, i)} = self.aux{i}(x)"


def _logits(plan: Plan, head: int) -> str:
    return "aux_logits" if len(plan.architecture.aux) == 1 else f"aux{head}_logits"
