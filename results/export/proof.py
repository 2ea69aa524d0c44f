"""Proof: what was written is reloaded in a fresh process without this project, and computes what the network computes.

Logits are compared picture by picture: the largest difference relative to the largest logit. Exported source also takes
one training step (cross-entropy, auxiliary heads included, SGD) in double precision, after which every parameter and
running statistic is compared by what the step changed. That sums in another order: double precision leaves 1e-9.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from results.export import reloading
from results.export.comparison import deviation
from results.export.content import Content
from results.export.to_python import network_class
from results.export.weights import exported_key, head_sides
from search_spaces.errors import ExportFailed, NotWritten
from search_spaces.sides import sides_that_work

Arrays = Mapping[str, NDArray[Any]]
Pictures = NDArray[np.float32]  # (N, C, H, W)


@dataclass(frozen=True)
class Check:
    """What the files of a form end in, and the most by which logits may differ, relatively; ``step``: train, too."""

    ending: str
    tolerance: float
    step: bool = False


# Of logits in files that round otherwise than the network in float32 does. By more than this on the few pictures of a
# proof values have left the range, or pictures of another kind were calibrated on; how good such a file is the
# comparison with the plain export tells, on many (nas/export_comparison.py).
ROUNDED = {"float16": 0.2, "bfloat16": 0.5, "int8-dynamic": 1.0, "int8-static": 1.0}
CHECKS = {"python": Check(".py", 1e-6, step=True), "pt2": Check(".pt2", 1e-6), "onnx": Check(".onnx", 1e-4)}
STEP_TOLERANCE = 1e-9
BATCHES = (1, 2, 5)
STEP_BATCH = 4
_LEAST_UPDATE = 1e-6  # of the largest: smaller updates of a tensor are rounding, such as those of a bias under a norm


@dataclass(frozen=True)
class Proof:
    """What was found for one file: the largest relative difference of logits, and of what a training step changes.

    ``counted``: the file has the convolutions, parameters and multiply-adds that the architecture has.
    """

    form: str
    file: str
    error: float
    tolerance: float
    batches: tuple[int, ...]
    whose: str = "the network's"
    step_error: float | None = None
    step_tolerance: float | None = None
    counted: bool = False

    @property
    def sentence(self) -> str:
        """What is printed."""
        batches = f"{', '.join(map(str, self.batches[:-1]))} and {self.batches[-1]}"
        step = "; as many convolutions, parameters and multiply-adds" if self.counted else ""
        if self.step_error is not None:
            step = f"; after a training step within {self.step_error:.1e} ({self.step_tolerance:g} is allowed)"
        return (
            f"{self.file}: proved, reloaded in a fresh process; logits within {self.error:.1e} of {self.whose} in "
            f"batches of {batches} ({self.tolerance:g} is allowed){step}"
        )

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found: dict[str, Any] = {"form": self.form, "file": self.file, "batches": list(self.batches)}
        found |= {"logits": self.error, "logits_allowed": self.tolerance, "beside": self.whose}
        found |= {"counts": "equal"} if self.counted else {}
        if self.step_error is not None:
            found |= {"training_step": self.step_error, "training_step_allowed": self.step_tolerance}
        return found


@dataclass(frozen=True)
class Question:
    """A job for the fresh process, what the network answers, and by how much the logits may differ, relatively.

    ``rounding``: the precision of a file whose network is one of float32, else "". ``whose``: the logits, in words.

    ``before`` and ``after``: every tensor around the training step, by its name in exported files.
    """

    form: str
    file: str
    job: dict[str, Any]
    logits: Arrays
    tolerance: float
    rounding: str
    whose: str
    before: Arrays = field(default_factory=dict)
    after: Arrays = field(default_factory=dict)
    dropouts: tuple[float, ...] = ()


def prove(
    form: str,
    content: Content,
    folder: Path,
    network: nn.Module,
    training: nn.Module | None = None,
    pictures: Pictures | None = None,
) -> Proof:
    """Compare the file of a form that lies in ``folder`` with its network; ExportFailed where they differ.

    NotWritten where there is no space for temporary files.

    ``network``: in evaluation mode on the CPU with the content's weights, float32 in and out; of ``pt2`` the module
    that is to compute just the same, else one that computes in float32. ``training``: for ``python``, the
    same network with the auxiliary heads that go with the weights, if any, as its graph has them. Where the content has
    no weights, those of ``training`` are handed to the exported source. ``pictures``: as they go into the network, at
    least as many as in all ``BATCHES``; else noise.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="nas-proof-", ignore_cleanup_errors=True) as exchange:
            asked = question(form, content, folder, network, training, Path(exchange), pictures)
            reload([asked.job], Path(exchange), asked.file)
            return judged(asked, Path(exchange))
    except OSError as error:
        raise NotWritten(
            f"{content.name} cannot be proved in {tempfile.gettempdir()!r}: {error.strerror or type(error).__name__}; "
            "free some space there, or name another folder for temporary files in TMPDIR"
        ) from None


def difference(network: nn.Module, other: nn.Module, content: Content) -> float:
    """The largest difference of two networks' logits on the pictures of a proof, relative to the other's largest."""
    with torch.inference_mode():
        batches = [torch.from_numpy(batch) for batch in _noise(content).values()]
        return max(deviation(network(batch).numpy(), other(batch).numpy()) for batch in batches)


# ------------------------------------------------------------------------------------------------------- the question


def question(
    form: str,
    content: Content,
    folder: Path,
    network: nn.Module,
    training: nn.Module | None,
    exchange: Path,
    pictures: Pictures | None = None,
) -> Question:
    """Run the network, and write into ``exchange`` what the fresh process needs to do the same."""
    check, file = CHECKS[form], f"{content.name}{CHECKS[form].ending}"
    stem = f"{file}-{len(list(exchange.iterdir()))}"  # of several questions in one exchange each has its own
    arrays, scaled = _inputs(content, _noise(content) if pictures is None else _in_batches(pictures))
    job: dict[str, Any] = {
        "form": form,
        "file": str((folder / file).resolve()),
        "pictures": f"{stem}-pictures.npz",
        "outputs": f"{stem}-outputs.npz",
        "threads": torch.get_num_threads(),
    }
    with torch.inference_mode():
        logits = {name: network(torch.from_numpy(each)).numpy() for name, each in scaled.items()}
    rounding = content.deployment.precision if form == "onnx" and content.deployment.precision in ROUNDED else ""
    whose = "the network's" if form == "onnx" or content.deployment.plain else f"the same in {content.deployment.words}"
    asked = Question(form, file, job, logits, ROUNDED.get(rounding, check.tolerance), rounding, whose)
    if check.step:
        assert training is not None
        asked = _with_step(asked, content, folder, training, arrays, exchange / f"{stem}.safetensors")
    np.savez(exchange / job["pictures"], **arrays)
    return asked


def _inputs(content: Content, batches: dict[str, NDArray[Any]]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return batches as they go into the file, and as the network gets them."""
    taken, scaling = {name: content.taken(batch) for name, batch in batches.items()}, content.scaling
    if not content.deployment.pixels or scaling is None:
        return taken, batches
    return taken, {name: scaling.of_pixels(batch) for name, batch in taken.items()}  # rounded as in the file


def _in_batches(pictures: Pictures) -> dict[str, NDArray[Any]]:
    """Return the first pictures in batches, as ``_noise`` does."""
    ends = np.cumsum(BATCHES)
    return {f"batch_{size}": pictures[end - size : end] for size, end in zip(BATCHES, ends, strict=True)}


def _noise(content: Content) -> dict[str, NDArray[Any]]:
    """Batches of noise by name: normal, uniform, and normal of strengths from a tenth to ten."""
    draw, shape = np.random.default_rng(0), (content.channels, *content.sides)
    first, second, third = ((number, *shape) for number in BATCHES)
    strengths = np.geomspace(0.1, 10, BATCHES[2])[:, None, None, None]
    batches = draw.standard_normal(first), draw.random(second), draw.standard_normal(third) * strengths
    return {f"batch_{len(batch)}": batch.astype(np.float32) for batch in batches}


def _with_step(
    asked: Question, content: Content, folder: Path, training: nn.Module, arrays: dict[str, Any], spare: Path
) -> Question:
    """Take the training step on a copy of the network, and add to the question what it changed."""
    names = {key: exported_key(key) for key in training.state_dict()}
    weights = (folder / f"{content.name}.safetensors").resolve()
    if content.state is None:
        weights = spare.resolve()
        named = {names[key]: value for key, value in training.state_dict().items()}
        weights.write_bytes(safetensors.torch.save(named))
    stepping = deepcopy(training).double()
    before = _arrays(stepping, names)
    draw, has_aux = np.random.default_rng(1), any(key.startswith("aux") for key in names)
    arrays["step_pictures"] = draw.standard_normal((STEP_BATCH, content.channels, *step_sides(content, has_aux)))
    arrays["step_labels"] = draw.integers(0, content.classes, STEP_BATCH)
    pictures, labels = (torch.from_numpy(arrays[name]) for name in ("step_pictures", "step_labels"))
    dropouts = reloading.one_step(stepping, pictures, labels)
    job = {"network": network_class(content), "weights": str(weights), "step": {"aux": has_aux}}
    after = _arrays(stepping, names)
    return replace(asked, job=asked.job | job, before=before, after=after, dropouts=tuple(dropouts))


def step_sides(content: Content, aux: bool) -> tuple[int, int]:
    """Height and width for the training step: the content's, or less where nothing depends on it, to save time."""
    architecture, least = content.architecture, head_sides(content.architecture, content.sides)
    if aux and any(head.hidden for head in architecture.aux):
        return least
    works = sides_that_work(architecture, aux=aux)
    small = next((side for side in works if side >= 1.25 * works[0]), min(least))
    return (small, small) if small < min(least) else least


def _arrays(network: nn.Module, names: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    return {names[key]: value.detach().numpy().copy() for key, value in network.state_dict().items()}


# --------------------------------------------------------------------------------------------------------- the process


def reload(jobs: Sequence[Mapping[str, Any]], exchange: Path, what: str) -> None:
    """Do jobs in a fresh process whose current folder is ``exchange``; ExportFailed where it does not end well."""
    (exchange / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [sys.executable, "-P", str(Path(reloading.__file__).resolve()), "jobs.json"]
    done = subprocess.run(command, cwd=exchange, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode} and said nothing"]
        raise ExportFailed(f"{what} does not run in a fresh process: {last[0][:300]}; nothing was exported")


# -------------------------------------------------------------------------------------------------------- the judgement


def judged(asked: Question, exchange: Path) -> Proof:
    """Compare what the fresh process computed with what the network computes; ExportFailed where they differ."""
    check = CHECKS[asked.form]
    with np.load(exchange / asked.job["outputs"], allow_pickle=False) as file:
        found = dict(file)
    error = max(deviation(found[name], expected) for name, expected in asked.logits.items())
    _hold(asked.file, "its logits differ", error, asked.tolerance, asked.rounding)
    if not check.step:
        return Proof(asked.form, asked.file, error, asked.tolerance, BATCHES, asked.whose)
    if tuple(found["dropouts"].tolist()) != asked.dropouts:
        shown = ", ".join(map(str, found["dropouts"].tolist()))
        raise ExportFailed(_refused(asked.file, f"it drops {shown or 'nothing'} in training"))
    after = {key.removeprefix("after."): value for key, value in found.items() if key.startswith("after.")}
    if after.keys() != asked.after.keys():
        odd = min(after.keys() ^ asked.after.keys())
        raise ExportFailed(_refused(asked.file, f"only one of them has {odd!r}"))
    changed = _step_error(asked, after)
    _hold(asked.file, "what a training step changes differs", changed, STEP_TOLERANCE)
    return Proof(asked.form, asked.file, error, asked.tolerance, BATCHES, asked.whose, changed, STEP_TOLERANCE)


def _step_error(asked: Question, after: Arrays) -> float:
    """The largest difference in what the step changed in a tensor, relative to the largest change in it."""
    updates = {key: (after[key] - before, asked.after[key] - before) for key, before in asked.before.items()}
    largest = {key: np.abs(expected).max() for key, (_, expected) in updates.items()}
    floor = _LEAST_UPDATE * max(largest.values())
    worst = [
        _relative(np.abs(found - expected).max(), max(largest[key], floor))
        for key, (found, expected) in updates.items()
    ]
    return max(worst)


def _relative(difference: Any, scale: Any) -> float:
    """The largest ratio; equal is 0 whatever the scale, and what is no number is infinite."""
    difference, scale = np.asarray(difference, dtype=np.float64), np.asarray(scale, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(difference == 0, 0.0, difference / scale)
    return float(np.where(np.isnan(ratio), np.inf, ratio).max())


def _hold(file: str, what: str, error: float, tolerance: float, rounding: str = "") -> None:
    if error <= tolerance:
        return
    how = f"{what} by {error:.1e} of the largest, {tolerance:g} is allowed"
    if rounding:
        raise ExportFailed(
            f"{rounding} is too coarse for the weights in {file}: {how}; nothing was exported, name another "
            "--precision, or pictures like those of the training (--data)"
        )
    raise ExportFailed(_refused(file, how))


def _refused(file: str, how: str) -> str:
    return f"{file} does not compute what its network computes: {how}; nothing was exported, please report this"
