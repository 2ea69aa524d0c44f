"""What trained weights are worth on pictures that they have not seen: crops, ensembles, calibration, classes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas.study import Found
from nas.trial_weights import trained_architecture, trained_weights
from results.export.weights import fitting_graph
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.operations import Window
from search_spaces.sides import sides_that_work
from trainers.about import About, Trained
from trainers.source import HUGGING_FACE, DataSource

if TYPE_CHECKING:
    from trainers.crops import Crops
    from trainers.data import DataSet, Part
    from trainers.evaluate import PixelScale
    from trainers.scores import Scores

FAR = 1.5  # times the size of the training; a network trained at 224 was best at 288 (arXiv 1906.06423), 1.3 times
PartName = Literal["test", "validation", "train", "all"]
NumberFormat = Literal["float32", "bfloat16"]
Tell = Callable[[int, int], None]  # pictures done, of how many


@dataclass(frozen=True)
class Weights:
    """One member: the tensors of a built network, what is known beside them, and its name for sentences."""

    name: str
    tensors: Mapping[str, Any]
    about: About

    @property
    def trained(self) -> Trained:
        """How it was trained, as far as that is known."""
        return self.about.trained


@dataclass(frozen=True)
class Evaluated:
    """The scores, and what they were measured with: crops of ``resolution`` px, after a training at ``trained_at``.

    ``overlaps_training``: whether pictures among these were trained on; None where it is not known on which that was.
    """

    architecture: str
    digest: str
    data: str
    part: PartName
    overlaps_training: bool | None
    resolution: int
    trained_at: int
    crops: int
    view: str
    precision: NumberFormat
    device: str
    members: tuple[str, ...]
    scores: "Scores"

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("view", "scores")}
        return {**found, "members": list(self.members), **self.scores.as_data()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes the scores say less than they seem to."""
        found = []
        if self.overlaps_training:
            found.append(
                f"note: the weights were trained on pictures that are among these ({self.data}, {self.part}): errors "
                "on pictures that they have not seen are higher"
            )
        ratio = self.resolution / self.trained_at
        if not 1 / FAR < ratio < FAR:
            found.append(
                f"note: crops of {self.resolution} px, and the weights were trained at {self.trained_at}: what is in "
                f"them looks {ratio:.2g} times as large as in training, which networks are not made for"
            )
        return tuple(found)


def evaluate_found(
    found: Found,
    weights: Sequence[Path],
    source: DataSource | None,
    *,
    part: PartName = "test",
    crops: "Crops" = 1,
    resolution: int | None = None,
    random_seed: int | None = None,
    device: str = "auto",
    precision: NumberFormat = "float32",
    decoding: Callable[[str], AbstractContextManager[Tell | None]] = lambda source: nullcontext(),
    tell: Tell = lambda done, of: None,
) -> Evaluated:
    """Evaluate one network, or an ensemble of several that share the architecture.

    Without ``weights`` a complete trial of a study is evaluated as it was trained, its proxy that is. ``source``,
    ``resolution`` and ``random_seed`` (of the split) are by default those that the weights were trained with.
    ``device``: ``cpu``, ``cuda``, or ``auto``, a GPU where there is one. Raises RequestError where weights, classes or
    pictures do not fit together, or there is no such device.
    """
    _check_there(found, weights, source)
    architecture, members = _members(found, weights)
    first = members[0]
    for member in members:
        _check_architecture(member, architecture)
        _check_together(first, member)
    others = source is not None and source.absolute() not in map(_trained_on, members)
    if weights and source is None and first.trained.on is not None:
        _check_near(first, first.trained.on)
    source, random_seed = _pictures(source, random_seed, first.trained)
    trained_at = first.about.resolution or architecture.resolution
    resolution = trained_at if resolution is None else resolution
    check_side(architecture, resolution, trained_at)
    from trainers.data import load
    from trainers.evaluate import Member, evaluate
    from trainers.measure import device_named
    from trainers.precision import Precision

    on = device_named(device)
    with decoding(source.source) as decoded:
        data = load(
            source,
            random_seed=random_seed,
            resolution=trained_at,
            progress=decoded,
            unsplit=others and part == "all",  # a few pictures of each class are enough then
        )
    with_aux = any(key.startswith("aux") for member in members for key in member.tensors)
    graph, plain, full = (  # weights are held against what was trained: heads may want other sizes than the rest
        architecture.graph(side, classes=len(data.classes), channels=data.channels, aux=aux)
        for side, aux in ((resolution, False), (trained_at, False), (trained_at, with_aux))
    )
    for member in members:
        _check_member(member, data, part)
        fitting_graph(plain, full, member.tensors)
    whole = crops == 1 and all(member.trained.view == "whole" for member in members)
    scores = evaluate(
        graph,
        [Member(member.tensors, _scale(member, data)) for member in members],
        data,
        _part(data, part),
        resolution=resolution,
        crops=crops,
        whole=whole,
        precision=Precision(on, bfloat16=precision == "bfloat16"),
        tell=tell,
    )
    return Evaluated(
        architecture=architecture.name,
        digest=architecture.digest,
        data=data.name,
        part=part,
        overlaps_training=_overlaps(members, data, part),
        resolution=resolution,
        trained_at=trained_at,
        crops=crops,
        view="the whole centre square" if whole else "the centre crop" if crops == 1 else f"{crops} crops",
        precision=precision,
        device=on.type,
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
    weights = trained_weights(found.study, found.trial)
    name = f"{found.study.name}:{found.trial.number}"
    return trained_architecture(found.study, found.trial), [Weights(name, weights.tensors, weights.about)]


def _pictures(source: DataSource | None, random_seed: int | None, trained: Trained) -> tuple[DataSource, int]:
    """What is evaluated on, and the random seed of its split: what is asked for, else what was trained on."""
    source = source or trained.on
    if source is None:
        raise RequestError("the weights do not say on which data they were trained: name some with --data")
    return source, (trained.random_seed or 0) if random_seed is None else random_seed


def _trained_on(member: Weights) -> DataSource | None:
    return None if member.trained.on is None else member.trained.on.absolute()


def _check_architecture(member: Weights, architecture: Architecture) -> None:
    digest = member.about.digest
    if digest is not None and digest != architecture.digest:
        raise RequestError(
            f"the weights {member.name} are of another architecture (digest {digest[:12]}, and that of "
            f"{architecture.name} is {architecture.digest[:12]}): name the architecture that they are of, after "
            "'nas train' the architecture.yaml beside them"
        )


def _check_together(first: Weights, other: Weights) -> None:
    """Raise RequestError where two members of an ensemble were trained for different pictures."""
    for what, one, another in (
        ("resolutions", first.about.resolution, other.about.resolution),
        ("numbers of classes", _count(first), _count(other)),
    ):
        if one is not None and another is not None and one != another:
            raise RequestError(
                f"the weights {first.name} and {other.name} were trained for different {what}, {one} and {another}: "
                "an ensemble sees the same pictures and classes, so evaluate them one by one"
            )


def _count(member: Weights) -> int | None:
    names = member.trained.class_names
    return member.about.classes if names is None else len(names)


def _check_member(member: Weights, data: "DataSet", part: PartName) -> None:
    classes = member.trained.class_names
    if classes is not None and classes != data.classes:
        odd = sorted(set(classes) ^ set(data.classes))
        raise RequestError(
            f"the weights {member.name} tell {len(classes)} classes apart, and {data.name!r} has {len(data.classes)} "
            f"({repr(odd[0]) + ' is only in one' if odd else 'in another order'}): evaluate on the same classes"
        )
    if _same_source(member, data) and part in ("test", "validation") and _split_otherwise(member.trained, data):
        raise RequestError(
            f"the weights {member.name} were trained on {data.name!r} with other pictures or another split (random "
            f"seed {member.trained.random_seed}, this is {data.random_seed}), so that its {part} part may hold "
            "what they were trained on: give all trainings one split_seed, or evaluate on other pictures (--data)"
        )


def _split_otherwise(trained: Trained, data: "DataSet") -> bool:
    """Whether a member is known to have been trained on another split of a source."""
    if trained.data_digest is not None:
        return trained.data_digest != data.digest
    return trained.random_seed not in (None, data.random_seed)


def _overlaps(members: Sequence[Weights], data: "DataSet", part: PartName) -> bool | None:
    """Whether a member was trained on pictures of a part, as far as source and digest tell; None: it does not say.

    Of the source that was trained on, test and validation part are those that were held out (``_check_member``).
    """
    known = [member for member in members if member.trained.on is not None or member.trained.data_digest is not None]
    if part in ("train", "all") and any(
        _same_source(member, data) or _same_split(member, data, part) for member in known
    ):
        return True
    return False if len(known) == len(members) else None


def _same_split(member: Weights, data: "DataSet", part: PartName) -> bool:
    """Whether pictures, which may lie elsewhere now, are those that a member was trained on, by the digest."""
    from trainers.data import load

    digest = member.trained.data_digest
    if part != "all" or digest is None:
        return digest == data.digest
    source = data.source if member.trained.on is None else replace(member.trained.on, source=data.source.source)
    try:  # all pictures together have another digest than the parts that were trained on
        split = load(source, random_seed=member.trained.random_seed or 0, resolution=data.resolution)
    except RequestError:
        return False  # nobody can have trained on them: they are too few to be split, say
    return split.digest == digest


def _same_source(member: Weights, data: "DataSet") -> bool:
    on = _trained_on(member)
    return on is not None and on.source == data.source.absolute().source


def _check_near(member: Weights, source: DataSource) -> None:
    """Raise RequestError where a weight file, and not the user, names pictures that would be fetched from elsewhere."""
    if source.source.startswith(HUGGING_FACE):
        raise RequestError(
            f"the weights {member.name} say that they were trained on {source.source!r}, which is fetched from the "
            "network only if you name it: evaluate with --data " + source.source
        )


def _scale(member: Weights, data: "DataSet") -> "PixelScale":
    """The scale of the pictures that a member was trained on; RequestError where that is not known."""
    from trainers.data import load
    from trainers.evaluate import PixelScale

    known = member.trained
    if known.mean is not None and known.deviation is not None and known.white is not None:
        if len(known.mean) not in (1, data.channels):
            raise RequestError(
                f"the weights {member.name} scale pictures of {len(known.mean)} channels, and those of {data.name!r} "
                f"have {data.channels}: evaluate on other pictures (--data)"
            )
        return PixelScale(known.mean, known.deviation, known.white)
    if known.on is None:
        raise RequestError(
            f"the weights {member.name} do not say how the pictures were scaled that they were trained on: write them "
            "anew with 'nas train' or 'nas import-weights'"
        )
    own, random_seed = data, known.random_seed or 0
    if known.on != data.source or random_seed != data.random_seed:
        _check_near(member, known.on)
        own = load(known.on, random_seed=random_seed, resolution=member.about.resolution)
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
