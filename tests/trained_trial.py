"""A study of one trial, trained for a moment: what exports of trials begin with."""

from pathlib import Path

from nas.config import read_search
from nas.driver import run
from nas.study import Found, find

SEARCH = """\
study: tiny
data: digits
trials: 1
sampler: random
proxy: {{resolution: {}, width: 0.0625}}
recipe: {{epochs: 1, batch_size: 256}}
executor: inline
"""


def trained_trial(folder: Path, *, resolution: int) -> Found:
    """Search in a folder, and return its trial, ``tiny:0``, a proxy for digits at ``resolution`` px."""
    (folder / "tiny.yaml").write_text(SEARCH.format(resolution), encoding="utf-8")
    run(read_search(folder / "tiny.yaml"), folder / "runs")
    return find("tiny:0", folder / "runs")
