"""What can be taken away by its address: a trial's architecture file, source and drawing, and tables as CSV."""

from collections.abc import Callable

from flask import Flask, Response, abort, request

from results.dashboard.details import SEED, with_heads
from results.dashboard.scene import Choice, scene
from results.dashboard.sliders import number, scale, whole
from results.dashboard.watch import Snapshot, Watch
from results.data_tables import of_trials
from results.difference import compare
from results.drawing import draw_svg
from results.export.content import Content
from results.export.names import file_stem
from results.export.to_python import python_source
from results.outcome import LedgerError, StudyRecord, TrialRecord
from results.view import Target
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError
from search_spaces.seeds import seed

_LONGEST = 200  # letters of what is quoted from an address


def serve_files(server: Flask, watch: Watch) -> None:
    """Add the addresses ``/files/trial.KIND?study=NAME&number=N`` and ``/files/TABLE.csv?study=NAME`` to a server.

    ``rung=N`` gives the tables the values at the end of a rung; without it they have final ones.
    ``beside=N`` or ``beside=seed:NAME`` marks in a drawing (``trial.svg``) how it differs from that one.
    """

    @server.get("/files/trial.<kind>")
    def trial(kind: str) -> Response:
        asked, study = request.args, request.args.get("study", "")
        number, beside = asked.get("number", ""), asked.get("beside", "")
        if kind not in (*_KINDS, "svg") or not number.isdecimal() or len(number) > 9:
            abort(404)
        if kind == "svg":
            return _told(lambda: _svg(*_found(watch, study, int(number)), _beside(watch, study, beside)))
        return _told(lambda: _KINDS[kind](*_found(watch, study, int(number))))

    @server.get("/files/<name>.csv")
    def table(name: str) -> Response:
        if name not in ("trials", "front"):
            abort(404)
        return _told(lambda: _table(watch, name))


def _told(answer: Callable[[], Response]) -> Response:
    """The answer, or in a sentence why there is none."""
    try:
        return answer()
    except LedgerError as error:
        return Response(f"{error}\n", 404, mimetype="text/plain")
    except (RequestError, KeyError, TypeError) as error:
        return Response(f"This trial's architecture cannot be read: {error}\n", 422, mimetype="text/plain")


def _found(watch: Watch, study: str, number: int) -> tuple[StudyRecord, TrialRecord, Architecture]:
    trial, record = watch.trial(study, number), watch.look(study).record
    name = trial.seed or f"{study[:40]}-{number}"
    return record, trial, from_data(trial.architecture).named(name)


def _yaml(record: StudyRecord, trial: TrialRecord, architecture: Architecture) -> Response:
    return _attached(architecture.to_yaml(), f"{file_stem(architecture.name)}.yaml", "application/yaml")


def _python(record: StudyRecord, trial: TrialRecord, architecture: Architecture) -> Response:
    target = Target.of(record.search)
    content = Content(
        architecture=architecture,
        classes=target.classes,
        channels=target.channels,
        sides=architecture.sides(target.resolution),
        provenance={"study": f"{record.name}, trial {trial.number}"},
    )
    return _attached(python_source(content), f"{content.name}.py", "text/x-python")


def _svg(record: StudyRecord, trial: TrialRecord, architecture: Architecture, beside: Architecture | None) -> Response:
    target = Target.of(record.search)
    graph = with_heads(architecture, target)
    marked = compare(graph, with_heads(beside, target)).first if beside is not None else None
    drawing = draw_svg(graph, title=architecture.name, columns=None, marked=marked)
    return Response(drawing, mimetype="image/svg+xml")


def _beside(watch: Watch, study: str, asked: str) -> Architecture | None:
    """The architecture that a drawing is compared with: a trial's number, or SEED and a name; None where none is."""
    if asked.startswith(SEED):
        return seed(asked.removeprefix(SEED)[:_LONGEST])
    if asked.isdecimal() and len(asked) <= 9:
        return from_data(watch.trial(study, int(asked)).architecture)
    if asked:
        raise RequestError(f"there is nothing {asked[:_LONGEST]!r} to compare with: name a trial, or {SEED}NAME")
    return None


_KINDS = {"yaml": _yaml, "py": _python}


def _table(watch: Watch, name: str) -> Response:
    snapshot = watch.look(request.args.get("study", ""))
    rung, trials = _rung(snapshot), watch.trials(snapshot.record.name)
    if name == "front":
        members = set(scene(snapshot, _choice(snapshot, rung)).front_numbers)
        trials = [trial for trial in trials if trial.number in members]
    told = of_trials(trials, list(snapshot.record.objectives), rung=rung, epochs=snapshot.epochs)
    return _attached(told.as_csv(), f"{file_stem(snapshot.record.name[:40])}-{name}.csv", "text/csv")


def _rung(snapshot: Snapshot) -> int | None:
    """The rung that an address asks for, None where it names none; status 400 for one that the study does not have."""
    rung = whole(request.args.get("rung"))
    if "rung" in request.args and rung not in range(snapshot.rungs):
        abort(400)
    return rung


def _choice(snapshot: Snapshot, rung: int | None) -> Choice:
    """What an address asks for; status 400 where it is none that the page makes."""
    asked, first = request.args, Choice.first(snapshot)
    axes = asked["axes"].split(",") if "axes" in asked else [first.x, first.y]
    limits = {key.removeprefix("limit."): number(value) for key, value in asked.items() if key.startswith("limit.")}
    unknown = [name for name in (*axes, *limits) if name not in snapshot.quantities]
    if unknown or None in limits.values() or len(axes) > 3:
        abort(400)
    kept = {name: value / scale(name) for name, value in limits.items() if value is not None}
    x, y, z = (axes * 3)[:3]  # the same quantity twice is one
    return Choice(x, y, z, rung, kept)


def _attached(text: str, name: str, kind: str) -> Response:
    response = Response(text, mimetype=kind)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
