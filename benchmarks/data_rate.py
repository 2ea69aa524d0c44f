"""How fast pictures come: decoding a folder into the cache, and how long a training waits for its batches.

    python benchmarks/data_rate.py --pictures cifar10/ -o benchmarks/data_rate.json

Part one decodes a folder with one folder per class into an empty cache, and reads the same folder once with
torchvision's ImageFolder in a DataLoader of as many workers as there are CPUs, in turn, files being in memory already.
Part two trains a proxy of Inception-v3 for an epoch at two widths, with the pictures on the device and streamed, and
with every augmentation; it states the epoch's seconds and the share of them that went by waiting for pictures.
With --whole, both widths train for one epoch on nine tenths of all pictures instead, and validate on the last tenth;
the figures are added to those in the file.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from nas.doctor import hardware
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers import feed
from trainers.cpus import usable_cpus
from trainers.data import DataSet, load
from trainers.fit import EpochResult, Fit
from trainers.network import build
from trainers.recipe import Recipe
from trainers.source import DataSource

PLAIN = Recipe(epochs=2, batch_size=64, learning_rate=0.05, flip=True, shift=4)
EVERYTHING = Recipe(epochs=2, batch_size=64, learning_rate=0.05, flip=True, resized_crop=0.08, colour=0.4)


def into_memory(pictures: Path) -> int:
    """Read all files once, so that neither side pays for the disk; return how many there are."""
    files = [path for path in pictures.rglob("*") if path.is_file()]
    for path in files:
        path.read_bytes()
    return len(files)


def cache_seconds(pictures: Path, resolution: int) -> dict[str, float]:
    """Seconds to decode a folder into an empty cache, and to open that cache again."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INCEPTION_NAS_CACHE"] = folder
        started = time.perf_counter()
        load(pictures, resolution=resolution)
        made = time.perf_counter()
        load(pictures, resolution=resolution)
        return {"cached_in_seconds": made - started, "opened_in_seconds": time.perf_counter() - made}


def image_folder_seconds(pictures: Path) -> float:
    """Seconds in which torchvision reads the same pictures once, as uint8, in batches of 256."""
    library = torch.library.Library("torchvision", "DEF")  # torchvision imports beside a CPU build of torch only so
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import PILToTensor

    started = time.perf_counter()
    loader = torch.utils.data.DataLoader(
        ImageFolder(str(pictures), PILToTensor()), batch_size=256, num_workers=usable_cpus()
    )
    count = sum(len(labels) for _, labels in loader)
    seconds = time.perf_counter() - started
    assert count, "torchvision read nothing"
    library._destroy()
    return seconds


def epoch(data: DataSet, width: float, recipe: Recipe, device: torch.device, *, resident: bool) -> dict[str, Any]:
    """Train a proxy for an epoch, and measure it."""
    small = proxy(seed("inception-v3"), data.resolution, width)
    graph = small.graph(data.resolution, classes=len(data.classes), channels=data.channels, aux=True)
    network = build(graph, initialise=0, device=device)
    share, feed.RESIDENT_SHARE = feed.RESIDENT_SHARE, 1.0 if resident else 0.0
    fit = Fit(network, data, recipe, device=device, random_seed=0)
    feed.RESIDENT_SHARE = share
    last = fit.epoch()
    if not isinstance(last, EpochResult):
        raise SystemExit(last.sentence)
    return {
        "width": width,
        "resident": resident,
        "augmentation": "everything" if recipe is EVERYTHING else "flip and shift",
        "epoch_seconds": last.seconds,
        "waiting_share": last.waiting_seconds / last.seconds,
        "training_pictures_per_second": last.pictures_per_second,
        "validation_error": last.validation_error,
    }


def add_whole_epochs(pictures: Path, resolution: int, output: Path) -> None:
    """Train for an epoch on nine tenths of all pictures at each width, and add the figures to a file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INCEPTION_NAS_CACHE"] = folder
        # The test part is the smallest that a split can have: one picture of each class.
        data = load(DataSource(str(pictures), validation=0.1, test=0.0002), resolution=resolution)
        found["whole_training_pictures"], found["whole_epochs"] = len(data.train), []
        for width in (0.125, 0.25):
            found["whole_epochs"].append(epoch(data, width, PLAIN, device, resident=True))
            print(json.dumps(found["whole_epochs"][-1], indent=1), flush=True)
            output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True, help="folder with one folder per class")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument(
        "--runs", type=int, default=3, help="times that the folder is decoded, of which medians are taken"
    )
    parser.add_argument("--resolution", type=int, default=32, help="side in pixels that the proxy is given")
    parser.add_argument("--validation", type=float, default=0.1, help="share of the pictures to validate on")
    parser.add_argument("--leave-out", type=float, default=0.2, help="share of the pictures that is not looked at")
    parser.add_argument("--whole", action="store_true", help="only an epoch over all pictures at each width (minutes)")
    options = parser.parse_args()
    if options.whole:
        add_whole_epochs(options.pictures, options.resolution, options.output)
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found: dict[str, Any] = {
        "hardware": {**hardware(), "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"},
        "pictures": into_memory(options.pictures),
    }
    caching, reading = [], []
    for _ in range(options.runs):
        caching.append(cache_seconds(options.pictures, options.resolution))
        reading.append(image_folder_seconds(options.pictures))
    found |= {name: median(run[name] for run in caching) for name in caching[0]}
    found["torchvision_reads_once_in_seconds"] = median(reading)
    print(json.dumps(found, indent=1))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INCEPTION_NAS_CACHE"] = folder
        source = DataSource(str(options.pictures), validation=options.validation, test=options.leave_out)
        data = load(source, resolution=options.resolution)
        found["training_pictures"] = len(data.train)
        found["epochs"] = []
        for width, recipe, resident in (
            (0.125, PLAIN, True),
            (0.125, PLAIN, False),
            (0.125, EVERYTHING, False),
            (0.25, PLAIN, True),
        ):
            found["epochs"].append(epoch(data, width, recipe, device, resident=resident))
            print(json.dumps(found["epochs"][-1], indent=1))
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
