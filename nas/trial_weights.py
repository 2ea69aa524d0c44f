"""What a trial trained: the settings, the proxy and its weights."""

from typing import TYPE_CHECKING

from nas.config import SearchConfig
from nas.job import WEIGHTS
from nas.storage import at, folder_at
from nas.study import Study
from results.outcome import Outcome, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.proxy import proxy

if TYPE_CHECKING:
    from torch import Tensor


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
