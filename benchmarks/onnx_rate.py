"""The ONNX form: random architectures compared, how long an export takes, and how fast its options run.

    python benchmarks/onnx_rate.py -o benchmarks/onnx_rate.json [--architectures 100] [--repeats 31] [--parts NAME ...]

``random``: architectures of the spaces that ship, in turn, exported and proved as ``nas export`` does, with random
weights and statistics of their norms: the largest difference of a picture's logits relative to its largest logit, and
seconds of an export with its proof. Pictures are of the smallest side from 75 px on that the architecture accepts: the
graph is the same at any size. ``export``: of Inception-v3 at 299 px, in seconds, median of
three in one process; ``first``: in a process that has just begun, imports included. ``seeds``: onnxruntime beside torch
(eager, inference mode, as the network is built) for one picture, medians in ms, on as many threads each, turn by turn;
``speed`` is the median over pairs. ``options``: of Inception-v3 at 299 px, each beside the plain
export of its form, ONNX or pt2, in the same way, on random pictures with random weights: speeds are those of any
weights, deviations are not those of a trained network; "plain" beside itself shows the noise of the clock.
``trained``: so that errors mean something, a network that was trained on scikit-learn's digits for some epochs, with
the error of every option on the held-out pictures.
The file is written after every part. Ends with status 1 if a random architecture fails its proof, or the logits of a
seed differ by more than a proof allows.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch

from nas.doctor import hardware
from nas.export import export
from nas.export_networks import reference
from results.export.comparison import Run, compare, onnx_run, torch_run
from results.export.content import Content
from results.export.deployment import Deployment, Precision
from results.export.folding import folded
from results.export.int8 import dynamic_int8, static_int8
from results.export.proof import BATCHES, CHECKS, Proof
from results.export.to_onnx import to_onnx
from results.export.to_pt2 import to_pt2
from search_spaces.architecture import Architecture
from search_spaces.errors import ResolutionError, RunFailed
from search_spaces.proxy import proxy
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space
from trainers.data import load
from trainers.feed import Feed
from trainers.fit import Diverged, Fit
from trainers.network import Network, build
from trainers.recipe import Recipe

SPACES = ("inception", "inception-free")
LARGEST = CHECKS["onnx"].tolerance
CLASSES = 1000
SIDES = range(75, 300)


def content_of(architecture: Architecture, side: int, classes: int = CLASSES) -> tuple[Content, Network]:
    """With random weights that behave as those of a trained network."""
    bare = Content(architecture, classes, 3, (side, side))
    network = reference(bare)
    return replace(bare, state=network.state_dict()), network


def pictures(count: int, side: int, random_seed: int = 1) -> Any:
    return np.random.default_rng(random_seed).normal(size=(count, 3, side, side)).astype(np.float32)


def onnx_file(content: Content, network: Network, precision: Precision = "float32", batches: Any = ()) -> bytes:
    [file] = to_onnx(replace(content, deployment=Deployment(precision)), network, batches).values()
    return file


def pt2_file(content: Content, network: Network, *options: Any, **named: Any) -> bytes:
    [file] = to_pt2(replace(content, deployment=Deployment(*options, **named)), network).values()
    return file


# -------------------------------------------------------------------------------------------------------- comparisons


def side_of(architecture: Architecture) -> int:
    for side in SIDES:
        try:
            architecture.graph(side)
        except ResolutionError:
            continue
        return side
    raise SystemExit(f"{architecture.digest} accepts none of the sides that are tried")


def proved(architecture: Architecture, side: int) -> Proof:
    """Export as the command does; ExportFailed where the file does not compute what the network does."""
    with TemporaryDirectory() as folder:
        [proof] = export(
            Content(architecture, CLASSES, 3, (side, side)), ["onnx"], Path(folder), lambda said: None
        ).proofs
    return proof


def random_architectures(number: int) -> dict[str, Any]:
    sides: list[int] = []
    seconds: list[float] = []
    errors: list[float] = []
    failed: list[str] = []
    for n in range(number):
        name = SPACES[n % len(SPACES)]
        architecture = space(name).sample(random_seed=n)
        sides.append(side_of(architecture))
        began = time.perf_counter()
        try:
            errors.append(proved(architecture, sides[-1]).error)
            said = f"{errors[-1]:.1e}"
        except RunFailed as error:
            failed.append(f"{name}, random seed {n}: {error}")
            said = str(error)
        seconds.append(time.perf_counter() - began)
        print(f"{name} {n}: {said} at {sides[-1]} px, {seconds[-1]:.1f} s", flush=True)
    return {
        "architectures": number,
        "batches": BATCHES,
        "sides": [min(sides), max(sides)],
        "largest_deviation": max(errors, default=None),
        "export_s": round(median(seconds), 2),
        "longest_export_s": round(max(seconds), 2),
        "failed": failed,
    }


# -------------------------------------------------------------------------------------------------------------- times

FIRST = """
import time
began = time.perf_counter()
from benchmarks.onnx_rate import content_of, onnx_file
from search_spaces.seeds import seed
content, network = content_of(seed("inception-v3"), 299)
onnx_file(content, network)
print(time.perf_counter() - began)
"""


def export_times(given: argparse.Namespace) -> dict[str, float]:
    content, network = content_of(seed("inception-v3"), 299)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        onnx_file(content, network)
        times.append(time.perf_counter() - began)
    root = Path(__file__).parent.parent
    first = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True, cwd=root)
    found = {"seconds": round(median(times), 2), "first": round(float(first.stdout), 2)}
    print(f"export of Inception-v3: {found}", flush=True)
    return found


def beside_torch(given: argparse.Namespace) -> dict[str, Any]:
    rows = {}
    for name in seed_names():
        architecture = seed(name)
        content, network = content_of(architecture, architecture.resolution)
        run = onnx_run(onnx_file(content, network), threads=given.threads)
        batch = pictures(1, architecture.resolution)
        eager = build(architecture.graph(architecture.resolution), initialise=0).eval()
        eager.load_state_dict(network.state_dict())
        found = compare(torch_run(eager), {"onnxruntime": run}, [batch], repeats=given.repeats)["onnxruntime"]
        rows[name] = {
            "onnxruntime_ms": round(found.latency_ms, 2),
            "torch_ms": round(found.plain_latency_ms, 2),
            "speed": round(found.speed, 3),
            "deviation": found.deviation,
        }
        print(f"{name}: {rows[name]}", flush=True)
    return rows


def onnx_options(content: Content, network: Network, batches: list[Any], threads: int) -> tuple[Run, dict[str, Any]]:
    """The plain file, and each option: what runs it and its size in bytes."""
    plain = onnx_file(content, network)
    small = folded(content)
    fold = onnx_file(small, reference(small))
    files = {
        "fold-bn": fold,
        "float16": onnx_file(content, network, "float16"),
        "fold-bn, int8-dynamic": dynamic_int8(fold),
        "fold-bn, int8-static": static_int8(fold, batches),
    }
    return onnx_run(plain, threads=threads), {
        name: (onnx_run(file, threads=threads), len(file)) for name, file in {"plain": plain, **files}.items()
    }


def torch_options(content: Content, network: Network) -> dict[str, Run]:
    small = folded(content)
    files = {
        "plain": pt2_file(content, network),
        "fold-bn": pt2_file(small, reference(small)),
        "channels-last": pt2_file(content, network, channels_last=True),
        "fold-bn, channels-last": pt2_file(small, reference(small), channels_last=True),
        "float16, channels-last": pt2_file(content, network, "float16", channels_last=True),
        "bfloat16, channels-last": pt2_file(content, network, "bfloat16", channels_last=True),
    }
    return {name: torch_run(torch.export.load(io.BytesIO(file)).module()) for name, file in files.items()}


def options(content: Content, network: Network, batches: list[Any], given: argparse.Namespace, **known: Any) -> Any:
    """Each option beside the plain export of its kind; calibration is on the pictures that ``known`` names, if any."""
    calibration = known.pop("calibration", batches)
    plain, runs = onnx_options(content, network, calibration, given.threads)
    rows: dict[str, Any] = {"onnxruntime": {}, "pt2": {}}
    found = compare(plain, {name: run for name, (run, _) in runs.items()}, batches, repeats=given.repeats, **known)
    for name, row in found.items():
        rows["onnxruntime"][name] = {**row.as_data(), "bytes": runs[name][1]}
    programs = torch_options(content, network)
    found = compare(programs["plain"], programs, batches, repeats=given.repeats, **known)
    rows["pt2"] = {name: row.as_data() for name, row in found.items()}
    for kind, each in rows.items():
        for name, row in each.items():
            print(f"{kind} {name}: {row}", flush=True)
    return rows


def trained(epochs: int) -> tuple[Content, Network, list[Any], list[Any], list[Any]]:
    """A proxy of Inception-v3 trained on digits; held-out pictures and their labels, and pictures for calibration."""
    data = load("digits", resolution=32)
    architecture = proxy(seed("inception-v3"), 32, 0.25)
    sizes = {"classes": len(data.classes), "channels": data.channels}
    fit = Fit(build(architecture.graph(32, **sizes), initialise=0), data, Recipe(epochs=epochs), random_seed=0)
    for _ in range(epochs):
        if isinstance(outcome := fit.epoch(), Diverged):
            raise SystemExit(outcome.sentence)
    content = Content(architecture, len(data.classes), data.channels, (32, 32), fit.result.state_dict())
    held_out = list(Feed(data, data.validation, torch.device("cpu")).ordered(64))
    seen = list(Feed(data, data.train, torch.device("cpu")).ordered(32))[:8]
    arrays = [batch.contiguous().numpy() for batch, _ in held_out]
    labels = [truth.numpy() for _, truth in held_out]
    return content, reference(content), arrays, labels, [batch.contiguous().numpy() for batch, _ in seen]


def whole_options(given: argparse.Namespace) -> Any:
    content, network = content_of(seed("inception-v3"), 299)
    return options(content, network, [pictures(4, 299, n) for n in range(4)], given)


def trained_options(given: argparse.Namespace) -> Any:
    content, network, held_out, labels, seen = trained(given.epochs)
    return options(content, network, held_out, given, labels=labels, calibration=seen)


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "export": export_times,
    "seeds": beside_torch,
    "options": whole_options,
    "trained": trained_options,
    "random": lambda given: random_architectures(given.architectures),
}


def failures(data: Mapping[str, Any]) -> list[str]:
    """Return what failed in any part."""
    rows = data.get("seeds", {}).items()
    wrong = [f"{name}: {row['deviation']:.1e}" for name, row in rows if not row["deviation"] <= LARGEST]
    return [*data.get("random", {}).get("failed", []), *wrong]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--architectures", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=31, help="turns of each run that is timed")
    parser.add_argument("--threads", type=int, default=2, help="of torch and onnxruntime")
    parser.add_argument("--epochs", type=int, default=8, help="of the network that is trained")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="the others stay in the file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    data: dict[str, Any] = {"hardware": hardware(), "versions": versions, "threads": given.threads}
    data["repeats"] = given.repeats
    known = json.loads(given.output.read_text(encoding="utf-8")) if given.output.exists() else {}
    data |= {name: known[name] for name in PARTS if name in known and name not in given.parts}
    for name in given.parts:
        data[name] = PARTS[name](given)
        given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    failed = failures(data)
    for each in failed:
        print(each, file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
