import copy
from pathlib import Path
from typing import Any

import pytest
from dashboards import opened

from results.dashboard.details import architecture_panel, of_seed, of_trial
from results.ledger import Ledger
from results.outcome import StudyRecord, TrialRecord
from results.report_audit import OWN
from results.view import Target
from search_spaces.seeds import seed

V3 = seed("inception-v3").as_data()
OTHER = copy.deepcopy(V3)
OTHER["stages"][1]["modules"][2][1][1] = "conv 1x7 128"
SENTENCE = "Stage 2, module 3: tower 2 has 1x7 128 where inception-v3 has 1x7 160."
SEARCH = {"study": "digits", "target": {"resolution": 299, "classes": 10}}


def _trial(number: int, architecture: dict[str, Any]) -> TrialRecord:
    return TrialRecord(
        study="digits", number=number, digest=str(number), origin="sampler", architecture=architecture, costs={}
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with Ledger.open(tmp_path / "ledger.sqlite", create=True) as ledger, ledger.hold("digits"):
        ledger.create_study("digits", SEARCH, {"error": "minimize"}, {})
        for number, architecture in enumerate((V3, OTHER, {"format": "architecture/9"})):
            ledger.start_trial(_trial(number, architecture))
    return tmp_path / "ledger.sqlite"


def _get(place: Path, query: str) -> tuple[int, str]:
    dashboard = opened(place)
    answer = dashboard.app.server.test_client().get(
        f"/files/trial.svg?study=digits&{query}", base_url="http://localhost"
    )
    return answer.status_code, answer.get_data(as_text=True)


@pytest.mark.parametrize("beside", ["0", "seed:inception-v3"])
def test_a_drawing_marks_how_it_differs_from_what_it_is_beside(place: Path, beside: str) -> None:
    status, text = _get(place, f"number=1&beside={beside}")
    assert status == 200
    assert text.count('differs" data-node=') == 1
    assert 'differs" data-node="stage2.module3.tower2.1"' in text
    assert "differs" not in _get(place, f"number=0&beside={beside}")[1].split("</style>")[1]
    assert "differs" not in _get(place, "number=1")[1].split("</style>")[1]


@pytest.mark.parametrize(
    ("beside", "status", "told"),
    [
        ("9", 404, "9"),
        ("seed:resnet", 422, "resnet"),
        ("<b>", 422, "nothing '<b>' to compare"),
        ("2", 422, "architecture"),
    ],
)
def test_what_a_drawing_cannot_be_compared_with_is_said(place: Path, beside: str, status: int, told: str) -> None:
    found, text = _get(place, f"number=1&beside={beside}")
    assert found == status
    assert told in text


def _written(study: StudyRecord, number: int, beside: str) -> str:
    other = of_trial(_trial(int(beside), V3 if beside == "0" else {}), (1,)) if beside.isdecimal() else of_seed(
        beside, Target.of(SEARCH))  # fmt: skip
    told = architecture_panel(study, of_trial(_trial(number, OTHER), (1,)), other, OWN)
    return str([part.to_plotly_json() for part in told])


def test_the_panel_tells_the_difference_in_sentences(place: Path) -> None:
    with Ledger.open(place, read_only=True) as ledger:
        study = ledger.study("digits")
    text = _written(study, 1, "inception-v3")
    assert SENTENCE in text
    assert "beside=seed%3Ainception-v3" in text
    assert "beside=0" in _written(study, 1, "0")
    damaged = _written(study, 1, "5")
    assert "Not compared with trial 5" in damaged
    assert "beside=" not in damaged  # so that the drawing itself is there
