"""Ray on this machine or a cluster: set up before it is imported, and joined or started quietly."""

import logging
import os
from typing import Any

# Before ray is imported: no usage statistics, and none of its own loggers, status tables, tips or signal handlers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_SYNCER", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "60")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a trial without a share of a GPU sees none

try:
    import ray
except ImportError as error:
    from search_spaces.errors import RequestError

    raise RequestError(
        f"several workers need the package ray[tune] ({error}): install it, or use one worker in this process "
        "(--set executor=inline in a search, --set workers=1 in a training)"
    ) from None

STORE_BYTES = 200 * 1024**2  # of Ray's object store: what travels here are jobs and reports


def connect(address: str | None, cpus: int) -> bool:
    """Join the cluster at an address, or start Ray on this machine with so many CPUs; return whether we started it."""
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        ray.init(address=address, **quiet)
        return False
    ray.init(num_cpus=cpus, include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
    return True


def has() -> tuple[float, float]:
    """Return how many CPUs and GPUs Ray has in all."""
    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found.get("CPU", 0.0), found.get("GPU", 0.0)


def cpus_of_machines() -> list[float]:
    """Return how many CPUs each machine of Ray's has."""
    return [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
