"""What ``nas statistics`` takes and writes."""

import json
from collections.abc import Sequence
from pathlib import Path

from results.statistics import Statistics
from search_spaces.errors import RequestError
from search_spaces.files import write_files

LARGE = 2000  # trials, beyond which it takes seconds


def parse_reference(given: Sequence[str]) -> dict[str, float]:
    """Read ``NAME=VALUE`` texts; RequestError where one is not of that form, or names an objective again."""
    found: dict[str, float] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise RequestError(f"--reference {text!r} is no NAME=VALUE with a number: write it as in error=0.5")
        if name in found:
            raise RequestError(f"--reference names {name} twice: name it once")
        found[name] = number
    return found


def statistics_files(found: Statistics, folder: Path) -> list[Path]:
    """Write each table as NAME.csv and NAME.json into a folder, all of them or none; return the paths.

    The JSON is the table (name, columns, rows) with the study's name, and ``figures``: title -> plotly's figure, whose
    traces name their colours in ``meta``.
    """
    figures, contents = found.figures(), dict[str, bytes]()
    for table in found.tables():
        data = {"study": found.study.name, **table.as_data(), "figures": figures.get(table.name, {})}
        contents[f"{table.name}.csv"] = table.as_csv().encode()
        contents[f"{table.name}.json"] = f"{json.dumps(data, allow_nan=False)}\n".encode()
    return write_files(folder, contents)
