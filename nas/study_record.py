"""What the ledger keeps of a study when it begins: the search file, resolved, versions, hardware and the command."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from nas.config import COMMAND, DATA_SPLIT, MAY_DIFFER, SPACE_DIGEST, SearchConfig
from nas.doctor import hardware_text
from results.ledger import Ledger
from search_spaces.errors import RequestError
from search_spaces.space import SearchSpace
from trainers.data import DataSet


def record_study(
    ledger: Ledger,
    config: SearchConfig,
    searched: SearchSpace,
    data: DataSet,
    fidelities: list[str],
    command: str | None,
) -> None:
    """Record a study that begins, with what it ran on, or check that the one of this name is the same.

    Raises StudyMismatch where something else than ``MAY_DIFFER`` is not what it was.
    """
    packages = ("inception-nas", "torch", "optuna", "ray", "numpy")
    where = f"; trials on the Ray cluster {config.ray.address}, this is its driver" if config.ray.address else ""
    versions = {"hardware": hardware_text() + where, "python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except ModuleNotFoundError:
            versions[package] = "not installed"
    resolved = {SPACE_DIGEST: searched.digest, DATA_SPLIT: data.split_facts()}
    resolved |= {COMMAND: command} if command else {}
    ledger.create_study(
        config.study,
        config.as_data() | resolved,
        dict.fromkeys(config.objectives, "minimize"),
        versions,
        data.digest,
        may_differ=MAY_DIFFER,
        fidelities=fidelities,
        resolve=_with_defaults,
    )


def _with_defaults(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored search file with the defaults of keys that came after it was written.

    One that cannot be read any more stays as it is: the key at fault then differs from the new file's, which is told.
    """
    try:
        return {**stored, **SearchConfig.from_data(stored).as_data()}
    except RequestError:
        return dict(stored)
