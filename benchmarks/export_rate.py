"""Exports: do random architectures compute the same in the file, and how long does the export of Inception-v3 take?

    python benchmarks/export_rate.py -o benchmarks/export_rate.json [--architectures 2000] [--repeats 3] [--onnx 100]

Architectures of both spaces that ship, without weights of a training, are exported to ``python`` and compared as every
export is: logits in evaluation mode, and what a training step changes, in a process that cannot import this project;
50 of them share a process. Most have an eighth of their filters, and pictures little larger than the smallest that they
accept, so that thousands can be tried; every 50th is whole. With onnxruntime installed, some go to ``onnx`` too.
Seconds are those of Inception-v3 at 299 px with weights, from the content to the bytes of all files, the median of the
repeats; beside them the seconds of the proof. Ends with status 1 if any architecture fails.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from nas.doctor import hardware
from nas.export import written
from nas.export_networks import reference, to_train, trunk_of
from results.export.content import Content
from results.export.proof import Proof, judged, prove, question, reload
from search_spaces.errors import ExportFailed
from search_spaces.files import write_files
from search_spaces.proxy import scaled
from search_spaces.seeds import seed
from search_spaces.sides import sides_that_work
from search_spaces.space import space
from trainers.network import build

GROUP = 50
WHOLE = 50  # every so many keep all of their filters
SPACES = ("inception", "inception-free")


def contents() -> Iterator[Content]:
    """Random architectures, of both spaces by turns, at small sizes."""
    spaces = [space(name) for name in SPACES]
    number = 0
    while True:
        drawn = spaces[number % 2].sample(random_seed=number)
        architecture = drawn if number % WHOLE == 0 else scaled(drawn, 0.125)
        works = sides_that_work(architecture, aux=True)
        side = works[number % 16]
        yield Content(architecture.named(f"random-{number}"), 10, 3, (side, side))
        number += 1


def ask(form: str, content: Content, folder: Path, exchange: Path) -> Any:
    """Export one architecture, and run its network."""
    training = to_train(content)
    network = trunk_of(training, content) if form == "python" else reference(content)
    write_files(folder, written(content, form, network))
    return question(form, content, folder, network, training, exchange)


def tried(form: str, group: Sequence[Content]) -> tuple[list[Proof], list[str]]:
    """Proofs of a group, and what failed."""
    proofs: list[Proof] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder, exchange = Path(place) / "files", Path(place) / "exchange"
        exchange.mkdir()
        asked = [ask(form, content, folder, exchange) for content in group]
        try:
            reload([each.job for each in asked], exchange, "a group")
        except ExportFailed:  # which one it was shows when each has a process of its own
            if len(group) == 1:
                raise
            for content in group:
                try:
                    proofs += tried(form, [content])[0]
                except ExportFailed as error:
                    failed.append(f"{content.architecture.name}: {error}")
            return proofs, failed
        for each in asked:
            try:
                proofs.append(judged(each, exchange))
            except ExportFailed as error:
                failed.append(str(error))
    return proofs, failed


def compared(form: str, count: int) -> dict[str, Any]:
    """Try so many architectures in groups; return the largest differences and what failed."""
    drawn, began = contents(), time.perf_counter()
    proofs: list[Proof] = []
    failed: list[str] = []
    while group := list(islice(drawn, min(GROUP, count - len(proofs) - len(failed)))):
        good, bad = tried(form, group)
        proofs, failed = proofs + good, failed + bad
        if sys.stderr.isatty():
            print(f"\r{form}: {len(proofs)} of {count} proved", end="", file=sys.stderr)
    errors = sorted(proof.error for proof in proofs)
    steps = [proof.step_error for proof in proofs if proof.step_error is not None]
    return {
        "architectures": count,
        "failed": failed,
        "largest difference of logits": errors[-1],
        "median difference of logits": median(errors),
        "allowed": proofs[0].tolerance,
        **({"largest difference after a training step": max(steps)} if steps else {}),
        "seconds": round(time.perf_counter() - began, 1),
    }


def inception_v3(form: str, repeats: int) -> dict[str, Any]:
    """Seconds to export Inception-v3 with weights, and to prove it."""
    whole = seed("inception-v3")
    state = build(whole.graph(aux=True), initialise=0).state_dict()
    content = Content(whole, 1000, 3, whole.sides(None), state)
    training, network = to_train(content), reference(content)
    writing, proving = [], []
    with tempfile.TemporaryDirectory() as place:
        for _ in range(repeats):
            began = time.perf_counter()
            files = written(content, form, network)
            writing.append(time.perf_counter() - began)
            write_files(Path(place), files)
            began = time.perf_counter()
            proof = prove(form, content, Path(place), network, training)
            proving.append(time.perf_counter() - began)
    return {
        "seconds to export": round(median(writing), 2),
        "seconds to prove": round(median(proving), 2),
        "bytes": sum(map(len, files.values())),
        "proof": proof.as_data(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--architectures", type=int, default=2000)
    parser.add_argument("--onnx", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with_onnx = arguments.onnx > 0 and find_spec("onnxruntime") is not None
    forms = ("python", "pt2", "onnx") if with_onnx else ("python", "pt2")
    found: dict[str, Any] = {"machine": hardware()}
    found["Inception-v3"] = {form: inception_v3(form, arguments.repeats) for form in forms}
    found["random architectures"] = {"python": compared("python", arguments.architectures)}
    if with_onnx:
        found["random architectures"]["onnx"] = compared("onnx", arguments.onnx)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    sys.exit(any(entry["failed"] for entry in found["random architectures"].values()))


if __name__ == "__main__":
    main()
