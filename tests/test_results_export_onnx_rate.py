"""The benchmark of the ONNX form: it proves as the command does, and ends with status 1 where anything fails."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import onnx_rate
from search_spaces.errors import ExportFailed


def status(output: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> object:
    monkeypatch.setattr(sys, "argv", ["onnx_rate.py", "-o", str(output), "--parts", part, "--architectures", "1"])
    monkeypatch.setattr(onnx_rate.torch, "set_num_threads", lambda count: None)  # that of the other tests stays
    with pytest.raises(SystemExit) as ended:
        onnx_rate.main()
    return ended.value.code


@pytest.mark.parametrize(("deviation", "expected"), [(9e-5, 0), (2e-4, 1), (float("nan"), 1)])
def test_a_seed_that_deviates_ends_it_with_status_1(
    deviation: float, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(onnx_rate.PARTS, "seeds", lambda given: {"inception-v4": {"deviation": deviation}})
    assert status(tmp_path / "rates.json", monkeypatch, "seeds") == expected


def test_a_random_architecture_that_fails_its_proof_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*given: object) -> None:
        raise ExportFailed("it computes something else")

    monkeypatch.setattr(onnx_rate, "export", refuse)
    assert status(tmp_path / "rates.json", monkeypatch, "random") == 1
    told = "inception, random seed 0: it computes something else"
    assert json.loads((tmp_path / "rates.json").read_text(encoding="utf-8"))["random"]["failed"] == [told]
    assert told in capsys.readouterr().err
