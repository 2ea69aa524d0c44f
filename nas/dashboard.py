"""The dashboard of a ledger with what only the search knows: where the ledger is, and which genes matter."""

import secrets
import socket
import webbrowser
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import lru_cache, partial

from nas.conclude import audited_by
from nas.runs import Runs
from nas.study import Study
from results.importance import Importance
from results.outcome import NoLedger, StudyRecord
from results.report_audit import AuditedBy
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
    """Serve until Ctrl-C. On any but the loopback address, or under any other name, there is a token.

    It is ``token``, or one that is made up: who can ask under another name, as through a proxy, may be anybody.

    Raises OSError where the address cannot be had, and RequestError for an empty token.
    """
    from results.dashboard.app import address, make_dashboard, serve
    from results.dashboard.guard import LOOPBACK, is_loopback

    if token is not None and len(token) < 8:
        raise RequestError(
            "a token of fewer than 8 letters is easily guessed: give a longer one, or none: it is made up then"
        )
    if token is None and not all(map(is_loopback, (host, *names))):
        token = secrets.token_urlsafe(24)
    try:
        runs.read().close()
    except NoLedger as error:
        tell(f"{error}; the page shows what comes")
    hosts = {*LOOPBACK, *names, *([] if host in EVERYWHERE else [host])}
    if host in EVERYWHERE:
        hosts |= _own_names()
    made = make_dashboard(
        runs.read, partial(_importances, runs), partial(_audited_by, runs), study=study, hosts=hosts, token=token
    )

    def started(base: str) -> None:
        named = next(iter(names), None) or socket.gethostname()
        shown = base.replace("//0.0.0.0:", f"//{named}:").replace("//[::]:", f"//{named}:")
        place = address(shown, study, token)
        tell(f"dashboard of {runs.shown}: {place}")
        if host in EVERYWHERE:
            tell(f"it answers to {', '.join(sorted(hosts))}; more names with --name")
        tell("Ctrl-C ends it")
        if opens:
            webbrowser.open(place)

    serve(made, host, port, started)
    tell("ended")


def _importances(runs: Runs, record: StudyRecord) -> list[Importance]:
    return Study.open(record.name, runs).importances()


@lru_cache(maxsize=64)
def _thresholds(runs: Runs, study: str, created_at: str) -> AuditedBy:
    return audited_by(Study.open(study, runs))


def _audited_by(runs: Runs, record: StudyRecord) -> AuditedBy:
    return _thresholds(runs, record.name, record.created_at)


def _own_names() -> set[str]:
    """The names and addresses by which other machines know this one, as far as it knows them itself."""
    name = socket.gethostname()
    found = {name.lower(), socket.getfqdn().lower()}
    with suppress(OSError):  # where its own name is in no list of names it is served under the others
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    return found
