"""Commands that take networks away, and weights in."""

from functools import partial
from pathlib import Path
from typing import get_args

import click

from nas.cli_options import ARCH, JSON, RUNS, NewFile, NewFolder, Whole, console, files_in, print_json, tell_replaced
from nas.runs import Runs
from results.export.deployment import FORMS, Deployment, Precision
from search_spaces.errors import RequestError
from search_spaces.operations import MAX_WIDTH


@click.command()
@ARCH
@click.option("--to", type=click.Choice(FORMS), help="The form to write.")
@click.option("--bundle", is_flag=True, help="All forms, ONNX too, in one new folder, with a manifest.")
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
    from nas.export_content import in_full
    from nas.export_request import Asked, export_asked
    from nas.interrupt import Interrupt, give_up
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
    found, before, terminal = find(arch, runs), files_in(output), console(error=True)
    tell = partial(terminal.print, markup=False, highlight=False, soft_wrap=True)
    slow = to not in ("yaml", "card") or asked.compares
    with Interrupt(give_up), working(terminal, f"exporting {found.architecture.name}", slow=slow) as waiting:
        decoding = partial(show_bar, terminal, done="pictures decoded", before=waiting.end)
        content, done = export_asked(arch, found, asked, output, tell, waiting.say, decoding)
    if as_json:
        print_json({**done.as_data(), "caution": content.caution or None})
    else:
        for path in done.files:
            click.echo(str(path))
    tell_replaced(done.files, before)
    if content.caution:
        tell(f"note: {content.caution}{in_full(found, content)}")


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
@click.option(
    "--scaling",
    type=click.Choice(("inception", "imagenet")),
    help="How pictures were scaled for weights that do not say it: -1 to 1 (assumed of torchvision's and timm's), or "
    "by mean and deviation of ImageNet.",
)
@RUNS
def import_weights(arch: str, source: Path, output: Path, scaling: str | None, runs: Runs) -> None:
    """Take over weights of torchvision's or timm's networks, or of an exported file.

    They are checked whole and renamed; nothing in the file is executed. What an exported or fine-tuned file says of
    pictures, classes and data goes along. Others do not say how pictures were scaled for them: -1 to 1 is assumed, as
    torchvision's released weights have it (its transform_input), and said so; --scaling states another.

    \b
    Examples:
      nas import-weights inception-v3 --from inception_v3.pth -o inception-v3.safetensors
      nas import-weights out/digits-7-proxy.yaml --from tuned.safetensors -o proxy.safetensors
      nas import-weights inception-v3 --from gluon.safetensors --scaling imagenet -o inception-v3.safetensors
      nas export inception-v3 --to python --weights inception-v3.safetensors -o out
    """
    from nas.import_weights import import_weights as take
    from nas.waiting import working

    before = files_in(output.parent)
    with working(console(error=True), f"reading and checking {source}"):
        imported = take(arch, source, output, runs, scaling)
    click.echo(imported.sentence, err=True)
    tell_replaced([output], before)
    click.echo(str(output))
