"""Weights of the published networks under the names of others, and under ours.

Each lineage is one table from the layers of torchvision's or timm's code to the nodes of our graph. An architecture can
take a lineage's weights if the table leads to all of its layers, and to no others.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.graph import Graph
from search_spaces.operations import MAX_WIDTH, Pool
from search_spaces.seeds import seed, seed_names
from trainers.network import Network


@dataclass(frozen=True)
class Lineage:
    """Whose names they are, and which of our nodes each of its layers is."""

    names: str
    layers: Mapping[str, str]


def _inside(layer: str, unit: str, inner: Mapping[str, str]) -> dict[str, str]:
    return {f"{layer}.{theirs}": f"{unit}.{ours}" for theirs, ours in inner.items()}


_MIXED_5 = {  # 35 x 35
    "branch1x1": "tower1.0",
    "branch5x5_1": "tower2.0",
    "branch5x5_2": "tower2.1",
    "branch3x3dbl_1": "tower3.0",
    "branch3x3dbl_2": "tower3.1",
    "branch3x3dbl_3": "tower3.2",
    "branch_pool": "tower4.1",
}
_MIXED_6A = {  # to 17 x 17
    "branch3x3": "tower1.0",
    "branch3x3dbl_1": "tower2.0",
    "branch3x3dbl_2": "tower2.1",
    "branch3x3dbl_3": "tower2.2",
}
_MIXED_6 = {  # 17 x 17
    "branch1x1": "tower1.0",
    "branch7x7_1": "tower2.0",
    "branch7x7_2": "tower2.1",
    "branch7x7_3": "tower2.2",
    "branch7x7dbl_1": "tower3.0",
    "branch7x7dbl_2": "tower3.1",
    "branch7x7dbl_3": "tower3.2",
    "branch7x7dbl_4": "tower3.3",
    "branch7x7dbl_5": "tower3.4",
    "branch_pool": "tower4.1",
}
_MIXED_7A = {  # to 8 x 8
    "branch3x3_1": "tower1.0",
    "branch3x3_2": "tower1.1",
    "branch7x7x3_1": "tower2.0",
    "branch7x7x3_2": "tower2.1",
    "branch7x7x3_3": "tower2.2",
    "branch7x7x3_4": "tower2.3",
}
_MIXED_7 = {  # 8 x 8: "a" and "b" stand side by side
    "branch1x1": "tower1.0",
    "branch3x3_1": "tower2.0",
    "branch3x3_2a": "tower2.1.branch1",
    "branch3x3_2b": "tower2.1.branch2",
    "branch3x3dbl_1": "tower3.0",
    "branch3x3dbl_2": "tower3.1",
    "branch3x3dbl_3a": "tower3.2.branch1",
    "branch3x3dbl_3b": "tower3.2.branch2",
    "branch_pool": "tower4.1",
}
_INCEPTION = {  # GoogLeNet's module: a place inside a branch is a place inside a tower
    "branch1": "tower1.0",
    "branch2.0": "tower2.0",
    "branch2.1": "tower2.1",
    "branch3.0": "tower3.0",
    "branch3.1": "tower3.1",
    "branch4.1": "tower4.1",
}

LINEAGES = (
    Lineage(
        "torchvision's or timm's inception_v3",
        {
            "Conv2d_1a_3x3": "stem.0",
            "Conv2d_2a_3x3": "stem.1",
            "Conv2d_2b_3x3": "stem.2",
            "Conv2d_3b_1x1": "stem.4",
            "Conv2d_4a_3x3": "stem.5",
            **_inside("Mixed_5b", "stage1.module1", _MIXED_5),
            **_inside("Mixed_5c", "stage1.module2", _MIXED_5),
            **_inside("Mixed_5d", "stage1.module3", _MIXED_5),
            **_inside("Mixed_6a", "stage2.reduction", _MIXED_6A),
            **_inside("Mixed_6b", "stage2.module1", _MIXED_6),
            **_inside("Mixed_6c", "stage2.module2", _MIXED_6),
            **_inside("Mixed_6d", "stage2.module3", _MIXED_6),
            **_inside("Mixed_6e", "stage2.module4", _MIXED_6),
            **_inside("Mixed_7a", "stage3.reduction", _MIXED_7A),
            **_inside("Mixed_7b", "stage3.module1", _MIXED_7),
            **_inside("Mixed_7c", "stage3.module2", _MIXED_7),
            "fc": "head.linear",
            "AuxLogits.conv0": "aux1.1",
            "AuxLogits.conv1": "aux1.2",
            "AuxLogits.fc": "aux1.linear",
        },
    ),
    Lineage(
        "torchvision's googlenet",
        {
            "conv1": "stem.0",
            "conv2": "stem.2",
            "conv3": "stem.3",
            **_inside("inception3a", "stage1.module1", _INCEPTION),
            **_inside("inception3b", "stage1.module2", _INCEPTION),
            **_inside("inception4a", "stage2.module1", _INCEPTION),
            **_inside("inception4b", "stage2.module2", _INCEPTION),
            **_inside("inception4c", "stage2.module3", _INCEPTION),
            **_inside("inception4d", "stage2.module4", _INCEPTION),
            **_inside("inception4e", "stage2.module5", _INCEPTION),
            **_inside("inception5a", "stage3.module1", _INCEPTION),
            **_inside("inception5b", "stage3.module2", _INCEPTION),
            "fc": "head.linear",
            "aux1.conv": "aux1.1",
            "aux1.fc1": "aux1.2",
            "aux1.fc2": "aux1.linear",
            "aux2.conv": "aux2.1",
            "aux2.fc1": "aux2.2",
            "aux2.fc2": "aux2.linear",
        },
    ),
)
OURS = "inception-nas"

_PARTS = {  # of a layer: a convolution without bias and its norm, or a linear layer
    "conv.weight": "conv.weight",
    "bn.weight": "norm.weight",
    "bn.bias": "norm.bias",
    "bn.running_mean": "norm.running_mean",
    "bn.running_var": "norm.running_var",
    "bn.num_batches_tracked": "norm.num_batches_tracked",
    "weight": "linear.weight",
    "bias": "linear.bias",
}
_OUR_NAMES = re.compile(r"(stem|stage\d+|head|aux\d+)\.")  # where the nodes of our graphs lie
_COUNTER = "num_batches_tracked"  # no weight: files from before torch 0.4.1 lack it, and averaging makes it a float
_HALVES = (torch.float16, torch.bfloat16)
_FLOATS = (torch.float32, torch.float64, *_HALVES)
SIDES = 4  # of a convolution's weight


@dataclass(frozen=True)
class Imported:
    """Weights under our names: ``tensors`` are what a built network's ``load_state_dict`` takes.

    ``names`` says whose names they had, ``aux`` whether the auxiliary heads are among them, ``aux_left_out`` for how
    many classes the file's heads were where that kept them out, and ``uncounted`` whether the architecture's average
    pools leave out the padding, which torchvision and timm count. ``scaling``: of pictures, in words, where the file
    does not say it.
    """

    tensors: dict[str, Tensor]
    names: str
    classes: int
    channels: int
    aux: bool
    aux_left_out: int | None
    uncounted: bool
    scaling: str = ""

    @property
    def sentence(self) -> str:
        """Say what was imported."""
        heads = "with" if self.aux else "without"
        why = f", which are for {self.aux_left_out} classes in the file" if self.aux_left_out else ""
        whole = (
            f"weights as {self.names} names them: {self.classes} classes, {self.channels} channels, "
            f"{heads} auxiliary heads{why}"
        )
        whole += f"; scaling of pictures: {self.scaling}" if self.scaling else ""
        if not self.uncounted or self.names == OURS:
            return whole
        return (
            f"{whole}; average pools do not count their padding here, as in the framework that the published weights "
            "come from: for the outputs of torchvision and timm, which count it, import them for inception-v3"
        )


def whose(keys: Collection[str]) -> str | None:
    """Say as whose network the weights of a file are named, OURS too; None where most names are nobody's we know."""
    known = {lineage.names: {f"{layer}.{part}" for layer in lineage.layers for part in _PARTS} for lineage in LINEAGES}
    shares = {names: sum(key in layers for key in keys) for names, layers in known.items()}
    shares[OURS] = sum(_OUR_NAMES.match(key) is not None for key in keys)
    names = max(shares, key=lambda name: shares[name])
    return names if 2 * shares[names] > len(keys) else None


def foreign_lineages(architecture: Architecture) -> list[tuple[str, dict[str, str]]]:
    """Return whose published weights an architecture can take, each with the map from their keys to ours."""
    nodes = {node.name for node in _graph(architecture) if node.params}
    fitting = [lineage for lineage in LINEAGES if set(lineage.layers.values()) >= nodes]
    if not fitting:
        return []
    keys = _shapes(architecture, classes=2, channels=3, aux=True).keys()
    maps = [
        {
            f"{layer}.{theirs}": f"{node}.{ours}"
            for layer, node in lineage.layers.items()
            for theirs, ours in _PARTS.items()
            if f"{node}.{ours}" in keys
        }
        for lineage in fitting
    ]
    return [(lineage.names, found) for lineage, found in zip(fitting, maps, strict=True) if {*found.values()} == keys]


def convert(architecture: Architecture, tensors: Mapping[str, Tensor], file: str) -> Imported:
    """Rename the weights of a file for an architecture and check all of them; ``file`` names it in the sentences.

    Classes and channels are read off the weights. Float16 and bfloat16 become float32. Auxiliary heads may be absent,
    and are left out where they are for other classes than the last layer. Raises RequestError where a weight is
    missing, unexpected, of another shape, no dense floating-point tensor, or not finite.
    """
    keys = _shapes(architecture, classes=2, channels=3, aux=True)
    exported = {key.replace(".linear.linear.", ".linear."): key for key in keys}
    foreign = foreign_lineages(architecture)
    known = [*foreign, (OURS, exported), (OURS, {key: key for key in keys})]
    names, key_map = max(known, key=lambda lineage: len(lineage[1].keys() & tensors.keys()))
    if not foreign and not key_map.keys() & tensors.keys():
        raise RequestError(_no_lineage(architecture, file))
    theirs = {ours: key for key, ours in key_map.items()}
    classes = _side(tensors, theirs["head.linear.linear.weight"], 0) or 1000
    channels = _side(tensors, next((key for ours, key in theirs.items() if ours.endswith("conv.weight")), ""), 1) or 3

    heads = {key for key, ours in key_map.items() if ours.startswith("aux")}
    sizes = {_side(tensors, key, 0) for key in heads if key_map[key].endswith(".linear.linear.weight")} - {0, classes}
    if sizes:
        tensors = {key: tensor for key, tensor in tensors.items() if key not in heads}
    aux = bool(heads & tensors.keys())
    wanted = {theirs[ours]: shape for ours, shape in _shapes(architecture, classes, channels, aux).items()}
    _check_names(tensors, wanted, f"{file} does not hold weights of {architecture.name} as {names} names them")
    return Imported(
        {key_map[key]: _checked(tensors, key, shape, file) for key, shape in wanted.items()},
        names=names,
        classes=classes,
        channels=channels,
        aux=aux,
        aux_left_out=max(sizes, default=None),
        uncounted=any(isinstance(node.operation, Pool) and not node.operation.counted for node in _graph(architecture)),
    )


def _graph(architecture: Architecture, classes: int = 2, channels: int = 3, aux: bool = True) -> Graph:
    side = architecture.resolution  # a linear layer on a grid has a shape that depends on it
    try:
        return architecture.graph(side, classes=classes, channels=channels, aux=aux)
    except ResolutionError:
        side = architecture.smallest_resolution(aux=True)
        return architecture.graph(side, classes=classes, channels=channels, aux=aux)


def _shapes(architecture: Architecture, classes: int, channels: int, aux: bool) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a built network, by its key."""
    with torch.device("meta"):
        state = Network(_graph(architecture, classes, channels, aux)).state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def _side(tensors: Mapping[str, Tensor], key: str, dimension: int) -> int:
    """One side of a weight; 0 where there is no such weight or it cannot be one."""
    shape = tensors[key].shape if key in tensors else ()
    side = shape[dimension] if len(shape) in (2, 4) else 0
    return side if 1 <= side <= MAX_WIDTH else 0


def _check_names(tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], sentence: str) -> None:
    missing = next((key for key in wanted if key not in tensors and not key.endswith(_COUNTER)), None)
    unexpected = next((key for key in tensors if key not in wanted), None)
    found = [f"{missing!r} ({sides(wanted[missing])}) is missing"] if missing is not None else []
    if unexpected is not None:
        found.append(f"{unexpected[:80]!r} ({sides(tensors[unexpected].shape)}) is unexpected")
    if found:
        raise RequestError(f"{sentence}: {' and '.join(found)}; give a state dict of that network")


def _checked(tensors: Mapping[str, Tensor], key: str, shape: tuple[int, ...], file: str) -> Tensor:
    """Return one weight, dense, finite and in a type that trains; RequestError where it cannot be had."""
    if key.endswith(_COUNTER) and key not in tensors:
        return torch.zeros((), dtype=torch.int64)
    tensor, where = tensors[key].detach(), f"{key!r} in {file}"
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise RequestError(f"{where} is sparse, quantised or without content: give the weights as dense tensors")
    if tuple(tensor.shape) != shape:
        raise RequestError(f"{where} is {sides(tensor.shape)} instead of {sides(shape)}: give weights of this network")
    check_values(tensor, key, file)
    if key.endswith(_COUNTER):
        return tensor.to(torch.int64)
    return tensor.to(torch.float32) if tensor.dtype in _HALVES else tensor


def check_values(tensor: Tensor, key: str, file: str) -> None:
    """Raise RequestError where a dense tensor has too many sides, is of no type that trains, or is not finite."""
    where = f"{key[:80]!r} in {file}"
    if tensor.dim() > SIDES:  # torch computes with up to 64
        raise RequestError(f"{where} has {tensor.dim()} sides: weights have at most {SIDES}; give such")
    whole = not tensor.is_floating_point() and not tensor.is_complex()
    if tensor.dtype not in _FLOATS and not (key.endswith(_COUNTER) and whole):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise RequestError(f"{where} is {kind}: weights must be float32, float64, float16 or bfloat16; give such")
    if not torch.isfinite(tensor).all():
        raise RequestError(f"{where} holds NaN or infinity: the training that wrote it diverged, give other weights")


def _no_lineage(architecture: Architecture, file: str) -> str:
    return (
        f"{file} holds no weights of {architecture.name} under our names, and there are none of others for it: "
        f"you can import {takers()}"
    )


def takers() -> str:
    """List the seeds that take weights of others, and whose."""
    return ", ".join(f"{name} from {names}" for name in seed_names() for names, _ in foreign_lineages(seed(name)))


def sides(shape: Sequence[int]) -> str:
    """``64 x 3 x 7 x 7``."""
    shown = [*map(str, shape[: 2 * SIDES]), *(["..."] if len(shape) > 2 * SIDES else [])]
    return " x ".join(shown) or "a single number"
