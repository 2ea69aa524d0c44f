"""What the user of an exported network must know, in words for a docstring and as texts for a file's metadata."""

import json
from dataclasses import replace

from results.export.compact_yaml import compact_yaml
from results.export.content import Content, Scaling
from results.export.weights import weights_digest

MOST_CLASSES = 100  # named in words
RANDOM = "random"  # instead of a hash of weights, where there are none
ERROR = "validation error"  # in the provenance: of the weights in float32, with their norms
DATA = "data"  # there: what the weights were trained on


def told(content: Content) -> dict[str, str]:
    """Return what is known, by name and in order: where it comes from, how pictures are scaled, what comes out."""
    digest = content.architecture.digest
    # Where it comes from may be another architecture: the one for which a proxy stands.
    facts = {"digest": digest, **{key: value for key, value in content.provenance.items() if value != digest}}
    if content.caution:
        facts["weights"] = content.caution
    if content.scaling is not None:
        facts["pictures"] = scaling_text(content.scaling)
    names = content.class_names
    if 0 < len(names) <= MOST_CLASSES and not content.classes_are_numbers:
        facts["classes"] = ", ".join(f"{index} {name}" for index, name in enumerate(names))
    return facts


def scaling_text(scaling: Scaling) -> str:
    """Say how a picture becomes an input."""
    mean, deviation = (", ".join(f"{value:.6g}" for value in each) for each in (scaling.mean, scaling.deviation))
    by_channel = ", by channel" if len(scaling.mean) > 1 else ""
    return (
        f"a pixel p from 0 (black) to {scaling.white:g} (white) goes in as (p - m) / d, with m = {mean} and "
        f"d = {deviation}{by_channel}"
    )


def metadata(content: Content) -> dict[str, str]:
    """Return what belongs beside weights, by name; names that are not there are not known.

    ``architecture`` is the text of an architecture file; ``resolution`` is height x width in pixels; ``mean`` and
    ``deviation`` have numbers by channel with commas between them, in the unit in which ``white`` is white;
    ``weights`` is the SHA-256 of the weights without auxiliary heads, or "random"; ``class_names`` and ``provenance``
    are JSON; ``data_digest`` is the SHA-256 of the data; ``stands_for`` is, of a
    proxy, the digest of the architecture that was found. nas/exported_about.py reads them back.
    """
    height, width = content.sides
    found = {
        "name": content.architecture.name,
        "digest": content.architecture.digest,
        "classes": str(content.classes),
        "channels": str(content.channels),
        "resolution": f"{height}x{width}",
        "weights": RANDOM if content.state is None else weights_digest(content.state),
        "architecture": compact_yaml(content.architecture),
        "provenance": json.dumps(dict(content.provenance)),
    }
    if content.scaling is not None:
        mean, deviation = (",".join(map(repr, each)) for each in (content.scaling.mean, content.scaling.deviation))
        found |= {"mean": mean, "deviation": deviation, "white": repr(content.scaling.white)}
    if content.class_names:
        found["class_names"] = json.dumps(content.class_names)
    if content.data_digest is not None:
        found["data_digest"] = content.data_digest
    if content.stands_for is not None:
        found["stands_for"] = content.stands_for[0].digest
    if content.caution:
        found["caution"] = content.caution
    return found


def metadata_of_program(content: Content) -> dict[str, str]:
    """Return the same of a file that runs: ``input`` is "scaled" pictures, or "pixels" from 0 to white that the graph
    scales itself; ``precision`` is that of weights and arithmetic, and pictures and logits are float32 whatever it is.
    Of a file with options no error is told, as that of the plain one was not measured of it.
    """
    deployment = content.deployment
    return {
        **metadata(content if deployment.plain else without_error(content)),
        "input": "pixels" if deployment.pixels else "scaled",
        "precision": deployment.precision,
    }


def without_error(content: Content) -> Content:
    """Return a content whose provenance does not say how good its weights are."""
    return replace(content, provenance={key: value for key, value in content.provenance.items() if key != ERROR})
