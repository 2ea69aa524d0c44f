"""Export as an architecture file, which this project reads back as the same architecture."""

from results.export.content import Content
from results.export.names import file_stem


def to_yaml(content: Content) -> dict[str, bytes]:
    """Return ``inception-v3.yaml`` for an architecture of that name."""
    return {f"{file_stem(content.architecture.name)}.yaml": content.architecture.to_yaml().encode()}
