"""Commands that build networks: train them in full, say what they are worth, measure them."""

import sys
from pathlib import Path
from typing import Literal

import click

from nas.cli_options import ARCH, CLASSES, GOES_ON, JSON, RESOLUTION, RUNS, Number, Whole, console, print_json
from nas.runs import Runs


@click.command()
@ARCH
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@JSON
@RUNS
@GOES_ON
def train(arch: str, file: Path, settings: tuple[str, ...], as_json: bool, runs: Runs) -> None:
    """Train an architecture in full, or go on with it.

    FILE says on which data, at which resolution, by which recipe and with how many workers. Metrics, TensorBoard
    events, checkpoints and the best weights go to runs/training/NAME. Ctrl-C once ends it after the running epoch,
    twice at once; the same command goes on (exit status 130 meanwhile). The test part of the data is not read: see
    'nas evaluate'.

    \b
    Examples:
      nas train inception-v3 examples/train.yaml
      nas train digits:35 examples/train.yaml --set recipe.epochs=60 --set name=winner
      nas train inception-v3 examples/train.yaml --set workers=4      through Ray Train, a GPU each
      tensorboard --logdir runs/training
    """
    from nas.config import parse_overrides
    from nas.study import find
    from nas.training import train_found
    from nas.training_file import for_architecture, read_training
    from nas.training_view import TrainingShown
    from nas.waiting import working

    config, found = read_training(file, parse_overrides(settings)), find(arch, runs)
    config, terminal = for_architecture(config, found.architecture, file.stem), console(error=True)
    with working(terminal, f"starting training {config.name}") as started:
        trained = train_found(found, config, runs.folder, view=TrainingShown(terminal, str(config.name), started.end))
    if as_json:
        print_json(trained.as_data())
    else:
        click.echo(trained.text())
    if not trained.complete:
        sys.exit(130)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@JSON
@RUNS
@GOES_ON
def ladder(file: Path, settings: tuple[str, ...], as_json: bool, runs: Runs) -> None:
    """Climb the paper's Table 3 on your data: from Inception-v2 to Inception-v3, one change a rung.

    FILE is a training file with three more keys: 'width', a multiplier of the networks' widths, 'repeats', random seeds
    of each rung, and 'overrides', fields of the recipe that differ at a rung (v2, rmsprop, smoothing, factorised,
    auxiliary). The error is that of the last epoch. The rungs are trainings under runs/training; the same command goes
    on where it was stopped.

    \b
    Examples:
      nas ladder examples/ladder.yaml
      nas ladder examples/ladder.yaml --set data=pictures/ --set resolution=32 --set repeats=3
      nas ladder examples/ladder.yaml --set overrides.v2.learning_rate=0.05
    """
    from nas.config import parse_overrides
    from nas.ladder import climb, read_ladder, rungs, table
    from nas.training_view import TrainingShown

    config, terminal = read_ladder(file, parse_overrides(settings)), console(error=True)
    steps = rungs(config)
    click.echo(f"starting ladder {config.name}: {len(steps)} rungs, {len(steps) * config.repeats} trainings", err=True)
    rows = list(climb(config, runs.folder, lambda name: TrainingShown(terminal, name)))
    if as_json:
        print_json({"ladder": config.name, "rungs": [row.as_data() for row in rows]})
    else:
        click.echo(table(rows))
    if len(rows) < len(steps) or not rows[-1].complete:
        click.echo(f"ladder {config.name} stopped at rung {len(rows)}; the same command goes on", err=True)
        sys.exit(130)


@click.command()
@ARCH
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights of the architecture; several are an ensemble. A trial of a study has its own.",
)
@click.option(
    "--data",
    metavar="DATA",
    help="As in a search file, {source: DATA, damaged: 0.1} too; what the weights were trained on by default.",
)
@click.option(
    "--part",
    type=click.Choice(["test", "validation", "train", "all"]),
    default="test",
    show_default=True,
    help="Which pictures of it.",
)
@click.option(
    "--crops", type=click.Choice(["1", "12", "144"]), default="1", show_default=True, help="Crops of each picture."
)
@click.option("--resolution", type=Whole(1, 4096), help="Of the crops, in pixels; that of the weights by default.")
@click.option(
    "--random-seed", type=Whole(0, 2**31 - 1), help="Of the split of the data; that of the weights by default."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: a GPU where there is one.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the computation; bfloat16 is quicker on GPUs, and errors may differ a little.",
)
@JSON
@RUNS
def evaluate(
    arch: str,
    weights: tuple[Path, ...],
    data: str | None,
    part: str,
    crops: str,
    resolution: int | None,
    random_seed: int | None,
    device: str,
    precision: Literal["float32", "bfloat16"],
    as_json: bool,
    runs: Runs,
) -> None:
    """Say what trained weights are worth: top-1 and top-5 error, calibration, and each class.

    Softmax is averaged over the crops and over several weights. 144 crops are those of GoogLeNet: four scales, three
    squares along the longer side, corners, centre and the whole square, mirrored. A note says where pictures among
    those that are evaluated were trained on.

    \b
    Examples:
      nas evaluate inception-v3 --weights runs/training/inception-v3-train/best.safetensors
      nas evaluate digits:35                                           the proxy that a trial trained
      nas evaluate arch.yaml --weights a.safetensors --weights b.safetensors --data pictures/ --part all --crops 144
    """
    from nas.config import parse_data
    from nas.evaluation import evaluate_found
    from nas.evaluation_view import blocks
    from nas.study import find
    from nas.waiting import show_bar, working

    terminal = console(error=True)
    loading = working(terminal, f"loading {arch} and its pictures")
    with loading as loaded, show_bar(terminal, arch, "pictures evaluated", before=loaded.end) as tell:
        evaluated = evaluate_found(
            find(arch, runs),
            weights,
            parse_data(data) if data is not None else None,
            part=part,  # type: ignore[arg-type]  # click has checked it
            crops=int(crops),  # type: ignore[arg-type]
            resolution=resolution,
            random_seed=random_seed,
            device=device,
            precision=precision,
            decoding=lambda source: show_bar(terminal, source, "pictures decoded", before=loaded.end),
            tell=tell,
        )
    for note in evaluated.notes:
        click.echo(note, err=True)
    if as_json:
        print_json(evaluated.as_data())
        return
    for block in blocks(evaluated, console().width):
        console().print(block, soft_wrap=isinstance(block, str))


@click.command()
@ARCH
@RESOLUTION
@CLASSES
@click.option("--batch", type=Whole(1, 65_536), default=16, show_default=True, help="Pictures at once, besides 1.")
@click.option("--training", is_flag=True, help="Measure a training step too (at least 2 pictures, default recipe).")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1; auto: the first GPU, or the CPU.")
@click.option("--threads", type=Whole(1, 1024), help="CPU threads; torch's own choice if not given.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="auto: bfloat16 on GPUs, float32 on CPUs.",
)
@click.option(
    "--seconds",
    type=Number(0.1, 3600),
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
    runs: Runs,
) -> None:
    """Measure latency and peak memory of a network on this device, beside the predicted memory.

    Trainings of ours on the same device pause meanwhile, and other measurements wait; other programs do not.

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
    console().print(examined.table(console().width))
    for note in examined.notes:
        console().print(note, markup=False)
