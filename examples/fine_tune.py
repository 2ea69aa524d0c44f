"""Fine-tune an exported network on a folder of pictures, in plain PyTorch.

Needs torch, safetensors, numpy and Pillow. The pictures lie in one folder for each class, whose name is the class's:

    python fine_tune.py inception_v3.py flowers/ -o flowers.safetensors --epochs 10
    python load_in_pytorch.py inception_v3.py rose.jpg --weights flowers.safetensors

The network starts from its exported weights, with a last layer of its own for the new classes. A part of each class is
held back and never trained on: its error is printed after every epoch. The weights of the last epoch are written.
"""

import argparse
import importlib.util
import json
import math
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

MODES = {1: "L", 3: "RGB"}  # what Pillow calls pictures of so many channels
ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
DIVERGED = 1e4  # a loss or a logit beyond this
Sample = tuple[Path, int]  # a file and its class


def main() -> None:
    """Train, tell how it goes, and write the weights."""
    asked = arguments()
    torch.manual_seed(asked.random_seed)
    weights = asked.weights or asked.network.with_suffix(".safetensors")
    if asked.output.exists() and not asked.overwrite:
        raise stop(f"{asked.output} exists: name another file, or add --overwrite")
    if not asked.output.parent.is_dir():
        raise stop(f"{asked.output.parent} is not a folder: make it first")
    facts = metadata(weights)
    classes, samples = find_pictures(asked.pictures)
    training, validation = split(samples, asked.held_back, asked.random_seed)
    look = Look(facts, weights.name)
    network = build(run_source(asked.network), weights, facts, classes).to(asked.device)
    trained = freeze(network) if asked.freeze == "trunk" else list(network.parameters())
    print(f"{len(training):,} pictures to train on, {len(validation):,} held back, {len(classes)} classes")

    optimiser = torch.optim.SGD(
        trained, lr=asked.learning_rate, momentum=0.9, nesterov=True, weight_decay=asked.weight_decay
    )
    batches = loader(Pictures(training, look, varied=True), asked.batch_size, asked.workers)
    held_back = loader(Pictures(validation, look, varied=False), asked.batch_size, asked.workers)
    steps = asked.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    for epoch in range(1, asked.epochs + 1):
        loss = train_epoch(network, batches, optimiser, schedule, frozen=asked.freeze == "trunk")
        check(loss)
        error = error_of(network, held_back)
        print(f"epoch {epoch:3d}  loss {loss:.4f}  validation error {100 * error:.2f} %")
    told = {"data": asked.pictures.resolve().name, "validation error": f"{error:.4f}"}
    write(network, asked.output, facts_after(facts, weights.name, classes, told))
    print(f"{asked.output} written: load_in_pytorch.py takes it with --weights")


# ---------------------------------------------------------------------------------------------------------- the request


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Fine-tune an exported network on a folder of pictures, in plain PyTorch.",
        epilog="example: python fine_tune.py inception_v3.py flowers/ -o flowers.safetensors --epochs 10",
    )
    parser.add_argument("network", type=Path, help="the exported source, a .py file (it is run)")
    parser.add_argument("pictures", type=Path, help="a folder with one folder of pictures for each class")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace that file if it exists")
    parser.add_argument("--weights", type=Path, help="a .safetensors file; by default the one beside the source")
    parser.add_argument(
        "--freeze",
        choices=("nothing", "trunk"),
        default="nothing",
        help="trunk: only the last layer is trained, which suits few pictures (nothing)",
    )
    parser.add_argument("--epochs", type=positive, default=10, help="how often every picture is seen (10)")
    parser.add_argument("--batch-size", type=several, default=32, help="pictures of one step, two or more (32)")
    parser.add_argument("--learning-rate", type=rate, default=0.01, help="of the first step; it falls to 0 (0.01)")
    parser.add_argument("--weight-decay", type=rate, default=1e-4, help="pull of the weights towards 0 (0.0001)")
    parser.add_argument("--held-back", type=share, default=0.2, help="share of each class for validation (0.2)")
    parser.add_argument("--workers", type=count, default=0, help="processes that read pictures (0: this one)")
    parser.add_argument("--random-seed", type=int, default=0, help="of the split, the order and the last layer (0)")
    parser.add_argument("--device", type=device, default="cpu", help="where it runs: cpu, cuda, mps (cpu)")
    return parser.parse_args()


def positive(text: str, least: int = 1) -> int:
    """A whole number from ``least`` on."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def count(text: str) -> int:
    """A whole number from 0 on."""
    return positive(text, 0)


def several(text: str) -> int:
    """A whole number from 2 on: batch norms need two pictures."""
    return positive(text, 2)


def rate(text: str) -> float:
    """A number from 0 on."""
    return number(text, 0, math.inf, "a number from 0 on")


def share(text: str) -> float:
    """A share between 0 and 1."""
    return number(text, 0.01, 0.9, "a share from 0.01 to 0.9")


def number(text: str, least: float, most: float, allowed: str) -> float:
    """A number within bounds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (least <= value <= most and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {allowed}")
    return value


def device(text: str) -> torch.device:
    """A device that computes here."""
    try:
        torch.zeros(1, device=text).item()
    except (RuntimeError, AssertionError, ImportError):  # the latter two where torch was built without it
        raise argparse.ArgumentTypeError(f"{text!r} is no device that torch has here: name cpu, cuda or mps") from None
    return torch.device(text)


def stop(sentence: str) -> SystemExit:
    """What ends the program with a sentence."""
    return SystemExit(f"{Path(sys.argv[0]).name}: {sentence}")


# --------------------------------------------------------------------------------------------------------- the pictures


def find_pictures(folder: Path) -> tuple[list[str], list[Sample]]:
    """Return the classes in order of their names, and every picture with its class."""
    folders = sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    if len(folders) < 2:
        raise stop(f"folders found in {folder}: {len(folders)}; two or more are needed, one of pictures for each class")
    samples: list[Sample] = []
    for label, each in enumerate(folders):
        found = sorted(path for path in each.rglob("*") if path.suffix.lower() in ENDINGS)
        if len(found) < 2:
            raise stop(f"pictures found in {each}: {len(found)}; two or more are needed, to train on and to hold back")
        samples += [(path, label) for path in found]
    return [each.name for each in folders], samples


def split(samples: Sequence[Sample], held_back: float, random_seed: int) -> tuple[list[Sample], list[Sample]]:
    """Divide each class by chance: at least one picture on either side."""
    training: list[Sample] = []
    validation: list[Sample] = []
    for label in sorted({label for _, label in samples}):
        of_class = [sample for sample in samples if sample[1] == label]
        random.Random(f"{random_seed} {label}").shuffle(of_class)
        count = min(len(of_class) - 1, max(1, round(held_back * len(of_class))))
        validation += of_class[:count]
        training += of_class[count:]
    return training, validation


class Look:
    """What makes an input of a picture: size and channels, and (pixel - mean) / deviation, pixels from 0 to white."""

    def __init__(self, facts: dict[str, str], file: str) -> None:
        self.channels = int(facts.get("channels", 3))
        if self.channels not in MODES:
            raise stop(f"the network takes pictures of {self.channels} channels, and files have 1 or 3")
        height, _, width = facts.get("resolution", "299x299").partition("x")
        self.sides = int(height), int(width)
        if "resolution" not in facts:
            print(f"note: {file} has no resolution: pictures are made 299 x 299", file=sys.stderr)
        self.white, self.mean, self.deviation = 1.0, torch.zeros(1), torch.ones(1)
        if {"mean", "deviation", "white"} <= facts.keys():
            self.white = float(facts["white"])
            self.mean, self.deviation = (by_channel(facts[key]) for key in ("mean", "deviation"))
        else:
            print(f"note: {file} does not say how pictures are scaled: pixels go in from 0 to 1", file=sys.stderr)

    def picture(self, path: Path, *, varied: bool) -> Tensor:
        """Return the middle of a picture, or if ``varied`` a random part, mirrored by chance: float32 (C, H, W)."""
        try:
            with Image.open(path) as file:
                whole = ImageOps.exif_transpose(file).convert("RGBA")
        except (OSError, ValueError) as error:
            raise stop(f"{path} is not a picture that can be read: {error}") from None
        flat = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert(MODES[self.channels])
        size = (self.sides[1], self.sides[0])
        if varied:
            flat = flat.resize(size, Image.Resampling.BILINEAR, box=random_box(*flat.size))
            flat = ImageOps.mirror(flat) if chance() < 0.5 else flat
        fitted = ImageOps.fit(flat, size, Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(fitted)).reshape(*self.sides, self.channels).permute(2, 0, 1)
        return (pixels * (self.white / 255) - self.mean) / self.deviation


def by_channel(text: str) -> Tensor:
    """Read numbers between commas, as float32 (C, 1, 1)."""
    return torch.tensor([float(number) for number in text.split(",")])[:, None, None]


def random_box(width: int, height: int) -> tuple[float, float, float, float]:
    """Return a part of half to all of a picture's area, about as wide for its height as the picture is."""
    area, ratio = 0.5 + 0.5 * chance(), (3 / 4) ** (2 * chance() - 1)
    across = min(width, width * math.sqrt(area * ratio))
    down = min(height, height * math.sqrt(area / ratio))
    left, top = chance() * (width - across), chance() * (height - down)
    return left, top, left + across, top + down


def chance() -> float:
    """A random number from 0 to 1, by torch, which gives each worker its own."""
    return float(torch.rand(()))


class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures that are read when they are asked for."""

    def __init__(self, samples: Sequence[Sample], look: Look, *, varied: bool) -> None:
        self.samples, self.look, self.varied = samples, look, varied

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        return self.look.picture(path, varied=self.varied), label


def loader(pictures: Pictures, batch_size: int, workers: int) -> DataLoader[tuple[Tensor, int]]:
    """Batches in random order if the pictures are varied. One left over alone is left out: batch norms need two."""
    alone = pictures.varied and len(pictures) % batch_size == 1 and len(pictures) > 1
    return DataLoader(pictures, batch_size, shuffle=pictures.varied, num_workers=workers, drop_last=alone)


# ---------------------------------------------------------------------------------------------------------- the network


def metadata(weights: Path) -> dict[str, str]:
    """Return what stands beside the weights."""
    if not weights.is_file():
        raise stop(
            f"there is no file {weights}: an export without weights writes none; export with them, or name --weights"
        )
    try:
        with safe_open(weights, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        raise stop(f"{weights} is not a .safetensors file that can be read: name the weights with --weights") from None


def run_source(source: Path) -> ModuleType:
    """Run the exported source and return it as a module."""
    spec = importlib.util.spec_from_file_location(source.stem, source)
    if spec is None or spec.loader is None or not source.is_file():
        raise stop(f"{source} is not a Python file: name the source of an export")
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.stem] = module
    spec.loader.exec_module(module)
    return module


def build(module: ModuleType, weights: Path, facts: dict[str, str], classes: Sequence[str]) -> nn.Module:
    """Return the network for the new classes with all weights, the last layer's if the classes are the same."""
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    networks = [value for value in own if issubclass(value, nn.Module)]
    if not networks:
        raise stop(f"{module.__file__} has no network: name the source of an export")
    network: nn.Module = networks[-1](num_classes=len(classes), in_channels=int(facts.get("channels", 3)))
    # Auxiliary heads are of use in long trainings from scratch: here they are left out.
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("aux")}
    same = json.loads(facts.get("class_names", "[]")) == list(classes)
    last = () if same else tuple(f"{last_layer(network)[0]}.{part}" for part in ("weight", "bias"))
    expected = network.state_dict()
    wrong = [
        key
        for key in expected.keys() | state.keys()
        if key not in last and (key not in state or key not in expected or state[key].shape != expected[key].shape)
    ]
    if wrong:
        raise stop(f"{weights} does not fit {module.__file__} in {len(wrong)} places, {min(wrong)} among them")
    network.load_state_dict({key: expected[key] if key in last else state[key] for key in expected})
    return network


def last_layer(network: nn.Module) -> tuple[str, nn.Module]:
    """Return the layer that gives the logits, with its name."""
    return [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]


def freeze(network: nn.Module) -> list[nn.Parameter]:
    """Hold everything but the last layer; return its parameters."""
    network.requires_grad_(requires_grad=False)
    return list(last_layer(network)[1].requires_grad_().parameters())


# --------------------------------------------------------------------------------------------------------- the training


def train_epoch(
    network: nn.Module,
    batches: DataLoader[tuple[Tensor, int]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    *,
    frozen: bool,
) -> float:
    """Go once over all pictures; return the mean loss. A ``frozen`` trunk keeps the statistics of its norms, too."""
    network.train(not frozen)
    total, seen = 0.0, 0
    for pictures, labels in on_device(network, batches):
        loss = F.cross_entropy(network(pictures), labels, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total, seen = total + float(loss.detach()) * len(labels), seen + len(labels)
    return total / seen


def check(size: float) -> None:
    """End a training whose loss or logits are beyond all measure, or no number."""
    if not size < DIVERGED:
        raise stop(f"the training diverged, to {size:.3g}: take a smaller --learning-rate")


@torch.inference_mode()
def error_of(network: nn.Module, batches: DataLoader[tuple[Tensor, int]]) -> float:
    """Return the share of pictures whose most probable class is not theirs."""
    network.eval()
    wrong, seen = 0, 0
    for pictures, labels in on_device(network, batches):
        logits = network(pictures)
        check(float(logits.abs().max()))
        wrong += int((logits.argmax(dim=1) != labels).sum())
        seen += len(labels)
    return wrong / seen


def on_device(network: nn.Module, batches: DataLoader[tuple[Tensor, int]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the batches where the network is."""
    device = next(network.parameters()).device
    for pictures, labels in batches:
        yield pictures.to(device), torch.as_tensor(labels).to(device)


def facts_after(facts: dict[str, str], start: str, classes: Sequence[str], told: dict[str, str]) -> dict[str, str]:
    """Return what holds after a training of weights with these facts, from the file ``start``.

    Other data were seen, and other classes come out: the digest of the data goes, and what was told before is told as
    that from which the training started; ``told`` is what is known now.
    """
    kept = ("format", "name", "digest", "stands_for", "architecture", "channels", "resolution", "caution")
    known = {key: facts[key] for key in (*kept, "mean", "deviation", "white") if key in facts}
    before = json.loads(facts.get("provenance", "{}"))
    found = {"architecture": before.pop("architecture")} if "architecture" in before else {}
    said = "; ".join(f"{key} {value}" for key, value in before.items())
    found |= {"fine-tuned from": f"{start}{f' ({said[:1000]})' if said else ''}", **told}
    known |= {"provenance": json.dumps(found), "classes": str(len(classes))}
    return known | {"class_names": json.dumps(list(classes), ensure_ascii=False)}


def write(network: nn.Module, output: Path, facts: dict[str, str]) -> None:
    """Write the weights with the facts; whole or not at all."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    draft = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        draft.write_bytes(save(state, facts))
        draft.replace(output)
    except (OSError, SafetensorError) as error:
        raise stop(f"{output} cannot be written: {error}") from None
    finally:
        draft.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
