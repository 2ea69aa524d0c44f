"""The ONNX form: random architectures compared, how long an export takes, and how fast its options run.

    python benchmarks/onnx_rate.py -o benchmarks/onnx_rate.json [--architectures 100] [--repeats 31] [--threads 2]

``random``: architectures of the spaces that ship, in turn, exported with random weights and statistics of their norms
and run by onnxruntime at batch sizes 1, 2 and 5 beside the network: the largest difference of a picture's logits
relative to its largest logit, which must stay under 1e-4. What is counted in the file (convolutions, parameters,
multiply-adds) must be what the architecture costs. Pictures are of the smallest side from 75 px on that the
architecture accepts: the graph is the same at any size. ``export``: of Inception-v3 at 299 px, in seconds, median of
three in one process; ``first``: in a process that has just begun, imports included. ``seeds``: onnxruntime beside torch
(eager, inference mode, as the network is built) for one picture, medians in ms, on as many threads each, turn by turn;
``speed`` is the median over pairs. ``options``: of Inception-v3 at 299 px, each beside the plain export of its kind,
onnxruntime or torch, in the same way, on random pictures with random weights: speeds are those of any weights,
deviations are not those of a trained network. ``trained``: so that errors mean something, a network that was trained on
scikit-learn's digits for some epochs, with the error of every option on the held-out pictures.
Ends with status 1 if a random architecture fails.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch

from nas.doctor import hardware
from results.export.comparison import Run, compare, deviation, onnx_run, torch_run
from results.export.content import Content
from results.export.deployment import HALVES, deployed
from results.export.folding import folded
from results.export.int8 import dynamic_int8, static_int8
from results.export.onnx_graph import OnnxCounts, onnx_counts
from results.export.to_onnx import to_onnx
from search_spaces.architecture import Architecture
from search_spaces.cost import cost
from search_spaces.errors import ResolutionError
from search_spaces.operations import Conv
from search_spaces.proxy import proxy
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space
from trainers.data import load
from trainers.feed import Feed
from trainers.fit import Diverged, Fit
from trainers.network import Network, build
from trainers.recipe import Recipe

SPACES = ("inception", "inception-free")
BATCHES = (1, 2, 5)
LARGEST = 1e-4
CLASSES = 1000
SIDES = range(75, 300)


def content_of(architecture: Architecture, side: int, classes: int = CLASSES) -> tuple[Content, Network]:
    """With random weights, and norms whose statistics and scales differ from channel to channel."""
    network = build(architecture.graph(side, classes=classes), initialise=0).eval()
    source = torch.Generator().manual_seed(0)
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        if name.rpartition(".")[0].endswith("norm") and values.is_floating_point():
            values.data.uniform_(0.5, 1.5, generator=source)
    return Content(architecture, classes, 3, (side, side), network.state_dict()), network


def built(content: Content) -> Network:
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels)
    network = build(graph, initialise=0)
    network.load_state_dict(content.state or {})
    return network.eval()


def pictures(count: int, side: int, random_seed: int = 1) -> Any:
    return np.random.default_rng(random_seed).normal(size=(count, 3, side, side)).astype(np.float32)


def plain_file(content: Content, network: Network, **options: Any) -> bytes:
    [file] = to_onnx(content, network, **options).values()
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


def one(architecture: Architecture, threads: int) -> dict[str, Any]:
    side = side_of(architecture)
    content, network = content_of(architecture, side)
    began = time.perf_counter()
    file = plain_file(content, network)
    seconds = time.perf_counter() - began
    run, reference = onnx_run(file, threads=threads), torch_run(network)
    deviations = [deviation(run(batch), reference(batch)) for batch in (pictures(count, side) for count in BATCHES)]
    costs = cost(architecture, side, classes=CLASSES)
    convolutions = sum(isinstance(node.operation, Conv) for node in architecture.graph(side))
    counted = onnx_counts(file) == OnnxCounts(convolutions, costs.params, costs.macs)
    return {"seconds": seconds, "deviation": max(deviations), "counted": counted, "side": side}


def random_architectures(number: int, threads: int) -> dict[str, Any]:
    rows, failed = [], []
    for n in range(number):
        name = SPACES[n % len(SPACES)]
        row = one(space(name).sample(random_seed=n), threads)
        rows.append(row)
        if not (row["deviation"] < LARGEST and row["counted"]):
            failed.append({"space": name, "random_seed": n, **row})
        print(f"{name} {n}: {row['deviation']:.1e} at {row['side']} px, {row['seconds']:.1f} s", flush=True)
    return {
        "architectures": number,
        "batches": BATCHES,
        "sides": [min(row["side"] for row in rows), max(row["side"] for row in rows)],
        "largest_deviation": max(row["deviation"] for row in rows),
        "export_s": round(median(row["seconds"] for row in rows), 2),
        "longest_export_s": round(max(row["seconds"] for row in rows), 2),
        "failed": failed,
    }


# -------------------------------------------------------------------------------------------------------------- times

FIRST = """
import time
began = time.perf_counter()
from benchmarks.onnx_rate import content_of, plain_file
from search_spaces.seeds import seed
content, network = content_of(seed("inception-v3"), 299)
plain_file(content, network)
print(time.perf_counter() - began)
"""


def export_times() -> dict[str, float]:
    content, network = content_of(seed("inception-v3"), 299)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        plain_file(content, network)
        times.append(time.perf_counter() - began)
    root = Path(__file__).parent.parent
    first = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True, cwd=root)
    return {"seconds": round(median(times), 2), "first": round(float(first.stdout), 2)}


def beside_torch(threads: int, repeats: int) -> dict[str, Any]:
    rows = {}
    for name in seed_names():
        architecture = seed(name)
        content, network = content_of(architecture, architecture.resolution)
        run = onnx_run(plain_file(content, network), threads=threads)
        batch = pictures(1, architecture.resolution)
        found = compare(torch_run(network), {"onnxruntime": run}, [batch], repeats=repeats)["onnxruntime"]
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
    plain = plain_file(content, network)
    small = folded(content)
    fold = plain_file(small, built(small))
    files = {
        "fold-bn": fold,
        "float16": plain_file(content, network, half="float16"),
        "dynamic int8": dynamic_int8(fold),
        "static int8": static_int8(fold, batches),
    }
    return onnx_run(plain, threads=threads), {
        name: (onnx_run(file, threads=threads), len(file)) for name, file in {"plain": plain, **files}.items()
    }


def torch_options(content: Content, network: Network) -> dict[str, Run]:
    networks = {
        "fold-bn": built(folded(content)),
        "channels-last": deployed(network, channels_last=True),
        "fold-bn, channels-last": deployed(built(folded(content)), channels_last=True),
        **{half: deployed(network, half=half, channels_last=True) for half in HALVES},
    }
    return {name: torch_run(each) for name, each in networks.items()}


def options(content: Content, network: Network, batches: list[Any], given: argparse.Namespace, **known: Any) -> Any:
    """Each option beside the plain export of its kind; calibration is on the pictures that ``known`` names, if any."""
    calibration = known.pop("calibration", batches)
    plain, runs = onnx_options(content, network, calibration, given.threads)
    rows: dict[str, Any] = {"onnxruntime": {}, "torch": {}}
    found = compare(plain, {name: run for name, (run, _) in runs.items()}, batches, repeats=given.repeats, **known)
    for name, row in found.items():
        rows["onnxruntime"][name] = {**row.as_data(), "bytes": runs[name][1]}
    found = compare(torch_run(network), torch_options(content, network), batches, repeats=given.repeats, **known)
    rows["torch"] = {name: row.as_data() for name, row in found.items()}
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
    return content, built(content), arrays, labels, [batch.contiguous().numpy() for batch, _ in seen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--architectures", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=31, help="turns of each run that is timed")
    parser.add_argument("--threads", type=int, default=2, help="of torch and onnxruntime")
    parser.add_argument("--epochs", type=int, default=8, help="of the network that is trained")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    data: dict[str, Any] = {"hardware": hardware(), "versions": versions, "threads": given.threads}
    data["repeats"] = given.repeats
    data["export"] = export_times()
    print(f"export of Inception-v3: {data['export']}", flush=True)
    data["seeds"] = beside_torch(given.threads, given.repeats)
    content, network = content_of(seed("inception-v3"), 299)
    batches = [pictures(4, 299, n) for n in range(4)]
    data["options"] = options(content, network, batches, given)
    content, network, held_out, labels, seen = trained(given.epochs)
    data["trained"] = options(content, network, held_out, given, labels=labels, calibration=seen)
    data["random"] = random_architectures(given.architectures, given.threads)
    given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if data["random"]["failed"] else 0)


if __name__ == "__main__":
    main()
