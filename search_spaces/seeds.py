"""The published networks by name: architecture files that ship with the project."""

from functools import lru_cache
from importlib.resources import files

from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_document
from search_spaces.errors import RequestError, nearest
from search_spaces.yaml_files import read_text

_FOLDER = files("search_spaces") / "seeds"


@lru_cache(maxsize=1)
def seed_names() -> tuple[str, ...]:
    """The names of all seeds, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml"))
    )


@lru_cache(maxsize=32)
def seed(name: str) -> Architecture:
    """Return a published network; an unknown name is a RequestError that lists the known ones."""
    if name not in seed_names():
        raise RequestError(
            f"there is no seed {name!r}: allowed are {', '.join(seed_names())}{nearest(name, seed_names())}"
        )
    return from_document(read_text((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml"))


@lru_cache(maxsize=32)
def seed_notes(name: str) -> str:
    """Return the source and lineage that the seed's file states."""
    seed(name)
    data = read_text((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")).data
    return str(data.get("notes", "")).strip()
