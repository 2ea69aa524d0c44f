"""Scores: shares of wrong answers, in evaluation mode, and the test part only at the end."""

import math

import pytest
import torch

from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.operations import Conv
from trainers import data, evaluate
from trainers.crops import views
from trainers.network import Network, build
from trainers.precision import Precision

CPU = Precision(torch.device("cpu"))
TINY = Architecture("tiny", (Conv((3, 3), width=4),), (Stage((Module(((Conv((1, 1), width=4),),)),)),), resolution=12)


class Fixed(torch.nn.Module):
    """Predicts the class that the first pixel names; a class more while training."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * torch.nn.functional.one_hot((x[:, 0, 0, 0].long() + self.training) % 4, 4).float()


def scored(predicted: list[int], truth: list[int]) -> evaluate.Score:
    pictures = torch.tensor(predicted).float()[:, None, None, None].expand(-1, 1, 2, 2)
    network: Network = Fixed()  # type: ignore[assignment]
    halves = zip(pictures.split(256), torch.tensor(truth).split(256), strict=True)
    score = evaluate.score(network, halves, CPU)
    assert network.training
    return score


def test_error_is_the_share_of_wrong_answers() -> None:
    score = scored([0, 1, 2, 3], [0, 1, 2, 0])
    assert score.error == 0.25
    assert score.pictures == 4
    right = math.log(1 + 3 * math.exp(-10))
    assert score.loss == pytest.approx((3 * right + right + 10) / 4, rel=1e-5)


def test_more_pictures_than_one_batch() -> None:
    count = 2 * 256 + 5
    assert scored([1] * count, [1] * (count - 1) + [0]).error == pytest.approx(1 / count)


@pytest.mark.parametrize(("pictures", "calls"), [(1, 5), (3, 15), (40, 144)])
def test_crops_of_few_pictures_go_through_the_network_together(
    monkeypatch: pytest.MonkeyPatch, pictures: int, calls: int
) -> None:
    """And come to what each of them comes to alone."""
    graph = TINY.graph(12, classes=3, channels=1)
    member = evaluate.Member(build(graph, initialise=0).state_dict(), evaluate.PixelScale([0.3], [0.7], 1.0))
    drawn = torch.rand(pictures, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    seen: list[int] = []
    probabilities = evaluate._Placed.probabilities

    def spied(placed: evaluate._Placed, view: torch.Tensor) -> torch.Tensor:
        seen.append(len(view))
        return probabilities(placed, view)

    monkeypatch.setattr(evaluate._Placed, "probabilities", spied)
    batches = [(drawn, torch.zeros(pictures, dtype=torch.int64))]
    found, _ = evaluate.predict(graph, [member], batches, resolution=12, crops=144, precision=CPU)
    assert (len(seen), sum(seen)) == (calls, 144 * pictures)
    assert max(seen) <= max(evaluate.CROPS_AT_ONCE, pictures)
    placed = evaluate._Placed(graph, member, CPU)
    with torch.inference_mode():
        alone = torch.stack([probabilities(placed, view) for view in views(drawn, 12, 144)]).mean(0)
    torch.testing.assert_close(found, alone)


def test_final_scores_the_test_part(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = data.load("digits")
    network: Network = Fixed()  # type: ignore[assignment]
    asked: list[data.DataSet] = []
    test = data.test_part(digits)
    monkeypatch.setattr(evaluate, "test_part", lambda dataset: asked.append(dataset) or test)
    zero = torch.nn.functional.one_hot(torch.tensor(0), 10).float()
    monkeypatch.setattr(Fixed, "forward", lambda self, x: zero.expand(len(x), 10))
    score = evaluate.final(network, digits, CPU)
    assert asked == [digits]
    assert score.pictures == len(test) == 1797 - len(digits.train) - len(digits.validation)
    assert score.error == pytest.approx((test.labels != 0).float().mean().item())
