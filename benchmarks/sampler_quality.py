"""Which sampler finds the better front at equal numbers of trials, on test problems over the real ``inception`` space.

    python benchmarks/sampler_quality.py -o benchmarks/sampler_quality.json [--samplers random,gp] [--trials 1000]

The space, its decoding, the multiply-adds (the second objective), the audit of the principles and the limit of 6e9
multiply-adds are those of a search, and so is what is done with proposals: what breaks a limit is told to the sampler
and takes no trial, and neither does an architecture that was tried before. The first trial is Inception-v3.

The *error* is a test problem, and no claim about any architecture's accuracy: nothing is trained. It falls with the
multiply-adds, and rises with the distance from a hidden architecture. Two characters:

- ``smooth``: every gene by itself adds to the distance, a few of them most of it; widths by the square of how far off
  they are.
- ``rugged``: what a gene adds depends on two other genes through a table of random numbers (Kauffman's NK landscapes),
  so that many good architectures have nothing in common.

An instance draws weights, tables and the hidden architecture anew; all samplers meet the same instances, with the
instance's number as the random seed. Given are quartiles over the instances of the hypervolume after so many trials, as
a share of the box from 0 to error 1 and to the limit of multiply-adds, and in how many instances it was more than that
of ``random`` at the same number of trials. The file is written after each sampler.
"""

import argparse
import json
import math
import random
from collections.abc import Callable
from multiprocessing import Pool
from pathlib import Path
from statistics import quantiles
from typing import Any

from nas.config import SearchConfig
from nas.doctor import hardware
from nas.samplers.named import named_sampler
from nas.samplers.options import SAMPLERS
from nas.screening import Screen
from results.outcome import Outcome, TrialRecord
from results.pareto import hypervolume
from search_spaces.architecture import Architecture
from search_spaces.genes import Gene, Genes
from search_spaces.seeds import seed
from search_spaces.space import SearchSpace, space

LIMIT = 6e9
OBJECTIVES = ("error", "macs")
CHECKPOINTS = (24, 50, 100, 300, 1000)
QUICK = [name for name in SAMPLERS if name != "gp"]
MOST = {"gp": 100}  # trials, where more would take hours
GIVE_UP = 500
Problem = Callable[[Architecture, float], float]


def place(gene: Gene, value: float | int | str) -> float:
    """A gene's value as a number from 0 to 1."""
    if gene.is_width:
        return float(value)
    return gene.choices.index(value) / (len(gene.choices) - 1)  # type: ignore[arg-type]


def capacity(macs: float) -> float:
    """The part of the error that falls with the multiply-adds, down to 0.1 at the limit."""
    return 0.1 * (macs / LIMIT) ** -0.7


def smooth(searched: SearchSpace, source: random.Random) -> Problem:
    hidden = searched.encode(searched.sample(source))
    weights = {gene.name: source.random() ** 4 for gene in searched.genes}
    whole = sum(weights.values())

    def error(architecture: Architecture, macs: float) -> float:
        genes = searched.encode(architecture)
        off = 0.0
        for gene in searched.genes:
            if gene.is_width or gene.ordered:
                off += weights[gene.name] * (place(gene, genes[gene.name]) - place(gene, hidden[gene.name])) ** 2
            else:
                off += weights[gene.name] * (genes[gene.name] != hidden[gene.name])
        return min(1.0, capacity(macs) + 1.2 * off / whole)

    return error


def rugged(searched: SearchSpace, source: random.Random) -> Problem:
    genes = searched.genes
    neighbours = [source.sample(range(len(genes)), 2) for _ in genes]
    salt = source.getrandbits(64)

    def level(genes_of: Genes, index: int) -> int:
        gene = genes[index]
        if gene.is_width:
            return min(3, int(float(genes_of[gene.name]) * 4))
        return gene.choices.index(genes_of[gene.name])  # type: ignore[arg-type]

    tables: dict[tuple[int, ...], float] = {}

    def entry(key: tuple[int, ...]) -> float:
        if key not in tables:
            tables[key] = random.Random(f"{salt} {key}").random()
        return tables[key]

    def error(architecture: Architecture, macs: float) -> float:
        found = searched.encode(architecture)
        levels = [level(found, index) for index in range(len(genes))]
        mean = sum(entry((i, levels[i], *(levels[j] for j in neighbours[i]))) for i in range(len(genes))) / len(genes)
        return min(1.0, max(0.02, capacity(macs) + 3 * (mean - 0.38)))

    return error


PROBLEMS = {"smooth": smooth, "rugged": rugged}


class Run:
    """One search of a sampler on one instance of a problem."""

    def __init__(self, name: str, problem: str, instance: int, opened: int, options: dict[str, Any]) -> None:
        self.searched, self.opened = space("inception"), opened
        limits = {"study": "s", "data": "digits", "trials": 1, "limits": {"macs": LIMIT}, "target": {"classes": 1000}}
        self.screen = Screen(SearchConfig.from_data(limits), self.searched, 1000)
        self.error = PROBLEMS[problem](self.searched, random.Random(f"{problem} {instance}"))
        self.sampler = named_sampler(SAMPLERS[name](**options), self.searched, OBJECTIVES, instance)
        self.known: dict[str, TrialRecord] = {}
        self.values: list[tuple[float, float]] = []
        self.number = self.screened = self.twins = 0

    def until(self, trials: int) -> None:
        """Go on until so many are trained."""
        waiting: list[tuple[int, Genes, dict[str, float], dict[str, float]]] = []
        if not self.values:
            self._tell(self._judged(seed("inception-v3"), self.searched.encode(seed("inception-v3")), "seed"))
        in_vain = 0
        while len(self.values) + len(waiting) < trials and in_vain < GIVE_UP:
            genes = self.sampler.propose(self.number)
            told = self._judged(self.searched.decode(genes), genes, "sampler")
            if told is None:
                in_vain += 1
                continue
            in_vain = 0
            waiting.append(told)
            if len(waiting) == self.opened:
                self._tell(waiting.pop(0))
        for told in waiting:
            self._tell(told)

    def _judged(
        self, architecture: Architecture, genes: Genes, origin: Any
    ) -> tuple[int, Genes, dict[str, float], dict[str, float]] | None:
        """Judge a proposal as a search does; one that is not trained is told at once."""
        trial = self.screen.judge(self.number, architecture, genes, origin, self.known.get(architecture.digest))
        self.number += 1
        macs = float(trial.costs["macs"])
        if trial.outcome is Outcome.RUNNING:
            self.known[architecture.digest] = trial
            return trial.number, genes, {"error": self.error(architecture, macs), "macs": macs}, dict(trial.violations)
        values = {"macs": macs}
        if trial.outcome is Outcome.DUPLICATE:
            self.twins += 1
            genes = self.known[architecture.digest].genes or genes
            values["error"] = self.error(architecture, macs)
        else:
            self.screened += 1
        self.sampler.tell(trial.number, genes, values, trial.violations)
        return None

    def _tell(self, told: tuple[int, Genes, dict[str, float], dict[str, float]] | None) -> None:
        assert told is not None, "Inception-v3 is a seed: it is never set aside"
        number, genes, values, violations = told
        self.sampler.tell(number, genes, values, violations)
        self.values.append((values["error"], values["macs"]))

    def share(self, trials: int) -> float:
        """The hypervolume of the first trials as a share of the box."""
        points = [[error, macs / LIMIT] for error, macs in self.values[:trials]]
        return hypervolume(points, [1.0, 1.0], ["minimize", "minimize"])


def one(job: tuple[str, str, int, int, int, dict[str, Any]]) -> dict[str, Any]:
    name, problem, instance, most, opened, options = job
    run = Run(name, problem, instance, opened, options)
    run.until(most)
    return {
        "shares": {str(count): run.share(count) for count in CHECKPOINTS if count <= len(run.values)},
        "screened": run.screened,
        "twins": run.twins,
        "trials": len(run.values),
    }


def of_sampler(found: list[dict[str, Any]], base: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Quartiles over instances, and how often more than by the sampler to compare with."""
    after: dict[str, Any] = {}
    for count in map(str, CHECKPOINTS):
        shares = [each["shares"][count] for each in found if count in each["shares"]]
        if len(shares) < len(found):
            continue
        after[count] = {"quartiles": [round(value, 4) for value in quantiles(shares, n=4)]}
        if base:
            after[count]["more_than_random"] = sum(
                share > other["shares"][count] for share, other in zip(shares, base, strict=True)
            )
    return {
        "hypervolume_after": after,
        "screened_per_trial": round(math.fsum(each["screened"] / each["trials"] for each in found) / len(found), 3),
        "twins_per_trial": round(math.fsum(each["twins"] / each["trials"] for each in found) / len(found), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--samplers", default=",".join(QUICK), help="names, with commas between them; gp takes hours")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--open", type=int, default=1, help="trials that run at once")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON: options that replace defaults")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    data: dict[str, Any] = {
        "hardware": hardware(),
        "instances": given.instances,
        "trials_at_once": given.open,
        "limit_of_macs": LIMIT,
        "gp_stops_after": MOST["gp"],
        "problems": {},
    }
    if given.options:
        data["options"] = given.options
    names = sorted(given.samplers.split(","), key=lambda name: name != "random")
    with Pool(given.processes) as pool:
        for problem in given.problems.split(","):
            answers = data["problems"][problem] = {}
            base = None
            for name in names:
                most = min(given.trials, MOST.get(name, given.trials))
                jobs = [(name, problem, i, most, given.open, given.options) for i in range(given.instances)]
                found = pool.map(one, jobs, chunksize=1)
                base = found if name == "random" else base
                answers[name] = of_sampler(found, base)
                given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
                quartiles_at = {count: each["quartiles"] for count, each in answers[name]["hypervolume_after"].items()}
                print(problem, name, json.dumps(quartiles_at), answers[name]["screened_per_trial"], flush=True)


if __name__ == "__main__":
    main()
