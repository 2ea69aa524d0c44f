"""Scores without training: against what they are defined as, on small networks and on architectures of the family."""

import math

import pytest
import torch
from torch import nn

from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers.network import build
from trainers.training_free import SCORES, gradient_norm, naswot, synflow

PICTURES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 4


def _network(width: float = 0.0625, random_seed: int = 0) -> nn.Module:
    graph = proxy(seed("inception-v3"), 16, width).graph(16, classes=4)
    return build(graph, initialise=random_seed)


class Product(nn.Module):
    """Two linear maps without activation: everything can be written out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


def test_synflow_of_two_linear_maps() -> None:
    """Each map's saliencies sum to the flow, the sum over all paths of the product of absolute weights."""
    network = Product()
    flow = (network.second.weight.abs() @ network.first.weight.abs()).sum().item()
    assert synflow(network, torch.randn(5, 3), torch.zeros(5)) == pytest.approx(math.log(2 * flow), rel=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_scores_leave_the_weights_and_depend_on_them(name: str) -> None:
    network = _network()
    before = {key: tensor.clone() for key, tensor in network.named_parameters()}
    first = SCORES[name](network, PICTURES, LABELS)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.named_parameters())
    assert math.isfinite(first)
    assert SCORES[name](_network(), PICTURES, LABELS) == first
    assert SCORES[name](_network(random_seed=1), PICTURES, LABELS) != first


def test_gradient_norm_is_that_of_autograd() -> None:
    network, pictures = _network().double(), PICTURES.double()
    found = gradient_norm(network, pictures, LABELS)
    again = _network().double().train()
    again.get_submodule("head.dropout").eval()
    loss = nn.functional.cross_entropy(again(pictures), LABELS)
    gradients = torch.autograd.grad(loss, list(again.parameters()))
    assert found == pytest.approx(torch.cat([g.flatten() for g in gradients]).norm().item(), rel=1e-9)


def test_naswot_of_one_layer() -> None:
    """The kernel counts, for each pair of pictures, the units on which they agree."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(3, 64), nn.ReLU())
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    active = layer[0](x) > 0
    kernel = [[int((one == two).sum()) for two in active] for one in active]
    expected = torch.linalg.slogdet(torch.tensor(kernel, dtype=torch.float64)).logabsdet.item()
    assert naswot(layer, x, torch.zeros(6)) == pytest.approx(expected)


def test_naswot_sees_every_rectified_unit_of_a_network() -> None:
    """Equal pictures agree everywhere, so that the kernel's entries are the number of units of all rectified nodes."""
    from trainers.training_free import _Active

    graph = proxy(seed("inception-v3"), 16, 0.0625).graph(16, classes=4)
    with torch.no_grad(), _Active() as active:
        build(graph, initialise=0).eval()(PICTURES)
    units = sum(node.shape.elements for node in graph if getattr(node.operation, "activation", False))
    assert sum(code.shape[1] for code in active.codes) == units


def test_pictures_that_cannot_be_told_apart_are_no_score() -> None:
    with pytest.raises(ValueError, match="naswot is -inf"):
        naswot(nn.Sequential(nn.Linear(3, 16), nn.ReLU()), torch.ones(2, 3), torch.zeros(2))
