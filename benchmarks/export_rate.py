"""Exports: do random architectures compute the same in the file, and how long does the export of Inception-v3 take?

    python benchmarks/export_rate.py -o benchmarks/export_rate.json [--architectures 2000] [--repeats 3] [--processes 2]

Architectures of both spaces that ship, without weights of a training, are exported to ``python`` and compared as every
export is: logits in evaluation mode, and what a training step changes, in a process that cannot import this project;
50 of them share a process. Most have an eighth of their filters, and pictures little larger than the smallest that they
accept, so that thousands can be tried; every 50th is whole. ``processes``: groups that are tried at once, each with one
thread. The file is written after every group. (``onnx_rate.py`` does the same for ONNX.)
Seconds are those of Inception-v3 at 299 px with weights, from the content to the bytes of all files, the median of the
repeats; beside them the seconds of the proof. Ends with status 1 if any architecture fails.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from nas.doctor import hardware
from nas.export import written
from nas.export_networks import reference, to_train, trunk_of
from results.export.content import Content
from results.export.proof import Proof, Question, judged, prove, question, reload
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


def random_content(number: int) -> Content:
    """A random architecture, of both spaces by turns, at a small size."""
    drawn = space(SPACES[number % 2]).sample(random_seed=number)
    architecture = drawn if number % WHOLE == 0 else scaled(drawn, 0.125)
    side = sides_that_work(architecture, aux=True)[number % 16]
    return Content(architecture.named(f"random-{number}"), 10, 3, (side, side))


def ask(content: Content, folder: Path, exchange: Path) -> Question:
    """Export one architecture, and run its network."""
    training = to_train(content)
    write_files(folder, written(content, "python"))
    return question("python", content, folder, trunk_of(training, content), training, exchange)


def tried(numbers: Sequence[int]) -> tuple[list[Proof], list[str]]:
    """Proofs of a group, and what failed."""
    torch.set_num_threads(1)
    return _tried([random_content(number) for number in numbers])


def _tried(group: Sequence[Content]) -> tuple[list[Proof], list[str]]:
    proofs: list[Proof] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder, exchange = Path(place) / "files", Path(place) / "exchange"
        exchange.mkdir()
        asked = [ask(content, folder, exchange) for content in group]
        try:
            reload([each.job for each in asked], exchange, "a group")
        except ExportFailed:  # which one it was shows when each has a process of its own
            if len(group) == 1:
                raise
            for content in group:
                try:
                    proofs += _tried([content])[0]
                except ExportFailed as error:
                    failed.append(f"{content.architecture.name}: {error}")
            return proofs, failed
        for each in asked:
            try:
                proofs.append(judged(each, exchange))
            except ExportFailed as error:
                failed.append(str(error))
    return proofs, failed


def compared(count: int, processes: int) -> Iterator[dict[str, Any]]:
    """Try so many architectures in groups; yield the largest differences and what failed after each group."""
    began = time.perf_counter()
    proofs: list[Proof] = []
    failed: list[str] = []
    groups = [range(first, min(first + GROUP, count)) for first in range(0, count, GROUP)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for good, bad in pool.map(tried, groups):
            proofs, failed = proofs + good, failed + bad
            print(f"{len(proofs)} of {count} proved, {len(failed)} failed", flush=True)
            errors = [proof.error for proof in proofs]
            yield {
                "architectures": len(proofs) + len(failed),
                "failed": failed,
                "largest difference of logits": max(errors),
                "median difference of logits": median(errors),
                "allowed": proofs[0].tolerance,
                "largest difference after a training step": max(proof.step_error or 0.0 for proof in proofs),
                "allowed after a training step": proofs[0].step_tolerance,
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
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"machine": hardware()}
    found["Inception-v3"] = {form: inception_v3(form, arguments.repeats) for form in ("python", "pt2")}
    print(json.dumps(found["Inception-v3"], indent=1), flush=True)
    for entry in compared(arguments.architectures, arguments.processes):
        found["random architectures"] = entry
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(bool(found["random architectures"]["failed"]))


if __name__ == "__main__":
    main()
