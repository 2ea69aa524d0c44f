"""Weights of torchvision and timm, or under our own names, for an architecture."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nas.proxy_weights import proxy_sentence
from nas.runs import Runs
from nas.study import find
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from trainers.about import About, read_about

if TYPE_CHECKING:
    from trainers.foreign_weights import Imported


class WeightFile(NamedTuple):
    """Weights under our names, and what their file says about them."""

    tensors: Mapping[str, Any]
    about: About


def import_weights(arch: str, source: Path, output: Path, runs: Path | Runs) -> "Imported":
    """Write the weights of ``source``, a state dict of torchvision or timm, under our names into ``output``.

    The file is one that ``nas export ARCH --weights`` takes and whose tensors a network of ``nas.build`` loads. It
    carries the digest of the architecture, classes, channels and resolution, whether the auxiliary heads are in it, and
    the name and SHA-256 of ``source``. An existing file is replaced. Raises RequestError, and writes nothing, where
    ``source`` is no state dict or does not fit.
    """
    if output.suffix != ".safetensors":
        raise RequestError(f"{str(output)!r} must end in .safetensors: that is what is written")
    if output.exists() and source.exists() and output.samefile(source):
        raise RequestError(f"{str(output)!r} is the file that is read: write to another")
    architecture = find(arch, runs).architecture
    from trainers import checkpoint, foreign_file, foreign_weights

    file = foreign_file.read(source)
    _refuse_proxy(architecture, file.tensors, source, file.notes)
    imported = foreign_weights.convert(architecture, file.tensors, repr(str(source)))
    data = {
        "digest": architecture.digest,
        "classes": imported.classes,
        "channels": imported.channels,
        "resolution": architecture.resolution,
        "aux": imported.aux,
        # As torchvision's transform_input and timm have it: -1 for black, 1 for white.
        "trained": {"mean": [127.5] * imported.channels, "deviation": [127.5] * imported.channels, "white": 255},
        "source": {"file": source.name, "sha256": file.sha256, "names": imported.names},
    }
    checkpoint.write(output, imported.tensors, data)
    return imported


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
        _refuse_proxy(architecture, file.tensors, path, file.notes)
        raise RequestError(_import_first(arch, architecture, path, list(file.tensors))) from None
    about = read_about(data, repr(str(path)))
    if about.digest is None:  # of a training that does not say of what: a trial's
        _refuse_proxy(architecture, tensors, path)
    for key, tensor in tensors.items():
        check_values(tensor, key, repr(str(path)))
    return WeightFile(tensors, about)


def _refuse_proxy(
    architecture: Architecture, tensors: Mapping[str, Any], path: Path, notes: Mapping[str, str] | None = None
) -> None:
    """Raise RequestError where weights are of a proxy of the architecture; ``notes``: those of the file."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    sides = re.fullmatch(r"(\d{1,4})x\1", (notes or {}).get("resolution", ""))
    sentence = proxy_sentence(architecture, shapes, repr(str(path)), sides and int(sides[1]))
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
