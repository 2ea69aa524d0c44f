"""The dashboard of a ledger with what only the search knows: where the ledger is, and which genes matter."""

import secrets
import webbrowser
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial

from nas.runs import Runs
from results.importance import Importance
from results.outcome import Direction, StudyRecord
from search_spaces.errors import RequestError

EVERYWHERE = ("0.0.0.0", "::")


def run_dashboard(
    study: str | None,
    runs: Runs,
    *,
    host: str,
    port: int,
    names: Collection[str],
    token: str | None,
    opens: bool,
    tell: Callable[[str], object],
) -> None:
    """Serve until Ctrl-C. On any but the loopback address there is a token: ``token``, or one that is made up.

    Raises OSError where the address cannot be had, and RequestError for an empty token.
    """
    from results.dashboard.app import address, make_dashboard, serve
    from results.dashboard.guard import LOOPBACK

    if token is not None and len(token) < 8:
        raise RequestError(
            f"a token of {len(token)} letters is easily guessed: give at least 8, or none to have it made up"
        )
    if token is None and host not in LOOPBACK:
        token = secrets.token_urlsafe(24)
    hosts = {*LOOPBACK, *names, *([] if host in EVERYWHERE else [host])}
    if host in EVERYWHERE:
        hosts |= _own_names()
    made = make_dashboard(runs.read, partial(_importances, runs), study=study, hosts=hosts, token=token)

    def started(base: str) -> None:
        shown = base.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        place = address(shown, study, token)
        tell(f"dashboard of {runs.shown}: {place}")
        if host in EVERYWHERE:
            tell(f"it answers to {', '.join(sorted(hosts))}; more names with --name")
        tell("Ctrl-C ends it")
        if opens:
            webbrowser.open(place)

    serve(made, host, port, started)


def _importances(runs: Runs, record: StudyRecord) -> list[Importance]:
    """What each gene of a study has to do with its objectives, and with its MACs."""
    from nas.samplers.importance import importances  # brings optuna

    of: dict[str, Direction] = {**record.objectives}
    of.setdefault("macs", "minimize")
    with runs.read() as ledger:
        return importances(ledger.trials(record.name), of)


def _own_names() -> set[str]:
    """The names and addresses by which other machines know this one, as far as it knows them itself."""
    import socket

    name = socket.gethostname()
    found = {name.lower(), socket.getfqdn().lower()}
    with suppress(OSError):  # where its own name is in no list of names it is served under the others
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    return found
