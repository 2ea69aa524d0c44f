"""Compare predicted memory with what torch's allocator handed out, for random architectures of both spaces.

    python benchmarks/training_memory.py -o benchmarks/training_memory.json [--architectures 60] [--device cuda]

Each row is one architecture at a width, resolution, batch size, precision, layout and recipe drawn at random. Memory on
a CPU is not noisy: a second run gives the same figures.
"""

import argparse
import json
import random
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from search_spaces.graph import Graph
from search_spaces.proxy import proxy
from search_spaces.seeds import seed, seed_names
from search_spaces.space import space
from trainers import measure
from trainers.memory import predict_inference, predict_training
from trainers.precision import chosen
from trainers.recipe import Recipe
from trainers.torch_calls import Setting

SPACES = ("inception", "inception-free")
WIDTHS, SIDES, BATCHES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0), (8, 16, 32, 64, 96), (2, 8, 16, 32, 64)
MOST = 520  # width x resolution x batch: what two cores do in a few seconds


@dataclass(frozen=True)
class Row:
    architecture: str
    width: float
    resolution: int
    batch: int
    precision: str
    channels_last: bool
    optimizer: str
    average: bool
    params: int
    training_measured: int
    training_predicted: int
    training_ratio: float
    inference_measured: int
    inference_predicted: int
    inference_ratio: float


def drawn(source: random.Random, index: int) -> tuple[str, float, Graph, Recipe]:
    """An architecture, the width that it is trained at, its graph and a recipe; every sixth is a published one."""
    while True:
        width, side, batch = source.choice(WIDTHS), source.choice(SIDES), source.choice(BATCHES)
        if width * side * batch <= MOST:
            break
    name = source.choice(seed_names()) if index % 6 == 5 else SPACES[index % 2]
    architecture = seed(name) if index % 6 == 5 else space(name).sample(source)
    graph = proxy(architecture, side, width).graph(side, classes=source.choice((10, 100)), aux=source.random() < 0.7)
    recipe = Recipe(
        batch_size=batch,
        optimizer=source.choice(("rmsprop", "sgd")),
        average=source.choice((None, 0.9999)),
        precision=source.choice(("float32", "bfloat16")),
        channels_last=source.random() < 0.8,
    )
    return f"{name} {architecture.digest[:8]}", width, graph, recipe


def compare(index: int, source: random.Random, device: torch.device) -> Row:
    name, width, graph, recipe = drawn(source, index)
    kind = "cuda" if device.type == "cuda" else "cpu"
    precision = chosen(recipe, device)
    setting = Setting(recipe.batch_size, precision.bfloat16, precision.channels_last, kind)
    training, inference = predict_training(graph, recipe, device=kind).peak, predict_inference(graph, setting)
    trained, inferred = (
        measure.training(graph, recipe, device)[1],
        measure.inference(graph, recipe.batch_size, precision)[1],
    )
    return Row(
        architecture=name,
        width=width,
        resolution=graph.input.shape.height,
        batch=recipe.batch_size,
        precision=recipe.precision,
        channels_last=precision.channels_last,
        optimizer=recipe.optimizer,
        average=recipe.average is not None,
        params=graph.params,
        training_measured=trained,
        training_predicted=training,
        training_ratio=round(training / trained, 4),
        inference_measured=inferred,
        inference_predicted=inference,
        inference_ratio=round(inference / inferred, 4),
    )


def summary(ratios: list[float]) -> dict[str, float]:
    """Median and worst of how far predictions are off, as shares of what was measured."""
    off = [abs(ratio - 1) for ratio in ratios]
    return {"median": round(statistics.median(off), 4), "worst": round(max(off), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--architectures", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--random-seed", type=int, default=0)
    arguments = parser.parse_args()
    device, source = measure.device_named(arguments.device), random.Random(arguments.random_seed)
    rows: list[Row] = []
    print(
        f"{'architecture':<32} {'width':>6} {'side':>4} {'batch':>5} {'precision':<9} {'training MB':>12} {'ratio':>6}"
    )
    for index in range(arguments.architectures):
        row = compare(index, source, device)
        rows.append(row)
        print(
            f"{row.architecture:<32} {row.width:6.3f} {row.resolution:4} {row.batch:5} {row.precision:<9} "
            f"{row.training_measured / 1e6:12.1f} {row.training_ratio:6.3f}   inference {row.inference_ratio:6.3f}",
            flush=True,
        )
    off = {
        "training": summary([row.training_ratio for row in rows]),
        "inference": summary([row.inference_ratio for row in rows]),
    }
    print(f"off by: {off}")
    if arguments.output:
        document = {
            "torch": torch.__version__,
            "device": measure.spoken_name(device).split(",")[0],
            "random_seed": arguments.random_seed,
            "off_by": off,
            "rows": [asdict(row) for row in rows],
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
