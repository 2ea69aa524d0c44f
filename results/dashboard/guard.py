"""Who may ask the dashboard, and what: hosts by name, the token, two methods, and what the browser is told of it all.

The page is for reading: GET, and the POST by which Dash calls its callbacks, which only read. A page of another site
cannot use a viewer's browser to read it: the Host header must be one of ours (DNS rebinding), a POST must come from our
own page (Origin), and no page may frame ours.
"""

import hashlib
import hmac
import logging
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from dash.exceptions import DependencyException
from flask import Flask, Response, abort, make_response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

_LOG = logging.getLogger("nas.results.dashboard")

ANYWHERE = "/<path:path>"  # Dash's rule that serves the page at every address that is nothing else
_WRONGLY_ASKED = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
CALLBACKS = "/_dash-update-component"
COOKIE = "inception_nas"  # and of the token: cookies are for all ports of a machine, where others may serve theirs
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST = 16_384  # letters of a URL
MOST_BYTES = 1_000_000  # of what a callback is sent: what the page knows of its controls

# Scripts are ours alone, by address or hash. plotly compiles what draws WebGL points with Function(): without
# 'unsafe-eval' its charts stay empty, and its build for stricter pages is not among Python's packages.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def is_loopback(host: str) -> bool:
    """Whether a name, as a user gives it, is one by which a machine knows itself alone."""
    return _name(host) in LOOPBACK


def guard(server: Flask, hosts: Collection[str], token: str | None, hashes: Sequence[str]) -> None:
    """Make a server refuse all that is not meant for it, before it does anything.

    Args:
        server: Dash's.
        hosts: names under which it may be asked.
        token: what everybody must bring: once as ``?token=``, from then on as a cookie. None: nothing.
        hashes: of the page's inline scripts, in the form of a content security policy.
    """
    allowed = frozenset(map(_name, hosts))
    policy = _POLICY.format(hashes=" ".join(hashes))
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @server.before_request
    def check() -> AnyResponse | None:
        if len(request.full_path) > LONGEST:
            abort(414)
        if _name(request.host) not in allowed:
            abort(
                _refused(403, "This dashboard is not served under that name: open it by the address that it printed.")
            )
        callback = request.path == CALLBACKS
        if request.method not in (("POST",) if callback else ("GET", "HEAD")):
            abort(405)
        if request.url_rule is None or request.url_rule.rule == ANYWHERE:
            abort(404)
        origin = request.headers.get("Origin")
        if callback and origin is not None and urlsplit(origin).netloc != request.host:
            abort(_refused(403, "Only the dashboard's own page may ask this."))
        return None if token is None else _let_in(token)

    @server.errorhandler(DependencyException)
    def unknown(error: DependencyException) -> AnyResponse:
        return _refused(404, "There is no such file.")  # Dash's own answer would be a list of all that there are

    @server.errorhandler(Exception)
    def failed(error: Exception) -> AnyResponse | HTTPException:
        if isinstance(error, HTTPException):
            return error
        # What the page itself asks can be answered: it is the page that is older than the server, or no page at all.
        asked_wrongly = request.path == CALLBACKS and isinstance(error, _WRONGLY_ASKED)
        _LOG.error("%s %s", request.method, request.path, exc_info=error)
        return _refused(400 if asked_wrongly else 500, "This cannot be answered; the server's log says why.")

    @server.after_request
    def tell(response: Response) -> Response:
        response.headers.update(_HEADERS)
        response.headers["Content-Security-Policy"] = policy
        if response.mimetype in ("text/html", "application/json"):
            response.headers["Cache-Control"] = "no-store"
        return response


def _let_in(token: str) -> AnyResponse | None:
    """None for who has the token; who brings it for the first time gets the cookie, and the address without it."""
    given = request.args.get("token")
    if given is None:
        if not _equal(request.cookies.get(_cookie(token), ""), token):
            abort(
                _refused(401, "This dashboard wants its token: open the address that it printed, ?token=... included.")
            )
        return None
    if not _equal(given, token):
        abort(_refused(401, "That is not this dashboard's token: open the address that it printed."))
    rest = "&".join(part for part in request.query_string.decode("latin-1").split("&") if not part.startswith("token="))
    response = make_response(redirect(request.path + (f"?{rest}" if rest else ""), 303))
    response.set_cookie(_cookie(token), token, httponly=True, samesite="Strict", max_age=30 * 24 * 3600)
    return response


def _cookie(token: str) -> str:
    return f"{COOKIE}_{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _refused(status: int, sentence: str) -> Response:
    return Response(sentence + "\n", status, mimetype="text/plain")


def _name(host: str) -> str:
    """The name in a Host header, or as a user gives it, without the port: ``[::1]:8050`` is ``::1``."""
    try:
        return (urlsplit(f"//{host}" if host.count(":") < 2 or "[" in host else f"//[{host}]").hostname or "").rstrip(
            "."
        )
    except ValueError:
        return ""
