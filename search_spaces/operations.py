"""The operations of a graph: one class each, with its output shape, its parameters and its multiply-adds side by side.

Costs follow one convention everywhere: a multiply-add counts once, and only convolutions and linear layers have any.
Text forms such as ``conv 3x3/2 32 valid`` are what architecture files are written in.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from search_spaces.errors import RequestError, ResolutionError, nearest

MAX_WIDTH = 65_536  # far beyond any published network; keeps a typing error from asking for terabytes
MAX_KERNEL = 31


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


def _side(size: int, kernel: int, stride: int, padding: int) -> int:
    """floor((size + 2 padding - kernel) / stride) + 1."""
    side = (size + 2 * padding - kernel) // stride + 1
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
        return _side(shape.height, kh, self.stride, ph), _side(shape.width, kw, self.stride, pw)

    @property
    def window_text(self) -> str:
        """``3x3`` or ``3x3/2``."""
        stride = f"/{self.stride}" if self.stride != 1 else ""
        return f"{self.kernel[0]}x{self.kernel[1]}{stride}"


@dataclass(frozen=True, slots=True)
class Conv(Window):
    """A convolution with what belongs to it: batch norm (or a bias instead) and a ReLU (unless ``linear``)."""

    width: int = 1
    norm: bool = True
    activation: bool = True

    def __post_init__(self) -> None:
        if not self.spatial:  # a 1x1 window has nothing to pad: one form for both, so that equal operations are equal
            object.__setattr__(self, "same", True)

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """width x grid."""
        return Shape(self.width, *self.grid(inputs[0]))

    def params(self, inputs: Sequence[Shape]) -> int:
        """kh kw C_in C_out + (2 C_out for the norm, or C_out for the bias)."""
        kh, kw = self.kernel
        return (kh * kw * inputs[0].channels + (2 if self.norm else 1)) * self.width

    def macs(self, inputs: Sequence[Shape]) -> int:
        """kh kw C_in per output element."""
        kh, kw = self.kernel
        return kh * kw * inputs[0].channels * self.output(inputs).elements

    @property
    def spatial(self) -> bool:
        """Whether the kernel sees neighbours: larger than 1 x 1."""
        return self.kernel != (1, 1)

    def text(self) -> str:
        """``conv 3x3/2 32 valid``."""
        marks = ("" if self.same else " valid") + ("" if self.norm else " bias")
        return f"conv {self.window_text} {self.width}{marks}" + ("" if self.activation else " linear")


@dataclass(frozen=True, slots=True)
class Pool(Window):
    """A max or average pool. ``counted``: zeros of the padding count in an average (torchvision's and timm's way)."""

    kind: Literal["max", "avg"] = "max"
    counted: bool = True

    def __post_init__(self) -> None:
        if self.kind == "max":  # zeros of the padding never count there: one form for both
            object.__setattr__(self, "counted", True)

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """C_in x grid."""
        return Shape(inputs[0].channels, *self.grid(inputs[0]))

    def text(self) -> str:
        """``avg 3x3`` or ``max 3x3/2 valid``."""
        marks = ("" if self.same else " valid") + ("" if self.counted else " uncounted")
        return f"{self.kind} {self.window_text}{marks}"


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
        """Sum of the channels; all grids must be equal."""
        grids = {(shape.height, shape.width) for shape in inputs}
        if len(grids) != 1:
            found = " and ".join(sorted(f"{height} x {width}" for height, width in grids))
            raise RequestError(
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
    """A fully connected layer with bias on the flattened input."""

    width: int

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
        """``linear 1000``."""
        return f"linear {self.width}"


_FORM = re.compile(
    r"(?P<kind>[a-z]+) (?P<kh>\d{1,3})x(?P<kw>\d{1,3})(?:/(?P<stride>\d{1,3}))?(?P<rest>(?: [a-z0-9]+)*)"
)
_MARKS = {"conv": ("valid", "bias", "linear"), "max": ("valid",), "avg": ("valid", "uncounted")}


def parse(text: str) -> Conv | Pool:
    """Read ``conv KxK[/S] WIDTH [valid] [bias] [linear]`` or ``max|avg KxK[/S] [valid] [uncounted]``."""
    if not isinstance(text, str) or not (match := _FORM.fullmatch(text)):
        raise RequestError(f"{text!r} is not an operation: write 'conv 3x3/2 64 valid', 'max 3x3/2' or 'avg 3x3'")
    kind, marks = match["kind"], match["rest"].split()
    if kind not in _MARKS:
        raise RequestError(f"{kind!r} is not an operation: allowed are conv, max and avg{nearest(kind, _MARKS)}")
    width = 0
    if kind == "conv":
        if not marks or not marks[0].isdigit():
            raise RequestError(f"{text!r} has no width: write the number of filters after the kernel, as 'conv 3x3 64'")
        width = int(marks.pop(0))
        if not 1 <= width <= MAX_WIDTH:
            raise RequestError(f"{text!r} has width {width}: allowed are 1 to {MAX_WIDTH}")
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
        return Conv(kernel, stride, same, width, "bias" not in marks, "linear" not in marks)
    return Pool(kernel, stride, same, "max" if kind == "max" else "avg", "uncounted" not in marks)
