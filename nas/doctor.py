"""What this machine has, and what a search would use of it."""

import logging
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas.runs import Runs
from results.outcome import LedgerError, NoLedger
from trainers.cpus import has_bfloat16, usable_cpus, usable_memory
from trainers.recipe import Recipe

PACKAGES = (
    "torch",
    "optuna",
    "ray",
    "networkx",
    "numpy",
    "scikit-learn",
    "sqlalchemy",
    "moocore",
    "plotly",
    "safetensors",
    "pillow",
    "tensorboardx",
)
LEAST_FREE_BYTES = 2 * 1024**3

logger = logging.getLogger("nas.doctor")


def hardware() -> dict[str, str]:
    """Processor, CPUs and memory, as the report states them."""
    return {"processor": _processor(), "CPUs": str(usable_cpus()), "memory": f"{usable_memory() / 1024**3:.0f} GiB"}


def hardware_text() -> str:
    """Everything that a training may run on, in a line: processor, CPUs, memory, GPUs."""
    found, names = hardware(), [gpu["name"] for gpu in gpus()]
    told = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]
    return ", ".join((found["processor"], f"{found['CPUs']} CPUs", found["memory"], *(told or ["no GPU"])))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def gpus() -> list[dict[str, Any]]:
    """Name and memory of each GPU that this process sees."""
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append({"name": properties.name, "memory_bytes": properties.total_memory})
    return found


def warn_of_emulation(recipe: Recipe) -> None:
    """Say so where a recipe asks for bfloat16 on CPUs that would have to emulate it."""
    if recipe.precision == "bfloat16" and has_bfloat16() is False and not gpus():
        logger.warning(
            "recipe.precision is bfloat16, which the CPUs of this machine have no instructions for: training emulates "
            "it, several times as slowly as float32; set recipe.precision to auto"
        )


def _ledger(runs: Runs) -> tuple[dict[str, str], list[str]]:
    """The ledger: where it is and how it stands, and what is amiss."""
    try:
        with runs.read() as ledger:
            return {"place": ledger.name, "state": f"{len(ledger.studies())} studies"}, []
    except NoLedger:
        return {"place": runs.shown, "state": "none yet"}, []
    except LedgerError as error:
        return {"place": runs.shown, "state": "cannot be read"}, [str(error)]


def examine(place: Path | Runs) -> dict[str, Any]:
    """Return what ``nas doctor`` shows: versions, hardware, the runs folder, what will be used, and what is amiss."""
    packages: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = None
    found_gpus = gpus() if packages["torch"] else []
    runs = Runs.of(place)
    wanted = runs.folder.absolute()
    folder = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK | os.X_OK)
    ledger, complaints = _ledger(runs)
    missing = [package for package, found in packages.items() if not found and package != "ray"]  # inline needs none
    problems = [f"{package} is not installed: pip install {package}" for package in missing]
    if not writable:
        problems.append(f"{folder} cannot be written: choose another folder with --runs, or mend its permissions")
    if free < LEAST_FREE_BYTES:
        problems.append(
            f"only {free / 1024**3:.1f} GiB are free in {folder}: a search wants {LEAST_FREE_BYTES / 1024**3:.0f}"
        )
    return {
        "python": platform.python_version(),
        "packages": packages,
        "processor": _processor(),
        "cpus": usable_cpus(),
        "cpu_has_bfloat16": has_bfloat16(),
        "memory_bytes": usable_memory(),
        "gpus": found_gpus,
        "runs": {"folder": str(runs.folder), "writable": writable, "free_bytes": free},
        "ledger": ledger,
        "will_use": {
            "executor": "ray_tune" if packages["ray"] else "inline",
            "device": "cuda" if found_gpus else "cpu",
            "precision": "bfloat16" if found_gpus else "float32",
            "trials_at_once": 4 * len(found_gpus) if found_gpus else usable_cpus(),
        },
        "problems": problems + complaints,
    }
