"""Time a training step in float32 and bfloat16, contiguous and channels-last, side by side in one run.

    python benchmarks/precision.py -o runs/precision.json [--device cuda] [--threads 1]

Two settings: a proxy (Inception-v3 at width 1/8, 16 px, batch 64) and half of the network (width 1/2, 64 px, batch 16).
The variants take turns, so that whatever else the machine does falls on all of them, and medians are compared.
"""

import argparse
import json
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers.network import Network, build
from trainers.precision import Precision


@dataclass(frozen=True)
class Setting:
    name: str
    width: float
    resolution: int
    batch: int


@dataclass(frozen=True)
class Row:
    setting: str
    precision: str
    layout: str
    step_ms: float
    relative: float


SETTINGS = (Setting("proxy", 1 / 8, 16, 64), Setting("half", 1 / 2, 64, 16))


def variants(device: torch.device) -> dict[tuple[str, str], Precision]:
    return {
        ("bfloat16" if half else "float32", "channels-last" if last else "contiguous"): Precision(device, half, last)
        for half in (False, True)
        for last in (False, True)
    }


def step_seconds(network: Network, precision: Precision, batch: torch.Tensor, labels: torch.Tensor) -> float:
    synchronize = torch.cuda.synchronize if batch.is_cuda else (lambda: None)
    synchronize()
    started = time.perf_counter()
    with precision.context():
        logits = network(precision.layout(batch))
    assert isinstance(logits, torch.Tensor)
    F.cross_entropy(logits.float(), labels).backward()
    network.zero_grad()
    synchronize()
    return time.perf_counter() - started


def measure(setting: Setting, device: torch.device, repeats: int) -> list[Row]:
    graph = proxy(seed("inception-v3"), setting.resolution, setting.width).graph(setting.resolution, classes=10)
    batch = torch.randn(setting.batch, 3, setting.resolution, setting.resolution, device=device)
    labels = torch.randint(0, 10, (setting.batch,), device=device)
    networks: dict[tuple[str, str], tuple[Network, Precision]] = {}
    for name, precision in variants(device).items():
        networks[name] = (build(graph, initialise=0), precision)
        precision.place(networks[name][0])
    seconds: dict[tuple[str, str], list[float]] = {name: [] for name in networks}
    for repeat in range(repeats + 2):
        for name, (network, precision) in networks.items():
            elapsed = step_seconds(network, precision, batch, labels)
            if repeat >= 2:  # the first ones choose kernels
                seconds[name].append(elapsed)
    medians = {name: 1000 * statistics.median(times) for name, times in seconds.items()}
    baseline = medians["float32", "contiguous"]
    return [Row(setting.name, *name, median, baseline / median) for name, median in medians.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; a trial of a search has one")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    rows: list[Row] = []
    print(f"{'setting':<8} {'precision':<9} {'layout':<14} {'ms/step':>8} {'speed-up':>8}")
    for setting in SETTINGS:
        for row in measure(setting, device, arguments.repeats):
            rows.append(row)
            print(f"{row.setting:<8} {row.precision:<9} {row.layout:<14} {row.step_ms:8.1f} {row.relative:7.2f}x")
    if arguments.output:
        chip = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
        document = {
            "torch": torch.__version__,
            "device": chip,
            "threads": arguments.threads,
            "repeats": arguments.repeats,
            "settings": [asdict(setting) for setting in SETTINGS],
            "rows": [asdict(row) for row in rows],
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
