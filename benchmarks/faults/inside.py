"""What happens inside the processes that are tried: a log of their epochs, and faults at named points.

``install`` is called in each of them: by a ``sitecustomize`` of the harness in new ones, Ray's workers included, and
right after the fork in those of ``warm``. It reads the plan, JSON in the variable ``FAULTS``, and wraps functions of
the product as their modules are imported. Nothing of this is known to the product.

A plan has ``log``, the file of lines ``{"trial", "training", "epoch", "what", "pid"}``, and at most one of each:
``kill``: {at: a name in POINTS, nth: at which pass, once: a file that is made by it, so that nobody is killed again,
worker: whether a worker of Ray alone is killed};
``hang``: {trial: N}, which hangs in its first epoch in native code, holding the interpreter, all signals blocked;
``children``: K, processes that each trial starts; ``odd``: {trial: N, how: a name in ODD}; ``slow``: seconds that each
epoch takes longer.
"""

import importlib.abc
import importlib.machinery
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "FAULTS"

# Name -> module, function in it, and whether it is the moment before or after a call. In the order of a trial's life.
POINTS = {
    "before the trial is in the ledger": ("results.ledger", "Ledger.start_trials", "before"),
    "after the trial is in the ledger": ("results.ledger", "Ledger.start_trials", "after"),
    "in the middle of an epoch": ("trainers.training_step", "TrainingStep.__call__", "after"),
    "after an epoch, before its checkpoint": ("trainers.fit", "Fit.epoch", "after"),
    "a file is written and not in its place": ("search_spaces.files", "_stage", "after"),
    "after the checkpoint, before anybody knows": ("trainers.fit", "Fit.save", "after"),
    "after the weights, before the result file": ("nas.candidate", "Candidate._write_weights", "after"),
    "after the result file, before its report": ("nas.candidate", "write_files", "after"),
    "in the middle of removing checkpoints": ("nas.candidate", "shutil.rmtree", "amid"),
    "after the report, before the ledger": ("nas.driver", "Driver.report", "before"),
    "in the transaction, before the sampler is told": ("nas.knowledge", "Knowledge.ended", "before"),
    "before the commit": ("nas.driver", "Driver._taken_in", "after"),
    "after the commit": ("nas.recorder", "Recorder.look_after", "before"),
    "before the study is called complete": ("nas.driver", "Driver.finish", "before"),
    "before the report page": ("nas.conclude", "write_study_report", "before"),
    "after the report page": ("nas.conclude", "write_study_report", "after"),
}
WORKER = tuple(POINTS)[2:9]  # those that a worker of Ray passes
ODD = ("NaN as loss", "infinity as loss", "NaN as value", "infinity as value", "-infinity as value", "no memory")

_trial: tuple[int, int] = (-1, 0)  # number and training


def _enter(candidate: Any) -> None:
    global _trial
    _trial = candidate.job.number, candidate.rungs[candidate.rung].training


class Inside:
    """The wrappers of a plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan, self.passes = plan, 0
        self.wraps: dict[str, list[tuple[str, Callable[[Callable[..., Any]], Callable[..., Any]]]]] = {}
        self._wrap("nas.candidate", "Candidate.step", self._step)
        self._wrap("nas.candidate", "Candidate._begin", self._training)
        self._wrap("nas.candidate", "Candidate._end", self._end)
        self._wrap("trainers.fit", "Fit.epoch", self._epoch)
        if "odd" in plan:
            self._wrap("trainers.training_step", "TrainingStep.__call__", self._odd_loss)
        if "kill" in plan:
            module, name, when = POINTS[plan["kill"]["at"]]
            self._wrap(module, name, getattr(self, f"_killed_{when}"))

    def _wrap(self, module: str, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self.wraps.setdefault(module, []).append((name, wrapper))

    def apply(self, module: ModuleType) -> None:
        for name, wrapper in self.wraps[module.__name__]:
            *path, last = name.split(".")
            holder: Any = module
            for part in path:
                holder = getattr(holder, part)
            setattr(holder, last, wrapper(getattr(holder, last)))

    def log(self, what: str, epoch: int = 0) -> None:
        line = {"trial": _trial[0], "training": _trial[1], "epoch": epoch, "what": what, "pid": os.getpid()}
        file = os.open(self.plan["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, json.dumps(line).encode() + b"\n")
        os.close(file)

    # ------------------------------------------------------------------------------------------------- the trial's life

    def _step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(candidate: Any) -> Any:
            _enter(candidate)
            return self._odd_report(call(candidate))

        return step

    def _training(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Of a step that turns to the next rung, and so to another training."""

        def begin(candidate: Any, *given: Any) -> Any:
            _enter(candidate)
            return call(candidate, *given)

        return begin

    def _end(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def end(*given: Any, **named: Any) -> Any:
            report = call(*given, **named)
            self.log("result")
            return report

        return end

    def _epoch(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def epoch(fit: Any, *given: Any, **named: Any) -> Any:
            global _trial
            number = fit.epochs_done + 1
            self.log("begin", number)
            time.sleep(self.plan.get("slow", 0))
            for index in range(self.plan.get("children", 0) if number == 1 else 0):
                subprocess.Popen(["sleep", "600"], start_new_session=index % 2 == 1)
            if self._is_odd("no memory"):
                import torch

                raise torch.OutOfMemoryError("out of memory: tried by the harness")
            if self.plan.get("hang", {}).get("trial") == _trial[0]:
                _hang()
            result = call(fit, *given, **named)
            self.log("end", number)
            return result

        return epoch

    # -------------------------------------------------------------------------------------------------------------- odd

    def _is_odd(self, *how: str) -> bool:
        odd = self.plan.get("odd", {})
        return odd.get("trial") == _trial[0] and odd["how"] in how

    def _odd_loss(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            loss = call(*given, **named)
            return loss * float(self.plan["odd"]["how"].split()[0]) if self._is_odd(*ODD[:2]) else loss

        return step

    def _odd_report(self, report: Any) -> Any:
        if not self._is_odd(*ODD[2:5]):
            return report
        error = {"error": float(self.plan["odd"]["how"].split()[0])}
        return replace(report, values=error, history=tuple((error, seconds) for _, seconds in report.history))

    # ------------------------------------------------------------------------------------------------------------- kill

    def _pass(self) -> bool:
        """Whether this is the pass at which the process is to be killed."""
        kill = self.plan["kill"]
        if kill.get("worker") and not any("default_worker" in word for word in sys.orig_argv):
            return False
        self.passes += 1
        if self.passes < kill["nth"]:
            return False
        try:
            os.close(os.open(kill["once"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def _killed_before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def before(*given: Any, **named: Any) -> Any:
            if self._pass():
                _die()
            return call(*given, **named)

        return before

    def _killed_after(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def after(*given: Any, **named: Any) -> Any:
            found = call(*given, **named)
            if self._pass():
                _die()
            return found

        return after

    def _killed_amid(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Of a removal of a folder: one of its files is gone, the others are there."""

        def amid(path: Any, *given: Any, **named: Any) -> Any:
            files = sorted(file for file in Path(path).rglob("*") if file.is_file())
            if Path(path).name == "checkpoint" and files and self._pass():
                files[0].unlink()
                _die()
            return call(path, *given, **named)

        return amid


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    """Hang so that neither a signal nor another thread of the interpreter helps."""
    import ctypes

    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    ctypes.PyDLL(None).sleep(600)


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps functions of modules when they are imported."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self.inside.wraps:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def loaded(module: ModuleType) -> None:
                load(module)
                self.inside.apply(module)

            spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Carry out the plan of this process, if there is one."""
    if not (text := os.environ.get(VARIABLE)):
        return
    inside = Inside(json.loads(text))
    sys.meta_path.insert(0, _Finder(inside))
    for name in inside.wraps:
        if name in sys.modules:
            inside.apply(sys.modules[name])
