"""The recipe of a training: what a user writes under ``recipe`` in a search file. Imports no torch."""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, ClassVar, Literal

from search_spaces.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: every part of 1512.00567's recipe (section 8), each with its switch.

    Raises RequestError for a value out of range.

    - ``epochs``: passes over the training part; the horizon of the cosine schedule.
    - ``optimizer``: ``rmsprop`` as the paper's framework had it (trainers/optimizer.py), with ``rmsprop_decay`` and
      ``rmsprop_epsilon``, or ``sgd``. ``momentum`` belongs to both, ``nesterov`` (its look ahead) to ``sgd``.
    - ``weight_decay``: on weights of convolutions and linear layers; batch norms and biases are left alone.
    - ``schedule``: ``exponential`` multiplies the rate by ``decay_factor`` every ``decay_every`` epochs (paper: 0.94
      and 2), ``cosine`` falls to zero over ``epochs``, ``constant`` stays. ``warmup_epochs`` of linear rise come first.
    - ``label_smoothing``: the share given evenly to all classes (paper: 0.1).
    - ``dropout``: in place of the architecture's own (null), which suits the full network and starves narrow proxies.
    - ``initialisation``: ``published`` draws the classifier's weights with the deviation 0.1 of all others, ``gentle``
      with 0.01: with 0.1 a proxy began with a loss of 3 nats instead of 2.3, and lost an epoch over it.
    - ``aux_weight``: of the auxiliary heads' losses, where a network has such heads (released code: 0.4).
    - ``gradient_clip``: the largest norm of the gradient, or null (paper: 2.0).
    - ``average``: decay per step of the running average of parameters and statistics that is evaluated, or null
      (released code: 0.9999); it starts low and rises with the steps: short trainings average over their last tenth.
    - ``precision``: ``float32``, ``bfloat16`` (autocast) or ``auto``: bfloat16 on GPUs, float32 on CPUs.
    - ``channels_last``: the memory layout; ``auto``: wherever convolutions run faster with it, which is everywhere.
    - ``shift``: pictures are moved at random by up to so many pixels (a random crop of the padded picture).
    - ``flip``: half of the pictures, at random, are mirrored left to right.
    - ``resized_crop``: a random part of each picture, of at least this share of its area and a ratio of 3/4 to 4/3, is
      what the network sees (1409.4842 section 6: 0.08), or null.
    - ``colour``: brightness, contrast and saturation are multiplied at random by 1 +- up to this (0.4 is usual).
    """

    # Read by pydantic where a search file's model nests this class; pydantic itself is not needed here. A strict
    # dataclass takes fields from JSON but not from a dict: validate with ``model_validate_json``.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    epochs: int = 6
    batch_size: int = 32
    optimizer: Literal["rmsprop", "sgd"] = "rmsprop"
    learning_rate: float = 0.045
    momentum: float = 0.9
    nesterov: bool = True
    rmsprop_decay: float = 0.9
    rmsprop_epsilon: float = 1.0
    weight_decay: float = 4e-5
    schedule: Literal["exponential", "cosine", "constant"] = "exponential"
    decay_factor: float = 0.94
    decay_every: float = 2.0
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.1
    dropout: float | None = None
    initialisation: Literal["published", "gentle"] = "gentle"
    aux_weight: float = 0.4
    gradient_clip: float | None = 2.0
    average: float | None = 0.9999
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: Literal["auto"] | bool = "auto"
    shift: int = 0
    flip: bool = False
    resized_crop: float | None = None
    colour: float = 0.0

    def __post_init__(self) -> None:
        self._check("epochs", 1, 100_000)
        self._check("batch_size", 2, 65_536)  # batch norm needs two
        self._check("learning_rate", 0, 1_000, above=True)
        self._check("momentum", 0, 1, below=True)
        self._check("rmsprop_decay", 0, 1, below=True)
        self._check("rmsprop_epsilon", 0, 1_000, above=True)
        self._check("weight_decay", 0, 1)
        self._check("decay_factor", 0, 1, above=True)
        self._check("decay_every", 0, 100_000, above=True)
        self._check("warmup_epochs", 0, 100_000)
        self._check("label_smoothing", 0, 1, below=True)
        self._check("aux_weight", 0, 10)
        self._check("shift", 0, 64)
        self._check("colour", 0, 1)
        if self.resized_crop is not None:
            self._check("resized_crop", 0, 1, above=True)
        if self.gradient_clip is not None:
            self._check("gradient_clip", 0, 1e9, above=True)
        if self.dropout is not None:
            self._check("dropout", 0, 1, below=True)
        if self.average is not None:
            self._check("average", 0, 1, below=True)
        self._choice("optimizer", "rmsprop", "sgd")
        self._choice("schedule", "exponential", "cosine", "constant")
        self._choice("initialisation", "published", "gentle")
        self._choice("precision", "auto", "float32", "bfloat16")
        self._choice("channels_last", "auto", True, False)
        self._choice("flip", True, False)
        self._choice("nesterov", True, False)
        if self.warmup_epochs >= self.epochs:
            raise RequestError(
                f"warmup_epochs is {self.warmup_epochs:g} in a training of {self.epochs} epochs:"
                " it must be shorter than the training; lower it or raise epochs",
                ("warmup_epochs",),
            )

    @property
    def depends_on_epochs(self) -> bool:
        """Whether a training of other ``epochs`` differs from the first one on: else it only ends sooner or later."""
        return self.schedule == "cosine"

    def in_effect(self) -> dict[str, Any]:
        """Return the fields without those that nothing reads: of another optimizer, another schedule, or no change."""
        idle = {"rmsprop_decay", "rmsprop_epsilon"} if self.optimizer != "rmsprop" else {"nesterov"}
        idle |= {"decay_factor", "decay_every"} if self.schedule != "exponential" else set()
        idle |= {name for name in ("warmup_epochs", "shift", "colour") if not getattr(self, name)}
        idle |= {name for name in ("dropout", "resized_crop") if getattr(self, name) is None}
        return {name: value for name, value in asdict(self).items() if name not in idle}

    @property
    def classifier_deviation(self) -> float:
        """The deviation with which the weights of the classifier are drawn."""
        return 0.1 if self.initialisation == "published" else 0.01

    def half_on(self, device_type: str) -> bool:
        """Whether a training on a ``cpu`` or ``cuda`` device computes in bfloat16 (see trainers/precision.py)."""
        return device_type == "cuda" if self.precision == "auto" else self.precision == "bfloat16"

    def _check(self, name: str, low: float, high: float, *, above: bool = False, below: bool = False) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not number or not low <= value <= high or (above and value == low) or (below and value == high):
            bounds = f"{'more than' if above else 'from'} {low:g} {'and less than' if below else 'to'} {high:g}"
            raise RequestError(f"{name} is {value!r}: a number {bounds} is allowed; change it in the recipe", (name,))
        if isinstance(type(self).__dataclass_fields__[name].default, int) and not isinstance(value, int):
            raise RequestError(f"{name} is {value!r}: a whole number is allowed; change it in the recipe", (name,))

    def _choice(self, name: str, *allowed: object) -> None:
        value = getattr(self, name)
        if not any(value == each and type(value) is type(each) for each in allowed):  # 1 equals True
            choices = ", ".join(str(choice) for choice in allowed)
            raise RequestError(f"{name} is {value!r}: allowed are {choices}; change it in the recipe", (name,))


def check_shares(batch_size: int, workers: int) -> None:
    """Raise RequestError where a batch cannot be shared evenly, at least two pictures (for the batch norms) each."""
    if batch_size % workers or batch_size < 2 * workers:
        raise RequestError(
            f"a batch of {batch_size} cannot be shared evenly by {workers} workers, two pictures each or more: "
            f"set recipe.batch_size to a multiple of {workers}, {2 * workers} or more"
        )
