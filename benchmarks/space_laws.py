"""The laws of the search spaces on many random points: what the tests try a few hundred times, on 10,000 and more.

    python benchmarks/space_laws.py -o benchmarks/space_laws.json [--points 10000]

For each space that ships, and for each point: decoding never refuses; the architecture keeps every principle and rule
that is built in; ``decode(encode(a)) == a``; a mutation and a crossover with the point before lie inside and keep them
too; the digest does not change when parallel towers change places, and changes when the architecture does. Balance is
screened and not built in: the share of points that keep it is noted. Ends with status 1 if any law is broken once.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_spaces.architecture import Architecture, Module
from search_spaces.genes import Gene
from search_spaces.principles import NAMES, RULES
from search_spaces.space import SearchSpace, space

BUILT_IN = {*NAMES, *RULES} - {"balance"}


def turned(architecture: Architecture, source: random.Random) -> Architecture:
    """The same architecture with the towers of every module in another order."""

    def turn(module: Module) -> Module:
        return Module(tuple(source.sample(module.towers, len(module.towers))))

    stages = tuple(
        replace(
            stage,
            modules=tuple(turn(module) for module in stage.modules),
            reduction=turn(stage.reduction) if stage.reduction else None,
        )
        for stage in architecture.stages
    )
    return replace(architecture, stages=stages)


def point(searched: SearchSpace, source: random.Random) -> dict[str, Any]:
    """A point of the box; some have many values on its border, where rounding goes wrong."""
    share = source.choice([0.0, 0.0, 0.1, 0.5, 1.0])

    def value(gene: Gene) -> Any:
        return source.choice([0.0, 1.0]) if gene.is_width and source.random() < share else gene.sample(source)

    return {gene.name: value(gene) for gene in searched.genes}


def laws(searched: SearchSpace, points: int) -> dict[str, Any]:
    source = random.Random(0)
    broken: Counter[str] = Counter()
    screened = 0
    digests: dict[str, Architecture] = {}
    before = searched.sample(source)
    start = time.perf_counter()
    for i in range(points):
        architecture = searched.decode(point(searched, source))
        mutant = searched.mutate(architecture, source, genes=source.choice([1, 3, 10]))
        child = searched.crossover(before, architecture, source)
        for found in (architecture, mutant, child):
            violated = {finding.name for finding in searched.audit(found).violations}
            broken.update(f"built in: {name}" for name in violated & BUILT_IN)
            broken["decode(encode(a)) == a"] += searched.decode(searched.encode(found)) != found
        screened += "balance" in {finding.name for finding in searched.audit(architecture).violations}
        broken["digest whatever the order of towers"] += turned(architecture, source).digest != architecture.digest
        for found in (architecture, mutant):
            broken["different digests if different"] += digests.setdefault(found.digest, found) != found
        before = architecture
        if sys.stderr.isatty() and i % 100 == 0:
            print(f"\r{searched.name}: {i} of {points}", end="", file=sys.stderr)
    return {
        "points": points,
        "seconds": round(time.perf_counter() - start, 1),
        "broken": {name: count for name, count in broken.items() if count},
        "balanced": round(1 - screened / points, 3),
        "distinct digests": len(digests),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--points", type=int, default=10_000)
    arguments = parser.parse_args()
    found = {name: laws(space(name), arguments.points) for name in ("inception", "inception-free")}
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    sys.exit(any(entry["broken"] for entry in found.values()))


if __name__ == "__main__":
    main()
