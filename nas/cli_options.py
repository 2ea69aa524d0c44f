"""What the commands share: options, and how answers are printed."""

import json
import sys
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nas.runs import LEDGER, LEDGER_VARIABLE, Runs
from search_spaces.errors import RequestError

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


class Whole(click.IntRange):
    """A whole number within bounds, called so where something else is given."""

    name = "whole number"


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"


class NewFile(click.Path):
    """A file that will be written: no folder, and with the ending of ``example`` where ``checked``."""

    def __init__(self, example: str, *, checked: bool = False) -> None:
        super().__init__(path_type=Path)
        self.example, self.checked = example, checked

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """RequestError, before any work, where it cannot be written so."""
        path, ending = Path(value), Path(self.example).suffix
        if path.is_dir():
            raise RequestError(f"{str(value)!r} is a folder: name a file in it, such as {str(path / self.example)!r}")
        if self.checked and path.suffix.lower() != ending:
            raise RequestError(f"{str(value)!r} does not end in {ending}: name a file that does")
        return path


class NewFolder(click.Path):
    """A folder that will be written into, and made if need be."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """RequestError, before any work, where a file is in its place."""
        path = Path(value)
        if path.exists() and not path.is_dir():
            raise RequestError(f"{str(value)!r} is a file: name a folder, which is made if need be")
        return path


JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
RESOLUTION = click.option(
    "--resolution", type=int, help="Side of the pictures in pixels; the architecture's own by default."
)
ARCH = click.argument("arch", metavar="ARCH")
CLASSES = click.option(
    "--classes",
    type=Whole(2, 1_000_000),
    help="Classes of the last layer; a study's own for its trials, else 1000.",
)


def RUNS(function: Callable[..., T]) -> Callable[..., T]:  # noqa: N802 - named like the options beside it
    """Add ``--runs`` and ``--ledger`` to a command, which gets both as ``runs``."""

    @click.option(
        "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where studies lie."
    )
    @click.option(
        "--ledger",
        metavar="URL",
        envvar=LEDGER_VARIABLE,
        show_envvar=True,
        help=f"Where their records are kept: postgresql://USER@HOST/DATABASE or sqlite:///FILE; {LEDGER} in --runs if "
        "not named.",
    )
    @wraps(function)
    def with_runs(*args: Any, runs: Path, ledger: str | None, **options: Any) -> T:
        return function(*args, runs=Runs(runs, ledger), **options)

    return with_runs


def GOES_ON(function: Callable[..., T]) -> Callable[..., T]:  # noqa: N802 - as above
    """Say, where Ctrl-C ends a command at once, that the same command goes on."""

    @wraps(function)
    def that_goes_on(*args: Any, **options: Any) -> T:
        try:
            return function(*args, **options)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the same command goes on") from None

    return that_goes_on


MOST_NAMED = 8  # files in one sentence


def console(*, error: bool = False) -> "Console":
    """Return what prints for people: on standard output, or on standard error."""
    from rich.console import Console

    from nas.terminal import Lasting

    stream: Any = Lasting(sys.stderr if error else sys.stdout)
    return Console(file=stream, highlight=False)


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
