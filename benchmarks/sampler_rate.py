"""How long samplers take for a proposal as the finished trials of a search grow, in the real ``inception`` space.

    python benchmarks/sampler_rate.py -o benchmarks/sampler_rate.json [--samplers nsga2,gp] [--finished 500 5000]

A sampler is told so many finished trials of two objectives (uniform random points, of which some break a limit;
the errors are random numbers: nothing is trained), as a search that is resumed does, which is timed in all. Then
it proposes, and is told what its proposal came to, turn and turn about: given are the median and the 95 % quantile of
proposals and tellings together, and of the yardstick, a uniform random draw. The file is written after each sampler.
"""

import argparse
import json
import random
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from nas.doctor import hardware
from nas.samplers.contract import Sampler
from nas.samplers.named import named_sampler
from nas.samplers.options import SAMPLERS
from search_spaces.cost import cost
from search_spaces.genes import Genes
from search_spaces.space import SearchSpace, space

LIMIT = 6e9
OBJECTIVES = ("error", "macs")


class Trials:
    """Finished trials of a space: each uniform random, so that all samplers are told the same ones."""

    def __init__(self, searched: SearchSpace) -> None:
        self.searched, self.source = searched, random.Random(0)

    def told(self, genes: Genes) -> tuple[dict[str, float], dict[str, float]]:
        """Return values and violations of a point."""
        macs = float(cost(self.searched.decode(genes), 299).macs)
        excess = macs / LIMIT - 1
        return {"error": self.source.random(), "macs": macs}, {"macs": excess}

    def drawn(self) -> Genes:
        return {gene.name: gene.sample(self.source) for gene in self.searched.genes}


def measure(name: str, searched: SearchSpace, history: list[Any], proposals: int) -> dict[str, Any]:
    """Tell a sampler a history, then let it propose."""
    sampler: Sampler = named_sampler(SAMPLERS[name](), searched, OBJECTIVES, 0)
    started = time.perf_counter()
    for number, (genes, values, violations) in enumerate(history):
        sampler.tell(number, genes, values, violations)
    told = time.perf_counter() - started
    trials, seconds = Trials(searched), list[float]()
    for number in range(len(history), len(history) + proposals):
        started = time.perf_counter()
        genes = sampler.propose(number)
        taken = time.perf_counter() - started
        values, violations = trials.told(genes)
        started = time.perf_counter()
        sampler.tell(number, genes, values, violations)
        seconds.append(taken + time.perf_counter() - started)
    return {
        "median_ms": round(1e3 * median(seconds), 3),
        "quantile_95_ms": round(1e3 * quantiles(seconds, n=20)[-1], 3),
        "told_again_s": round(told, 3),
        "proposals": proposals,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--samplers", default=",".join(SAMPLERS), help="names, with commas between them")
    parser.add_argument("--finished", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--proposals", type=int, default=200)
    parser.add_argument("--slow", type=int, default=5, help="proposals of a sampler that takes over a second for one")
    given = parser.parse_args()
    searched, data = space("inception"), {"hardware": hardware(), "samplers": dict[str, Any]()}
    trials, history = Trials(searched), []
    for _ in range(max(given.finished)):
        genes = trials.drawn()
        history.append((genes, *trials.told(genes)))
    for name in given.samplers.split(","):
        for finished in given.finished:
            first = measure(name, searched, history[:finished], given.slow)
            quick = first["median_ms"] < 1000
            row = measure(name, searched, history[:finished], given.proposals) if quick else first
            data["samplers"].setdefault(name, {})[str(finished)] = row
            print(f"{name:<10} {finished:>6} finished: {row['median_ms']:10.2f} ms a proposal", flush=True)
            given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
