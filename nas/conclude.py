"""What a finished search leaves for its user: the report, and the best architecture as YAML and as plain PyTorch."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.candidate import CHANGED
from nas.config import COMMAND, RESOLVED, SPACE_DIGEST, SearchConfig
from nas.job import WEIGHTS
from nas.storage import at, folder_at
from nas.study import Found, Study, data_sentence
from results.outcome import Outcome, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.files import write_files
from search_spaces.graph import Graph
from search_spaces.operations import Conv
from search_spaces.proxy import proxy
from trainers.about import About

if TYPE_CHECKING:
    from torch import Tensor

    from results.importance import Importance
    from results.report_audit import AuditedBy

logger = logging.getLogger("nas.conclude")

MOST_CLASSES = 100  # named in an exported file
# Counted costs whose genes are those that matter for MACs, nearly: the report goes without, as each takes a second.
_LIKE_MACS = ("params", "activation_bytes", "peak_memory_bytes")
PROXY_NOTE = "these are proxy weights, trained briefly on small pictures with narrow filters: train in full before use"


def settings(study: Study) -> SearchConfig:
    """The search file of a study, as it was resolved."""
    return SearchConfig.from_data(study.record.search)


def trained_architecture(study: Study, trial: TrialRecord) -> Architecture:
    """The proxy that a trial trained."""
    config = settings(study)
    name = trial.seed or f"{study.name}-{trial.number}"
    small = proxy(from_data(trial.architecture), config.proxy.resolution, config.proxy.width)
    return small.named(f"{name[:57]}-proxy")


def trained_state(study: Study, trial: TrialRecord) -> "dict[str, Tensor]":
    """The weights that a trial left; RequestError where there are none."""
    from trainers.checkpoint import read

    folder = folder_at(at(study.runs, trial.artifact or ""))
    folder.fetch()
    path = folder.path / WEIGHTS
    if trial.artifact is None or not path.is_file():
        what = f"trial {trial.number} of study {study.name!r}"
        if trial.outcome is Outcome.COMPLETE:
            owner = f", which are those of trial {trial.reused}," if trial.reused else ""
            raise RequestError(
                f"the weights of {what}{owner} are gone: a search deletes those of trials off its front beyond "
                "quota_gb; train its architecture ('nas train')"
            )
        raise RequestError(f"{what} has no weights: only complete trials keep theirs")
    return dict(read(path).tensors)


def export_found(
    found: Found,
    to: str,
    folder: Path,
    weights: "Mapping[str, Tensor] | None" = None,
    classes: int | None = None,
    *,
    full: bool = False,
    about: About | None = None,
) -> list[Path]:
    """Write an architecture as ``yaml`` or ``python``, the latter with ``weights`` of a built network if given.

    ``about``: what is known of these weights: the exported file says at which resolution and how pictures are scaled.

    A complete trial goes out as ``python`` with its proxy and the proxy's weights, unless ``full`` or other weights are
    asked for; then, as for every other architecture, at full width.
    """
    from results.export.to_python import export_python
    from results.export.to_yaml import export_yaml

    if to == "yaml":
        if weights is not None:
            raise RequestError("an architecture file holds no weights: leave --weights out, or export --to python")
        return [export_yaml(found.architecture, folder)]
    provenance = {"architecture": found.architecture.digest}
    study, trial = found.study, found.trial
    if study is not None and trial is not None and trial.artifact is not None and weights is None and not full:
        config, small, state = settings(study), trained_architecture(study, trial), trained_state(study, trial)
        proxy_classes, channels = _sizes(small.graph(config.proxy.resolution), state)
        if classes not in (None, proxy_classes):
            raise RequestError(
                f"the weights of {study.name}:{trial.number} are for {proxy_classes} classes, not {classes}: leave "
                "--classes out, or add --full for the architecture without weights"
            )
        data_digest = study.record.data_digest or "not recorded"
        provenance |= {"study": f"{study.name}, trial {trial.number}", "weights": PROXY_NOTE}
        provenance |= {
            "validation error": f"{trial.values['error']:.4f}",
            "data": f"{config.data.source}, {data_digest[:16]}",
        }
        return export_python(
            small,
            folder,
            state=state,
            classes=proxy_classes,
            channels=channels,
            resolution=config.proxy.resolution,
            provenance=provenance,
        )
    trained_classes, channels = _sizes(found.architecture.graph(), weights or {})
    about = about or About()
    return export_python(
        found.architecture,
        folder,
        state=weights,
        classes=classes or (found.classes if weights is None else trained_classes),
        channels=channels,
        resolution=about.resolution,
        provenance=provenance | _weights_facts(about),
    )


def _weights_facts(about: About) -> dict[str, str]:
    """What a user of weights must know: how pictures were scaled, what the outputs mean, and how good they are."""
    trained, facts = about.trained, {}
    if trained.on is not None:
        facts["data"] = f"{Path(trained.on.source).name}, {(trained.data_digest or 'digest not known')[:16]}"
    if about.validation_error is not None:
        facts["validation error"] = f"{about.validation_error:.4f}"
    if trained.mean is not None and trained.deviation is not None:
        mean, deviation = (", ".join(f"{value:.6g}" for value in each) for each in (trained.mean, trained.deviation))
        by_channel = ", by channel" if len(trained.mean) > 1 else ""
        facts["pictures"] = (
            f"a pixel p from 0 (black) to {trained.white:g} (white) goes in as (p - m) / d, with m = {mean} and "
            f"d = {deviation}{by_channel}"
        )
    names = trained.class_names or ()
    if 0 < len(names) <= MOST_CLASSES and names != tuple(str(index) for index in range(len(names))):
        facts["classes"] = ", ".join(f"{index} {name}" for index, name in enumerate(names))
    return facts


def _sizes(graph: Graph, state: "Mapping[str, Tensor]") -> tuple[int, int]:
    """Classes and channels of the pictures that weights are for; 1000 and 3 where these do not tell."""
    reads = next((f"{node.name}.conv.weight" for node in graph if isinstance(node.operation, Conv)), "")
    first, last = state.get(reads), state.get("head.linear.linear.weight")
    classes = last.shape[0] if last is not None and last.ndim == 2 else 1000
    return classes, first.shape[1] if first is not None and first.ndim == 4 else 3


@dataclass(frozen=True)
class Conclusion:
    """What was written, and the best trial's top-1 error on the test part, which the search has never seen."""

    best: TrialRecord
    test_error: float
    files: tuple[Path, ...]


def conclude(study: Study) -> Conclusion:
    """Write the report and the best architecture beside the study; score the best on the test part, once."""
    report = study.folder / "report.html"
    write_study_report(study, report)  # first: it needs no weights, which may be damaged
    folder = study.folder / "best"
    best = study.best()
    found = Found(from_data(best.architecture).named(best.seed or f"{study.name}-{best.number}"), study, best)
    result = folder / "result.json"
    known = _read_result(result)
    if known is not None and known["trial"] == best.number and known["finished_at"] == best.finished_at:
        error, files = known["test_error"], [folder / name for name in known["files"]]
    else:
        for name in known["files"] if known else ():
            (folder / name).unlink(missing_ok=True)  # those of an earlier best
        files = [*export_found(found, "yaml", folder), *export_found(found, "python", folder)]
        error = _test_error(study, best)
        content = {
            "trial": best.number,
            "digest": best.digest,
            "finished_at": best.finished_at,
            "test_error": error,
            "files": [file.name for file in files],
        }
        write_files(folder, {result.name: json.dumps(content, indent=1).encode()})
    return Conclusion(best, error, (report, *files))


def write_study_report(study: Study, path: Path, *, published: bool | None = None) -> None:
    """Write the report of a study as one HTML file.

    ``published``: whether published results are laid over the front; by default where the target is ImageNet.
    """
    from nas.views import state_text
    from results.report import Background, write_report

    search = study.record.search
    background = Background(
        command=search.get(COMMAND) or "",
        search={key: value for key, value in search.items() if key not in RESOLVED},
        facts=_facts(study),
        state=state_text(study.record.state, study.searched_by),
        importances=_importances(study),
        audited_by=audited_by(study),
        published=published,
    )
    write_report(study.record, study.trials, path, background)


def _facts(study: Study) -> dict[str, str]:
    """What else belongs to repeating a study."""
    told = data_sentence(study.record.search)
    facts = {"data": told.removeprefix("data ")} if told else {}
    digest = study.record.search.get(SPACE_DIGEST)
    return facts | ({"space digest": digest} if digest else {})


def _importances(study: Study) -> "Sequence[Importance]":
    """The importance of the genes; where it cannot be computed, nothing, and the report goes without."""
    try:
        return study.importances(but=_LIKE_MACS)
    except (RequestError, ValueError, TypeError) as error:  # genes that a damaged row holds may be anything
        logger.warning("the importance of genes is missing from the report of study %r: %s", study.name, error)
        return ()


def audited_by(study: Study) -> "AuditedBy":
    """The thresholds of the study's space; the project's own where its file cannot be read any more."""
    from results.report_audit import OWN, AuditedBy

    try:
        space = study.space()
    except RequestError as error:
        return AuditedBy(OWN.thresholds, f"{OWN.whose}: {error}")
    known = SPACE_DIGEST in study.record.search
    changed = ", which has changed since" if known and not study.has_its_space else ""
    return AuditedBy(space.thresholds, f"the thresholds of the space {space.name!r}{changed}")


def _read_result(path: Path) -> dict[str, Any] | None:
    """What an earlier run concluded, if its files are all there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = content.keys() >= {"trial", "finished_at", "test_error"}
        there = all((path.parent / Path(name).name).is_file() for name in content["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(content) if whole and there else None


def _data(study: Study) -> Any:
    from trainers.data import load

    config = settings(study)
    data = load(config.data, random_seed=config.random_seed, resolution=config.proxy.resolution)
    if study.record.data_digest not in (None, data.digest):
        raise RequestError(CHANGED.format(data.name))
    return data


def _test_error(study: Study, trial: TrialRecord) -> float:
    """Top-1 error of a trial's network on the test part, as a fraction."""
    import torch

    from trainers.evaluate import final
    from trainers.network import build
    from trainers.precision import chosen

    config, data = settings(study), _data(study)
    small = trained_architecture(study, trial)
    graph = small.graph(config.proxy.resolution, classes=len(data.classes), channels=data.channels, aux=True)
    network = build(graph, initialise=config.random_seed)
    network.load_state_dict(trained_state(study, trial))
    return final(network, data, chosen(config.recipe, torch.device("cpu"))).error
