"""Faults of what is shown: a large study, many viewers, requests and texts that wish the page ill."""

import ast
import csv
import http.client
import io
import json
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.faults.garbage import CALLBACK, requests, texts
from benchmarks.faults.table import Row
from benchmarks.faults.toy import Bench
from benchmarks.large_study import OBJECTIVES, STUDY, trials, write_study
from results.data_tables import of_outcomes, of_trials
from results.export.content import Content
from results.export.names import file_stem, module_name
from results.export.to_python import python_source
from results.importance import Importance
from results.ledger import Ledger
from results.outcome import Outcome, StudyRecord, TrialRecord
from results.pareto import front
from results.plain_text import plain
from results.report import Background, report_html
from results.table import front_table
from search_spaces.seeds import seed

SECONDS = 20.0  # of many viewers
SLOW = 50  # connections that send a letter a second


@contextmanager
def served(runs: Path) -> Iterator[int]:
    """The port of a dashboard of the runs folder."""
    code = "import sys; from nas.cli import main; sys.argv[0] = 'nas'; main()"
    words = [sys.executable, "-c", code, "dashboard", "--runs", str(runs), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert found, "the dashboard has not begun"
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def ask(
    port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    """Status and body of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body or method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Viewer:
    """One who has the page open: opens it once, then polls, and fetches what has changed, as the page does."""

    def __init__(self, port: int) -> None:
        self.port = port
        dependencies = json.loads(ask(port, "/_dash-dependencies")[1])
        self.callbacks = {each["output"]: each for each in dependencies if each["clientside_function"] is None}
        self.known: dict[str, Any] = {"place.search": "", "tick.n_intervals": 0}
        self.bytes = 0

    def call(self, part: str, changed: str) -> int:
        """Call the callback that has a part among its outputs, with all that is known; return the status."""
        output = next(name for name in self.callbacks if part in name)
        asked = self.callbacks[output]

        def values(kind: str) -> list[Any]:
            found: list[Any] = []
            for each in asked[kind]:
                if each["id"].startswith("{"):
                    found.append(self._sliders(each["property"]))
                else:
                    value = self.known.get(f"{each['id']}.{each['property']}")
                    found.append({"id": each["id"], "property": each["property"], "value": value})
            return found

        ids = re.findall(r"([\w-]+)\.([\w-]+?)(?:@[0-9a-f]+)?(?:\.\.\.|$)", output.strip("."))
        outputs = [{"id": name, "property": value} for name, value in ids]
        sent = {
            "output": output,
            "outputs": outputs,
            "inputs": values("inputs"),
            "state": values("state"),
            "changedPropIds": [changed],
        }
        body = json.dumps(sent).encode()
        status, answer = ask(self.port, CALLBACK, "POST", {"Content-Type": "application/json"}, body)
        self.bytes += len(answer)
        if status == 200:
            for name, found in json.loads(answer)["response"].items():
                self.known |= {f"{name.split('@')[0]}.{value}": what for value, what in found.items()}
        return status

    def _sliders(self, part: str) -> list[dict[str, Any]]:
        found = []
        for control in self.known.get("limits.children") or []:
            for child in control["props"].get("children") or []:
                props = child.get("props", {}) if isinstance(child, dict) else {}
                if isinstance(props.get("id"), dict):
                    found.append({"id": props["id"], "property": part, "value": props.get(part, props["id"])})
        return found

    def open(self) -> list[int]:
        """Open the page; return the statuses."""
        return [self.call("standing.children", "place.search"), *self._look()]

    def poll(self) -> list[int]:
        """Look whether there is anything new, and fetch it."""
        before = self.known.get("revision.data")
        found = [self.call("standing.children", "tick.n_intervals")]
        return found if self.known.get("revision.data") == before else found + self._look()

    def _look(self) -> list[int]:
        """Fetch the chart, and then the table."""
        chart = self.call("scene.data", "revision.data")
        self.known["drawn.data"] = (self.known.get("scene.data") or {}).get("at")
        return [chart, self.call("rows.data", "drawn.data")]


def large(row: Row, bench: Bench, count: int) -> None:
    """Show a study of which every complete trial is on the front."""
    runs = bench.folder / "large"
    write_study(runs, count, worst=True)
    wrong, since = [], time.monotonic()
    with served(runs) as port:
        viewer = Viewer(port)
        statuses = viewer.open()
        opened = time.monotonic() - since
        times = []
        for _ in range(20):
            since = time.monotonic()
            statuses.append(viewer.call("scene.data", "shown.value"))
            times.append(time.monotonic() - since)
        complete = ask(port, f"/files/front.csv?study={STUDY}&axes=macs,error")[1].decode().count("\n") - 1
    if set(statuses) - {200, 204}:
        wrong.append(f"statuses {sorted(set(statuses))}")
    with Ledger.open(runs / "ledger.sqlite", read_only=True) as ledger:
        wanted = sum(trial.outcome is Outcome.COMPLETE and trial.seed is None for trial in ledger.summaries(STUDY))
    if complete < wanted:
        wrong.append(f"{complete} of {wanted} trials are on the front")
    row.enter(1, wrong)
    row.note(
        f"{count} trials, {complete} on the front: open after {opened:.1f} s, {viewer.bytes / 1e6:.2f} MB; "
        f"a filter is answered in {1000 * statistics.median(times):.0f} ms in the median"
    )


def viewers(row: Row, bench: Bench, count: int) -> None:
    """Let many viewers follow a study that is written to, beside connections that never end their requests."""
    runs = bench.folder / "viewers"
    write_study(runs, 200)
    more = list(trials(400))[200:]
    statuses: list[int] = []
    taken: list[float] = []
    errors: list[str] = []
    lock, over = threading.Lock(), threading.Event()

    def view(port: int) -> None:
        try:
            viewer = Viewer(port)
            mine = viewer.open()
            while not over.wait(2.0):
                since = time.monotonic()
                mine += viewer.poll()
                with lock:
                    taken.append(time.monotonic() - since)
        except Exception as error:  # noqa: BLE001 - told in the table
            errors.append(f"{type(error).__name__}: {error}")
        with lock:
            statuses.extend(mine)

    with served(runs) as port, Ledger.open(runs / "ledger.sqlite") as ledger, ledger.hold(STUDY):
        slow = [_slow(port, over) for _ in range(SLOW)]
        threads = [threading.Thread(target=view, args=(port,)) for _ in range(count)]
        for thread in (*threads, *slow):
            thread.start()
        commits, since = [], time.monotonic()
        for trial in more:
            began = time.monotonic()
            if began - since > SECONDS:
                break
            ledger.start_trial(
                replace(
                    trial, outcome=Outcome.RUNNING, values={}, measurements=(), seconds=None, reason="", violations={}
                )
            )
            ledger.finish_trial(STUDY, trial.number, Outcome.DIVERGED, reason="made up", seconds=1.0)
            commits.append(time.monotonic() - began)
            time.sleep(0.2)
        over.wait(max(0.0, SECONDS - (time.monotonic() - since)))
        over.set()
        for thread in (*threads, *slow):
            thread.join(120)
    bad = sorted({status for status in statuses if status not in (200, 204)})
    row.enter(count, ([f"statuses {bad}"] if bad else []) + errors[:3])
    late = statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else 0.0
    row.note(
        f"{count} viewers and {SLOW} slow connections for {SECONDS:.0f} s: {len(statuses)} answers, 95 % of the polls "
        f"within {1000 * late:.0f} ms; two commits take {1000 * statistics.median(commits):.1f} ms in the median"
    )


def _slow(port: int, over: threading.Event) -> threading.Thread:
    def drip() -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as connection:
            for letter in b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 1000:
                connection.sendall(bytes([letter]))
                if over.wait(1.0):
                    return

    return threading.Thread(target=drip)


def garbage(row: Row, bench: Bench, count: int) -> None:
    """Ask what no page asks; nothing that lies elsewhere comes back, and the page works afterwards."""
    runs = bench.folder / "garbage"
    write_study(runs, 24)
    with served(runs) as port:
        own = f"127.0.0.1:{port}"
        for bad in list(requests())[:: 1 if count > 1 else 7]:
            headers = {"Host": own} | bad.headers
            try:
                status, answer = ask(port, bad.path, bad.method, headers, bad.body)
            except (http.client.HTTPException, OSError) as error:
                status, answer = 400, f"closed: {error}".encode()  # waitress closes on what is no HTTP at all
            leaked = [word for word in (b"root:", b"[build-system]", b"Traceback") if word in answer]
            told = f"{bad.method} {bad.path[:60]} {bad.headers} {bad.body[:20]!r}: {status} {leaked}"
            row.enter(1, [told] if status not in bad.statuses or leaked else [])
        viewer = Viewer(port)
        row.enter(1, ["the page does not open afterwards"] if set(viewer.open()) - {200, 204} else [])


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        events = [name for name, _ in attributes if name.startswith("on")]
        self.seen.append(" ".join([tag, *events]))


def _tags(page: str) -> list[str]:
    parser = _Tags()
    parser.feed(page)
    return parser.seen


def hostile(row: Row, bench: Bench, count: int) -> None:
    """Put texts that mean something to browsers, spreadsheets, terminals and Python into every text of a study."""
    plain_trials = list(trials(12))
    study = StudyRecord(
        "study",
        "2026-11-01T00:00:00.000+00:00",
        {"note": "note"},
        "ab" * 32,
        dict(OBJECTIVES),
        "complete",
        {"torch": "1"},
    )
    tame = _tags(_report(study, plain_trials, "word"))
    for text in texts(count):
        wrong = [f"{sink}: {text[:40]!r}" for sink, told in _sinks(study, plain_trials, text, tame) if told]
        row.enter(1, wrong)


def _named(study: StudyRecord, every: list[TrialRecord], text: str) -> tuple[StudyRecord, list[TrialRecord]]:
    known = [
        replace(t, reason=text, seed=text if t.seed else None, traceback=text if t.traceback else None) for t in every
    ]
    return replace(study, name=text, search={"note": text}, versions={"torch": text}, data_digest=text), known


def _report(study: StudyRecord, every: list[TrialRecord], text: str) -> str:
    named, known = _named(study, every, text)
    genes = Importance("error", "ped-anova", 20, {text: 1.0})
    return report_html(named, known, Background(command=text, facts={"cpu": text}, importances=[genes]))


def _sinks(study: StudyRecord, every: list[TrialRecord], text: str, tame: list[str]) -> Iterator[tuple[str, bool]]:
    """Each place where a text goes, and whether it does there what it should not."""
    named, known = _named(study, every, text)
    yield "report", _tags(_report(study, every, text)) != tame
    for table in (of_trials(known, list(OBJECTIVES)), of_outcomes(known)):
        read = list(csv.reader(io.StringIO(table.as_csv())))
        yield "csv rows", len(read) != len(table.rows) + 1
        cells = [cell for line in read for cell in line if not re.fullmatch(r"-?[\d.e+-]+", cell)]
        yield (
            "csv cells",
            any(cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")) or not cell.isprintable() for cell in cells),
        )
    shown = io.StringIO()
    console = Console(file=shown, width=100, color_system=None)
    console.print(front_table(named, front(known, OBJECTIVES), [t for t in known if t.seed]))
    console.print(plain(text), markup=False)
    yield "terminal", any(not letter.isprintable() and letter != "\n" for letter in shown.getvalue())
    for name in (file_stem(text), module_name(text)):
        yield "file name", not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name.startswith(".") or ".." in name.split("/")
    architecture = seed("inception-v3")
    content = Content(architecture, 10, 3, architecture.sides(None), provenance={"study": text, "data": text})
    source = python_source(content)
    body = ast.parse(source).body
    yield "python", [type(node).__name__ for node in body[:5]] != ["Expr", "Import", "Import", "Import", "ImportFrom"]
