"""Options beside the plain export: what deviates by more than its precision explains does not leave."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from exports import SMALL, content_of

from nas.export_comparison import Beside, compared
from results.export import comparison
from results.export.comparison import Compared, Comparison
from results.export.deployment import Deployment
from results.export.to_pt2 import to_pt2
from search_spaces.errors import ExportFailed


def beside_plain(deployment: Deployment, off: float) -> Comparison:
    """Compare a program whose logits are too large by the share ``off``."""
    plain, network = content_of(SMALL, 24)
    content = replace(plain, deployment=deployment)
    with torch.no_grad():
        for name, values in network.named_parameters():
            if name.startswith("head."):
                values *= 1 + off
    return compared("pt2", content, to_pt2(content, network), network, Beside(plain, None), lambda sentence: None)


@pytest.mark.parametrize(
    ("deployment", "allowed", "remedy"),
    [
        (Deployment(channels_last=True), "0.0001", "leave --channels-last out"),
        (Deployment("float16"), "0.02", "name another --precision"),
        (Deployment("bfloat16", channels_last=True), "0.1", "name another --precision"),
    ],
)
def test_each_precision_has_a_limit_of_its_own(deployment: Deployment, allowed: str, remedy: str) -> None:
    assert beside_plain(deployment, 0).found.deviation < float(allowed)
    does = "changes what is computed" if deployment.precision == "float32" else "is too coarse for the weights"
    said = f"{deployment.words} {does} in .*, {allowed} is allowed; nothing was exported, {remedy}"
    with pytest.raises(ExportFailed, match=said):
        beside_plain(deployment, 2 * float(allowed))


def test_clear_answers_must_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = comparison.compare

    def changing(*given: Any, **named: Any) -> dict[str, Compared]:
        return {name: replace(found, changed=0.03) for name, found in whole(*given, **named).items()}

    monkeypatch.setattr(comparison, "compare", changing)
    assert beside_plain(Deployment(channels_last=True), 0).found.changed == 0.03  # where nothing rounds, logits tell
    with pytest.raises(ExportFailed, match=r"it changes clear first answers, of 3\.0% on 64 pictures of noise, 2% is"):
        beside_plain(Deployment("bfloat16"), 0)
