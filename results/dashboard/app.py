"""The dashboard as a server: put together here, and served by waitress."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dash import Dash
from flask import Flask, Response, abort

from results.dashboard.callbacks import register
from results.dashboard.files import serve_files
from results.dashboard.guard import LOOPBACK, guard
from results.dashboard.layout import page
from results.dashboard.selected import FindThresholds
from results.dashboard.tabs import FindImportances, Tabs
from results.dashboard.watch import Watch
from results.markup import asset

if TYPE_CHECKING:
    from results.ledger import Ledger

THREADS = 24  # most of them wait for the ledger
SHARED = {"charts.js": "text/javascript", "palette.css": "text/css"}

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}
<script id="script-plotly" async src="/_dash-component-suites/plotly/package_data/plotly.min.js"></script></head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""
_METAS = [
    {"name": "viewport", "content": "width=device-width, initial-scale=1"},
    {"name": "color-scheme", "content": "light dark"},
    {"name": "referrer", "content": "no-referrer"},
]


_GRID = re.compile(r'<script src="([^"]+/dash_ag_grid/[^"]+)"></script>')


class _Page(Dash):
    """The page is opened for its chart: plotly's script, the largest, is asked for first, and the table's on demand."""

    def interpolate_index(self, scripts: str = "", **parts: Any) -> str:  # type: ignore[override]  # all by name
        """Return the page's HTML."""
        later, count = _GRID.subn(r'<script id="script-grid" data-src="\1"></script>', scripts)
        assert count == 1, "the table's script is not where it was"
        write: Any = super().interpolate_index  # without types in Dash
        return str(write(scripts=later, **parts))


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that is put together. ``app.server`` is its WSGI application."""

    app: Dash
    watch: Watch


def make_dashboard(
    open_ledger: "Callable[[], Ledger]",
    importances: FindImportances,
    audited_by: FindThresholds,
    *,
    study: str | None = None,
    hosts: Collection[str] = LOOPBACK,
    token: str | None = None,
) -> Dashboard:
    """Put the dashboard of a ledger together.

    Args:
        open_ledger: opens it for reading; asked again, while there is none.
        importances: finds out how much each gene of a study matters.
        audited_by: finds the thresholds of a study's space.
        study: the one study that is shown, also to those who ask for another; all of the ledger if None.
        hosts: names under which it may be asked, without ports.
        token: what viewers must bring; None: nothing, which is for the loopback address alone.
    """
    app = _Page(
        "inception_nas_dashboard",
        title=f"{study} - inception-nas" if study else "inception-nas",
        update_title="",  # pages that poll would flicker
        assets_folder=str(Path(__file__).parent / "assets"),
        index_string=_INDEX,
        meta_tags=_METAS,
        external_scripts=["/shared/charts.js"],
        external_stylesheets=["/shared/palette.css"],
        include_pages_meta=False,
        suppress_callback_exceptions=True,  # sliders come with the study
        add_log_handler=False,
        enable_mcp=False,
        compress=False,
    )
    watch = Watch(open_ledger, only=study)
    app.layout = page()
    register(app, watch, Tabs(importances), audited_by)
    serve_files(app.server, watch)
    _serve_shared(app.server)
    guard(app.server, hosts, token, app.csp_hashes())
    return Dashboard(app, watch)


def _serve_shared(server: Flask) -> None:
    """Serve what the report holds as well: its colours, and how charts take them."""

    @server.get("/shared/<name>")
    def shared(name: str) -> Response:
        if name not in SHARED:
            abort(404)
        return Response(str(asset(name)), mimetype=SHARED[name])


def serve(dashboard: Dashboard, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until a KeyboardInterrupt; ``started`` is called with the address once it can be opened.

    ``port`` 0: any free one. Raises OSError where the address cannot be had.
    """
    import waitress

    server = waitress.create_server(
        dashboard.app.server,
        host=host,
        port=port,
        threads=THREADS,
        ident=None,
        channel_timeout=30,  # seconds in which a request must have come: slow ones do not hold a place for ever
        connection_limit=500,
        clear_untrusted_proxy_headers=True,
    )
    name = f"[{host}]" if ":" in host else host
    started(f"http://{name}:{server.effective_port}/")
    try:
        server.run()
    finally:
        server.close()
        dashboard.watch.close()


def address(base: str, study: str | None, token: str | None) -> str:
    """The address to open: of a study, if one is named, and with the token."""
    asked = {key: value for key, value in (("token", token), ("study", study)) if value}
    return base + (f"?{urlencode(asked)}" if asked else "")
