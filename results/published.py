"""What the papers of the Inception family printed for ImageNet: errors of trainings that were never repeated here.

All of it is from "Rethinking the Inception Architecture for Computer Vision" (arXiv 1512.00567), tables 3 to 5, which
also quote the others' results. Errors are those of one crop, of many, or of an ensemble: three ways of testing, which
are kept apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.seeds import seed

CLASSES = 1000  # of ImageNet's competition
PAPER = "arXiv 1512.00567"

Tested = Literal["single crop", "multi-crop", "ensemble"]


@dataclass(frozen=True)
class Published:
    """One row of a table.

    ``top1``, ``top5``: errors as fractions, None where the table has none. ``seed``: the published network here that
    is the one of the row when it is tested, None where there is none. ``macs``: what the table prints, where it is
    no seed. ``crops``: how many pictures, of how many networks, one answer is averaged over, in words.
    """

    name: str
    tested: Tested
    crops: str
    top1: float | None
    top5: float | None
    table: str
    seed: str | None = None
    macs: float | None = None

    @property
    def source(self) -> str:
        """Paper and table."""
        return f"{PAPER}, {self.table}"

    def error(self, objective: str) -> float | None:
        """What it says of an objective; None where that is neither the top-1 nor the top-5 error."""
        return {"error": self.top1, "top1_error": self.top1, "top5_error": self.top5}.get(objective)

    def cost(self, name: str) -> float | None:
        """A cost of one network for one picture: counted here of the seed, at its own size; else as printed, or None.

        Its own size, since that is the one at which it was tested: GoogLeNet and BN-Inception at 224 px.
        """
        if self.seed is None:
            return self.macs if name == "macs" else None
        return _counted(self.seed).get(name)


@lru_cache(maxsize=16)
def _counted(name: str) -> Mapping[str, int | None]:
    return cost(seed(name), classes=CLASSES).as_data()


def _single(name: str, top1: float, top5: float | None, **known: Any) -> Published:
    five = None if top5 is None else round(top5 / 100, 6)
    return Published(name, "single crop", "1 crop", round(top1 / 100, 6), five, "Table 3", **known)


def _multi(name: str, crops: str, top1: float | None, top5: float, **known: Any) -> Published:
    one = None if top1 is None else round(top1 / 100, 6)
    return Published(name, "multi-crop", crops, one, round(top5 / 100, 6), "Table 4", **known)


POINTS = (
    _single("GoogLeNet", 29.0, 9.2, seed="googlenet"),
    _single("BN-GoogLeNet", 26.8, None, macs=1.5e9),
    _single("BN-Inception", 25.2, 7.8, seed="bn-inception"),
    # The rows from here to the last are steps on the way to Inception-v3: with a whole 7x7 in the stem, they are none
    # of the seeds; the last but one differs from the last in its auxiliary head alone, which is gone when it is tested.
    _single("Inception-v2 of the table", 23.4, None, macs=3.8e9),
    _single("Inception-v2, RMSProp", 23.1, 6.3, macs=3.8e9),
    _single("Inception-v2, RMSProp, label smoothing", 22.8, 6.1, macs=3.8e9),
    _single("Inception-v3 without a normalised auxiliary head", 21.6, 5.8, seed="inception-v3"),
    _single("Inception-v3", 21.2, 5.6, seed="inception-v3"),
    _multi("GoogLeNet", "10 crops", None, 9.15, seed="googlenet"),
    _multi("GoogLeNet", "144 crops", None, 7.89, seed="googlenet"),
    _multi("VGG", "crops not given", 24.4, 6.8),
    _multi("BN-Inception", "144 crops", 21.99, 5.82, seed="bn-inception"),
    _multi("PReLU", "10 crops", 24.27, 7.38),
    _multi("PReLU", "dense", 21.59, 5.71),
    _multi("Inception-v3", "12 crops", 19.47, 4.48, seed="inception-v3"),
    _multi("Inception-v3", "144 crops", 18.77, 4.2, seed="inception-v3"),
    Published("Inception-v3", "ensemble", "4 networks, 144 crops each", 0.172, 0.0358, "Table 5", seed="inception-v3"),
)


def comparable_with(search: Mapping[str, Any], classes: int, *, asked: bool | None = None) -> tuple[Published, ...]:
    """Return the points that may be laid over a study's front: all of them where its target is ImageNet, else none.

    That is: 1000 classes, and data whose name has "imagenet" in it. ``asked`` True takes the user's word for the data;
    with other classes it is a RequestError. False: none.
    """
    if asked and classes != CLASSES:
        raise RequestError(
            f"the published results are those of ImageNet's {CLASSES:,} classes, and this study's target has "
            f"{classes:,}: leave --published out"
        )
    data = search.get("data")
    source = data.get("source") if isinstance(data, dict) else data
    named = isinstance(source, str) and "imagenet" in Path(source).name.lower()
    return POINTS if asked or (asked is None and named and classes == CLASSES) else ()
