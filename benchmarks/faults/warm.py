"""Drivers that start in a moment: a process that has imported everything forks one for each request.

Importing torch takes seconds, which hundreds of drivers would spend before anything of interest happens. The process
that forks has no other threads, has opened no ledger, and has drawn no random number.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from benchmarks.faults import inside
from benchmarks.faults.processes import Driver, descendants, until_stopped

ROOT = Path(__file__).resolve().parents[2]
TERMINAL = "TERMINAL_OF"  # a variable: the device of the terminal in which a driver is to run
MODULES = "MODULES_INTO"  # a variable: the file where a driver leaves the names of all modules that it imported
SETTINGS = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


class Warm:
    """Starts drivers; ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.modules = folder / "modules.json"

    def __enter__(self) -> "Warm":
        self._open()
        return self

    def _open(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults.warm", str(self.modules)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **SETTINGS, "PYTHONPATH": str(ROOT)},
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it is ready

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()

    def again(self) -> None:
        """Begin anew with the modules that a driver has left word of."""
        self.process.communicate()
        self._open()

    def start(
        self, cwd: Path, arguments: list[str], plan: dict[str, Any], held: bool = False, **variables: str
    ) -> Driver:
        """Start ``nas`` with arguments in a folder. ``held``: it waits for a SIGCONT before anything else."""
        self.count += 1
        said, status = self.folder / f"said-{self.count}", self.folder / f"status-{self.count}"
        before = descendants()
        request = {
            "cwd": str(cwd),
            "arguments": arguments,
            "said": str(said),
            "status": str(status),
            "held": held,
            "environment": {inside.VARIABLE: json.dumps(plan), **variables},
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        driver = Driver(int(self.process.stdout.readline()), said, status, before)
        if held:
            until_stopped(driver.pid)
        return driver


def environment(folder: Path, plan: dict[str, Any]) -> dict[str, str]:
    """Return variables with which every new Python process carries out a plan."""
    site = folder / "site"
    if not site.exists():
        site.mkdir()
        (site / "sitecustomize.py").write_text("from benchmarks.faults import inside\n\ninside.install()\n")
    path, own = f"{site}{os.pathsep}{ROOT}", folder / "tmp"
    own.mkdir(exist_ok=True)  # what killed drivers leave of their own and of Ray's goes with the folder
    places = {"PYTHONPATH": path, "TMPDIR": str(own), "RAY_TMPDIR": str(own)}
    return {**os.environ, **SETTINGS, **places, inside.VARIABLE: json.dumps(plan)}


def start_cold(folder: Path, cwd: Path, arguments: list[str], plan: dict[str, Any], **variables: str) -> Driver:
    """Start ``nas`` in a new process, as a user does; the plan reaches Ray's workers too."""
    number = len(list(folder.glob("said-cold-*")))
    said, status = folder / f"said-cold-{number}", folder / f"status-cold-{number}"
    before = descendants()
    with said.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults.warm", "--once", str(status), *arguments],
            cwd=cwd,
            env={**environment(folder, plan), **variables},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # its end is seen through its pidfd: nobody waits for it here
    return Driver(process.pid, said, status, before)


# ----------------------------------------------------------------------------------------------- the process that forks


def _main(arguments: list[str], status: Path) -> NoReturn:
    """Be ``nas``, and leave the exit status in a file."""
    from nas.cli import main

    sys.argv = ["nas", *arguments]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored where this was started with nohup
    if device := os.environ.pop(TERMINAL, None):
        terminal = os.open(device, os.O_RDWR)  # of the session that this process leads
        for stream in (0, 1, 2):
            os.dup2(terminal, stream)
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - its status tells
        import traceback

        traceback.print_exc()
        code = 99
    if into := os.environ.get(MODULES):
        Path(into).write_text(json.dumps(sorted(sys.modules)))
    sys.stdout.flush()
    sys.stderr.flush()
    status.write_text(str(code or 0))
    sys.exit()


def _driver(request: dict[str, Any]) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    nowhere, said = os.open(os.devnull, os.O_RDONLY), os.open(request["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream, target in ((nowhere, 0), (said, 1), (said, 2)):
        os.dup2(stream, target)
    if request["held"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    inside.install()
    try:
        _main(request["arguments"], Path(request["status"]))
    finally:
        os._exit(0)  # what else this process would do at its end is its parent's


def _serve(modules: Path) -> None:
    names = json.loads(modules.read_text()) if modules.exists() else ["nas.driver", "nas.cli", "nas.views"]
    for name in names:
        if not name.startswith(("__", "benchmarks")):
            with suppress(Exception):  # not all of them can be imported by their names
                importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the drivers here
    print("ready", flush=True)
    for line in sys.stdin:
        if not (pid := os.fork()):
            _driver(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--once":
        _main(sys.argv[3:], Path(sys.argv[2]))
    _serve(Path(sys.argv[1]))
