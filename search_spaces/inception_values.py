"""The way back: every gene's value, read off an architecture. What lies outside a space is told by name."""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations, islice
from typing import cast

from search_spaces.architecture import Architecture, Module, Split, Stage, StemStep, Tower
from search_spaces.factorisation import Kernel, step_kernels
from search_spaces.genes import Choice, OutsideSpace, Value
from search_spaces.inception import TOWERS, Chains, InceptionSpace, chains
from search_spaces.operations import Conv, Pool

MOST_READINGS = 32  # of each number of places
SCHEDULED = ("pointwise", "short.embedding", "short.output", "long.embedding", "long.output", "pool.projection")


def values(space: InceptionSpace, architecture: Architecture) -> dict[str, Value]:
    """Read every gene's value, the final width aside, off an architecture; raise OutsideSpace where there is none."""
    file = space.file
    allowed = dict(space.whole)
    stems: dict[tuple[StemStep, ...], str] = {steps: name for name, steps in file.stems.items()}
    if architecture.stem not in stems:
        raise OutsideSpace(f"the stem is not {_one_of(space.stems)}")
    if len(architecture.stages) != len(file.stages):
        raise OutsideSpace(f"there are {len(architecture.stages)} stages: this space has {len(file.stages)}")
    found: dict[str, Value] = {
        "stem": stems[architecture.stem],
        "padding": _padding(architecture, str(allowed["padding"][0])),
    }
    if file.aux is not None:
        heads = {steps: name for name, steps in file.aux.heads.items()}
        if len(architecture.aux) != 1 or architecture.aux[0].steps not in heads:
            raise OutsideSpace(f"there is no single auxiliary head that is {_one_of(allowed['aux'])}")
        found["aux"] = heads[architecture.aux[0].steps]
    for s, (stage, choices) in enumerate(zip(architecture.stages, file.stages, strict=True)):
        at = f"stage{s + 1}"
        if (choices.reduction is None) != (stage.reduction is None):
            raise OutsideSpace(
                f"{at} has {'no' if stage.reduction is None else 'a'} reduction: this space differs there"
            )
        if choices.reduction is not None and stage.reduction is not None:
            before = module_channels(architecture.stages[s - 1])
            known = _reduction_values(stage.reduction, space.tables[s].reduction, before, at)
            found |= {f"{at}.reduction.{name}": value for name, value in known.items()}
        found[f"{at}.depth"] = len(stage.modules)
        spots = space.tables[s].spots * (choices.depth[1] if file.tied else 1)
        ((_, depths),) = space.tables[s].depth
        if len(stage.modules) not in depths:
            raise OutsideSpace(f"{at}.depth is {len(stage.modules)}: this space allows {', '.join(map(str, depths))}")
        modules = [
            _module_values(module, spot, f"{at}.module{m}")
            for m, (module, spot) in enumerate(zip(stage.modules, spots, strict=False), 1)
        ]
        found |= _tied(modules, at) if file.tied else _own(modules, at)
    return found


def readings(known: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Yield the values, then those with "early" at places where a module that widens early looks as one that does late.

    That is where both towers are as wide as their embeddings. The modules are the same; but an expanded chain, whose
    output leaves the tower twice, passes twice what it embeds when it widens late, so that other widths are allowed.
    """
    places = [name.removesuffix("widen") for name, value in known.items() if name.endswith("widen") and value == "late"]
    alike = [place for place in places if all(_as_wide(known, place, tower) for tower in TOWERS)]
    for count in range(len(alike) + 1):
        for early in islice(combinations(alike, count), MOST_READINGS):
            yield {**known, **{f"{place}widen": "early" for place in early}}


def _as_wide(known: Mapping[str, Value], place: str, tower: str) -> bool:
    """Whether the output of a tower is as wide as its embedding, in the first and the last module of a stage."""
    ends = ("",) if f"{place}{tower}.output" in known else (".first", ".last")
    return all(known[f"{place}{tower}.embedding{end}"] == known[f"{place}{tower}.output{end}"] for end in ends)


def _tied(modules: list[dict[str, Value]], at: str) -> dict[str, Value]:
    """Widths of the first and the last module; all else from the first (who decodes sees where another differs)."""
    first, last = modules[0], modules[-1]
    late = all(module["widen"] == "late" for module in modules)
    found: dict[str, Value] = {f"{at}.widen": "late" if late else "early"}
    for name, value in first.items():
        if name in SCHEDULED:
            found[f"{at}.{name}.first"], found[f"{at}.{name}.last"] = value, last[name]
        elif name != "widen":
            found[f"{at}.{name}"] = value
    return found


def _own(modules: list[dict[str, Value]], at: str) -> dict[str, Value]:
    return {f"{at}.module{m}.{name}": value for m, module in enumerate(modules, 1) for name, value in module.items()}


def _padding(architecture: Architecture, default: str) -> str:
    """Whether the first average pool of a module counts its padding; ``default`` if there is none."""
    for stage in architecture.stages:
        for module in stage.modules:
            for tower in module.towers:
                if isinstance(tower[0], Pool) and tower[0].kind == "avg":
                    return "counted" if tower[0].counted else "uncounted"
    return default


def _module_values(module: Module, spot: tuple[Choice, ...], at: str) -> dict[str, Value]:
    match module.towers:
        case (
            (Conv(kernel=(1, 1)) as pointwise,),
            short,
            long,
            (Pool(kernel=(3, 3)) as pool, Conv(kernel=(1, 1)) as projection),
        ):
            known = {
                "pointwise": pointwise.width,
                "pool.kind": pool.kind,
                "pool.projection": projection.width,
                **_tower_values(short, chains(spot[2:5]), "short", at),
                **_tower_values(long, chains(spot[5:]), "long", at),
            }
            # "late" wherever it fits; see ``readings`` for where "early" fits as well.
            late = all(_widens_late(tower) for tower in (short, long)) and "late" in spot[0][1]
            return {**known, "widen": "late" if late else "early"}
    raise OutsideSpace(f"{at} is not a 1x1, two spatial towers and a 3x3 pool with a 1x1, in this order")


def _widens_late(tower: Tower) -> bool:
    """Whether all convolutions but the last keep the width of the embedding."""
    widths = {step.width for step in tower[:-1] if isinstance(step, Conv)}
    return len(widths) == 1


def _tower_values(tower: Tower, allowed: Chains, name: str, at: str) -> dict[str, Value]:
    match tower:
        case (Conv(kernel=(1, 1)) as embedding, *rest) if rest and (chain := step_kernels(rest)) in allowed:
            n, factorisation, repeats = allowed[chain]
            last = rest[-1]
            output = last.branches[0].width if isinstance(last, Split) else cast(Conv, last).width
            return {
                f"{name}.kernel": n,
                f"{name}.factorisation": factorisation,
                f"{name}.repeats": repeats,
                f"{name}.embedding": embedding.width,
                f"{name}.output": output,
            }
    chained = "; ".join(" - ".join(map(_kernel_text, chain)) for chain in allowed if chain)
    raise OutsideSpace(f"the {name} tower of {at} is not a 1x1 and one of the chains that this space allows: {chained}")


def _kernel_text(kernel: Kernel | tuple[Kernel, ...]) -> str:
    """``3x3``, or ``1x3 | 3x1`` of those side by side."""
    return " | ".join(f"{height}x{width}" for height, width in (kernel if isinstance(kernel[0], tuple) else (kernel,)))


def _one_of(names: Collection[Value]) -> str:
    return ("one of " if len(names) > 1 else "") + ", ".join(map(str, names))


def _reduction_values(module: Module, choices: tuple[Choice, ...], before: int, at: str) -> dict[str, Value]:
    _, (_, direct), *long_tower = choices
    allowed = chains(tuple(long_tower))
    n, factorisation, repeats = next(iter(allowed.values()))
    found: dict[str, Value] = {"direct": "yes", "kind": "parallel"}
    match module.towers:
        case ((Pool(), Conv() as conv),) | ((Conv() as conv, Pool()),):
            found["kind"] = "pool_first" if isinstance(module.towers[0][0], Pool) else "convolve_first"
            unused = {"long.kernel": n, "long.factorisation": factorisation, "long.repeats": repeats}
            return found | unused | {"direct": direct[0], "short.output": conv.width - before}
        case (
            (*embedding, Conv(kernel=(3, 3), stride=2) as short),
            (*long, Conv(kernel=(3, 3), stride=2) as last),
            (Pool(),),
        ):
            found["short.output"] = short.width
            match embedding:
                case [Conv(kernel=(1, 1)) as conv]:
                    found |= {"direct": "no", "short.embedding": conv.width}
            return found | _tower_values(tuple(long), allowed, "long", f"{at}.reduction") | {"long.output": last.width}
    raise OutsideSpace(f"{at}.reduction is not two towers that end in a 3x3/2 and a pool, in this order")


def module_channels(stage: Stage) -> int:
    """What the last module of a stage of this space gives: the widths of its towers' last convolutions."""
    ends = [tower[-1] for tower in stage.modules[-1].towers]
    joined = [branch for end in ends for branch in (end.branches if isinstance(end, Split) else (end,))]
    return sum(branch.width for branch in joined if isinstance(branch, Conv))
