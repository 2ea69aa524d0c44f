"""The command that serves a ledger as a page in the browser."""

import click

from nas.cli_options import RUNS, Whole
from nas.runs import Runs
from search_spaces.errors import RequestError

PORT = 8050


@click.command()
@click.argument("study", required=False)
@click.option(
    "--port", type=Whole(0, 65535), default=PORT, show_default=True, help="Where it listens; 0: any free port."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address it listens on. Any but the loopback address wants a token.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="Another name under which viewers reach it, as behind a proxy; it wants a token. Repeatable.",
)
@click.option(
    "--token",
    envvar="INCEPTION_NAS_TOKEN",
    show_envvar=True,
    help="What viewers must bring; made up and printed where one is needed and none is given.",
)
@click.option("--open/--no-open", "opens", default=False, help="Open it in this machine's browser.")
@RUNS
def dashboard(
    study: str | None, port: int, host: str, names: tuple[str, ...], token: str | None, opens: bool, runs: Runs
) -> None:
    """Serve studies as a live page: the front, its architectures, and how they came about.

    It only reads, follows running searches, and ends with Ctrl-C. On the loopback address of this machine it asks
    for nothing; a viewer elsewhere can come through 'ssh -L 8050:127.0.0.1:8050 MACHINE'. With another --host or
    --name it wants a token, and what it sends, the token too, is not encrypted: for networks that you trust.

    \b
    Examples:
      nas dashboard                              all studies of the runs folder
      nas dashboard digits --port 8051 --open    one study, in the browser
      nas dashboard --ledger postgresql://me@db/nas
      nas dashboard --host 0.0.0.0 --name gpu-7.example.org
    """
    from nas.dashboard import run_dashboard

    if study is not None:
        with runs.read() as ledger:
            ledger.study(study)
    try:
        run_dashboard(study, runs, host=host, port=port, names=names, token=token, opens=opens, tell=click.echo)
    except (OSError, ValueError) as error:  # waitress tells of a host that it cannot find in either way
        why = getattr(error, "strerror", None) or str(error).rstrip(".").lower()
        other = "another --host, one of this machine's" if port == 0 else "another --port (0: any free one) or --host"
        raise RequestError(f"the dashboard cannot listen on {host} port {port} ({why}): choose {other}") from None
