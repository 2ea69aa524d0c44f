"""Writing files: all of a set or none, never half of one, and durable when done."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from search_spaces.errors import NotWritten

DRAFT = ".draft-*.partial"  # files that are not whole yet


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write each content under its name into ``folder``, which is made if need be; return the paths.

    Everything is written and flushed to disk under temporary names first, then renamed in order. A folder that cannot
    be written to is NotWritten, and no new file of the set stays behind.
    """
    staged: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        make_folder(folder)
        for name, content in contents.items():
            if (folder / name).is_dir():
                raise IsADirectoryError(0, f"{name} is a folder")
            staged.append((_stage(folder, content), folder / name))
        for temporary, target in staged:
            is_new = not target.exists()
            os.replace(temporary, target)
            if is_new:
                placed.append(target)
        _flush_folder(folder)
    except BaseException as error:
        for path in placed:
            path.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or type(error).__name__
        raise NotWritten(
            f"{', '.join(contents)} cannot be written to {str(folder)!r}: {reason}; "
            "name a folder that you may write to, with enough space"
        ) from None
    finally:
        for temporary, _ in staged:  # after an interrupt too; those in their place are no longer here
            temporary.unlink(missing_ok=True)
    return [target for _, target in staged]


def remove_drafts(folder: Path, *, below: bool = True) -> None:
    """Remove what processes left that were killed while they wrote into a folder, in which nobody writes now.

    ``below``: also in all folders within.
    """
    for path in folder.rglob(DRAFT) if below else folder.glob(DRAFT):
        path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, if need be: durably, or what is written into it may be lost with it."""
    missing = missing_folders(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _flush_folder(path.parent)


def missing_folders(folder: Path) -> list[Path]:
    """Return what ``make_folder`` would make, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _stage(folder: Path, content: bytes) -> Path:
    """Write a temporary file whole, or remove it again."""
    temporary = folder / DRAFT.replace("*", secrets.token_hex(8))
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # an interrupt too leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _flush_folder(folder: Path) -> None:
    """Make the renames durable where the system can flush a folder."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
