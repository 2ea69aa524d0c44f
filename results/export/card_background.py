"""What a model card tells beside what is exported: how good it is, how it came about, what lies beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from results.export.deployment import PLAIN, Deployment
from results.outcome import Direction, TrialRecord

if TYPE_CHECKING:
    from results.export.comparison import Comparison

FORMS = {".py": "python", ".safetensors": "safetensors", ".onnx": "onnx", ".pt2": "pt2", ".yaml": "yaml"}

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
        files: names of the files that lie beside the card.
        deployment: options that some of them have.
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
    files: tuple[str, ...] = ()
    deployment: Deployment = PLAIN
    compared: "tuple[Comparison, ...]" = ()
    network_class: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        if self.file("python") and not self.network_class.isidentifier():
            raise ValueError(f"network_class is {self.network_class!r}: name the class in {self.file('python')}")

    def file(self, form: str) -> str:
        """Return the name of the first file of a form, ``python``, ``onnx``, the plain one if it is there; else ""."""
        return next((name for name in self.files if FORMS.get(name[name.rfind(".") :]) == form), "")
