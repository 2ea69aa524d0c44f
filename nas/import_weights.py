"""Weights of torchvision and timm, or under our own names, for an architecture."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.study import find
from search_spaces.errors import RequestError

if TYPE_CHECKING:
    from trainers.foreign_weights import Imported


def import_weights(arch: str, source: Path, output: Path, runs: Path) -> "Imported":
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
    imported = foreign_weights.convert(architecture, file.tensors, repr(str(source)))
    data = {
        "digest": architecture.digest,
        "classes": imported.classes,
        "channels": imported.channels,
        "resolution": architecture.resolution,
        "aux": imported.aux,
        "source": {"file": source.name, "sha256": file.sha256, "names": imported.names},
    }
    checkpoint.write(output, imported.tensors, data)
    return imported
