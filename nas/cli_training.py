"""Commands that train a network in full, and say what it is worth."""

import sys
from pathlib import Path

import click

from nas.cli_options import ARCH, JSON, RUNS, console, print_json


@click.command()
@ARCH
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@JSON
@RUNS
def train(arch: str, file: Path, settings: tuple[str, ...], as_json: bool, runs: Path) -> None:
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

    config, found = read_training(file, parse_overrides(settings)), find(arch, runs)
    config = for_architecture(config, found.architecture, file.stem)
    trained = train_found(found, config, runs, view=TrainingShown(console(error=True), str(config.name)))
    if as_json:
        print_json(trained.as_data())
    else:
        click.echo(trained.text())
    if not trained.complete:
        sys.exit(130)
