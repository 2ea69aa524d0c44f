"""YAML read strictly and written readably. The only file that imports yaml.

Refused: duplicate keys, anchors and aliases, tags, keys that are not text, more than 250 KB or 10,000 entries, nesting
beyond 40.
Scalars follow YAML 1.2: ``1e-3`` is a number, ``no`` and ``on`` are text, dates stay text.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, get_args, get_type_hints

import yaml

from search_spaces.errors import RequestError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

    M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 250_000  # a hundred times Inception-v3: what is allowed is read within half a second
MAX_ENTRIES = 10_000
MAX_DEPTH = 40

Place = tuple[str | int, ...]  # keys and indices that lead to an entry

_SCALARS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("null", re.compile(r"null|Null|NULL|~|")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?\d{1,300}")),
    (
        "float",
        re.compile(
            r"[-+]?(\.\d{1,300}|\d{1,300}(\.\d{0,300})?)([eE][-+]?\d{1,4})?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
    ),
)


@dataclass(frozen=True)
class Document:
    """What a YAML file says (``data``: plain dicts, lists and scalars) and at which line each entry stands.

    ``names``: what people call an entry that its place in ``data`` does not tell, as ``stage2`` of a list.
    """

    data: Any
    file: str
    lines: Mapping[Place, int]
    names: Mapping[Place, str] = field(default_factory=dict)

    def key(self, path: Place) -> str:
        """Return the dotted key of an entry as people write it."""
        return ".".join(self.names.get(path[: i + 1], str(part)) for i, part in enumerate(path))

    def fail(self, path: Place, sentence: str) -> NoReturn:
        """Raise RequestError with the file, the line of ``path`` (or of its nearest parent) and the sentence.

        Data that comes of no text has no lines.
        """
        while path and path not in self.lines:
            path = path[:-1]
        line = f":{self.lines.get(path, 1)}" if self.lines else ""
        raise RequestError(f"{self.file}{line}: {sentence}")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Reader:
    """Turns PyYAML's events into plain data, so that nothing is built before it is allowed."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines: dict[Place, int] = {(): 1}
        self.entries = 0
        self.loader = yaml.SafeLoader(text)
        self.events: Iterator[yaml.Event] = iter(self.loader.get_event, None)

    def fail(self, event: yaml.Event, sentence: str) -> NoReturn:
        raise RequestError(f"{self.file}:{_line(event)}: {sentence}")

    def document(self) -> Any:
        for event in self.events:
            if isinstance(event, yaml.StreamEndEvent):
                return None
            if isinstance(event, yaml.DocumentStartEvent):
                break
        data = self.value(next(self.events), ())
        next(self.events)  # the end of the document
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self.fail(
                after, "the file holds more than one document: keep one, and put the others into files of their own"
            )
        return data

    def value(self, event: yaml.Event, path: Place) -> Any:
        self.lines[path] = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self.fail(event, "anchors and aliases are not allowed: write the value out where it is used")
        if (tag := getattr(event, "tag", None)) is not None:
            self.fail(event, f"the tag {str(tag)[:60]!r} is not allowed: write plain values")
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            self.fail(event, f"more than {MAX_ENTRIES:,} entries: remove what does not belong here")
        if len(path) > MAX_DEPTH:
            self.fail(event, f"nested deeper than {MAX_DEPTH} levels: flatten the file")
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self.value(inner, (*path, len(items))))
            return items
        assert isinstance(event, yaml.ScalarEvent)
        return self.text(event) if event.style in ("'", '"', "|", ">") else self.scalar(event)

    def mapping(self, path: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key_event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key_event, yaml.ScalarEvent) or key_event.anchor or key_event.tag:
                self.fail(key_event, "a key must be plain text: write 'name: value'")
            key = self.text(key_event)
            if key in found:
                self.fail(key_event, f"the key {key[:60]!r} stands twice: keep one")
            found[key] = self.value(next(self.events), (*path, key))
        return found

    def text(self, event: yaml.ScalarEvent) -> str:
        if any("\ud800" <= letter <= "\udfff" for letter in event.value):
            self.fail(event, "an escape stands for half a character: write the character itself")
        return str(event.value)

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        kind = next((name for name, form in _SCALARS if form.fullmatch(event.value)), "text")
        if kind == "null":
            return None
        if kind == "bool":
            return event.value.lower() == "true"
        if kind == "int":
            return int(event.value)
        if kind == "float":
            number = float(event.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if not math.isfinite(number):
                self.fail(event, f"{event.value[:60]} is not a finite number: write one that is")
            return number
        return event.value


def read_text(text: str, file: str = "<text>") -> Document:
    """Parse one YAML document; raise RequestError with file and line where it is not allowed."""
    _check_size(len(text), file)
    try:
        reader = _Reader(text, file)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RequestError(f"{file}:{line}: not valid YAML: {error.reason}") from None
    try:
        return Document(reader.document(), file, reader.lines)
    except RequestError:
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RequestError(f"{file}:{line}: not valid YAML: {str(error.problem)[:200]}") from None
    except (ValueError, OverflowError):  # PyYAML turns escapes and versions into numbers unchecked
        line = reader.loader.line + 1
        raise RequestError(f"{file}:{line}: not valid YAML: an escape or a version that is out of range") from None


def read_file(path: Path) -> Document:
    """Read a YAML file strictly; a file that is missing, too large or not UTF-8 is a RequestError."""
    if path.is_dir():
        raise RequestError(f"{str(path)!r} is a folder: name a YAML file in it")
    if not path.is_file():
        raise RequestError(f"there is no file {str(path)!r}: check the name and the current folder")
    name = str(path) if str(path).isprintable() else repr(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        _check_size(len(content), name)
        return read_text(content.decode(), name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RequestError(f"{name}:{line}: not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def _check_size(size: int, file: str) -> None:
    if size > MAX_BYTES:
        raise RequestError(f"{file}:1: larger than {MAX_BYTES:,} bytes: remove what does not belong here")


class _Writer(yaml.SafeDumper):
    """Block style, with lists of scalars on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def represent_rows(self, data: list[Any]) -> yaml.Node:
        flat = all(not isinstance(item, dict) and not (isinstance(item, list) and _depth(item) > 1) for item in data)
        inline = flat and _depth(data) <= 2 and (not data or any(not isinstance(item, list) for item in data))
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=inline)

    def represent_text(self, data: str) -> yaml.Node:
        looks_typed = any(form.fullmatch(data) for _, form in _SCALARS)
        # Line breaks other than our own would be folded into spaces; escapes keep them.
        style = '"' if any(mark in data for mark in "\x85\u2028\u2029") else "'" if looks_typed else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


def _depth(item: Any) -> int:
    return 1 + max((_depth(inner) for inner in item), default=0) if isinstance(item, list) else 0


_Writer.add_representer(list, _Writer.represent_rows)
_Writer.add_representer(str, _Writer.represent_text)


def write_text(data: Any) -> str:
    """Return ``data`` as YAML that ``read_text`` gives back unchanged."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, width=120, allow_unicode=True)


def validate(model: "type[M]", document: Document, kind: str, also: tuple[str, ...] = ()) -> "M":
    """Build a pydantic model from a document; every mistake becomes one sentence with file, line and the nearest name.

    ``kind`` names the file in the sentence: "a search file", "a space file"; ``also``: keys that such a file may have
    beside the model's. Validators raise a ValueError that reads on after the key, or a RequestError that names it.
    """
    from pydantic import ValidationError

    if not isinstance(document.data, dict):
        document.fail((), f"{kind} must be a mapping with the keys {', '.join((*also, *model.model_fields))}")
    try:
        # Through JSON, where strict types still take a list for a tuple and a mapping for a dataclass.
        return model.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        found = [(_place(each["loc"], document.data), each) for each in error.errors(include_url=False)]
        # An unknown key is often what a missing one should have been.
        path, first = next((each for each in found if each[1]["type"] in _UNKNOWN), found[0])
        if first["type"] == "json_invalid":  # all else that json.dumps writes is valid
            sentence = f"a text in {kind} holds half a character: write the character itself"
        elif first["type"] in _UNKNOWN:
            # The location tells more where a short form stands for a longer one, as a list of rungs does.
            inner = _fields_at(model, first["loc"][:-1]) or _fields_at(model, path[:-1])
            sentence = _unknown_key(document, path, kind, [*(also if len(path) == 1 else ()), *inner])
        elif first["loc"][-1:] == ("[key]",) and first["type"] == "literal_error":  # of a mapping with keys of a list
            sentence = _unknown_key(document, path, kind, re.findall("'([^']+)'", first["ctx"]["expected"]))
        elif first["type"] == "missing":
            inside, missing = document.key(path) or kind, first["loc"][-1]
            if isinstance(missing, int):  # of a list with a fixed number of entries
                needed = len(first["input"]) + sum(at == path for at, _ in found)
                sentence = f"{inside} is {_short(first['input'])}: {needed} entries are needed"
            else:
                or_base = f", or a {also[0]!r} that has it" if also and not path else ""
                sentence = f"{inside} has no {missing!r}: add it{or_base}"
        elif isinstance(raised := first.get("ctx", {}).get("error"), RequestError):
            path, sentence = (*path, *raised.at), str(raised)
        elif raised is not None:
            sentence = ": ".join(filter(None, (document.key(path), str(raised))))
        else:  # of a union each branch has its own error at the same place
            words = dict.fromkeys(_allowed(each, _fields_at(model, path)) for at, each in found if at == path)
            sentence = f"{document.key(path)} is {_short(first['input'])}: {' or '.join(words)} is allowed"
        document.fail(path, sentence)


def _unknown_key(document: Document, path: Place, kind: str, allowed: list[str]) -> str:
    inside, word = document.key(path[:-1]) or kind, str(path[-1])
    return f"unknown key {word[:60]!r} in {inside}: allowed are {', '.join(allowed)}{nearest(word, allowed)}"


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "literal_error": "{expected}",
}


def _allowed(error: Any, keys: list[str]) -> str:
    """Say in our words what pydantic asks for; ``keys``: of the mapping that may stand there."""
    kind, facts = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**facts)
    if kind in ("too_short", "too_long"):
        number = f"at least {facts['min_length']}" if kind == "too_short" else f"at most {facts['max_length']}"
        return f"a {'mapping' if isinstance(error['input'], dict) else 'list'} of {number}"
    if (word := _KINDS.get(kind.split("_")[0])) is not None:
        return word
    return f"a mapping with the keys {', '.join(keys)}" if keys and not kind.startswith("dict") else "a mapping"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _place(loc: Place, data: Any) -> Place:
    """The part of a pydantic location that leads through the data; the rest are names of branches of a union."""
    path: list[str | int] = []
    for part in loc:
        entries: dict[Any, Any] = dict(enumerate(data)) if isinstance(data, list) else data
        if isinstance(entries, dict) and part in entries:
            path.append(part)
            data = entries[part]
    return tuple(path)


def _fields_at(model: Any, path: Place) -> list[str]:
    """The field names of the model or dataclass that stands at a path."""
    from pydantic import BaseModel

    for part in path:
        if isinstance(part, int):
            continue  # a list: its items' type was entered with the field that holds it
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            annotation: Any = model.model_fields[part].annotation
        elif is_dataclass(model):
            annotation = get_type_hints(model).get(str(part))
        else:
            return []
        inner = [kind for kind in _types_in(annotation) if is_dataclass(kind) or issubclass(kind, BaseModel)]
        model = inner[0] if inner else None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return [item.name for item in fields(model)] if is_dataclass(model) else []


def _types_in(annotation: Any) -> list[type]:
    """All classes named in an annotation, through unions, lists and Annotated."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _types_in(part)]
