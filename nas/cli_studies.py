"""Commands that run searches and read what they found."""

import gc
import shlex
import sys
from pathlib import Path

import click

from nas.cli_options import (
    GOES_ON,
    JSON,
    RUNS,
    NewFile,
    NewFolder,
    Number,
    Whole,
    console,
    files_in,
    print_json,
    tell_replaced,
)
from nas.runs import Runs
from results.outcome import state_called
from results.plain_text import plain


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@RUNS
@GOES_ON
def search(file: Path, settings: tuple[str, ...], runs: Runs) -> None:
    """Run a search, or go on with it: nothing is trained twice.

    Ctrl-C once ends it after the running epochs, twice at once; the same command goes on (exit status 130 meanwhile).

    \b
    Keys of the file, with [defaults]; study, data and trials must be there:
      study        its name
      data         digits, a folder of pictures, file.npz or hf:NAME; or
                   {source, side, damaged, validation, test, label}
      trials       how many are begun; screened and known ones do not count
      space        one that ships, or a YAML file [inception]
      seeds        published networks, trained first [inception-v3]
      sampler      see below [nsga2]
      random_seed  [0]
      objectives   error and others of macs, params, activation_bytes,
                   peak_memory_bytes, latency_ms, measured_memory_bytes
                   [error, macs]
      limits       {QUANTITY: the most that is allowed, ...} [none]
      target       where costs are counted: resolution [299], classes [the
                   data's], channels [3]
      proxy        what is trained: resolution [32], width [0.125], share [1]
      rungs        cheaper fidelities: a list of {epochs, resolution, width,
                   share}, or {lower: the list, reduction [3]} [none]
      screen       by a score: {score, of [4], keep [1]} [none]
      control      share of random points to compare with [0.25]
      measure      batch [1], device [worker], threads [1], precision [auto]
      recipe       epochs [6], batch_size [32], learning_rate [0.045], ...
                   (all in trainers/recipe.py)
      executor     ray_tune or inline; name [ray_tune], workers [auto],
                   cpus_per_trial [1], gpus_per_trial [auto],
                   trial_limit_s [none]
      ray          address [none: Ray is started on this machine]
      storage      where checkpoints lie, a folder or URL [under --runs]
      quota_gb     room for the files of trials off the front [50]

    \b
    Samplers (sampler: NAME, or {name: NAME, OPTION: ...}, in the file):
      nsga2      genetic, by non-dominated rank and crowding; the default
      nsga3      the same by reference points: for three objectives and more
      evolution  aging evolution by the space's own mutation and crossover
      tpe        multivariate density estimation: slow, good with few trials
      gp         Gaussian processes: seconds a proposal
      local      walks from the best found by single mutations
      random     uniform: what the others are to be compared with

    \b
    Examples:
      nas search examples/digits.yaml
      nas search examples/digits.yaml --set trials=48 --set executor.workers=4
      nas search examples/digits.yaml --set study=other --set sampler=tpe
    """
    from nas import views
    from nas.config import parse_overrides, read_search
    from nas.first_checks import check_search
    from nas.progress import Shown
    from nas.waiting import working

    config, terminal = read_search(file, parse_overrides(settings)), console(error=True)
    check_search(config)
    with working(terminal, f"starting the search of study {config.study}") as started:
        from nas.driver import run  # brings torch

        typed = shlex.join(["nas", "search", str(file), *(word for each in settings for word in ("--set", each))])
        study = run(config, runs, progress=Shown(terminal, started.end), command=typed)
    gc.freeze()  # at its end Python looks through all that torch and Ray left: a second of computing, for nothing
    for block in views.after_search(study, terminal):
        console().print(block, soft_wrap=isinstance(block, str), markup=False)
    if study.record.state != "complete":
        sys.exit(130)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--principle", required=True, metavar="NAME", help="The principle to switch off, as in 'nas audit'.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@click.option("--repeats", type=Whole(1, 1000), default=1, show_default=True, help="Runs of each arm, by random seed.")
@click.option(
    "-o",
    "--output",
    type=NewFile("ablation.html"),
    metavar="FILE.html",
    help="The page; runs/STUDY-NAME.html if not.",
)
@JSON
@RUNS
@GOES_ON
def ablate(
    file: Path,
    principle: str,
    settings: tuple[str, ...],
    repeats: int,
    output: Path | None,
    as_json: bool,
    runs: Runs,
) -> None:
    """Ask whether a principle helps: run a search with it and without, and compare errors at equal MACs.

    Each arm trains the file's number of trials, at least 8 with all its repeats: random architectures, whatever sampler
    the file names, and no seeds.
    The arms are studies, FILE's with -NAME-on and -NAME-off; the same command goes on where it was stopped.

    \b
    Examples:
      nas ablate examples/digits.yaml --principle embedding
      nas ablate examples/digits.yaml --principle bottleneck --set trials=48 --repeats 3
    """
    from nas.ablate import answer, plan
    from nas.config import parse_overrides, read_search
    from nas.first_checks import check_search
    from nas.progress import Shown
    from nas.waiting import working

    config, terminal = read_search(file, parse_overrides(settings)), console(error=True)
    check_search(config)
    planned = plan(config, principle, repeats)

    def tell(sentence: str) -> None:
        terminal.print(plain(sentence), markup=False, soft_wrap=True)

    with working(terminal, f"starting the ablation of {principle}") as started:
        found = answer(planned, runs, output, progress=lambda: Shown(terminal, started.end), tell=tell)
    if found is None:
        sys.exit(130)
    if as_json:
        print_json(found.as_data())
        return
    for block in found.blocks(console().width):
        console().print(block, soft_wrap=isinstance(block, str), markup=False)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.yaml")
@click.option("--trials", type=Whole(min=1), default=24, show_default=True, help="Architectures to train.")
@click.option(
    "--threshold",
    type=Number(-1, 1),
    default=0.6,
    show_default=True,
    help="Kendall's tau from which a rung is recommended.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a key of the file; repeatable.")
@JSON
@RUNS
@GOES_ON
def calibrate(file: Path, trials: int, threshold: float, settings: tuple[str, ...], as_json: bool, runs: Runs) -> None:
    """Ask whether the proxy is to be trusted: train a sample at every rung, and compare the orders.

    Random architectures and the file's seeds are trained at all rungs of the file (without any: at a quarter and a
    half of its epochs). Kendall's tau of each rung with the top one stands beside that of params and MACs alone. The
    study is FILE's with -calibration; the same command goes on where it was stopped.

    \b
    Examples:
      nas calibrate examples/digits.yaml --trials 16
      nas calibrate examples/cifar10.yaml --set 'rungs=[{epochs: 1}, {epochs: 2, resolution: 16}]'
    """
    from nas.calibrate import calibrate as run_calibration
    from nas.calibrate import plan
    from nas.config import parse_overrides, read_search
    from nas.first_checks import check_search
    from nas.progress import Shown
    from nas.waiting import working

    config, terminal = read_search(file, parse_overrides(settings)), console(error=True)
    check_search(config)
    planned = plan(config, trials)
    with working(terminal, f"starting study {planned.study}") as started:
        found = run_calibration(planned, runs, threshold=threshold, progress=Shown(terminal, started.end))
    if found is None:
        sys.exit(130)
    if as_json:
        print_json(found.as_data())
        return
    for line in found.lines():
        click.echo(plain(line))


@click.command()
@JSON
@RUNS
def studies(as_json: bool, runs: Runs) -> None:
    """List the studies of the ledger."""
    from nas import views

    rows = views.study_rows(runs)
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"no studies in {str(runs.folder)!r}", err=True)
    for row in rows:
        state = plain(state_called(row["state"], row["searched_by"]))
        click.echo(f"{plain(row['name'])}  {state}, {row['trials']} trials, {row['front_size']} on the front")


@click.command()
@click.argument("study")
@JSON
@RUNS
def status(study: str, as_json: bool, runs: Runs) -> None:
    """Count a study's trials by outcome, and say how its data are split."""
    from nas import views

    if as_json:
        with runs.read() as ledger:
            print_json(ledger.count_outcomes(study))
        return
    for line in views.status_lines(study, runs):
        click.echo(line)


@click.command()
@click.argument("study")
@JSON
@RUNS
def pareto(study: str, as_json: bool, runs: Runs) -> None:
    """Show a study's front, relative to Inception-v3."""
    from nas import views
    from nas.study import Study

    opened = Study.open(study, runs)
    if as_json:
        print_json(views.pareto_data(opened))
    else:
        terminal = console()
        for block in views.front_blocks(opened, terminal.width, terminal.encoding):
            terminal.print(block, markup=False)


@click.command()
@click.argument("study")
@click.option(
    "--reference",
    "reference",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of an objective up to which hypervolumes count; repeatable. A tenth beyond the worst if not.",
)
@click.option(
    "--importance",
    default="ped-anova",
    show_default=True,
    metavar="ped-anova|fanova",
    help="How the importance of genes is computed; fanova is slow.",
)
@click.option(
    "-o",
    "--output",
    type=NewFolder(),
    metavar="FOLDER",
    help="Write each statistic as NAME.csv and NAME.json (data and plotly figures) into it.",
)
@JSON
@RUNS
def statistics(
    study: str, reference: tuple[str, ...], importance: str, output: Path | None, as_json: bool, runs: Runs
) -> None:
    """Say what a study's trials amount to, in figures.

    Hypervolume and how it grew, whether searching helped, the knee of the front, what a percent of error costs in MACs,
    which genes matter, the errors of each arm at equal MACs, and how well the rungs agree. What there are too few
    trials for is said.

    \b
    Examples:
      nas statistics digits
      nas statistics digits --reference error=0.5 --reference macs=6e9
      nas statistics digits --json
      nas statistics digits -o digits-statistics     front.csv, front.json, hypervolume.csv, ...
    """
    from nas.statistics_view import LARGE, parse_reference, statistics_files
    from nas.study import Study
    from nas.waiting import working

    point, opened = parse_reference(reference), Study.open(study, runs)
    slow = importance == "fanova" or len(opened.trials) > LARGE
    with working(console(error=True), f"looking at {len(opened.trials):,} trials", slow=slow):
        found = opened.statistics(point, importance=importance)
    if output is not None:
        before = files_in(output)
        written = statistics_files(found, output)
        tell_replaced(written, before)
    if as_json:
        print_json(found.as_data())
    elif output is not None:
        for path in written:
            click.echo(str(path))
    else:
        from results.statistics_table import statistics_blocks

        terminal = console()
        for block in statistics_blocks(found, terminal.width, driver=opened.searched_by):
            terminal.print(block, markup=False)


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=NewFile("report.html"),
    metavar="FILE.html",
    help="Where to write it; runs/STUDY/report.html if not.",
)
@click.option(
    "--published/--no-published",
    default=None,
    help="Lay the papers' printed results over the front; where the data are called imagenet if neither.",
)
@RUNS
def report(study: str, output: Path | None, published: bool | None, runs: Runs) -> None:
    """Write a study as one self-contained HTML file, which opens without a network.

    The front, its statistics and audit, drawings of its architectures beside Inception-v3, how the trials ended, and
    what it takes to repeat the study. What is missing or damaged is said in its place.

    \b
    Examples:
      nas report digits
      nas report digits -o digits.html
      nas report imagenet --published
    """
    from nas.conclude import write_study_report
    from nas.study import Study

    opened = Study.open(study, runs)
    gc.freeze()  # the trials stay to the end: not looked through again, which would take a second for 10,000
    output = output or opened.folder / "report.html"
    write_study_report(opened, output, published=published)
    click.echo(str(output))


@click.command("to-optuna")
@click.argument("study")
@click.argument("url", metavar="URL")
@click.option("--as", "name", metavar="NAME", help="The study's name there; its own if not.")
@RUNS
def to_optuna(study: str, url: str, name: str | None, runs: Runs) -> None:
    """Write a study into a database of Optuna's, for Optuna's dashboard and other tools.

    URL is SQLAlchemy's: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE. Trials that were stopped at a rung,
    screened or known are pruned trials there; user attributes hold what Optuna has no place for.

    \b
    Examples:
      nas to-optuna digits sqlite:///optuna.db
      optuna-dashboard sqlite:///optuna.db
    """
    from nas.study import Study
    from nas.waiting import show_bar

    opened = Study.open(study, runs)
    from nas.samplers.to_optuna import write_to_optuna  # brings optuna

    with show_bar(console(error=True), study, "trials written") as progress:
        written = write_to_optuna(opened, url, name, progress=progress)
    counts = ", ".join(f"{count} {state.lower()}" for state, count in written.states.items()) or "no trials"
    click.echo(f"study {plain(written.name)} written: {counts}")


@click.command()
@JSON
@RUNS
def doctor(as_json: bool, runs: Runs) -> None:
    """Say what this machine has, and what a search would use."""
    from nas import views
    from nas.doctor import examine
    from nas.waiting import working

    with working(console(error=True), "looking at what is installed"):
        found = examine(runs)
    if as_json:
        print_json(found)
    else:
        click.echo(views.doctor_text(found))
    if found["problems"]:
        sys.exit(1)
