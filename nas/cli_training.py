"""Commands that build networks: measure them."""

from pathlib import Path
from typing import Literal

import click

from nas.cli_options import ARCH, CLASSES, JSON, RESOLUTION, RUNS, console, print_json


@click.command()
@ARCH
@RESOLUTION
@CLASSES
@click.option(
    "--batch", type=click.IntRange(1, 65_536), default=16, show_default=True, help="Pictures at once, besides 1."
)
@click.option("--training", is_flag=True, help="Measure a training step too (at least 2 pictures, default recipe).")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1; auto: the first GPU, or the CPU.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; torch's own choice if not given.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="auto: bfloat16 on GPUs, float32 on CPUs.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    help="For each latency, at most; it ends sooner once the median is certain within 1 %.",
)
@JSON
@RUNS
def measure(
    arch: str,
    resolution: int | None,
    classes: int | None,
    batch: int,
    training: bool,
    device: str,
    threads: int | None,
    precision: Literal["auto", "float32", "bfloat16"],
    seconds: float,
    as_json: bool,
    runs: Path,
) -> None:
    """Measure latency and peak memory of a network on this device, beside the predicted memory.

    Trainings of searches on the same device pause meanwhile, and other measurements wait; other programs do not.

    \b
    Examples:
      nas measure inception-v3
      nas measure inception-v3@79 --batch 64 --training
      nas measure digits:7 --device cpu --threads 1 --json
    """
    from nas.measure_view import Asked, examine
    from nas.study import find

    asked = Asked(resolution, classes, batch, training, device, threads, precision, seconds)
    terminal = console(error=True)
    with terminal.status("starting") as status:
        tell = status.update if terminal.is_terminal else lambda text: click.echo(text, err=True)
        examined = examine(find(arch, runs), asked, tell)
    if as_json:
        print_json(examined.as_data())
        return
    console().print(examined.table())
    for note in examined.notes:
        console().print(note, markup=False)
