"""What is exported: the architecture that ARCH names, with the weights that go with it and what is known of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from nas.study import Found
from nas.trial_weights import settings, trained_architecture, trained_weights
from results.export.content import Content, Scaling
from results.export.facts import DATA, ERROR
from results.view import Target
from search_spaces.errors import RequestError
from search_spaces.graph import Graph
from search_spaces.operations import Conv
from search_spaces.principles import Thresholds
from trainers.about import About

if TYPE_CHECKING:
    from torch import Tensor

    from nas.study import Study
    from results.outcome import TrialRecord

PROXY_NOTE = "these are proxy weights, trained briefly on small pictures with narrow filters: train in full before use"


def content_of(
    found: Found,
    weights: "Mapping[str, Tensor] | None" = None,
    classes: int | None = None,
    *,
    full: bool = False,
    about: About | None = None,
) -> Content:
    """Return what leaves, with ``weights`` of a built network if given, of which ``about`` says what is known.

    Of a trial it is the proxy with its own weights, unless ``full`` or other weights are asked for; then, as for every
    other architecture, the architecture at full width. RequestError where the trial has no weights, or where
    ``classes``, or what is known of the weights, are not those of the weights.
    """
    study, trial = found.study, found.trial
    if study is not None and trial is not None and weights is None and not full:
        return _of_trial(study, trial, found, classes)
    about, architecture = about or About(), found.architecture
    about.check_digest(architecture.digest, architecture.name)
    trained_classes, channels = _sizes(architecture.graph(), weights or {})
    if weights is not None and classes not in (None, trained_classes) and "head.linear.linear.weight" in weights:
        raise RequestError(
            f"the weights are for {trained_classes} classes, not {classes}: leave --classes out, or leave --weights out"
        )
    resolution: int | tuple[int, int] | None = about.resolution
    if study is not None and weights is None:
        target = Target.of(study.record.search)
        channels, resolution = target.channels, target.resolution
    content = Content(
        architecture=architecture,
        classes=classes or (found.classes if weights is None else trained_classes),
        channels=channels,
        sides=architecture.sides(resolution),
        state=weights,
        provenance={"architecture": architecture.digest, **_place(study, trial), **(about.provenance or {})},
        caution=about.caution or "",
        thresholds=_thresholds(study),
    )
    return _with_facts(content, about)


def in_full(found: Found, content: Content) -> str:
    """Return which commands train what a trial's proxy stands for, as the rest of a sentence; "" of anything else."""
    if found.study is None or found.trial is None or content.stands_for is None:
        return ""
    name = f"{found.study.name}:{found.trial.number}"
    return (
        f": 'nas train {name} FILE.yaml', and then 'nas export {name} --to python --weights BEST -o DIR', BEST being "
        "the best.safetensors that it leaves"
    )


def _of_trial(study: "Study", trial: "TrialRecord", found: Found, classes: int | None) -> Content:
    if trial.artifact is None:
        raise RequestError(
            f"trial {trial.number} of study {study.name!r} is {trial.outcome} and has no weights: add --full for its "
            "architecture"
        )
    config, small, (state, about) = settings(study), trained_architecture(study, trial), trained_weights(study, trial)
    proxy_classes, channels = _sizes(small.graph(config.proxy.resolution), state)
    name = f"{study.name}:{trial.number}"
    if classes not in (None, proxy_classes):
        raise RequestError(
            f"the weights of {name} are for {proxy_classes} classes, not {classes}: leave --classes out, or add --full "
            "for the architecture without weights"
        )
    content = Content(
        architecture=small,
        classes=proxy_classes,
        channels=channels,
        sides=small.sides(config.proxy.resolution),
        state=state,
        provenance={
            "architecture": found.architecture.digest,
            **_place(study, trial),
            ERROR: f"{trial.values['error']:.4f}",
        },
        caution=PROXY_NOTE,
        stands_for=(found.architecture, found.architecture.sides(config.target.resolution)),
        thresholds=_thresholds(study),
    )
    return _with_facts(content, about)


def _place(study: "Study | None", trial: "TrialRecord | None") -> dict[str, str]:
    """Where an architecture was found, as a fact by name."""
    return {} if study is None or trial is None else {"study": f"{study.name}, trial {trial.number}"}


def _thresholds(study: "Study | None") -> Thresholds | None:
    """Those of a study's space; None where it cannot be read any more, or is not what it was when the study ran."""
    try:
        return study.space().thresholds if study is not None and study.has_its_space else None
    except RequestError:
        return None


def _with_facts(content: Content, about: About) -> Content:
    """Add what a user of weights must know: how pictures were scaled, what the outputs mean, and how good they are."""
    about.check_sizes(content.classes, content.channels)
    trained, facts, scaling = about.trained, dict(content.provenance), None
    if trained.on is not None:
        facts[DATA] = f"{trained.on.called}, {(trained.data_digest or 'digest not known')[:16]}"
    if about.validation_error is not None:
        facts[ERROR] = f"{about.validation_error:.4f}"
    if trained.mean is not None and trained.deviation is not None and trained.white is not None:
        scaling = Scaling(trained.mean, trained.deviation, trained.white)
    return replace(
        content,
        provenance=facts,
        scaling=scaling,
        class_names=trained.class_names or (),
        data_digest=trained.data_digest,
    )


def _sizes(graph: Graph, state: "Mapping[str, Tensor]") -> tuple[int, int]:
    """Classes and channels of the pictures that weights are for; 1000 and 3 where these do not tell."""
    reads = next((f"{node.name}.conv.weight" for node in graph if isinstance(node.operation, Conv)), "")
    first, last = state.get(reads), state.get("head.linear.linear.weight")
    classes = last.shape[0] if last is not None and last.ndim == 2 else 1000
    return classes, first.shape[1] if first is not None and first.ndim == 4 else 3
