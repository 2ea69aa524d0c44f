"""Folders of trials on this machine and at URLs."""

import socket
from pathlib import Path

import pytest

from nas.storage import PART, Folder, Remote, folder_at
from search_spaces.errors import NotWritten, RequestError


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "here"))
    return tmp_path / "there"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_path_is_worked_on_where_it_is(tmp_path: Path) -> None:
    folder = folder_at(str(tmp_path / "5"))
    assert type(folder) is Folder
    folder.path.mkdir()
    (folder.path / "a").write_bytes(b"1")
    folder.fetch(), folder.send()
    assert _files(tmp_path) == {"5/a": b"1"}
    folder.remove()
    assert _files(tmp_path) == {}


def test_what_is_sent_is_fetched_elsewhere(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"file://{there}/s/trials/5"
    first = folder_at(url)
    assert isinstance(first, Remote)
    first.fetch()
    assert _files(first.path) == {}
    (first.path / "checkpoint" / "0").mkdir(parents=True)
    (first.path / "checkpoint" / "0" / "epoch-1").write_bytes(b"one")
    first.send()
    (first.path / "checkpoint" / "0" / "epoch-2").write_bytes(b"two")
    (first.path / "checkpoint" / "0" / "epoch-1").unlink()
    (first.path / "result.json").write_bytes(b"{}")
    first.send()
    assert _files(there / "s" / "trials" / "5") == {"checkpoint/0/epoch-2": b"two", "result.json": b"{}"}
    monkeypatch.setattr("tempfile.tempdir", str(there.parent / "another machine"))
    second = folder_at(url)
    assert second.path != first.path
    second.fetch()
    assert _files(second.path) == _files(first.path)


def test_files_that_have_not_changed_are_not_sent_again(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Remote(f"file://{there}/5")
    folder.fetch()
    (folder.path / "large").write_bytes(b"x")
    folder.send()
    before = (there / "5" / "large").stat().st_mtime_ns
    (folder.path / "small").write_bytes(b"y")
    folder.send()
    assert (there / "5" / "large").stat().st_mtime_ns == before


def test_a_file_that_was_on_its_way_is_not_fetched_and_goes(there: Path) -> None:
    folder = Remote(f"file://{there}/5")
    folder.fetch()
    (folder.path / "a").write_bytes(b"whole")
    folder.send()
    (there / "5" / f"a{PART}").write_bytes(b"half")
    folder.fetch()
    assert _files(folder.path) == {"a": b"whole"}
    folder.send()
    assert _files(there) == {"5/a": b"whole"}


def test_what_was_here_before_does_not_come_back(there: Path) -> None:
    folder = Remote(f"file://{there}/5")
    folder.fetch()
    (folder.path / "old").write_bytes(b"of another ledger")
    folder.fetch()
    assert _files(folder.path) == {}


def test_removing_removes_both(there: Path) -> None:
    folder = Remote(f"file://{there}/5")
    folder.fetch()
    (folder.path / "a").write_bytes(b"1")
    folder.send()
    folder.remove()
    assert _files(there) == {}
    assert not folder.path.exists()


@pytest.mark.parametrize("at", ["", "file://"])
def test_single_files_and_folders(at: str, there: Path) -> None:
    folder = folder_at(f"{at}{there}")
    assert folder.read("a") is None
    folder.write("a", b"1")
    folder.write("a", b"2")
    assert folder.read("a") == b"2"
    folder_at(f"{at}{there}/5").write("w", b"3")
    folder.move("5", "aside/5")
    assert _files(there) == {"a": b"2", "aside/5/w": b"3"}


def test_what_cannot_be_moved_or_removed_or_read_is_told(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    folder = folder_at(str(there))
    folder.write("a", b"1")
    folder_at(str(there / "gone")).remove()  # what is not there needs no removing
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refused)
        with pytest.raises(NotWritten, match=r"cannot be removed \(Permission denied\): remove it by hand"):
            folder.remove()
        patch.setattr(Path, "rename", refused)
        with pytest.raises(
            NotWritten, match=r"'.*5' cannot be moved to '.*6': Permission denied; move it away by hand"
        ):
            folder.move("5", "6")
        patch.setattr(Path, "read_bytes", refused)
        with pytest.raises(RequestError, match=r"'.*a' cannot be read \(Permission denied\): mend its permissions"):
            folder.read("a")
    assert _files(there) == {"a": b"1"}


@pytest.mark.parametrize("at", ["", "file://"])
def test_dropping_a_folder_leaves_the_rest(at: str, there: Path) -> None:
    folder = folder_at(f"{at}{there}/5")
    folder.fetch()
    (folder.path / "checkpoint" / "0").mkdir(parents=True)
    for name in ("checkpoint/0/epoch-1", "checkpoint.json", "weights"):
        (folder.path / name).write_bytes(b"1")
    folder.send()
    for _ in range(2):  # once more changes nothing
        folder.drop("checkpoint")
        folder.send()
        assert set(_files(there / "5")) == set(_files(folder.path)) == {"checkpoint.json", "weights"}
    (folder.path / "checkpoint" / "0").mkdir(parents=True)
    (folder.path / "checkpoint" / "0" / "epoch-1").write_bytes(b"1")
    folder.send()
    assert (there / "5" / "checkpoint" / "0" / "epoch-1").exists()


def test_a_url_that_nobody_knows_is_told() -> None:
    with pytest.raises(RequestError, match="the storage 'nonsense://bucket' cannot be used"):
        Remote("nonsense://bucket").fetch()


def test_a_machine_that_sees_another_folder_under_the_path_is_told_apart(tmp_path: Path) -> None:
    """A driver's own machine sees its sign; one whose disk has a folder of the same path, of an earlier search, not."""
    trials = folder_at(str(tmp_path / "trials"))
    earlier, sign = trials.leave_sign(), trials.leave_sign()
    assert set(_files(trials.path)) == {sign}
    trial = folder_at(str(tmp_path / "trials" / "5"))
    trial.check_sign(sign)
    with pytest.raises(NotWritten, match=rf"{socket.gethostname()} does not see .*trials'.*set storage to a folder"):
        trial.check_sign(earlier)
    assert Remote(f"file://{tmp_path}/trials").leave_sign() == ""  # one place from everywhere
