"""Recipes: what is allowed, how pydantic takes them, and the optimisers and schedules that they ask for."""

import json
import math
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ValidationError

from search_spaces.errors import RequestError
from trainers import optimizer
from trainers.flat import Flat
from trainers.optimizer import RMSProp
from trainers.recipe import Recipe


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0: a number from 1 to 100000 is allowed"),
        ({"epochs": 2.5}, "epochs is 2.5: a whole number is allowed"),
        ({"batch_size": 1}, "batch_size is 1: a number from 2"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0: a number more than 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"learning_rate": True}, "learning_rate is True"),
        ({"momentum": 1.0}, "momentum is 1.0: a number from 0 and less than 1"),
        ({"rmsprop_epsilon": -1.0}, "rmsprop_epsilon is -1.0"),
        ({"gradient_clip": 0.0}, "gradient_clip is 0.0"),
        ({"average": 1.5}, "average is 1.5"),
        ({"optimizer": "adam"}, "optimizer is 'adam': allowed are rmsprop, sgd"),
        ({"schedule": "step"}, "schedule is 'step': allowed are exponential, cosine, constant"),
        ({"flip": 1}, "flip is 1: allowed are True, False"),
        ({"initialisation": "he"}, "initialisation is 'he': allowed are published, gentle"),
        ({"epochs": 2, "warmup_epochs": 2.0}, "warmup_epochs is 2 in a training of 2 epochs"),
    ],
)
def test_values_out_of_range_are_refused_with_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        Recipe(**fields)


def test_what_nothing_reads_is_not_in_effect() -> None:
    cosine = Recipe(optimizer="sgd", schedule="cosine", dropout=0.0, shift=2).in_effect()
    assert not {"decay_factor", "decay_every", "rmsprop_decay", "rmsprop_epsilon", "warmup_epochs"} & cosine.keys()
    assert (cosine["nesterov"], cosine["dropout"], cosine["shift"]) == (True, 0.0, 2)
    paper = Recipe().in_effect()
    assert {"decay_factor", "decay_every", "rmsprop_decay", "rmsprop_epsilon"} <= paper.keys()
    assert not {"nesterov", "dropout", "shift", "colour", "resized_crop"} & paper.keys()


class File(BaseModel):
    recipe: Recipe


def test_pydantic_nests_it_strictly() -> None:
    fields = {"learning_rate": 1, "average": None, "channels_last": False, "epochs": 3, "warmup_epochs": 1}
    recipe = File.model_validate_json(json.dumps({"recipe": fields})).recipe
    assert recipe == Recipe(learning_rate=1.0, average=None, channels_last=False, epochs=3, warmup_epochs=1.0)
    for wrong in ({"epoch": 3}, {"epochs": "3"}, {"epochs": 3.0}, {"shift": True}, {"learning_rate": "0.1"}):
        with pytest.raises(ValidationError):
            File.model_validate_json(json.dumps({"recipe": wrong}))
    with pytest.raises(ValidationError, match=r"momentum is 2\.0: a number from 0 and less than 1 is allowed"):
        File.model_validate_json('{"recipe": {"momentum": 2}}')


def scalar_rmsprop(
    weight: float, gradients: list[float], rate: float, decay: float, epsilon: float, momentum: float
) -> float:
    square, step = 1.0, 0.0
    for gradient in gradients:
        square = decay * square + (1 - decay) * gradient * gradient
        step = momentum * step + rate * gradient / math.sqrt(square + epsilon)
        weight -= step
    return weight


@pytest.mark.parametrize("epsilon", [1.0, 1e-3])
def test_rmsprop_is_the_papers(epsilon: float) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    weight = torch.nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))
    scalar = torch.nn.Parameter(weight.detach()[:2].clone())
    expected = [
        scalar_rmsprop(start, column.tolist(), 0.045, 0.9, epsilon, 0.8)
        for start, column in zip(weight.tolist(), gradients.T, strict=True)
    ]
    ours = RMSProp([weight, scalar], 0.045, decay=0.9, epsilon=epsilon, momentum=0.8)
    for gradient in gradients:
        weight.grad, scalar.grad = gradient.clone(), gradient[:2].clone()
        ours.step()
    torch.testing.assert_close(weight.tolist(), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(scalar.tolist(), expected[:2], rtol=1e-12, atol=0)


def test_rmsprop_is_not_torchs() -> None:
    def after(kind: type[torch.optim.Optimizer], **options: float) -> float:
        weight = torch.nn.Parameter(torch.tensor(1.0))
        stepper = kind([weight], lr=0.1, **options)  # type: ignore[call-arg]
        for gradient in (0.5, 0.25, -1.0):
            weight.grad = torch.tensor(gradient)
            stepper.step()
        return weight.item()

    ours = after(RMSProp, decay=0.9, epsilon=1.0, momentum=0.9)
    theirs = after(torch.optim.RMSprop, alpha=0.9, eps=1.0, momentum=0.9)
    assert ours == pytest.approx(scalar_rmsprop(1.0, [0.5, 0.25, -1.0], 0.1, 0.9, 1.0, 0.9), abs=1e-6)
    assert abs(ours - theirs) > 0.01


def test_weight_decay_joins_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.tensor(2.0))
    weight.grad = torch.tensor(0.0)
    RMSProp([weight], 0.1, decay=0.9, epsilon=1.0, momentum=0.0, weight_decay=0.5).step()
    assert weight.item() == pytest.approx(2.0 - 0.1 * 1.0 / math.sqrt(0.9 + 0.1 * 1.0 + 1.0))


def test_a_long_parameter_is_updated_block_by_block_to_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", 7)
    values, gradients = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    long, whole = torch.nn.Parameter(values.clone()), torch.nn.Parameter(values.clone()[None])
    long.grad, whole.grad = gradients, gradients[None]
    for param in (long, whole):
        stepper = RMSProp([param], 0.1, weight_decay=0.5)
        for _ in range(3):
            stepper.step()
    assert not torch.equal(long, values)
    assert torch.equal(long, whole[0])


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.linear = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.norm(self.conv(x)).mean((2, 3)))
        return logits


@pytest.mark.parametrize("name", ["rmsprop", "sgd"])
def test_weights_decay_and_norms_and_biases_do_not(name: Any) -> None:
    network = Tiny().to(memory_format=torch.channels_last)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    recipe = Recipe(optimizer=name, weight_decay=0.5, momentum=0.0)
    optimizer.make(recipe, Flat(network)).step()  # with gradients of zero
    for key, param in network.named_parameters():
        assert torch.equal(param, before[key]) == (param.ndim == 1), key


def test_flat_changes_neither_values_nor_layout_nor_gradients() -> None:
    torch.manual_seed(0)
    plain = Tiny().to(memory_format=torch.channels_last)
    flattened = Tiny().to(memory_format=torch.channels_last)
    flattened.load_state_dict(plain.state_dict())
    flat = Flat(flattened)
    x = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    for network in (plain, flattened):
        network(x).square().sum().backward()
    for one, other in zip(plain.parameters(), flattened.parameters(), strict=True):
        assert one.stride() == other.stride()
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)
    with torch.no_grad():
        flat.weights.zero_()
    assert not flattened.conv.weight.any()
    assert flattened.norm.weight.all()


def test_exponential_schedule_falls_in_stairs() -> None:
    recipe = Recipe(learning_rate=0.045, epochs=10)
    rates = [optimizer.learning_rate(recipe, epoch) for epoch in (0, 1.99, 2, 3.5, 4)]
    assert rates == pytest.approx([0.045, 0.045, 0.045 * 0.94, 0.045 * 0.94, 0.045 * 0.94**2])


def test_cosine_schedule_with_warm_up() -> None:
    recipe = Recipe(learning_rate=1.0, epochs=10, schedule="cosine", warmup_epochs=2)
    rates = [optimizer.learning_rate(recipe, epoch) for epoch in (0.5, 1, 2, 6, 10, 12)]
    assert rates == pytest.approx([0.25, 0.5, 1.0, 0.5, 0.0, 0.0])
    assert optimizer.learning_rate(Recipe(learning_rate=1.0, schedule="constant"), 5) == 1.0
