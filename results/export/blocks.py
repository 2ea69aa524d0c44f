"""The fixed passages of an exported file, written out as they will stand there."""

from collections.abc import Iterator

from results.export.source import Block, Call, lines

IMPORTS = """\
import contextlib
import warnings

import torch
from torch import Tensor, nn
"""

PARALLEL = '''\
class Parallel(nn.Module):
    """Runs its parts on the same tensor and joins what they give along the channels."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.children()], dim=1)
'''

CHAIN = '''\
def chain(**parts: nn.Module) -> nn.Sequential:
    """Join parts that run one after another, each under its name."""
    sequence = nn.Sequential()
    for name, part in parts.items():
        sequence.add_module(name, part)
    return sequence
'''

_DROP_AUX = """\
    if not any(key.startswith("aux") for key in expected):
        state = {key: state[key] for key in state if not key.startswith("aux")}
"""

_LOAD = '''\
def load_weights(network: nn.Module, path: str) -> None:
    """Load a .safetensors file (needs the safetensors package) or a .pt state dict.

    Every weight of the network must be in the file, in its shape, and no other{aux}.
    """
    if str(path).endswith(".safetensors"):
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    expected = network.state_dict()
{drop_aux}    problems = [f"{{key}} is missing" for key in expected.keys() - state.keys()]
    problems += [f"{{key}} is unknown" for key in state.keys() - expected.keys()]
    for key in expected.keys() & state.keys():
        found, wanted = tuple(state[key].shape), tuple(expected[key].shape)
        if found != wanted:
            problems.append(f"{{key}} is {{found}} instead of {{wanted}}")
    if problems:
        shown = "; ".join(sorted(problems)[:4])
        raise ValueError(
            f"{{path}} does not fit this network in {{len(problems)}} places: {{shown}}"
        )
    network.load_state_dict(state)
'''


def load_weights_text(has_aux: bool) -> str:
    """Return the function that loads weights."""
    aux = ";\n    weights of auxiliary heads are left out if the network has none" if has_aux else ""
    return _LOAD.format(aux=aux, drop_aux=_DROP_AUX if has_aux else "")


def block_lines(block: Block, norm_eps: float) -> Iterator[str]:
    """Write the class of the convolution block."""
    parts = ["Convolution", *["batch normalisation"] * block.has_norm, *["ReLU"] * block.has_act]
    yield f"class {block.name}(nn.Module):"
    yield f'    """{", then ".join(parts)}.'
    yield ""
    yield "    The padding is half the kernel, which keeps the grid at stride 1, unless given."
    yield '    """'
    yield ""
    yield from _block_constructor(block, norm_eps)
    yield ""
    yield "    def forward(self, x: Tensor) -> Tensor:"
    applied = "self.conv(x)"
    applied = f"self.norm({applied})" if block.has_norm else applied
    yield f"        return {f'self.act({applied})' if block.has_act else applied}"


def _block_constructor(block: Block, norm_eps: float) -> Iterator[str]:
    arguments = [
        "self",
        "in_channels: int",
        "out_channels: int",
        "kernel: int | tuple[int, int]",
        "stride: int = 1",
        "padding: int | tuple[int, int] | None = None",
        *["norm: bool = True"] * block.mixed_norm,
        *["bias: bool = False"] * block.mixed_bias,
        *["act: bool = True"] * block.mixed_act,
    ]
    yield from lines(Call("def __init__", tuple(arguments)), 1, " -> None:")
    yield "        super().__init__()"
    yield "        if padding is None:"
    yield "            kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel"
    yield "            padding = (kh // 2, kw // 2)"
    arguments = ["in_channels", "out_channels", "kernel", "stride", "padding", f"bias={block.bias}"]
    conv = Call("nn.Conv2d", tuple(arguments), "self.conv = ")
    yield from lines(conv, 2)
    if block.has_norm:
        norm = f"nn.BatchNorm2d(out_channels, eps={norm_eps!r})"
        yield f"        self.norm = {norm}{' if norm else nn.Identity()' if block.mixed_norm else ''}"
    if block.has_act:
        yield f"        self.act = nn.ReLU(inplace=True){' if act else nn.Identity()' if block.mixed_act else ''}"


def initial_weights_lines(block: Block, has_aux: bool, has_hidden: bool) -> Iterator[str]:
    """Write the method that draws fresh weights, the same way as the search does.

    The deviations are those of the network that the search trains (a test compares them): an exported architecture
    that is trained from scratch starts as it did there.
    """
    by_parent = {(True, True), (False, True)} <= block.forms  # a bias alone does not tell that there is no norm
    named = has_aux or by_parent
    yield "    def _draw_weights(self) -> None:"
    yield '        """Draw fresh weights: normal, cut at two deviations (1512.00567)."""'
    yield f"        for {'name, ' if named else ''}module in self.{'named_modules' if named else 'modules'}():"
    yield "            if not isinstance(module, nn.Conv2d | nn.Linear):"
    yield "                continue"
    yield "            std = 0.01 if isinstance(module, nn.Linear) else 0.1"
    if has_hidden:
        yield '            if isinstance(module, nn.Linear) and name.count(".") > 1:'
        yield "                std = (2 / module.in_features) ** 0.5  # hidden, as aux1.2.linear"
    if has_aux:
        yield f'            {"el" * has_hidden}if name.startswith("aux") and isinstance(module, nn.Linear):'
        yield "                std = 0.001"
        yield '            elif name.startswith("aux") and module.kernel_size != (1, 1):'
        yield "                std = 0.01"
    if False in block.norms:
        if by_parent:
            yield '            parent = self.get_submodule(name.rpartition(".")[0])'
            yield f"            if isinstance(parent, {block.name}) and isinstance(parent.norm, nn.Identity):"
        else:
            yield "            if isinstance(module, nn.Conv2d) and module.bias is not None:"
        yield "                std = (2 / module.weight[0].numel()) ** 0.5  # no norm takes the scale"
    yield "            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)"
    yield "            if module.bias is not None:"
    yield "                nn.init.zeros_(module.bias)"
