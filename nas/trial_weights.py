"""What a trial trained: the settings, the proxy and its weights."""

from typing import TYPE_CHECKING, NamedTuple

from nas.config import SearchConfig
from nas.job import WEIGHTS
from nas.storage import at, folder_at
from nas.study import Study
from results.outcome import Outcome, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.proxy import proxy
from trainers.about import About, read_about

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


class TrialWeights(NamedTuple):
    """Tensors as a built network names them, and what is known of them."""

    tensors: "dict[str, Tensor]"
    about: About


def trained_weights(study: Study, trial: TrialRecord) -> TrialWeights:
    """Return the weights that a trial left; RequestError where there are none, or they cannot be used."""
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
    tensors, data = read(path)
    about = read_about(data, repr(str(path)))
    return TrialWeights(dict(tensors), _completed(about, study))


def _completed(about: About, study: Study) -> About:
    """Add what files of earlier releases do not say, from the study."""
    config, trained = settings(study), about.trained
    known = {
        "on": config.data,
        "data_digest": study.record.data_digest,
        "random_seed": config.random_seed,
        "view": "whole",
    }
    missing = {name: value for name, value in known.items() if getattr(trained, name) is None}
    return about.model_copy(
        update={
            "resolution": about.resolution or config.proxy.resolution,
            "trained": trained.model_copy(update=missing),
        }
    )
