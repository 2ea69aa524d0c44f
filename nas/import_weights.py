"""Weights of torchvision and timm, or under our own names, for an architecture."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nas.exported_about import about_of
from nas.proxy_weights import proxy_sentence
from nas.runs import Runs
from nas.study import find
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from trainers.about import About, read_about

if TYPE_CHECKING:
    from trainers.foreign_weights import Imported


class KnownScaling(NamedTuple):
    """How pictures with pixels from 0 to 255 are scaled, by channel or for all alike, and in words."""

    mean: list[float]
    deviation: list[float]
    said: str


SCALINGS = {
    # torchvision's transform_input, and timm for most of its weights
    "inception": KnownScaling([127.5], [127.5], "-1 for black and 1 for white"),
    # what torchvision's transforms do, and timm for weights such as inception_v3.gluon_in1k
    "imagenet": KnownScaling(
        [123.675, 116.28, 103.53], [58.395, 57.12, 57.375], "by mean and deviation of each channel in ImageNet"
    ),
}
ASSUMED = "inception"
_STATE = "'nas import-weights --scaling'"


class WeightFile(NamedTuple):
    """Weights under our names, and what their file says about them."""

    tensors: Mapping[str, Any]
    about: About


def import_weights(arch: str, source: Path, output: Path, runs: Path | Runs, scaling: str | None = None) -> "Imported":
    """Write the weights of ``source``, a state dict of torchvision or timm or of an exported file, into ``output``.

    The file is one that ``nas export ARCH --weights`` takes and whose tensors a network of ``nas.build`` loads. It
    carries the digest of the architecture, classes, channels and resolution, whether the auxiliary heads are in it, the
    name and SHA-256 of ``source``, and what that says of itself (``about_of``). ``scaling``: a name in ``SCALINGS``, of
    weights that do not say how pictures were scaled for them; None: torchvision's and timm's are taken for
    ``inception``, and what comes back and the file say that this is assumed. An existing file is replaced. Raises
    RequestError, and writes nothing, where ``source`` is no state dict, does not fit, or says what cannot be.
    """
    if output.suffix != ".safetensors":
        raise RequestError(f"{str(output)!r} must end in .safetensors: that is what is written")
    if output.exists() and source.exists() and output.samefile(source):
        raise RequestError(f"{str(output)!r} is the file that is read: write to another")
    architecture = find(arch, runs).architecture
    from trainers import checkpoint, foreign_file, foreign_weights

    file = foreign_file.read(source)
    named = repr(str(source))
    about = about_of(file.notes, named)
    _refuse_proxy(architecture, file.tensors, source, about)
    imported = foreign_weights.convert(architecture, file.tensors, named)
    if imported.names == foreign_weights.OURS:
        about.check_digest(architecture.digest, architecture.name)
    about.check_sizes(imported.classes, imported.channels)
    told = about.model_dump(mode="json", exclude_none=True)
    if scaling is not None and about.trained.mean is not None:
        raise RequestError(f"{named} says itself how pictures were scaled for its weights: leave --scaling out")
    assumed = scaling is None and about == About() and imported.names != foreign_weights.OURS
    if scaling is not None or assumed:
        name = scaling or ASSUMED
        told["trained"] = {**told.get("trained", {}), **_scaling(name, imported.channels)}
        said = f"{name}, {SCALINGS[name].said}{f' (assumed; {_STATE} states another)' if assumed else ''}"
        told["provenance"] = {**told.get("provenance", {}), "scaling": said}
        imported = replace(imported, scaling=said)
    data = {
        "resolution": architecture.resolution,
        **told,
        "digest": architecture.digest,
        "classes": imported.classes,
        "channels": imported.channels,
        "aux": imported.aux,
        "source": {"file": source.name, "sha256": file.sha256, "names": imported.names},
    }
    checkpoint.write(output, imported.tensors, data)
    return imported


def _scaling(name: str, channels: int) -> dict[str, Any]:
    mean, deviation = SCALINGS[name].mean, SCALINGS[name].deviation
    if len(mean) not in (1, channels):
        raise RequestError(
            f"--scaling {name} is of pictures with {len(mean)} channels, and these weights take {channels}: name "
            "another"
        )
    times = channels // len(mean)
    return {"mean": mean * times, "deviation": deviation * times, "white": 255}


def read_weights(arch: str, architecture: Architecture, path: Path) -> WeightFile:
    """Read weights that a training, a trial or ``import_weights`` wrote, for the architecture that ``arch`` names.

    Raises RequestError where they cannot be read, or hold what cannot be weights; it says so where they are weights of
    another library's network, or of an exported file, which ``import_weights`` has to take over first.
    """
    from trainers import checkpoint, foreign_file
    from trainers.foreign_weights import check_values

    try:
        tensors, data = checkpoint.read(path)
    except checkpoint.NotACheckpoint as error:
        try:
            file = foreign_file.read(path)
        except RequestError:
            raise error from None  # no weights of anybody
        _refuse_proxy(architecture, file.tensors, path, about_of(file.notes, repr(str(path))))
        raise RequestError(_import_first(arch, architecture, path, list(file.tensors))) from None
    about = read_about(data, repr(str(path)))
    if about.digest is None or about.stands_for is not None:  # a trial's: those of earlier releases have no digest
        _refuse_proxy(architecture, tensors, path, about)
    for key, tensor in tensors.items():
        check_values(tensor, key, repr(str(path)))
    return WeightFile(tensors, about)


def _refuse_proxy(architecture: Architecture, tensors: Mapping[str, Any], path: Path, about: About) -> None:
    """Raise RequestError where weights are of a proxy of the architecture."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    sentence = proxy_sentence(architecture, shapes, repr(str(path)), about)
    if sentence is not None:
        raise RequestError(sentence)


def _import_first(arch: str, architecture: Architecture, path: Path, keys: list[str]) -> str:
    """Say whose weights these are, and how they are taken over."""
    from trainers.foreign_weights import OURS, foreign_lineages, takers, whose

    names = whose(keys)
    if names == OURS:
        found = f"{str(path)!r} holds weights as an exported file or a bare network names them"
    else:
        found = f"{str(path)!r} holds weights of another library's network, {names or f'with {keys[0][:80]!r} in it'}"
        if names not in [taken for taken, _ in foreign_lineages(architecture)]:
            return (
                f"{found}, which {architecture.name} cannot take: 'nas import-weights ARCH --from FILE -o "
                f"FILE.safetensors' comes first, and takes {takers()}"
            )
    output = f"{architecture.name}.safetensors"
    if Path(output).name == path.name:
        output = f"{architecture.name}-imported.safetensors"
    command = shlex.join(["nas", "import-weights", arch, "--from", str(path), "-o", output])
    return f"{found}: take them over first ({command}), and export with {output!r}"
