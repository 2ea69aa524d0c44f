"""Commands that look at architectures and spaces, and take networks away and in."""

import sys
from functools import partial
from pathlib import Path
from typing import get_args

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
from results.export.deployment import FORMS, Deployment, Precision
from search_spaces.errors import RequestError
from search_spaces.operations import MAX_WIDTH


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


@click.command()
@ARCH
@click.option("--to", type=click.Choice(FORMS), help="The form to write.")
@click.option("--bundle", is_flag=True, help="All forms in one new folder, with a manifest of hashes and proofs.")
@click.option("-o", "--output", type=NewFolder(), required=True, metavar="DIR", help="Folder for the files.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of a trial or a training to take along.")
@click.option(
    "--classes", type=Whole(2, MAX_WIDTH), help="Classes of the last layer; those of the weights by default, or 1000."
)
@click.option("--full", is_flag=True, help="A trial's architecture at full width, without the weights of its proxy.")
@click.option(
    "--fold-bn", is_flag=True, help="Fold batch norms into the convolutions: an architecture of its own, for inference."
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="float32",
    show_default=True,
    help="Of weights and arithmetic, for onnx and pt2. bfloat16 is of pt2; int8 is of onnx, and wants --fold-bn where "
    "there are batch norms.",
)
@click.option("--channels-last", is_flag=True, help="Channels last in memory, for pt2: often quicker on CPUs and GPUs.")
@click.option("--pixels", is_flag=True, help="Pixels from 0 to white go in and the file scales them; for onnx and pt2.")
@click.option(
    "--data",
    metavar="DATA",
    help="Pictures for int8-static and for comparing, as in a search file; those of the training by default.",
)
@JSON
@RUNS
def export(
    arch: str,
    to: str | None,
    bundle: bool,
    output: Path,
    weights: Path | None,
    classes: int | None,
    full: bool,
    fold_bn: bool,
    precision: Precision,
    channels_last: bool,
    pixels: bool,
    data: str | None,
    as_json: bool,
    runs: Runs,
) -> None:
    """Take an architecture away: as source, weights, a program, an architecture file or a model card.

    \b
    python       one file that imports only torch, and the weights
    safetensors  the weights alone; of torchvision's layouts under its names too
    onnx         for onnxruntime and others ('pip install inception-nas[onnx]')
    pt2          a program of torch.export
    yaml         the architecture file: alone what was found, in a trial's bundle the proxy that was trained
    card         a model card with figures

    A complete trial of a study comes with the weights of its proxy. What runs is proved before it is put in its place:
    a fresh process without this project reloads it, and it must compute what the network computes. What the options
    --fold-bn, --precision, --channels-last and --pixels cost and bring is measured beside the plain export.

    \b
    Examples:
      nas export inception-v3 --to python -o out
      nas export digits:7 --to python -o out           the proxy that was trained, with its weights
      nas export digits:7 --to python --full -o out    the architecture at full width
      nas export digits:7 --bundle -o digits-7         every form, with a manifest
      nas export digits:7 --to onnx --fold-bn -o out   convolutions with a bias in place of batch norms
      nas export digits:7 --to onnx --fold-bn --precision int8-static --pixels -o out
      nas export digits:7 --to pt2 --precision bfloat16 --channels-last -o out
      nas export inception-v3 --to pt2 --weights best.safetensors -o out
    """
    from nas.config import parse_data
    from nas.export_request import Asked, export_asked
    from nas.study import find
    from nas.waiting import show_bar, working

    if (to is not None) == bundle:
        raise RequestError("one form or all of them: give either --to FORM or --bundle")
    if to == "yaml" and classes is not None:
        raise RequestError("--classes is of the last layer, which an architecture file leaves open: leave it out")
    asked = Asked(
        form=to,
        weights=weights,
        classes=classes,
        full=full,
        fold_bn=fold_bn,
        deployment=Deployment(precision, channels_last, pixels),
        data=parse_data(data) if data is not None else None,
    )
    asked.check()
    found, before, told = find(arch, runs), files_in(output), list[str]()
    terminal = console(error=True)
    with working(terminal, f"exporting {found.architecture.name}", slow=to not in ("yaml", "card")) as started:
        decoding = partial(show_bar, terminal, done="pictures decoded", before=started)
        content, done = export_asked(arch, found, asked, output, told.append, decoding)
    if as_json:
        print_json({**done.as_data(), "caution": content.caution or None})
    else:
        for path in done.files:
            click.echo(str(path))
    tell_replaced(done.files, before)
    for sentence in told:
        click.echo(sentence, err=True)
    if content.caution:
        click.echo(f"note: {content.caution}", err=True)


@click.command("import-weights")
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
    "-o",
    "--output",
    type=NewFile("weights.safetensors"),
    required=True,
    metavar="FILE.safetensors",
    help="What to write.",
)
@RUNS
def import_weights(arch: str, source: Path, output: Path, runs: Runs) -> None:
    """Take over weights of torchvision's or timm's networks, or of an exported file.

    They are checked whole and renamed; nothing in the file is executed. What an exported or fine-tuned file says of
    pictures, classes and data goes along. torchvision's released weights were trained on pictures scaled to -1 to 1
    (its transform_input): scale pictures so for the network that loads them.

    \b
    Examples:
      nas import-weights inception-v3 --from inception_v3.pth -o inception-v3.safetensors
      nas import-weights out/digits-7-proxy.yaml --from tuned.safetensors -o proxy.safetensors
      nas export inception-v3 --to python --weights inception-v3.safetensors -o out
    """
    from nas.import_weights import import_weights as take
    from nas.waiting import working

    before = files_in(output.parent)
    with working(console(error=True), f"reading and checking {source}"):
        imported = take(arch, source, output, runs)
    click.echo(imported.sentence, err=True)
    tell_replaced([output], before)
    click.echo(str(output))
