"""What predicted probabilities are worth: top-1, top-5, calibration, and a table of the classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

TOP = 5
BINS = 15  # of confidence, as in arXiv 1706.04599


@dataclass(frozen=True)
class ClassScore:
    """One class of ``pictures`` pictures.

    ``recall``: the share of them that is recognised. ``precision``: of what is taken for the class, the share that is
    it. Both are None where there is nothing. ``taken_for``: the class that it is mistaken for most often.
    """

    name: str
    pictures: int
    recall: float | None
    precision: float | None
    taken_for: str | None


@dataclass(frozen=True)
class Scores:
    """How predictions do on ``pictures`` pictures; errors are shares, 0 to 1.

    ``top5_error``: the true class is not among the five most probable ones (None with five classes or fewer). ``loss``:
    mean cross-entropy in nats. ``calibration_error``: expected calibration error over 15 bins of confidence, the mean
    distance of confidence and accuracy (Guo et al., arXiv 1706.04599, section 2).
    """

    pictures: int
    top1_error: float
    top5_error: float | None
    loss: float
    calibration_error: float
    classes: tuple[ClassScore, ...]

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def score_probabilities(probabilities: Tensor, labels: Tensor, classes: Sequence[str]) -> Scores:
    """Score probabilities, float (N, K), against labels, int64 (N,), of the K ``classes``."""
    count, width = probabilities.shape
    probabilities, labels = probabilities.double(), labels.to(probabilities.device)
    confidence, predicted = probabilities.max(1)
    right = predicted == labels
    of_truth = probabilities.gather(1, labels[:, None]).clamp_min(torch.finfo(torch.float32).tiny)
    top5 = None
    if width > TOP:
        top5 = 1 - (probabilities.topk(TOP, 1).indices == labels[:, None]).any(1).double().mean().item()
    return Scores(
        pictures=count,
        top1_error=1 - right.double().mean().item(),
        top5_error=top5,
        loss=-of_truth.log().mean().item(),
        calibration_error=_calibration_error(confidence, right),
        classes=_per_class(predicted, labels, classes),
    )


def _calibration_error(confidence: Tensor, right: Tensor) -> float:
    bins = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)  # each bin holds its upper end
    distance = torch.zeros(BINS, dtype=torch.float64, device=confidence.device)
    distance.index_add_(0, bins, right.double() - confidence)
    return distance.abs().sum().item() / len(confidence)


def _per_class(predicted: Tensor, labels: Tensor, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    width = len(classes)
    table = torch.bincount(labels * width + predicted, minlength=width * width).reshape(width, width)
    found = []
    for index, name in enumerate(classes):
        pictures, taken, hits = (int(n) for n in (table[index].sum(), table[:, index].sum(), table[index, index]))
        wrong = table[index].clone()
        wrong[index] = 0
        mistaken = classes[int(wrong.argmax())] if wrong.any() else None
        found.append(
            ClassScore(name, pictures, hits / pictures if pictures else None, hits / taken if taken else None, mistaken)
        )
    return tuple(found)
