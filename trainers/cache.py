"""Pictures decoded once into one file of squares, which every worker then maps into its memory.

A cache lies in ``$INCEPTION_NAS_CACHE`` or ``~/.cache/inception-nas``, in a folder for the listing (names, sizes and
times of the files) and one inside it for the side of the squares: ``pictures.bin`` (uint8, N x S x S x 3), ``rows.npz``
(what is known of each picture) and ``cache.json`` (what the cache is, its digest, which files were damaged). It is
written whole or not at all, by one process at a time, and may be deleted at any time: whoever has mapped it keeps it,
and the next one makes it anew.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search_spaces.errors import NotWritten, RequestError
from search_spaces.files import write_files
from trainers.collection import Collection, Pixels, finish_digest, sums
from trainers.decoders import Other, decoded

logger = logging.getLogger("nas.trainers")

Progress = Callable[[int, int], None]  # pictures done, of how many

FORMAT = 1
PICTURES, ROWS, ABOUT = "pictures.bin", "rows.npz", "cache.json"
MIXED = "mixed.json"  # beside the caches of a listing: its pictures do not share a side
DEFAULT_SIDE = 256  # where no resolution is asked for
PROBE = 32  # pictures by which a shared side is guessed; the guess is checked on all while they are decoded


@dataclass(frozen=True)
class Listing:
    """Picture files, found but not read.

    ``source``: its name for sentences; ``name``: for the cache's folder. ``fingerprint``: SHA-256 of all that changes
    when a file does. ``labels``: index into ``classes``, and ``held_out``: whether it belongs to a test part of the
    source's own, each by file. ``read`` returns a file's bytes, in any thread.
    """

    source: str
    name: str
    fingerprint: str
    classes: tuple[str, ...]
    files: Sequence[str]
    labels: Sequence[int]
    held_out: Sequence[bool]
    read: Callable[[int], bytes]


class _Damaged(Exception):
    """Something is there, but it is not a whole cache."""


class _Opened(NamedTuple):
    pictures: Collection
    about: dict[str, Any]
    changed_ns: int  # when the pictures were, as their file says


def cache_folder() -> Path:
    """Return where caches lie."""
    named = os.environ.get("INCEPTION_NAS_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "inception-nas"


def cached(
    listing: Listing,
    *,
    side: int | None = None,
    resolution: int | None = None,
    damaged: float = 0.01,
    progress: Progress | None = None,
) -> Collection:
    """Return the pictures of a listing as squares of ``side`` pixels, from the cache, which is made if need be.

    Without a side: that of all pictures if they share one that is at most twice the resolution (then resizing reads
    every pixel), else 8/7 of the resolution. ``damaged``: the share of files that may be unreadable. ``progress`` is
    told pictures done and in all; without it the log is. Raises RequestError where more are damaged, or the cache
    cannot be written.
    """
    folder = cache_folder() / f"{listing.name}-{listing.fingerprint[:16]}"
    wanted = ceil((resolution or DEFAULT_SIDE * 7 / 8) * 8 / 7)
    guess = None if side or (folder / MIXED).exists() else _shared_side(listing, 2 * resolution if resolution else None)
    try:
        return _cached(folder, listing, side or guess or wanted, damaged, progress or _Log(listing), exact=bool(guess))
    except Other:
        write_files(folder, {MIXED: b"{}\n"})
        return _cached(folder, listing, wanted, damaged, progress or _Log(listing), exact=False)


def _cached(
    folder: Path, listing: Listing, side: int, damaged: float, progress: Progress, *, exact: bool
) -> Collection:
    place = folder / f"{side}px"
    try:
        found = _open(place, listing)
    except _Damaged:
        found = None  # looked at once more under the lock: another process may be replacing it
    if found is None:
        with _lock(folder):
            try:
                found = _open(place, listing)
            except _Damaged as error:
                logger.warning("the cache %s is damaged (%s): it is made anew", place, error)
            if found is None:
                shutil.rmtree(place, ignore_errors=True)
                _make(place, listing, side, damaged, progress, exact=exact)
                found = _open(place, listing)
                assert found is not None
    _check_damaged(listing, found.about["damaged"], damaged)
    if found.changed_ns != found.about["written_ns"]:
        _remember_time(place, found)
    return found.pictures


def _shared_side(listing: Listing, most: int | None) -> int | None:
    """The side that a few pictures share, if they are squares and it is at most ``most``."""
    from trainers.decode import size

    seen: set[tuple[int, int]] = set()
    for index in range(0, len(listing.files), -(-len(listing.files) // PROBE)):
        try:
            seen.add(size(listing.read(index)))
        except Exception:  # noqa: BLE001 - decoding will say so, and count it
            continue
    width, height = next(iter(seen)) if len(seen) == 1 else (0, 1)
    return width if width == height and (most is None or width <= most) else None


# ---------------------------------------------------------------------------------------------------------- reading it


def _open(place: Path, listing: Listing) -> _Opened | None:
    """Map a cache; None where there is none. Raises _Damaged.

    Sizes and the small file's digest are always checked; the digest of all pixels where the large file was touched
    since it was written, or found to be whole.
    """
    if not place.exists():
        return None
    try:
        about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise _Damaged(f"it is of format {about['format']}, not {FORMAT}")
        shape = tuple(int(length) for length in about["shape"])
        status = os.stat(place / PICTURES)
        if status.st_size != int(np.prod(shape, dtype=np.int64)) or not status.st_size:
            raise _Damaged(f"{PICTURES} has {status.st_size:,} bytes instead of those of {shape[0]:,} pictures")
        rows = (place / ROWS).read_bytes()
        if hashlib.sha256(rows).hexdigest() != about["rows_sha256"]:
            raise _Damaged(f"{ROWS} is not what was written")
        with np.load(place / ROWS, allow_pickle=False) as arrays:
            labels, held_out, totals = arrays["labels"], arrays["held_out"], arrays["sums"]
            files = arrays["files"]
        classes = tuple(about["classes"])
        if status.st_mtime_ns != about["written_ns"]:
            digest = hashlib.sha256()
            with (place / PICTURES).open("rb") as file:
                while chunk := file.read(2**22):
                    digest.update(chunk)
            if finish_digest(digest, shape, labels, held_out, classes) != about["digest"]:
                raise _Damaged(f"{PICTURES} is not what was written")
        pixels = np.memmap(place / PICTURES, np.uint8, "r", shape=shape)
        collection = Collection(
            pixels,
            labels,
            held_out,
            totals,
            classes,
            str(about["digest"]),
            damaged=len(about["damaged"]),
            original=lambda row: _whole(listing, int(files[row])),
            named=lambda row: listing.files[int(files[row])],
        )
        return _Opened(collection, about, status.st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _Damaged(f"{type(error).__name__}: {error}") from None


def _remember_time(place: Path, found: _Opened) -> None:
    """Write down the time of a file of pictures that was touched and is whole, so that it is not read again for that.

    Where that cannot be written, as in a cache that others keep, it is read whole every time.
    """
    try:
        with _lock(place.parent):
            now = json.loads((place / ABOUT).read_text(encoding="utf-8"))
            if now == found.about and os.stat(place / PICTURES).st_mtime_ns == found.changed_ns:
                write_files(place, {ABOUT: json.dumps(now | {"written_ns": found.changed_ns}, indent=1).encode()})
    except (OSError, ValueError) as error:  # not ours to write, or replaced meanwhile
        logger.info("the time of %s cannot be written down (%s)", place / PICTURES, error)


def _whole(listing: Listing, file: int) -> Pixels:
    from trainers.decode import whole

    return whole(listing.read(file))


# ----------------------------------------------------------------------------------------------------------- making it


def _make(place: Path, listing: Listing, side: int, damaged: float, progress: Progress, *, exact: bool) -> None:
    count = len(listing.files)
    _check_space(place.parent, count * side * side * 3)
    draft = place.with_name(f".{place.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed: the lock is ours
    digest = hashlib.sha256()
    kept: list[int] = []
    totals = []
    bad: list[dict[str, str]] = []
    try:
        draft.mkdir()
        with (draft / PICTURES).open("wb") as file:
            for run in decoded(listing.read, count, side, exact=exact):
                kept += [run.start + index for index in range(run.count) if index not in run.reasons]
                bad += [{"file": listing.files[run.start + i], "reason": why} for i, why in sorted(run.reasons.items())]
                _check_damaged(listing, bad, damaged)
                file.write(run.squares.data)
                digest.update(run.squares.data)
                totals.append(sums(run.squares))
                progress(run.start + run.count, count)
            file.flush()
            os.fsync(file.fileno())
        labels = np.asarray(listing.labels, np.int64)[kept]
        held_out = np.asarray(listing.held_out, bool)[kept]
        shape = (len(kept), side, side, 3)
        with (draft / ROWS).open("wb") as file:
            np.savez(file, labels=labels, held_out=held_out, sums=np.concatenate(totals), files=np.asarray(kept))
        about: dict[str, Any] = {
            "format": FORMAT,
            "source": listing.source,
            "fingerprint": listing.fingerprint,
            "classes": listing.classes,
            "shape": shape,
            "digest": finish_digest(digest, shape, labels, held_out, listing.classes),
            "rows_sha256": hashlib.sha256((draft / ROWS).read_bytes()).hexdigest(),
            "written_ns": os.stat(draft / PICTURES).st_mtime_ns,
            "damaged": bad,
        }
        write_files(draft, {ABOUT: json.dumps(about, indent=1).encode()})
        os.rename(draft, place)
    except OSError as error:
        raise _unwritable(error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for entry in bad:
        logger.warning("%s: %s is skipped: %s", listing.source, entry["file"], entry["reason"])


def _check_damaged(listing: Listing, bad: Sequence[dict[str, str]], share: float) -> None:
    count = len(listing.files)
    if len(bad) <= share * count:
        return
    shown = "; ".join(f"{entry['file']}: {entry['reason']}" for entry in bad[:3])
    raise RequestError(
        f"{len(bad)} of the {count:,} pictures of {listing.source!r} cannot be read ({shown}"
        f"{'; ...' if len(bad) > 3 else ''}), and {share:.2%} may be skipped: mend or remove them, "
        "or raise data.damaged"
    )


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise RequestError(
            f"the cache needs {size / 2**30:.1f} GiB and {str(folder)!r} has {free / 2**30:.1f} GiB: lower data.side, "
            "or name a folder with more room in INCEPTION_NAS_CACHE"
        )


def _unwritable(error: OSError) -> NotWritten:
    return NotWritten(
        f"the cache folder {str(cache_folder())!r} cannot be written ({error.strerror}): name another one in "
        "INCEPTION_NAS_CACHE, or mend its permissions"
    )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a listing's caches, waiting for whoever has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / "lock").open("w")
    except OSError as error:
        raise _unwritable(error) from None
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process is making the cache in %s: waiting for it", folder)
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield


class _Log:
    """Progress in the log, at every tenth."""

    def __init__(self, listing: Listing) -> None:
        self.source, self.tenths = listing.source, 0

    def __call__(self, done: int, total: int) -> None:
        tenths = 10 * done // total
        if tenths > self.tenths:
            self.tenths = tenths
            logger.info("%s: %d of %d pictures decoded", self.source, done, total)
