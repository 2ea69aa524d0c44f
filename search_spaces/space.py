"""Search spaces: a box of genes in which every point is a valid architecture, and the way back."""

import hashlib
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, nearest
from search_spaces.genes import Gene, GeneDrawer, GeneReader, Genes, GeneWriter, OutsideSpace
from search_spaces.inception import InceptionSpace
from search_spaces.inception_values import module_channels, readings, values
from search_spaces.principles import Audit, Thresholds, audit
from search_spaces.space_file import SpaceFile
from search_spaces.yaml_files import Document, Place, read_file, read_text, validate

_FOLDER = files("search_spaces") / "spaces"
_KIND, _ALSO = "a space file", ("base",)
MOST_BASES = 8

MUTATIONS = 100  # draws, at most, until one changes something


def _first(gene: Gene) -> float | int | str:
    return gene.choices[0] if gene.choices else 0.5


class SearchSpace:
    """A box of genes. ``decode`` is total: every point of the box is an architecture. ``encode`` is its inverse.

    ``decode(encode(a)) == a`` for every architecture ``a`` of the space. Genes are positions in [0, 1] (widths) or one
    of a few choices, so any sampler can be used on them unchanged.
    """

    def __init__(self, file: SpaceFile) -> None:
        self.file = file
        self.name, self.resolution, self.notes = file.name, file.resolution, file.notes
        self._inception = InceptionSpace(file)
        self.genes: tuple[Gene, ...] = self._inception.genes

    def check_heads(self) -> None:
        """Raise RequestError where an auxiliary head that can be drawn does not fit the grid of its stage."""
        self._inception.check_heads()

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the space's file says, defaults included."""
        return hashlib.sha256(self.file.model_dump_json().encode()).hexdigest()

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of the principles in this space."""
        return self.file.thresholds

    def decode(self, genes: Mapping[str, float | int | str]) -> Architecture:
        """Return the architecture at a point; missing, unknown or impossible genes are a RequestError."""
        known = {gene.name: gene for gene in self.genes}
        for name in genes:
            if name not in known:
                raise RequestError(f"space {self.name!r} has no gene {name!r}{nearest(name, known)}")
        for gene in self.genes:
            if gene.name not in genes:
                raise RequestError(
                    f"the gene {gene.name!r} is missing: a point of {self.name!r} has {len(known)} genes"
                )
            value = genes[gene.name]
            if gene.is_width:
                if not isinstance(value, int | float) or not 0 <= value <= 1:
                    raise RequestError(f"the gene {gene.name!r} is {value!r}: a position from 0 to 1 is allowed")
            elif value not in gene.choices:
                raise RequestError(
                    f"the gene {gene.name!r} is {value!r}: allowed are {', '.join(map(str, gene.choices))}"
                )
        return self._inception.walk(GeneReader(genes))

    def encode(self, architecture: Architecture) -> Genes:
        """Return a point that decodes to the architecture; raise OutsideSpace, with the reason, where there is none."""
        try:
            return self._encode(architecture)
        except OutsideSpace as reason:
            raise OutsideSpace(f"{architecture.name} is not in the space {self.name!r}: {reason}") from None

    def why_outside(self, architecture: Architecture) -> str | None:
        """Say why an architecture is not in the space; None if it is."""
        try:
            self._encode(architecture)
        except OutsideSpace as reason:
            return str(reason)
        return None

    def __contains__(self, architecture: Architecture) -> bool:
        return self.why_outside(architecture) is None

    def _encode(self, architecture: Architecture, unused: Callable[[Gene], float | int | str] = _first) -> Genes:
        """Return a point; genes that play no part there, as ``last`` of a stage with one module, are ``unused``'s."""
        known = values(self._inception, architecture)
        ends = module_channels(architecture.stages[-1])
        reason: OutsideSpace | None = None
        nearest_point: Architecture | None = None
        for reading in readings(known):
            # The least final width that leaves room for every other is the architecture's own, or a little more.
            for final in self._inception.finals(ends):
                writer = GeneWriter({**reading, "final": final})
                try:
                    found = self._inception.walk(writer)
                except OutsideSpace as error:
                    reason = reason or error
                    continue
                if found == architecture:
                    return {
                        gene.name: writer.genes[gene.name] if gene.name in writer.genes else unused(gene)
                        for gene in self.genes
                    }
                nearest_point = nearest_point or found
                break
        raise OutsideSpace(_difference(architecture, nearest_point) if nearest_point else str(reason))

    def sample(self, random_seed: int | random.Random = 0) -> Architecture:
        """Draw an architecture, uniformly in the genes."""
        source = random_seed if isinstance(random_seed, random.Random) else random.Random(random_seed)
        return self._inception.walk(GeneDrawer(source))

    def mutate(self, architecture: Architecture, random_source: random.Random, genes: int = 1) -> Architecture:
        """Return another architecture of the space, made by drawing ``genes`` genes of this one afresh.

        Genes that play no part yet are drawn too, so that a module that is added is a new one. Draws that change
        nothing are repeated; the architecture itself comes back where ``MUTATIONS`` of them do not.
        """
        point = self._encode(architecture, lambda gene: gene.sample(random_source))
        for _ in range(MUTATIONS):
            drawn = random_source.sample(self.genes, min(genes, len(self.genes)))
            child = self.decode({**point, **{gene.name: gene.sample(random_source) for gene in drawn}})
            if child != architecture:
                return child
        return architecture

    def crossover(self, mother: Architecture, father: Architecture, random_source: random.Random) -> Architecture:
        """Return an architecture of the space with every gene from one of two others."""
        one, other = self.encode(mother), self.encode(father)
        return self.decode({name: random_source.choice((one[name], other[name])) for name in one})

    def audit(self, architecture: Architecture) -> Audit:
        """Measure the principles at the space's resolution and thresholds."""
        return audit(architecture, self.resolution, self.thresholds)


def _difference(architecture: Architecture, point: Architecture) -> str:
    """The first line in which an architecture's file differs from that of a point."""
    theirs, ours = (replace(a, name="any", resolution=1).to_yaml().splitlines() for a in (architecture, point))
    one, other = next((a, b) for a, b in itertools.zip_longest(theirs, ours, fillvalue="") if a != b)
    return f"it has {one.strip()!r} where the nearest point has {other.strip()!r}"


@lru_cache(maxsize=1)
def space_names() -> tuple[str, ...]:
    """The names of the spaces that ship with the project, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml"))
    )


def space(name_or_path: str, resolution: int | None = None) -> SearchSpace:
    """Return a space by name or from a YAML file, at its own or another target resolution in pixels."""
    document = space_document(name_or_path)
    if resolution is not None:
        document = replace(document, data={**document.data, "resolution": resolution})
    file = validate(SpaceFile, document, _KIND, _ALSO)
    try:
        found = SearchSpace(file)
        # At a resolution that the file does not name, heads that find no room are left out of the costs, as those of
        # any architecture are, and proxies get theirs cut to fit.
        if resolution is None:
            found.check_heads()
        return found
    except RequestError as error:
        if name_or_path in space_names():  # nothing is wrong with those that ship: another resolution is
            raise
        document.fail(error.at, str(error))


def space_document(name_or_path: str, above: tuple[str, ...] = ()) -> Document:
    """Read a space's file; one with a ``base`` is laid over the space that it names (``above``: what is based on it).

    RequestError where it is no mapping, or an architecture; or where what it is based on is no space in itself.
    """
    _check_name(name_or_path)
    shipped = name_or_path in space_names()
    document = _shipped(name_or_path) if shipped else read_file(Path(name_or_path))
    if not isinstance(document.data, dict):
        validate(SpaceFile, document, _KIND, _ALSO)  # refuses it
    if _is_architecture(document.data):
        document.fail((), f"this is an architecture, not a space: 'nas show {name_or_path}' shows it")
    if "base" in document.data:
        return _laid_over(document, _base(document, name_or_path, above))
    return replace(document, names=_stage_names(document.data.get("stages")))


def _is_architecture(data: Mapping[str, Any]) -> bool:
    if "format" in data:
        return str(data["format"]).startswith("architecture/")
    return "stem" in data and "base" not in data


def _stage_names(stages: Any) -> dict[Place, str]:
    """What people call the entries of a list of stages."""
    return {("stages", s): f"stage{s + 1}" for s in range(len(stages))} if isinstance(stages, list) else {}


def _shipped(name: str) -> Document:
    return read_text((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")


def _check_name(name_or_path: str) -> None:
    """Refuse what is neither a space that ships nor a file."""
    if name_or_path in space_names():
        return
    if not name_or_path.endswith((".yaml", ".yml")):
        raise RequestError(
            f"there is no space {name_or_path!r}: allowed are {', '.join(space_names())} or a YAML file"
            f"{nearest(name_or_path, space_names())}"
        )
    if not Path(name_or_path).is_file():
        raise RequestError(f"there is no file {name_or_path!r}: check the name and the current folder")


def _base(document: Document, path: str, above: tuple[str, ...]) -> Document:
    """Read what a file is based on: a space in itself, which is not based on that file again."""
    base = document.data["base"]
    if not isinstance(base, str):
        document.fail(("base",), f"base is {str(base)[:60]!r}: the name of a space or a YAML file is allowed")
    if base.endswith((".yaml", ".yml")):  # beside the file that names it
        base = str(Path(path).parent / base)
    try:
        _check_name(base)
    except RequestError as error:
        document.fail(("base",), str(error))
    above = (*above, str(Path(path).resolve()))
    if str(Path(base).resolve()) in above:
        document.fail(("base",), f"base is {base!r}, which is based on this file again: name another space")
    if len(above) > MOST_BASES:
        document.fail(("base",), f"more than {MOST_BASES} spaces are based on each other: name an earlier one")
    below = space_document(base, above)
    validate(SpaceFile, below, _KIND, _ALSO)
    return below


def _laid_over(document: Document, base: Document) -> Document:
    """Replace what a file says in the space that it is based on; its ``stages`` name those that differ."""
    own = {key: value for key, value in document.data.items() if key != "base"}
    if "name" not in own:
        document.fail((), f"a space that is based on {base.data['name']!r} has no 'name' of its own: add it")
    lines = dict(document.lines)
    stages = own.get("stages")
    if isinstance(stages, dict):
        names = list(_stage_names(base.data["stages"]).values())
        for name in stages:
            if name not in names:
                sentence = f"there is no {str(name)[:60]!r} in {base.file}: allowed are {', '.join(names)}"
                document.fail(("stages", name), sentence + nearest(str(name), names))
        own["stages"] = [
            _merged(below, stages.get(name, {})) for name, below in zip(names, base.data["stages"], strict=True)
        ]
        for path, line in document.lines.items():
            if len(path) > 1 and path[0] == "stages" and path[1] in names:
                lines["stages", names.index(str(path[1])), *path[2:]] = line
    data = _merged(base.data, own)
    return Document(data, document.file, lines, _stage_names(data["stages"]))


def _merged(below: Any, own: Any) -> Any:
    """Lay mappings over each other, key by key; anything else replaces what was there."""
    if not isinstance(below, dict) or not isinstance(own, dict):
        return own
    return {**below, **{key: _merged(below[key], value) if key in below else value for key, value in own.items()}}
