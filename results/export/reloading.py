"""Reloads exported files in a process that cannot import this project, and runs them on given pictures.

Run by its path, ``python -P reloading.py JOBS.json``, in a folder that holds what the jobs name. It imports nothing of
this project itself. A job is a dict: ``form``, ``file``, ``pictures`` and ``outputs`` (.npz files: arrays N x C x H x W
by name, and logits by the same names), ``threads``; for source also ``network`` (the class), ``weights`` and ``step``
(``aux``: whether with auxiliary heads).
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Run = Callable[[NDArray[Any]], NDArray[Any]]

OURS = ("nas", "results", "search_spaces", "trainers")
RATE, AUX_WEIGHT = 0.1, 0.4  # of the training step


class _Hidden(MetaPathFinder):
    """Says, before any other finder is asked, that this project is not there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in OURS:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def hide() -> None:
    """Make this project impossible to import, and make sure of it."""
    sys.meta_path.insert(0, _Hidden())
    for name in OURS:
        try:
            __import__(name)
        except ModuleNotFoundError:
            continue
        raise SystemExit(f"{name} can be imported")


def load_python(job: dict[str, Any]) -> "Run":
    """Import an exported source by its path, build its network and load the weights through its own function."""
    import torch

    module = _module(job)
    network = _network(module, job)

    def run(pictures: "NDArray[Any]") -> "NDArray[Any]":
        with torch.inference_mode():
            found: Tensor = network.eval()(torch.from_numpy(pictures))
        return found.numpy()

    return run


def load_pt2(job: dict[str, Any]) -> "Run":
    """Load a program of torch.export."""
    import torch

    program = torch.export.load(job["file"]).module()

    def run(pictures: "NDArray[Any]") -> "NDArray[Any]":
        with torch.inference_mode():
            found: Tensor = program(torch.from_numpy(pictures))
        return found.numpy()

    return run


def load_onnx(job: dict[str, Any]) -> "Run":
    """Open a session of onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(job["file"], options, providers=["CPUExecutionProvider"])

    def run(pictures: "NDArray[Any]") -> "NDArray[Any]":
        [found] = session.run(["logits"], {"pictures": pictures})
        logits: NDArray[Any] = found
        return logits

    return run


LOADERS: "dict[str, Callable[[dict[str, Any]], Run]]" = {"python": load_python, "pt2": load_pt2, "onnx": load_onnx}


def one_step(network: "nn.Module", pictures: "Tensor", labels: "Tensor") -> list[float]:
    """Take one step of SGD without dropout, auxiliary heads included; return the probabilities of dropout, sorted."""
    import torch
    from torch.nn import functional as F

    dropouts = [module for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    probabilities = sorted(module.p for module in dropouts)
    for module in dropouts:
        module.p = 0.0  # the order in which two networks draw their masks is not what is compared
    found = network.train()(pictures)
    logits, heads = found if isinstance(found, tuple) else (found, ())
    loss = F.cross_entropy(logits, labels)
    for each in heads if isinstance(heads, tuple) else (heads,):
        loss = loss + AUX_WEIGHT * F.cross_entropy(each, labels)
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return probabilities


def _module(job: dict[str, Any]) -> ModuleType:
    """Import a file under its own name, as a user's program does."""
    name = job["file"].replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, job["file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _network(module: ModuleType, job: dict[str, Any], **options: Any) -> "nn.Module":
    network: nn.Module = getattr(module, job["network"])(**options)
    module.load_weights(network, job["weights"])
    return network


def _step(job: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Take a training step in double precision; return every tensor after it, and the dropouts, by name."""
    import numpy as np
    import torch

    options = {"aux": True} if job["step"]["aux"] else {}
    network = _network(_module(job), job, **options).double()
    pictures, labels = (torch.from_numpy(arrays[name]) for name in ("step_pictures", "step_labels"))
    dropouts = one_step(network, pictures, labels)
    after = {f"after.{key}": value.detach().numpy() for key, value in network.state_dict().items()}
    return {**after, "dropouts": np.array(dropouts)}


def work(job: dict[str, Any]) -> None:
    """Do one job: write its outputs."""
    import numpy as np

    if job["form"] != "onnx":
        import torch

        torch.set_num_threads(job["threads"])
    with np.load(job["pictures"], allow_pickle=False) as file:
        arrays = dict(file)
    run = LOADERS[job["form"]](job)
    outputs: dict[str, Any] = {name: run(each) for name, each in arrays.items() if not name.startswith("step_")}
    if job.get("step"):
        outputs |= _step(job, arrays)
    np.savez(job["outputs"], **outputs)


def main() -> None:
    """Do all jobs, in a process without this project."""
    hide()
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    for job in jobs:
        work(job)
    if found := [name for name in sys.modules if name.partition(".")[0] in OURS]:
        raise SystemExit(f"{found[0]} was imported")


if __name__ == "__main__":
    main()
