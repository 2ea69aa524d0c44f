"""How many architectures a second are drawn, checked, counted and audited on one core, beside what the field has.

    python benchmarks/space_rate.py -o benchmarks/space_rate.json [--seconds 4] [--rounds 7]

Parts take turns, so that whatever else the machine does falls on all of them, and medians over the rounds are compared:

- this project's two spaces, per architecture: a sample; all of sample, exact params and multiply-adds, full audit and
  the check of both against the principles and a limit; the same with memory and auxiliary heads;
- ConfigSpace (``pip install configspace``), the fastest conditional peer known to us: bare configurations of about 30
  conditional dimensions, singly and in batches, with no cost and no check;
- params and multiply-adds of one Inception-v3 at 299 px: here, from an empty memory and from known towers, and by
  torch's flop counter on the meta device, the fastest general counter known to us;
- calls of an empty function: how fast the interpreter is. Its build matters by a quarter or so, and what a build says
  of itself does not tell whether it was optimised by a profile (Debian's is, and its configuration does not name it).

One process, one thread. The garbage collector is off while a part runs, as in ``timeit``. The first architectures of a
part (``per_second_of_the_first_300``) come from a space that has just been read, with no tower known.
"""

import argparse
import gc
import json
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.doctor import hardware
from search_spaces import layout
from search_spaces.architecture import Architecture
from search_spaces.cost import count, params_and_macs
from search_spaces.layout import Layout, layout_of
from search_spaces.principles import measure
from search_spaces.seeds import seed
from search_spaces.space import SearchSpace, space
from trainers.network import Network

LIMIT_MACS = 6_000_000_000
STEP = 10  # a step is done for so many architectures before the next, which suits the processor's caches
BATCH = 10_000  # ConfigSpace's configurations that are drawn at once
FIRST = 300
Part = Callable[[int], Any]  # does its work so many times


def of_space(name: str) -> dict[str, Part]:
    """Each part reads the space anew: none finds what another has learnt of it."""
    return {
        f"{name}: sample": _sampling(space(name)),
        f"{name}: sample, check, params and MACs, audit": _screening(
            space(name), lambda *pair: params_and_macs(*pair)[1]
        ),
        f"{name}: the same with memory and auxiliary heads": _screening(space(name), lambda *pair: count(*pair).macs),
    }


def _sampling(searched: SearchSpace) -> Part:
    source = random.Random(0)

    def sample(times: int) -> None:
        for _ in range(times):
            searched.sample(source)

    return sample


def _screening(searched: SearchSpace, macs_of: Callable[[Architecture, Layout], int]) -> Part:
    source = random.Random(0)

    def screen(times: int) -> int:
        fine = 0
        for first in range(0, times, STEP):
            drawn = [searched.sample(source) for _ in range(min(STEP, times - first))]
            laid_out = [layout_of(architecture, searched.resolution) for architecture in drawn]
            macs = [macs_of(*pair) for pair in zip(drawn, laid_out, strict=True)]
            audits = [measure(each, searched.thresholds) for each in laid_out]
            fine += sum(audit.passed and number <= LIMIT_MACS for audit, number in zip(audits, macs, strict=True))
        return fine

    return screen


def of_config_space() -> dict[str, Part]:
    """About 30 dimensions: three stages, of which each has up to three towers with choices of their own."""
    try:
        from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, GreaterThanCondition, Integer
    except ImportError:
        print("ConfigSpace is not installed, so that it is not measured: pip install configspace", file=sys.stderr)
        return {}
    drawn = ConfigurationSpace(seed=0)
    for stage in range(3):
        towers = Integer(f"stage{stage}.towers", (1, 3))
        drawn.add(towers)
        for tower in range(3):
            width = Integer(f"stage{stage}.tower{tower}.width", (16, 256))
            kind = Categorical(f"stage{stage}.tower{tower}.factorisation", ["none", "stacked", "asymmetric"])
            kernel = Categorical(f"stage{stage}.tower{tower}.kernel", [5, 7])
            drawn.add(width, kind, kernel, EqualsCondition(kernel, kind, "asymmetric"))
            if tower:
                drawn.add(GreaterThanCondition(width, towers, tower), GreaterThanCondition(kind, towers, tower))

    def singly(times: int) -> None:
        for _ in range(times):
            drawn.sample_configuration()

    def in_batches(times: int) -> None:
        for first in range(0, times, BATCH):
            drawn.sample_configuration(min(BATCH, times - first))

    return {
        "ConfigSpace: bare configurations, singly": singly,
        f"ConfigSpace: bare configurations, in batches of {BATCH:,}": in_batches,
    }


def of_python() -> dict[str, Part]:
    def nothing() -> None:
        pass

    def calls(times: int) -> None:
        for _ in range(times):
            nothing()

    return {"Python: calls of an empty function": calls}


def of_cost() -> dict[str, Part]:
    architecture = seed("inception-v3")
    with torch.device("meta"):
        network, picture = Network(architecture.graph(299)).eval(), torch.empty(1, 3, 299, 299)

    def known(times: int) -> None:
        for _ in range(times):
            params_and_macs(architecture, layout_of(architecture, 299))

    def afresh(times: int) -> None:
        for _ in range(times):
            layout.forget()
            params_and_macs(architecture, layout_of(architecture, 299))

    def flop_counter(times: int) -> None:
        for _ in range(times):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                network(picture)
            assert counter.get_total_flops() == 2 * 5_713_216_096

    return {
        "one Inception-v3: params and MACs, known towers": known,
        "one Inception-v3: params and MACs, empty memory": afresh,
        "one Inception-v3: torch's flop counter": flop_counter,
    }


def seconds_each(part: Part, times: int) -> float:
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    part(times)
    elapsed = time.perf_counter() - start
    gc.enable()
    return elapsed / times


def rounds_of(parts: dict[str, Part], arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each part in each round; parts take turns."""
    times = {name: max(1, int(arguments.seconds / seconds_each(part, 30))) for name, part in parts.items()}
    found: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(arguments.rounds):
        for name, part in parts.items():
            found[name].append(seconds_each(part, times[name]))
    return found


def start_up(rounds: int) -> dict[str, float]:
    """Seconds from the shell, of which Python's own start is a part; and of the import alone, within Python."""
    shell = Path(sys.executable).parent / "nas"

    def once(*command: str) -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start

    inside = "import time; start = time.perf_counter(); import nas; print(time.perf_counter() - start)"
    return {
        "import nas": median(
            float(subprocess.run([sys.executable, "-c", inside], check=True, capture_output=True).stdout)
            for _ in range(rounds)
        ),
        "nas cost inception-v3, from the shell": median(
            once(str(shell), "cost", "inception-v3") for _ in range(rounds)
        ),
        "python -c pass, from the shell": median(once(sys.executable, "-c", "pass") for _ in range(rounds)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=4.0, help="about how long each part runs in a round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = of_space("inception") | of_space("inception-free")
    first = {}
    for name, part in parts.items():
        layout.forget()
        first[name] = seconds_each(part, FIRST)
    parts |= of_config_space() | of_python()
    found = rounds_of(parts, arguments) | rounds_of(of_cost(), arguments)
    seconds = {name: median(values) for name, values in found.items()}
    counter = seconds["one Inception-v3: torch's flop counter"]
    data = {
        "hardware": hardware(),
        "python": {"version": platform.python_version(), "compiler": platform.python_compiler()},
        "rounds": arguments.rounds,
        "per_second": {name: round(1 / value, 1) for name, value in seconds.items()},
        f"per_second_of_the_first_{FIRST}": {name: round(1 / value, 1) for name, value in first.items()},
        "spread": {name: [round(1 / max(values), 1), round(1 / min(values), 1)] for name, values in found.items()},
        "flop_counter_over_ours": {
            name: round(counter / seconds[f"one Inception-v3: params and MACs, {name}"], 1)
            for name in ("known towers", "empty memory")
        },
        "start_up_seconds": {name: round(value, 3) for name, value in start_up(arguments.rounds).items()},
    }
    arguments.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    for name, rate in data["per_second"].items():
        print(f"{rate:>12,.1f} a second   {name}")
    print(json.dumps({key: data[key] for key in ("flop_counter_over_ours", "start_up_seconds")}, indent=1))


if __name__ == "__main__":
    main()
