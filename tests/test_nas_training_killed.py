"""``nas train`` killed without warning and begun again ends bit for bit as one that was not."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers.checkpoint import Checkpoint, read

FILE = """
data: digits
resolution: 8
threads: 1
recipe: {epochs: 3, batch_size: 256, learning_rate: 0.02, average: 0.9, warmup_epochs: 1}
"""


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "nas", "train", "small.yaml", "file.yaml", *more]


def history(folder: Path) -> list[dict[str, Any]]:
    """What was measured after each epoch; how long it took aside."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "second" not in key and "time" not in key} for line in lines]


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors
    )


@pytest.mark.timeout(300)
def test_killed_and_begun_again_is_as_never_killed(tmp_path: Path) -> None:
    small = proxy(seed("inception-v3"), 8, 0.0625).named("small")
    (tmp_path / "small.yaml").write_text(small.to_yaml())
    (tmp_path / "file.yaml").write_text(FILE)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}

    def begun(name: str) -> subprocess.Popen[str]:
        words = command("--set", f"name={name}")
        return subprocess.Popen(
            words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )

    killed, whole = (tmp_path / "runs" / "training" / name for name in ("killed", "whole"))
    with begun("whole") as other, begun("killed") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 1 "):
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
        assert process.wait() == -signal.SIGKILL
        done = len(history(killed))
        with begun("killed") as again:
            said = again.communicate()[1]
        assert again.returncode == 0, said
        log = other.communicate()[1]
        assert other.returncode == 0, log
    assert 1 <= done < 3
    assert re.search(r"training killed goes on from epoch [12] of 3", said)
    assert [line["epoch"] for line in history(killed)] == [1, 2, 3]
    assert history(killed) == history(whole)
    for name in ("last", "best"):
        one, two = (read(folder / f"{name}.safetensors") for folder in (killed, whole))
        assert same(one, two), name
        assert one.data["validation_error"] == two.data["validation_error"]
    assert not list(killed.rglob("*.partial"))
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole.iterdir()}
