"""Quiet: what others print, log and warn of stays away, and everything is as before afterwards."""

import logging
import sys
import warnings

import pytest

from results.export.quiet import quiet


def speak() -> None:
    print("printed")
    print("printed", file=sys.stderr)
    warnings.warn("warned", stacklevel=1)
    logging.getLogger("torch.onnx").warning("logged")
    logging.getLogger("onnxscript").warning("logged")
    logging.warning("logged")


def test_nothing_is_heard(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        speak()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_everything_is_heard_again_after_a_failure(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyError), quiet():
        raise KeyError
    with pytest.warns(UserWarning, match="warned"):
        speak()
    heard = capsys.readouterr()
    assert (heard.out, heard.err.count("printed")) == ("printed\n", 1)
    assert [record.getMessage() for record in caplog.records] == ["logged"] * 3
