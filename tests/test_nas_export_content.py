"""What leaves of a trial and of weights: where it comes from, what is known of it, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from trained_trial import trained_trial

from nas.config import SPACE_DIGEST
from nas.export import requested
from nas.export_card import card_background
from nas.export_content import content_of
from nas.job import WEIGHTS
from nas.study import Found
from nas.trial_weights import trained_weights
from results.export.to_card import to_card
from results.outcome import Outcome
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers import checkpoint
from trainers.about import About, Trained
from trainers.network import build
from trainers.source import DataSource


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return trained_trial(tmp_path_factory.mktemp("home"), resolution=8)


def weights_of(architecture: Architecture, classes: int = 10, channels: int = 1) -> dict[str, Any]:
    return build(architecture.graph(classes=classes, channels=channels), initialise=0).state_dict()


def changed(trial: Found, search: dict[str, Any] | None = None, **fields: Any) -> Found:
    """The same with another search file, or other fields of its trial."""
    assert trial.study is not None
    assert trial.trial is not None
    record = replace(trial.study.record, search={**trial.study.record.search, **(search or {})})
    return Found(trial.architecture, replace(trial.study, record=record), replace(trial.trial, **fields))


# ------------------------------------------------------------------------------------------------------------- a trial


def test_weights_of_a_trial_say_of_which_proxy_they_are(trial: Found) -> None:
    assert trial.study is not None
    assert trial.trial is not None
    about = trained_weights(trial.study, trial.trial).about
    assert about.digest == proxy(trial.architecture, 8, 0.0625).digest == content_of(trial).architecture.digest
    assert about.stands_for == trial.architecture.digest


def test_what_weights_of_earlier_releases_do_not_say_the_study_says(trial: Found) -> None:
    assert trial.study is not None
    assert trial.trial is not None
    path = trial.study.runs / (trial.trial.artifact or "") / WEIGHTS
    whole, tensors = path.read_bytes(), checkpoint.read(path).tensors
    try:
        checkpoint.write(path, tensors, {"epochs": 1})
        about = trained_weights(trial.study, trial.trial).about
        assert (about.resolution, about.trained.on, about.trained.random_seed) == (8, DataSource("digits"), 0)
        assert about.trained.data_digest == trial.study.record.data_digest
        checkpoint.write(path, tensors, {"resolution": 9, "trained": {"on": "else", "random_seed": 5}})
        about = trained_weights(trial.study, trial.trial).about
        assert (about.resolution, about.trained.on, about.trained.random_seed) == (9, DataSource("else"), 5)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.SCREENED, Outcome.DIVERGED])
def test_a_trial_without_weights_is_no_full_network(trial: Found, outcome: Outcome) -> None:
    bare = changed(trial, outcome=outcome, artifact=None)
    said = f"trial 0 of study 'tiny' is {outcome} and has no weights: add --full for its architecture"
    with pytest.raises(RequestError, match=said):
        content_of(bare)
    assert content_of(bare, full=True).state is None
    assert requested(bare, ["yaml"]).architecture == trial.architecture
    assert content_of(bare, weights_of(trial.architecture)).state is not None


def test_whatever_leaves_of_a_trial_says_so(trial: Found) -> None:
    for content in (
        content_of(trial),
        content_of(trial, full=True),
        content_of(trial, weights_of(trial.architecture), about=About()),
    ):
        assert content.provenance["study"] == "tiny, trial 0"
        assert content.provenance["architecture"] == trial.architecture.digest
    assert "study" not in content_of(Found(trial.architecture)).provenance


def test_thresholds_are_those_of_the_study_as_long_as_its_space_is_what_it_was(trial: Found) -> None:
    assert trial.study is not None
    for full in (False, True):
        assert content_of(trial, full=full).thresholds == trial.study.space().thresholds
        assert content_of(changed(trial, {SPACE_DIGEST: "0" * 64}), full=full).thresholds is None
        assert content_of(changed(trial, {"space": "gone.yaml"}), full=full).thresholds is None


# -------------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (Trained(mean=(1, 2, 3), deviation=(1, 2, 3), white=255), "scales pictures of 3 channels, and they take 1"),
        (Trained(class_names=("a", "b")), "names 2 classes, and they are for 10"),
    ],
)
def test_what_is_said_of_weights_must_fit_them(trial: Found, trained: Trained, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        content_of(Found(trial.architecture), weights_of(trial.architecture), about=About(trained=trained))


@pytest.mark.parametrize(
    ("arch", "resolution", "training"),
    [("trial", 299, "full"), ("trial", 32, "unknown"), ("seed", 299, "full"), ("seed", 75, "unknown"),
     ("file", 299, "unknown")],
)  # fmt: skip
def test_a_training_is_a_full_one_where_that_is_known(
    trial: Found, tmp_path: Path, arch: str, resolution: int, training: str
) -> None:
    found = {
        "trial": trial,
        "seed": Found(seed("inception-v3")),
        "file": Found(proxy(seed("inception-v3"), 32, 0.125).named("small")),
    }[arch]
    about = About(resolution=resolution, epoch=2, validation_error=0.25, digest=found.architecture.digest)
    content = replace(content_of(found, full=True), state={"x": torch.zeros(1)})
    (tmp_path / "training.json").write_text(
        f'{{"architecture": "{found.architecture.digest}", "file": {{"recipe": {{"epochs": 3}}}}}}', encoding="utf-8"
    )
    background = card_background(found, content, (), weights=tmp_path / "best.safetensors", about=about)
    [result] = background.results
    assert (result.training, result.conditions) == (training, f"after epoch 2 of 3, {resolution} px")
    elsewhere = card_background(found, content, (), weights=tmp_path / "x" / "best.safetensors", about=about)
    assert elsewhere.results[0].conditions == f"after epoch 2, {resolution} px"
    card = to_card(content, background)["README.md"].decode()
    assert f"| {'full training' if training == 'full' else 'training'} | after epoch 2 of 3, {resolution} px |" in card


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf:someone/flowers:small", ("flowers", "someone/flowers", {"configuration": "small"})),
        ("hf:cifar10", ("cifar10", "cifar10", {})),
        ("hf:kept", ("kept", "", {})),  # in a folder of this machine
        ("hf:/data/flowers", ("flowers", "", {})),
        ("flowers", ("flowers", "", {})),
    ],
)
def test_data_of_the_hub_are_called_as_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: tuple[str, str, dict[str, str]]
) -> None:
    (tmp_path / "kept").mkdir()
    monkeypatch.chdir(tmp_path)
    found = Found(seed("inception-v3"))
    about = About(trained=Trained(on=DataSource(source)), validation_error=0.25)
    assert content_of(found, full=True, about=about).provenance["data"] == f"{said[0]}, digest not known"
    content = replace(content_of(found, full=True), state={"x": torch.zeros(1)})
    background = card_background(found, content, (), weights=tmp_path / "best.safetensors", about=about)
    assert (background.data_name, background.data_on_hub, background.data) == said
    assert background.license == ""
    card = to_card(content, background)["README.md"].decode()
    assert ("datasets:" in card, "model-index:" in card) == (bool(said[1]),) * 2


def test_a_trial_that_was_trained_on_data_of_the_hub_names_them(trial: Found) -> None:
    content = content_of(trial)
    assert card_background(trial, content, ()).data_on_hub == ""
    background = card_background(changed(trial, {"data": "hf:someone/flowers"}), content, ())
    assert (background.data_name, background.data_on_hub) == ("flowers", "someone/flowers")
