"""Copies of a trial's files at a URL: one for each object, gone with it; marks; a storage that cannot be written."""

import gc
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.storage import Remote, check_writable, folder_at
from search_spaces.errors import NotWritten, RequestError

pytest.importorskip("pyarrow")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at a URL; copies lie in a passing folder too."""
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def test_each_object_has_a_copy_of_its_own_and_all_share_their_marks(there: Path) -> None:
    one, other = Remote(f"file://{there}/5"), Remote(f"file://{there}/5")
    another = Remote(f"file://{there}/6")
    assert one.path != other.path
    assert one.marks == other.marks != another.marks
    assert one.marks not in (one.path, other.path)
    for folder in (one, other):
        folder.fetch()
    (one.path / "a").write_bytes(b"1")
    assert not (other.path / "a").exists()
    one.remove()
    assert other.path.exists()
    plain = folder_at(str(there / "5"))
    assert plain.marks == plain.path


def test_a_copy_goes_with_its_object(there: Path) -> None:
    folder = Remote(f"file://{there}/5")
    folder.fetch()
    (folder.path / "a").write_bytes(b"1")
    folder.send()
    path = folder.path
    assert path.exists()
    del folder
    gc.collect()
    assert not path.exists()
    assert (there / "5" / "a").read_bytes() == b"1"
    assert list(path.parent.iterdir()) == []


def test_copies_of_users_are_kept_apart(there: Path) -> None:
    assert Remote(f"file://{there}/5").path.parent.name == f"inception-nas-{os.getuid()}"


def test_a_storage_that_refuses_is_a_file_that_is_not_written(there: Path) -> None:
    folder = Remote(f"file://{there}/5")
    folder.fetch()
    (folder.path / "a").write_bytes(b"1")
    (there / "5").write_bytes(b"a file in its place")
    with pytest.raises(
        NotWritten, match=r"the storage 'file://.*/5' does not do what it is asked to \(.*\): see that it is"
    ):
        folder.send()
    (there / "5").unlink()
    folder.send()  # what was refused is sent when it can be
    assert (there / "5" / "a").read_bytes() == b"1"


def test_a_storage_is_looked_at_before_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable("s3://bucket/nas")
    check_writable(str(tmp_path))
    check_writable(str(tmp_path / "new" / "deeper"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RequestError, match="cannot be written: name a folder that you and all workers may write"):
            check_writable(str(place))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(RequestError, match="cannot be written"):
        check_writable(str(tmp_path / "new"))


def test_a_storage_that_does_not_answer_is_no_mistake_of_the_trial(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that reaches for it says so, so that the search halts and loses nothing."""

    def away(url: str) -> Any:
        raise OSError("AWS Error NETWORK_CONNECTION during HeadBucket")

    folder = Remote(f"file://{there}/5")
    assert not folder.has("a")
    folder.fetch()
    (folder.path / "a").write_bytes(b"1")
    folder.send()
    assert folder.has("a")
    monkeypatch.setattr("pyarrow.fs.FileSystem", SimpleNamespace(from_uri=away))
    for reach in (folder.fetch, folder.send, folder.remove, folder.sizes, lambda: folder.has("a")):
        with pytest.raises(NotWritten, match=r"does not do what it is asked to \(AWS Error NETWORK_CONNECTION"):
            reach()


def test_a_folder_below_one_that_may_not_be_entered_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(RequestError, match="cannot be written: name a folder"):
        check_writable(str(tmp_path / "closed" / "x"))
