"""Where studies lie: a folder with their files, and a ledger with their records."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from results.outcome import NoLedger
from search_spaces.errors import RequestError

if TYPE_CHECKING:
    from results.ledger import Ledger

LEDGER = "ledger.sqlite"  # in the folder, where no other ledger is named
LEDGER_VARIABLE = "INCEPTION_NAS_LEDGER"


@dataclass(frozen=True)
class Runs:
    """A folder, and the URL of a ledger elsewhere (postgresql://... or sqlite:///...), which may hold a password."""

    folder: Path
    ledger: str | None = field(default=None, repr=False)

    @staticmethod
    def of(runs: "str | Path | Runs", ledger: str | None = None) -> "Runs":
        """Return the studies in a folder; their ledger is the one given, that of $INCEPTION_NAS_LEDGER, or in it."""
        if isinstance(runs, Runs):
            return runs
        return Runs(Path(runs), ledger or os.environ.get(LEDGER_VARIABLE) or None)

    @property
    def shown(self) -> str:
        """The ledger's place without secrets; where a URL cannot be read it is left out."""
        return str(self.folder / LEDGER) if self.ledger is None else f"{self.ledger.partition('://')[0]}://..."

    def read(self) -> "Ledger":
        """Open the ledger for reading; NoLedger where nothing was ever searched."""
        if self.ledger is None and not (self.folder / LEDGER).is_file():
            raise NoLedger(
                f"there is no ledger in {str(self.folder)!r}: run 'nas search FILE.yaml' first, or name the folder "
                "with --runs"
            )
        from results.ledger import Ledger

        return Ledger.open(self._place, read_only=True)

    def write(self) -> "Ledger":
        """Open the ledger for a driver; make it, and the folder, where they are not there."""
        from results.ledger import Ledger

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"the runs folder {str(self.folder)!r} cannot be made ({error.strerror}): choose another with --runs, "
                "or mend its permissions"
            ) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise RequestError(
                f"the runs folder {str(self.folder)!r} cannot be written: choose another with --runs, or mend its "
                "permissions"
            )
        return Ledger.open(self._place, create=True)

    def make_folder(self, study: str) -> None:
        """Make the folder for the files of a study; RequestError where something else is in its place."""
        folder = self.folder / study
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"the folder {str(folder)!r} cannot be used ({error.strerror}): move what is in its place, or choose "
                "another name or --runs"
            ) from None

    @property
    def _place(self) -> str | Path:
        return self.ledger or self.folder / LEDGER
