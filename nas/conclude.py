"""What a finished search leaves for its user: the report, and the best architecture as YAML and as plain PyTorch."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.candidate import CHANGED
from nas.config import COMMAND, RESOLVED, SPACE_DIGEST
from nas.export import export_found
from nas.study import Found, Study, data_sentence
from nas.trial_weights import settings, trained_architecture, trained_weights
from results.outcome import TrialRecord
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.files import write_files

if TYPE_CHECKING:
    from results.importance import Importance
    from results.report_audit import AuditedBy

logger = logging.getLogger("nas.conclude")

RESULT = "result.json"

# Counted costs whose genes are those that matter for MACs, nearly: the report goes without, as each takes a second.
_LIKE_MACS = ("params", "activation_bytes", "peak_memory_bytes")


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
    result = folder / RESULT
    known = _read_result(result)
    if known is not None and _is_of(known, best):
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


def known_test_error(study: Study, trial: TrialRecord) -> float | None:
    """Return what `conclude` has found for this very trial on the test part, as a fraction; None where it has not."""
    known = _read_result(study.folder / "best" / RESULT)
    return float(known["test_error"]) if known is not None and _is_of(known, trial) else None


def write_study_report(study: Study, path: Path, *, published: bool | None = None) -> None:
    """Write the report of a study as one HTML file.

    ``published``: whether published results are laid over the front; by default where the target is ImageNet.
    """
    from results.report import Background, write_report

    search = study.record.search
    background = Background(
        command=search.get(COMMAND) or "",
        search={key: value for key, value in search.items() if key not in RESOLVED},
        facts=_facts(study),
        driver=study.searched_by,
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


def _is_of(known: dict[str, Any], trial: TrialRecord) -> bool:
    return bool((known["trial"], known["finished_at"]) == (trial.number, trial.finished_at))


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
    network.load_state_dict(trained_weights(study, trial).tensors)
    return final(network, data, chosen(config.recipe, torch.device("cpu"))).error
