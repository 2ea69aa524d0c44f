"""Momentum as torch has it, plain and Nesterov's, on the recipe's long tensors."""

import pytest
import torch
from torch import nn

from search_spaces.errors import RequestError
from trainers.flat import Flat
from trainers.named_recipes import recipe_fields
from trainers.optimizer import make
from trainers.recipe import Recipe


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 4, 3))


def trained(recipe: Recipe | None, *, momentum: float, nesterov: bool) -> list[torch.Tensor]:
    """The parameters after five steps: by the recipe, or by torch's SGD on each parameter, in float64."""
    of = network().double()
    params = list(of.parameters())
    if recipe is None:
        decaying, others = ([each for each in params if (each.ndim > 1) == decays] for decays in (True, False))
        groups = [{"params": decaying, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        steps = torch.optim.SGD(groups, 0.1, momentum=momentum, nesterov=nesterov)
    else:
        steps = make(recipe, Flat(of))  # type: ignore[assignment]
    pictures = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()
    for _ in range(5):
        for param in of.parameters():
            if param.grad is not None:
                param.grad.zero_()
        of(nn.functional.pad(pictures, (1, 1, 1, 1))[:, :, :4, :4]).square().sum().backward()
        steps.step()
    return [param.detach().clone() for param in of.parameters()]


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, False), (0.9, True), (0.0, True), (0.0, False)])
def test_momentum_is_torch_s(momentum: float, nesterov: bool) -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, momentum=momentum, nesterov=nesterov, weight_decay=0.01)
    ours = trained(recipe, momentum=momentum, nesterov=nesterov)
    theirs = trained(None, momentum=momentum, nesterov=nesterov and momentum > 0)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def test_the_look_ahead_makes_a_difference() -> None:
    plain, ahead = (trained(None, momentum=0.9, nesterov=nesterov) for nesterov in (False, True))
    assert not torch.allclose(plain[0], ahead[0], rtol=1e-3)


def test_the_papers_momentum_is_plain_and_a_recipe_s_own_looks_ahead() -> None:
    assert recipe_fields("googlenet")["nesterov"] is False
    assert recipe_fields("inception-v2")["nesterov"] is False
    assert Recipe().nesterov is True
    with pytest.raises(RequestError, match="nesterov is 1: "):
        Recipe(nesterov=1)  # type: ignore[arg-type]
