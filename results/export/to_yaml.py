"""Export as an architecture file, which this project reads back as the same architecture."""

from pathlib import Path

from results.export.names import file_stem
from search_spaces.architecture import Architecture
from search_spaces.files import write_files


def export_yaml(architecture: Architecture, folder: Path) -> Path:
    """Write ``<name>.yaml`` into ``folder`` and return its path; RequestError where that is not possible."""
    [path] = write_files(folder, {f"{file_stem(architecture.name)}.yaml": architecture.to_yaml().encode()})
    return path
