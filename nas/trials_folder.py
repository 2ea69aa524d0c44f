"""The folder of a study's trials: where it is, and whose. It belongs to one study of one ledger.

A file in it names that study, by the moment at which the ledger recorded it first, which copies of the ledger share.
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from nas.config import SearchConfig
from nas.runs import LEDGER_VARIABLE, Runs
from nas.storage import Folder, folder_at, is_url
from results.ledger import Ledger
from results.outcome import NoLedger, now
from search_spaces.errors import RequestError

logger = logging.getLogger("nas.trials_folder")

OWNER = "study.json"
NAMED = 8  # trials that are told by number


def trials_place(config: SearchConfig, runs: Path) -> str:
    """Where the folder is, an absolute path or a URL: under the runs folder, or the storage of the search file."""
    below, storage = f"{config.study}/trials", config.storage
    if storage is not None and is_url(storage):
        return f"{storage.rstrip('/')}/{below}"
    return str(Path(storage or runs).resolve() / below)


def check_owner(config: SearchConfig, runs: Runs) -> None:
    """RequestError where the trials in the folder are those of a study that the ledger does not have.

    A folder of an earlier release names none: it is taken for the study's where the ledger has it.
    """
    place = trials_place(config, runs.folder)
    folder = folder_at(place)
    owner = _owner(folder)
    if owner is None and not any(name.isdecimal() for name in folder.sizes()):
        return
    # After the folder was looked at: another driver may be at it, and the ledger knows a study before its folder does.
    begun = _begun(config.study, runs)
    if begun is not None and (owner is None or owner["begun"] == begun):
        return
    found = f"the ledger {runs.shown} has {'no study' if begun is None else 'another study'} {config.study!r}"
    if owner is None:
        found = f"{found}, and there are files of its trials in {place!r}"
    else:
        whose = f"of the one that was begun at {owner['begun']} in the ledger {owner['ledger']}"
        found = f"{found}, and the trials in {place!r} are those {whose}"
    raise RequestError(
        f"{found}: name their ledger (--ledger or ${LEDGER_VARIABLE}), choose another --runs, storage or study, or "
        "move that folder away"
    )


def claim(config: SearchConfig, runs: Path, ledger: Ledger) -> None:
    """Write into the folder whose it is, unless that is there. Raises NotWritten."""
    folder = folder_at(trials_place(config, runs))
    if _owner(folder) is None:
        name = ledger.name if is_url(ledger.name) else str(Path(ledger.name).absolute())
        owner = {"study": config.study, "begun": ledger.begun(config.study), "ledger": name}
        folder.write(OWNER, json.dumps(owner, indent=1).encode())


def set_aside(place: str, names: Iterable[str], next_number: int) -> None:
    """Move away the files of trials from a number on: those of trials that the ledger has forgotten.

    That happens to a ledger that was restored from an older copy. ``names``: what lies in the folder at ``place``.
    """
    forgotten = sorted(int(name) for name in names if name.isdecimal() and int(name) >= next_number)
    if not forgotten:
        return
    folder, aside = folder_at(place), f"forgotten-{now().replace(':', '')}"
    for number in forgotten:
        folder.move(str(number), f"{aside}/{number}")
    more = f" and {len(forgotten) - NAMED} more" if len(forgotten) > NAMED else ""
    logger.warning(
        "the ledger does not know the trials %s%s (is it an older copy?): their files are in %s/%s now, and can go",
        ", ".join(map(str, forgotten[:NAMED])),
        more,
        place,
        aside,
    )


def _owner(folder: Folder) -> dict[str, str] | None:
    """What the folder says of whose it is; None where it says nothing that can be read."""
    try:
        data = json.loads(folder.read(OWNER) or b"")
        return {key: str(data[key]) for key in ("begun", "ledger")}
    except (ValueError, KeyError, TypeError):
        return None


def _begun(study: str, runs: Runs) -> str | None:
    try:
        with runs.read() as ledger:
            return ledger.begun(study)
    except NoLedger:
        return None
