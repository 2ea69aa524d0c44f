"""Neural architecture search over the Inception family: the public API.

    import nas

    arch = nas.load("inception-v3")            # a seed's name, a YAML file or STUDY:NUMBER
    nas.cost(arch, resolution=299).macs        # 5713216096
    nas.audit(arch, resolution=299).violations
    net = nas.build(arch, num_classes=1000)    # a torch.nn.Module
    study = nas.search("search.yaml")          # runs or resumes; study.front()

Importing this loads neither torch nor ray: each function imports what it needs.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.study import Study
    from search_spaces.architecture import Architecture
    from search_spaces.cost import Cost
    from search_spaces.principles import Audit
    from search_spaces.space import SearchSpace
    from trainers.network import Network

__version__ = "0.1.0"
__all__ = ["audit", "build", "cost", "load", "search", "space"]


def _check_siblings() -> None:
    """The other three packages have everyday names: make sure that they are ours, and say whose they are if not."""
    home = Path(__file__).resolve().parent.parent
    for name in ("search_spaces", "trainers", "results"):
        spec = find_spec(name)
        origin = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if origin != home / name:
            found = f"is taken by {origin}" if origin else "is missing"
            raise ImportError(
                f"inception-nas needs its package {name!r} in {home}, but the name {found}: rename the other package "
                "or folder, start Python elsewhere, or install inception-nas again"
            )


_check_siblings()


def load(arch: str, *, runs: str | Path = "runs", ledger: str | None = None) -> "Architecture":
    """Return an architecture by a seed's name, a YAML file or ``STUDY:NUMBER`` (a trial of a ledger under ``runs``).

    ``ledger``: as in ``search``. ``@N`` after any of these gives it a stem for pictures of N px, whose stages see the
    same grids (Table 2 of 1512.00567).
    """
    from nas.runs import Runs
    from nas.study import load_architecture

    return load_architecture(arch, Runs.of(runs, ledger))


def cost(architecture: "Architecture", resolution: int | None = None, *, classes: int = 1000) -> "Cost":
    """Return the exact params, MACs and memory of an architecture; ``resolution`` in pixels, its own by default."""
    from search_spaces.cost import cost as count

    return count(architecture, resolution, classes=classes)


def audit(architecture: "Architecture", resolution: int | None = None) -> "Audit":
    """Measure the four design principles on an architecture; ``resolution`` in pixels, its own by default."""
    from search_spaces.principles import audit as measure

    return measure(architecture, resolution)


def build(
    architecture: "Architecture",
    num_classes: int = 1000,
    *,
    resolution: int | None = None,
    in_channels: int = 3,
    aux: bool = False,
    random_seed: int = 0,
) -> "Network":
    """Return the ``torch.nn.Module``: logits in evaluation; in training (logits, auxiliary logits) if ``aux``."""
    from trainers.network import build as build_network

    graph = architecture.graph(resolution, classes=num_classes, channels=in_channels, aux=aux)
    return build_network(graph, initialise=random_seed)


def space(name: str, *, resolution: int | None = None) -> "SearchSpace":
    """Return a search space by name or from a YAML file."""
    from search_spaces.space import space as load_space

    return load_space(name, resolution)


def search(file: str | Path, *, runs: str | Path = "runs", ledger: str | None = None, **overrides: object) -> "Study":
    """Run or resume the study that a search file names; return it when it is complete (or was stopped by Ctrl-C).

    ``ledger``: URL of a ledger outside of ``runs`` (``postgresql://USER@HOST/DATABASE`` or ``sqlite:///FILE``); by
    default that of ``$INCEPTION_NAS_LEDGER``, if it is set. ``overrides`` replace keys of the file; dots in a key are
    written as two underscores (``executor__workers=2``).
    """
    from nas.config import read_search
    from nas.driver import run
    from nas.runs import Runs

    settings = {key.replace("__", "."): value for key, value in overrides.items()}
    return run(read_search(Path(file), settings), Runs.of(runs, ledger))
