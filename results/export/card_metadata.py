"""The metadata in front of a model card: YAML in the schema of the Hugging Face Hub.

The schema: https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Keys whose value is not known are left out,
and ``model-index`` holds what was measured, nothing else: the Hub checks it when it is pushed.
"""

import math
from collections.abc import Sequence
from typing import Any

from results.export.card_background import CardBackground, Result
from results.export.content import Content
from results.export.markdown import one_line
from results.figures import is_fraction, spoken
from search_spaces.yaml_files import write_text

TASK = "image-classification"
_TAGS = (TASK, "inception", "neural-architecture-search")
_LIBRARIES = {"python": "pytorch", "pt2": "pytorch", "safetensors": "pytorch", "onnx": "onnx"}
_METRIC = "accuracy"  # the Hub's list of metrics has no error


def front_matter(content: Content, background: CardBackground) -> list[str]:
    """Return the lines of the metadata, between its two rules."""
    return ["---", *write_text(metadata(content, background)).rstrip("\n").split("\n"), "---"]


def metadata(content: Content, background: CardBackground) -> dict[str, Any]:
    """Return what stands there as plain data."""
    libraries = list(dict.fromkeys(library for form, library in _LIBRARIES.items() if background.file(form)))
    results = measured_results(content, background)
    found: dict[str, Any] = {
        "license": one_line(background.license),
        "library_name": libraries[0] if libraries else "",
        "pipeline_tag": TASK,
        "tags": [*_TAGS, *libraries, *["safetensors"] * bool(background.file("safetensors"))],
        "datasets": [one_line(background.data_on_hub)] if background.data_on_hub else [],
        "metrics": [_METRIC] if results else [],
        "model-index": [{"name": one_line(content.architecture.name), "results": results}] if results else [],
    }
    return {key: value for key, value in found.items() if value}


def measured_results(content: Content, background: CardBackground) -> list[dict[str, Any]]:
    """Return the entries of ``model-index``: one for each part of the data, with its accuracies.

    None for a network without weights; for data that are not on the Hub, as the schema asks for their identifier there;
    and where other weights lie beside the card, as the Hub takes results for those of every file there.
    """
    identifier = one_line(background.data_on_hub)
    if content.state is None or not identifier or not all(file.own for file in background.files):
        return []
    found = []
    for part in ("validation", "test"):
        metrics = [metric for result in background.results if result.part == part for metric in _metrics(result)]
        if metrics:
            dataset = {"type": identifier, "name": one_line(background.data_name) or identifier, "split": part}
            task = {"type": TASK, "name": "Image Classification"}
            found.append({"task": task, "dataset": dataset, "metrics": metrics})
    return found


def _metrics(result: Result) -> Sequence[dict[str, Any]]:
    """An error as the accuracy that it is, 0 to 1; what is neither stands in the card's text alone."""
    if not is_fraction(result.name) or not math.isfinite(result.value):
        return []
    accuracy = 1 - result.value if result.name.endswith("error") else result.value
    kind = spoken(result.name).removesuffix("accuracy").removesuffix("error").strip() or "top1"
    training = "" if result.training == "unknown" else f"{result.training} training"
    told = ", ".join(filter(None, (f"{kind} accuracy", training, one_line(result.conditions))))
    return [{"type": _METRIC, "value": round(accuracy, 6), "name": told}]
