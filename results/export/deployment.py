"""How a network computes in a file that runs: number format, memory layout, and whether it scales pictures itself."""

from dataclasses import dataclass
from typing import Literal

from search_spaces.errors import RequestError

Precision = Literal["float32", "float16", "bfloat16", "int8-dynamic", "int8-static"]
FORMS = ("python", "safetensors", "onnx", "pt2", "yaml", "card")
# What a form can be had in; a form that is not here is weights and source, and is what its user makes of it.
PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "onnx": ("float32", "float16", "int8-dynamic", "int8-static"),
    "pt2": ("float32", "float16", "bfloat16"),
}


@dataclass(frozen=True)
class Deployment:
    """Options of a file that runs; as it comes it is the plain export. Pictures and logits are float32 always.

    Attributes:
        precision: of weights and arithmetic. int8-dynamic: weights alone, and the ranges of activations as they come;
            int8-static: both, by ranges taken from calibration pictures.
        channels_last: height, width, channels in memory, whatever the layout of the pictures that come.
        pixels: pictures go in with values from 0 to white, and the graph scales them.
    """

    precision: Precision = "float32"
    channels_last: bool = False
    pixels: bool = False

    @property
    def plain(self) -> bool:
        """Whether nothing is asked for."""
        return self == PLAIN

    @property
    def suffix(self) -> str:
        """Of file names: ``_float16_pixels``."""
        words = [] if self.precision == "float32" else [self.precision.replace("-", "_")]
        words += ["channels_last"] if self.channels_last else []
        words += ["pixels"] if self.pixels else []
        return "".join(f"_{word}" for word in words)

    @property
    def words(self) -> str:
        """What the arithmetic is: ``bfloat16, channels last``."""
        return f"{self.precision}, channels last" if self.channels_last else self.precision

    @property
    def option(self) -> str:
        """Of the command, for an error: the first that is asked for."""
        if self.precision != "float32":
            return f"--precision {self.precision}"
        return "--channels-last" if self.channels_last else "--pixels"

    @property
    def forms(self) -> tuple[str, ...]:
        """In which it can be had; empty where what is asked for goes together in none."""
        return tuple(
            form
            for form, precisions in PRECISIONS.items()
            if self.precision in precisions and (form == "pt2" or not self.channels_last)
        )

    def check(self, form: str) -> None:
        """Raise RequestError where a form cannot be had so."""
        allowed = PRECISIONS.get(form)
        if allowed is None:
            if not self.plain:
                raise RequestError(
                    f"{self.option} is of files that run by themselves: it goes with --to {' or '.join(PRECISIONS)}, "
                    f"not with {form}"
                )
        elif self.precision not in allowed:
            raise RequestError(f"--to {form} can be had in {', '.join(allowed)}, not in {self.precision}")
        elif self.channels_last and form != "pt2":
            raise RequestError(
                f"--channels-last is of torch, and runtimes of {form} choose their layout: leave it out, or name pt2"
            )


PLAIN = Deployment()
