"""Ray on this machine or a cluster: set up before it is imported, and joined or started quietly."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Before ray is imported: no usage statistics, and none of its own loggers, status tables, tips or signal handlers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_SYNCER", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # a lost worker is told of in a sentence of ours
os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "60")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1e9")  # the ledger is the truth: not the state of Tune's trials
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a trial without a share of a GPU sees none
# A Ray that starts on a machine with a token asks for it, but one that joins sends it only if told to. Ray makes such a
# token itself, and keeps it, where it is started without an address.
if {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ) or os.path.isfile(
    os.path.expanduser("~/.ray/auth_token")  # pathlib's would raise for a user without a home
):
    os.environ.setdefault("RAY_AUTH_MODE", "token")

try:
    import ray
except ImportError as error:
    from search_spaces.errors import RequestError

    raise RequestError(
        f"several workers need the package ray[tune] ({error}): install it, or use one worker in this process "
        "(--set executor=inline in a search, --set workers=1 in a training)"
    ) from None

from nas.executors.guard import children, marked, watch_over
from search_spaces.errors import RequestError
from trainers.measure import smallest_gpu_bytes

STORE_BYTES = 200 * 1024**2  # of Ray's object store: what travels here are jobs and reports

_guards: list[subprocess.Popen[bytes]] = []


def connect(address: str | None, cpus: int) -> bool:
    """Join the cluster at an address, or start Ray on this machine with so many CPUs; return whether we started it.

    Raises RequestError where there is no cluster at the address, or Ray cannot start here. What we start dies with this
    process, however that ends.
    """
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        try:
            with _our_own(signal.SIGTERM):
                ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RequestError(
                f"there is no Ray cluster to join at {address!r} ({str(error).strip().splitlines()[0]}): start one "
                "('ray start --head'), give its head node's address, or leave ray.address out to use this machine"
            ) from None
        return False
    before = children(os.getpid())
    # "local": without an address Ray would join whatever cluster happens to run on this machine.
    with _held_back(signal.SIGHUP, signal.SIGTERM), _our_own(signal.SIGTERM), marked() as mark:
        try:
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
        except OSError as error:  # no room or right to write there, or names of sockets that become too long
            raise RequestError(
                f"Ray cannot start ({str(error).strip()}): name another folder for its files, a short one, with "
                "$RAY_TMPDIR"
            ) from None
        if (guard := watch_over(children(os.getpid()) - before, mark)) is not None:
            _guards.append(guard)
    return True


@contextmanager
def _held_back(*numbers: signal.Signals) -> Iterator[None]:
    """Take no such signal until the end of the block; processes that are started in it never do.

    A terminal that closes sends SIGHUP to all that was started from it, ``timeout``, Slurm and systemd send SIGTERM to
    all that they started, as Ctrl-C sends SIGINT, which Ray itself holds back from its processes: the driver alone
    ends, after the running epochs.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _our_own(number: signal.Signals) -> Iterator[None]:
    """Put our handler back after the block, in which Ray sets one that ends the process wherever it stands.

    A signal in between, of which Ray's handler makes a SystemExit, ends the block as Ctrl-C would.
    """
    if threading.current_thread() is not threading.main_thread():  # Ray sets none there
        yield
        return
    before = signal.getsignal(number)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(number, before)


def end() -> None:
    """Stop the Ray that ``connect`` started."""
    if _guards:
        _kill_at_once()
    try:
        ray.shutdown()
    finally:
        while _guards:
            guard = _guards.pop()
            guard.communicate()  # closes its standard input: it ends what is left, and itself


def _kill_at_once() -> None:
    """Let Ray kill its processes where it would send SIGTERM, which they do not take, and wait a second for each.

    What these leave behind is the guard's to end.
    """
    from ray._private import worker

    node: Any = worker._global_node
    if node is not None:
        kill = node.kill_all_processes
        node.kill_all_processes = lambda *given, **options: kill(*given, **options | {"allow_graceful": False})


@dataclass(frozen=True)
class Machine:
    """What one machine of Ray's has in all."""

    cpus: float
    gpus: float


def machines() -> list[Machine]:
    """Return Ray's machines that are alive."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    found = [node["Resources"] for node in nodes if node["Alive"]]
    return [Machine(resources.get("CPU", 0.0), resources.get("GPU", 0.0)) for resources in found]


@contextmanager
def asking_for(resources: dict[str, float]) -> Iterator[None]:
    """Ask a cluster that starts machines on demand for room for one trial, until the end of the block."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=[resources])
    try:
        yield
    finally:
        request_resources(bundles=[])  # from here on the trials that wait say what is needed


def ask_gpu_bytes() -> list[Any]:
    """Ask each of Ray's machines that has a GPU for the memory of its smallest one; ``answered`` has what they say."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]  # type: ignore[no-untyped-call]
    return [
        ray.remote(smallest_gpu_bytes)
        .options(num_cpus=0, num_gpus=0.01, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], False))
        .remote()
        for node in nodes
    ]


def answered(asked: list[Any], seconds: float) -> int | None:
    """Return the memory of the smallest GPU of those that were asked; None where some have not answered in time.

    A GPU that others hold does not answer. Raises RequestError where torch sees none, or a machine cannot tell.
    """
    if not asked:  # the machines went just then
        time.sleep(seconds)
        return None
    try:
        answers, silent = ray.wait(asked, num_returns=len(asked), timeout=seconds)
        found = [] if silent else ray.get(answers)
    except ray.exceptions.RayError as error:
        raise RequestError(
            f"a machine of Ray's cannot tell the memory of its GPUs ({str(error).strip().splitlines()[-1]}): see that "
            "this project is installed there, or say with executor.gpus_per_trial what each trial gets"
        ) from None
    if silent:
        return None
    if not all(found):
        raise RequestError(
            "Ray counts GPUs on a machine where torch sees none: install a CUDA build of torch there, or train on CPUs "
            "with executor.gpus_per_trial: 0"
        )
    return int(min(found))
