"""What a model card tells beside what is exported: how good it is, how it came about, what lies beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from results.export.facts import RANDOM
from results.outcome import Direction, TrialRecord

if TYPE_CHECKING:
    from results.export.comparison import Comparison

Part = Literal["validation", "test"]
Training = Literal["proxy", "full", "unknown"]


@dataclass(frozen=True)
class Result:
    """One value that was measured on a part of the data.

    Attributes:
        name: of the quantity, as objectives are called: ``error``, ``top5_error``.
        value: in the quantity's unit; errors are fractions from 0 to 1.
        part: of the data on which it was measured.
        training: after which training: a brief one that stands for the full one, that, or one of either kind.
        conditions: whatever else it holds under, in words: ``epoch 40, averaged weights, one crop``.
    """

    name: str
    value: float
    part: Part
    training: Training
    conditions: str = ""


@dataclass(frozen=True)
class Place:
    """The study that a network comes from.

    ``number``: of its own trial. ``trials``: all of the study with values of one rung; ``objectives``: its own.
    """

    name: str
    number: int
    trials: tuple[TrialRecord, ...]
    objectives: Mapping[str, Direction]


@dataclass(frozen=True)
class CardFile:
    """A file that lies beside a card.

    Attributes:
        name: its own.
        form: ``python``, ``safetensors``, ``onnx``, ``pt2`` or ``yaml``.
        weights: what it holds: their SHA-256, ``random``, or "" where the form holds none.
        own: whether it is what the card tells of: the same weights, sizes and scaling of pictures.
        pixels: whether it takes pixels, and scales them by itself.
        precision: of weights and arithmetic.
        names: whose names its weights have; "" for our own.
    """

    name: str
    form: str
    weights: str = ""
    own: bool = True
    pixels: bool = False
    precision: str = "float32"
    names: str = ""

    @property
    def trained(self) -> bool:
        """Whether it holds weights that are not random."""
        return self.weights not in ("", RANDOM)


@dataclass(frozen=True)
class CardBackground:
    """What a card tells beside the content of an export; what is not known is left out of the card.

    Attributes:
        results: what was measured of these very weights.
        recipe: how they were trained, as a training file has it; mappings may hold mappings.
        data_name: what people call the data, a name or a folder's.
        data_on_hub: its identifier on the Hugging Face Hub, ``cifar10``; "" where it is not there.
        split: how the data were divided, in words.
        data: further facts of the data by name: pictures, licence, damage.
        place: in its study.
        curve: errors by name, as pairs of epoch and fraction, for the drawing of the training: three at most.
        files: what lies beside the card.
        compared: what was found of what has options, each beside the plain export.
        network_class: of the .py file among them, which needs it.
        license: an identifier of the Hub's list; "" where the owner has not chosen one.
    """

    results: tuple[Result, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data_name: str = ""
    data_on_hub: str = ""
    split: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    place: Place | None = None
    curve: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    files: tuple[CardFile, ...] = ()
    compared: "tuple[Comparison, ...]" = ()
    network_class: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        if self.file("python") and not self.network_class.isidentifier():
            raise ValueError(f"network_class is {self.network_class!r}: name the class in {self.file('python')}")

    def file(self, form: str) -> str:
        """Return the name of a form's file, ``python``, ``onnx``, the plain one if it is there; else ""."""
        found = self.loadable(form)
        return "" if found is None else found.name

    def loadable(self, form: str) -> CardFile | None:
        """Return the file of a form with which its user begins; None where there is none that the card tells of."""
        mine = [file for file in self.files if file.form == form and file.own and not file.names]
        return min(mine, key=lambda file: (file.pixels, file.precision != "float32", file.name), default=None)
