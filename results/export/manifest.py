"""The manifest of a bundle: what lies in it, byte for byte, where it comes from, and what was proved of it."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from results.export.content import Content

if TYPE_CHECKING:
    from results.export.comparison import Comparison
    from results.export.proof import Proof

MANIFEST, FORMAT = "manifest.json", "export/1"
PACKAGES = ("inception-nas", "torch", "safetensors", "onnx", "onnxscript", "onnxruntime")


def manifest(
    content: Content, files: Mapping[str, bytes], proofs: Iterable["Proof"], compared: Iterable["Comparison"] = ()
) -> bytes:
    """Return the manifest as JSON: ``sha256`` and ``bytes`` of each file, facts, versions, proofs and comparisons."""
    scaling = content.scaling
    data = {
        "format": FORMAT,
        "name": content.architecture.name,
        "digest": content.architecture.digest,
        "classes": content.classes,
        "channels": content.channels,
        "resolution": list(content.sides),
        "weights": content.state is not None,
        "caution": content.caution or None,
        "data_digest": content.data_digest,
        "scaling": None
        if scaling is None
        else {"mean": scaling.mean, "deviation": scaling.deviation, "white": scaling.white},
        "class_names": list(content.class_names) or None,
        "provenance": dict(content.provenance),
        "versions": {"python": platform.python_version(), **_versions()},
        "files": [
            {"name": name, "sha256": hashlib.sha256(file).hexdigest(), "bytes": len(file)}
            for name, file in files.items()
        ],
        "proofs": [proof.as_data() for proof in proofs],
        "compared": [comparison.as_data() for comparison in compared],
    }
    return f"{json.dumps(data, indent=1)}\n".encode()


def listed(file: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file that a manifest lists, by name; none of what is no manifest."""
    try:
        found = json.loads(file)
        return {entry["name"]: entry["sha256"] for entry in found["files"]} if found["format"] == FORMAT else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _versions() -> dict[str, str | None]:
    """Versions of what has a part in an export; null for what is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
