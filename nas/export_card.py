"""What a model card tells beside what is exported: from the trial, or from the training whose weights leave."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.conclude import known_test_error
from nas.rungs import rungs_of
from nas.study import Found, Study, data_sentence
from nas.training import ABOUT, read_metrics
from nas.trial_weights import settings
from results.export.card_background import CardBackground, CardFile, Part, Place, Result, Training
from results.export.content import Content
from results.export.to_python import network_class
from results.outcome import TrialRecord
from results.plain_text import count
from results.view import Target
from search_spaces.seeds import seed, seed_names
from trainers.about import About
from trainers.source import DataSource

if TYPE_CHECKING:
    from results.export.comparison import Comparison

Curve = Mapping[str, tuple[tuple[int, float], ...]]


def card_background(
    found: Found,
    content: Content,
    files: Sequence[CardFile],
    compared: "Sequence[Comparison]" = (),
    *,
    weights: Path | None = None,
    about: About | None = None,
    folded: bool = False,
) -> CardBackground:
    """Return what a card tells of a content.

    ``files``: what lies beside the card. ``compared``: what was found of what leaves with options. ``weights``: the
    file that they were read from, if any, and ``about`` what it says of itself; where it lies in the folder of a
    training, its recipe and course are told. ``folded``: whether the content has batch norms folded, which were there
    when results were measured; its own are those of the comparison.
    """
    told: dict[str, Any] = {}
    study, trial = found.study, found.trial
    if study is not None and trial is not None:
        told["place"] = Place(study.name, trial.number, study.trials, study.record.objectives)
        if weights is None and content.state is not None:
            told |= _of_trial(study, trial)
    if weights is not None and about is not None:
        told |= _of_training(found, weights, about)
    if folded:
        told["results"] = _of_folded(told.get("results", ()), compared)
    return CardBackground(files=tuple(files), compared=tuple(compared), network_class=network_class(content), **told)


def _of_trial(study: Study, trial: TrialRecord) -> dict[str, Any]:
    """The proxy training of a trial."""
    config = settings(study)
    rung = len(rungs_of(config)) - 1
    small = f"width {config.proxy.width:g}, {config.proxy.resolution} px, {count(config.recipe.epochs, 'epoch')}"
    taken = f", taken over from trial {trial.reused}" if trial.reused else ""
    errors: dict[Part, float | None] = {"validation": trial.values.get("error"), "test": known_test_error(study, trial)}
    results = [
        Result("error", value, part, "proxy", f"{small}{taken}") for part, value in errors.items() if value is not None
    ]
    course = tuple((m.epoch, m.values["error"]) for m in trial.measurements if m.rung == rung and "error" in m.values)
    return {
        "results": tuple(results),
        "recipe": config.recipe.in_effect(),
        **_of_data(config.data),
        "split": data_sentence(study.record.search).removeprefix(f"data {config.data.source}: "),
        "curve": {"validation error": course} if len(course) > 1 else {},
    }


def _of_folded(results: Sequence[Result], compared: "Sequence[Comparison]") -> tuple[Result, ...]:
    """What was measured after batch norms were folded, on pictures of a validation part; else what was before."""
    training: Training = results[0].training if results else "unknown"
    found = [(each, each.found.error) for each in compared if each.found.error is not None]
    if not found:
        before = "before batch norms were folded"
        return tuple(replace(each, conditions=", ".join(filter(None, (each.conditions, before)))) for each in results)
    return tuple(
        Result("error", error, "validation", training, f"batch norms folded, {each.count} pictures of {each.pictures}")
        for each, error in found
    )


def _of_data(source: DataSource) -> dict[str, Any]:
    """What the data are called; of a data set of Hugging Face also where it lies there."""
    identifier, configuration = source.on_hub
    if not identifier:
        return {"data_name": source.called}
    facts = {"configuration": configuration} if configuration else {}
    return {"data_name": source.called, "data_on_hub": identifier, "data": facts}


def _of_training(found: Found, weights: Path, about: About) -> dict[str, Any]:
    """The training that left the weights: what they say of it, and what its folder says where they still lie there."""
    told: dict[str, Any] = {}
    if about.trained.on is not None:
        told |= _of_data(about.trained.on)
    try:
        known = json.loads((weights.parent / ABOUT).read_text(encoding="utf-8"))
        if known["architecture"] == about.digest:
            told["recipe"] = dict(known["file"]["recipe"])
            told["curve"] = _curve(weights.parent)
    except (OSError, ValueError, KeyError, TypeError):  # weights that were carried away from their training
        pass
    if about.validation_error is not None:
        epochs = told.get("recipe", {}).get("epochs")
        conditions = (
            [f"after epoch {about.epoch}{f' of {epochs}' if epochs else ''}"] if about.epoch is not None else []
        )
        conditions += [f"{about.resolution} px"] if about.resolution is not None else []
        training: Training = "full" if _is_whole(found, about) else "unknown"
        told["results"] = (Result("error", about.validation_error, "validation", training, ", ".join(conditions)),)
    return told


def _is_whole(found: Found, about: About) -> bool:
    """Whether it is known that nothing was made smaller for the training: neither the network nor its pictures.

    Of a file's architecture it is not: that may be a proxy.
    """
    architecture, study = found.architecture, found.study
    if study is None and (architecture.name not in seed_names() or seed(architecture.name) != architecture):
        return False
    sides = architecture.sides(None if study is None else Target.of(study.record.search).resolution)
    return about.resolution is not None and about.resolution >= max(sides)


def _curve(folder: Path) -> Curve:
    metrics = read_metrics(folder)
    names = {"training error": "training_error", "validation error": "validation_error"}
    found = {
        name: tuple((int(m["epoch"]), float(m[key])) for m in metrics if m.get(key) is not None)
        for name, key in names.items()
    }
    return {name: course for name, course in found.items() if len(course) > 1}
