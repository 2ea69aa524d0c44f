"""The operations of a graph: one class each, with its output shape, its parameters and its multiply-adds side by side.

Costs follow one convention everywhere: a multiply-add counts once, and only convolutions and linear layers have any.
Text forms such as ``conv 3x3/2 32 valid`` are what architecture files are written in.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from search_spaces.errors import RequestError, ResolutionError, UnevenGrids, nearest

MAX_WIDTH = 65_536  # far beyond any published network; keeps a typing error from asking for terabytes
MAX_KERNEL = 31
MAX_TEXT = 80  # characters of one operation; the longest that means anything has half of them


class Shape(NamedTuple):
    """Channels, height and width of one feature map, without the batch."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """C * H * W."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels} x {self.height} x {self.width}"


class Operation(ABC):
    """One node's work. ``inputs`` are the shapes of the tensors it reads."""

    @abstractmethod
    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Return the output shape; raise ResolutionError where the grid is too small."""

    def params(self, inputs: Sequence[Shape]) -> int:
        """Count the learned numbers."""
        return 0

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Count multiply-adds for one picture."""
        return 0

    @abstractmethod
    def text(self) -> str:
        """Return the form that architecture files and drawings use."""


def window_side(size: int, kernel: int, stride: int, padding: int, ceil: bool = False) -> int:
    """floor((size + 2 padding - kernel) / stride) + 1; ``ceil`` adds a last window that is not whole.

    As in torch, that window must start inside the picture or its left padding.
    """
    room = size + 2 * padding - kernel
    side = room // stride + 1
    if ceil and room % stride and side * stride < size + padding:
        side += 1
    if side < 1:
        raise ResolutionError(f"a grid of {size} is smaller than a kernel of {kernel} with padding {padding}")
    return side


@dataclass(frozen=True, slots=True)
class Window(Operation):
    """What convolutions and pools share: a sliding window. ``same`` pads kernel // 2 on every side, else nothing."""

    kernel: tuple[int, int]
    stride: int = 1
    same: bool = True

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns of zeros added on each side."""
        return (self.kernel[0] // 2, self.kernel[1] // 2) if self.same else (0, 0)

    def grid(self, shape: Shape) -> tuple[int, int]:
        """Return height and width after the window has passed."""
        (kh, kw), (ph, pw) = self.kernel, self.padding
        return window_side(shape.height, kh, self.stride, ph), window_side(shape.width, kw, self.stride, pw)

    @property
    def window_text(self) -> str:
        """``3x3`` or ``3x3/2``."""
        stride = f"/{self.stride}" if self.stride != 1 else ""
        return f"{self.kernel[0]}x{self.kernel[1]}{stride}"


@dataclass(frozen=True, slots=True)
class Conv(Window):
    """A convolution with what belongs to it: batch norm, a bias or both, and a ReLU (unless ``linear``).

    Without a norm there is always a ``bias``.
    """

    width: int = 1
    norm: bool = True
    activation: bool = True
    bias: bool = False
    _hash: int = field(init=False, repr=False, compare=False)  # towers are looked up by what they hold, again and again

    def __post_init__(self) -> None:
        if not self.spatial:  # a 1x1 window has nothing to pad: one form for both, so that equal operations are equal
            object.__setattr__(self, "same", True)
        if not self.norm:
            object.__setattr__(self, "bias", True)
        known = (self.kernel, self.stride, self.same, self.width, self.norm, self.activation, self.bias)
        object.__setattr__(self, "_hash", hash(known))

    def __hash__(self) -> int:
        return self._hash

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """width x grid."""
        return Shape(self.width, *self.grid(inputs[0]))

    def params(self, inputs: Sequence[Shape]) -> int:
        """kh kw C_in C_out + 2 C_out for the norm + C_out for the bias."""
        kh, kw = self.kernel
        return (kh * kw * inputs[0].channels + 2 * self.norm + self.bias) * self.width

    def macs(self, inputs: Sequence[Shape]) -> int:
        """kh kw C_in per output element."""
        kh, kw = self.kernel
        return kh * kw * inputs[0].channels * self.output(inputs).elements

    @property
    def spatial(self) -> bool:
        """Whether the kernel sees neighbours: larger than 1 x 1."""
        return self.kernel != (1, 1)

    def text(self) -> str:
        """``conv 3x3/2 32 valid``: with a norm; ``norm bias`` adds a bias to it, ``bias`` alone replaces it."""
        marks = ("" if self.same else " valid") + (" norm" if self.norm and self.bias else "")
        marks += (" bias" if self.bias else "") + ("" if self.activation else " linear")
        return f"conv {self.window_text} {self.width}{marks}"


@dataclass(frozen=True, slots=True)
class Pool(Window):
    """A max or average pool.

    ``counted``: zeros of the padding count in an average (torchvision's and timm's way). ``ceil``: a last window that
    reaches beyond the padded grid is kept, cut at the border.
    """

    kind: Literal["max", "avg"] = "max"
    counted: bool = True
    ceil: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind == "max":  # zeros of the padding never count there: one form for both
            object.__setattr__(self, "counted", True)
        if self.stride == 1:  # every window is whole then
            object.__setattr__(self, "ceil", False)
        # numbers only: the hash of a text differs from process to process, and operations are sent between them
        known = (self.kernel, self.stride, self.same, self.kind == "max", self.counted, self.ceil)
        object.__setattr__(self, "_hash", hash(known))

    def __hash__(self) -> int:
        return self._hash

    def grid(self, shape: Shape) -> tuple[int, int]:
        """Return height and width after the window has passed."""
        (kh, kw), (ph, pw) = self.kernel, self.padding
        return (
            window_side(shape.height, kh, self.stride, ph, self.ceil),
            window_side(shape.width, kw, self.stride, pw, self.ceil),
        )

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """C_in x grid."""
        return Shape(inputs[0].channels, *self.grid(inputs[0]))

    def text(self) -> str:
        """``avg 3x3``, ``max 3x3/2 valid`` or ``max 3x3/2 valid ceil``."""
        marks = (
            ("" if self.same else " valid") + (" ceil" if self.ceil else "") + ("" if self.counted else " uncounted")
        )
        return f"{self.kind} {self.window_text}{marks}"


@dataclass(frozen=True, slots=True)
class LocalNorm(Operation):
    """Local response normalisation over ``size`` neighbouring channels, with GoogLeNet's released constants.

    x / (k + alpha / size * sum of squares of the neighbours) ** beta, as ``torch.nn.LocalResponseNorm`` computes it.
    """

    size: int = 5
    alpha: ClassVar[float] = 1e-4
    beta: ClassVar[float] = 0.75
    k: ClassVar[float] = 1.0

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Return the input's shape."""
        return inputs[0]

    def text(self) -> str:
        """``lrn 5``."""
        return f"lrn {self.size}"


@dataclass(frozen=True, slots=True)
class Input(Operation):
    """The picture."""

    shape: Shape

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Return the picture's shape."""
        return self.shape

    def text(self) -> str:
        """``input 3``."""
        return f"input {self.shape.channels}"


@dataclass(frozen=True, slots=True)
class Concat(Operation):
    """Joins parallel towers along the channels, in order."""

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Sum of the channels; all grids must be equal, else UnevenGrids."""
        grids = {(shape.height, shape.width) for shape in inputs}
        if len(grids) != 1:
            found = " and ".join(sorted(f"{height} x {width}" for height, width in grids))
            raise UnevenGrids(
                f"the towers of one module end on different grids, {found}: give all of them "
                "the same stride and padding"
            )
        return inputs[0]._replace(channels=sum(shape.channels for shape in inputs))

    def text(self) -> str:
        """``concat``."""
        return "concat"


@dataclass(frozen=True, slots=True)
class GlobalPool(Operation):
    """The mean over the whole grid."""

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """C_in x 1 x 1."""
        return Shape(inputs[0].channels, 1, 1)

    def text(self) -> str:
        """``global avg``."""
        return "global avg"


@dataclass(frozen=True, slots=True)
class AdaptivePool(Operation):
    """The means over ``grid`` (height, width) cells that cover the whole input evenly, whatever its size."""

    grid: tuple[int, int]

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """C_in x grid."""
        return Shape(inputs[0].channels, *self.grid)

    def text(self) -> str:
        """``adaptive 4x4``."""
        return f"adaptive {self.grid[0]}x{self.grid[1]}"


@dataclass(frozen=True, slots=True)
class Dropout(Operation):
    """Drops each element with the given probability while training."""

    probability: float

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Return the input's shape."""
        return inputs[0]

    def text(self) -> str:
        """``dropout 0.5``."""
        return f"dropout {self.probability:g}"


@dataclass(frozen=True, slots=True)
class Linear(Operation):
    """A fully connected layer with bias on the flattened input, and a ReLU if ``activation``."""

    width: int
    activation: bool = False

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """width x 1 x 1."""
        return Shape(self.width, 1, 1)

    def params(self, inputs: Sequence[Shape]) -> int:
        """(elements_in + 1) width."""
        return (inputs[0].elements + 1) * self.width

    def macs(self, inputs: Sequence[Shape]) -> int:
        """elements_in * width."""
        return inputs[0].elements * self.width

    def text(self) -> str:
        """``linear 1000``, or ``linear 1024 relu``."""
        return f"linear {self.width}" + (" relu" if self.activation else "")


Plain = Conv | Pool | LocalNorm | AdaptivePool | Linear | Dropout

_WINDOW = re.compile(
    r"(?P<kind>[a-z]+) (?P<kh>\d{1,3})x(?P<kw>\d{1,3})(?:/(?P<stride>\d{1,3}))?(?P<rest>(?: -?[a-z0-9]+)*)"
)
_MARKS = {
    "conv": ("valid", "norm", "bias", "linear"),
    "max": ("valid", "ceil"),
    "avg": ("valid", "ceil", "uncounted"),
}
_OTHERS = {
    "lrn": re.compile(r"lrn (\d{1,3})"),
    "adaptive": re.compile(r"adaptive (\d{1,3})x(\d{1,3})"),
    "linear": re.compile(r"linear (\d{1,6})( relu)?"),
    "dropout": re.compile(r"dropout (0(?:\.\d{1,4})?)"),
}


def parse(text: str) -> Plain:
    """Read the text form of an operation.

    ``conv KxK[/S] WIDTH [valid] [norm] [bias] [linear]``, ``max|avg KxK[/S] [valid] [ceil] [uncounted]``, ``lrn SIZE``,
    ``adaptive HxW``, ``linear WIDTH [relu]`` or ``dropout PROBABILITY``; anything else is a RequestError.
    """
    is_short = isinstance(text, str) and len(text) <= MAX_TEXT
    kind = text.split(" ")[0] if is_short else ""
    if kind in _OTHERS:
        return _parse_other(kind, text)
    if not is_short or not (match := _WINDOW.fullmatch(text)):
        raise RequestError(
            f"{repr(text)[:MAX_TEXT]} is not an operation: write 'conv 3x3/2 64 valid', 'max 3x3/2' or 'avg 3x3'"
        )
    if kind not in _MARKS:
        *most, last = (*_MARKS, *_OTHERS)
        allowed = f"{', '.join(most)} and {last}"
        raise RequestError(f"{kind!r} is not an operation: allowed are {allowed}{nearest(kind, (*most, last))}")
    marks, width = match["rest"].split(), 0
    if kind == "conv":
        if not marks or not re.fullmatch(r"-?\d+", marks[0]):
            wrong = f"{marks[0]!r} in {text!r} is no number of filters" if marks else f"{text!r} has no width"
            raise RequestError(f"{wrong}: write the number of filters after the kernel, as 'conv 3x3 64'")
        width = _checked_width(text, int(marks.pop(0)))
    for mark in marks:
        if mark not in _MARKS[kind]:
            allowed = ", ".join(_MARKS[kind])
            raise RequestError(
                f"{mark!r} in {text!r} is unknown: allowed after {kind} are {allowed}{nearest(mark, _MARKS[kind])}"
            )
    kernel, stride = (int(match["kh"]), int(match["kw"])), int(match["stride"] or 1)
    if not (all(1 <= side <= MAX_KERNEL for side in kernel) and 1 <= stride <= MAX_KERNEL):
        raise RequestError(f"{text!r}: kernel sides and strides must be 1 to {MAX_KERNEL}")
    same = "valid" not in marks
    if same and not all(side % 2 for side in kernel):
        raise RequestError(f"{text!r}: an even kernel cannot be padded evenly; add 'valid' or choose an odd one")
    if kind == "conv":
        norm, bias = "norm" in marks or "bias" not in marks, "bias" in marks
        return Conv(kernel, stride, same, width, norm, "linear" not in marks, bias)
    return Pool(kernel, stride, same, "max" if kind == "max" else "avg", "uncounted" not in marks, "ceil" in marks)


def _parse_other(kind: str, text: str) -> LocalNorm | AdaptivePool | Linear | Dropout:
    """Read an operation that is no window."""
    match = _OTHERS[kind].fullmatch(text)
    if match is None:
        forms = {"lrn": "lrn 5", "adaptive": "adaptive 4x4", "linear": "linear 1024 relu", "dropout": "dropout 0.5"}
        raise RequestError(f"{text!r} is not an operation: write it as {forms[kind]!r}")
    if kind == "linear":
        return Linear(_checked_width(text, int(match[1])), activation=match[2] is not None)
    if kind == "dropout":
        return Dropout(float(match[1]))
    sides = [int(side) for side in match.groups()]
    if not all(1 <= side <= MAX_KERNEL for side in sides):
        raise RequestError(f"{text!r}: {'sizes' if kind == 'lrn' else 'grid sides'} must be 1 to {MAX_KERNEL}")
    return LocalNorm(sides[0]) if kind == "lrn" else AdaptivePool((sides[0], sides[1]))


def _checked_width(text: str, width: int) -> int:
    if not 1 <= width <= MAX_WIDTH:
        raise RequestError(f"{text!r} has width {width}: allowed are 1 to {MAX_WIDTH}")
    return width
