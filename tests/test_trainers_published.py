"""Networks of the seeds against the published networks themselves, weights and pictures filled from one formula.

The figures are of tests/fingerprint.py's formula in float64: evaluation mode, except where training is said.
"""

import functools
from collections.abc import Iterator

import pytest
import torch
from fingerprint import fingerprint_fill, fingerprint_picture, uniform
from published import torchvision_model
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.errors import ResolutionError
from search_spaces.operations import Conv, LocalNorm
from search_spaces.proxy import proxy
from search_spaces.seeds import seed, seed_names
from trainers.network import Network, build, endpoints

# The first eight logits, their sum, norm and largest: torchvision 0.28's googlenet, pretrainedmodels 0.7.4's
# bninception, timm 1.0.31's inception_v4.
LOGITS = {
    "googlenet-torchvision": (
        (-0.4684349738008743, 0.052407379398106496, -0.2724894006589011, 0.03965820922355835),
        (-0.3758263996432156, -0.25800811110373895, -0.9120700919230865, -0.3446475089406404),
        (15.13570849455834, 11.676245075631755, 800),
    ),
    "bn-inception": (
        (-0.25288480020128845, 0.21918716768933316, -0.17130883954526283, -0.13031057820133574),
        (0.004928220029669403, -0.17924765488833586, 0.024770064841318225, -0.2529326768378139),
        (-9.682375034171262, 6.664823587416555, 340),
    ),
    "inception-v4": (
        (0.03888531278910944, -0.030473073350360293, -0.035639587008553075, 0.05337309557452811),
        (-0.03815782297039035, -0.02190920700937804, -0.0473006301471977, 0.011304243409727133),
        (-0.8368775622428085, 1.107373506671522, 780),
    ),
}
END_POINTS = {  # mean and deviation of the sample, from the same three
    "googlenet-torchvision": {
        "stem.0": (0.2934094590006223, 0.4304911642271749),
        "stem.1": (1.0879181434757914, 0.4491952510924747),
        "stem.3": (0.3696045393069475, 0.5824192407354013),
        "stem.4": (0.6880194124214581, 0.7420689471102009),
        "stage1.module1": (0.46946244351393823, 0.6739058894688009),
        "stage1.module2": (0.42086818153157507, 0.6137185077826804),
        "stage2.reduction": (0.5797537059725373, 0.7021646218745456),
        "stage2.module1": (0.38268018615123245, 0.5901109625628889),
        "stage2.module5": (0.16408880789741975, 0.24827336652134413),
        "stage3.reduction": (0.20491683109655276, 0.271194389837117),
        "stage3.module2": (0.1526781449114231, 0.2266093962592773),
    },
    "bn-inception": {
        "stem.1": (1.0877746426978856, 0.4464525394397983),
        "stem.4": (0.6859399154421358, 0.7430098233054991),
        "stage1.module1": (0.3669628730641566, 0.544467254618921),
        "stage1.module2": (0.2541164545089093, 0.39953610966439856),
        "stage2.reduction": (0.27731107341839845, 0.3934200613675575),
        "stage2.module1": (0.2160325075759563, 0.3149001024880879),
        "stage2.module4": (0.12130425537668285, 0.17441307142012266),
        "stage3.reduction": (0.13125896858769423, 0.1780281997996338),
        "stage3.module1": (0.10210211598991041, 0.14823463502508447),
        "stage3.module2": (0.087136922202839, 0.13070445062961855),
    },
    "inception-v4": {
        "stem.3": (0.33269217860173506, 0.36103701386964215),
        "stem.4": (0.14103266400987796, 0.21176240440882407),
        "stem.5": (0.21663079982686265, 0.26190507093955295),
        "stage1.module1": (0.133692460847692, 0.21284885413883903),
        "stage1.module4": (0.06374331354282513, 0.10324092812133777),
        "stage2.reduction": (0.06665474013786335, 0.09891053593487412),
        "stage2.module1": (0.04899156456990297, 0.07473981257169056),
        "stage2.module7": (0.01194049227607476, 0.01741587255075894),
        "stage3.reduction": (0.014881676999775967, 0.019004245370608342),
        "stage3.module3": (0.008462160823540813, 0.012161364797953015),
    },
}
TORCHVISION = {"inception-v3": "inception_v3", "googlenet-torchvision": "googlenet"}


def filled(name: str, *, aux: bool = False) -> Network:
    network = build(seed(name).graph(aux=aux), initialise=0).double().eval()
    fingerprint_fill(network)
    return network


def without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


@pytest.mark.parametrize("name", sorted(LOGITS))
def test_logits_and_end_points_are_the_published_networks(name: str) -> None:
    side = seed(name).resolution
    with torch.inference_mode():
        reached = endpoints(filled(name), fingerprint_picture(side, side))
    logits = reached["head.linear"][0]
    first, second, (total, norm, largest) = LOGITS[name]
    torch.testing.assert_close(logits[:8], torch.tensor(first + second, dtype=torch.float64), rtol=0, atol=1e-9)
    assert (logits.sum().item(), logits.norm().item()) == pytest.approx((total, norm), abs=1e-9)
    assert logits.argmax().item() == largest
    for unit, figures in END_POINTS[name].items():
        assert (reached[unit].mean().item(), reached[unit].std().item()) == pytest.approx(figures, abs=1e-9), unit


@pytest.mark.parametrize(("name", "side"), [("inception-v3", 299), ("googlenet-torchvision", 224)])
def test_training_gives_torchvisions_logits_and_auxiliary_logits(name: str, side: int) -> None:
    """On two pictures, with the norms' batch statistics; dropout is off, because its draws come in another order."""
    theirs = without_dropout(torchvision_model(TORCHVISION[name], aux_logits=True).double().train())
    fingerprint_fill(theirs)
    ours = without_dropout(filled(name, aux=True).train())
    pictures = 2 * uniform((2, 3, side, side))
    with torch.no_grad():
        expected = theirs(pictures)
        logits, auxiliary = ours(pictures)
    heads = (auxiliary,) if isinstance(auxiliary, Tensor) else auxiliary
    assert len(expected) == len(heads) + 1
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-9)
    for found, wanted in zip(heads, reversed(expected[1:]), strict=True):  # torchvision gives the last head first
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)


def test_inception_v3_tf_does_not_count_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = fingerprint_picture(299, 299)
    theirs = torchvision_model("inception_v3").double().eval()
    fingerprint_fill(theirs)
    with torch.inference_mode():
        found, counted = filled("inception-v3-tf")(picture), theirs(picture)
        with monkeypatch.context() as patch:
            patch.setattr(F, "avg_pool2d", functools.partial(F.avg_pool2d, count_include_pad=False))
            expected = theirs(picture)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert 0.08 < (found - counted).norm() / counted.norm() < 0.10


# --------------------------------------------------------------------------------------------------------------- sizes


def outputs(network: nn.Module, names: list[str]) -> dict[str, tuple[int, ...]]:
    """Note the shapes that leave some modules, on every run."""
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda module, arguments, output, name=name: found.__setitem__(name, tuple(output.shape[1:]))
        )
    return found


def rectangles(smallest: int) -> Iterator[tuple[int, int]]:
    """Sizes around the smallest, and a sweep beyond it with every remainder of 16."""
    yield from ((smallest, smallest), (smallest - 1, smallest), (smallest, smallest - 1), (1, 300))
    yield from ((smallest + 5 * i, smallest + 3 * i + 40) for i in range(17))


@pytest.mark.parametrize(
    ("name", "smallest", "units"),
    [
        (
            "inception-v3",
            75,
            {
                "Mixed_5d": "stage1.module3.concat",
                "Mixed_6e": "stage2.module4.concat",
                "Mixed_7c": "stage3.module2.concat",
            },
        ),
        (
            "googlenet-torchvision",
            15,
            {"maxpool1": "stem.1", "inception3b": "stage1.module2.concat", "maxpool3": "stage2.reduction.tower1.0"}
            | {"inception4e": "stage2.module5.concat", "inception5b": "stage3.module2.concat"},
        ),
    ],
)
def test_sizes_are_those_that_torchvision_accepts(name: str, smallest: int, units: dict[str, str]) -> None:
    theirs = torchvision_model(TORCHVISION[name]).eval().to("meta")
    shapes = outputs(theirs, list(units))
    for height, width in rectangles(smallest):
        picture = torch.empty(1, 3, height, width, device="meta")
        try:
            graph = seed(name).graph((height, width))
        except ResolutionError:
            with pytest.raises(RuntimeError):
                theirs(picture)
        else:
            assert theirs(picture).shape == (1, 1000)
            assert {theirs_: tuple(graph[ours].shape) for theirs_, ours in units.items()} == shapes


@pytest.mark.parametrize("name", seed_names())
def test_networks_run_at_the_sizes_that_their_graphs_accept(name: str) -> None:
    """One network, built at its own size, on others: what it does is what the graphs of those sizes say."""
    with torch.device("meta"):
        network = Network(seed(name).graph()).eval()
    smallest = seed(name).smallest_resolution()
    for height, width in (
        (smallest, smallest + 64),
        (smallest + 9, smallest + 20),
        (smallest - 1, smallest),
        (137, 264),
    ):
        picture = torch.empty(1, 3, height, width, device="meta")
        try:
            graph = seed(name).graph((height, width))
        except ResolutionError:
            with pytest.raises(RuntimeError):
                network(picture)
        else:
            shapes = {node.unit: tuple(node.shape) for node in graph}
            reached = endpoints(network, picture)
            assert all(tuple(reached[unit].shape[1:]) == shapes[unit] for unit in reached if unit.startswith("stage"))


# ----------------------------------------------------------------------------------------------------------- operations


def test_local_normalisation_by_hand() -> None:
    """x / (1 + 1e-4 / 5 * sum of squares of the five channels around it) ** 0.75: 1409.4842 as released in Caffe."""
    network = filled("googlenet")
    norm = network.get_submodule("stem.2")
    x = 100 * uniform((2, 8, 3, 3))
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    sums = sum(squares[:, i : i + 8] for i in range(5))
    torch.testing.assert_close(norm(x), x / (1 + 1e-4 / 5 * sums) ** 0.75, rtol=1e-12, atol=0)
    assert isinstance(network.graph["stem.2"].operation, LocalNorm)
    assert isinstance(network.graph["stem.3"].operation, Conv)
    assert (LocalNorm.alpha, LocalNorm.beta, LocalNorm.k) == (1e-4, 0.75, 1.0)


def test_a_hidden_layer_starts_with_a_scale_of_its_own() -> None:
    network = build(seed("googlenet-torchvision").graph(224, aux=True), initialise=0)
    hidden, logits = (network.get_submodule(f"aux1.{name}.linear").weight for name in ("2", "linear"))
    assert isinstance(hidden, Tensor)
    assert isinstance(logits, Tensor)
    assert hidden.std().item() == pytest.approx(0.8796 * (2 / 2048) ** 0.5, rel=0.01)
    assert logits.std().item() == pytest.approx(0.8796 * 0.001, rel=0.01)


@pytest.mark.parametrize("name", seed_names())
def test_a_proxy_of_every_seed_trains(name: str) -> None:
    """In both memory layouts: every weight gets a gradient, those of the heads too, and the same one."""
    architecture = proxy(seed(name), 32, 0.125)
    network = build(architecture.graph(classes=10, aux=True), initialise=0).double()
    without_dropout(network)
    pictures = uniform((4, 3, 32, 32))
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        network.zero_grad()
        output = network.train()(pictures.contiguous(memory_format=layout))
        logits, auxiliary = output if isinstance(output, tuple) else (output, ())
        heads = (auxiliary,) if isinstance(auxiliary, Tensor) else auxiliary
        assert len(heads) == len(architecture.aux)
        sum(tensor.square().sum() for tensor in (logits, *heads)).backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])  # type: ignore[union-attr]
    assert all(gradient.any() for gradient in gradients[0] if gradient.ndim > 1)  # a norm absorbs the bias before it
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-7, atol=1e-10)
