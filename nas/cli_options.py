"""What the commands share: options, and how answers are printed."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

RUNS = click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where studies lie."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
RESOLUTION = click.option(
    "--resolution", type=int, help="Side of the pictures in pixels; the architecture's own by default."
)
ARCH = click.argument("arch", metavar="ARCH")
CLASSES = click.option(
    "--classes",
    type=click.IntRange(2, 1_000_000),
    help="Classes of the last layer; a study's own for its trials, else 1000.",
)

MOST_NAMED = 8  # files in one sentence


def console(*, error: bool = False) -> "Console":
    """Return what prints for people: on standard output, or on standard error."""
    from rich.console import Console

    return Console(stderr=error, highlight=False)


def print_json(data: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(data, indent=1, allow_nan=False))


def files_in(folder: Path) -> frozenset[Path]:
    """The files that lie in a folder: those that a command may replace; none where it cannot be read."""
    try:
        return frozenset(folder.iterdir())
    except OSError:  # no folder, or not ours: whoever writes there will say so
        return frozenset()


def tell_replaced(written: Iterable[Path], before: Collection[Path]) -> None:
    """Say on standard error which of the files that were written lay there before."""
    if replaced := [str(path) for path in written if path in before]:
        more = f" and {len(replaced) - MOST_NAMED} more" if len(replaced) > MOST_NAMED else ""
        click.echo(f"replaced: {', '.join(replaced[:MOST_NAMED])}{more}", err=True)
