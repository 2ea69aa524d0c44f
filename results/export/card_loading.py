"""How an exported network is loaded, for each file that lies beside a model card."""

from collections.abc import Iterator

from results.export.card_background import CardBackground, CardFile
from results.export.content import Content
from results.export.markdown import code, fenced
from search_spaces.seeds import seed, seed_names

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # what Pillow calls pictures of so many channels
_FULL = 255.0  # white, as Pillow has it
_ANSWERS = "answers = logits.argmax(1)  # of each picture the number of a class"
_NOT_SCALED = "# How pictures were scaled in the training is not known: here 0 (black) to 1 (white)."


def loading_passage(content: Content, background: CardBackground) -> list[str]:
    """Code that runs in the folder of the files."""
    shown = [block for block in (_python(content, background), _pt2(background), _onnx(background)) if block]
    pixels = [code(file.name) for file in background.files if file.pixels and file.own]
    lines = ["## How to load it", ""]
    yaml = background.file("yaml")
    if yaml:
        commands = f"`nas show {yaml}`, `nas train {yaml} ...`"
        lines += [f"`{yaml}` is the architecture as inception-nas reads it: {commands}.", ""]
    if not shown:
        return [*lines, *_without_files(content)]
    lines += ["A picture as input, `x` (float32):", "", *fenced("python", "\n".join(_picture(content))), ""]
    if pixels:
        take = (
            "takes pixels and scales them by itself" if len(pixels) == 1 else "take pixels and scale them by themselves"
        )
        lines += [f"{', '.join(pixels)} {take}: `pixels` goes in instead of `x`, from 0 (black) to white.", ""]
    for said, source in shown:
        lines += [said, "", *fenced("python", source), ""]
    return lines[:-1]


def _without_files(content: Content) -> Iterator[str]:
    """What to do where no file with the network lies beside the card."""
    forms = ", ".join(f"`--to {form}`" for form in ("python", "onnx"))
    yield (
        f"No file with the network lies beside this card: `nas export` of inception-nas writes one ({forms} or "
        "`--to pt2`, into this folder), and a card that is exported after it shows how it is loaded."
    )
    name = content.architecture.name
    if content.state is None and name in seed_names() and content.architecture == seed(name):
        build = f'network = nas.build(nas.load("{name}"), num_classes={content.classes})'
        yield from ("", "In inception-nas itself:", "", *fenced("python", f"import nas\n\n{build}"))


def _picture(content: Content) -> Iterator[str]:
    """As in the training: upright, on white, the middle, bilinear.

    numpy and Pillow alone, so that it serves all forms; other channels than Pillow knows are random numbers.
    """
    height, width = content.sides
    yield "import numpy as np"
    mode = _MODES.get(content.channels)
    scaling = content.scaling
    white = scaling.white if scaling is not None else 1.0
    if mode is None:
        yield ""
        yield f"pixels = {white!r} * np.random.rand(1, {content.channels}, {height}, {width}).astype(np.float32)"
    else:
        yield "from PIL import Image, ImageOps"
        yield ""
        yield 'picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGBA")'
        if mode != "RGBA":
            yield 'paper = Image.new("RGBA", picture.size, "white")'
            yield f'picture = Image.alpha_composite(paper, picture).convert("{mode}")'
        yield f"picture = ImageOps.fit(picture, ({width}, {height}), Image.Resampling.BILINEAR)"
        times = "" if white == _FULL else f" * {white / _FULL!r}" if white != 1 else " / 255"
        yield f"pixels = np.asarray(picture, dtype=np.float32).reshape({height}, {width}, {content.channels}){times}"
        yield "pixels = pixels.transpose(2, 0, 1)[None]"
    if scaling is None:
        yield _NOT_SCALED
        yield "x = pixels"
        return
    yield f"mean = np.array({list(scaling.mean)!r}, dtype=np.float32).reshape(-1, 1, 1)"
    yield f"deviation = np.array({list(scaling.deviation)!r}, dtype=np.float32).reshape(-1, 1, 1)"
    yield "x = (pixels - mean) / deviation"


def _python(content: Content, background: CardBackground) -> tuple[str, str] | None:
    source, weights = background.file("python"), background.file("safetensors")
    if not source:
        return None
    module, name = source.removesuffix(".py"), background.network_class
    lines = ["import torch", f"from {module} import {name}{', load_weights' if weights else ''}", ""]
    lines += [f"network = {name}().eval()"]
    if weights:
        lines.append(f'load_weights(network, "{weights}")')
    lines += ["with torch.inference_mode():", "    logits = network(torch.from_numpy(x))", _ANSWERS]
    needs = "torch and safetensors" if weights else "torch" if content.state is None else "torch, and a file of weights"
    return f"In plain PyTorch (needs {needs}):", "\n".join(lines)


def _pt2(background: CardBackground) -> tuple[str, str] | None:
    file = background.loadable("pt2")
    if file is None:
        return None
    lines = ["import torch", "", f'network = torch.export.load("{file.name}").module()', "with torch.inference_mode():"]
    return "As an exported program, without its source (needs torch):", "\n".join(
        [*lines, f"    logits = network(torch.from_numpy({_input(file)}))", _ANSWERS]
    )


def _onnx(background: CardBackground) -> tuple[str, str] | None:
    file = background.loadable("onnx")
    if file is None:
        return None
    lines = ["import onnxruntime", "", f'session = onnxruntime.InferenceSession("{file.name}")']
    lines.append(f"logits = session.run(None, {{session.get_inputs()[0].name: {_input(file)}}})[0]")
    lines.append(_ANSWERS)
    return "With ONNX Runtime (needs onnxruntime):", "\n".join(lines)


def _input(file: CardFile) -> str:
    """The name in the code of what a file takes."""
    return "pixels" if file.pixels else "x"
