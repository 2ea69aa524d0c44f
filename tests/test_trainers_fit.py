"""The training loop: it learns, it goes on where it was stopped, and it says when it diverges."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces.architecture import Architecture, Aux, Module, Stage
from search_spaces.operations import Conv, Pool
from trainers import data
from trainers.average import Average, measure_statistics
from trainers.checkpoint import CheckpointError
from trainers.fit import Diverged, EpochResult, Fit, _seeded
from trainers.flat import Flat
from trainers.network import Network, build
from trainers.precision import chosen
from trainers.recipe import Recipe

RECIPE = Recipe(epochs=4, batch_size=32, learning_rate=0.1, shift=1, schedule="cosine", warmup_epochs=0.5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a trial of a search; more threads than free cores make tiny steps wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits() -> data.DataSet:
    return data.load("digits", random_seed=0)


def network(random_seed: int = 0, width: int = 8) -> Network:
    towers = ((Conv((1, 1), width=width),), (Pool((3, 3), kind="avg"), Conv((1, 1), width=width)))
    strided = ((Conv((3, 3), 2, False, width),), (Pool((3, 3), 2, False),))
    stages = (Stage((Module(towers),)), Stage((Module(towers),), Module(strided)))
    stem = (Conv((3, 3), width=width), Conv((3, 3), width=width))
    architecture = Architecture("tiny", stem, stages, (Aux(1, 1, ()),), dropout=0.2, resolution=8)
    return build(architecture.graph(8, classes=10, channels=1, aux=True), initialise=random_seed)


def fit(digits: data.DataSet, recipe: Recipe = RECIPE, random_seed: int = 0) -> Fit:
    return Fit(network(), digits, recipe, random_seed=random_seed)


def trained(fit: Fit, epochs: int) -> list[EpochResult]:
    results = [fit.epoch() for _ in range(epochs)]
    assert all(isinstance(result, EpochResult) for result in results)
    return [result for result in results if isinstance(result, EpochResult)]


def same(one: Network, other: Network) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_it_learns_and_reports(digits: data.DataSet) -> None:
    results = trained(fit(digits), 4)
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert results[-1].validation_error < 0.25 < results[0].validation_error
    assert results[-1].train_loss < results[0].train_loss
    assert results[-1].validation_loss < 1
    assert results[-1].learning_rate < 0.01 < results[1].learning_rate
    assert all(result.seconds > 0 and result.pictures_per_second > 0 for result in results)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, optimizer="sgd", average=None, schedule="exponential", channels_last=False),
        replace(RECIPE, flip=True, resized_crop=0.3, colour=0.4),
    ],
    ids=["rmsprop", "sgd", "augmented"],
)
def test_stopped_and_resumed_ends_with_the_same_weights(digits: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    straight = fit(digits, recipe)
    trained(straight, 3)
    stopped = fit(digits, recipe)
    trained(stopped, 1)
    stopped.save(tmp_path)
    resumed = Fit(network(random_seed=9), digits, recipe, random_seed=0)
    torch.manual_seed(123)  # the global generator must not matter
    assert resumed.restore(tmp_path) == 1
    assert resumed.history == stopped.history
    trained(resumed, 2)
    assert same(straight.network, resumed.network)
    assert same(straight.result, resumed.result)
    first, second = straight.history[-1], resumed.history[-1]
    assert (first.train_loss, first.validation_loss) == (second.train_loss, second.validation_loss)


def test_streamed_and_resident_trainings_end_with_the_same_weights(
    digits: data.DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, flip=True, resized_crop=0.3, colour=0.4)
    resident = fit(digits, recipe)
    monkeypatch.setattr("trainers.feed.free_bytes", lambda device: 0)
    streamed = fit(digits, recipe)
    assert (resident._train.resident, streamed._train.resident) == (True, False)
    for one in (resident, streamed):
        (result,) = trained(one, 1)
        assert 0 < result.waiting_seconds < result.seconds
    assert same(resident.network, streamed.network)
    assert same(resident.result, streamed.result)
    assert resident.history[0].validation_loss == streamed.history[0].validation_loss


def test_the_random_seed_decides_and_the_global_generator_is_left_alone(digits: data.DataSet) -> None:
    before = torch.random.get_rng_state()
    first, again, other = fit(digits), fit(digits), fit(digits, random_seed=1)
    for one in (first, again, other):
        trained(one, 1)
    assert same(first.network, again.network)
    assert not same(first.network, other.network)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_damaged_checkpoint_costs_an_epoch(digits: data.DataSet, tmp_path: Path) -> None:
    first = fit(digits)
    for _ in range(2):
        trained(first, 1)
        newest = first.save(tmp_path)
    newest.write_bytes(newest.read_bytes()[:1000])
    assert fit(digits).restore(tmp_path) == 1
    assert fit(digits).restore(tmp_path / "empty") == 0


def test_another_trainings_checkpoint_is_refused(digits: data.DataSet, tmp_path: Path) -> None:
    first = fit(digits)
    trained(first, 1)
    first.save(tmp_path)
    others = {
        "recipe": fit(digits, replace(RECIPE, learning_rate=0.2)),
        "random_seed": fit(digits, random_seed=1),
        "network": Fit(network(width=4), digits, RECIPE, random_seed=0),
        "data": fit(data.load("digits", random_seed=1)),
    }
    for name, other in others.items():
        before = {key: tensor.clone() for key, tensor in other.network.state_dict().items()}
        with pytest.raises(CheckpointError, match=f"another training \\(its {name} differs"):
            other.restore(tmp_path)
        assert all(torch.equal(tensor, before[key]) for key, tensor in other.network.state_dict().items())


def test_more_epochs_are_the_same_training_unless_the_schedule_depends_on_them(
    digits: data.DataSet, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, schedule="exponential", epochs=1)
    short = fit(digits, recipe)
    trained(short, 1)
    short.save(tmp_path)
    assert fit(digits, replace(recipe, epochs=4)).restore(tmp_path) == 1


def test_divergence_is_an_outcome_with_its_reason(digits: data.DataSet) -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=1000.0, gradient_clip=None, weight_decay=1.0)
    outcome = Fit(network(), digits, recipe, random_seed=0).epoch()
    assert isinstance(outcome, Diverged)
    assert outcome.epoch == 1
    assert outcome.step >= 2
    assert not math.isfinite(outcome.value)
    assert f"at step {outcome.step} of epoch 1" in outcome.sentence
    assert "lower learning_rate" in outcome.sentence


def test_clipping_bounds_the_step(digits: data.DataSet) -> None:
    recipe = Recipe(
        optimizer="sgd", momentum=0.0, learning_rate=1.0, gradient_clip=1e-4, weight_decay=0.0, schedule="constant"
    )
    one = Fit(network(), digits, recipe, random_seed=0)
    before = torch.cat([long.detach().clone() for long in Flat(network().to(memory_format=torch.channels_last)).both])
    trained(one, 1)
    after = torch.cat([long.detach() for long in one.step.flat.both])
    steps = len(digits.train) // recipe.batch_size
    assert 0 < (after - before).norm().item() <= steps * 1e-4 * 1.001


def test_bfloat16_trains(digits: data.DataSet) -> None:
    one = fit(digits, replace(RECIPE, precision="bfloat16"))
    assert one.precision.bfloat16
    assert trained(one, 2)[-1].validation_error < 0.8
    assert all(param.dtype == torch.float32 for param in one.network.parameters())


@pytest.mark.parametrize(("asked", "expected"), [(None, 0.2), (0.0, 0.0), (0.3, 0.3)])
def test_the_recipes_dropout_takes_the_place_of_the_architectures(
    digits: data.DataSet, asked: float | None, expected: float
) -> None:
    one = fit(digits, replace(RECIPE, dropout=asked))
    assert [module.p for module in one.network.modules() if isinstance(module, torch.nn.Dropout)] == [expected]


def test_the_loss_is_the_sum_of_smoothed_ones(digits: data.DataSet) -> None:
    towers = ((Conv((1, 1), width=8),), (Conv((3, 3), width=8),))
    stages = (Stage((Module(towers),)), Stage((Module(towers),)))
    heads = (Aux(1, 1, ()), Aux(2, 1, ()))
    graph = Architecture("two", (Conv((3, 3), width=8),), stages, heads, resolution=8).graph(
        8, classes=10, channels=1, aux=True
    )
    few = data.Part(digits.train.labels[:48], np.arange(48), digits.train.read(torch.arange(48)).numpy())
    recipe = Recipe(batch_size=48, aux_weight=0.3, label_smoothing=0.1, shift=0, dropout=0.0)
    built = build(graph, initialise=0, classifier_deviation=0.5)
    for head in ("aux1", "aux2"):  # fresh heads would all say the same
        torch.nn.init.normal_(
            built.get_parameter(f"{head}.linear.linear.weight"), generator=torch.Generator().manual_seed(len(head))
        )
    one = Fit(built, replace(digits, train=few), recipe, random_seed=0)
    with torch.no_grad():
        (pictures, labels) = next(one._train.ordered(48))
        logits, heads_logits = copy.deepcopy(built).train()(pictures)
    losses = []
    for output in (logits, *heads_logits):  # cross entropy with 0.1 of the truth spread over all ten classes
        probabilities = output.log_softmax(1)
        losses.append(-(0.9 * probabilities[torch.arange(48), labels] + 0.1 * probabilities.mean(1)).mean().item())
    assert len(losses) == 3
    assert min(losses) > 0.1
    assert trained(one, 1)[0].train_loss == pytest.approx(losses[0] + 0.3 * (losses[1] + losses[2]), rel=1e-4)


def test_processes_agree_on_the_order_and_drop_by_themselves() -> None:
    drawn = []
    for rank in (0, 1, 0):
        with _seeded(7, rank, torch.device("cpu")) as generator:
            mask = torch.nn.functional.dropout(torch.ones(200))
            drawn.append((torch.randperm(50, generator=generator).tolist(), mask.tolist()))
    assert drawn[0] == drawn[2]
    assert drawn[0][0] == drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_auto_is_float32_on_cpus_and_bfloat16_on_gpus() -> None:
    cpu, gpu = (chosen(Recipe(), torch.device(kind)) for kind in ("cpu", "cuda"))
    assert (cpu.bfloat16, cpu.channels_last) == (False, True)
    assert (gpu.bfloat16, gpu.channels_last) == (True, True)
    assert not chosen(Recipe(channels_last=False), torch.device("cpu")).channels_last


def test_average_is_the_plain_formula() -> None:
    followed = network()
    flat = Flat(followed)
    average = Average(followed, flat, decay=0.3)
    expected = followed.get_submodule("head.linear.linear").bias.detach().clone()  # type: ignore[operator]
    for update in range(1, 6):
        with torch.no_grad():
            flat.others.add_(1.0)
        average.update()
        decay = min(0.3, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * followed.get_submodule("head.linear.linear").bias.detach()  # type: ignore[operator]
    torch.testing.assert_close(average.network.get_submodule("head.linear.linear").bias, expected)


def _class_by_class(digits: data.DataSet) -> data.DataSet:
    """The same pictures in the order in which folders are listed."""
    return replace(digits, train=digits.train.some(np.argsort(digits.train.labels.numpy(), kind="stable")))


def test_batches_for_statistics_hold_all_classes_however_the_pictures_lie(digits: data.DataSet) -> None:
    sorted_fit = fit(_class_by_class(digits))
    size, places = sorted_fit._sample()
    assert len(places) % size == 0
    assert len(places.unique()) == len(places)
    for batch in places.split(size):
        counts = torch.bincount(sorted_fit.data.train.labels[batch], minlength=10)
        assert counts.min() >= 3  # about 13 of each are expected among 128


def test_statistics_do_not_depend_on_the_order_of_the_pictures(digits: data.DataSet) -> None:
    """Deep norms too: in batches of few classes their variances would lack what lies between the classes."""
    measured = []
    for found in (digits, _class_by_class(digits)):
        one = fit(found, replace(RECIPE, average=0.9))
        assert one.average is not None
        trained_network = network()
        trained_network.load_state_dict(trained_weights(digits))
        measure_statistics(trained_network, one._train.ordered(*one._sample()), one.precision)
        measured.append(trained_network)
    norms = [
        (mixed, ordered)
        for mixed, ordered in zip(*(each.modules() for each in measured), strict=True)
        if isinstance(mixed, torch.nn.BatchNorm2d)
    ]
    assert len(norms) > 4
    for mixed, ordered in norms:
        ratio = ordered.running_var.mean() / mixed.running_var.mean()  # type: ignore[union-attr, operator]
        assert 0.85 < float(ratio) < 1.18


def trained_weights(digits: data.DataSet) -> dict[str, torch.Tensor]:
    """Weights that tell the classes apart."""
    one = fit(digits, replace(RECIPE, average=None))
    trained(one, 2)
    return dict(one.network.state_dict())


def test_statistics_are_those_of_the_pictures() -> None:
    measured = network()
    pictures = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batches = [(half, torch.zeros(32)) for half in pictures.split(32)]
    measure_statistics(measured, batches, chosen(Recipe(), torch.device("cpu")))
    norm = measured.get_submodule("stem.0.norm")
    assert isinstance(norm, torch.nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.momentum == 0.1
    assert measured.training
    convolved = measured.get_submodule("stem.0.conv")(pictures)
    torch.testing.assert_close(norm.running_mean, convolved.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
