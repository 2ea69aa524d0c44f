"""Pictures a second of whole training steps, beside torchvision's network and a plain use of torch.

    python benchmarks/training_rate.py -o benchmarks/training_rate.json [--device cuda] [--parts full proxy shared]

A step is forward, loss, backward and optimiser (SGD with momentum) on pictures that lie on the device. Medians of
several rounds, in each of which every variant takes one turn; ratios are those of the same round, with quartiles.
The file is written after every setting; rows of parts that are not run stay as they are in it.

- ``full``: Inception-v3 with ten classes and no auxiliary head against torchvision's, at 75 and 96 px and batches of 16
  and 32 (on a GPU at 299 px, 64 and 128). torchvision's best is bfloat16 autocast (float32 on a CPU that would have to
  emulate bfloat16), channels-last, and SGD over the list of parameters (``foreach``); ours has the same, and a row with
  the fused SGD that recipes use. ``recipe`` is all of the paper's recipe: RMSProp, weight decay, clipping, label
  smoothing and the average of parameters, by this project's TrainingStep, and for torchvision's network by torch's own
  RMSprop, clip_grad_norm_ and AveragedModel.
- ``proxy``: Inception-v3 at width 1/8 and 1/4, 16 and 32 px. ``plain`` is the same network node by node with torch's
  usual optimiser. ``--compile`` adds torch.compile, and a GPU a captured CUDA graph, with the seconds until they ran.
- ``shared``: the same proxies by one trial or several at once, each in a process of its own: pictures of all together.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import swa_utils

from nas.doctor import hardware
from search_spaces.graph import Graph
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers.cpus import has_bfloat16, usable_cpus
from trainers.flat import Flat
from trainers.named_recipes import recipe_fields
from trainers.network import Network, build
from trainers.plan import plan
from trainers.precision import Precision
from trainers.recipe import Recipe
from trainers.training_step import TrainingStep

ROOT = Path(__file__).resolve().parent.parent
CLASSES = 10
WARM_UP = 3  # rounds that choose kernels and fill pools of memory
SHARED_SECONDS = 4.0
LOAD_BEFORE = os.getloadavg()[0]  # of others: above 0.5 the figures are not those of a machine at rest


@dataclass(frozen=True)
class Setting:
    """``width``: share of the filters. ``threads``: of the CPU, per process."""

    resolution: int
    batch: int
    width: float = 1.0
    threads: int = 1
    device: str = "cpu"

    @property
    def graph(self) -> Graph:
        architecture = seed("inception-v3")
        if self.width != 1:
            architecture = proxy(architecture, self.resolution, self.width)
        return architecture.graph(self.resolution, classes=CLASSES)

    @property
    def text(self) -> str:
        width = "" if self.width == 1 else f"width {self.width:g} "
        return f"{width}{self.resolution} px batch {self.batch} threads {self.threads}"


@dataclass(frozen=True)
class Variant:
    """``network``: torchvision, plain (node by node, usual parameters) or ours. ``run``: eager, compiled or graph.

    ``update``: SGD with momentum, ``foreach`` or ``fused``, or the whole ``recipe``.
    """

    network: str
    bfloat16: bool = True
    channels_last: bool = True
    update: str = "foreach"
    run: str = "eager"

    @property
    def text(self) -> str:
        layout = "channels-last" if self.channels_last else "contiguous"
        parts = (self.network, "bfloat16" if self.bfloat16 else "float32", layout, self.update, self.run)
        return " ".join(parts)


@dataclass(frozen=True)
class Row:
    """``relative``: rate over the rate of ``relative_to`` in the same round, median and quartiles of the rounds."""

    part: str
    setting: str
    variant: str
    rounds: int
    pictures_per_second: float
    step_ms: float
    relative_to: str
    relative: float
    relative_quartiles: tuple[float, float]
    seconds_until_it_ran: float


class Trial:
    """A network, pictures, labels and an optimiser: call it for a training step."""

    def __init__(self, setting: Setting, variant: Variant) -> None:
        started = time.perf_counter()
        self.device = torch.device(setting.device)
        self.precision = Precision(self.device, variant.bfloat16, variant.channels_last)
        self.network = _network(setting, variant)
        self.precision.place(self.network)  # type: ignore[arg-type]
        self.network.train()
        self.flat: Flat | None = None
        pictures = torch.randn(setting.batch, 3, setting.resolution, setting.resolution, device=self.device)
        self.pictures = self.precision.layout(pictures)
        self.labels = torch.randint(0, CLASSES, (setting.batch,), device=self.device)
        self.forward: Callable[[Tensor], Tensor] = self.network
        self.step: Callable[[], object] = self.plain_step
        if variant.update == "recipe":
            self.step = self.recipe_step(variant)
        else:
            if variant.network == "ours" and variant.run != "compiled":
                self.flat = Flat(self.network)  # type: ignore[arg-type]
            parameters = list(self.network.parameters()) if self.flat is None else list(self.flat.both)
            self.optimizer = torch.optim.SGD(parameters, 1e-3, momentum=0.9, **{variant.update: True})
        if variant.run == "compiled":
            mode = "reduce-overhead" if self.device.type == "cuda" else "default"  # the former is for GPUs
            self.forward = torch.compile(self.network, mode=mode)
        for _ in range(WARM_UP):
            self()
        if variant.run == "graph":
            self.step = captured(self.plain_step)
        self.seconds_until_it_ran = time.perf_counter() - started

    def plain_step(self) -> None:
        with self.precision.context(), self.flat.lent() if self.flat else nullcontext():
            logits = self.forward(self.pictures)
        (self.flat or self.optimizer).zero_grad()
        F.cross_entropy(logits.float(), self.labels).backward()
        self.optimizer.step()

    def recipe_step(self, variant: Variant) -> Callable[[], object]:
        """All that the paper's recipe does in a step: by this project, or for a peer's network by torch's own means."""
        recipe = replace(
            Recipe(**recipe_fields("inception-v3")), precision="bfloat16" if variant.bfloat16 else "float32"
        )
        if variant.network == "ours":
            ours = TrainingStep(self.network, recipe, self.device)  # type: ignore[arg-type]
            return partial(ours, self.pictures, self.labels, recipe.learning_rate)
        parameters = list(self.network.parameters())
        optimizer = torch.optim.RMSprop(
            parameters,
            recipe.learning_rate,
            recipe.rmsprop_decay,
            recipe.rmsprop_epsilon,
            recipe.weight_decay,
            recipe.momentum,
            foreach=True,
        )
        assert recipe.average is not None
        assert recipe.gradient_clip is not None
        average = swa_utils.AveragedModel(
            self.network, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(recipe.average), use_buffers=True
        )
        clip, smoothing = recipe.gradient_clip, recipe.label_smoothing

        def step() -> None:
            with self.precision.context():
                logits = self.network(self.pictures)
            optimizer.zero_grad()
            F.cross_entropy(logits.float(), self.labels, label_smoothing=smoothing).backward()
            nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
            optimizer.step()
            average.update_parameters(self.network)

        return step

    def __call__(self) -> float:
        """Take a step; return its seconds."""
        synchronize = torch.cuda.synchronize if self.device.type == "cuda" else (lambda: None)
        synchronize()
        started = time.perf_counter()
        self.step()
        synchronize()
        return time.perf_counter() - started


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """Record a step's launches once, to be replayed as one: torch's recipe for whole training steps."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _network(setting: Setting, variant: Variant) -> nn.Module:
    if variant.network == "torchvision":
        sys.path.insert(0, str(ROOT / "tests"))
        from published import torchvision_model

        return torchvision_model("inception_v3", aux_logits=False, num_classes=CLASSES, transform_input=False)
    network = build(setting.graph, initialise=0)
    if variant.network == "plain":
        make_plain(network)
    return network


def make_plain(network: Network) -> None:
    """Let every node of the graph run by itself."""
    modules = {node.name: network.get_submodule(node.name) for node in network.graph}
    network._whole = plan(network.graph, modules, (network.graph.output,), joined=False)


def measure(part: str, setting: Setting, variants: list[Variant], rounds: int) -> list[Row]:
    """Time the variants of one setting, each compared with the first that has, or has not, the recipe too."""
    torch.set_num_threads(setting.threads)
    trials = [Trial(setting, variant) for variant in variants]
    seconds = [[trial() for trial in trials] for _ in range(rounds)]
    rows = []
    for i, (variant, trial) in enumerate(zip(variants, trials, strict=True)):
        middle = median(turn[i] for turn in seconds)
        base = next(j for j, other in enumerate(variants) if (other.update == "recipe") == (variant.update == "recipe"))
        low, ratio, high = quantiles([turn[base] / turn[i] for turn in seconds], n=4, method="inclusive")
        rate = setting.batch / middle
        rows.append(
            Row(
                part,
                setting.text,
                variant.text,
                rounds,
                rate,
                1000 * middle,
                variants[base].text,
                ratio,
                (low, high),
                trial.seconds_until_it_ran,
            )
        )
        show(rows[-1])
    return rows


def show(row: Row) -> None:
    low, high = row.relative_quartiles
    print(
        f"{row.setting:<42} {row.variant:<48} {row.pictures_per_second:9.1f}/s"
        f" {row.relative:5.2f}x ({low:.2f} to {high:.2f})",
        flush=True,
    )


def full(device: str, threads: int, rounds: int, compiled: bool) -> Iterator[list[Row]]:
    sizes = [(299, 64), (299, 128)] if device == "cuda" else [(75, 16), (75, 32), (96, 16), (96, 32)]
    half = device == "cuda" or has_bfloat16() is not False
    best, ours = Variant("torchvision", half), Variant("ours", half)
    variants = [best, ours, replace(ours, update="fused")]
    variants += [replace(best, update="recipe"), replace(ours, update="recipe")]
    for layout in (True, False) if half else (False,):
        variants += [replace(best, bfloat16=False, channels_last=layout), Variant("ours", False, layout)]
    if compiled:
        variants += [replace(best, run="compiled"), replace(ours, run="compiled")]
    for resolution, batch in sizes:
        yield measure("full", Setting(resolution, batch, threads=threads, device=device), variants, rounds)


def proxies(device: str, threads: int) -> list[Setting]:
    return [
        Setting(resolution, batch, width, threads, device)
        for width in (1 / 8, 1 / 4)
        for resolution in (16, 32)
        for batch in (32, 64, 128)
    ]


def proxy_steps(device: str, threads: int, rounds: int, compiled: bool) -> Iterator[list[Row]]:
    precisions = (True, False) if device == "cuda" else (False, True) if has_bfloat16() is not False else (False,)
    variants = [Variant(kind, half) for half in precisions for kind in ("plain", "ours")]
    variants.append(Variant("ours", device == "cuda", update="fused"))
    if device == "cuda":
        variants.append(Variant("ours", run="graph"))
    if compiled:
        variants += [replace(variants[0], run="compiled"), replace(variants[1], run="compiled")]
    for each in [1] if device == "cuda" else sorted({1, threads}):
        for setting in proxies(device, each):
            yield measure("proxy", setting, variants, rounds)


# ------------------------------------------------------------------------------------------------------- trials at once


def work(pipe: Connection, setting: Setting, variant: Variant) -> None:
    """Train in a process of its own: for every number of seconds that comes, answer how many pictures a second."""
    torch.set_num_threads(setting.threads)
    trial = Trial(setting, variant)
    pipe.send(0.0)
    while (seconds := pipe.recv()) is not None:
        steps, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            trial()
            steps += 1
        pipe.send(steps * setting.batch / elapsed)


class Team:
    """Some trials at once."""

    def __init__(self, setting: Setting, variant: Variant, count: int) -> None:
        self.name = f"{count} at once, {setting.threads} thread{'s' * (setting.threads > 1)} each"
        spawn = multiprocessing.get_context("spawn")
        self.pipes, self.processes, started = list[Connection](), [], time.perf_counter()
        for _ in range(count):
            mine, theirs = spawn.Pipe()
            self.processes.append(spawn.Process(target=work, args=(theirs, setting, variant)))
            self.processes[-1].start()
            self.pipes.append(mine)
        for pipe in self.pipes:
            pipe.recv()
        self.seconds_until_it_ran = time.perf_counter() - started

    def rate(self, seconds: float) -> float:
        """Pictures a second of all together."""
        for pipe in self.pipes:
            pipe.send(seconds)
        return float(sum(pipe.recv() for pipe in self.pipes))

    def end(self) -> None:
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.send(None)
            process.join()


def shared(device: str, threads: int, rounds: int, compiled: bool) -> Iterator[list[Row]]:
    """One trial with all threads against as many as there are threads, with one each; on a GPU 1, 2, 4 and 8."""
    teams = [(1, 1), (2, 1), (4, 1), (8, 1)] if device == "cuda" else [(1, threads), (threads, 1)]
    variant = Variant("ours", device == "cuda", update="fused")
    for setting in (setting for setting in proxies(device, 1) if setting.batch == 64):
        made = [Team(replace(setting, threads=each), variant, count) for count, each in teams]
        try:
            rates = [[team.rate(SHARED_SECONDS) for team in made] for _ in range(rounds)]
        finally:
            for team in made:
                team.end()
        rows = []
        for i, team in enumerate(made):
            rate, text = median(turn[i] for turn in rates), f"width {setting.width:g} {setting.resolution} px batch 64"
            low, ratio, high = quantiles([turn[i] / turn[0] for turn in rates], n=4, method="inclusive")
            step_ms = 1000 * setting.batch * len(team.pipes) / rate
            until = team.seconds_until_it_ran
            rows.append(Row("shared", text, team.name, rounds, rate, step_ms, made[0].name, ratio, (low, high), until))
            show(rows[-1])
        yield rows


PARTS = {"full": full, "proxy": proxy_steps, "shared": shared}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="CPU threads of one trial alone")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--compile", action="store_true", help="add torch.compile (minutes for each setting)")
    options = parser.parse_args()
    others = [] if options.output is None else rows_of_other_parts(options.output, options.parts)
    rows: list[dict[str, Any]] = []
    for part in options.parts:
        for found in PARTS[part](options.device, options.threads, options.rounds, options.compile):
            rows += [asdict(row) for row in found]
            if options.output:
                write(options.output, options.device, others + rows)


def rows_of_other_parts(file: Path, parts: list[str]) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [row for row in json.loads(file.read_text(encoding="utf-8"))["rows"] if row["part"] not in parts]


def write(file: Path, device: str, rows: list[dict[str, Any]]) -> None:
    name: Any = torch.cuda.get_device_name() if device == "cuda" else {**hardware(), "bfloat16": has_bfloat16()}
    document = {"torch": torch.__version__, "device": name, "load_before": LOAD_BEFORE, "rows": rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
