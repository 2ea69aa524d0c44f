"""What a worker measures of the target before it trains the proxy, and what the driver makes of it.

Latency and peak memory of an inference of the architecture at full width and resolution, on the worker's device.
Trainings of ours on the same device pause meanwhile (trainers/device_turns.py).
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.config import MEASURED, SearchConfig
from nas.doctor import hardware
from search_spaces.architecture import Architecture
from search_spaces.errors import SearchFailed
from search_spaces.files import write_files

logger = logging.getLogger("nas.measuring")

FILE = "measured.json"
GIVE_UP = 50  # candidates in a row that were measured and set aside


@dataclass(frozen=True)
class Wanted:
    """What to measure, and in which setting.

    ``device``: ``worker`` is the one that the worker trains on, or ``cpu``. ``limits``: by quantity, the most with
    which the candidate is trained at all.
    """

    batch: int
    device: str
    threads: int
    precision: str
    resolution: int
    classes: int
    channels: int
    limits: dict[str, float]


@dataclass(frozen=True)
class Measured:
    """Values by quantity, the 10th and 90th percentile of the latency among them, and the device that gave them."""

    values: dict[str, float]
    device: str

    def beyond(self, limits: dict[str, float]) -> str:
        """Say which limits are exceeded; empty if none is."""
        found = [
            f"{name} is {self.values[name]:.4g} and limited to {most:.4g}"
            for name, most in limits.items()
            if self.values[name] > most
        ]
        return f"{' and '.join(found)} (measured before training, on {self.device})" if found else ""


# ------------------------------------------------------------------------------------------------------ in the worker


def measure_target(
    architecture: Architecture, wanted: Wanted, folder: Path, tell: Callable[[str], None] | None = None
) -> Measured:
    """Measure once: a trial that goes on, in whatever process, finds its values in its folder."""
    known = _read(folder / FILE, wanted)
    if known is None:
        known = _measure(architecture, wanted, tell)
        content = {"wanted": asdict(wanted), **asdict(known)}
        write_files(folder, {FILE: json.dumps(content, allow_nan=False).encode()})
    return known


def _read(path: Path, wanted: Wanted) -> Measured | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        is_same = content["wanted"] == asdict(wanted) and all(content["values"][name] > 0 for name in MEASURED)
        return Measured(dict(content["values"]), str(content["device"])) if is_same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not whole


def _measure(architecture: Architecture, wanted: Wanted, tell: Callable[[str], None] | None) -> Measured:
    from trainers import measure
    from trainers.device_turns import turns
    from trainers.precision import chosen
    from trainers.recipe import Recipe

    device = measure.device_named("auto" if wanted.device == "worker" else wanted.device)
    precision = chosen(Recipe(precision=wanted.precision), device)  # type: ignore[arg-type]  # checked by the file
    graph = architecture.graph(wanted.resolution, classes=wanted.classes, channels=wanted.channels)
    with measure.threads(wanted.threads), turns(measure.lasting_name(device)) as turn, turn.alone(tell):
        network, memory = measure.inference(graph, wanted.batch, precision)
        found = measure.latency(network, wanted.batch, precision)
        name = measure.spoken_name(device)
    values = {
        "latency_ms": found.median_ms,
        "latency_low_ms": found.low_ms,
        "latency_high_ms": found.high_ms,
        "measured_memory_bytes": float(memory),
    }
    return Measured(values, f"{hardware()['processor']}, {name}" if device.type == "cpu" else name)


# ------------------------------------------------------------------------------------------------------ in the driver


class Measuring:
    """What a study has measured, and what came of it so far."""

    def __init__(self, config: SearchConfig, classes: int) -> None:
        self.config, self.classes = config, classes
        self.limits = {str(name): most for name, most in config.limits.items() if name in MEASURED}
        self.devices: set[str] = set()
        self.set_aside = 0  # in a row

    def wanted(self, *, is_seed: bool) -> dict[str, Any] | None:
        """Return the fields of a Wanted for a worker; None where nothing is measured. Seeds have no limits."""
        if not self.config.measured:
            return None
        target = self.config.target
        wanted = Wanted(
            **self.config.measure.model_dump(),
            resolution=target.resolution,
            classes=target.classes or self.classes,
            channels=target.channels,
            limits={} if is_seed else self.limits,
        )
        return asdict(wanted)

    def violations(self, measured: Mapping[str, float]) -> dict[str, float]:
        """By limit, by what share of it the measured value exceeds it; 0 or less where it is kept."""
        return {f"limit:{name}": measured[name] / most - 1 for name, most in self.limits.items() if name in measured}

    def watch(self, *, screened: bool, reason: str) -> None:
        """Learn how a trial ended; SearchFailed after many in a row that were measured and set aside."""
        self.set_aside = self.set_aside + 1 if screened else 0
        if self.set_aside >= GIVE_UP:
            raise SearchFailed(
                f"{GIVE_UP} candidates in a row were measured and set aside, the last because {reason}: raise that "
                f"limit of study {self.config.study!r}, or narrow its space"
            )

    def check_device(self, number: int, device: str) -> None:
        """Warn, once for each further device, that values of several stand side by side."""
        if device and self.devices - {device} and device not in self.devices:
            logger.warning(
                "trial %d was measured on %s, others on %s: values of one study should come from one kind of device; "
                "give it equal workers, or set measure.device: cpu",
                number,
                device,
                " and ".join(sorted(self.devices)),
            )
        self.devices |= {device} - {""}
