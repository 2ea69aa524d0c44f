"""What ``nas space`` prints: a search space in words and figures, and the same as plain data."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from math import log10
from typing import TYPE_CHECKING, Any

from search_spaces.counting import Count, count
from search_spaces.genes import Gene
from search_spaces.seeds import seed, seed_names
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from rich.console import Console

# What a gene means, by its name without stage and module; also the order in which the genes of a stage are shown.
MEANINGS = {
    "stem": "before stage1",
    "padding": "zeros in avg pools",
    "aux": "auxiliary head",
    "final": "channels at the end",
    "reduction.kind": "how grids are halved",
    "reduction.direct": "3x3/2 with no 1x1",
    "depth": "modules",
    "widen": "where towers widen",
    "pointwise": "filters of the 1x1",
    "kernel": "n of the n x n",
    "factorisation": "of each n x n",
    "repeats": "n x n in a row",
    "embedding": "filters of its 1x1",
    "output": "filters it ends with",
    "pool.kind": "which pool",
    "pool.projection": "filters of its 1x1",
}
LEGEND = (
    "A module has four towers: a 1x1 (pointwise); a short and a long one, each of a 1x1 (embedding) and then n x n "
    "convolutions; and a pool before a 1x1 (projection). Towers widen early, in the first n x n, or late, in the last. "
    "A reduction joins a pool to a short and a long tower that end in a 3x3/2. Widths are filters, from the lowest to "
    "the highest by a step; the principles and the other widths narrow them."
)
TIED = "tied: modules of a stage share their choices, widths run on a line from the first module to the last"
FREE = "not tied: every module and tower has its own"
ORDER = "two that differ in the order of parallel towers count as two"


@dataclass(frozen=True)
class Explained:
    """A space, the number of its architectures, and for every seed why it lies outside (None if inside)."""

    space: SearchSpace
    distinct: Count
    seeds: dict[str, str | None]

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON; estimates are given as powers of ten, and their ``value`` is null."""
        found, space = self.distinct, self.space
        return {
            "name": space.name,
            "notes": space.notes,
            "resolution": space.resolution,
            "tied": space.file.tied,
            "genes": [_gene_data(gene) for gene in space.genes],
            "fixed": dict(space.file.fixed),
            "distinct": {
                "value": found.distinct if found.exact else None,
                "log10": log10(found.distinct),
                "exact": found.exact,
                "low": log10(found.low),
                "high": log10(found.high),
                "method": found.method,
            },
            "thresholds": asdict(space.thresholds),
            "seeds": self.seeds,
        }

    def text(self, width: int) -> str:
        """Return what people read, in lines of at most ``width`` letters where that is possible."""
        width = max(60, min(width, 110))  # longer lines are harder to read
        space, file = self.space, self.space.file
        widths = sum(gene.is_width for gene in space.genes)
        limits = {name: limit for name, limit in asdict(space.thresholds).items() if name != "off"}
        rows = [
            ("architectures", f"{count_text(self.distinct)}; {ORDER}"),
            ("genes", f"{len(space.genes)}: {len(space.genes) - widths} choices and {widths} widths"),
            ("", TIED if file.tied else FREE),
            ("fixed", ", ".join(f"{name} {value}" for name, value in file.fixed.items())),
            ("thresholds", ", ".join(f"{name} {_plain(limit)}" for name, limit in limits.items())),
            ("off", ", ".join(space.thresholds.off) or "no principle is switched off"),
            ("seeds inside", ", ".join(name for name, reason in self.seeds.items() if reason is None) or "none"),
            *self._outside(),
        ]
        blocks = [
            f"{space.name}, for pictures of {space.resolution} px",
            textwrap.fill(space.notes, width, initial_indent="  ", subsequent_indent="  "),
            _columns([row for row in rows if row[1]], width),
            textwrap.fill(LEGEND, width),
        ]
        genes = {title: list(found) for title, found in _groups(space.genes)}
        longest = max(len(name) for found in genes.values() for name, _, _ in found)
        for title, found in genes.items():
            table = [(f"  {name:<{longest}}", choices, meaning) for name, choices, meaning in found]
            blocks.append(f"{title}\n{_columns(table, width)}")
        return "\n\n".join(filter(None, blocks))

    def _outside(self) -> Iterator[tuple[str, str]]:
        """The seeds that lie outside, with the reason, at once where it is the same."""
        reasons: dict[str, list[str]] = {}
        for name, reason in self.seeds.items():
            if reason is not None:
                reasons.setdefault(reason, []).append(name)
        yield from (("seeds outside", f"{', '.join(names)}: {reason}") for reason, names in reasons.items())


def explain(space: SearchSpace, console: "Console") -> Explained:
    """Count a space's architectures and look for the seeds in it; ``console`` shows the progress on a terminal."""
    seeds = {name: space.why_outside(seed(name)) for name in seed_names()}
    if not console.is_terminal:
        return Explained(space, count(space), seeds)
    from rich.progress import Progress

    with Progress(console=console, transient=True) as shown:
        task = shown.add_task("counting architectures", total=1.0)
        return Explained(space, count(space, progress=lambda done: shown.update(task, completed=done)), seeds)


def count_text(found: Count) -> str:
    """Say how many architectures there are, how surely, and how that was found."""
    if found.exact:
        return f"{found.distinct:,}, exactly: {found.method}"
    interval = f"95 % interval {_short(found.low)} to {_short(found.high)}"
    return f"about {_short(found.distinct)} ({interval}; {found.method})"


def _short(number: int) -> str:
    """Two digits and the power of ten."""
    if number < 1_000_000:
        return f"{number:,}"
    power = int(log10(number))
    tenths = round(number, 1 - power) // 10 ** (power - 1)  # of an integer, whatever its size
    return f"{tenths // 10}.{tenths % 10}e{power}" if tenths < 100 else f"1.0e{power + 1}"


def _plain(limit: object) -> str:
    return " to ".join(map(str, limit)) if isinstance(limit, tuple) else str(limit)


def _gene_data(gene: Gene) -> dict[str, Any]:
    """A gene's name, and its choices or its range (null where the range follows from other genes)."""
    if gene.choices:
        return {"name": gene.name, "choices": list(gene.choices)}
    return {"name": gene.name, "range": asdict(gene.widths) if gene.widths else None}


# --------------------------------------------------------------------------------------------------- the table of genes


def _groups(genes: Sequence[Gene]) -> Iterator[tuple[str, Iterator[tuple[str, str, str]]]]:
    """The genes of the whole network, then of each stage: name, choices, meaning; those alike in one row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for gene in genes:
        stage, rest = gene.name.split(".", 1) if "." in gene.name else ("", gene.name)
        # Modules of a stage, and its first and last module, ask for the same things.
        parts = re.fullmatch(r"(?:module(\d+)\.)?(.+?)(?:\.(first|last))?", rest)
        assert parts is not None
        module, name, end = parts.groups()
        rows.setdefault((stage, name, _choices(gene)), []).append(module or end or "")
    for stage, found in groupby(sorted(rows, key=_place), key=lambda row: row[0]):
        named = ((_spots(name, rows[stage, name, of]), of, MEANINGS[_known(name)]) for _, name, of in found)
        yield stage or "the whole network", named


def _place(row: tuple[str, str, str]) -> tuple[int, bool, int, int]:
    """Where a row stands: by stage, a reduction before its modules, tower by tower."""
    stage, name, _ = row
    tower = next((i for i, tower in enumerate(("short.", "long.", "pool."), 1) if tower in name), 0)
    return (
        int(stage.removeprefix("stage") or 0),
        not name.startswith("reduction."),
        tower,
        list(MEANINGS).index(_known(name)),
    )


def _known(name: str) -> str:
    """The entry of MEANINGS for a gene's name without stage and module."""
    return name if name in MEANINGS else name.rpartition(".")[2]


def _spots(name: str, spots: Sequence[str]) -> str:
    """Name the genes of several modules, or of the first and the last, at once."""
    if not all(spot.isdecimal() for spot in spots):
        return ".".join(filter(None, (name, "/".join(spots))))
    numbers = [int(spot) for spot in spots]
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), key=lambda at: at[1] - at[0])]
    return f"module{','.join(f'{run[0]}-{run[-1]}' if run[1:] else str(run[0]) for run in runs)}.{name}"


def _choices(gene: Gene) -> str:
    if gene.choices:
        several = gene.ordered and len(gene.choices) > 3
        return f"{gene.choices[0]} to {gene.choices[-1]}" if several else ", ".join(map(str, gene.choices))
    return f"{gene.widths.low} to {gene.widths.high} by {gene.widths.step}" if gene.widths else "as the rest allows"


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> str:
    """Set rows in columns two spaces apart; the last column takes what is left of ``width``, in several lines."""
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    indent = sum(sizes) + 2 * len(sizes)
    lines = []
    for *cells, last in rows:
        start = "".join(f"{cell:<{size}}  " for cell, size in zip(cells, sizes, strict=True))
        lines += textwrap.wrap(last, max(width, indent + 20), initial_indent=start, subsequent_indent=" " * indent)
    return "\n".join(lines)
