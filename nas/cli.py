"""The command line: one function per command, no logic. Answers go to standard output, all else to standard error."""

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from nas import __version__
from search_spaces.errors import RequestError, SearchFailed

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


class _Group(click.Group):
    """Lists commands in the order of use, and suggests the nearest name for an unknown one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from search_spaces.errors import nearest

        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}{nearest(args[0], self.commands)}. 'nas --help' lists them.")
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="nas")
@click.option("--verbose", is_flag=True, help="Log what happens to standard error.")
def nas(verbose: bool) -> None:
    """Neural architecture search over the Inception family.

    ARCH is a seed's name (nas seeds), a YAML file, or STUDY:NUMBER (a trial of a study).

    \b
    Examples:
      nas show inception-v3                     the tree, the costs, the audit
      nas search examples/digits.yaml           run or resume a search
      nas pareto digits                         the front of a study
      nas export digits:7 --to python -o out    a trial as plain PyTorch
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s"
    )


def _console(*, error: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=error, highlight=False)


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=1, allow_nan=False))


# ------------------------------------------------------------------------------------------------------ what there is


@nas.command()
@JSON
def seeds(as_json: bool) -> None:
    """List the published networks that ship with the project."""
    from search_spaces.cost import cost
    from search_spaces.seeds import seed, seed_names, seed_notes

    rows = [(name, seed(name), seed_notes(name)) for name in seed_names()]
    if as_json:
        _print_json(
            [{"name": n, "resolution": a.resolution, **cost(a).as_data(), "notes": text} for n, a, text in rows]
        )
        return
    for name, architecture, text in rows:
        counted = cost(architecture)
        click.echo(
            f"{name}  {architecture.resolution} px, {counted.params:,} params, {counted.macs:,} MACs\n"
            + click.wrap_text(text, 100, "    ", "    ")
        )


@nas.command()
@JSON
def spaces(as_json: bool) -> None:
    """List the search spaces that ship with the project."""
    from search_spaces.space import space, space_names

    found = [space(name) for name in space_names()]
    if as_json:
        _print_json(
            [{"name": s.name, "resolution": s.resolution, "genes": len(s.genes), "notes": s.notes} for s in found]
        )
        return
    for item in found:
        click.echo(
            f"{item.name}  {len(item.genes)} genes, for {item.resolution} px\n"
            + click.wrap_text(item.notes, 100, "    ", "    ")
        )


# --------------------------------------------------------------------------------------------------- one architecture


@nas.command()
@ARCH
@RESOLUTION
@CLASSES
@click.option(
    "--svg", type=click.Path(path_type=Path), metavar="FILE.svg", help="Also draw the architecture into this file."
)
@RUNS
def show(arch: str, resolution: int | None, classes: int | None, svg: Path | None, runs: Path) -> None:
    """Show an architecture: its modules, its costs and its audit.

    \b
    Examples:
      nas show inception-v3
      nas show digits:7 --svg best.svg
    """
    from nas import views
    from nas.study import find

    views.check_svg(svg)
    found = find(arch, runs)
    classes = classes or found.classes
    text = views.architecture_text(found.architecture, resolution, classes, _console().width)
    if svg is not None:
        views.write_svg(svg, views.architecture_svg(found.architecture, resolution, classes))
        text += f"\n\ndrawing: {svg}"
    click.echo(f"{found.standing}\n\n{text}" if found.standing else text)


@nas.command()
@ARCH
@RESOLUTION
@CLASSES
@JSON
@RUNS
def cost(arch: str, resolution: int | None, classes: int | None, as_json: bool, runs: Path) -> None:
    """Count parameters, multiply-adds and memory exactly.

    \b
    Examples:
      nas cost inception-v3 --resolution 299 --json
      nas cost my.yaml --classes 10
    """
    from nas import views
    from nas.study import find
    from search_spaces.cost import cost as count

    found = find(arch, runs)
    counted = count(found.architecture, resolution, classes=classes or found.classes)
    if as_json:
        _print_json(counted.as_data())
    else:
        click.echo(views.cost_text(counted))


@nas.command()
@ARCH
@RESOLUTION
@click.option(
    "--svg",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Also draw the representation's size along the depth into this file.",
)
@JSON
@RUNS
def audit(arch: str, resolution: int | None, svg: Path | None, as_json: bool, runs: Path) -> None:
    """Measure the four design principles: value, threshold, and where it is worst.

    Below them is a picture of the first one: how many elements get through at each depth, next to the gentle decrease
    from input to output that the paper asks for.

    \b
    Examples:
      nas audit inception-v3
      nas audit digits:7 --svg bottleneck.svg
    """
    from nas import views
    from nas.study import load_architecture
    from search_spaces.principles import audit as measure

    views.check_svg(svg)
    architecture = load_architecture(arch, runs)
    found = measure(architecture, resolution)
    measured = views.measure_profile(architecture, resolution, found)
    if svg is not None:
        views.write_svg(svg, views.profile_svg(measured, architecture, resolution))
    if as_json:
        _print_json(found.as_data() | measured.as_data())
        return
    console = _console()
    click.echo(views.audit_text(found, console.width))
    click.echo("\n" + views.audit_picture(measured, console.width, console.encoding))
    if svg is not None:
        click.echo(f"\ndrawing: {svg}")


@nas.command()
@click.argument("space_name", metavar="SPACE")
@click.option("-n", "count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="How many.")
@click.option(
    "--random-seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed draws the same ones."
)
@JSON
def sample(space_name: str, count: int, random_seed: int, as_json: bool) -> None:
    """Draw random architectures of a space (a name from 'nas spaces', or a YAML file)."""
    from nas import views

    rows = views.samples(space_name, count, random_seed)
    if as_json:
        _print_json(list(rows))
        return
    for row in rows:
        click.echo(f"{row['digest'][:12]}  {row['params'] / 1e6:7.2f} M params  {row['macs'] / 1e9:6.2f} G MACs")


# ----------------------------------------------------------------------------------------------------------- a search


@nas.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@RUNS
def search(file: Path, settings: tuple[str, ...], runs: Path) -> None:
    """Run a search, or go on with it: nothing is trained twice.

    Ctrl-C once ends it after the running epochs, twice at once; the same command goes on (exit status 130 meanwhile).

    \b
    Examples:
      nas search examples/digits.yaml
      nas search examples/digits.yaml --set trials=48 --set executor.workers=4
    """
    from nas import views
    from nas.config import parse_overrides, read_search
    from nas.driver import run
    from nas.progress import Shown

    config = read_search(file, parse_overrides(settings))
    study = run(config, runs, progress=Shown(_console(error=True)))
    for block in views.after_search(study):
        _console().print(block, soft_wrap=isinstance(block, str))
    if study.record.state != "complete":
        sys.exit(130)


@nas.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--principle", required=True, metavar="NAME", help="The principle to switch off, as in 'nas audit'.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@click.option(
    "--repeats", type=click.IntRange(1, 1000), default=1, show_default=True, help="Runs of each arm, by random seed."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="The page; runs/STUDY-NAME.html if not.",
)
@JSON
@RUNS
def ablate(
    file: Path,
    principle: str,
    settings: tuple[str, ...],
    repeats: int,
    output: Path | None,
    as_json: bool,
    runs: Path,
) -> None:
    """Ask whether a principle helps: run a search with it and without, and compare errors at equal MACs.

    Each arm trains the file's number of trials: random architectures, whatever sampler the file names, and no seeds.
    The arms are studies, FILE's with -NAME-on and -NAME-off; the same command goes on where it was stopped.

    \b
    Examples:
      nas ablate examples/digits.yaml --principle embedding
      nas ablate examples/digits.yaml --principle bottleneck --set trials=48 --repeats 3
    """
    from nas.ablate import answer, plan
    from nas.config import parse_overrides, read_search
    from nas.progress import Shown

    planned = plan(read_search(file, parse_overrides(settings)), principle, repeats)
    console = _console(error=True)
    found = answer(planned, runs, output, progress=lambda: Shown(console), tell=lambda text: click.echo(text, err=True))
    if found is None:
        sys.exit(130)
    if as_json:
        _print_json(found.as_data())
        return
    for block in found.blocks(_console().width):
        _console().print(block, soft_wrap=isinstance(block, str), markup=False)


@nas.command()
@JSON
@RUNS
def studies(as_json: bool, runs: Path) -> None:
    """List the studies of the ledger."""
    from nas import views

    rows = views.study_rows(runs)
    if as_json:
        _print_json(rows)
        return
    if not rows:
        click.echo(f"no studies in {str(runs)!r}", err=True)
    for row in rows:
        click.echo(f"{row['name']}  {row['state']}, {row['trials']} trials, {row['front_size']} on the front")


@nas.command()
@click.argument("study")
@JSON
@RUNS
def status(study: str, as_json: bool, runs: Path) -> None:
    """Count a study's trials by outcome."""
    from nas.study import Study
    from results.outcome import Outcome

    opened = Study.open(study, runs)
    counts = opened.outcomes()
    if as_json:
        _print_json(dict(counts))
        return
    click.echo(f"{opened.name}: {opened.record.state}, {len(opened.trials)} trials")
    for outcome in Outcome:
        if counts[str(outcome)]:
            click.echo(f"{counts[str(outcome)]:>6}  {outcome}: {outcome.sentence}")


@nas.command()
@click.argument("study")
@JSON
@RUNS
def pareto(study: str, as_json: bool, runs: Path) -> None:
    """Show a study's front, relative to Inception-v3."""
    from nas import views
    from nas.study import Study

    opened = Study.open(study, runs)
    if as_json:
        _print_json(views.pareto_data(opened))
    else:
        for block in views.front_blocks(opened):
            _console().print(block)


@nas.command()
@click.argument("study")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.html", help="Where to write it."
)
@RUNS
def report(study: str, output: Path, runs: Path) -> None:
    """Write a study as one self-contained HTML file."""
    from nas.conclude import write_study_report
    from nas.study import Study

    write_study_report(Study.open(study, runs), output)
    click.echo(str(output))


@nas.command()
@ARCH
@click.option("--to", type=click.Choice(["python", "yaml"]), required=True, help="The form to write.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder for the files."
)
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of a trial or a training to take along.")
@click.option(
    "--classes", type=click.IntRange(2), help="Classes of the last layer; those of the weights by default, or 1000."
)
@click.option("--full", is_flag=True, help="A trial's architecture at full width, without the weights of its proxy.")
@RUNS
def export(arch: str, to: str, output: Path, weights: Path | None, classes: int | None, full: bool, runs: Path) -> None:
    """Write an architecture as plain PyTorch or as YAML.

    A complete trial of a study comes with the weights of its proxy.

    \b
    Examples:
      nas export inception-v3 --to python -o out
      nas export digits:7 --to python -o out           the proxy that was trained, with its weights
      nas export digits:7 --to python --full -o out    the architecture at full width
    """
    from nas.conclude import PROXY_NOTE, export_found
    from nas.study import find

    found = find(arch, runs)
    files = export_found(found, to, output, weights, classes, full=full)
    for path in files:
        click.echo(str(path))
    if any(path.suffix == ".safetensors" for path in files) and found.trial is not None and weights is None:
        click.echo(f"note: {PROXY_NOTE}", err=True)


@nas.command("import-weights")
@ARCH
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A state dict, as safetensors or by torch.save.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.safetensors", help="What to write."
)
@RUNS
def import_weights(arch: str, source: Path, output: Path, runs: Path) -> None:
    """Take over weights of torchvision's or timm's networks.

    They are checked whole and renamed; nothing in the file is executed. torchvision's released weights were trained on
    pictures scaled to -1 to 1 (its transform_input): scale pictures so for the network that loads them.

    \b
    Examples:
      nas import-weights inception-v3 --from inception_v3.pth -o inception-v3.safetensors
      nas export inception-v3 --to python --weights inception-v3.safetensors -o out
    """
    from nas.import_weights import import_weights as take

    click.echo(take(arch, source, output, runs).sentence, err=True)
    click.echo(str(output))


@nas.command()
@JSON
@RUNS
def doctor(as_json: bool, runs: Path) -> None:
    """Say what this machine has, and what a search would use."""
    from nas import views
    from nas.doctor import examine

    found = examine(runs)
    if as_json:
        _print_json(found)
    else:
        click.echo(views.doctor_text(found))
    if found["problems"]:
        sys.exit(1)


# -------------------------------------------------------------------------------------------------------------- errors


def _end(sentence: str, status: int) -> NoReturn:
    click.echo(f"nas: {sentence}", err=True)
    sys.exit(status)


def main() -> None:
    """Run the command line: exit status 0 done, 1 it ran and failed, 2 the request was wrong."""
    try:
        nas(standalone_mode=False)
    except click.UsageError as error:
        usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
        click.echo(usage, err=True, nl=False)
        _end(error.format_message(), 2)
    except RequestError as error:
        _end(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        _end("stopped", 130)
    except click.ClickException as error:
        _end(error.format_message(), 1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as 'nas ... | head' does
        sys.exit(0)
    except SearchFailed as error:
        _end(str(error), 1)
