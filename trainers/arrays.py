"""Pictures and labels as arrays in one ``.npz`` file.

``images`` (or ``x``): uint8, (N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1 to 4. ``labels`` (or ``y``): whole
numbers from 0, (N,) or (N, 1). Names of the classes, ``classes`` (texts), may be there. With ``x_test`` and ``y_test``
(or ``test_images`` and ``test_labels``) beside ``x_train`` and ``y_train`` (``train_images``, ``train_labels``), as
Keras and MedMNIST name them, the former are the test part. Pictures that are no squares are cut to their centre.
"""

import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.errors import RequestError
from trainers.collection import Collection, Integers, Pixels, in_memory
from trainers.source import DataSource

WHOLE = (("images", "labels"), ("x", "y"))
TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"))
TEST = (("x_test", "y_test"), ("test_images", "test_labels"))
VALIDATION = ("val_images", "val_labels")
ALLOWED = "uint8 of the form (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to 4 channels"


def read_arrays(source: str) -> Collection:
    """Read an ``.npz`` file; RequestError for one that holds something else. Nothing in it is ever unpickled."""
    DataSource(source).check_there()
    path = Path(source)
    status = path.stat()
    return _read(source, str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)  # for a worker, which asks at every trial; size and time are there to tell a changed file
def _read(source: str, path: str, size: int, changed_ns: int) -> Collection:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no archive of named arrays")
        with np.load(path, allow_pickle=False) as file:
            return _collection(source, file)
    except RequestError:
        raise
    except (OSError, ValueError, EOFError, NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        why = "it holds Python objects" if "pickle" in str(error) else str(error).split("\n")[0][:100]
        raise RequestError(
            f"{source!r} cannot be read as arrays ({why}): write it with numpy.savez(file, images=..., labels=...)"
        ) from None


def _collection(source: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Collection:
    whole = next((names for names in WHOLE if set(names) <= arrays.keys()), None)
    train = next(
        ((first, second) for first, second in zip(TRAIN, TEST, strict=True) if set(first) <= arrays.keys()), None
    )
    if whole is not None:
        parts = [_part(source, arrays, *whole)]
    elif train is not None:
        extra = [VALIDATION] if set(VALIDATION) <= arrays.keys() else []
        test = [train[1]] if set(train[1]) <= arrays.keys() else []
        parts = [_part(source, arrays, *names) for names in (train[0], *extra, *test)]
        if len({pixels.shape[1:] for pixels, _ in parts}) > 1:
            raise RequestError(f"the parts of {source!r} hold pictures of several shapes: write them all in one")
    else:
        raise RequestError(
            f"{source!r} holds {', '.join(sorted(arrays)) or 'nothing'}: 'images' and 'labels' are needed "
            "(or x and y, or x_train, y_train, x_test and y_test); write it with these names"
        )
    pixels, labels = (np.concatenate(arrays_of) for arrays_of in zip(*parts, strict=True))
    held_out = np.zeros(len(labels), bool)
    if whole is None and test:
        held_out[-len(parts[-1][1]) :] = True
    return in_memory(_squares(pixels), labels, _classes(source, arrays, labels), held_out=held_out)


def _part(source: str, arrays: Mapping[str, npt.NDArray[Any]], images: str, labels: str) -> tuple[Pixels, Integers]:
    pixels, truth = arrays[images], arrays[labels]
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or 0 in pixels.shape:
        raise RequestError(
            f"{images!r} of {source!r} is {pixels.dtype} of the form {pixels.shape}: allowed is {ALLOWED}; convert it"
        )
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    elif pixels.shape[3] > 4:  # channels last wherever that is possible, as most files have them
        if pixels.shape[1] > 4:
            raise RequestError(
                f"{images!r} of {source!r} has the form {pixels.shape}: allowed is {ALLOWED}; convert it"
            )
        pixels = pixels.transpose(0, 2, 3, 1)
    if not np.issubdtype(truth.dtype, np.integer) or truth.shape not in ((len(pixels),), (len(pixels), 1)):
        raise RequestError(
            f"{labels!r} of {source!r} is {truth.dtype} of the form {truth.shape}: a whole number for each of the "
            f"{len(pixels):,} pictures is needed; convert it"
        )
    return pixels, truth.reshape(-1).astype(np.int64)


def _squares(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[:, top : top + side, left : left + side]


def _classes(source: str, arrays: Mapping[str, npt.NDArray[Any]], labels: Integers) -> tuple[str, ...]:
    """Names of the classes: every number from 0 to the largest label must occur."""
    found = np.unique(labels)
    if found[0] < 0 or len(found) < 2 or found[-1] != len(found) - 1:
        some = ", ".join(map(str, found[:8].tolist())) + (", ..." if len(found) > 8 else "")
        raise RequestError(
            f"the labels of {source!r} are {some}: they must be 0, 1 and so on without a gap, and two at least; "
            "number the classes anew"
        )
    if "classes" not in arrays:
        return tuple(map(str, found.tolist()))
    names = arrays["classes"]
    if names.shape != found.shape or names.dtype.kind != "U":
        raise RequestError(
            f"'classes' of {source!r} is {names.dtype} of the form {names.shape}: a text for each of the {len(found)} "
            "classes is needed; correct it or leave it out"
        )
    return tuple(map(str, names.tolist()))
