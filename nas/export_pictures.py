"""The pictures on which an export is calibrated and compared: of the data of its training, or others."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas.study import Found
from nas.trial_weights import settings
from results.export.content import Content
from search_spaces.errors import RequestError
from trainers.about import About
from trainers.source import HUGGING_FACE, DataSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trainers.data import DataSet, Part

CALIBRATION = 256  # pictures of the training part, for the ranges of activations
COMPARED = 256  # pictures of the validation part
BATCH = 32
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue
Progress = Callable[[int, int], None]  # pictures done, of how many


@dataclass(frozen=True, eq=False)
class Pictures:
    """Batches of pictures as they go into a network, float32 (N, C, H, W), scaled.

    ``name``: of the data. ``calibration``: of the training part, drawn at random. ``batches`` and ``labels``: of the
    validation part, drawn at random.
    """

    name: str
    calibration: "Sequence[NDArray[np.float32]]"
    batches: "Sequence[NDArray[np.float32]]"
    labels: "Sequence[NDArray[np.int64]]"

    def first(self, count: int) -> "NDArray[np.float32]":
        """Return the first so many pictures of ``batches``, over and over where there are fewer."""
        import numpy as np

        found = np.concatenate(self.batches[: -(-count // BATCH)])
        return np.take(found, np.arange(count) % len(found), axis=0)


def pictures_for(
    found: Found,
    content: Content,
    about: About | None,
    source: DataSource | None,
    *,
    needed: bool,
    tell: Callable[[str], None] = lambda sentence: None,
    decoding: Callable[[str], AbstractContextManager[Progress | None]] = lambda source: nullcontext(),
) -> Pictures | None:
    """Return pictures of ``source``, or of the data that the content's weights were trained on where that is at hand.

    ``about``: what is known of weights that were named; without them a trial's own were taken, or none. ``decoding``
    shows how pictures are decoded.

    None where there are none, or where those of the training cannot be shown to the network; ``tell`` gets the reason.
    RequestError where some are ``needed`` or asked for, and cannot be had.
    """
    own, split_seed = _trained_on(found, content, about)
    wanted = source or _nearby(own)
    if wanted is None:
        if needed:
            raise RequestError(
                "static int8 is calibrated on pictures, and those that the weights were trained on are not at hand: "
                "name pictures with --data"
            )
        return None
    try:
        wanted.check_there()
        with decoding(wanted.source) as progress:
            return _drawn(content, wanted, own, split_seed, progress)
    except RequestError as error:
        if needed or source is not None:
            raise
        tell(f"compared on noise: {error}")
        return None


def _trained_on(found: Found, content: Content, about: About | None) -> tuple[DataSource | None, int]:
    """The data that the weights were trained on, if that is known, and the random seed of its split."""
    if about is not None:
        return about.trained.on, about.trained.random_seed or 0
    if content.state is None or found.study is None:
        return None, 0
    config = settings(found.study)
    return config.data, config.random_seed


def _nearby(source: DataSource | None) -> DataSource | None:
    """The same, unless it would be fetched from elsewhere or has gone."""
    if source is None or source.source.startswith(HUGGING_FACE):
        return None
    try:
        source.check_there()
    except RequestError:
        return None
    return source


def _drawn(
    content: Content, source: DataSource, own: DataSource | None, split_seed: int, progress: Progress | None
) -> Pictures:
    from trainers.data import load

    scaling = content.scaling
    if scaling is None:
        raise RequestError(
            f"the weights of {content.architecture.name} do not say how pictures were scaled for them, so that none "
            "can be shown to them: leave --data out, or export weights of 'nas train' or 'nas import-weights'"
        )
    height, width = content.sides
    if height != width:
        raise RequestError(
            f"pictures of data are square, and this network is exported for {height} x {width}: leave --data out"
        )
    data = load(source, random_seed=split_seed, resolution=height, progress=progress)
    same = own is not None and own.absolute().source == source.absolute().source
    if same and content.data_digest not in (None, data.digest):
        raise RequestError(
            f"{data.name!r} has other pictures by now, or another split than that of the training, so that its "
            "validation part may hold what the weights were trained on: name it as the training did, or other pictures"
        )
    to_grey = (data.channels, content.channels) == (3, 1)
    if data.channels != content.channels and not to_grey:
        raise RequestError(
            f"pictures of {data.name!r} have {data.channels} channels, and the network takes {content.channels}: "
            "name other pictures with --data"
        )
    known = content.class_names
    if (known and known != data.classes) or len(data.classes) != content.classes:
        raise RequestError(
            f"{data.name!r} has {len(data.classes)} classes, and the network tells {content.classes} others apart: "
            "name pictures of its classes with --data"
        )
    unit = data.white / scaling.white
    each = 3 if to_grey else 1  # scaled before they become grey, which comes to the same
    data = replace(
        data,
        mean=tuple(value * unit for value in scaling.mean) * each,
        deviation=tuple(value * unit for value in scaling.deviation) * each,
    )
    calibration, _ = _batches(data, data.train, CALIBRATION)
    batches, labels = _batches(data, data.validation, COMPARED)
    if to_grey:
        calibration, batches = [_grey(batch) for batch in calibration], [_grey(batch) for batch in batches]
    return Pictures(data.name, calibration, batches, labels)


def _grey(pictures: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Return the luma of colours (N, 3, H, W) as (N, 1, H, W), by the weights of ITU-R 601, as Pillow's mode L."""
    import numpy as np

    return np.tensordot(pictures, np.array(LUMA, np.float32), axes=(1, 0))[:, None]


def _batches(data: "DataSet", part: "Part", count: int) -> "tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]]":
    """Draw up to ``count`` pictures of a part, always the same ones."""
    import torch

    from trainers.feed import Feed

    drawn = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:count]
    found = list(Feed(data, part, "cpu").ordered(BATCH, drawn))
    return [pictures.contiguous().numpy() for pictures, _ in found], [labels.numpy() for _, labels in found]
