"""The folder of a trial's files: on this machine, on a shared file system, or at a URL such as ``s3://bucket/nas``.

Files at a URL are worked on in a copy on the worker's own disk, fetched when a worker takes the trial up and sent back
after each epoch through pyarrow's file systems, which Ray Tune brings; the copy goes when the worker is done with the
trial. Checkpoints and results carry their own hashes, so that a file that came over only in part is known for what it
is.
"""

import hashlib
import os
import secrets
import shutil
import socket
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.errors import NotWritten, RequestError
from search_spaces.files import write_files

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

PART = ".part"  # of a file that is on its way
SIGN = ".seen-by-the-driver-"  # a file by which a machine knows that it sees the folder that the driver sees


def is_url(place: str) -> bool:
    """Whether a place is a URL rather than a path."""
    return "://" in place


def at(runs: Path, artifact: str) -> str:
    """Where files of a trial lie that the ledger knows as ``artifact``: a URL or a path, absolute or below ``runs``."""
    return artifact if is_url(artifact) else str(runs / artifact)


def folder_at(place: str) -> "Folder":
    """Return the folder at a path or URL."""
    return Remote(place) if is_url(place) else Folder(Path(place))


def check_writable(place: str) -> None:
    """RequestError where a folder, or the one that it is to be made in, can be seen and cannot be written."""
    if is_url(place):
        return
    path = Path(place).absolute()
    with suppress(OSError):  # below a folder that may not be entered
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return
    raise RequestError(
        f"the storage {place!r} cannot be written: name a folder that you and all workers may write to, or a URL"
    )


class Folder:
    """A folder that the worker sees: its files are where they are worked on.

    ``path``: absolute. ``marks``: where processes of this machine leave word for one another.
    """

    def __init__(self, path: Path) -> None:
        self.path = self.marks = path

    def leave_sign(self) -> str:
        """Leave a file here by which machines know the folder, in place of earlier ones, and return its name.

        A name that nobody has asked for before: a network file system may remember for a while that it was not there.
        Raises NotWritten.
        """
        for earlier in self.path.glob(f"{SIGN}*"):
            earlier.unlink(missing_ok=True)
        name = f"{SIGN}{secrets.token_hex(8)}"
        write_files(self.path, {name: b""})
        return name

    def check_sign(self, name: str) -> None:
        """NotWritten where the folder above is not the one with that sign: this machine does not see the driver's."""
        if not (self.path.parent / name).exists():
            raise NotWritten(
                f"the machine {socket.gethostname()} does not see the files of the trials in {str(self.path.parent)!r} "
                "that the driver sees there: set storage to a folder that all machines share, or to a URL"
            )

    def has(self, name: str) -> bool:
        """Whether a file of that name lies there."""
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes | None:
        """Return the content of the file of that name; None where there is none. RequestError where it is closed."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            path = str(self.path / name)
            raise RequestError(f"{path!r} cannot be read ({error.strerror}): mend its permissions") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file there, whole or not at all. Raises NotWritten."""
        write_files(self.path, {name: content})

    def move(self, name: str, to: str) -> None:
        """Move the folder of that name in it to another name in it. Raises NotWritten."""
        try:
            (self.path / to).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).rename(self.path / to)
        except OSError as error:
            what = f"{str(self.path / name)!r} cannot be moved to {str(self.path / to)!r}"
            raise NotWritten(f"{what}: {error.strerror}; move it away by hand, or mend the permissions") from None

    def fetch(self) -> None:
        """Bring what lies there to ``path``."""

    def send(self) -> None:
        """Bring what lies in ``path`` there, and remove there what is no longer in ``path``."""

    def drop(self, name: str) -> None:
        """Remove the folder of that name in it, if there is one."""
        shutil.rmtree(self.path / name, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it, if it is there. Raises NotWritten."""
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise NotWritten(
                f"{str(self.path)!r} cannot be removed ({error.strerror}): remove it by hand, or mend the permissions"
            ) from None

    def size(self) -> int:
        """Return how many bytes lie there."""
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """Return how many bytes lie there in each folder (and file)."""
        return _by_first({name: size for name, (size, _) in self._here().items()})

    def _here(self) -> dict[str, tuple[int, int]]:
        """Size, and time of the last change, of each file by its name below the path."""
        found = {}
        for path in self.path.rglob("*"):
            with suppress(FileNotFoundError):  # one that goes meanwhile
                if path.is_file():
                    state = path.stat()
                    found[path.relative_to(self.path).as_posix()] = (state.st_size, state.st_mtime_ns)
        return found


class Remote(Folder):
    """A folder at a URL, and its copy on this machine. What reaches for the URL raises NotWritten where that fails."""

    def __init__(self, url: str) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:24]
        here = Path(tempfile.gettempdir()) / f"inception-nas-{os.getuid()}"
        # Of this object's own: another process may still work on its copy, and what it leaves is removed with it.
        super().__init__(here / f"{name}-{os.getpid()}-{secrets.token_hex(4)}")
        self.marks = here / name
        self.url = url
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self._sent: dict[str, tuple[int, int]] = {}  # size and time of change

    def leave_sign(self) -> str:
        """Leave nothing: a URL names one place from everywhere."""
        return ""

    def has(self, name: str) -> bool:
        """Whether a file of that name lies at the URL."""
        with self._reached() as (system, root):
            return bool(system.get_file_info(f"{root}/{name}").is_file)

    def read(self, name: str) -> bytes | None:
        """Return the content of the file of that name at the URL; None where there is none."""
        with self._reached() as (system, root):
            if not system.get_file_info(f"{root}/{name}").is_file:
                return None
            with system.open_input_stream(f"{root}/{name}") as source:
                return bytes(source.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file at the URL, whole or not at all."""
        with self._reached() as (system, root):
            _put(system, f"{root}/{name}", content)

    def move(self, name: str, to: str) -> None:
        """Move the files of the folder of that name at the URL."""
        with self._reached() as (system, root):
            for inside in self._names(system, f"{root}/{name}"):
                target = f"{root}/{to}/{inside}"
                system.create_dir(target.rpartition("/")[0], recursive=True)
                system.move(f"{root}/{name}/{inside}", target)

    def fetch(self) -> None:
        """Bring what lies at the URL to ``path``, which then holds nothing else."""
        with self._reached() as (system, root):
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True, exist_ok=True)
            for name in self._names(system, root):
                if not name.endswith(PART):
                    target = self.path / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with system.open_input_stream(f"{root}/{name}") as source:
                        target.write_bytes(source.read())
            self._sent = self._here()

    def send(self) -> None:
        """Send files that are new or changed, the oldest first, then remove at the URL what is no longer here."""
        with self._reached() as (system, root):
            here = self._here()
            for name in sorted(here, key=lambda name: (here[name][1], name)):
                if self._sent.get(name) != here[name]:
                    _put(system, f"{root}/{name}", (self.path / name).read_bytes())
            for name in self._names(system, root):
                if name not in here:
                    system.delete_file(f"{root}/{name}")
            self._sent = here

    def drop(self, name: str) -> None:
        """Remove the folder of that name at the URL and in the copy."""
        with self._reached() as (system, root):
            for inside in self._names(system, f"{root}/{name}"):
                system.delete_file(f"{root}/{name}/{inside}")
        self._sent = {sent: state for sent, state in self._sent.items() if not sent.startswith(f"{name}/")}
        super().drop(name)

    def remove(self) -> None:
        """Remove the files at the URL and their copy."""
        with self._reached() as (system, root):
            for name in self._names(system, root):
                system.delete_file(f"{root}/{name}")
        self._sent = {}
        shutil.rmtree(self.path, ignore_errors=True)

    def sizes(self) -> dict[str, int]:
        """Return how many bytes lie at the URL in each folder (and file)."""
        from pyarrow.fs import FileSelector, FileType

        with self._reached() as (system, root):
            infos = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
        return _by_first({info.path[len(root) + 1 :]: info.size or 0 for info in infos if info.type == FileType.File})

    @contextmanager
    def _reached(self) -> "Iterator[tuple[FileSystem, str]]":
        """The URL's file system and path in it; NotWritten where it fails in the block: that is no trial's mistake."""
        try:
            yield self._open()
        except OSError as error:
            what = str(error).splitlines()[0]
            raise NotWritten(
                f"the storage {self.url!r} does not do what it is asked to ({what}): see that it is there and has room"
            ) from None

    def _open(self) -> "tuple[FileSystem, str]":
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem

        try:
            system, root = FileSystem.from_uri(self.url)
        except (ArrowException, ValueError) as error:
            if isinstance(error, OSError):  # of Arrow's own
                raise
            raise RequestError(
                f"the storage {self.url!r} cannot be used ({str(error).splitlines()[0]}): name a folder that all "
                "workers see, or a URL that pyarrow knows (file, s3, gs, hdfs)"
            ) from None
        return system, root

    def _names(self, system: Any, root: str) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        infos = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
        return sorted(info.path[len(root) + 1 :] for info in infos if info.type == FileType.File)


def _put(system: "FileSystem", target: str, content: bytes) -> None:
    """Write a file: a reader sees the whole of it or none."""
    system.create_dir(target.rpartition("/")[0], recursive=True)
    with system.open_output_stream(target + PART) as stream:
        stream.write(content)
    system.move(target + PART, target)


def _by_first(sizes: dict[str, int]) -> dict[str, int]:
    """Sum the sizes of files by the first part of their names."""
    found: dict[str, int] = {}
    for name, size in sizes.items():
        first = name.partition("/")[0]
        found[first] = found.get(first, 0) + size
    return found
