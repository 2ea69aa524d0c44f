"""What trained weights are worth on pictures that they have not seen: crops, ensembles, calibration, classes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas.conclude import settings, trained_architecture, trained_state
from nas.study import Found
from results.export.weights import fitting_graph
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Window
from search_spaces.sides import sides_that_work
from trainers.source import DataSource

if TYPE_CHECKING:
    from trainers.crops import Crops
    from trainers.data import DataSet, Part
    from trainers.evaluate import PixelScale
    from trainers.scores import Scores

PartName = Literal["test", "validation", "train", "all"]
Tell = Callable[[int, int], None]  # pictures done, of how many


@dataclass(frozen=True)
class Weights:
    """One member: the tensors of a built network, what is known beside them, and its name for sentences.

    ``trained``: how, where that is known: on what source, by which random seed, with which classes and pixel scale.
    """

    name: str
    tensors: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def trained(self) -> Mapping[str, Any]:
        """How it was trained, as far as that is known."""
        known: Mapping[str, Any] = self.about.get("trained", {})
        return known


@dataclass(frozen=True)
class Evaluated:
    """The scores, and what they were measured with."""

    architecture: str
    digest: str
    data: str
    part: PartName
    resolution: int
    crops: int
    view: str
    members: tuple[str, ...]
    scores: "Scores"

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found = {
            name: getattr(self, name) for name in ("architecture", "digest", "data", "part", "resolution", "crops")
        }
        return {**found, "members": list(self.members), **self.scores.as_data()}


def evaluate_found(
    found: Found,
    weights: Sequence[Path],
    source: DataSource | None,
    *,
    part: PartName = "test",
    crops: "Crops" = 1,
    resolution: int | None = None,
    random_seed: int | None = None,
    decoding: Callable[[str], AbstractContextManager[Tell | None]] = lambda source: nullcontext(),
    tell: Tell = lambda done, of: None,
) -> Evaluated:
    """Evaluate one network, or an ensemble of several that share the architecture.

    Without ``weights`` a complete trial of a study is evaluated as it was trained, its proxy that is. ``source``,
    ``resolution`` and ``random_seed`` (of the split) are by default those that the weights were trained with. Raises
    RequestError where weights, classes or pictures do not fit together.
    """
    _check_there(found, weights, source)
    architecture, members = _members(found, weights)
    for member in members:
        _check_architecture(member, architecture)
    first = members[0]
    source, random_seed = _pictures(source, random_seed, first.trained)
    trained_at = int(first.about.get("resolution", architecture.resolution))
    resolution = trained_at if resolution is None else resolution
    check_side(architecture, resolution, trained_at)
    from trainers.data import load
    from trainers.evaluate import Member, evaluate

    with decoding(source.source) as decoded:
        data = load(source, random_seed=random_seed, resolution=trained_at, progress=decoded)
    with_aux = any(key.startswith("aux") for member in members for key in member.tensors)
    graph, plain, full = (  # weights are held against what was trained: heads may want other sizes than the rest
        architecture.graph(side, classes=len(data.classes), channels=data.channels, aux=aux)
        for side, aux in ((resolution, False), (trained_at, False), (trained_at, with_aux))
    )
    for member in members:
        _check_member(member, data, part)
        fitting_graph(plain, full, member.tensors)
    whole = crops == 1 and all(member.trained.get("view") == "whole" for member in members)
    scores = evaluate(
        graph,
        [Member(member.tensors, _scale(member, data)) for member in members],
        data,
        _part(data, part),
        resolution=resolution,
        crops=crops,
        whole=whole,
        tell=tell,
    )
    return Evaluated(
        architecture=architecture.name,
        digest=architecture.digest,
        data=data.name,
        part=part,
        resolution=resolution,
        crops=crops,
        view="the whole centre square" if whole else "the centre crop" if crops == 1 else f"{crops} crops",
        members=tuple(member.name for member in members),
        scores=scores,
    )


def _check_there(found: Found, weights: Sequence[Path], source: DataSource | None) -> None:
    """Raise RequestError for what is missing, before torch is loaded, which takes seconds."""
    if not weights and (found.study is None or found.trial is None):
        raise RequestError(
            f"{found.architecture.name} has no weights of its own: name some with --weights, those of 'nas train' "
            "(best.safetensors) or of 'nas import-weights'"
        )
    for file in weights:
        if not file.is_file():
            raise RequestError(f"there are no weights {str(file)!r}: correct the path")
    if source is not None:
        source.check_there()


def check_side(architecture: Architecture, side: int, trained_at: int) -> None:
    """Raise ResolutionError, naming the smallest, where pictures of ``side`` px are too small to be told apart.

    Padded windows take any size, and a stem without strides is made of them: there a picture is too small where a
    window of the stem is larger than what it sees, or a stride finds nothing left to reduce. What weights were
    ``trained_at`` is never refused.
    """
    if side == trained_at:
        return
    architecture.graph(side)
    works = (at for at in sides_that_work(architecture) if at >= trained_at or _room(architecture, at))
    smallest = min(next(works, trained_at), trained_at)
    if side < smallest:
        raise ResolutionError(
            f"pictures of {side} x {side} are too small for {architecture.name}: its windows would see little but "
            f"padding; the smallest size is {smallest} px, and the weights were trained at {trained_at}"
        )


def _room(architecture: Architecture, side: int) -> bool:
    """Whether every window of the stem, and every stride, has something to see at a size of pictures."""
    for node in architecture.graph(side):
        window = node.operation
        if not isinstance(window, Window):
            continue
        least = max(window.kernel) if node.unit == "stem" else 2 if window.stride > 1 else 1
        if min(node.input_shapes[0][1:]) < least:
            return False
    return True


def _members(found: Found, files: Sequence[Path]) -> tuple[Architecture, list[Weights]]:
    architecture = found.architecture
    if files:
        from nas.import_weights import read_weights

        return architecture, [
            Weights(str(file), *read_weights(architecture.name, architecture, file)) for file in files
        ]
    assert found.study is not None
    assert found.trial is not None
    config = settings(found.study)
    trained = {"on": config.data.as_data(), "random_seed": config.random_seed, "view": "whole"}
    weights = Weights(
        f"{found.study.name}:{found.trial.number}",
        trained_state(found.study, found.trial),
        {"resolution": config.proxy.resolution, "trained": trained},
    )
    return trained_architecture(found.study, found.trial), [weights]


def _pictures(source: DataSource | None, random_seed: int | None, trained: Mapping[str, Any]) -> tuple[DataSource, int]:
    """What is evaluated on, and the random seed of its split: what is asked for, else what was trained on."""
    if source is None:
        if "on" not in trained:
            raise RequestError("the weights do not say on which data they were trained: name some with --data")
        source = DataSource.from_data(trained["on"])
    return source, int(trained.get("random_seed", 0)) if random_seed is None else random_seed


def _check_architecture(member: Weights, architecture: Architecture) -> None:
    if (digest := member.about.get("digest")) not in (None, architecture.digest):
        raise RequestError(
            f"the weights {member.name} are of another architecture (digest {digest[:12]}, and that of "
            f"{architecture.name} is {architecture.digest[:12]}): name the architecture that they are of, after "
            "'nas train' the architecture.yaml beside them"
        )


def _check_member(member: Weights, data: "DataSet", part: PartName) -> None:
    classes = tuple(member.trained.get("class_names", data.classes))
    if classes != data.classes:
        odd = sorted(set(classes) ^ set(data.classes))
        raise RequestError(
            f"the weights {member.name} tell {len(classes)} classes apart, and {data.name!r} has {len(data.classes)} "
            f"({repr(odd[0]) + ' is only in one' if odd else 'in another order'}): evaluate on the same classes"
        )
    on = member.trained.get("on")
    same = on is not None and DataSource.from_data(on).absolute().source == data.source.absolute().source
    digest = member.trained.get("data_digest", data.digest)
    if same and part in ("test", "validation") and digest != data.digest:
        raise RequestError(
            f"the weights {member.name} were trained on {data.name!r} with other pictures or another split (random "
            f"seed {member.trained.get('random_seed')}, this is {data.random_seed}), so that its {part} part may hold "
            "what they were trained on: give all trainings one split_seed, or evaluate on other pictures (--data)"
        )


def _scale(member: Weights, data: "DataSet") -> "PixelScale":
    """The scale of the pictures that a member was trained on; RequestError where that is not known."""
    from trainers.data import load
    from trainers.evaluate import PixelScale

    known = member.trained
    if "mean" in known:
        return PixelScale(known["mean"], known["deviation"], known["white"])
    if "on" not in known:
        raise RequestError(
            f"the weights {member.name} do not say how the pictures were scaled that they were trained on: write them "
            "anew with 'nas train' or 'nas import-weights'"
        )
    own = data
    if known["on"] != data.source.as_data() or known["random_seed"] != data.random_seed:
        source = DataSource.from_data(known["on"])
        own = load(source, random_seed=known["random_seed"], resolution=int(member.about["resolution"]))
    return PixelScale(own.mean, own.deviation, own.white)


def _part(data: "DataSet", part: PartName) -> "Part":
    from trainers.data import test_part, whole_set

    match part:
        case "test":
            return test_part(data)
        case "all":
            return whole_set(data)
        case "validation":
            return data.validation
    return data.train
