"""Recipes by name: YAML files with the fields of a ``Recipe``, those that ship with the project and a user's own.

Where a file asks for a recipe it says ``recipe: NAME`` (or ``FILE.yaml``), or ``recipe: {base: NAME, epochs: 30}`` for
one that differs, or all fields itself. Imports no torch.
"""

from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from search_spaces.errors import RequestError, nearest
from search_spaces.yaml_files import Document, read_file, read_text

_FOLDER = files("trainers") / "recipes"
_DEEPEST = 8  # bases on top of each other


@lru_cache(maxsize=1)
def recipe_names() -> tuple[str, ...]:
    """The names of the recipes that ship with the project, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml"))
    )


def recipe_notes(name: str) -> str:
    """Where a recipe that ships comes from, as its file says."""
    return str(_document(name).data.get("notes", "")).strip()


def recipe_fields(name: str, folder: Path = Path()) -> dict[str, Any]:
    """Return the fields that a recipe's file sets, its bases' included; ``name``: one that ships, or a YAML file.

    A file is looked for in ``folder`` first, then in the current one. Raises RequestError for unknown names, and for
    bases that lead back to themselves.
    """
    found: dict[str, Any] = {}
    seen: list[str] = []
    while name:
        if name in seen or len(seen) == _DEEPEST:
            raise RequestError(
                f"the recipe {seen[0]!r} is based on itself, through {', '.join(seen)}: name another base"
            )
        seen.append(name)
        document = _document(name, folder)
        if not isinstance(document.data, dict):
            document.fail((), "a recipe must be a mapping of its fields: write for instance 'epochs: 30'")
        own = dict(document.data)
        name, folder = _checked(document, own.pop("base", ""), ("base",)), Path(document.file).parent
        found = {**own, **found}
    found.pop("notes", None)
    return found


def with_recipe(document: Document) -> Document:
    """Return a file's document with its ``recipe``, if that is a name or has a ``base``, written out in fields."""
    asked = document.data.get("recipe") if isinstance(document.data, dict) else None
    own = {"base": asked} if isinstance(asked, str) else dict(asked) if isinstance(asked, dict) else {}
    if "base" not in own:
        return document
    base = _checked(document, own.pop("base"), ("recipe", "base"))
    try:
        fields = recipe_fields(base, Path(document.file).parent)
    except RequestError as error:
        document.fail(("recipe", "base"), str(error))
    return replace(document, data={**document.data, "recipe": {**fields, **own}})


def _checked(document: Document, base: Any, path: tuple[str, ...]) -> str:
    if not isinstance(base, str):
        document.fail(path, f"base is {str(base)[:60]!r}: the name of a recipe or a YAML file is allowed")
    return base


def _document(name: str, folder: Path = Path()) -> Document:
    if name in recipe_names():
        return read_text((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")
    if name.endswith((".yaml", ".yml")):
        return read_file(folder / name if (folder / name).is_file() else Path(name))
    raise RequestError(
        f"there is no recipe {name!r}: allowed are {', '.join(recipe_names())} or a YAML file"
        f"{nearest(name, recipe_names())}"
    )
