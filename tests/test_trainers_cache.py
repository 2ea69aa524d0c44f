"""The cache of decoded pictures: made once, whole or not at all, and made anew when it is damaged."""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import COLOURS, noise, write_folder
from PIL import Image

from search_spaces.errors import RequestError
from trainers import cache
from trainers.cache import ABOUT, PICTURES, ROWS, Listing, cached
from trainers.collection import Collection
from trainers.folders import list_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INCEPTION_NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return list_folder(str(write_folder(tmp_path / "pictures", {"red": 30, "blue": 40})))


def place(own_cache: Path) -> Path:
    (about,) = own_cache.glob(f"*/*/{ABOUT}")
    return about.parent


def expected(listing: Listing) -> np.ndarray:
    return np.stack([noise(COLOURS[file.split("/")[0]], (12, 12), int(file[-7:-4])) for file in listing.files])


def test_pictures_labels_and_sums_are_kept(listing: Listing, own_cache: Path) -> None:
    told: list[tuple[int, int]] = []
    found = cached(listing, resolution=12, progress=lambda done, total: told.append((done, total)))
    assert np.array_equal(found.pixels, expected(listing))
    assert found.labels.tolist() == [0] * 40 + [1] * 30
    assert found.classes == ("blue", "red")
    assert np.array_equal(found.sums[:, 0], found.pixels.sum((1, 2), dtype=np.int64))
    assert np.array_equal(found.sums[:, 1], (found.pixels.astype(np.int64) ** 2).sum((1, 2)))
    assert told == [(64, 70), (70, 70)]
    assert isinstance(found.pixels, np.memmap)
    assert not found.pixels.flags.writeable
    about = json.loads((place(own_cache) / ABOUT).read_text())
    assert about["digest"] == found.digest
    assert about["source"] == listing.source
    told.clear()
    again = cached(listing, resolution=12, progress=lambda done, total: told.append((done, total)))
    assert again.digest == found.digest
    assert not told  # nothing was decoded


def test_the_digest_is_of_the_content_alone(listing: Listing, tmp_path: Path) -> None:
    first = cached(listing, resolution=12)
    other = cached(list_folder(str(write_folder(tmp_path / "copy", {"red": 30, "blue": 40}))), resolution=12)
    assert other.digest == first.digest
    Image.fromarray(noise((0, 0, 0), (12, 12), 0)).save(tmp_path / "copy" / "red" / "000.png")
    assert cached(list_folder(str(tmp_path / "copy")), resolution=12).digest != first.digest


@pytest.mark.parametrize(
    ("size", "side", "resolution", "stored"),
    [
        ((12, 12), None, 12, 12),  # all share it
        ((12, 12), None, 6, 12),  # at most twice the resolution
        ((12, 12), None, 5, 6),  # 8/7 of the resolution
        ((12, 12), None, None, 12),
        ((12, 14), None, 14, 16),  # no squares
        ((12, 12), 9, 12, 9),  # as it is asked for
    ],
)
def test_the_stored_side(
    tmp_path: Path, size: tuple[int, int], side: int | None, resolution: int | None, stored: int
) -> None:
    listing = list_folder(str(write_folder(tmp_path / "p", {"red": 3, "blue": 3}, size=size)))
    assert cached(listing, side=side, resolution=resolution).pixels.shape == (6, stored, stored, 3)


def test_mixed_sizes_are_found_out_while_decoding(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path / "p", {"red": 100, "blue": 100})
    Image.fromarray(noise((9, 9, 9), (30, 20), 0)).save(root / "red" / "050.png")  # not among those that are probed
    listing = list_folder(str(root))
    assert cached(listing, resolution=12).pixels.shape == (200, 14, 14, 3)
    assert [path.name for path in own_cache.glob("*/*px")] == ["14px"]
    assert not list(own_cache.glob("*/.*"))
    monkeypatch.setattr(cache, "decoded", None)
    assert cached(listing, resolution=12).pixels.shape == (200, 14, 14, 3)  # remembered


def damage(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def do(where: Path) -> None:
        (where / name).write_bytes(change((where / name).read_bytes()))

    return do


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (damage(PICTURES, lambda content: content[:-5]), "has 30,235 bytes instead of those of 70 pictures"),
        (damage(PICTURES, lambda content: content[:99] + bytes([content[99] ^ 1]) + content[100:]), "not what was"),
        (damage(PICTURES, lambda content: b""), "has 0 bytes"),
        (damage(ROWS, lambda content: content[:-1] + b"x"), "rows.npz is not what was written"),
        (damage(ABOUT, lambda content: content[:50]), "JSONDecodeError"),
        (damage(ABOUT, lambda content: content.replace(b'"format": 1', b'"format": 0')), "of format 0"),
        (damage(ABOUT, lambda content: b"{}"), "KeyError"),
        (lambda where: (where / PICTURES).unlink(), "FileNotFoundError"),
    ],
)
def test_a_damaged_cache_is_made_anew(
    listing: Listing,
    own_cache: Path,
    caplog: pytest.LogCaptureFixture,
    how: Callable[[Path], None],
    sentence: str,
) -> None:
    digest = cached(listing, resolution=12).digest
    how(place(own_cache))
    with caplog.at_level(logging.WARNING, "nas.trainers"):
        found = cached(listing, resolution=12)
    assert found.digest == digest
    assert np.array_equal(found.pixels, expected(listing))
    (said,) = caplog.messages
    assert "is damaged" in said
    assert sentence in said
    assert "is made anew" in said


def test_a_touched_cache_that_is_whole_is_kept(
    listing: Listing, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(listing, resolution=12)
    os.utime(place(own_cache) / PICTURES, ns=(1, 1))  # as a copy to another machine does
    monkeypatch.setattr(cache, "decoded", None)
    assert len(cached(listing, resolution=12).pixels) == 70
    monkeypatch.setattr(cache, "finish_digest", None)
    assert len(cached(listing, resolution=12).pixels) == 70  # it is not read whole again
    assert not list(own_cache.rglob("*.partial"))


def test_a_touched_cache_that_cannot_be_written_is_read_whole_every_time(
    listing: Listing, own_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cached(listing, resolution=12)
    os.utime(place(own_cache) / PICTURES, ns=(1, 1))
    written = (place(own_cache) / ABOUT).read_bytes()

    def refused(*arguments: object) -> None:
        raise RequestError("cannot be written")

    monkeypatch.setattr(cache, "decoded", None)
    monkeypatch.setattr(cache, "write_files", refused)
    with caplog.at_level(logging.INFO, "nas.trainers"):
        for _ in range(2):
            assert len(cached(listing, resolution=12).pixels) == 70
    assert len(caplog.messages) == 2
    assert all("cannot be written down" in said for said in caplog.messages)
    assert (place(own_cache) / ABOUT).read_bytes() == written


def spoil(listing: Listing, count: int) -> Listing:
    root = Path(listing.source)
    for file in listing.files[:count]:
        content = (root / file).read_bytes()
        (root / file).write_bytes(content[: len(content) // 2])
    return list_folder(listing.source)


def test_damaged_files_are_skipped_and_listed(
    listing: Listing, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listing = spoil(listing, 2)
    with caplog.at_level(logging.WARNING, "nas.trainers"):
        found = cached(listing, resolution=12, damaged=0.03)
    assert found.damaged == 2
    assert np.array_equal(found.pixels, expected(listing)[2:])
    assert found.labels.tolist() == [0] * 38 + [1] * 30
    listed = json.loads((place(own_cache) / ABOUT).read_text())["damaged"]
    assert [entry["file"] for entry in listed] == list(listing.files[:2])
    assert all("truncated" in entry["reason"] for entry in listed)
    assert len(caplog.messages) == 2
    with pytest.raises(RequestError, match="2 of the 70 pictures"):  # less is allowed now than when it was made
        cached(listing, resolution=12, damaged=0.01)


def test_too_many_damaged_files_are_refused(listing: Listing, own_cache: Path) -> None:
    listing = spoil(listing, 5)
    sentence = (
        r"5 of the 70 pictures of '.*' cannot be read \(blue/000.png: .*truncated.*; blue/001.png: .*; blue/002"
        r".*; \.\.\.\), and 1.00% may be skipped: mend or remove them, or raise data.damaged"
    )
    with pytest.raises(RequestError, match=sentence):
        cached(listing, resolution=12)
    assert not list(own_cache.glob("*/*px"))
    assert not list(own_cache.glob("*/.*"))


def test_ctrl_c_leaves_nothing_half(listing: Listing, own_cache: Path) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(listing, resolution=12, progress=interrupted)
    assert [path.name for path in own_cache.glob("*/*")] == ["lock"]
    assert not children()
    assert len(cached(listing, resolution=12).pixels) == 70


def children() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        if parent == os.getpid() and b"decode.py" in command:
            found.append(entry.name)
    return found


def test_what_a_killed_process_left_is_cleared(listing: Listing, own_cache: Path) -> None:
    left = own_cache / f"{listing.name}-{listing.fingerprint[:16]}" / ".12px.partial"
    left.mkdir(parents=True)
    (left / PICTURES).write_bytes(b"half")
    assert len(cached(listing, resolution=12).pixels) == 70
    assert not left.exists()


def test_several_at_once_decode_once(listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    slow = threading.Event()
    original = cache.decoded

    def counted(*arguments: object, **options: object) -> object:
        calls.append(1)
        slow.wait(10)
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "decoded", counted)
    found: list[Collection] = []
    threads = [threading.Thread(target=lambda: found.append(cached(listing, resolution=12))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not calls:
        time.sleep(0.01)
    slow.set()
    for thread in threads:
        thread.join(30)
    assert len(calls) == 1
    assert [len(one.pixels) for one in found] == [70, 70, 70]


def test_whoever_waits_says_so(listing: Listing, own_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = own_cache / f"{listing.name}-{listing.fingerprint[:16]}"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as lock, caplog.at_level(logging.INFO, "nas.trainers"):
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: cached(listing, resolution=12))
        thread.start()
        while not caplog.messages:
            time.sleep(0.01)
        fcntl.flock(lock, fcntl.LOCK_UN)
        thread.join(30)
    assert "another process is making the cache" in caplog.messages[0]
    assert "70 of 70 pictures decoded" in caplog.messages[-1]


def test_a_cache_that_cannot_be_written_is_told(
    listing: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INCEPTION_NAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(RequestError, match=r"the cache folder .* cannot be written \(Not a directory\): name another"):
        cached(listing, resolution=12)


def test_a_disk_that_is_too_small_is_told(listing: Listing, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(RequestError, match=r"the cache needs 0.0 GiB and .* has 0.0 GiB: lower data.side"):
        cached(listing, resolution=12)


def test_the_cache_lies_at_home_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("INCEPTION_NAS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "inception-nas"
