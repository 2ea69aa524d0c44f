"""The main job, small: a real search on Ray Tune, stopped with Ctrl-C, resumed, and taken away."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from nas.study import Study
from results.outcome import Outcome

SEARCH = """\
study: real
data: digits
trials: 5
sampler: {name: nsga2, population: 2}
proxy: {resolution: 8, width: 0.0625}
recipe: {epochs: 2, batch_size: 128, learning_rate: 0.2, momentum: 0.8, dropout: 0.0}
executor: {name: ray_tune, workers: 2}
limits: {macs: 6.0e+9}
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    code = "from nas.cli import main; main()"
    command = [sys.executable, "-c", code, "search", "search.yaml"]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(SEARCH, encoding="utf-8")
    first = _start(tmp_path)
    assert first.stderr is not None
    said = ""
    while "1 of 5 done" not in said:
        line = first.stderr.readline()
        assert line, f"it ended early: {said}"
        said += line
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to the driver and all that it started
    out, error = first.communicate(timeout=60)
    assert first.returncode == 130, said + error
    assert "stopping after the running epochs" in error
    assert "the same command goes on" in out
    assert "Traceback" not in error
    study = Study.open("real", tmp_path / "runs")
    assert study.record.state == "stopped"
    done = {t.number: t.finished_at for t in study.trials if t.outcome is Outcome.COMPLETE}
    assert done

    second = _start(tmp_path)
    out, error = second.communicate(timeout=150)
    assert second.returncode == 0, error
    assert "study real is complete: 5 trials trained" in out
    study = Study.open("real", tmp_path / "runs")
    assert study.outcomes()["complete"] == 5
    assert {number: study.trial(number).finished_at for number in done} == done
    assert all([m.epoch for m in t.measurements] == [1, 2] for t in study.trials if t.values)
    best = tmp_path / "runs" / "real" / "best"
    assert sorted(path.suffix for path in best.iterdir()) == [".json", ".py", ".safetensors", ".yaml"]
    assert _processes_of(second.pid) == []


def _processes_of(session: int) -> list[str]:
    """What is left of a session's processes, given a moment to end."""
    for _ in range(50):
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it has just ended
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(entry.parent.name)
        if not found:
            return []
        time.sleep(0.1)
    return found
