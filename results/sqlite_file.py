"""The ledger's file as SQLite sees it: how it is opened, and what SQLite's complaints mean to a user."""

import os
import sqlite3
from functools import partial
from pathlib import Path
from urllib.parse import quote

from results.outcome import LedgerError, NoLedger

BUSY_SECONDS = 30.0  # one commit takes milliseconds: who waits this long waits for a program that hangs

# What SQLite reports -> what was found and what to do. The names are SQLite's own error names, or how they begin.
_CAUSES = {
    "SQLITE_NOTADB": "is not a ledger: choose another file",
    "SQLITE_READONLY": "cannot be written: get write permission for the file and its folder, or choose another folder",
    "SQLITE_CANTOPEN": "cannot be opened: get read and write permission for the file and its folder, or copy them",
    "SQLITE_BUSY": f"was locked by another program for {BUSY_SECONDS:.0f} s: end that program or try again",
    "SQLITE_FULL": "cannot grow, because the disk is full: free some space and run the same command again",
    "SQLITE_IOERR_SHMSIZE": "cannot be opened, because the disk is full: free some space and try again",
    "SQLITE_CORRUPT": "is damaged: restore it from a backup, or start with a new one",
    "SQLITE_IOERR": "cannot be read or written, because the disk reports an error: check the disk or the mount",
}


# A text of which a bit was lost is read with escapes (\xff): it costs its own row alone, and no other one.
_TEXT = partial(str, encoding="utf-8", errors="backslashreplace")

# File systems between machines, by the kernel's names: their locks, and memory mapped from them, do not hold as SQLite
# needs it (sqlite.org/wal.html, section 1; sqlite.org/howtocorrupt.html, section 2.1).
_NETWORK = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "davfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.mountpoint-s3",
        "fuse.gcsfuse",
        "fuse.rclone",
        "fuse.juicefs",
    )
)
_MOUNTS = Path("/proc/self/mountinfo")


def check_file_system(path: Path) -> None:
    """LedgerError where the file lies, or would lie, on a file system of the network."""
    kind = _file_system(path if path.exists() else path.absolute().parent)
    if kind in _NETWORK:
        raise LedgerError(
            f"the ledger {path} would lie on a network file system ({kind}), where SQLite can lose it: choose a local "
            "file (--ledger sqlite:////PATH), a server (--ledger postgresql://...) or another --runs; at your risk "
            f"--ledger 'sqlite:///{quote(str(path))}?on_network=yes' does it all the same"
        )


def _file_system(path: Path) -> str:
    """The kernel's name of the file system that a path lies on; "" where it does not tell."""
    device = path.stat().st_dev
    here = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return ""
    for mount in mounts:  # "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw" (proc(5))
        fields, _, kind = mount.partition(" - ")
        if fields.split()[2] == here:
            return kind.split()[0]
    return ""


def check_place(path: Path, create: bool) -> None:
    """LedgerError where there is no file to open, or no place to make one."""
    if path.is_dir():
        raise LedgerError(f"{path} is a folder, not a ledger: give the path of the ledger's file")
    if create and not path.parent.is_dir():
        raise LedgerError(f"there is no folder {path.parent} for the ledger {path.name}: make it, or choose another")
    if not create and not path.exists():
        raise NoLedger(f"there is no ledger at {path}: run `nas search FILE.yaml` first, or give the right folder")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's open mode `mode` (ro, rw or rwc), with durable commits and checked foreign keys."""
    connection = _opened(path, f"mode={mode}")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").close()
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        connection.close()
        # Without write permission in the folder SQLite can make no index of the journal. With no journal there, nobody
        # is writing and the file alone is the whole truth.
        journal = Path(f"{path}-wal")
        alone = not journal.exists() or journal.stat().st_size == 0
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if mode == "ro" and unwritable and alone:
            return _opened(path, "mode=ro&immutable=1")
        raise
    return connection


def _opened(path: Path, options: str) -> sqlite3.Connection:
    # No isolation level: the driver of Python would begin transactions on its own, and too late.
    uri = f"{path.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.text_factory = _TEXT
    return connection


def cause(error_name: str) -> str | None:
    """Return what SQLite's error means and what to do, or None for one that is no fault of the file's."""
    return next((sentence for beginning, sentence in _CAUSES.items() if error_name.startswith(beginning)), None)
