"""Commands that look at architectures and spaces."""

import sys
from pathlib import Path

import click

from nas.cli_options import (
    ARCH,
    CLASSES,
    JSON,
    RESOLUTION,
    RUNS,
    NewFile,
    NewFolder,
    Whole,
    console,
    files_in,
    print_json,
    tell_replaced,
)
from nas.runs import Runs


@click.command()
@JSON
def seeds(as_json: bool) -> None:
    """List the published networks that ship with the project."""
    from nas import views
    from search_spaces.cost import cost
    from search_spaces.seeds import seed, seed_names, seed_notes

    rows = [(name, seed(name), seed_notes(name)) for name in seed_names()]
    if as_json:
        print_json([{"name": n, "resolution": a.resolution, **cost(a).as_data(), "notes": text} for n, a, text in rows])
        return
    for name, architecture, text in rows:
        counted = cost(architecture)
        head = f"{name}  {architecture.resolution} px, {counted.params:,} params, {counted.macs:,} MACs"
        click.echo(views.entry_text(head, text, console().width))


@click.command()
@JSON
def spaces(as_json: bool) -> None:
    """List the search spaces that ship with the project."""
    from nas import views
    from search_spaces.space import space, space_names

    found = [space(name) for name in space_names()]
    if as_json:
        print_json(
            [{"name": s.name, "resolution": s.resolution, "genes": len(s.genes), "notes": s.notes} for s in found]
        )
        return
    for item in found:
        head = f"{item.name}  {len(item.genes)} genes, for {item.resolution} px"
        click.echo(views.entry_text(head, item.notes, console().width))
    last = "'nas space NAME' explains one: its genes, and how many architectures it holds."
    click.echo("\n" + views.filled(last, console().width))


@click.command("space")
@click.argument("space_name", metavar="SPACE")
@JSON
def explain_space(space_name: str, as_json: bool) -> None:
    """Explain a search space: its genes, their choices, and how many architectures it holds.

    SPACE is a name from 'nas spaces', or a YAML file. Few architectures are counted; many are estimated by random walks
    through the choices, with a 95 % interval (search_spaces/counting.py says how). A gene is one choice of a search;
    the width of a tower is a position in the interval that is left to it by the principles and by the widths before it.

    In --json, low and high are powers of ten as log10 is, and the range of a width that follows from others is null.

    \b
    Examples:
      nas space inception
      nas space my-space.yaml --json
    """
    from nas.space_view import explain
    from nas.waiting import working
    from search_spaces.space import space

    searched, terminal = space(space_name), console(error=True)
    with working(terminal, "counting architectures", slow=not terminal.is_terminal):  # on one, explain draws a bar
        found = explain(searched, terminal)
    if as_json:
        print_json(found.as_data())
    else:
        click.echo(found.text(console().width))


@click.command()
@ARCH
@RESOLUTION
@CLASSES
@click.option(
    "--svg",
    type=NewFile("drawing.svg", checked=True),
    metavar="FILE.svg",
    help="Also draw the architecture into this file.",
)
@RUNS
def show(arch: str, resolution: int | None, classes: int | None, svg: Path | None, runs: Runs) -> None:
    """Show an architecture: its modules, its costs and its audit.

    \b
    Examples:
      nas show inception-v3
      nas show digits:7 --svg best.svg
    """
    from nas import views
    from nas.study import find

    found = find(arch, runs)
    classes = classes or found.classes
    text = views.architecture_text(found, resolution, classes, console().width)
    if svg is not None:
        views.write_svg(svg, views.architecture_svg(found.architecture, resolution, classes))
        text += f"\n\ndrawing: {svg}"
    click.echo(f"{found.standing}\n\n{text}" if found.standing else text)


@click.command()
@ARCH
@RESOLUTION
@CLASSES
@JSON
@RUNS
def cost(arch: str, resolution: int | None, classes: int | None, as_json: bool, runs: Runs) -> None:
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
        print_json(counted.as_data())
    else:
        click.echo(views.cost_text(counted, console().width))


@click.command()
@ARCH
@click.option(
    "--resolution",
    type=int,
    help="Side of the pictures in pixels; by default that of the space or of the study's target, else the "
    "architecture's own.",
)
@click.option(
    "--space",
    "space_name",
    metavar="SPACE",
    help="Go by this space's thresholds and say whether ARCH lies in it. Trials go by their study's space.",
)
@click.option(
    "--svg",
    type=NewFile("drawing.svg", checked=True),
    metavar="FILE.svg",
    help="Also draw the representation's size along the depth into this file.",
)
@click.option("--check", is_flag=True, help="End with exit status 1 if anything that counts is violated.")
@JSON
@RUNS
def audit(
    arch: str,
    resolution: int | None,
    space_name: str | None,
    svg: Path | None,
    check: bool,
    as_json: bool,
    runs: Runs,
) -> None:
    """Measure the four design principles: value, threshold, and where it is worst.

    Below them is a picture of the first one: how many elements get through at each depth, next to the gentle decrease
    from input to output that the paper asks for.

    \b
    Examples:
      nas audit inception-v3
      nas audit my.yaml --space inception       also says whether it lies in the space
      nas audit digits:7 --svg bottleneck.svg
      nas audit my.yaml --check                 in CI: the step fails if the audit does
    """
    from nas import views
    from nas.study import find

    found = find(arch, runs)
    audited = views.audit_found(found, resolution, space_name)
    if svg is not None:
        views.write_svg(svg, views.profile_svg(audited))
    if as_json:
        print_json(audited.as_data())
    else:
        terminal = console()
        click.echo(audited.text(terminal.width))
        click.echo("\n" + views.audit_picture(audited.profile, terminal.width, terminal.encoding))
        if svg is not None:
            click.echo(f"\ndrawing: {svg}")
    if check and not audited.audit.passed:
        sys.exit(1)


@click.command()
@click.argument("space_name", metavar="SPACE")
@click.option("-n", "count", type=Whole(1, 1_000_000), default=1, show_default=True, help="How many.")
@click.option("--random-seed", type=Whole(0), default=0, show_default=True, help="The same seed draws the same ones.")
@click.option(
    "-o",
    "--output",
    type=NewFolder(),
    metavar="DIR",
    help="Write each into a YAML file of this folder, named for the space and the digest.",
)
@JSON
def sample(space_name: str, count: int, random_seed: int, output: Path | None, as_json: bool) -> None:
    """Draw random architectures of a space (a name from 'nas spaces', or a YAML file).

    With -o all files are written or none, and their paths are printed; with --json too, each entry has its file.

    \b
    Examples:
      nas sample inception -n 5
      nas sample my-space.yaml -n 5 --random-seed 1 --json
      nas sample inception -n 5 -o drawn
    """
    from nas.samples import MANY, samples, write_samples
    from nas.waiting import working

    rows = samples(space_name, count, random_seed)
    if not as_json and output is None:
        for row in rows:
            figures = f"{row.params / 1e6:7.2f} M params  {row.macs / 1e9:6.2f} G MACs"
            click.echo(f"{row.architecture.digest[:12]}  {figures}")
        return
    with working(console(error=True), f"drawing {count:,} architectures", slow=count >= MANY):
        drawn = list(rows)
        before = files_in(output) if output else frozenset()
        written = write_samples(drawn, output) if output else []
    tell_replaced(written, before)
    if as_json:
        print_json([row.as_data(output) for row in drawn])
        return
    for path in written:
        click.echo(str(path))
    if len(written) < count:
        click.echo(f"of {count:,} draws {count - len(written):,} repeat another", err=True)
