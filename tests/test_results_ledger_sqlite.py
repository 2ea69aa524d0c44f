"""The ledger as a file: places, permissions, damage, and the versions that earlier releases wrote."""

import os
import re
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledgers import OBJECTIVES, SEARCH, VALUES, together
from sqlalchemy.exc import OperationalError

from results import ledger_tables, sqlite_file
from results.ledger import Ledger, LedgerError
from results.outcome import Measurement, Outcome

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path):
    with Ledger.open(path, create=True) as opened:
        opened.create_study("digits", SEARCH, OBJECTIVES, {"torch": "2.13.0"}, "data-1")
        yield opened


def test_the_journal_and_its_safety(ledger, path):
    with ledger._reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version FROM inception_nas_ledger").fetchall() == [(2,)]


def test_a_new_ledger_in_which_another_driver_writes_is_waited_for(path):
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")  # before the journal is a write-ahead log, for which SQLite does not wait
        over = threading.Timer(0.5, other.execute, ("COMMIT",))
        over.start()
        with Ledger.open(path, create=True) as opened:
            assert opened.studies() == []
        over.join()


def test_reading_leaves_no_files_behind(path):
    Ledger.open(path, create=True).close()
    with pytest.raises(LedgerError, match="no ledger at"):
        Ledger.open(path.with_name("other.db"), read_only=True)
    with Ledger.open(path, read_only=True) as reader:
        assert reader.studies() == []
    assert {file.name for file in path.parent.iterdir()} <= {"ledger.db", "ledger.db-wal", "ledger.db-shm"}


@contextmanager
def unprivileged():
    """As a user to whom permissions apply; root is above them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def locked_folder():
    """A folder with a ledger and without write permission. Not under tmp_path, into which only its owner can look."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ledger.open(folder / "ledger.db", create=True) as ledger:
            ledger.create_study("digits", SEARCH, OBJECTIVES, {})
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
def test_a_folder_without_write_permission_can_be_read_and_not_written(locked_folder):
    path = locked_folder / "ledger.db"
    with unprivileged():
        with Ledger.open(path, read_only=True) as reader:
            assert reader.study("digits").search == SEARCH
        for options in ({}, {"create": True}):
            with pytest.raises(LedgerError, match="get write permission"):
                Ledger.open(path, **options)
        with pytest.raises(LedgerError, match="permission"):
            Ledger.open(locked_folder / "new.db", create=True)
    assert [file.name for file in locked_folder.iterdir()] == ["ledger.db"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
def test_a_journal_that_cannot_be_read_is_not_passed_over(locked_folder):
    """Without its index and the right to make one, the journal's newer commits would be missing from what is read."""
    locked_folder.chmod(0o755)
    (locked_folder / "ledger.db-wal").write_bytes(b"x" * 4096)
    locked_folder.chmod(0o555)
    with unprivileged(), pytest.raises(LedgerError, match="permission for the file and its folder, or copy"):
        Ledger.open(locked_folder / "ledger.db", read_only=True)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
def test_a_file_without_write_permission_is_refused_when_opened_for_writing(locked_folder):
    locked_folder.chmod(0o777)
    (locked_folder / "ledger.db").chmod(0o444)
    with unprivileged(), pytest.raises(LedgerError, match="cannot be written: get write permission"):
        Ledger.open(locked_folder / "ledger.db")


def test_missing_places_are_said(tmp_path):
    for path, options, found in [
        (tmp_path / "no" / "l.db", {"create": True}, "there is no folder"),
        (tmp_path / "l.db", {}, "there is no ledger at"),
        (tmp_path, {"create": True}, "is a folder"),
        (tmp_path / "l.db", {"create": True, "read_only": True}, "not both"),
    ]:
        with pytest.raises(LedgerError, match=found):
            Ledger.open(path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{}, {"create": True}, {"read_only": True}])
def test_a_file_that_is_no_ledger_is_left_alone(path, options):
    path.write_bytes(b"weights " * 1000)
    with pytest.raises(LedgerError, match="is not a ledger"):
        Ledger.open(path, **options)
    assert path.read_bytes() == b"weights " * 1000
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (x)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="a database but not a ledger"):
        Ledger.open(path, **options)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_ledger_only_when_asked(path):
    path.touch()
    with pytest.raises(LedgerError, match="is empty"):
        Ledger.open(path)
    with Ledger.open(path, create=True) as ledger:
        assert ledger.studies() == []


def test_a_newer_ledger_is_refused(path):
    Ledger.open(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE inception_nas_ledger SET version = 7")
    for options in ({}, {"create": True}, {"read_only": True}):
        with pytest.raises(LedgerError, match="version 7, and this program reads versions up to 2: update"):
            Ledger.open(path, **options)


def test_a_name_with_characters_of_a_uri(tmp_path):
    path = tmp_path / "a?mode=memory#b %41 ü.db"
    with Ledger.open(str(path), create=True) as ledger:
        ledger.create_study("digits", SEARCH, OBJECTIVES, {})
    assert path.stat().st_size > 0
    with Ledger.open(path, read_only=True) as reader:
        assert len(reader.studies()) == 1


def test_a_damaged_ledger_gives_a_sentence(path):
    with Ledger.open(path, create=True) as ledger:
        ledger.create_study("digits", SEARCH | {"pad": "x" * 100_000}, OBJECTIVES, {})
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="is damaged"), Ledger.open(path, read_only=True) as ledger:
        ledger.studies()


def test_a_lock_that_does_not_end_gives_a_sentence(ledger, path, monkeypatch):
    monkeypatch.setattr("results.sqlite_file.BUSY_SECONDS", 0.05)
    with ledger._writing("digits"), pytest.raises(LedgerError, match="locked by another program"):
        Ledger.open(path)


# File systems


def mounted(monkeypatch, tmp_path, kind):
    """Make the kernel's list of mounts say that the file system of `tmp_path` is of a kind."""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"21 1 0:1 / /proc rw - proc proc rw\n"
        f"22 1 {os.major(device)}:{os.minor(device)} / /my\\040disk rw,noatime shared:1 - {kind} server:/share rw\n"
    )
    monkeypatch.setattr(sqlite_file, "_MOUNTS", mounts)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "ceph", "lustre", "fuse.sshfs"])
def test_a_network_file_system_is_refused_for_writing_unless_it_is_asked_for(path, tmp_path, monkeypatch, kind):
    mounted(monkeypatch, tmp_path, kind)
    for place in (path, f"sqlite:///{path}"):
        with pytest.raises(LedgerError, match=rf"would lie on a network file system \({kind}\)") as raised:
            Ledger.open(place, create=True)
    assert not path.exists()
    (url,) = re.findall("--ledger '(.*)' does it all the same", str(raised.value))
    with Ledger.open(url, create=True) as ledger:
        ledger.create_study("digits", SEARCH, OBJECTIVES, {})
    with pytest.raises(LedgerError, match="network file system"):
        Ledger.open(path)
    with Ledger.open(path, read_only=True) as reader:
        assert reader.study("digits").search == SEARCH


def test_file_systems_of_this_machine_are_used_and_known(path, tmp_path, monkeypatch):
    mounted(monkeypatch, tmp_path, "ext4")
    Ledger.open(path, create=True).close()
    monkeypatch.undo()
    said = subprocess.run(["stat", "-f", "-c", "%T", "/proc"], capture_output=True, text=True, check=True).stdout
    assert sqlite_file._file_system(Path("/proc")) == said.strip() == "proc"
    monkeypatch.setattr(sqlite_file, "_MOUNTS", tmp_path / "none")  # not Linux
    assert sqlite_file._file_system(tmp_path) == ""
    Ledger.open(path).close()


def test_a_url_names_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Ledger.open("sqlite:///a%20b.db", create=True).close()
    assert (tmp_path / "a b.db").is_file()
    with Ledger.open(f"sqlite:///{tmp_path}/a%20b.db", read_only=True) as reader:
        assert reader.name == f"{tmp_path}/a b.db"


# Older versions (tests/golden/ledger-N.sql: what the program of that version wrote)


@pytest.fixture
def old(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ROOT / "tests/golden/ledger-1.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode=WAL")
    return path


def columns(path):
    """Table -> its columns (name, type, required, default, key) and indexes."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: (
                sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({table})")),
                sorted(row[1:4] for row in connection.execute(f"PRAGMA index_list({table})")),
                sorted(row[2:5] for row in connection.execute(f"PRAGMA foreign_key_list({table})")),
            )
            for table in tables
        }


def old_trials(ledger):
    return {trial.number: trial for trial in ledger.trials("digits")}


def test_an_older_ledger_is_read_as_it_is(old):
    content = old.read_bytes()
    with Ledger.open(old, read_only=True) as reader:
        study, trials = reader.study("digits"), old_trials(reader)
        assert (study.state, study.data_digest, study.fidelities) == ("stopped", "data-1", ())
        assert [record.name for record in reader.studies()] == ["digits", "other"]
        assert reader.known(trials[0].digest, "f0") == []
        assert reader.count_outcomes("digits")["duplicate"] == 1
    assert trials[0].values == {"error": 0.25, "macs": 5713216096.0}
    assert trials[0].measurements[0] == Measurement(0, 0, {"latency_ms": 12.5}, 0.0, order=0)
    assert [(trial.outcome.value, trial.reused, trial.order) for trial in trials.values()] == [
        (outcome, None, 0) for outcome in ("complete", "screened", "duplicate", "diverged", "broken", "running")
    ]
    assert old.read_bytes() == content


def test_an_older_ledger_is_brought_up_to_date_and_goes_on(old, tmp_path):
    with Ledger.open(old, read_only=True) as reader:  # it stays open while a driver brings the file up to date
        before = reader.study("digits"), old_trials(reader)
        with Ledger.open(old) as ledger:
            assert (ledger.study("digits"), old_trials(ledger)) == before
            study = ledger.create_study("digits", before[0].search, OBJECTIVES, {}, "data-1", fidelities=["f0"])
            assert (study.created_at, study.fidelities) == (before[0].created_at, ("f0",))
            ledger.record_measurement("digits", 5, Measurement(0, 2, {"error": 0.5}, 2.0, order=1))
            ledger.finish_trial("digits", 5, Outcome.COMPLETE, values=VALUES, reused="other:1")
            assert [known.trial.number for known in ledger.known(f"{0:064x}", "f0")] == [0, 2]
        assert reader.trial("digits", 5).reused == "other:1"
    fresh = tmp_path / "fresh.db"
    Ledger.open(fresh, create=True).close()
    assert columns(old) == columns(fresh)
    with Ledger.open(old) as ledger:  # once
        assert ledger.trial("digits", 5).measurements[-1].order == 1


def test_a_crash_while_a_ledger_is_brought_up_to_date_leaves_it_as_it_was(old, monkeypatch):
    before = columns(old)
    steps = {1: (*ledger_tables._MIGRATIONS[1][:3], "ALTER TABLE nowhere ADD COLUMN x TEXT")}
    with monkeypatch.context() as patch:
        patch.setattr(ledger_tables, "_MIGRATIONS", steps)
        with pytest.raises(OperationalError, match="nowhere"):
            Ledger.open(old)
    assert columns(old) == before
    with Ledger.open(old) as ledger:
        assert len(ledger.trials("digits")) == 6


def test_several_programs_may_bring_a_ledger_up_to_date_at_once(old):
    together(lambda: Ledger.open(old).close())
    with Ledger.open(old) as ledger:
        assert len(ledger.trials("digits")) == 6
