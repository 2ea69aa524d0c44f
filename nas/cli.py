"""The command line: one function per command, no logic. Answers go to standard output, all else to standard error."""

import logging
import sys
from typing import NoReturn

import click

from nas import __version__
from nas.cli_architectures import audit, cost, explain_space, sample, seeds, show, spaces
from nas.cli_dashboard import dashboard
from nas.cli_export import export, import_weights
from nas.cli_studies import ablate, calibrate, doctor, pareto, report, search, statistics, status, studies, to_optuna
from nas.cli_training import evaluate, ladder, measure, train
from results.plain_text import plain_lines
from search_spaces.errors import RequestError, RunFailed, nearest


class _Group(click.Group):
    """Lists commands in the order of use, and suggests the nearest name for an unknown one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = nearest(args[0], self.commands) or ";"
            ctx.fail(f"there is no command {args[0]!r}{near} 'nas --help' lists them")
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="nas")
@click.option("--verbose", is_flag=True, help="Log what happens to standard error.")
def nas(verbose: bool) -> None:
    """Neural architecture search over the Inception family.

    ARCH is a seed's name (nas seeds), a YAML file, or STUDY:NUMBER (a trial of a study). ARCH@N is the same with a stem
    for pictures of N px, whose stages see the same grids (Table 2 of the paper: inception-v3@151, inception-v3@79).

    \b
    Examples:
      nas show inception-v3                     the tree, the costs, the audit
      nas search examples/digits.yaml           run or resume a search
      nas pareto digits                         the front of a study
      nas export digits:7 --to python -o out    a trial as plain PyTorch
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s"
    )


IN_ORDER_OF_USE = (
    seeds,
    spaces,
    explain_space,
    show,
    cost,
    audit,
    sample,
    measure,
    search,
    ablate,
    calibrate,
    studies,
    status,
    pareto,
    statistics,
    report,
    dashboard,
    to_optuna,
    train,
    ladder,
    evaluate,
    export,
    import_weights,
    doctor,
)
for command in IN_ORDER_OF_USE:
    nas.add_command(command)


# -------------------------------------------------------------------------------------------------------------- errors


def _end(sentence: str, status: int) -> NoReturn:
    click.echo(f"nas: {plain_lines(sentence)}", err=True)  # it may quote a study, whose text may hold anything
    sys.exit(status)


def main() -> None:
    """Run the command line: exit status 0 done, 1 it ran and failed, 2 the request was wrong."""
    try:
        nas(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
        click.echo(usage, err=True, nl=False)
        _end(error.format_message(), 2)
    except RequestError as error:
        _end(str(error), 2)
    except (click.Abort, KeyboardInterrupt) as error:
        _end(str(error.__cause__ or error) or "stopped", 130)  # click makes an Abort of Ctrl-C
    except click.ClickException as error:
        _end(error.format_message(), 1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as 'nas ... | head' does
        sys.exit(0)
    except RunFailed as error:
        _end(str(error), 1)
